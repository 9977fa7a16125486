//! What a dump is and what can be read from it: the values behind `verifier info`.

use std::path::PathBuf;

use serde::Serialize;
use verifier_core::addr::PAGE_SIZE;
use verifier_core::dump::{BugCheck, Dump, Header, MemoryFile, TRIAGE_HOLDS};
use verifier_core::kernel::Kernel;
use verifier_core::verifier::log::PoolLog;
use verifier_core::verifier::{Drivers, Settings, UnloadLeak, explain_bug_check};
use verifier_core::{Pa, Problem, Va};

use crate::error::Error;
use crate::session::Session;

/// What a session is over, and what of it can be read.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Info {
    /// The dump file; `None` for a session over other memory.
    #[serde(flatten)]
    pub file: Option<FileInfo>,
    /// "x86", "x64", "arm64", or the number of one that is not known.
    pub machine: String,
    /// The build number, where anything tells it.
    pub build: Option<u32>,
    /// How addresses are translated, where the session does it.
    pub paging: Option<String>,
    /// The page tables that serve, where the file is physical memory.
    pub page_tables: Option<PageTablesInfo>,
    /// What a small dump holds instead of pages.
    pub small_dump: Option<SmallDumpInfo>,
    /// The kernel; `None` where it could not be found.
    pub kernel: Option<KernelInfo>,
    /// What Verifier data there is; `None` where there is no kernel.
    pub verifier: Option<VerifierInfo>,
    /// The blocks that a driver held when it was unloaded, where the bug check is about that.
    pub unload_leak: Option<UnloadLeakInfo>,
    /// What could not be read or does not fit.
    pub problems: Vec<Problem>,
}

/// The page tables that serve.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct PageTablesInfo {
    /// The directory table base.
    #[serde(serialize_with = "as_address")]
    pub base: Pa,
    /// Where it is from: "the dump's header", "given", "CR3 of processor 0", …
    pub from: String,
}

/// What a small dump holds.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct SmallDumpInfo {
    /// Blocks of virtual memory, neighbors counted once.
    pub blocks: usize,
    /// Bytes in them.
    pub bytes: u64,
    /// False where the writer did not come to its end.
    pub is_complete: bool,
    /// Lowest address of the crashed thread's stack that is there.
    pub call_stack: Option<Va>,
    /// Bytes of that stack.
    pub call_stack_bytes: Option<u32>,
    /// What such a dump never holds.
    pub remark: &'static str,
}

/// A file of memory.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct FileInfo {
    /// The file.
    #[serde(serialize_with = "as_text")]
    pub path: PathBuf,
    /// Its length in bytes.
    pub file_size: u64,
    /// Its kind in words.
    pub kind_name: String,
    /// Pages of physical memory in the file.
    pub pages: Option<u64>,
    /// What its header says; `None` for a file that is no crash dump.
    #[serde(flatten)]
    pub header: Option<HeaderInfo>,
}

/// What the header of a crash dump says.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct HeaderInfo {
    /// `DumpType`.
    pub kind: u32,
    /// False for a checked build of Windows.
    pub free_build: bool,
    /// `NumberProcessors`.
    pub processors: Option<u32>,
    /// `DirectoryTableBase`.
    #[serde(serialize_with = "as_address")]
    pub directory_table_base: Pa,
    /// `PsLoadedModuleList`.
    pub ps_loaded_module_list: Option<Va>,
    /// `KdDebuggerDataBlock`.
    pub kd_debugger_data_block: Option<Va>,
    /// Bytes that are missing at the end of the file.
    pub missing_at_end: Option<u64>,
    /// When it was written, in UTC.
    pub system_time: Option<String>,
    /// How long Windows had run.
    pub up_time_seconds: Option<u64>,
    /// `Comment`.
    pub comment: Option<String>,
    /// The bug check.
    pub bug_check: BugCheckInfo,
}

/// A bug check.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct BugCheckInfo {
    /// Its code.
    pub code: u32,
    /// Its parameters.
    pub parameters: [Va; 4],
    /// Its name, where it is one of Verifier's.
    pub name: Option<&'static str>,
    /// What it says, likewise.
    pub meaning: Option<String>,
    /// What its parameters are, likewise.
    pub parameter_names: Option<[&'static str; 4]>,
    /// The driver that it names, where it does and the name can be read.
    pub driver: Option<String>,
}

