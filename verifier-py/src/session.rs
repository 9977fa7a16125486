//! `Session`, a kernel in any memory, and `Dump`, a kernel in a file.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use pyo3::prelude::*;
use verifier_core::analysis::{Boot, LockGraph};
use verifier_core::kernel::{AddressSpace, Hints, Kernel, Landmarks};
use verifier_core::machine::Machine;
use verifier_core::render::text::Style;
use verifier_core::render::{DeadlockDocument, Names, write_deadlock_dot, write_deadlock_text};
use verifier_core::verifier::log::{EventKind, WatchedIrps};
use verifier_core::verifier::{Drivers, Modes, Settings};
use verifier_core::{Pa, Va};
use verifier_host::info::Info;
use verifier_host::kd::run_kd_command;
use verifier_host::report::write_report;
use verifier_host::{FileMode, SessionOptions, compare_boots, write_sample};

use crate::document::to_python;
use crate::errors::Failure;
use crate::leaks::{self, Diff, Leaks};
use crate::memory::CallbackMemory;
use crate::symbols::{CallbackProgress, Symbols};
use crate::table::{Log, Table, View, problems};
use crate::text::{self, Text};
use crate::{info, views, work};

/// A kernel to read Verifier's data from, in memory that a Python object reads.
///
/// `memory` has a method `read(address, size) -> bytes`; the bytes never cross a 4 KiB page. It is
/// physical memory where `dtb`, the directory table base of the kernel, is given, else virtual
/// memory. Bytes that are absent are told by raising any `Exception`. `stable` says that physical memory
/// stands still, as a file's does: where a page lies is then looked up once, not at every read.
#[pyclass(frozen, subclass, module = "verifier_py")]
pub(crate) struct Session {
    host: Arc<verifier_host::Session>,
}

impl Session {
    fn new_over(host: verifier_host::Session) -> Self {
        Self { host: Arc::new(host) }
    }

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

    /// Refuses to write over the dump or its symbols.
    fn check_output(&self, path: Option<&Path>) -> Result<(), Failure> {
        path.map_or(Ok(()), |path| Ok(self.host.check_output(path)?))
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
        stable=false,
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
        stable: bool,
        progress: Option<Py<PyAny>>,
    ) -> PyResult<Self> {
        let machine = self::machine(machine)?;
        let symbols = Symbols::from_python(symbols)?;
        let hints = Hints {
            build,
            ps_loaded_module_list: ps_loaded_module_list.map(Va),
            kd_debugger_data_block: kd_debugger_data_block.map(Va),
            ..Hints::default()
        };
        enum Source {
            Physical(Arc<dyn verifier_core::memory::Memory<Pa>>, Pa),
            Virtual(Arc<dyn verifier_core::memory::Memory<Va>>),
        }
        let source = match dtb {
            Some(base) => Source::Physical(CallbackMemory::over(memory)?, Pa(base)),
            None => Source::Virtual(CallbackMemory::over(memory)?),
        };
        let progress = Box::new(CallbackProgress::new(progress));
        let host = work::run(py, None, || {
            let space = match source {
                Source::Physical(memory, base) => {
                    AddressSpace::of_tables(memory, base, machine, pae, &Landmarks::from(&hints))
                }
                Source::Virtual(memory) => AddressSpace::new(memory, machine),
            };
            let space = if stable { space.cached() } else { space };
            let kernel = Arc::new(Kernel::open(space, hints)?);
            let host = verifier_host::Session::of_kernel_with(kernel, symbols.path, progress);
            for bytes in symbols.kernel {
                host.supply_kernel_symbols(bytes)?;
            }
            Ok(host)
        })?;
        Ok(Self::new_over(host))
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

    /// Verifier's level by name, its statistics and its modes.
    fn settings<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let (settings, modes) =
            self.view(py, |_, kernel| Ok((Settings::read(kernel)?, Modes::read(kernel))))?;
        info::settings(py, &settings, &modes)
    }

