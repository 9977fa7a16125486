//! Standard output and standard error.

use std::io::{self, BufWriter, Write as _};
use std::path::Path;

use verifier_core::Problem;
use verifier_core::render::text::sanitize;

use crate::error::Error;
use crate::session::Session;

/// Problems that are written out; the rest is counted.
const MAX_PROBLEMS: usize = 20;

/// Standard output, buffered.
pub(super) fn stdout() -> BufWriter<io::Stdout> {
    BufWriter::with_capacity(1 << 16, io::stdout())
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
    let kernel = session.kernel().ok().filter(|kernel| !kernel.has_own_types());
    let told = kernel.and_then(|kernel| kernel.kernel_module());
    for load in session.symbol_loads().iter().filter(|load| Some(load.wanted.module) != told) {
        if let Some(text) = load.missing() {
            complain(&text);
        }
    }
}

/// Says first which file of the kernel's is missing, which every other error follows from.
pub(super) fn complain_kernel_symbols(session: &Session) {
    if let Some(text) = session.missing_kernel_symbols() {
        complain(&text);
    }
}

/// Writes a file under a temporary name and renames it, so that no half of it is ever there.
pub(super) fn write_file(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let error = |why| Error::File { path: path.into(), why };
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    std::fs::create_dir_all(folder).map_err(error)?;
    let mut builder = tempfile::Builder::new();
    // A temporary file is its owner's alone; a result is as readable as the umask allows.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.tempfile_in(folder).map_err(error)?;
    file.write_all(bytes).map_err(error)?;
    file.persist(path).map_err(|persist| error(persist.error))?;
    Ok(())
}
