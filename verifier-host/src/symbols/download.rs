//! One GET over HTTP(S), and a memory of the answers. No other module uses the crate `ureq`.
//!
//! The crate `symsrv` (0.5.6) is made for this, but it has these faults: It refuses names that do not end in
//! .exe, .dll, .pdb or .dbg, so it cannot fetch a driver (.sys). It sets no timeout and does not accept a
//! client that has one. If the transfer of a cabinet breaks off, its expanding thread and its caller wait
//! without end (it drops the feeder of `RemotelyFedCursor` without `mark_complete`). It expands without a
//! limit. It writes to the cache before the caller can check that the file is the right one. It requests a
//! missing file again each time.
//!
//! Root certificates are the system's, so a company's own server or proxy is trusted if the system trusts it.
//! Proxies are taken from the environment (`HTTPS_PROXY` and similar). A server on this machine is asked
//! without a proxy, because a proxy would ask its own machine.

use std::collections::HashMap;
use std::io::{self, Read};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use ureq::Proxy;
use ureq::tls::{RootCerts, TlsConfig};

use super::outcome::Miss;
use super::url::without_credentials;
use crate::progress::{Progress, Stage};

const RESOLVE: Duration = Duration::from_secs(5);
const CONNECT: Duration = Duration::from_secs(5);
/// A server that expands the file, or fetches it from another server, needs time before the first byte.
const RESPOND: Duration = Duration::from_secs(30);
/// A transfer may take long, but it must not stop, or come byte by byte.
const STALL: Duration = Duration::from_secs(30);
/// The fewest bytes that must come in that time: a thousandth of what a slow line brings.
const LEAST: u64 = 30 << 10;
const TRANSFER: Duration = Duration::from_secs(60 * 60);

/// How often one URL is tried when the network or the server fails.
const TRIES: u32 = 3;
/// Before the second try; doubled before the third.
const PAUSE: Duration = Duration::from_millis(250);

/// How long a server that failed is not asked again: a dump has a hundred modules, and each would wait for
/// all its tries. Most runs of the command take less time.
const LEFT_ALONE: Duration = Duration::from_secs(10 * 60);
/// After so many files in a row failed with all their tries, the server is not asked again.
const STRIKES: u32 = 3;
/// How long a URL counts as missing: long enough for many dumps of one build, and short enough that a service
/// or a notebook that never ends sees a file that is uploaded later.
const STAYS_MISSING: Duration = Duration::from_secs(10 * 60);
/// How many URLs are remembered as missing.
const MAX_MISSING: usize = 1 << 16;

const CHUNK: usize = 64 << 10;

/// Why there are no bytes.
pub(super) enum Fault {
    /// This URL does not give the file.
    File(Miss),
    /// The server does not answer.
    Server(Miss),
}

/// A memory of answers, for a while.
#[derive(Default)]
struct Memory {
    /// URLs that the server does not have, when it said so, and with which status.
    missing: HashMap<String, (Instant, u16)>,
    /// Servers that failed, when, and why.
    failed: HashMap<String, (Instant, String)>,
    /// How many files in a row a server failed to give.
    strikes: HashMap<String, u32>,
}

impl Memory {
    /// Why a URL of a server need not be requested.
    fn recall(&self, server: &str, url: &str, now: Instant) -> Option<Fault> {
        let is_fresh = |when: Instant, lasts| now.saturating_duration_since(when) < lasts;
        if let Some(&(when, status)) = self.missing.get(url)
            && is_fresh(when, STAYS_MISSING)
        {
            return Some(Fault::File(Miss::HttpBefore(status)));
        }
        match self.failed.get(server) {
            Some((when, why)) if is_fresh(*when, LEFT_ALONE) => {
                Some(Fault::Server(Miss::Unreachable(why.clone())))
            }
            _ => None,
        }
    }

    fn note_failed(&mut self, server: &str, why: &str, now: Instant) {
        self.strikes.remove(server);
        self.failed.insert(server.to_owned(), (now, why.to_owned()));
    }

