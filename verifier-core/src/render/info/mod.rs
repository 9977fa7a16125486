//! What a dump is and what can be read from it: the values of `verifier info`.

mod bug_check;
mod gather;

use std::path::PathBuf;

use serde::Serialize;

use super::json::Verdict;
use crate::addr::{Pa, Va};
use crate::error::Problem;

pub use bug_check::{BugCheckInfo, CulpritRow, ParameterRow};
pub use gather::{InfoSources, ModuleSymbols};

/// What is read, and what can be read of it.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Info {
    /// The dump file; `None` for other memory.
    #[serde(flatten)]
    pub file: Option<FileInfo>,
    /// The bug check: the header's, else the one that the kernel noted in memory; `None` if neither is
    /// there.
    pub bug_check: Option<BugCheckInfo>,
    /// "x86", "x64", "arm64", or the number of an unknown one.
    pub machine: String,
    /// The build number, if it is known.
    pub build: Option<u32>,
    /// The build number in the dump's header, which may differ.
    pub header_build: Option<u32>,
    /// How addresses are translated, if this library does it.
    pub paging: Option<String>,
    /// The page tables in use, if the file is physical memory.
    pub page_tables: Option<PageTablesInfo>,
    /// What a small dump holds instead of pages.
    pub small_dump: Option<SmallDumpInfo>,
    /// The kernel; `None` if it was not found.
    pub kernel: Option<KernelInfo>,
    /// What Verifier data there is; `None` without a kernel.
    pub verifier: Option<VerifierInfo>,
    /// The blocks that a driver held when it was unloaded, if the bug check is about that.
    pub unload_leak: Option<UnloadLeakInfo>,
    /// What could not be read or does not fit.
    #[serde(flatten, serialize_with = "as_verdict")]
    pub problems: Vec<Problem>,
}

/// The page tables in use.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct PageTablesInfo {
    /// The directory table base.
    #[serde(serialize_with = "as_address")]
    pub base: Pa,
    /// How it was found: "the dump's header", "given", "CR3 of processor 0", …
    pub from: String,
}

/// What a small dump holds.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct SmallDumpInfo {
    /// Blocks of virtual memory; adjoining ones count as one.
    pub blocks: usize,
    /// Bytes in them.
    pub bytes: u64,
    /// False if the writer did not finish.
    pub is_complete: bool,
    /// The lowest address of the crashed thread's stack that the dump holds.
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
    /// What its header says; `None` for a file that is not a crash dump.
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
    /// The blocks that could be read.
    pub allocations: Vec<LeakedBlock>,
}

/// A block that was not freed.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct LeakedBlock {
    /// Its address.
    pub address: Va,
    /// Its size in Verifier's entry.
    pub size: u64,
    /// Its pool tag.
    pub tag: String,
    /// The address that asked for it.
    pub caller: Va,
    /// The name of that address.
    pub caller_symbol: Option<String>,
}

/// The debugger data block, which leads to much else.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct DebuggerDataInfo {
    /// Its address; `None` if it cannot be read.
    pub address: Option<Va>,
    /// What is unusual about it, or why it cannot be read.
    pub remark: Option<String>,
}

/// A kernel and its images.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct KernelInfo {
    /// Its base.
    pub base: Va,
    /// `NtBuildLab`.
    pub build_lab: Option<String>,
    /// The debugger data block.
    pub debugger_data: DebuggerDataInfo,
    /// What its types are from; `None` if its symbols are missing.
    pub types: Option<String>,
    /// The source of the list of images.
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
    /// Its base.
    pub base: Va,
    /// `SizeOfImage`.
    pub size: u32,
    /// `TimeDateStamp`, if its headers or a small dump's driver list have it.
    pub time_date_stamp: Option<u32>,
    /// `CheckSum`, if a small dump's driver list has it.
    pub check_sum: Option<u32>,
    /// Which PDB belongs to it, if its headers name one.
    pub pdb: Option<PdbInfo>,
    /// The source of its names.
    pub symbols: Option<String>,
    /// How many names there are.
    pub symbol_count: usize,
    /// Which file would help and which places were searched, if symbols are missing.
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

/// An image that is not loaded anymore.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct UnloadedInfo {
    /// File name.
    pub name: String,
    /// Its base while it was loaded.
    pub start: Va,
    /// The first address past its end.
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
    /// Why the pool log is empty, if it is so by design.
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
    /// Its address; `None` if it was not found.
    pub address: Option<Va>,
    /// The source of the address, or why it was not found.
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
