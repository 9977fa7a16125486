//! `Dump`, a kernel in a file, and the two ways to one.

use std::path::PathBuf;

use pyo3::prelude::*;
use verifier_core::Pa;
use verifier_host::{FileMode, SessionOptions, write_sample};

use crate::session::Session;
use crate::symbols::{CallbackProgress, Symbols};
use crate::text::Path;
use crate::work;

/// A kernel in a crash dump file; `open` makes it.
#[pyclass(frozen, extends = Session, module = "verifier_py")]
pub(crate) struct Dump {
    path: PathBuf,
}

#[pymethods]
impl Dump {
    /// The file.
    #[getter]
    fn path(&self) -> PathBuf {
        self.path.clone()
    }

    fn __repr__(&self) -> String {
        format!("<Dump {:?}>", self.path)
    }
}

/// Opens a crash dump, a virtual machine's core file or raw memory.
///
/// path: the file; `str`, `bytes` or a path.
/// symbols: where the PDBs and ISF tables are: a symbol path as `_NT_SYMBOL_PATH` has it (folders,
///     stores, `srv*cache*url`), a path, the bytes of the kernel's PDB or ISF table, that table as a dict,
///     or a list of these. Without it `_NT_SYMBOL_PATH` serves.
/// mmap: whether the file is mapped. One that another program may cut short should not be: then a page
///     that is gone ends the process.
/// raw: take the file as physical memory without a header.
/// dtb: where the page tables are, instead of what the header says or a search finds.
/// progress: a callable that is told `(what, done, total)`; what it raises ends the work.
///
/// Raises `OSError` where the file cannot be opened, `FormatError` where it is no dump, `UsageError` where
/// the symbol path makes no sense. That the kernel cannot be found, or symbols are missing, the views say.
#[pyfunction]
#[pyo3(signature = (path, symbols=None, *, mmap=true, raw=false, dtb=None, progress=None))]
pub(crate) fn open(
    py: Python<'_>,
    path: Path,
    symbols: Option<&Bound<'_, PyAny>>,
    mmap: bool,
    raw: bool,
    dtb: Option<u64>,
    progress: Option<&Bound<'_, PyAny>>,
) -> PyResult<Py<Dump>> {
    let Path(path) = path;
    let mut options = SessionOptions::default();
    options.progress = Some(Box::new(CallbackProgress::new(progress)?));
    let symbols = Symbols::from_python(symbols)?;
    options.mode = if mmap { FileMode::Map } else { FileMode::Read };
    options.raw = raw;
    options.directory_table_base = dtb.map(Pa);
    let host = work::run(py, None, || {
        let host = verifier_host::Session::open_with(&path, symbols.path, options)?;
        for bytes in symbols.kernel {
            host.supply_kernel_symbols(bytes)?;
        }
        Ok(host)
    })?;
    let session = Session::new_over(host);
    Py::new(py, PyClassInitializer::from(session).add_subclass(Dump { path }))
}

/// Writes the sample dump and its symbols into `folder`, which is made where it is not there, and opens
/// it.
#[pyfunction]
pub(crate) fn demo(py: Python<'_>, folder: Path) -> PyResult<Py<Dump>> {
    let Path(folder) = folder;
    let path = work::run(py, None, || Ok(write_sample(&folder)?))?;
    let symbols = folder.join("symbols").into_pyobject(py)?;
    open(py, Path(path), Some(&symbols), true, false, None, None)
}
