//! A session in several threads; one of them waits for a symbol server.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::common::saved;
use verifier_core::Va;
use verifier_host::Session;
use verifier_host::symbols::SymbolPath;

/// Longer than any step here takes, unless it hangs.
const STUCK: Duration = Duration::from_secs(20);

/// A server without files; it delays its answer for the driver's PDB.
struct SlowServer {
    url: String,
    /// A message for each request for the driver's PDB, before it is answered.
    asked: Receiver<()>,
    /// The server answers after this is dropped.
    hold: Sender<()>,
    requests: Arc<Mutex<usize>>,
}

impl SlowServer {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (tell, asked) = channel();
        let (hold, released) = channel::<()>();
        let requests = Arc::new(Mutex::new(0));
        let count = Arc::clone(&requests);
        // The thread ends with the test's process.
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
                let first = lines.next().unwrap().unwrap();
                lines.find(|line| line.as_ref().unwrap().is_empty());
                if first.starts_with("GET /myfault.pdb/") {
                    *count.lock().unwrap() += 1;
                    let _ = tell.send(());
                    let _ = released.recv();
                }
                let _ = stream.write_all(b"HTTP/1.1 404 X\r\nContent-Length: 0\r\n\r\n");
            }
        });
        Self { url, asked, hold, requests }
    }
}

/// A thread that needs another module's symbols, or data that are already there, does not wait for a
/// download. A thread that needs the same symbols waits, and does not request them again.
#[test]
fn a_download_delays_only_threads_that_need_it() {
    let mut sample = verifier_synth::walkthrough();
    sample.files.retain(|(name, _)| name.starts_with("ntkrnlmp.pdb/"));
    let folder = saved(&sample);
    let server = SlowServer::new();
    let mut path = SymbolPath::with_default_cache(None);
    let symbols = folder.path().join("symbols");
    path.push(&format!("{};{}", symbols.display(), server.url)).unwrap();
    let session = Arc::new(Session::open(&folder.path().join("memory.dmp"), path).unwrap());
    let modules = session.kernel().unwrap().modules().loaded();
    let index = modules.iter().position(|module| module.name == "myfault.sys").unwrap();
    let (base, kernel_base) = (modules[index].base, session.kernel().unwrap().base());
    let is_known =
        |session: &Session| session.symbol_loads().iter().any(|load| load.wanted.module == index);
    assert!(!is_known(&session));

    let load = |address: Va| {
        let session = Arc::clone(&session);
        let (tell, done) = channel();
        thread::spawn(move || {
            session.load_symbols_at([address]);
            let known: Vec<usize> =
                session.symbol_loads().iter().map(|load| load.wanted.module).collect();
            let _ = tell.send((known, session.missing_kernel_symbols()));
        });
        done
    };
    let first = load(base);
    server.asked.recv_timeout(STUCK).unwrap();
    let second = load(base);
    let meanwhile = load(kernel_base).recv_timeout(STUCK);
    assert_eq!(meanwhile, Ok((vec![0], None)), "the kernel's symbols are there");
    assert!(second.try_recv().is_err(), "the same module's are waited for");
    drop(server.hold);
    for waiting in [first, second] {
        let (known, _) = waiting.recv_timeout(STUCK).unwrap();
        assert!(known.contains(&index));
    }
    // The file and its cabinet, each once.
    assert_eq!(*server.requests.lock().unwrap(), 2);
}