    /// Configured drivers, their state and counters.
    fn drivers(&self, py: Python<'_>) -> PyResult<Table> {
        let view = self.view(py, |_, kernel| Ok(views::drivers(Drivers::read(kernel)?)?))?;
        Ok(view.into())
    }

    /// Outstanding pool allocations, of all drivers or of one.
    #[pyo3(signature = (driver=None))]
    fn pool(&self, py: Python<'_>, driver: Option<&str>) -> PyResult<Table> {
        let view = self.view(py, |host, kernel| Ok(views::pool(host.pool(driver)?, kernel)?))?;
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
        let address = address.map(Va);
        let (view, log) = self.view(py, |host, kernel| {
            if kind == "pool" {
                let log = host.pool_log(last, address)?;
                let ring = Log::new("pool", &log.ring, log.wrapped, log.unused, log.empty_because);
                return Ok((views::pool_log(log, kernel)?, ring));
            }
            let kind =
                EventKind::ALL.into_iter().find(|one| one.name() == kind).ok_or_else(|| {
                    let known = log_kinds().join(", ");
                    Failure::usage(format!("no log is called {kind:?}; known are: {known}"))
                })?;
            let log = host.event_log(kind, last, address)?;
            let ring = Log::new(kind.name(), &log.ring, log.wrapped, log.unused, log.empty_because);
            Ok((views::event_log(log, kernel)?, ring))
        })?;
        Py::new(py, PyClassInitializer::from(Table::from(view)).add_subclass(log))
    }

    /// Contiguous memory that drivers hold, of all or of one.
    #[pyo3(signature = (driver=None))]
    fn contiguous(&self, py: Python<'_>, driver: Option<&str>) -> PyResult<Table> {
        let view =
            self.view(py, |host, kernel| Ok(views::contiguous(host.pool(driver)?, kernel)?))?;
        Ok(view.into())
    }

    /// The stacks that newer kernels keep with their blocks, the most live bytes first.
    #[pyo3(signature = (driver=None))]
    fn pool_stacks(&self, py: Python<'_>, driver: Option<&str>) -> PyResult<Table> {
        let view = self
            .view(py, |host, kernel| Ok(views::pool_stacks(host.pool_stacks(driver)?, kernel)?))?;
        Ok(view.into())
    }

    /// Canceled IRPs that are watched: the first `last`, of which `address` is the IRP.
    #[pyo3(signature = (*, last=None, address=None))]
    fn watched_irps(
        &self,
        py: Python<'_>,
        last: Option<usize>,
        address: Option<u64>,
    ) -> PyResult<Table> {
        let view = self.view(py, |_, kernel| {
            Ok(views::watched_irps(WatchedIrps::read(kernel, last, address.map(Va))?)?)
        })?;
        Ok(view.into())
    }

