//! Standard output and standard error.

use std::io::{self, BufWriter, Write as _};
use std::path::Path;

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

/// One line on standard error.
pub(super) fn complain(text: &str) {
    let line = text.lines().map(sanitize).collect::<Vec<_>>().join("; ");
    let _ = writeln!(io::stderr(), "verifier: {line}");
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

/// Modules whose addresses were shown without names, one line each.
pub(super) fn complain_missing_symbols(session: &Session) {
    // The kernel's have been told of first.
    let told = usize::from(session.kernel_symbol_problem().is_some());
    for problem in session.symbol_problems().iter().skip(told) {
        complain(&problem.why);
    }
}

/// Says first which file of the kernel's is missing, which every other error follows from.
pub(super) fn complain_kernel_symbols(session: &Session) {
    if let Some(problem) = session.kernel_symbol_problem() {
        complain(&problem.why);
    }
}
