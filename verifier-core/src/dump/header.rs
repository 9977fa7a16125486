//! The 32-bit and the 64-bit dump header as one structure.

use std::fmt;

use zerocopy::FromBytes;

use super::source::ReadAt;
use crate::addr::{Pa, Va};
use crate::bytes::{le32, le64};
use crate::error::{Error, Problem};
use crate::machine::{MAX_PROCESSORS, Machine};
use crate::raw::{Header32, Header64};

/// The value of a header field that its writer never set: `PAGE`.
const FILLER: u32 = 0x4547_4150;
/// The filler in a 64-bit field.
const FILLER64: u64 = 0x4547_4150_4547_4150;
/// Bits of a physical address on x64.
const PHYSICAL_BITS: u32 = 52;
/// The highest build number: `NtBuildNumber` has 16 bits for it.
const MAX_BUILD: u32 = 0xffff;

/// `DumpType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DumpKind {
    /// 1: complete.
    Full,
    /// 2: kernel dump of Windows 7 and before.
    Summary,
    /// 4: small dump.
    Triage,
    /// 5: complete, by bitmap.
    BitmapFull,
    /// 6: kernel, active or live dump, by bitmap.
    BitmapKernel,
    /// 8: `.dump /k`.
    RangesKernel,
    /// 9: `.dump /ka`.
    RangesKernelUser,
    /// 0xA: `.dump /f`.
    RangesFull,
    /// Any other number.
    Unknown(u32),
}

impl DumpKind {
    fn from_raw(raw: u32) -> Self {
        match raw {
            1 => DumpKind::Full,
            2 => DumpKind::Summary,
            4 => DumpKind::Triage,
            5 => DumpKind::BitmapFull,
            6 => DumpKind::BitmapKernel,
            8 => DumpKind::RangesKernel,
            9 => DumpKind::RangesKernelUser,
            0xa => DumpKind::RangesFull,
            other => DumpKind::Unknown(other),
        }
    }

    /// True if the pages are found by a bitmap.
    pub(super) fn has_bitmap(self) -> bool {
        matches!(self, DumpKind::Summary | DumpKind::BitmapFull | DumpKind::BitmapKernel)
    }

    /// The number in the header.
    #[must_use]
    pub fn raw(self) -> u32 {
        match self {
            DumpKind::Full => 1,
            DumpKind::Summary => 2,
            DumpKind::Triage => 4,
            DumpKind::BitmapFull => 5,
            DumpKind::BitmapKernel => 6,
            DumpKind::RangesKernel => 8,
            DumpKind::RangesKernelUser => 9,
            DumpKind::RangesFull => 0xa,
            DumpKind::Unknown(other) => other,
        }
    }
}

impl fmt::Display for DumpKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DumpKind::Full => f.write_str("complete memory dump (type 1)"),
            DumpKind::Summary => f.write_str("kernel memory dump of Windows 7 or before (type 2)"),
            DumpKind::Triage => f.write_str("small (triage) dump (type 4)"),
            DumpKind::BitmapFull => f.write_str("complete memory dump, by bitmap (type 5)"),
            DumpKind::BitmapKernel => {
                f.write_str("kernel, active or live memory dump, by bitmap (type 6)")
            }
            DumpKind::RangesKernel => f.write_str("kernel memory dump by .dump /k (type 8)"),
            DumpKind::RangesKernelUser => {
                f.write_str("kernel and user memory dump by .dump /ka (type 9)")
            }
            DumpKind::RangesFull => f.write_str("complete memory dump by .dump /f (type 0xa)"),
            DumpKind::Unknown(raw) => write!(f, "unknown kind (type {raw:#x})"),
        }
    }
}

/// Bug check code and parameters, as the header has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BugCheck {
    /// The code; 0 if the machine did not crash (live dumps).
    pub code: u32,
    /// The four parameters.
    pub parameters: [u64; 4],
}

