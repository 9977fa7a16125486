//! Standard output and standard error.

use std::collections::BTreeSet;
use std::io::{self, BufWriter, Write as _};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use verifier_core::Problem;
use verifier_core::render::text::sanitize;
use verifier_host::{Error, Session, write_file};

/// Problems that are written out; the rest is counted.
const MAX_PROBLEMS: usize = 20;

/// Standard output, buffered.
pub(super) fn stdout() -> BufWriter<io::Stdout> {
    BufWriter::with_capacity(1 << 16, io::stdout())
}

/// True for `-o -`.
pub(super) fn is_stdout(output: &Path) -> bool {
    output.as_os_str() == "-"
}

/// Writes a result to the file of `-o`, and one line about it to standard output; with `-o -` to
/// standard output, and the line to standard error.
pub(super) fn write_result(output: &Path, bytes: &[u8], about: &str) -> Result<(), Error> {
    let mut out = stdout();
    if is_stdout(output) {
        out.write_all(bytes)?;
        out.flush()?;
        complain(about);
        return Ok(());
    }
    write_file(output, bytes)?;
    writeln!(out, "{}: {about}", output.display())?;
    Ok(out.flush()?)
}

/// "1 block", "2 blocks".
pub(super) fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// A line of standard output, before what a view writes.
pub(super) fn say_first(line: &str) {
    // If standard output is closed, the view ends as it would without this line.
    let _ = writeln!(io::stdout(), "{}", sanitize(line));
}

/// One line on standard error. What was said once is not said again: the missing symbols of the kernel are
/// said first, and are among the problems of each view.
pub(super) fn complain(text: &str) {
    static SAID: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let line = text.lines().map(sanitize).collect::<Vec<_>>().join("; ");
    if SAID.lock().unwrap_or_else(PoisonError::into_inner).insert(line.clone()) {
        let _ = writeln!(io::stderr(), "verifier: {line}");
    }
}

/// Problems of a view, one line each.
pub(super) fn complain_problems(problems: &[Problem]) {
    for problem in problems.iter().take(MAX_PROBLEMS) {
        complain(&problem.to_string());
    }
    if problems.len() > MAX_PROBLEMS {
        let rest = problems.len() - MAX_PROBLEMS;
        complain(&format!("{rest} more problems, all in --format json"));
    }
}

/// Says first which file of the kernel's is missing, which every other error follows from.
pub(super) fn complain_kernel_symbols(session: &Session) {
    complain_problems(session.kernel_symbol_problem().as_slice());
}
