//! `Session`, a kernel in any memory: the class with the views.

use std::sync::Arc;

use pyo3::prelude::*;
use verifier_core::kernel::{Hints, Kernel, Landmarks};
use verifier_core::render::PoolInfoDocument;
use verifier_core::render::text::Style;
use verifier_core::{Completeness, Pa, Problem, Va};
use verifier_host::OutputKind;
use verifier_host::kd::run_kd_command;
use verifier_host::report::write_report;

use crate::answer::problems;
use crate::document::Value;
use crate::errors::Failure;
use crate::facts::{PoolFacts, StackFacts};
use crate::leaks::{self, Leaks};
use crate::memory::CallbackMemory;
use crate::source::{self, Source};
use crate::symbols::{CallbackProgress, Symbols};
use crate::table::{Described, Table, View};
use crate::text::{self, Text};
use crate::work::staged;
use crate::{carve, deadlock, info, logs, views, work};

/// A kernel to read Verifier's data from, in memory that a Python object reads.
///
/// memory: an object with a method `read(address, size) -> bytes`; the bytes never cross a 4 KiB page.
///     For absent bytes the method raises any `Exception`.
/// symbols: as in `open`.
/// dtb: the directory table base of the kernel. With it the memory is physical, without it virtual.
/// machine: `x86`, `x64` or `arm64`.
/// pae: whether an x86 kernel uses PAE page tables, if that is known.
/// build: the build number, if it is known.
/// ps_loaded_module_list, kd_debugger_data_block: the addresses of these globals; one of them is enough to
///     find the modules.
/// kernel_base: the address of the kernel's image; its exports or symbols then lead to the modules. If you
///     give none of the three, physical memory is searched for the kernel.
/// stable: whether physical memory does not change, like that of a file; each page is then translated once,
///     not at every read.
/// progress: as in `open`.
///
/// Raises `FaultError` if the list of modules cannot be read, `UsageError` if its address is unknown.
#[pyclass(frozen, subclass, module = "verifier_py")]
pub(crate) struct Session {
    host: Arc<verifier_host::Session>,
}

impl Session {
    pub(crate) fn new_over(host: verifier_host::Session) -> Self {
        Self { host: Arc::new(host) }
    }

    pub(crate) fn host(&self) -> &verifier_host::Session {
        &self.host
    }

    /// Runs a view without the GIL.
    pub(crate) fn view<T: Send>(
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

    /// Refuses to overwrite the dump or its symbols, and without `force` any other file that is not an
    /// output of that kind.
    fn check_output(
        &self,
        path: Option<&text::Path>,
        kind: OutputKind,
        force: bool,
    ) -> Result<(), Failure> {
        path.map_or(Ok(()), |text::Path(path)| Ok(self.host.check_output(path, kind, force)?))
    }

    fn id(&self) -> usize {
        Arc::as_ptr(&self.host) as usize
    }
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
        kernel_base=None,
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
        kernel_base: Option<u64>,
        stable: bool,
        progress: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let machine = source::machine(machine)?;
        let symbols = Symbols::from_python(symbols)?;
        let mut hints = Hints {
            build,
            ps_loaded_module_list: ps_loaded_module_list.map(Va),
            kd_debugger_data_block: kd_debugger_data_block.map(Va),
            kernel_base: kernel_base.map(Va),
            ..Hints::default()
        };
        let source = match dtb {
            Some(base) => Source::Physical(CallbackMemory::over(memory)?, Pa(base)),
            None => Source::Virtual(CallbackMemory::over(memory)?),
        };
        let progress = Box::new(CallbackProgress::new(progress)?);
        let host = work::run(py, None, || {
            let told =
                [hints.ps_loaded_module_list, hints.kd_debugger_data_block, hints.kernel_base];
            let space = if told.iter().all(Option::is_none) {
                let found = source.search(machine)?;
                hints.kernel_base = found.hints.kernel_base;
                hints.is_uncertain = found.hints.is_uncertain;
                found.space
            } else {
                source.space(machine, pae, &Landmarks::from(&hints))
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

    /// The memory of the session and the parts that can be read: header, bug check, modules and their
    /// symbols, Verifier's globals. Symbols of all modules are searched for.
    fn info<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let host = &*self.host;
        let (path, document, problems) = work::run(py, Some(self.id()), || {
            let info = host.info();
            let path = info.file.as_ref().map(|file| file.path.clone());
            Ok((path, Value::of(&info)?, info.problems))
        })?;
        info::info(py, path, document, &problems)
    }

    /// Verifier's level by name, its statistics and its modes.
    fn settings<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let (settings, modes, problems) = self.view(py, |host, _| {
            let (settings, modes) = host.settings()?;
            let problems: Vec<Problem> =
                settings.problems.iter().chain(&modes.problems).cloned().collect();
            Ok((settings, modes, problems))
        })?;
        info::settings(py, &settings, &modes, &problems)
    }

    /// Configured drivers, their state and counters.
    fn drivers(&self, py: Python<'_>) -> PyResult<Table> {
        let view = self.view(py, |host, kernel| Ok(views::drivers(host.drivers()?, kernel)?))?;
        Ok(view.into())
    }

    /// Outstanding pool allocations.
    ///
    /// driver: only this driver, by its file name with or without extension.
    /// carve: find allocations in all of the file's memory by their shape, without lists and symbols, and
    ///     compare them with the lists.
    /// range: carve only this range: two virtual addresses, the second after the end.
    #[pyo3(signature = (driver=None, *, carve=false, range=None))]
    fn pool<'py>(
        &self,
        py: Python<'py>,
        driver: Option<&str>,
        carve: bool,
        range: Option<(u64, u64)>,
    ) -> PyResult<Bound<'py, PyAny>> {
        if carve || range.is_some() {
            let range = carve::range(range)?;
            let carved = self
                .view(py, |host, kernel| carve::Pool::read(host, kernel, range.as_ref(), driver))?;
            return carved.into_pyobject(py);
        }
        let table = self.view(py, |host, kernel| {
            let report = host.pool(driver)?;
            let facts = PoolFacts { pool_info: PoolInfoDocument(&report.pool_info) };
            Ok(Described::new(views::pool(&report, kernel)?, "Pool", &facts)?)
        })?;
        table.into_pyobject(py)
    }

