//! Where each value of an [`Info`] comes from.

use std::path::PathBuf;

use verifier_core::addr::PAGE_SIZE;
use verifier_core::dump::{BugCheck, Dump, Header, MemoryFile};
use verifier_core::error::TRIAGE_HOLDS;
use verifier_core::kernel::Kernel;
use verifier_core::verifier::log::PoolLog;
use verifier_core::verifier::{
    Drivers, Settings, UnloadLeak, explain_bug_check, violated_condition,
};
use verifier_core::{Problem, Va};

use super::{
    BugCheckInfo, DebuggerDataInfo, FileInfo, GlobalInfo, HeaderInfo, Info, KernelInfo,
    LeakedBlock, ModuleInfo, PageTablesInfo, PdbInfo, SmallDumpInfo, UnloadLeakInfo, UnloadedInfo,
    VerifierInfo,
};
use crate::error::Error;
use crate::session::Session;

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

impl Info {
    /// Gathers what can be read. Symbols are not searched for: call
    /// [`Session::load_all_symbols`] before, to be told of all.
    #[must_use]
    pub fn gather(session: &Session) -> Self {
        let mut found = Vec::new();
        // What is wrong with the file comes first: the rest may follow from it.
        let mut problems = match (session.kernel(), session.memory_file()) {
            (Ok(kernel), _) => kernel.problems().to_vec(),
            (Err(_), Some(file)) => file.problems(),
            (Err(_), None) => Vec::new(),
        };
        let mut note = |what: &str, error: &Error| {
            let problem = match error {
                Error::Core(error) => Problem::from_error(what, error),
                other => Problem::new(what, other),
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
        let mut contradictions = Vec::new();
        let verifier = kernel.map(|kernel| {
            let mut part = |what: &str, error: verifier_core::Error| note(what, &error.into());
            let settings = Settings::read(kernel).map_err(|error| part("settings", error)).ok();
            contradictions.extend(settings.iter().flat_map(|one| one.problems.iter().cloned()));
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
            found.extend(settings.iter().flat_map(|settings| settings.problems.clone()));
            found.extend(drivers.iter().flat_map(|drivers| drivers.problems.clone()));
            found.extend(log.iter().flat_map(|log| log.problems.clone()));
            VerifierInfo {
                level: settings.map(|settings| settings.level.0),
                drivers: drivers.as_ref().map(|drivers| drivers.drivers.len()),
                verified_images: drivers
                    .as_ref()
                    .map(|drivers| drivers.drivers.iter().map(|driver| driver.images.len()).sum()),
                pool_log_capacity: log.as_ref().map(|log| log.ring.length),
                pool_log_written: log.as_ref().and_then(|log| log.ring.index),
                pool_log_empty_because: log.and_then(|log| log.empty_because),
                globals: globals(kernel),
            }
        });
        problems.append(&mut contradictions);
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
        found.extend(session.image_problems());
        for problem in found {
            if !problems.contains(&problem) {
                problems.push(problem);
            }
        }
        let header = session.dump().map(Dump::header);
        problems.extend(kernel.zip(header).and_then(|(kernel, header)| misplaced(kernel, header)));
        let space = kernel.map(|kernel| kernel.space());
        let machine = header.map(|header| (header.machine(), header.machine_image_type));
        Self {
            file: session.memory_file().map(|file| {
                FileInfo::gather(session, file, kernel.map(|kernel| &**kernel), &mut problems)
            }),
            machine: match (space, machine) {
                (Some(space), _) => space.machine().to_string(),
                (None, Some((Some(machine), _))) => machine.to_string(),
                (None, Some((None, raw))) => format!("{raw:#x}"),
                (None, None) => "unknown".into(),
            },
            build: kernel
                .map(|kernel| kernel.build())
                .or(header.map(|header| header.build))
                .filter(|&build| build != 0),
            header_build: header.map(|header| header.build),
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

/// That a header puts the debugger data block where it is not.
fn misplaced(kernel: &Kernel, header: &Header) -> Option<Problem> {
    let told = header.kd_debugger_data_block?;
    let at = kernel.debugger_data().ok()?.address;
    let why = format!("the header says that it is here, but it is at {at}");
    (at != told).then(|| Problem::at("KdDebuggerDataBlock", told, why).remark())
}

impl FileInfo {
    fn gather(
        session: &Session,
        file: &MemoryFile,
        kernel: Option<&Kernel>,
        problems: &mut Vec<Problem>,
    ) -> Self {
        let pages = match file {
            MemoryFile::Dump(dump) => {
                dump.physical().ok().map(|physical| physical.map().page_count())
            }
            MemoryFile::Elf(core) => Some(core.memory.bytes() / PAGE_SIZE),
            MemoryFile::Raw(memory) => Some(memory.bytes() / PAGE_SIZE),
            _ => None,
        };
        Self {
            path: session.path().map(PathBuf::from).unwrap_or_default(),
            file_size: file.file_len(),
            kind_name: file.kind_name(),
            pages,
            missing_at_end: file.truncation().map(|truncation| truncation.missing_bytes()),
            header: file.dump().map(|dump| HeaderInfo::gather(dump, kernel, problems)),
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
    fn gather(dump: &Dump, kernel: Option<&Kernel>, problems: &mut Vec<Problem>) -> Self {
        let header = dump.header();
        Self {
            kind: header.kind.raw(),
            free_build: header.major_version == 15,
            processors: header.processors,
            directory_table_base: header.directory_table_base,
            ps_loaded_module_list: header.ps_loaded_module_list,
            kd_debugger_data_block: header.kd_debugger_data_block,
            system_time: header.system_time.and_then(filetime),
            up_time_seconds: header.system_up_time.map(|time| time / 10_000_000),
            comment: header.comment.clone(),
            bug_check: BugCheckInfo::new(&header.bug_check, kernel, problems),
        }
    }
}

impl BugCheckInfo {
    fn new(bug_check: &BugCheck, kernel: Option<&Kernel>, problems: &mut Vec<Problem>) -> Self {
        let condition = kernel.map(violated_condition).unwrap_or(Ok(None));
        let said = explain_bug_check(bug_check);
        Self {
            code: bug_check.code,
            parameters: bug_check.parameters.map(Va),
            name: said.as_ref().map(|said| said.name),
            parameter_names: said.as_ref().map(|said| said.parameters),
            meaning: said.map(|said| said.meaning),
            driver: kernel.and_then(UnloadLeak::driver_name),
            violated_condition: condition.unwrap_or_else(|error| {
                problems.push(Problem::from_error("violated condition", &error));
                None
            }),
        }
    }
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
            build_lab: kernel.build_lab(),
            debugger_data,
            types: kernel.types().ok().map(|types| types.describe()),
            modules_from: kernel.modules_from().to_string(),
            modules,
            unloaded_modules,
        }
    }
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
