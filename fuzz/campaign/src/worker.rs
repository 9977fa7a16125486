//! The child: goes through cases of one subject and says after each how it went.

use std::cell::RefCell;
use std::fs;
use std::io::{self, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use crate::cases::cases;
use crate::look::{Outcome, look};
use crate::overlay::Overlay;
use crate::subject::Subject;
use crate::trace::Trace;

thread_local! {
    /// The message of the panic that is being unwound.
    static LAST_PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Runs `work`; a panic that nobody catches is given as its message. No hook prints it.
pub(crate) fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    std::panic::set_hook(Box::new(|info| {
        LAST_PANIC.with(|last| *last.borrow_mut() = info.to_string());
    }));
    let result = catch_unwind(AssertUnwindSafe(work));
    let _ = std::panic::take_hook();
    result.map_err(|_| LAST_PANIC.with(|last| last.borrow().replace('\n', " ")))
}

/// Kilobytes of address space: now, and at most so far. Zeros if the system does not report it.
fn address_space() -> (u64, u64) {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let number = |key: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(key))?;
        line.split_whitespace().next()?.parse().ok()
    };
    (number("VmSize:").unwrap_or(0), number("VmPeak:").unwrap_or(0))
}

/// Processor time of a process (`self` or a number) in nanoseconds, if the system reports it: a busy machine
/// then does not make a case slow.
pub(crate) fn processor_time(process: &str) -> Option<u64> {
    let line = fs::read_to_string(format!("/proc/{process}/schedstat")).ok()?;
    line.split_whitespace().next()?.parse().ok()
}

/// Limits the address space to what is in use and `more` bytes.
#[cfg(unix)]
fn limit_memory(more: u64) -> io::Result<()> {
    let (now, _) = address_space();
    if now == 0 {
        return Ok(());
    }
    let limit = now * 1024 + more;
    rlimit::setrlimit(rlimit::Resource::AS, limit, limit)
}

#[cfg(not(unix))]
fn limit_memory(_: u64) -> io::Result<()> {
    Ok(())
}

/// Runs the cases `from..to` of a subject and writes a line for each on standard output:
/// `NUMBER MICROSECONDS KILOBYTES SILENT WORD MESSAGE`, the kilobytes being what the process took at most so
/// far beyond what it began with, and SILENT how many views differ from the undamaged dump's and do not say
/// so.
///
/// # Errors
/// Where standard output is closed or the limit cannot be set.
pub fn work(subject: &Subject, from: usize, to: usize, memory: u64) -> io::Result<()> {
    let trace = Trace::record(subject).map_err(io::Error::other)?;
    let cases = cases(subject, &trace);
    drop(trace);
    let undamaged = look(subject, Overlay::whole(Arc::clone(&subject.file))).answers;
    limit_memory(memory)?;
    let (before, _) = address_space();
    let mut out = io::stdout().lock();
    for (number, case) in cases.iter().enumerate().take(to).skip(from) {
        let file = Overlay::damaged(Arc::clone(&subject.file), case.at, case.damage);
        let start = (Instant::now(), processor_time("self"));
        let looked = guarded(|| look(subject, file));
        let micros = match (start.1, processor_time("self")) {
            (Some(before), Some(now)) => u128::from((now - before) / 1000),
            _ => start.0.elapsed().as_micros(),
        };
        let (_, peak) = address_space();
        let silent = looked.as_ref().map_or(0, |look| look.answers.silent(&undamaged).len());
        let (word, message) = match looked.map(|look| look.outcome) {
            Ok(Outcome::Refused) => ("refused", String::new()),
            Ok(Outcome::Partial) => ("partial", String::new()),
            Ok(Outcome::Whole) => ("whole", String::new()),
            Ok(Outcome::Unclean(what)) => ("unclean", what),
            Err(panic) => ("panic", panic),
        };
        let peak = peak.saturating_sub(before);
        writeln!(out, "{number} {micros} {peak} {silent} {word} {message}")?;
    }
    out.flush()
}
