//! `DUMP_HEADER64` (0x2000 bytes) and `DUMP_HEADER32` (0x1000 bytes).
//!
//! The kernel fills a header with the letters `PAGE` before it sets fields, so unset fields keep the letters.
//! This writer does the same. Source: published structures of the header, checked against real dumps.

use super::{put, put32, put64};

/// The header's `MachineImageType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MachineType {
    /// 0x14C, with a 32-bit header.
    X86,
    /// 0x8664.
    X64,
    /// 0xAA64.
    Arm64,
}

impl MachineType {
    /// The number in the header, and in PE images.
    pub fn value(self) -> u16 {
        match self {
            Self::X86 => 0x14c,
            Self::X64 => 0x8664,
            Self::Arm64 => 0xaa64,
        }
    }

    /// Bytes in a pointer.
    pub fn pointer_size(self) -> usize {
        if self == Self::X86 { 4 } else { 8 }
    }
}

/// A bug check: the code and its four parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BugCheck {
    /// For example 0xE2, MANUALLY_INITIATED_CRASH.
    pub code: u32,
    /// Its parameters.
    pub parameters: [u64; 4],
}

/// The fields of a dump's header. `None` leaves the filler `PAGE` in the field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderInfo {
    /// The machine, which also selects the 32-bit or 64-bit header.
    pub machine: MachineType,
    /// `MajorVersion`: 15 in free builds, 12 in checked ones.
    pub major_version: u32,
    /// `MinorVersion`: the build number.
    pub build: u32,
    /// `DirectoryTableBase`.
    pub dtb: u64,
    /// `PfnDataBase`.
    pub pfn_database: Option<u64>,
    /// `PsLoadedModuleList`.
    pub ps_loaded_module_list: Option<u64>,
    /// `PsActiveProcessHead`.
    pub ps_active_process_head: Option<u64>,
    /// `KdDebuggerDataBlock`.
    pub kd_debugger_data_block: Option<u64>,
    /// `NumberProcessors`.
    pub processors: u32,
    /// `BugCheckCode` and `BugCheckParameters`.
    pub bug_check: Option<BugCheck>,
    /// `SystemTime`, a FILETIME.
    pub system_time: Option<u64>,
    /// `SystemUpTime`, in 100 ns.
    pub up_time: Option<u64>,
    /// `PaeEnabled` (32-bit).
    pub pae: bool,
    /// `Comment`: at most 127 characters.
    pub comment: Option<String>,
    /// The runs of the `PhysicalMemoryBlock`, for dumps that store their pages elsewhere: the machine's
    /// memory as (first frame, frames).
    pub physical_memory: Option<Vec<(u64, u64)>>,
    /// `ContextRecord`, from its first byte.
    pub context: Option<Vec<u8>>,
}

impl HeaderInfo {
    /// A header of this machine and build, with no other field set.
    pub fn new(machine: MachineType, build: u32, dtb: u64) -> Self {
        Self {
            machine,
            major_version: 15,
            build,
            dtb,
            pfn_database: None,
            ps_loaded_module_list: None,
            ps_active_process_head: None,
            kd_debugger_data_block: None,
            processors: 1,
            bug_check: None,
            system_time: None,
            up_time: None,
            pae: false,
            comment: None,
            physical_memory: None,
            context: None,
        }
    }

    /// Size of the header in bytes.
    pub(super) fn size(&self) -> usize {
        if self.machine == MachineType::X86 { 0x1000 } else { 0x2000 }
    }

    /// The header of a dump of `dump_type` with these runs and a file of `length` bytes.
    pub(super) fn render(
        &self,
        dump_type: u32,
        runs: Option<&[(u64, u64)]>,
        length: u64,
    ) -> Vec<u8> {
        let runs = runs.or(self.physical_memory.as_deref());
        if self.machine == MachineType::X86 {
            self.render32(dump_type, runs, length)
        } else {
            self.render64(dump_type, runs, length)
        }
    }

