//! Dump files as bytes by offset: mapped, or read with `pread`; and results, written whole or not at all.
//!
//! A mapping is faster and costs no memory of its own, but a file that another program cuts short
//! while it is mapped ends the process with `SIGBUS`. [`FileMode::Read`] asks the system for each read
//! instead: slower, and a vanished page is an error like any other. Choose it for files on network
//! shares, files that are still being written, and inside services.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use verifier_core::dump::{FileError, ReadAt};

use crate::error::Error;
use crate::symbols::{Element, SymbolPath};

/// Symbolic links that are followed from one to the next.
const MAX_LINKS: usize = 40;

/// How a dump file is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FileMode {
    /// Mapped into memory.
    #[default]
    Map,
    /// Read at each access.
    Read,
}

/// Opens a file for reading.
///
/// # Errors
/// [`Error::File`].
pub fn open_file(path: &Path, mode: FileMode) -> Result<Arc<dyn ReadAt>, Error> {
    let error = |why| Error::File { path: path.into(), why };
    let file = File::open(path).map_err(error)?;
    let meta = file.metadata().map_err(error)?;
    if meta.is_dir() {
        return Err(error(std::io::Error::new(
            std::io::ErrorKind::IsADirectory,
            "a folder, not a dump file",
        )));
    }
    // An empty file cannot be mapped everywhere, and what has no length (a pipe) not at all.
    if mode == FileMode::Map && meta.len() > 0 {
        // SAFETY: the map is read-only and private to this value. Rust asks that the file does not
        // change while it is mapped; no program can promise that of a file that others may write,
        // so what is read is copied out as bytes, or lent as bytes that are taken as numbers, never
        // referenced as a type with invariants. A file that is cut short raises SIGBUS, which the module's text says.
        #[allow(unsafe_code)]
        let map = unsafe { memmap2::Mmap::map(&file) }.map_err(error)?;
        return Ok(Arc::new(Mapped(map)));
    }
    Ok(Arc::new(Read { len: meta.len(), file }))
}

/// True where both paths lead to one file, whatever they are called: links are followed. Not where one of
/// them leads nowhere.
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

/// The files that are read, and what each is: "the dump". Nothing is written over them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Inputs(Vec<(PathBuf, &'static str)>);

impl Inputs {
    /// A dump, and the symbol files that a path names one by one.
    pub(crate) fn new(dump: Option<&Path>, symbols: &SymbolPath) -> Self {
        let dump = dump.map(|path| (path.to_path_buf(), "the dump"));
        let symbols = symbols.elements().iter().filter_map(|element| match element {
            Element::Plain(path) => Some((path.clone(), "a symbol file")),
            Element::Cache(_) | Element::Chain { .. } => None,
        });
        Self(dump.into_iter().chain(symbols).collect())
    }

    /// # Errors
    /// [`Error::Usage`] where `output` leads to one of them.
    pub(crate) fn spare(&self, output: &Path) -> Result<(), Error> {
        match self.0.iter().find(|(input, _)| is_same_file(output, input)) {
            Some((_, what)) => {
                Err(Error::Usage(format!("{}: the output is {what} itself", output.display())))
            }
            None => Ok(()),
        }
    }
}

/// Writes a file under a temporary name and renames it, so that no half of it is ever there; its folder is
/// made. A symbolic link stays, and what it leads to is replaced; what is no regular file (a device, a pipe)
/// is written to as it is.
///
/// # Errors
/// [`Error::File`].
pub fn write_file(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let error = |why| Error::File { path: path.into(), why };
    // Of a link that leads to a pipe, as /dev/stdout may, only the system knows where it leads.
    if std::fs::metadata(path).is_ok_and(|meta| !meta.is_file() && !meta.is_dir()) {
        let mut device = File::options().write(true).open(path).map_err(error)?;
        return device.write_all(bytes).map_err(error);
    }
    let path = follow_links(path).map_err(error)?;
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
    file.persist(&path).map_err(|persist| error(persist.error))?;
    Ok(())
}

/// Where the links at the end of a path lead, also to a file that is not there yet.
fn follow_links(path: &Path) -> std::io::Result<PathBuf> {
    let mut path = path.to_path_buf();
    for _ in 0..MAX_LINKS {
        if !std::fs::symlink_metadata(&path).is_ok_and(|meta| meta.is_symlink()) {
            return Ok(path);
        }
        let target = std::fs::read_link(&path)?;
        // What is relative is so to the link's folder; what is absolute replaces all.
        path = path.parent().unwrap_or(Path::new("")).join(target);
    }
    Err(std::io::Error::other(format!("more than {MAX_LINKS} symbolic links in a row")))
}

struct Mapped(memmap2::Mmap);

impl ReadAt for Mapped {
    fn len(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), FileError> {
        buf.copy_from_slice(self.lend(offset, buf.len()).ok_or(FileError::PastEnd)?);
        Ok(())
    }

    fn lend(&self, offset: u64, len: usize) -> Option<&[u8]> {
        let start = usize::try_from(offset).ok()?;
        self.0.get(start..start.checked_add(len)?)
    }
}

struct Read {
    len: u64,
    file: File,
}

impl ReadAt for Read {
    fn len(&self) -> u64 {
        self.len
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), FileError> {
        read_exact_at(&self.file, buf, offset).map_err(|why| match why.kind() {
            std::io::ErrorKind::UnexpectedEof => FileError::PastEnd,
            _ => FileError::Io(why.to_string().into()),
        })
    }
}

#[cfg(unix)]
fn read_exact_at(file: &File, buf: &mut [u8], offset: u64) -> std::io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, buf, offset)
}

#[cfg(windows)]
fn read_exact_at(file: &File, mut buf: &mut [u8], mut offset: u64) -> std::io::Result<()> {
    while !buf.is_empty() {
        match std::os::windows::fs::FileExt::seek_read(file, buf, offset)? {
            0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            n => {
                buf = &mut buf[n..];
                offset += n as u64;
            }
        }
    }
    Ok(())
}