impl BugCheckInfo {
    fn new(bug_check: &BugCheck, kernel: Option<&Kernel>) -> Self {
        let said = explain_bug_check(bug_check);
        Self {
            code: bug_check.code,
            parameters: bug_check.parameters.map(Va),
            name: said.as_ref().map(|said| said.name),
            parameter_names: said.as_ref().map(|said| said.parameters),
            meaning: said.map(|said| said.meaning),
            driver: kernel.and_then(UnloadLeak::driver_name),
        }
    }
}

/// The blocks that a driver held when it was unloaded.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct UnloadLeakInfo {
    /// The driver.
    pub driver: String,
    /// Its `_VF_TARGET_VERIFIED_DRIVER_DATA`.
    pub verified_data: Va,
    /// How many blocks the bug check says.
    pub counted: u64,
    /// Those that could be read.
    pub allocations: Vec<LeakedBlock>,
}

/// A block that was not freed.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct LeakedBlock {
    /// Where it is.
    pub address: Va,
    /// Its size as Verifier keeps it.
    pub size: u64,
    /// Its pool tag.
    pub tag: String,
    /// Where it was asked for.
    pub caller: Va,
    /// The name of that address.
    pub caller_symbol: Option<String>,
}

impl UnloadLeakInfo {
    fn new(kernel: &Kernel, leak: &UnloadLeak) -> Self {
        let allocations = leak.allocations.iter().map(|block| LeakedBlock {
            address: block.address,
            size: block.size,
            tag: block.tag.to_string(),
            caller: block.caller,
            caller_symbol: kernel.symbolize(block.caller).map(|name| name.to_string()),
        });
        Self {
            driver: leak.driver.clone(),
            verified_data: leak.verified_data,
            counted: leak.counted,
            allocations: allocations.collect(),
        }
    }
}

/// The debugger data block, which leads to much else.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct DebuggerDataInfo {
    /// Where it lies; `None` where it cannot be read.
    pub address: Option<Va>,
    /// What is unusual about it, or why it cannot be read.
    pub remark: Option<String>,
}

/// A kernel and its images.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct KernelInfo {
    /// Where it is loaded.
    pub base: Va,
    /// `NtBuildLab`.
    pub build_lab: Option<String>,
    /// The debugger data block.
    pub debugger_data: DebuggerDataInfo,
    /// What its types are from; `None` where its symbols are missing.
    pub types: Option<String>,
    /// Where the images are told.
    pub modules_from: String,
    /// Loaded images, in load order.
    pub modules: Vec<ModuleInfo>,
    /// Unloaded images, the last one first.
    pub unloaded_modules: Vec<UnloadedInfo>,
}

/// A loaded image.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct ModuleInfo {
    /// File name.
    pub name: String,
    /// Where it is loaded.
    pub base: Va,
    /// `SizeOfImage`.
    pub size: u32,
    /// `TimeDateStamp`, where its headers or a small dump's driver list tell.
    pub time_date_stamp: Option<u32>,
    /// `CheckSum`, where a small dump's driver list tells it.
    pub check_sum: Option<u32>,
    /// Which PDB belongs to it, where its headers tell.
    pub pdb: Option<PdbInfo>,
    /// Where its names are from.
    pub symbols: Option<String>,
    /// How many names there are.
    pub symbol_count: usize,
    /// Which file would help and where it was looked for, where symbols are missing.
    pub missing: Option<String>,
}

/// The identity of a PDB.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct PdbInfo {
    /// File name.
    pub name: String,
    /// GUID, 32 hexadecimal digits.
    pub guid: String,
    /// Age.
    pub age: u32,
}

/// An image that is no longer loaded.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct UnloadedInfo {
    /// File name.
    pub name: String,
    /// Where it was.
    pub start: Va,
    /// The first address behind it.
    pub end: Va,
}

