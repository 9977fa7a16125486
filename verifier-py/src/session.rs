//! `Session`, a kernel in any memory, and `Dump`, a kernel in a file.

use std::path::PathBuf;
use std::sync::Arc;

use pyo3::prelude::*;
use verifier_core::analysis::History;
use verifier_core::kernel::{AddressSpace, Hints, Kernel};
use verifier_core::machine::Machine;
use verifier_core::render::text::Style;
use verifier_core::verifier::log::PoolLog;
use verifier_core::verifier::{Drivers, PoolReport, Settings};
use verifier_core::{Pa, Va};
use verifier_host::command::{run_kd_command, write_sample};
use verifier_host::info::Info;
use verifier_host::{FileMode, SessionOptions};

use crate::errors::Failure;
use crate::memory::CallbackMemory;
use crate::symbols::{CallbackProgress, Symbols};
use crate::table::{Log, Table, problems};
use crate::{info, views, work};

/// A kernel to read Verifier's data from, in memory that a Python object reads.
///
/// `memory` has a method `read(address, size) -> bytes`; the bytes never cross a 4 KiB page. It is
/// physical memory where `dtb`, the directory table base of the kernel, is given, else virtual
/// memory. Bytes that are absent are told by raising any `Exception`.
#[pyclass(frozen, subclass, module = "verifier_py")]
pub(crate) struct Session {
    host: Arc<verifier_host::Session>,
}

impl Session {
    /// Runs a view without the GIL.
    fn view<T: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&verifier_host::Session, &Kernel) -> Result<T, Failure> + Send,
    ) -> PyResult<T> {
        let host = &*self.host;
        work::run(py, Some(self.id()), || {
            let kernel = host.kernel()?;
            work(host, kernel).map_err(|failure| failure.explained(host))
        })
    }

    fn id(&self) -> usize {
        Arc::as_ptr(&self.host) as usize
    }
}

fn machine(name: &str) -> Result<Machine, Failure> {
    let all = [Machine::X86, Machine::X64, Machine::Arm64];
    let found = all.into_iter().find(|machine| machine.to_string().eq_ignore_ascii_case(name));
    found.ok_or_else(|| {
        Failure::usage(format!("machine {name:?} is none of \"x86\", \"x64\", \"arm64\""))
    })
}

fn options(progress: Option<Py<PyAny>>) -> SessionOptions {
    let mut options = SessionOptions::default();
    if let Some(callable) = progress {
        options.progress = Some(Box::new(CallbackProgress::new(callable)));
    }
    options
}