impl BugCheck {
    /// What the header of a dump of a running system says.
    pub const NONE: Self = Self { code: 0, parameters: [0; 4] };

    /// False if the machine did not crash: the code is 0, or the "MATT" that DumpIt writes into fields that it
    /// does not know.
    #[must_use]
    pub fn is_crash(&self) -> bool {
        self.code != 0 && self.code.to_le_bytes() != *b"MATT"
    }
}

/// A run of the header's `PhysicalMemoryBlock`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct PhysicalRun {
    /// First page frame.
    pub base_page: u64,
    /// Number of pages.
    pub page_count: u64,
}

/// The fields of a dump header. Fields that the writer never set are `None`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Header {
    /// True for `DUMP_HEADER64`.
    pub is_64bit: bool,
    /// What kind of dump this is.
    pub kind: DumpKind,
    /// The PE machine number.
    pub machine_image_type: u32,
    /// 15 on a free build, 12 on a checked one.
    pub major_version: u32,
    /// The build number (`MinorVersion`). LiveKD writes its own number here.
    pub build: u32,
    /// `DirectoryTableBase`, unchanged, with its low bits.
    pub directory_table_base: Pa,
    /// 32-bit: `PaeEnabled`.
    pub pae_enabled: Option<bool>,
    /// `PfnDataBase`.
    pub pfn_data_base: Option<Va>,
    /// `PsLoadedModuleList`.
    pub ps_loaded_module_list: Option<Va>,
    /// `PsActiveProcessHead`.
    pub ps_active_process_head: Option<Va>,
    /// `KdDebuggerDataBlock`.
    pub kd_debugger_data_block: Option<Va>,
    /// `NumberProcessors`.
    pub processors: Option<u32>,
    /// The bug check.
    pub bug_check: BugCheck,
    /// The stack pointer in `ContextRecord`: that of the processor that wrote the dump.
    pub stack_pointer: Option<Va>,
    /// `PhysicalMemoryBlock.NumberOfPages`.
    pub physical_pages: Option<u64>,
    /// The runs of the `PhysicalMemoryBlock`; empty if it was never set.
    pub runs: Vec<PhysicalRun>,
    /// `NumberOfRuns`, unchanged: it can be larger than the length of `runs`, which has only the runs in the
    /// header.
    pub number_of_runs: u32,
    /// `SystemTime`: 100 ns since 1601.
    pub system_time: Option<u64>,
    /// `SystemUpTime`: 100 ns since boot.
    pub system_up_time: Option<u64>,
    /// `RequiredDumpSpace`: the length of the file that the writer planned.
    pub required_dump_space: Option<u64>,
    /// `Comment`.
    pub comment: Option<String>,
}

impl Header {
    /// Bytes of `DUMP_HEADER64`.
    pub const SIZE64: u64 = 0x2000;
    /// Bytes of `DUMP_HEADER32`.
    pub const SIZE32: u64 = 0x1000;

    /// Bytes of this header.
    #[must_use]
    pub fn size(&self) -> u64 {
        if self.is_64bit { Self::SIZE64 } else { Self::SIZE32 }
    }

    /// The file offset of `DumpType`.
    pub(super) fn dump_type_offset(&self) -> u64 {
        if self.is_64bit { 0xf98 } else { 0xf88 }
    }

    /// The architecture, if the number is known.
    #[must_use]
    pub fn machine(&self) -> Option<Machine> {
        Machine::from_image_type(self.machine_image_type)
    }

