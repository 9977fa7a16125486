//! Which files a result may be written to: not a file that is read, and not one that another program wrote.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::symbols::{SymbolPath, folders};

/// How many bytes at the start of a file are searched for the mark of an output.
const HEAD: u64 = 4 << 10;

/// How results of `leaks` begin that are not pictures: JSON, CSV, Markdown, a baseline,
/// SARIF, JUnit, annotations.
const RESULTS: [&[u8]; 9] = [
    b"{\"unload_leak\":",
    b"count,bytes,largest,tag,driver,",
    b"### Driver Verifier: ",
    b"{\"verifier_baseline\":",
    b"{\"$schema\":\"https://json.schemastore.org/sarif-2.1.0.json\",",
    b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"verifier leaks\"",
    b"::error ",
    b"::warning ",
    b"::notice ",
];

/// A kind of file that the program writes, which it recognizes by a mark in its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum OutputKind {
    /// [`flame_graph`](crate::flame_graph): SVG.
    FlameGraph,
    /// [`write_report`](crate::report::write_report): HTML.
    Report,
}

impl OutputKind {
    const ALL: [Self; 2] = [Self::FlameGraph, Self::Report];

    /// What the file is, in words.
    fn name(self) -> &'static str {
        match self {
            Self::FlameGraph => "flame graph",
            Self::Report => "report",
        }
    }

    /// How the file begins.
    fn start(self) -> &'static [u8] {
        match self {
            Self::FlameGraph => b"<?xml",
            Self::Report => b"<!doctype html>",
        }
    }

    /// A text in its first bytes that another program's file does not have.
    pub(crate) fn mark(self) -> &'static str {
        match self {
            Self::FlameGraph => "verifier: outstanding pool allocations",
            Self::Report => "<meta name=\"generator\" content=\"verifier report\">",
        }
    }

    fn is_of(self, head: &[u8]) -> bool {
        let mark = self.mark().as_bytes();
        head.starts_with(self.start()) && head.windows(mark.len()).any(|bytes| bytes == mark)
    }
}

/// Refuses to write an output over a file that is not an output of the same kind. An empty file, a device, a
/// pipe, and a path without a file are allowed.
///
/// # Errors
/// [`Error::Usage`], which says how to replace the file; [`Error::File`] if the file cannot be read.
fn may_replace(output: &Path, kind: OutputKind) -> Result<(), Error> {
    match head(output) {
        Ok(Some(head)) if !kind.is_of(&head) => Err(Error::Usage(format!(
            "{}: this file is not a {} that verifier wrote; give another name, or --force (in Python \
             force=True) to replace it",
            output.display(),
            kind.name()
        ))),
        Ok(_) => Ok(()),
        Err(why) => Err(Error::File { path: output.into(), why }),
    }
}

/// The first bytes of a regular file; `None` if there is no such file, or nothing in it.
fn head(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::metadata(path) {
        Ok(meta) if meta.is_file() && meta.len() > 0 => {}
        // A path that cannot be read cannot be written either, and the writer says why.
        _ => return Ok(None),
    }
    let mut head = Vec::new();
    File::open(path)?.take(HEAD).read_to_end(&mut head)?;
    Ok(Some(head))
}

/// True if both paths lead to one file; links are followed. False if one of them leads nowhere.
pub(crate) fn is_same_file(a: &Path, b: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        let id = |path: &Path| std::fs::metadata(path).map(|meta| (meta.dev(), meta.ino()));
        matches!((id(a), id(b)), (Ok(a), Ok(b)) if a == b)
    }
    #[cfg(not(unix))]
    matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}

/// The files that are read, and what each is: "the dump". An output never replaces them. It replaces a file
/// in a folder where symbols are searched for only if that file is an output of this program.
#[derive(Debug, Clone, Default)]
pub struct Inputs {
    files: Vec<(PathBuf, &'static str)>,
    folders: Vec<PathBuf>,
}

impl Inputs {
    /// A dump, the symbol files that a path names one by one, and its folders.
    #[must_use]
    pub fn new(dump: Option<&Path>, symbols: &SymbolPath) -> Self {
        let named: Vec<&Path> = symbols.elements().iter().flat_map(folders).collect();
        let dump = dump.map(|path| (path.to_path_buf(), "the dump"));
        let files = named.iter().map(|path| (path.to_path_buf(), "a symbol file"));
        let folders = named.iter().copied().chain(symbols.default_cache());
        Self {
            files: dump.into_iter().chain(files).collect(),
            folders: folders.map(Path::to_path_buf).collect(),
        }
    }

    /// The same and another file that is read, with what it is: "the baseline".
    #[must_use]
    pub fn and(mut self, file: &Path, what: &'static str) -> Self {
        self.files.push((file.to_path_buf(), what));
        self
    }

    /// Refuses an output that would replace one of them; and, without `force`, one that would replace any
    /// file that is not an output of that kind.
    ///
    /// # Errors
    /// [`Error::Usage`]; [`Error::File`] if the file that is there cannot be read.
    pub fn check_output(&self, output: &Path, kind: OutputKind, force: bool) -> Result<(), Error> {
        self.refuse_overwrite(output)?;
        if force { Ok(()) } else { may_replace(output, kind) }
    }

    /// Refuses an output that would replace one of them.
    ///
    /// # Errors
    /// [`Error::Usage`] if `output` leads to one of them.
    pub fn refuse_overwrite(&self, output: &Path) -> Result<(), Error> {
        if let Some((_, what)) = self.files.iter().find(|(input, _)| is_same_file(output, input)) {
            let why = format!("{}: the output is {what} itself", output.display());
            return Err(Error::Usage(why));
        }
        // Only an existing file has a real path.
        let Ok(real) = output.canonicalize() else { return Ok(()) };
        let is_within = |folder: &&PathBuf| {
            folder.canonicalize().is_ok_and(|folder| folder.is_dir() && real.starts_with(folder))
        };
        let is_ours = |head: Vec<u8>| {
            OutputKind::ALL.iter().any(|kind| kind.is_of(&head))
                || RESULTS.iter().any(|start| head.starts_with(start))
        };
        match self.folders.iter().find(is_within) {
            Some(folder) if real.is_file() && !head(&real).ok().flatten().is_some_and(is_ours) => {
                Err(Error::Usage(format!(
                    "{}: the output would replace a file of the symbol folder {}",
                    output.display(),
                    folder.display()
                )))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_output_of_the_same_kind_an_empty_file_or_nothing_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let graph = format!("<?xml version=\"1.0\"?><!--{}-->", OutputKind::FlameGraph.mark());
        assert!(may_replace(&path, OutputKind::FlameGraph).is_ok());
        for (text, is_graph) in [
            ("", true),
            (&*graph, true),
            ("<?xml version=\"1.0\"?><svg/>", false),
            (OutputKind::FlameGraph.mark(), false),
            (&"x".repeat(5000), false),
        ] {
            fs::write(&path, text).unwrap();
            assert_eq!(may_replace(&path, OutputKind::FlameGraph).is_ok(), is_graph, "{text}");
            assert_eq!(may_replace(&path, OutputKind::Report).is_ok(), text.is_empty(), "{text}");
        }
        let error = may_replace(&path, OutputKind::Report).unwrap_err().to_string();
        assert!(error.contains("--force") && error.contains("file"), "{error}");
    }
}
