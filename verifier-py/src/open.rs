//! `Dump`, a kernel in a file, with `open` and `demo`, which create it.

use std::collections::HashMap;
use std::path::PathBuf;

use pyo3::prelude::*;
use verifier_core::Pa;
use verifier_core::symbols::SourceRoots;
use verifier_host::{FileMode, SessionOptions, write_sample};

use crate::session::Session;
use crate::symbols::{CallbackProgress, Symbols};
use crate::text::Path;
use crate::work;

/// A kernel in a crash dump file; `open` creates it.
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
/// symbols: where the PDBs and ISF tables are: a symbol path in the syntax of `_NT_SYMBOL_PATH` (folders,
///     stores, `srv*cache*url`), a path, the bytes of the kernel's PDB or ISF table, that table as a dict,
///     or a list of these. Default: `_NT_SYMBOL_PATH`.
/// mmap: whether the file is mapped. Do not map a file that another program may cut short: a missing page
///     would end the process.
/// raw: open the file as physical memory without a header.
/// dtb: the address of the page tables; replaces the header's value and the search.
/// source_roots: where source files are: a dict of the start of paths in PDBs and what replaces it.
/// progress: a callable that is called with `(what, done, total)`; an exception that it raises ends the work.
///
/// Raises `OSError` if the file cannot be opened, `FormatError` if it is not a dump, `UsageError` if the
/// symbol path is invalid. If the kernel is not found or symbols are missing, the views say so.
#[pyfunction]
#[pyo3(signature = (path, symbols=None, *, mmap=true, raw=false, dtb=None, source_roots=None, progress=None))]
#[allow(clippy::too_many_arguments)]
pub(crate) fn open(
    py: Python<'_>,
    path: Path,
    symbols: Option<&Bound<'_, PyAny>>,
    mmap: bool,
    raw: bool,
    dtb: Option<u64>,
    source_roots: Option<HashMap<String, String>>,
    progress: Option<&Bound<'_, PyAny>>,
) -> PyResult<Py<Dump>> {
    let Path(path) = path;
    let mut options = SessionOptions::default();
    options.progress = Some(Box::new(CallbackProgress::new(progress)?));
    let symbols = Symbols::from_python(symbols)?;
    options.mode = if mmap { FileMode::Map } else { FileMode::Read };
    options.raw = raw;
    options.directory_table_base = dtb.map(Pa);
    options.source_roots = SourceRoots::new(source_roots.unwrap_or_default());
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

/// Writes the sample dump and its symbols into `folder`, which is created if necessary, and opens the dump.
#[pyfunction]
pub(crate) fn demo(py: Python<'_>, folder: Path) -> PyResult<Py<Dump>> {
    let Path(folder) = folder;
    let path = work::run(py, None, || Ok(write_sample(&folder)?))?;
    let symbols = folder.join("symbols").into_pyobject(py)?;
    open(py, Path(path), Some(&symbols), true, false, None, None, None)
}