    /// Impossible values; each of them is ignored.
    pub(super) fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut note = |why| problems.push(Problem::new("dump header", why).remark());
        let base = self.directory_table_base;
        if self.machine() == Some(Machine::X64)
            && base.0 != FILLER64
            && base.0 >> PHYSICAL_BITS != 0
        {
            note(format!(
                "DirectoryTableBase {base} at file offset 0x10 is too high: a physical address has at \
                 most {PHYSICAL_BITS} bits, and the others are ignored"
            ));
        }
        if self.build != FILLER && self.known_build().is_none() {
            note(format!(
                "MinorVersion {:#x} at file offset 0xc is not a build number, which has 16 bits",
                self.build
            ));
        }
        if let Some(count) = self.processors.filter(|&count| count > MAX_PROCESSORS) {
            note(format!(
                "NumberProcessors {count} at file offset {:#x} is too high: Windows has at most \
                 {MAX_PROCESSORS}",
                if self.is_64bit { 0x34 } else { 0x24 }
            ));
        }
        problems
    }

    /// The build number, if it can be one.
    pub(crate) fn known_build(&self) -> Option<u32> {
        Some(self.build).filter(|&build| build <= MAX_BUILD)
    }

    /// True if the directory table base was set.
    #[must_use]
    pub fn has_tables(&self) -> bool {
        let filler = if self.is_64bit { FILLER64 } else { FILLER.into() };
        self.directory_table_base.0 != 0 && self.directory_table_base.0 != filler
    }

    pub(super) fn read(file: &dyn ReadAt) -> Result<Self, Error> {
        let mut magic = [0u8; 8];
        if file.read_at(0, &mut magic).is_err() {
            return Err(short(file.len(), Self::SIZE32));
        }
        match &magic {
            b"PAGEDU64" => {
                let bytes = read_header::<{ Self::SIZE64 as usize }>(file)?;
                let raw = Header64::ref_from_bytes(&bytes[..])
                    .map_err(|_| short(file.len(), Self::SIZE64))?;
                Ok(Self::from_64(raw))
            }
            b"PAGEDUMP" => {
                let bytes = read_header::<{ Self::SIZE32 as usize }>(file)?;
                let raw = Header32::ref_from_bytes(&bytes[..])
                    .map_err(|_| short(file.len(), Self::SIZE32))?;
                Ok(Self::from_32(raw))
            }
            b"MDMP\x93\xa7\0\0" => {
                Err(not_a_dump("this is a user-mode minidump (MDMP), which holds no kernel memory"))
            }
            [0x4d, 0x44, 0x4d, 0x50, ..] => {
                Err(not_a_dump("this is a user-mode minidump (MDMP), which holds no kernel memory"))
            }
            other => Err(not_a_dump(&format!(
                "the signature is {:?}, not \"PAGEDU64\", \"PAGEDUMP\" or ELF's; a raw image of physical \
                 memory has none and must be opened as one (--raw)",
                String::from_utf8_lossy(other)
            ))),
        }
    }

    fn from_64(raw: &Header64) -> Self {
        let number_of_runs = raw.number_of_runs.get();
        let runs = if number_of_runs == FILLER {
            Vec::new()
        } else {
            raw.runs
                .iter()
                .take(number_of_runs as usize)
                .map(|run| PhysicalRun {
                    base_page: run.base_page.get(),
                    page_count: run.page_count.get(),
                })
                .collect()
        };
        Header {
            is_64bit: true,
            kind: DumpKind::from_raw(raw.dump_type.get()),
            machine_image_type: raw.machine_image_type.get(),
            major_version: raw.major_version.get(),
            build: raw.minor_version.get(),
            directory_table_base: Pa(raw.directory_table_base.get()),
            pae_enabled: None,
            pfn_data_base: va64(raw.pfn_data_base.get()),
            ps_loaded_module_list: va64(raw.ps_loaded_module_list.get()),
            ps_active_process_head: va64(raw.ps_active_process_head.get()),
            kd_debugger_data_block: va64(raw.kd_debugger_data_block.get()),
            processors: set32(raw.number_processors.get()),
            bug_check: BugCheck {
                code: raw.bug_check_code.get(),
                parameters: raw.bug_check_parameters.map(zerocopy::U64::get),
            },
            stack_pointer: stack_pointer(raw.machine_image_type.get(), &raw.context_record),
            physical_pages: set64(raw.number_of_pages.get()),
            runs,
            number_of_runs,
            system_time: set64(raw.system_time.get()),
            system_up_time: set64(raw.system_up_time.get()),
            required_dump_space: set64(raw.required_dump_space.get()),
            comment: text(&raw.comment),
        }
    }

    fn from_32(raw: &Header32) -> Self {
        let number_of_runs = raw.number_of_runs.get();
        let runs = if number_of_runs == FILLER {
            Vec::new()
        } else {
            raw.runs
                .iter()
                .take(number_of_runs as usize)
                .map(|run| PhysicalRun {
                    base_page: run.base_page.get().into(),
                    page_count: run.page_count.get().into(),
                })
                .collect()
        };
        Header {
            is_64bit: false,
            kind: DumpKind::from_raw(raw.dump_type.get()),
            machine_image_type: raw.machine_image_type.get(),
            major_version: raw.major_version.get(),
            build: raw.minor_version.get(),
            directory_table_base: Pa(raw.directory_table_base.get().into()),
            pae_enabled: match raw.pae_enabled {
                0 => Some(false),
                1 => Some(true),
                _ => None,
            },
            pfn_data_base: va32(raw.pfn_data_base.get()),
            ps_loaded_module_list: va32(raw.ps_loaded_module_list.get()),
            ps_active_process_head: va32(raw.ps_active_process_head.get()),
            kd_debugger_data_block: va32(raw.kd_debugger_data_block.get()),
            processors: set32(raw.number_processors.get()),
            bug_check: BugCheck {
                code: raw.bug_check_code.get(),
                parameters: raw.bug_check_parameters.map(|p| p.get().into()),
            },
            stack_pointer: stack_pointer(raw.machine_image_type.get(), &raw.context_record),
            physical_pages: set32(raw.number_of_pages.get()).map(u64::from),
            runs,
            number_of_runs,
            system_time: set64(raw.system_time.get()),
            system_up_time: set64(raw.system_up_time.get()),
            required_dump_space: set64(raw.required_dump_space.get()),
            comment: text(&raw.comment),
        }
    }
}