/// What Verifier data there is.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct VerifierInfo {
    /// `Level`.
    pub level: Option<u32>,
    /// Configured drivers.
    pub drivers: Option<usize>,
    /// Images that are verified.
    pub verified_images: Option<usize>,
    /// Records that the pool log has room for.
    pub pool_log_capacity: Option<u32>,
    /// Records written so far, modulo 2^32.
    pub pool_log_written: Option<u32>,
    /// Why the pool log is empty, where it is so by design.
    pub pool_log_empty_because: Option<&'static str>,
    /// Verifier's globals and where each was found.
    pub globals: Vec<GlobalInfo>,
}

/// One of Verifier's globals.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct GlobalInfo {
    /// Its name.
    pub name: &'static str,
    /// Its address; `None` where it was not found.
    pub address: Option<Va>,
    /// What told the address, or why nothing did.
    pub from: String,
}

/// Verifier's globals that views begin with.
const GLOBALS: [&str; 13] = [
    "MmVerifierData",
    "VfSuspectDriversList",
    "ViTargetDriversAvl",
    "VfPoolTraces",
    "ViPoolInfoAvl",
    "ViPoolStackInfoAvl",
    "ViTrackIrqlQueue",
    "ViFaultTraces",
    "VfKeCriticalRegionTraces",
    "IovIrpTraces",
    "VfForcedPendingLog",
    "VfWdIrpListHead",
    "ViDeadlockGlobals",
];

fn globals(kernel: &Kernel) -> Vec<GlobalInfo> {
    let find = |name| match (kernel.global(name), kernel.debugger_data()) {
        (Ok(at), _) => (Some(at), kernel.origin_of_global(name)),
        (Err(_), Ok(data)) if name == "MmVerifierData" && !data.mm_verifier_data.is_null() => {
            (Some(data.mm_verifier_data), "debugger data".into())
        }
        (Err(verifier_core::Error::NotInSmallDump { .. }), _) => {
            (None, "not held by a small dump".into())
        }
        (Err(verifier_core::Error::NoKernelSymbols { .. }), _) => {
            (None, "no symbols for the kernel".into())
        }
        (Err(_), _) => (None, kernel.origin_of_global(name)),
    };
    let info = |name| {
        let (address, from) = find(name);
        GlobalInfo { name, address, from }
    };
    GLOBALS.into_iter().map(info).collect()
}

fn as_text<S: serde::Serializer>(path: &std::path::Path, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(&path.display())
}

fn as_address<S: serde::Serializer>(address: &Pa, to: S) -> Result<S::Ok, S::Error> {
    Va(address.0).serialize(to)
}