    /// All that is known of one address.
    fn history<'py>(&self, py: Python<'py>, address: u64) -> PyResult<Bound<'py, PyAny>> {
        let (history, views) = self.view(py, |host, kernel| {
            let history = host.history(Va(address))?;
            let views = views::history(&history, kernel)?;
            Ok((history, views))
        })?;
        let table = |view: View| Py::new(py, Table::from(view));
        py.import("verifier_py._records")?.getattr("History")?.call1((
            history.address.0,
            table(views.outstanding)?,
            history.reach.capacity,
            history.reach.records,
            table(views.events)?,
            table(views.lifetimes)?,
            table(views.freed_entries)?,
            table(views.neighbors)?,
            problems(py, &history.problems)?,
        ))
    }

    /// What deadlock detection keeps: locks, threads, the order in which locks were taken.
    fn deadlock<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let (deadlock, graph, texts) = self.view(py, |host, kernel| {
            let deadlock = host.deadlock()?;
            let (graph, names) = (LockGraph::of(&deadlock), Names::new(kernel));
            let (mut text, mut dot) = (Vec::new(), Vec::new());
            write_deadlock_text(&mut text, &deadlock, &graph, &names)
                .and_then(|()| write_deadlock_dot(&mut dot, &deadlock, &graph, &names))
                .map_err(verifier_host::Error::from)?;
            let texts = [text, dot].map(|text| Text::new("Text", text, &deadlock.problems));
            Ok((deadlock, graph, texts))
        })?;
        let names = Names::new(self.host.kernel().map_err(Failure::from)?);
        let document = DeadlockDocument { deadlock: &deadlock, graph: &graph, names: &names };
        let document = to_python(py, &document)?;
        document.set_item("problems", problems(py, &deadlock.problems)?)?;
        let [text, dot] = texts;
        let class = py.import("verifier_py._records")?.getattr("Deadlock")?;
        class.call1((document, text, dot))
    }

    /// Outstanding allocations joined with the pool log, in groups.
    #[pyo3(signature = (
        by="stack",
        *,
        driver=None,
        tag=None,
        min_size=None,
        max_size=None,
        pool_type=None,
        skip=None,
        top=None,
    ))]
    #[allow(clippy::too_many_arguments)]
    fn leaks(
        &self,
        py: Python<'_>,
        by: &str,
        driver: Option<String>,
        tag: Option<String>,
        min_size: Option<u64>,
        max_size: Option<u64>,
        pool_type: Option<&str>,
        skip: Option<&str>,
        top: Option<usize>,
    ) -> PyResult<Py<Leaks>> {
        let by = leaks::group_by(by)?;
        let filter = leaks::filter(driver, tag, min_size, max_size, pool_type, skip)?;
        let (view, leaks) = self.view(py, |host, kernel| {
            let found = host.leaks(filter, host.progress())?;
            Ok(Leaks::new(found, by, top, kernel)?)
        })?;
        Py::new(py, PyClassInitializer::from(Table::from(view)).add_subclass(leaks))
    }

    /// A flame graph of the outstanding allocations as SVG: returned, or written to `path`.
    #[pyo3(signature = (
        path=None,
        *,
        weight="bytes",
        driver=None,
        tag=None,
        min_size=None,
        max_size=None,
        pool_type=None,
        skip=None,
    ))]
    #[allow(clippy::too_many_arguments)]
    fn flamegraph(
        &self,
        py: Python<'_>,
        path: Option<PathBuf>,
        weight: &str,
        driver: Option<String>,
        tag: Option<String>,
        min_size: Option<u64>,
        max_size: Option<u64>,
        pool_type: Option<&str>,
        skip: Option<&str>,
    ) -> PyResult<Option<Text>> {
        let weight = leaks::weight(weight)?;
        let filter = leaks::filter(driver, tag, min_size, max_size, pool_type, skip)?;
        self.check_output(path.as_deref())?;
        let picture =
            self.view(py, |host, _| leaks::picture(&host.leaks(filter, host.progress())?, weight))?;
        text::to_path(py, picture, path)
    }

    /// All of it for a browser, as one HTML file that works offline: returned, or written to `path`.
    #[pyo3(signature = (
        path=None,
        *,
        driver=None,
        tag=None,
        min_size=None,
        max_size=None,
        pool_type=None,
        skip=None,
    ))]
    #[allow(clippy::too_many_arguments)]
    fn report(
        &self,
        py: Python<'_>,
        path: Option<PathBuf>,
        driver: Option<String>,
        tag: Option<String>,
        min_size: Option<u64>,
        max_size: Option<u64>,
        pool_type: Option<&str>,
        skip: Option<&str>,
    ) -> PyResult<Option<Text>> {
        let filter = leaks::filter(driver, tag, min_size, max_size, pool_type, skip)?;
        self.check_output(path.as_deref())?;
        let page = self.view(py, |host, _| {
            let mut page = Vec::new();
            let summary = write_report(&mut page, host, filter, host.progress())?;
            Ok(Text::new("Page", page, &summary.problems))
        })?;
        text::to_path(py, page, path)
    }

    /// What the debugger prints for a command: `!verifier`, `lm`, `.bugcheck`.
    #[pyo3(signature = (command, *, style="modern"))]
    fn kd(&self, py: Python<'_>, command: &str, style: &str) -> PyResult<Text> {
        let style = match style {
            "modern" => Style::Modern,
            "win7" => Style::Win7,
            _ => {
                let text = format!("style {style:?} is neither \"modern\" nor \"win7\"");
                return Err(Failure::usage(text).into());
            }
        };
        let host = &*self.host;
        work::run(py, Some(self.id()), || {
            let mut out = Vec::new();
            let problems = run_kd_command(&mut out, host, command, style)
                .map_err(|error| Failure::from(error).explained(host))?;
            Ok(Text::new("Text", out, &problems))
        })
    }
}