    fn note_strike(&mut self, server: &str, why: &str, now: Instant) {
        let strikes = self.strikes.entry(server.to_owned()).or_default();
        *strikes += 1;
        if *strikes >= STRIKES {
            self.note_failed(server, why, now);
        }
    }

    fn note_missing(&mut self, url: &str, status: u16, now: Instant) {
        if self.missing.len() >= MAX_MISSING {
            let is_fresh = |when| now.saturating_duration_since(when) < STAYS_MISSING;
            self.missing.retain(|_, (when, _)| is_fresh(*when));
        }
        if self.missing.len() < MAX_MISSING {
            self.missing.insert(url.to_owned(), (now, status));
        }
    }
}

fn memory() -> MutexGuard<'static, Memory> {
    static MEMORY: OnceLock<Mutex<Memory>> = OnceLock::new();
    let memory = MEMORY.get_or_init(Mutex::default);
    memory.lock().unwrap_or_else(PoisonError::into_inner)
}

fn agent() -> &'static ureq::Agent {
    static AGENT: OnceLock<ureq::Agent> = OnceLock::new();
    AGENT.get_or_init(|| {
        let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier);
        ureq::Agent::config_builder()
            .tls_config(tls.build())
            .proxy(proxy())
            .user_agent(concat!("verifier-host/", env!("CARGO_PKG_VERSION")))
            .http_status_as_error(false)
            .timeout_resolve(Some(RESOLVE))
            .timeout_connect(Some(CONNECT))
            .timeout_recv_response(Some(RESPOND))
            .timeout_per_read(Some(STALL))
            .timeout_recv_body(Some(TRANSFER))
            .build()
            .new_agent()
    })
}

/// The proxy that the environment names, except for servers on this machine.
fn proxy() -> Option<Proxy> {
    let named = Proxy::try_from_env()?;
    let exceptions = ["NO_PROXY", "no_proxy"].iter().find_map(|name| std::env::var(name).ok());
    not_for_this_machine(&named, &exceptions.unwrap_or_default())
}

/// A proxy with exceptions, separated by commas, and this machine as another one.
fn not_for_this_machine(proxy: &Proxy, exceptions: &str) -> Option<Proxy> {
    let mut new = Proxy::builder(proxy.protocol())
        .host(proxy.host())
        .port(proxy.port())
        .resolve_target(proxy.resolve_target());
    if let Some(username) = proxy.username() {
        new = new.username(username);
    }
    if let Some(password) = proxy.password() {
        new = new.password(password);
    }
    let own = ["localhost", "127.*", "[::1]"];
    for exception in exceptions.split(',').map(str::trim).filter(|e| !e.is_empty()).chain(own) {
        new = new.no_proxy(exception);
    }
    new.build().ok()
}

/// The bytes at a URL of a server, at most `limit` of them.
pub(super) fn get(
    server: &str,
    url: &str,
    title: &str,
    limit: u64,
    progress: &dyn Progress,
) -> Result<Vec<u8>, Fault> {
    if progress.is_canceled() {
        return Err(Fault::Server(Miss::Canceled));
    }
    if let Some(fault) = memory().recall(server, url, Instant::now()) {
        return Err(fault);
    }
    let mut pause = PAUSE;
    let mut tries = 1;
    loop {
        let failure = match attempt(url, title, limit, progress) {
            Ok(bytes) => {
                memory().strikes.remove(server);
                return Ok(bytes);
            }
            Err(failure) => failure,
        };
        if tries < TRIES && failure.is_passing() {
            tries += 1;
            thread::sleep(pause);
            pause *= 2;
            continue;
        }
        return Err(failure.remember(server, url, tries));
    }
}

/// How one try failed.
enum Failure {
    Status(u16),
    /// The server says that the file is larger than the limit.
    TooLarge(u64),
    NoAnswer(String),
    BrokenOff(String),
    /// The server lets the caller wait, or sends without end: another try would take as long.
    Misbehaves(String),
    Canceled,
}

impl Failure {
    fn of_call(error: &ureq::Error, why: String) -> Self {
        match error {
            ureq::Error::Timeout(_) | ureq::Error::LargeResponseHeader(..) => {
                Failure::Misbehaves(why)
            }
            _ => Failure::NoAnswer(why),
        }
    }

