//! Documents: `info()`, `settings()`, `flags()`.

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use verifier_core::Va;
use verifier_core::render::to_snake_case;
use verifier_core::verifier::{FLAGS, Level, Settings};
use verifier_host::info::{FileInfo, Info, KernelInfo, ModuleInfo, SmallDumpInfo, VerifierInfo};

use crate::errors::Failure;
use crate::table::{Flags, Table, problems};
use crate::views;

/// What a level of `verifier /flags` means, or which level names make.
#[pyfunction]
#[pyo3(signature = (level=None, *, names=None))]
pub(crate) fn flags(
    py: Python<'_>,
    level: Option<u32>,
    names: Option<Vec<String>>,
) -> PyResult<Py<Flags>> {
    let names = names.unwrap_or_default();
    let named = Level::from_names(names.iter().map(String::as_str)).map_err(|name| {
        let known: Vec<&str> = FLAGS.iter().map(|flag| flag.name).collect();
        Failure::usage(format!("no flag is called {name:?}; known are: {}", known.join(", ")))
    })?;
    if level.is_none() && names.is_empty() {
        return Err(Failure::usage("flags() takes a level or names").into());
    }
    flag_table(py, Level(level.unwrap_or(0) | named.0))
}

fn flag_table(py: Python<'_>, level: Level) -> PyResult<Py<Flags>> {
    let table = Table::from(views::flags(level).map_err(Failure::from)?);
    let flags = Flags { level: level.0 };
    Py::new(py, PyClassInitializer::from(table).add_subclass(flags))
}

/// `Settings` of `_records.py`.
pub(crate) fn settings<'py>(py: Python<'py>, settings: &Settings) -> PyResult<Bound<'py, PyAny>> {
    let statistics = PyDict::new(py);
    for counter in &settings.statistics.0 {
        statistics.set_item(to_snake_case(&counter.name), counter.value)?;
    }
    py.import("verifier_py._records")?.getattr("Settings")?.call1((
        settings.level.0,
        flag_table(py, settings.level)?,
        statistics,
        settings.address.0,
        problems(py, &settings.problems)?,
    ))
}

/// `Info` of `_records.py`: names of the JSON contract, addresses as numbers.
pub(crate) fn info<'py>(py: Python<'py>, info: &Info) -> PyResult<Bound<'py, PyAny>> {
    let document = PyDict::new(py);
    if let Some(file) = &info.file {
        self::file(&document, file)?;
    }
    document.set_item("machine", &info.machine)?;
    document.set_item("build", info.build)?;
    document.set_item("paging", &info.paging)?;
    let tables = info.page_tables.as_ref().map(|tables| {
        let to = PyDict::new(py);
        to.set_item("base", tables.base.0)?;
        to.set_item("from", &tables.from)?;
        PyResult::Ok(to)
    });
    document.set_item("page_tables", tables.transpose()?)?;
    let small = info.small_dump.as_ref().map(|small| small_dump(py, small)).transpose()?;
    document.set_item("small_dump", small)?;
    document.set_item("kernel", info.kernel.as_ref().map(|k| kernel(py, k)).transpose()?)?;
    document.set_item("verifier", info.verifier.as_ref().map(|v| verifier(py, v)).transpose()?)?;
    document.set_item("problems", problems(py, &info.problems)?)?;
    py.import("verifier_py._records")?.getattr("Info")?.call1((document,))
}

fn number(va: Option<Va>) -> Option<u64> {
    va.map(|va| va.0)
}