impl Info {
    /// Gathers what can be read. Symbols are not searched for: call
    /// [`Session::load_all_symbols`] before, to be told of all.
    #[must_use]
    pub fn gather(session: &Session) -> Self {
        let mut problems = Vec::new();
        let mut note = |what: &str, error: &Error| {
            let problem = match error {
                Error::Core(error) => Problem::from_error(what, error),
                other => Problem { what: what.into(), address: None, why: other.to_string() },
            };
            problems.push(problem);
        };
        let kernel = match session.kernel() {
            Ok(kernel) => Some(kernel),
            Err(error) => {
                note("kernel", &error);
                None
            }
        };
        let verifier = kernel.map(|kernel| {
            let mut part = |what: &str, error: verifier_core::Error| note(what, &error.into());
            let settings = Settings::read(kernel).map_err(|error| part("settings", error)).ok();
            // Without the kernel's symbols each view would say the same, and so over a small dump.
            let has_types = kernel.types().is_ok() && !kernel.space().is_blocks();
            let drivers = has_types
                .then(|| Drivers::read(kernel).map_err(|error| part("drivers", error)).ok())
                .flatten();
            let log = has_types
                .then(|| {
                    PoolLog::read(kernel, Some(0)).map_err(|error| part("pool log", error)).ok()
                })
                .flatten();
            VerifierInfo {
                level: settings.map(|settings| settings.level.0),
                drivers: drivers.as_ref().map(|drivers| drivers.drivers.len()),
                verified_images: drivers
                    .as_ref()
                    .map(|drivers| drivers.drivers.iter().map(|driver| driver.images.len()).sum()),
                pool_log_capacity: log.as_ref().map(|log| log.ring.length),
                pool_log_written: log.as_ref().map(|log| log.ring.index),
                pool_log_empty_because: log.and_then(|log| log.empty_because),
                globals: globals(kernel),
            }
        });
        let mut unload_leak = None;
        if let Some(kernel) = kernel.filter(|kernel| kernel.types().is_ok()) {
            match UnloadLeak::read(kernel) {
                Ok(leak) => {
                    unload_leak = leak.as_ref().map(|leak| UnloadLeakInfo::new(kernel, leak));
                    problems.extend(leak.into_iter().flat_map(|leak| leak.problems));
                }
                Err(error) => problems.push(Problem::from_error("blocks of the driver", &error)),
            }
        }
        if let Some(kernel) = kernel {
            problems.extend(kernel.problems().iter().cloned());
        }
        let header = session.dump().map(Dump::header);
        let space = kernel.map(|kernel| kernel.space());
        let machine = header.map(|header| (header.machine(), header.machine_image_type));
        Self {
            file: session
                .memory_file()
                .map(|file| FileInfo::gather(session, file, kernel.map(|kernel| &**kernel))),
            machine: match (space, machine) {
                (Some(space), _) => space.machine().to_string(),
                (None, Some((Some(machine), _))) => machine.to_string(),
                (None, Some((None, raw))) => format!("{raw:#x}"),
                (None, None) => "unknown".into(),
            },
            build: header
                .map(|header| header.build)
                .or_else(|| Some(kernel?.build()))
                .filter(|&build| build != 0),
            paging: space.and_then(|space| space.paging()).map(|mode| mode.to_string()),
            page_tables: session
                .tables()
                .map(|tables| PageTablesInfo { base: tables.base, from: tables.from.clone() }),
            small_dump: session.dump().and_then(SmallDumpInfo::gather),
            kernel: kernel.map(|kernel| KernelInfo::gather(kernel, session, header)),
            verifier,
            unload_leak,
            problems,
        }
    }
}

impl FileInfo {
    fn gather(session: &Session, file: &MemoryFile, kernel: Option<&Kernel>) -> Self {
        let pages = match file {
            MemoryFile::Dump(dump) => {
                dump.physical().ok().map(|physical| physical.map().page_count())
            }
            MemoryFile::Elf(core) => Some(core.memory.bytes() / PAGE_SIZE),
            MemoryFile::Raw(memory) => Some(memory.bytes() / PAGE_SIZE),
        };
        Self {
            path: session.path().map(PathBuf::from).unwrap_or_default(),
            file_size: file.file_len(),
            kind_name: file.kind_name(),
            pages,
            header: file.dump().map(|dump| HeaderInfo::gather(dump, kernel)),
        }
    }
}

impl SmallDumpInfo {
    /// `None` for any other kind of dump.
    fn gather(dump: &Dump) -> Option<Self> {
        let triage = dump.triage().ok()?;
        Some(Self {
            blocks: triage.memory.stretches().count(),
            bytes: triage.memory.bytes(),
            is_complete: triage.is_complete,
            call_stack: triage.call_stack.map(|stack| stack.address),
            call_stack_bytes: triage.call_stack.map(|stack| stack.size),
            remark: TRIAGE_HOLDS,
        })
    }
}

impl HeaderInfo {
    fn gather(dump: &Dump, kernel: Option<&Kernel>) -> Self {
        let header = dump.header();
        Self {
            kind: header.kind.raw(),
            free_build: header.major_version == 15,
            processors: header.processors,
            directory_table_base: header.directory_table_base,
            ps_loaded_module_list: header.ps_loaded_module_list,
            kd_debugger_data_block: header.kd_debugger_data_block,
            missing_at_end: header
                .expected_len()
                .and_then(|expected| expected.checked_sub(dump.file_len()))
                .filter(|&missing| missing > 0),
            system_time: header.system_time.and_then(filetime),
            up_time_seconds: header.system_up_time.map(|time| time / 10_000_000),
            comment: header.comment.clone(),
            bug_check: BugCheckInfo::new(&header.bug_check, kernel),
        }
    }
}

