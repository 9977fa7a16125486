//! What all subcommands with a view do: open the dump, show the view, say its problems.

use std::io::{self, Write as _};

use clap::ValueEnum;
use verifier_core::Problem;
use verifier_core::render::Names;
use verifier_host::{Error, Session, View};

use super::dump_args::DumpArgs;
use super::output::{Stdout, stdout, warn, warn_of_kernel_symbols, warn_of_problems};

/// How a result is written.
pub(super) trait OutputFormat: Copy {
    /// True if it is text for people, which begins with what is missing.
    fn is_text(self) -> bool;

    /// True if problems are also said on standard error.
    fn says_problems(self) -> bool;
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    Text,
    Json,
    Csv,
}

impl OutputFormat for Format {
    fn is_text(self) -> bool {
        self == Format::Text
    }

    fn says_problems(self) -> bool {
        self == Format::Text
    }
}

/// How a result without rows is written.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum TextOrJson {
    Text,
    Json,
}

impl OutputFormat for TextOrJson {
    fn is_text(self) -> bool {
        self == TextOrJson::Text
    }

    fn says_problems(self) -> bool {
        self == TextOrJson::Text
    }
}

/// Opens the dump of a view, and warns if the kernel's symbols are missing.
pub(super) fn open(dump: &DumpArgs, format: impl OutputFormat) -> Result<Session, Error> {
    let session = dump.open()?;
    warn_unless_text(format, &session);
    warn_of_kernel_symbols(&session);
    Ok(session)
}

/// Warns if the file was cut short, unless the output is text, which says so itself.
pub(super) fn warn_unless_text(format: impl OutputFormat, session: &Session) {
    if !format.is_text() {
        warn_of_truncation(session);
    }
}

pub(super) fn warn_of_truncation(session: &Session) {
    if let Some(line) = session.truncation() {
        warn(&format!("warning: {line}"));
    }
}

/// Reads a view of the dump and writes it.
pub(super) fn show<V: View>(
    dump: &DumpArgs,
    format: impl OutputFormat,
    read: impl FnOnce(&Session) -> Result<V, Error>,
    write: impl FnOnce(&mut Stdout, &V, &Names<'_>) -> io::Result<()>,
) -> Result<V, Error> {
    let session = open(dump, format)?;
    show_of(&session, format, read, |out, view| {
        Ok(write(out, view, &Names::new(session.kernel()?))?)
    })
}

/// The same for an open session, which may have no kernel.
pub(super) fn show_of<V: View>(
    session: &Session,
    format: impl OutputFormat,
    read: impl FnOnce(&Session) -> Result<V, Error>,
    write: impl FnOnce(&mut Stdout, &V) -> Result<(), Error>,
) -> Result<V, Error> {
    let view = read(session).inspect_err(|_| {
        if format.is_text() {
            warn_of_truncation(session);
        }
    })?;
    let mut out = stdout();
    write(&mut out, &view)?;
    out.flush()?;
    warn_of_view(format, view.problems());
    Ok(view)
}

/// Says the problems of a view on standard error, except those with a headline if text begins with it.
pub(super) fn warn_of_view<'a>(
    format: impl OutputFormat,
    problems: impl IntoIterator<Item = &'a Problem>,
) {
    let is_said = |problem: &&Problem| format.is_text() && problem.headline.is_some();
    if format.says_problems() {
        warn_of_problems(problems.into_iter().filter(|problem| !is_said(problem)));
    }
}