fn file(to: &Bound<'_, PyDict>, file: &FileInfo) -> PyResult<()> {
    to.set_item("path", file.path.as_os_str())?;
    to.set_item("file_size", file.file_size)?;
    to.set_item("kind_name", &file.kind_name)?;
    to.set_item("pages", file.pages)?;
    let Some(file) = &file.header else { return Ok(()) };
    to.set_item("kind", file.kind)?;
    to.set_item("free_build", file.free_build)?;
    to.set_item("processors", file.processors)?;
    to.set_item("directory_table_base", file.directory_table_base.0)?;
    to.set_item("ps_loaded_module_list", number(file.ps_loaded_module_list))?;
    to.set_item("kd_debugger_data_block", number(file.kd_debugger_data_block))?;
    to.set_item("missing_at_end", file.missing_at_end)?;
    to.set_item("system_time", &file.system_time)?;
    to.set_item("up_time_seconds", file.up_time_seconds)?;
    to.set_item("comment", &file.comment)?;
    let bug_check = PyDict::new(to.py());
    bug_check.set_item("code", file.bug_check.code)?;
    bug_check.set_item("parameters", file.bug_check.parameters.map(|va| va.0))?;
    to.set_item("bug_check", bug_check)
}

fn small_dump<'py>(py: Python<'py>, small: &SmallDumpInfo) -> PyResult<Bound<'py, PyDict>> {
    let to = PyDict::new(py);
    to.set_item("blocks", small.blocks)?;
    to.set_item("bytes", small.bytes)?;
    to.set_item("is_complete", small.is_complete)?;
    to.set_item("call_stack", number(small.call_stack))?;
    to.set_item("call_stack_bytes", small.call_stack_bytes)?;
    to.set_item("remark", small.remark)?;
    Ok(to)
}

fn kernel<'py>(py: Python<'py>, kernel: &KernelInfo) -> PyResult<Bound<'py, PyDict>> {
    let to = PyDict::new(py);
    to.set_item("base", kernel.base.0)?;
    to.set_item("build_lab", &kernel.build_lab)?;
    to.set_item("debugger_data", &kernel.debugger_data)?;
    to.set_item("types", &kernel.types)?;
    to.set_item("modules_from", &kernel.modules_from)?;
    let modules = kernel.modules.iter().map(|module| self::module(py, module));
    to.set_item("modules", PyList::new(py, modules.collect::<PyResult<Vec<_>>>()?)?)?;
    let unloaded = PyList::empty(py);
    for module in &kernel.unloaded_modules {
        let one = PyDict::new(py);
        one.set_item("name", &module.name)?;
        one.set_item("start", module.start.0)?;
        one.set_item("end", module.end.0)?;
        unloaded.append(one)?;
    }
    to.set_item("unloaded_modules", unloaded)?;
    Ok(to)
}

fn module<'py>(py: Python<'py>, module: &ModuleInfo) -> PyResult<Bound<'py, PyDict>> {
    let to = PyDict::new(py);
    to.set_item("name", &module.name)?;
    to.set_item("base", module.base.0)?;
    to.set_item("size", module.size)?;
    to.set_item("time_date_stamp", module.time_date_stamp)?;
    to.set_item("check_sum", module.check_sum)?;
    let pdb = module.pdb.as_ref().map(|pdb| {
        let to = PyDict::new(py);
        to.set_item("name", &pdb.name)?;
        to.set_item("guid", &pdb.guid)?;
        to.set_item("age", pdb.age)?;
        PyResult::Ok(to)
    });
    to.set_item("pdb", pdb.transpose()?)?;
    to.set_item("symbols", &module.symbols)?;
    to.set_item("symbol_count", module.symbol_count)?;
    to.set_item("missing", &module.missing)?;
    Ok(to)
}

fn verifier<'py>(py: Python<'py>, verifier: &VerifierInfo) -> PyResult<Bound<'py, PyDict>> {
    let to = PyDict::new(py);
    to.set_item("level", verifier.level)?;
    to.set_item("drivers", verifier.drivers)?;
    to.set_item("verified_images", verifier.verified_images)?;
    to.set_item("pool_log_capacity", verifier.pool_log_capacity)?;
    to.set_item("pool_log_written", verifier.pool_log_written)?;
    to.set_item("pool_log_empty_because", verifier.pool_log_empty_because)?;
    let globals = PyList::empty(py);
    for global in &verifier.globals {
        let one = PyDict::new(py);
        one.set_item("name", global.name)?;
        one.set_item("address", number(global.address))?;
        one.set_item("from", &global.from)?;
        globals.append(one)?;
    }
    to.set_item("globals", globals)?;
    Ok(to)
}