    /// A log of recent events, newest first.
    ///
    /// kind: one of `LOGS`, or `watched`, which returns the same as `watched_irps`.
    /// last: only this number of the newest events; default: all.
    /// address: only events of this address: a block that contains it, an IRP, a thread.
    /// carve, range: as in `pool`, only for the pool log; the order of the records is unknown.
    #[pyo3(signature = (kind, *, last=None, address=None, carve=false, range=None))]
    #[allow(clippy::too_many_arguments)]
    fn log<'py>(
        &self,
        py: Python<'py>,
        kind: &str,
        last: Option<usize>,
        address: Option<u64>,
        carve: bool,
        range: Option<(u64, u64)>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let address = address.map(Va);
        if carve || range.is_some() {
            if kind != "pool" || last.is_some() {
                let text = "only the pool log can be carved, and all of it: its order is unknown";
                return Err(Failure::usage(text).into());
            }
            let range = carve::range(range)?;
            let carved =
                self.view(py, |host, kernel| carve::log(host, kernel, range.as_ref(), address))?;
            return carved.into_pyobject(py);
        }
        let log = self.view(py, |host, kernel| logs::read(host, kernel, kind, last, address))?;
        log.into_pyobject(py)
    }

    /// Contiguous memory that drivers hold: all drivers, or only the one that `driver` names.
    #[pyo3(signature = (driver=None))]
    fn contiguous(&self, py: Python<'_>, driver: Option<&str>) -> PyResult<Table> {
        let view = self.view(py, |host, kernel| {
            let report = host.pool(driver)?;
            Ok(views::contiguous(&report, kernel)?)
        })?;
        Ok(view.into())
    }

    /// The stacks that newer kernels keep with blocks, those with the most live bytes first: all drivers, or
    /// only the one that `driver` names.
    #[pyo3(signature = (driver=None))]
    fn pool_stacks<'py>(
        &self,
        py: Python<'py>,
        driver: Option<&str>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let table = self.view(py, |host, kernel| {
            let stacks = host.pool_stacks(driver)?;
            let info = &stacks.info;
            let facts = StackFacts { source: "pool info tree", pool_info: PoolInfoDocument(info) };
            let view = views::pool_stacks(&stacks, kernel)?.empty_because(info.empty_because);
            Ok(Described::new(view, "PoolStacks", &facts)?)
        })?;
        table.into_pyobject(py)
    }

    /// Canceled IRPs that are watched, in the order of their list.
    ///
    /// last: only this number of entries, from the first; default: all.
    /// address: only this IRP.
    #[pyo3(signature = (*, last=None, address=None))]
    fn watched_irps<'py>(
        &self,
        py: Python<'py>,
        last: Option<usize>,
        address: Option<u64>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let address = address.map(Va);
        let table = self.view(py, |host, _| logs::watched(host, last, address))?;
        table.into_pyobject(py)
    }

    /// The history of one address: outstanding allocations and records of the pool log that contain it, their
    /// lifetimes, and the blocks around it.
    fn history<'py>(&self, py: Python<'py>, address: u64) -> PyResult<Bound<'py, PyAny>> {
        let (history, views) = self.view(py, |host, kernel| {
            let history = staged(host, "reading the pool log", || host.history(Va(address)))?;
            let views = views::history(&history, kernel)?;
            Ok((history, views))
        })?;
        let table = |view: View| Py::new(py, Table::from(view));
        py.import("verifier_py._documents")?.getattr("History")?.call1((
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

    /// The data of deadlock detection: locks, threads, the order in which locks were taken.
    fn deadlock<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.view(py, deadlock::read)?.into_pyobject(py)
    }

    /// Outstanding allocations joined with the pool log, in groups, the most bytes first.
    ///
    /// by: how they are grouped: `stack`, `frame` (the first of the driver), `function`, `caller`,
    ///     `tag`, `driver` or `size`.
    /// driver: only this driver, by its file name with or without extension.
    /// tag: only this pool tag; `?` is any character, `*` any number of characters.
    /// min_size, max_size: only blocks of at least, or at most, this number of bytes.
    /// pool_type: only `paged` or `nonpaged` pool.
    /// skip: a regular expression for names of wrapper functions: matching frames at the front of a stack are
    ///     dropped, with the kernel's frames before them.
    /// ignore: patterns of leaks to leave out: `leaky.sys` is a driver, `leaky!Open*` a function, `tag:Leak` a
    ///     pool tag; `?` and `*` as in `tag`.
    /// baseline: a file of known leaks, which `Leaks.write_baseline` wrote; groups with new blocks come first.
    /// top: the number of groups; default: all.
    #[pyo3(signature = (
        by="stack",
        *,
        driver=None,
        tag=None,
        min_size=None,
        max_size=None,
        pool_type=None,
        skip=None,
        ignore=None,
        baseline=None,
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
        ignore: Option<Vec<String>>,
        baseline: Option<text::Path>,
        top: Option<usize>,
    ) -> PyResult<Py<Leaks>> {
        let by = leaks::group_by(by)?;
        let filter = leaks::filter(driver, tag, min_size, max_size, pool_type, skip, ignore)?;
        let (view, leaks) = self.view(py, |host, kernel| {
            let found = leaks::find_known(host, filter, baseline)?;
            Ok(Leaks::new(found, by, top, kernel)?)
        })?;
        Py::new(py, PyClassInitializer::from(Table::from(view)).add_subclass(leaks))
    }

    /// A flame graph of the outstanding allocations as SVG.
    ///
    /// path: a file to write it to; the problems are then returned in place of the picture.
    /// weight: the unit of the widths: `bytes` or `count`.
    /// driver, tag, min_size, max_size, pool_type, skip, ignore: as in `leaks`.
    /// inverted: merge the stacks from the frames that allocated.
    /// force: replace the file even if it is not a flame graph that verifier wrote.
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
        ignore=None,
        inverted=false,
        force=false,
    ))]
    #[allow(clippy::too_many_arguments)]
    fn flamegraph<'py>(
        &self,
        py: Python<'py>,
        path: Option<text::Path>,
        weight: &str,
        driver: Option<String>,
        tag: Option<String>,
        min_size: Option<u64>,
        max_size: Option<u64>,
        pool_type: Option<&str>,
        skip: Option<&str>,
        ignore: Option<Vec<String>>,
        inverted: bool,
        force: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        let weight = leaks::weight(weight)?;
        let filter = leaks::filter(driver, tag, min_size, max_size, pool_type, skip, ignore)?;
        self.check_output(path.as_ref(), OutputKind::FlameGraph, force)?;
        let picture =
            self.view(py, |host, _| leaks::picture(&leaks::find(host, filter)?, weight, inverted))?;
        text::to_path(py, picture, path)
    }

    /// All views for a browser, as one HTML file that works offline.
    ///
    /// path: a file to write it to; the problems are then returned in place of the page.
    /// driver, tag, min_size, max_size, pool_type, skip, ignore: as in `leaks`.
    /// force: replace the file even if it is not a report that verifier wrote.
    #[pyo3(signature = (
        path=None,
        *,
        driver=None,
        tag=None,
        min_size=None,
        max_size=None,
        pool_type=None,
        skip=None,
        ignore=None,
        force=false,
    ))]
    #[allow(clippy::too_many_arguments)]
    fn report<'py>(
        &self,
        py: Python<'py>,
        path: Option<text::Path>,
        driver: Option<String>,
        tag: Option<String>,
        min_size: Option<u64>,
        max_size: Option<u64>,
        pool_type: Option<&str>,
        skip: Option<&str>,
        ignore: Option<Vec<String>>,
        force: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        let filter = leaks::filter(driver, tag, min_size, max_size, pool_type, skip, ignore)?;
        self.check_output(path.as_ref(), OutputKind::Report, force)?;
        let page = self.view(py, |host, _| {
            let mut answer = Completeness::default();
            let page = Text::write("Page", |out| {
                let summary = write_report(out, host, filter, host.progress())?;
                answer = Completeness::of(&summary.problems);
                answer.extent = answer.extent.max(summary.extent);
                Ok(summary.problems)
            })?;
            Ok(page.part_of(answer))
        })?;
        text::to_path(py, page, path)
    }

    /// The text that the debugger prints for a command: `!verifier`, `!deadlock`, `lm`, `.bugcheck`.
    ///
    /// command: the command as typed in the debugger; numbers are hexadecimal.
    /// style: `modern`, or `win7` for the older debugger's text.
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
            Text::write("Text", |out| {
                let problems = staged(host, command, || run_kd_command(out, host, command, style));
                Ok(problems?)
            })
            .map_err(|failure| failure.explained(host))
        })
    }
}