impl KernelInfo {
    fn gather(kernel: &Kernel, session: &Session, header: Option<&Header>) -> Self {
        let loads = session.symbol_loads();
        let modules = kernel
            .modules()
            .loaded()
            .iter()
            .enumerate()
            .map(|(index, module)| {
                let load = loads.iter().find(|load| load.wanted.module == index);
                let source = kernel.symbol_source(index);
                let wanted = kernel.wanted(index);
                ModuleInfo {
                    name: module.name.clone(),
                    base: module.base,
                    size: module.size,
                    time_date_stamp: wanted.as_ref().and_then(|wanted| wanted.time_date_stamp),
                    check_sum: module.check_sum,
                    pdb: wanted.and_then(|wanted| wanted.pdb.ok()).map(|id| PdbInfo {
                        guid: id.guid_hex(),
                        age: id.age,
                        name: id.name,
                    }),
                    symbols: load
                        .and_then(|load| load.found.clone())
                        .or_else(|| source.map(|(source, _)| source.to_string())),
                    symbol_count: source.map_or(0, |(_, count)| count),
                    missing: load.and_then(crate::SymbolLoad::missing),
                }
            })
            .collect();
        let unloaded_modules = kernel
            .modules()
            .unloaded()
            .iter()
            .map(|module| UnloadedInfo {
                name: module.name.clone(),
                start: module.start,
                end: module.end,
            })
            .collect();
        let (address, remark) = match kernel.debugger_data() {
            Ok(data) => {
                let is_elsewhere = |header: &Header| {
                    header.kd_debugger_data_block.is_some_and(|at| at != data.address)
                };
                let remark = match header {
                    _ if data.was_encoded => Some("was encoded"),
                    Some(header) if is_elsewhere(header) => Some("the header says another place"),
                    Some(header) if header.kd_debugger_data_block.is_none() => {
                        Some("the header does not say where it is")
                    }
                    _ => None,
                };
                (Some(data.address), remark.map(String::from))
            }
            Err(error) => (None, Some(format!("not read: {error}"))),
        };
        let debugger_data = DebuggerDataInfo { address, remark };
        Self {
            base: kernel.base(),
            build_lab: build_lab(kernel),
            debugger_data,
            types: kernel.types().ok().map(|types| types.describe()),
            modules_from: kernel.modules_from().to_string(),
            modules,
            unloaded_modules,
        }
    }
}

/// `NtBuildLab`: the kernel's own name for its build.
fn build_lab(kernel: &Kernel) -> Option<String> {
    let at = kernel.debugger_data().ok()?.nt_build_lab;
    let mut text = [0u8; 64];
    kernel.space().memory().read(at, &mut text).ok()?;
    let end = text.iter().position(|&byte| byte == 0)?;
    let text = std::str::from_utf8(text.get(..end)?).ok()?;
    (!text.is_empty()).then(|| text.to_string())
}

/// A `FILETIME` as a date in UTC.
pub(crate) fn filetime(time: u64) -> Option<String> {
    // Days since 1601-01-01 to a civil date: eras of 400 years that start on March 1st.
    let seconds = time / 10_000_000;
    let days = i64::try_from(seconds / 86_400).ok()?;
    // 1601-01-01 is 584,694 days after 0000-03-01.
    let shifted = days + 584_694;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_index + 2) / 5 + 1;
    let month = if month_index < 10 { month_index + 3 } else { month_index - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let in_day = seconds % 86_400;
    let (h, m, s) = (in_day / 3600, in_day / 60 % 60, in_day % 60);
    (time != 0).then(|| format!("{year:04}-{month:02}-{day:02} {h:02}:{m:02}:{s:02} UTC"))
}

#[cfg(test)]
mod tests {
    use super::filetime;

    #[test]
    fn dates() {
        // 1970-01-01 is 11,644,473,600 seconds after 1601-01-01.
        let unix = |seconds: u64| filetime((seconds + 11_644_473_600) * 10_000_000);
        assert_eq!(unix(0).as_deref(), Some("1970-01-01 00:00:00 UTC"));
        assert_eq!(unix(951_782_399).as_deref(), Some("2000-02-28 23:59:59 UTC"));
        assert_eq!(unix(951_827_696).as_deref(), Some("2000-02-29 12:34:56 UTC"));
        assert_eq!(unix(1_609_459_200).as_deref(), Some("2021-01-01 00:00:00 UTC"));
        assert_eq!(filetime(0), None);
    }
}
