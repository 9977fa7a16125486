//! What a dump is and what can be read from it: the values behind `verifier info`.

mod gather;

use std::path::PathBuf;

use serde::Serialize;
use verifier_core::render::Verdict;
use verifier_core::{Pa, Problem, Va};

pub(crate) use gather::filetime;

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
    /// The build number in the dump's header, which may be another.
    pub header_build: Option<u32>,
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
    #[serde(flatten, serialize_with = "as_verdict")]
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
    /// Bytes that are missing at the end of the file.
    pub missing_at_end: Option<u64>,
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
    /// The text of the condition that a driver violated, where it is about a rule and the text can be
    /// read.
    pub violated_condition: Option<String>,
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

fn as_text<S: serde::Serializer>(path: &std::path::Path, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(&path.display())
}

fn as_verdict<S: serde::Serializer>(problems: &[Problem], to: S) -> Result<S::Ok, S::Error> {
    Verdict::of(problems).serialize(to)
}

fn as_address<S: serde::Serializer>(address: &Pa, to: S) -> Result<S::Ok, S::Error> {
    Va(address.0).serialize(to)
}