    fn render64(&self, dump_type: u32, runs: Option<&[(u64, u64)]>, length: u64) -> Vec<u8> {
        let mut h = b"PAGE".repeat(0x2000 / 4);
        put(&mut h, 4, b"DU64");
        put32(&mut h, 0x8, self.major_version);
        put32(&mut h, 0xc, self.build);
        put64(&mut h, 0x10, self.dtb);
        let pointers = [
            (0x18, self.pfn_database),
            (0x20, self.ps_loaded_module_list),
            (0x28, self.ps_active_process_head),
            (0x80, self.kd_debugger_data_block),
            (0xfa8, self.system_time),
            (0x1030, self.up_time),
        ];
        for (at, value) in pointers {
            if let Some(value) = value {
                put64(&mut h, at, value);
            }
        }
        put32(&mut h, 0x30, self.machine.value().into());
        put32(&mut h, 0x34, self.processors);
        if let Some(bug) = self.bug_check {
            put32(&mut h, 0x38, bug.code);
            for (i, parameter) in bug.parameters.iter().enumerate() {
                put64(&mut h, 0x40 + 8 * i, *parameter);
            }
        }
        if let Some(runs) = runs {
            assert!(runs.len() <= 42, "{} runs do not fit in a header", runs.len());
            put64(&mut h, 0x88, runs.len() as u64);
            put64(&mut h, 0x90, runs.iter().map(|run| run.1).sum());
            for (i, &(base, count)) in runs.iter().enumerate() {
                put64(&mut h, 0x98 + 16 * i, base);
                put64(&mut h, 0xa0 + 16 * i, count);
            }
        }
        self.put_context(&mut h, 0x348, 3000);
        put32(&mut h, 0xf98, dump_type);
        put64(&mut h, 0xfa0, length);
        self.put_comment(&mut h, 0xfb0);
        h
    }

    fn render32(&self, dump_type: u32, runs: Option<&[(u64, u64)]>, length: u64) -> Vec<u8> {
        let narrow = |value: u64| {
            u32::try_from(value)
                .unwrap_or_else(|_| panic!("{value:#x} does not fit a 32-bit header"))
        };
        let mut h = b"PAGE".repeat(0x1000 / 4);
        put(&mut h, 4, b"DUMP");
        put32(&mut h, 0x8, self.major_version);
        put32(&mut h, 0xc, self.build);
        put32(&mut h, 0x10, narrow(self.dtb));
        let pointers = [
            (0x14, self.pfn_database),
            (0x18, self.ps_loaded_module_list),
            (0x1c, self.ps_active_process_head),
            (0x60, self.kd_debugger_data_block),
        ];
        for (at, value) in pointers {
            if let Some(value) = value {
                put32(&mut h, at, narrow(value));
            }
        }
        put32(&mut h, 0x20, self.machine.value().into());
        put32(&mut h, 0x24, self.processors);
        if let Some(bug) = self.bug_check {
            put32(&mut h, 0x28, bug.code);
            for (i, parameter) in bug.parameters.iter().enumerate() {
                put32(&mut h, 0x2c + 4 * i, narrow(*parameter));
            }
        }
        put(&mut h, 0x5c, &[self.pae.into()]);
        if let Some(runs) = runs {
            assert!(runs.len() <= 86, "{} runs do not fit in a header", runs.len());
            put32(&mut h, 0x64, runs.len() as u32);
            put32(&mut h, 0x68, narrow(runs.iter().map(|run| run.1).sum()));
            for (i, &(base, count)) in runs.iter().enumerate() {
                put32(&mut h, 0x6c + 8 * i, narrow(base));
                put32(&mut h, 0x70 + 8 * i, narrow(count));
            }
        }
        self.put_context(&mut h, 0x320, 1200);
        self.put_comment(&mut h, 0x820);
        put32(&mut h, 0xf88, dump_type);
        put64(&mut h, 0xfa0, length);
        h
    }

    fn put_context(&self, h: &mut [u8], at: usize, room: usize) {
        if let Some(context) = &self.context {
            assert!(
                context.len() <= room,
                "a context of {} bytes does not fit {room}",
                context.len()
            );
            put(h, at, context);
        }
    }

    fn put_comment(&self, h: &mut [u8], at: usize) {
        if let Some(comment) = &self.comment {
            assert!(comment.len() < 128, "a comment of {} bytes does not fit", comment.len());
            put(h, at, comment.as_bytes());
            put(h, at + comment.len(), &[0]);
        }
    }
}