/// The names of all logs.
pub(crate) fn log_kinds() -> Vec<&'static str> {
    std::iter::once("pool").chain(EventKind::ALL.map(EventKind::name)).collect()
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
#[pyo3(signature = (path, symbols=None, *, mmap=true, raw=false, dtb=None, progress=None))]
pub(crate) fn open(
    py: Python<'_>,
    path: PathBuf,
    symbols: Option<&Bound<'_, PyAny>>,
    mmap: bool,
    raw: bool,
    dtb: Option<u64>,
    progress: Option<Py<PyAny>>,
) -> PyResult<Py<Dump>> {
    let symbols = Symbols::from_python(symbols)?;
    let mut options = SessionOptions::default();
    options.progress = Some(Box::new(CallbackProgress::new(progress)));
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

/// Writes the sample dump and its symbols into a folder, and opens it.
#[pyfunction]
pub(crate) fn demo(py: Python<'_>, folder: PathBuf) -> PyResult<Py<Dump>> {
    let path = work::run(py, None, || Ok(write_sample(&folder)?))?;
    let symbols = folder.join("symbols").into_pyobject(py)?;
    open(py, path, Some(&symbols), true, false, None, None)
}

/// What grew between two sessions.
#[pyfunction]
#[pyo3(signature = (
    old,
    new,
    by="stack",
    *,
    boot="auto",
    driver=None,
    tag=None,
    min_size=None,
    max_size=None,
    pool_type=None,
    skip=None,
    top=None,
))]
#[allow(clippy::too_many_arguments)]
pub(crate) fn diff(
    py: Python<'_>,
    old: &Bound<'_, Session>,
    new: &Bound<'_, Session>,
    by: &str,
    boot: &str,
    driver: Option<String>,
    tag: Option<String>,
    min_size: Option<u64>,
    max_size: Option<u64>,
    pool_type: Option<&str>,
    skip: Option<&str>,
    top: Option<usize>,
) -> PyResult<Py<Diff>> {
    let by = leaks::group_by(by)?;
    let filter = leaks::filter(driver, tag, min_size, max_size, pool_type, skip)?;
    let given = |is_same| Some(Boot { is_same, why: format!("boot={boot:?}") });
    let boot = match boot {
        "auto" => None,
        "same" => given(true),
        "other" => given(false),
        _ => {
            let text = format!("boot={boot:?} is none of \"auto\", \"same\", \"other\"");
            return Err(Failure::usage(text).into());
        }
    };
    let leaks = |session: &Session| {
        let filter = filter.clone();
        session.view(py, |host, _| Ok(host.leaks(filter, host.progress())?))
    };
    let (old, new) = (old.get(), new.get());
    let found = [leaks(old)?, leaks(new)?];
    let (view, diff) = new.view(py, |host, _| {
        let boot = match boot {
            Some(boot) => boot,
            None => compare_boots(&old.host, host)?,
        };
        let diff = found[1].since(&found[0], by, boot);
        Ok(Diff::new(diff, found, top)?)
    })?;
    Py::new(py, PyClassInitializer::from(Table::from(view)).add_subclass(diff))
}