    fn of_body(error: &io::Error) -> Self {
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
        match inner {
            Some(ureq::Error::Timeout(_)) => Failure::Misbehaves(error.to_string()),
            _ => Failure::BrokenOff(error.to_string()),
        }
    }

    /// Whether another try may succeed.
    fn is_passing(&self) -> bool {
        match self {
            Failure::Status(status) => is_passing(*status),
            Failure::TooLarge(_) | Failure::Misbehaves(_) | Failure::Canceled => false,
            Failure::NoAnswer(_) | Failure::BrokenOff(_) => true,
        }
    }

    fn remember(self, server: &str, url: &str, tries: u32) -> Fault {
        let now = Instant::now();
        match self {
            Failure::Status(status) if is_passing(status) => {
                memory().note_strike(server, &Miss::Http(status).to_string(), now);
                Fault::File(Miss::Http(status))
            }
            Failure::Status(status) => {
                memory().strikes.remove(server);
                if matches!(status, 404 | 410) {
                    memory().note_missing(url, status, now);
                }
                Fault::File(Miss::Http(status))
            }
            Failure::TooLarge(limit) => Fault::File(Miss::TooLarge { limit }),
            // The caller does not want the other names of this file either.
            Failure::Canceled => Fault::Server(Miss::Canceled),
            Failure::BrokenOff(why) => {
                memory().note_strike(server, &why, now);
                Fault::File(Miss::Network { why, tries })
            }
            Failure::NoAnswer(why) | Failure::Misbehaves(why) => {
                memory().note_failed(server, &why, now);
                Fault::Server(Miss::Network { why, tries })
            }
        }
    }
}

/// True for a status that may change soon.
fn is_passing(status: u16) -> bool {
    matches!(status, 408 | 429 | 500..=599)
}

/// How fast a body comes.
struct Pace {
    since: Instant,
    done: u64,
}

impl Pace {
    /// True if too little came in the time that just ended.
    fn is_too_slow(&mut self, done: u64, now: Instant) -> bool {
        if now.saturating_duration_since(self.since) < STALL {
            return false;
        }
        let came = done.saturating_sub(self.done);
        *self = Self { since: now, done };
        came < LEAST
    }
}

