//! Standard output and standard error.

use std::collections::BTreeSet;
use std::io::{self, BufWriter, Write as _};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use verifier_core::Problem;
use verifier_core::render::text::sanitize;
use verifier_host::{Error, Session, write_file};

/// The most problems that are written; the others are counted.
const MAX_PROBLEMS: usize = 20;

pub(super) type Stdout = BufWriter<io::Stdout>;

/// Standard output, buffered.
pub(super) fn stdout() -> Stdout {
    BufWriter::with_capacity(1 << 16, io::stdout())
}

/// True for `-o -`.
pub(super) fn is_stdout(output: &Path) -> bool {
    output.as_os_str() == "-"
}

/// Writes a result to the file of `-o`, and one line about it to standard output. With `-o -` the result goes
/// to standard output, and the line to standard error.
pub(super) fn write_result(output: &Path, bytes: &[u8], about: &str) -> Result<(), Error> {
    let mut out = stdout();
    if is_stdout(output) {
        out.write_all(bytes)?;
        out.flush()?;
        warn(about);
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

/// Writes a line to standard output, before the output of a view.
pub(super) fn say_first(line: &str) {
    // If standard output is closed, the view reports it.
    let _ = writeln!(io::stdout(), "{}", sanitize(line));
}

/// Writes one line to standard error, unless it was written before: the missing symbols of the kernel are
/// said first, and are among the problems of each view.
pub(super) fn warn(text: &str) {
    static SAID: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let line = text.lines().map(sanitize).collect::<Vec<_>>().join("; ");
    if SAID.lock().unwrap_or_else(PoisonError::into_inner).insert(line.clone()) {
        let _ = writeln!(io::stderr(), "verifier: {line}");
    }
}

/// Writes problems, one line each.
pub(super) fn warn_of_problems<'a>(problems: impl IntoIterator<Item = &'a Problem>) {
    let mut problems = problems.into_iter();
    for problem in problems.by_ref().take(MAX_PROBLEMS) {
        warn(&problem.to_string());
    }
    let rest = problems.count();
    if rest > 0 {
        warn(&format!("{rest} more problems, all in --format json"));
    }
}

/// Says first which symbol file of the kernel is missing, because every other error follows from that.
pub(super) fn warn_of_kernel_symbols(session: &Session) {
    warn_of_problems(&session.kernel_symbol_problem());
}
