//! The same damaged files, read by other programs if they are installed, and by `verifier` as a
//! program beside them.
//!
//! Each gets a file on disk and is asked for about the same: modules and what it knows of Verifier. One
//! that ends by a signal, a panic or an exception that nothing caught has crashed; one that says what
//! is wrong has not.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::cases::cases;
use crate::overlay::Overlay;
use crate::subject::Subject;
use crate::trace::Trace;

/// Wall time, since others start interpreters and children.
const LIMIT: Duration = Duration::from_secs(60);

/// Opens the dump and reads every page that it lists.
const KDMP_PARSER: &str = "\
import sys
try:
    import kdmp_parser
except ImportError:
    sys.exit(9)
try:
    dump = kdmp_parser.KernelDumpParser(sys.argv[1])
    for at in dump.pages:
        dump.read_physical_page(at)
except Exception as error:
    sys.exit(f'{type(error).__name__}: {error}')
";

#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    answered: u64,
    refused: u64,
    crashed: u64,
    hung: u64,
}

enum End {
    Answered,
    Refused,
    Crashed,
    Hung,
}

/// The command for a dump and its folder of symbols.
type Asking = Box<dyn Fn(&Path, &Path) -> Command>;

/// A program, and how it is asked about a file.
struct Peer {
    name: &'static str,
    command: Asking,
    counts: Counts,
}

fn command(program: impl AsRef<std::ffi::OsStr>, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments);
    command
}

/// Runs `count` cases of each subject that is a file with symbols, whose folders are `folders`,
/// through everybody. `tables` is a folder of ISF tables for volatility3. Gives a table in Markdown.
///
/// # Errors
/// Where files cannot be written.
pub fn run_peers(
    subjects: &[Subject],
    folders: &[PathBuf],
    count: usize,
    verifier: &Path,
    tables: Option<&Path>,
) -> io::Result<String> {
    let work = tempfile::tempdir()?;
    let place = work.path().join("tables/windows/ntkrnlmp.pdb");
    fs::create_dir_all(&place)?;
    for table in tables.map(fs::read_dir).transpose()?.into_iter().flatten() {
        let table = table?;
        if table.file_name().to_string_lossy().ends_with(".json.xz") {
            fs::copy(table.path(), place.join(table.file_name()))?;
        }
    }
    let mut peers = programs(verifier, &work.path().join("tables"));
    peers.retain(|peer| is_there(peer, work.path()));
    let mut files = 0;
    for (subject, folder) in subjects.iter().zip(folders) {
        let trace = Trace::record(subject).map_err(io::Error::other)?;
        // The first of each kind is at the beginning of the file, which everybody refuses.
        for case in cases(subject, &trace).into_iter().skip(7).step_by(8).take(count) {
            let file = work.path().join("memory.dmp");
            let bytes = Overlay::damaged(Arc::clone(&subject.file), case.at, case.damage).to_vec();
            fs::write(&file, bytes)?;
            files += 1;
            for peer in &mut peers {
                let counts = &mut peer.counts;
                let end = ask((peer.command)(&file, &folder.join("symbols")))?;
                match end {
                    End::Answered => counts.answered += 1,
                    End::Refused => counts.refused += 1,
                    End::Crashed => counts.crashed += 1,
                    End::Hung => counts.hung += 1,
                }
                if matches!(end, End::Crashed | End::Hung) {
                    let how = if matches!(end, End::Hung) { "hangs" } else { "crashes" };
                    eprintln!("{} {how}: {} {case:?}", peer.name, subject.name);
                }
            }
        }
    }
    let mut text = format!(
        "## Beside others\n\n{files} of these files, each read by programs that are installed here: \
         modules, and Verifier's data where one knows it. A crash is a signal, a panic or an \
         exception that nothing catches; a hang takes more than {} s.\n\n\
         | program | answers | refuses | crashes | hangs |\n|---|--:|--:|--:|--:|\n",
        LIMIT.as_secs()
    );
    for Peer { name, counts, .. } in &peers {
        let Counts { answered, refused, crashed, hung } = counts;
        // Writing to a string does not fail.
        let _ = writeln!(text, "| {name} | {answered} | {refused} | {crashed} | {hung} |");
    }
    Ok(text)
}

fn programs(verifier: &Path, tables: &Path) -> Vec<Peer> {
    let (verifier, tables) = (verifier.to_path_buf(), tables.to_path_buf());
    let peer = |name, command: Asking| Peer { name, command, counts: Counts::default() };
    vec![
        peer(
            "verifier (kd: `lm`, `!verifier 3`, `!verifier 80`)",
            Box::new(move |file, symbols| {
                let mut asked = command(&verifier, &["kd"]);
                asked.arg(file).arg("--symbols").arg(symbols);
                asked.args(["-c", "lm", "-c", "!verifier 3", "-c", "!verifier 80"]);
                asked
            }),
        ),
        peer(
            "ntoseye (`lm`, `!verifier`)",
            Box::new(|file, symbols| {
                let mut asked = command("ntoseye", &["--dump"]);
                asked.arg(file).arg("--sympath-append").arg(symbols);
                asked.args(["--batch", "-c", "lm", "-c", "!verifier"]);
                asked
            }),
        ),
        peer(
            "kdmp-parser of PyPI (every page)",
            Box::new(|file, _| {
                let mut asked = command("python3", &["-c", KDMP_PARSER]);
                asked.arg(file);
                asked
            }),
        ),
        peer(
            "volatility3 (`windows.modules`)",
            Box::new(move |file, _| {
                let mut asked = command("vol", &["-q", "--offline", "-s"]);
                asked.arg(&tables).arg("-f").arg(file).arg("windows.modules");
                asked
            }),
        ),
    ]
}

/// Whether the program can be started.
fn is_there(peer: &Peer, folder: &Path) -> bool {
    let mut asked = (peer.command)(&folder.join("none.dmp"), folder);
    let done = asked.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    // The script's own code for a module that is missing.
    done.is_ok_and(|status| status.code() != Some(9))
}

fn ask(mut command: Command) -> io::Result<End> {
    let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    let mut errors = child.stderr.take();
    let said = thread::spawn(move || {
        let mut text = Vec::new();
        if let Some(errors) = &mut errors {
            let _ = errors.read_to_end(&mut text);
        }
        String::from_utf8_lossy(&text).into_owned()
    });
    let begun = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if begun.elapsed() > LIMIT {
            child.kill()?;
            child.wait()?;
            return Ok(End::Hung);
        }
        thread::sleep(Duration::from_millis(20));
    };
    let said = said.join().unwrap_or_default();
    Ok(match status.code() {
        None => End::Crashed,
        _ if said.contains("panicked at") || said.contains("Traceback (most recent") => {
            End::Crashed
        }
        Some(0) => End::Answered,
        Some(_) => End::Refused,
    })
}