/// The stack pointer of a `CONTEXT`: `Rsp`, `Esp` or `Sp` (winnt.h). `None` if it is zero or filler.
fn stack_pointer(machine: u32, context: &[u8]) -> Option<Va> {
    match Machine::from_image_type(machine)? {
        Machine::X64 => va64(le64(context, 0x98)?),
        Machine::Arm64 => va64(le64(context, 0x100)?),
        Machine::X86 => va32(le32(context, 0xc4)?),
    }
}

fn read_header<const N: usize>(file: &dyn ReadAt) -> Result<Box<[u8; N]>, Error> {
    let mut bytes = Box::new([0u8; N]);
    file.read_at(0, &mut bytes[..]).map_err(|_| short(file.len(), N as u64))?;
    Ok(bytes)
}

fn short(len: u64, need: u64) -> Error {
    Error::Format {
        offset: len,
        what: "dump header",
        why: format!(
            "the file ends here, but the header takes {need:#x} bytes: it was cut short; copy the file again"
        ),
    }
}

fn not_a_dump(why: &str) -> Error {
    Error::Format { offset: 0, what: "dump header", why: why.into() }
}

pub(super) fn set32(value: u32) -> Option<u32> {
    (value != FILLER).then_some(value)
}

pub(super) fn set64(value: u64) -> Option<u64> {
    (value != FILLER64).then_some(value)
}

fn va64(value: u64) -> Option<Va> {
    (value != FILLER64 && value != 0).then_some(Va(value))
}

fn va32(value: u32) -> Option<Va> {
    (value != FILLER && value != 0).then_some(Va(value.into()))
}

fn text(bytes: &[u8]) -> Option<String> {
    let end = bytes.iter().position(|&b| b == 0).unwrap_or(bytes.len());
    let text = String::from_utf8_lossy(bytes.get(..end)?).into_owned();
    (!text.is_empty() && !text.starts_with("PAGEPAGE")).then_some(text)
}