#[pymethods]
impl Session {
    #[new]
    #[pyo3(signature = (
        *,
        memory,
        symbols=None,
        dtb=None,
        machine="x64",
        pae=None,
        build=None,
        ps_loaded_module_list=None,
        kd_debugger_data_block=None,
        progress=None,
    ))]
    #[allow(clippy::too_many_arguments)]
    fn new(
        py: Python<'_>,
        memory: &Bound<'_, PyAny>,
        symbols: Option<&Bound<'_, PyAny>>,
        dtb: Option<u64>,
        machine: &str,
        pae: Option<bool>,
        build: Option<u32>,
        ps_loaded_module_list: Option<u64>,
        kd_debugger_data_block: Option<u64>,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Self> {
        let machine = self::machine(machine)?;
        let symbols = Symbols::from_python(symbols)?;
        let hints = Hints {
            build,
            ps_loaded_module_list: ps_loaded_module_list.map(Va),
            kd_debugger_data_block: kd_debugger_data_block.map(Va),
        };
        enum Source {
            Physical(Arc<dyn verifier_core::memory::Memory<Pa>>, Pa),
            Virtual(Arc<dyn verifier_core::memory::Memory<Va>>),
        }
        let source = match dtb {
            Some(base) => Source::Physical(CallbackMemory::over(memory)?, Pa(base)),
            None => Source::Virtual(CallbackMemory::over(memory)?),
        };
        let options = options(progress);
        let host = work::run(py, None, move || {
            let space = match source {
                Source::Physical(memory, base) => {
                    let head = hints.ps_loaded_module_list;
                    AddressSpace::of_tables(memory, base, machine, pae, head)
                }
                Source::Virtual(memory) => AddressSpace::new(memory, machine),
            };
            let kernel = Arc::new(Kernel::open(space, hints)?);
            let host = verifier_host::Session::of_kernel(kernel, symbols.path, options);
            for bytes in symbols.kernel {
                host.supply_kernel_symbols(bytes)?;
            }
            Ok(host)
        })?;
        Ok(Self { host: Arc::new(host) })
    }

    /// What the session is over, and what of it can be read.
    fn info<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let host = &*self.host;
        let info = work::run(py, Some(self.id()), || {
            host.load_all_symbols();
            Ok(Info::gather(host))
        })?;
        info::info(py, &info)
    }

    /// Verifier's level by name, and its statistics.
    fn settings<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let settings = self.view(py, |_, kernel| Ok(Settings::read(kernel)?))?;
        info::settings(py, &settings)
    }

    /// Configured drivers, their state and counters.
    fn drivers(&self, py: Python<'_>) -> PyResult<Table> {
        let view = self.view(py, |_, kernel| Ok(views::drivers(Drivers::read(kernel)?)?))?;
        Ok(view.into())
    }

    /// Outstanding pool allocations, of all drivers or of one.
    #[pyo3(signature = (driver=None))]
    fn pool(&self, py: Python<'_>, driver: Option<&str>) -> PyResult<Table> {
        let view = self.view(py, |host, kernel| {
            let report =
                PoolReport::read(kernel, |one| driver.is_none_or(|name| one.is_named(name)))?;
            if let Some(name) = driver
                && report.drivers.is_empty()
            {
                return Err(Failure::usage(format!(
                    "no driver {name} is configured for Verifier; drivers() has those that are"
                )));
            }
            host.load_symbols_at(report.callers());
            Ok(views::pool(report, kernel)?)
        })?;
        Ok(view.into())
    }

    /// A log of recent events, newest first: the `last` newest that concern `address`.
    #[pyo3(signature = (kind, *, last=None, address=None))]
    fn log(
        &self,
        py: Python<'_>,
        kind: &str,
        last: Option<usize>,
        address: Option<u64>,
    ) -> PyResult<Py<Log>> {
        if kind != "pool" {
            let text = format!("no log is called {kind:?}; known are: pool");
            return Err(Failure::usage(text).into());
        }
        let (view, log) = self.view(py, |host, kernel| {
            let mut log = PoolLog::read_about(kernel, last, address.map(Va))?;
            host.load_symbols_at(log.all_frames().iter().copied());
            let view = views::pool_log(&mut log, kernel)?;
            let log = Log {
                kind: "pool",
                capacity: log.ring.length,
                written: log.ring.index,
                unused: log.unused,
                empty_because: log.empty_because,
            };
            Ok((view, log))
        })?;
        Py::new(py, PyClassInitializer::from(Table::from(view)).add_subclass(log))
    }

    /// All that is known of one address.
    fn history<'py>(&self, py: Python<'py>, address: u64) -> PyResult<Bound<'py, PyAny>> {
        let (history, (outstanding, events)) = self.view(py, |host, kernel| {
            let history = History::read(kernel, Va(address))?;
            let frames = history.events.iter().flat_map(|event| event.frames.iter().copied());
            let callers = history.trackers.iter().map(|tracker| tracker.entry.allocation.caller);
            host.load_symbols_at(frames.chain(callers));
            let views = views::history(&history, kernel)?;
            Ok((history, views))
        })?;
        py.import("verifier_py._records")?.getattr("History")?.call1((
            history.address.0,
            Py::new(py, Table::from(outstanding))?,
            history.capacity,
            Py::new(py, Table::from(events))?,
            problems(py, &history.problems)?,
        ))
    }

    /// What the debugger prints for a command: `!verifier`, `lm`, `.bugcheck`.
    #[pyo3(signature = (command, *, style="modern"))]
    fn kd<'py>(&self, py: Python<'py>, command: &str, style: &str) -> PyResult<Bound<'py, PyAny>> {
        let style = match style {
            "modern" => Style::Modern,
            "win7" => Style::Win7,
            _ => {
                let text = format!("style {style:?} is neither \"modern\" nor \"win7\"");
                return Err(Failure::usage(text).into());
            }
        };
        let host = &*self.host;
        let (text, found) = work::run(py, Some(self.id()), || {
            let mut out = Vec::new();
            let found = run_kd_command(&mut out, host, command, style)
                .map_err(|error| Failure::from(error).explained(host))?;
            Ok((String::from_utf8_lossy(&out).into_owned(), found))
        })?;
        let class = py.import("verifier_py._records")?.getattr("Text")?;
        class.call1((text, problems(py, &found)?))
    }
}

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

/// Opens a crash dump.
#[pyfunction]
#[pyo3(signature = (path, symbols=None, *, mmap=true, progress=None))]
pub(crate) fn open(
    py: Python<'_>,
    path: PathBuf,
    symbols: Option<&Bound<'_, PyAny>>,
    mmap: bool,
    progress: Option<Py<PyAny>>,
) -> PyResult<Py<Dump>> {
    let symbols = Symbols::from_python(symbols)?;
    let mut options = options(progress);
    options.mode = if mmap { FileMode::Map } else { FileMode::Read };
    let host = work::run(py, None, || {
        let host = verifier_host::Session::open_with(&path, symbols.path, options)?;
        for bytes in symbols.kernel {
            host.supply_kernel_symbols(bytes)?;
        }
        Ok(host)
    })?;
    let session = Session { host: Arc::new(host) };
    Py::new(py, PyClassInitializer::from(session).add_subclass(Dump { path }))
}

/// Writes the sample dump and its symbols into a folder, and opens it.
#[pyfunction]
pub(crate) fn demo(py: Python<'_>, folder: PathBuf) -> PyResult<Py<Dump>> {
    let path = work::run(py, None, || Ok(write_sample(&folder)?))?;
    let symbols = folder.join("symbols").into_pyobject(py)?;
    open(py, path, Some(&symbols), true, None)
}