fn attempt(
    url: &str,
    title: &str,
    limit: u64,
    progress: &dyn Progress,
) -> Result<Vec<u8>, Failure> {
    let request = agent().get(url).config();
    // A redirection must not lead from a server that proves its identity to one that does not.
    let request = request.https_only(url.starts_with("https://")).build();
    let shown = |error: &ureq::Error| error.to_string().replace(url, &without_credentials(url));
    let response = request.call().map_err(|error| Failure::of_call(&error, shown(&error)))?;
    let status = response.status().as_u16();
    if status != 200 {
        return Err(Failure::Status(status));
    }
    let body = response.into_body();
    // Also `None` if the body is packed with gzip: then the length is not that of the file.
    let total = body.content_length();
    if total.is_some_and(|total| total > limit) {
        return Err(Failure::TooLarge(limit));
    }
    let _stage = Stage::begin(progress, title, total);
    let mut body = body.into_reader();
    let mut bytes = Vec::new();
    let mut chunk = vec![0; CHUNK];
    let mut pace = Pace { since: Instant::now(), done: 0 };
    loop {
        let count = body.read(&mut chunk).map_err(|error| Failure::of_body(&error))?;
        if count == 0 {
            break;
        }
        let done = bytes.len() as u64 + count as u64;
        if done > limit {
            let why = format!("the answer is {}", Miss::TooLarge { limit });
            return Err(Failure::Misbehaves(why));
        }
        bytes.extend_from_slice(chunk.get(..count).unwrap_or_default());
        progress.advance(done);
        if progress.is_canceled() {
            return Err(Failure::Canceled);
        }
        if pace.is_too_slow(done, Instant::now()) {
            let seconds = STALL.as_secs();
            let why = format!("less than {LEAST} bytes came in {seconds} seconds");
            return Err(Failure::Misbehaves(why));
        }
    }
    let got = bytes.len() as u64;
    match total {
        Some(total) if got != total => {
            Err(Failure::BrokenOff(format!("the answer ends {got} bytes into {total}")))
        }
        _ => Ok(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file that is uploaded later is found.
    #[test]
    fn a_missing_file_is_asked_for_again_after_a_while() {
        let (mut memory, then) = (Memory::default(), Instant::now());
        memory.note_missing("http://a/x", 404, then);
        let recall = |after| memory.recall("http://a", "http://a/x", then + after);
        let just_before = STAYS_MISSING - Duration::from_millis(1);
        assert!(matches!(recall(just_before), Some(Fault::File(Miss::HttpBefore(404)))));
        assert!(recall(STAYS_MISSING).is_none());
    }

    /// Entries that are too old make room.
    #[test]
    fn the_memory_of_missing_files_is_bounded() {
        let (mut memory, then) = (Memory::default(), Instant::now());
        for i in 0..MAX_MISSING {
            memory.note_missing(&format!("http://a/{i}"), 404, then);
        }
        memory.note_missing("http://a/more", 404, then);
        assert_eq!(memory.missing.len(), MAX_MISSING);
        let later = then + STAYS_MISSING;
        memory.note_missing("http://a/more", 404, later);
        assert_eq!(memory.missing.len(), 1);
        assert!(memory.recall("http://a", "http://a/more", later).is_some());
    }

    #[test]
    fn a_dead_server_is_asked_again_after_a_while() {
        let (mut memory, then) = (Memory::default(), Instant::now());
        memory.note_failed("http://a", "refused", then);
        let recall = |after| memory.recall("http://a", "http://a/x", then + after);
        assert!(matches!(recall(Duration::ZERO), Some(Fault::Server(Miss::Unreachable(_)))));
        assert!(recall(LEFT_ALONE).is_none());
    }

    #[test]
    fn a_server_that_fails_file_after_file_is_left_alone() {
        let (mut memory, now) = (Memory::default(), Instant::now());
        let recall = |memory: &Memory| memory.recall("http://a", "http://a/x", now).is_some();
        for _ in 1..STRIKES {
            memory.note_strike("http://a", "HTTP status 500", now);
        }
        assert!(!recall(&memory));
        memory.strikes.remove("http://a");
        memory.note_strike("http://a", "HTTP status 500", now);
        assert!(!recall(&memory), "a file came between");
        for _ in 1..STRIKES {
            memory.note_strike("http://a", "HTTP status 500", now);
        }
        assert!(recall(&memory));
    }

    #[test]
    fn a_body_that_comes_byte_by_byte_is_too_slow() {
        let start = Instant::now();
        let mut pace = Pace { since: start, done: 0 };
        let before = STALL - Duration::from_millis(1);
        assert!(!pace.is_too_slow(1, start + before));
        assert!(!pace.is_too_slow(LEAST, start + STALL));
        // The next stretch begins with what has come.
        assert!(!pace.is_too_slow(LEAST + 1, start + STALL + before));
        assert!(pace.is_too_slow(LEAST + 30, start + 2 * STALL));
    }

    #[test]
    fn no_proxy_stands_between_this_machine_and_itself() {
        let named = Proxy::new("http://me:secret@proxy.example:3128").unwrap();
        let proxy = not_for_this_machine(&named, "intranet.example, .local.example").unwrap();
        let same = |p: &Proxy| {
            (p.host().to_owned(), p.port(), p.username().map(str::to_owned), p.password().is_some())
        };
        assert_eq!(same(&proxy), same(&named));
        for (url, is_direct) in [
            ("http://127.0.0.1:8080/x", true),
            ("http://localhost/x", true),
            ("http://[::1]:8080/x", true),
            ("http://intranet.example/x", true),
            ("http://a.local.example/x", true),
            ("https://msdl.microsoft.com/x", false),
        ] {
            assert_eq!(proxy.is_no_proxy(&url.parse().unwrap()), is_direct, "{url}");
        }
    }
}
