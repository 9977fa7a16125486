//! The kernel without Verifier: images, globals, loaded and unloaded modules, the debugger's data.
//!
//! | what | layout |
//! |---|---|
//! | loaded modules | `PsLoadedModuleList`, a ring of `_KLDR_DATA_TABLE_ENTRY` |
//! | unloaded drivers | `MmUnloadedDrivers` → 50 × `_UNLOADED_DRIVERS`; `MmLastUnloadedDriver`, the next slot |
//! | `KDDEBUGGER_DATA64` | {LIST_ENTRY64, `KDBG`, size}, then addresses of variables; see [`DEBUGGER_FIELDS`] |
//! | `_DBGKD_GET_VERSION64` | versions, kernel base, module list, list of debugger data |
//!
//! Source: public descriptions of the structures.

use crate::assembly::Assembly;
use crate::dump::{MachineType, SmallDumpDriver};
use crate::image::Image;
use crate::isf;

/// Kernel globals that get space in `.data`: name, bytes.
pub(crate) const GLOBALS: &[(&str, u32)] = &[
    ("PsLoadedModuleList", 0x10),
    ("PsActiveProcessHead", 0x10),
    ("KdDebuggerDataBlock", 0x400),
    ("KdpDebuggerDataListHead", 0x10),
    ("KdVersionBlock", 0x28),
    ("KdpDataBlockEncoded", 1),
    ("KiWaitNever", 8),
    ("KiWaitAlways", 8),
    ("NtBuildLab", 0x40),
    ("NtBuildNumber", 4),
    ("KiBugCheckData", 0x28),
    ("KiProcessorBlock", 0x200),
    ("MmPfnDatabase", 8),
    ("MmHighestUserAddress", 8),
    ("MmSystemRangeStart", 8),
    ("MmUserProbeAddress", 8),
    ("MmNonPagedPoolStart", 8),
    ("MmNonPagedPoolEnd", 8),
    ("MmPagedPoolStart", 8),
    ("MmPagedPoolEnd", 8),
    ("MmUnloadedDrivers", 8),
    ("MmLastUnloadedDriver", 4),
    ("MmTriageActionTaken", 4),
    ("MmSpecialPoolTag", 4),
    ("MmPhysicalMemoryBlock", 8),
    ("CmNtCSDVersion", 4),
    ("KernelVerifier", 4),
    ("MmVerifierData", 0x100),
    ("VfSuspectDriversList", 0x10),
    ("VfExcludedDriversList", 0x10),
    ("ViTargetDriversAvl", 0x40),
    ("ViVerifyAllDrivers", 4),
    ("VfVerifyMode", 4),
    ("VfOptionFlags", 4),
    ("VfRuleClasses", 8),
    ("VfPoolTraces", 8),
    ("VfPoolTracesIndex", 4),
    ("VfPoolTracesLength", 4),
    ("ViTrackIrqlQueue", 8),
    ("ViTrackIrqlIndex", 4),
    ("ViTrackIrqlQueueLength", 4),
    ("ViFaultTraces", 8),
    ("ViFaultTracesIndex", 4),
    ("ViFaultTracesLength", 4),
    ("VfKeCriticalRegionTraces", 8),
    ("VfKeCriticalRegionTracesIndex", 4),
    ("VfKeCriticalRegionTracesLength", 4),
    ("IovIrpTraces", 8),
    ("IovIrpTracesIndex", 4),
    ("IovIrpTracesLength", 4),
    ("VfForcedPendingLog", 8),
    ("VfForcedPendingIrps", 4),
    ("VfForcedPendingLogLength", 4),
    ("ViDeadlockGlobals", 8),
    ("ViDeadlockIssue", 0x20),
    ("ViDeadlockDetectionEnabled", 4),
    ("ViDeadlockState", 4),
    ("KeNumberProcessors", 4),
    ("ViPoolInfoAvl", 0xc0),
    ("ViPoolStackInfoAvl", 0xc0),
    ("ViPoolInfoAvlInitialized", 4),
    ("ViPoolStackInfoAvlInitialized", 4),
    ("ViPoolStackInfoAllocCount", 4),
    ("ViPoolStackInfoFailureCount", 4),
    ("ViPoolInfoAllocInsertionFailure", 4),
    ("ViPoolInfoAllocDeletionFailure", 4),
    ("DifpPoolTags", 0x28),
    ("DifpPoolTagsSize", 4),
    ("VfFaultInjectionProbability", 4),
    ("VfFaultInjectionMaxProbability", 4),
    ("VfFaultInjectionBootMinutes", 4),
    ("VerifierFaultTagsBuffer", 0x100),
    ("VerifierFaultApplicationsBuffer", 0x100),
    ("VfWdIrpListHead", 0x10),
    ("ViWdIrpListLength", 4),
    ("ViWdIrpListLengthMaximum", 4),
    ("ViWdTickCount", 4),
    ("ViWdCancelIrpCount", 4),
    ("ViBugcheckLog", 0x280),
    ("ViBugcheckLogIndex", 4),
    ("ViBugcheckWorkaroundLog", 0x180),
    ("ViBugcheckWorkaroundLogIndex", 4),
    ("VfXdvExcludedDriversList", 0x10),
];

/// The first build that has a global; 0 if every build has it.
pub(crate) fn since(global: &str) -> u32 {
    match global {
        "VfRuleClasses" => 17763,
        "VfXdvExcludedDriversList" => 9600,
        _ if global.starts_with("DifpPoolTags") => 22000,
        _ if global.starts_with("ViPool") => 20348,
        _ => 0,
    }
}

/// Kernel routines that get an RVA in `.text` if the machine does not name one.
pub(crate) const ROUTINES: &[&str] = &[
    "KiSystemServiceCopyEnd",
    "KiStartSystemThread",
    "PspSystemThreadStartup",
    "ExAllocatePoolWithTag",
    "ExFreePoolWithTag",
    "IofCallDriver",
    "IofCompleteRequest",
    "IopXxxControlFile",
    "NtDeviceIoControlFile",
    "KeRaiseIrqlToDpcLevel",
    "KeEnterCriticalRegion",
    "VeAllocatePoolWithTagPriority",
    "VerifierExAllocatePoolEx",
    "VerifierExAllocatePoolWithTag",
    "VerifierExFreePoolWithTag",
    "VfFreePoolNotification",
    "IovCallDriver",
    "IovAllocateIrp",
    "IovCompleteRequest",
    "VerifierKeAcquireSpinLock",
];

/// Fields of `KDDEBUGGER_DATA64` that hold the address of a global.
const DEBUGGER_FIELDS: &[(usize, &str)] = &[
    (0x48, "PsLoadedModuleList"),
    (0x50, "PsActiveProcessHead"),
    (0x88, "KiBugCheckData"),
    (0xc0, "MmPfnDatabase"),
    (0x110, "MmNonPagedPoolStart"),
    (0x118, "MmNonPagedPoolEnd"),
    (0x120, "MmPagedPoolStart"),
    (0x128, "MmPagedPoolEnd"),
    (0x1c8, "MmHighestUserAddress"),
    (0x1d0, "MmSystemRangeStart"),
    (0x1d8, "MmUserProbeAddress"),
    (0x208, "NtBuildLab"),
    (0x218, "KiProcessorBlock"),
    (0x220, "MmUnloadedDrivers"),
    (0x228, "MmLastUnloadedDriver"),
    (0x230, "MmTriageActionTaken"),
    (0x238, "MmSpecialPoolTag"),
    (0x240, "KernelVerifier"),
    (0x248, "MmVerifierData"),
    (0x268, "CmNtCSDVersion"),
    (0x270, "MmPhysicalMemoryBlock"),
];

/// Number of slots in `MmUnloadedDrivers`.
const UNLOADED_SLOTS: usize = 50;

/// An unloaded driver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnloadedDriver {
    /// Its base name.
    pub name: String,
    /// Its first address.
    pub start: u64,
    /// The first address after it.
    pub end: u64,
    /// When it was unloaded, as a FILETIME.
    pub time: u64,
}

/// The keys for encoding the debugger's data block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DebuggerKeys {
    /// `KiWaitNever`.
    pub wait_never: u64,
    /// `KiWaitAlways`.
    pub wait_always: u64,
}

/// Encodes one word as the kernel does. The decoding steps (xor never, rotate left by never's low byte, xor
/// address, swap bytes, xor always) restore it.
fn encode(word: u64, keys: DebuggerKeys, encoded_flag: u64) -> u64 {
    let swapped = (word ^ keys.wait_always).swap_bytes() ^ encoded_flag;
    swapped.rotate_right((keys.wait_never & 0xff) as u32 % 64) ^ keys.wait_never
}

/// The contents of kernel memory, except for Verifier's data.
pub(crate) struct Kernel<'a> {
    pub(crate) images: &'a [Image],
    pub(crate) unloaded: &'a [UnloadedDriver],
    pub(crate) unloaded_count: u32,
    pub(crate) keys: Option<DebuggerKeys>,
    pub(crate) tick_count: u64,
    pub(crate) pools: [u64; 4],
    pub(crate) pfn_database: u64,
}

impl Kernel<'_> {
    pub(crate) fn lay_out(&self, m: &mut Assembly) {
        let machine = m.build.machine();
        for image in self.images {
            for (rva, bytes) in image.render(machine) {
                m.patch(image.base + u64::from(rva), &bytes);
            }
        }
        self.globals(m);
        self.modules(m);
        self.unloaded(m);
        self.shared_data(m);
        self.debugger(m);
        self.tables(m);
        m.header.ps_loaded_module_list = Some(m.global("PsLoadedModuleList"));
        m.header.ps_active_process_head = Some(m.global("PsActiveProcessHead"));
        m.header.kd_debugger_data_block = Some(m.global("KdDebuggerDataBlock"));
        m.header.pfn_database = Some(self.pfn_database);
    }

    fn globals(&self, m: &mut Assembly) {
        let kernel = &self.images[0];
        for (name, size) in GLOBALS {
            if let Some((_, rva)) = kernel.symbols.iter().find(|(symbol, _)| symbol == name) {
                let va = kernel.base + u64::from(*rva);
                m.label(format!("nt!{name}"), va);
                m.patch(va, &vec![0; *size as usize]);
            }
        }
        m.link(m.global("PsActiveProcessHead"), &[]);
        let (major, minor) = m.build.version();
        let lab = format!("{}.synth.{major}{minor}_rtm.260101-0000", m.build.number());
        m.patch(m.global("NtBuildLab"), lab.as_bytes());
        m.set_u32("NtBuildNumber", 0xf000_0000 | m.build.number());
        m.set_pointer("MmPfnDatabase", self.pfn_database);
        for (name, value) in
            ["MmNonPagedPoolStart", "MmNonPagedPoolEnd", "MmPagedPoolStart", "MmPagedPoolEnd"]
                .into_iter()
                .zip(self.pools)
        {
            m.set_pointer(name, value);
        }
        let (highest, range, probe) = match machine_is_wide(m) {
            true => (0x7ff_fffe_ffff, 0xffff_8000_0000_0000, 0x7ff_ffff_0000),
            false => (0x7ffe_ffff, 0x8000_0000, 0x7fff_0000),
        };
        m.set_pointer("MmHighestUserAddress", highest);
        m.set_pointer("MmSystemRangeStart", range);
        m.set_pointer("MmUserProbeAddress", probe);
    }

    fn modules(&self, m: &mut Assembly) {
        let structure = if m.layouts.has("_KLDR_DATA_TABLE_ENTRY") {
            "_KLDR_DATA_TABLE_ENTRY"
        } else {
            "_LDR_DATA_TABLE_ENTRY"
        };
        let size = m.layouts.size(structure);
        let full_name = m.layouts.offset(structure, "FullDllName") as u64;
        let base_name = m.layouts.offset(structure, "BaseDllName") as u64;
        let mut entries = Vec::new();
        for (i, image) in self.images.iter().enumerate() {
            let va = m.allocate(size, 16);
            let record = m.layouts.record(structure);
            let record = record
                .set("DllBase", image.base)
                .set("EntryPoint", image.base + u64::from(image.text().start));
            let record = record.set("SizeOfImage", image.size.into()).set("Flags", 0x0900_4000);
            let mut record = record.set_if("CheckSum", image.check_sum.into());
            if structure.starts_with("_KLDR") {
                record = record.set_if("TimeDateStamp", image.time_date_stamp.into());
                record =
                    record.set_if("SizeOfImageNotRounded", image.size.into()).set("LoadCount", 1);
            }
            let bytes = record.bytes();
            m.patch(va, &bytes);
            let folder =
                if i < 2 { r"\SystemRoot\system32" } else { r"\SystemRoot\System32\drivers" };
            let path = format!(r"{folder}\{}", image.name);
            m.put_string(va + full_name, &path);
            m.drivers.push(SmallDumpDriver {
                path,
                base: image.base,
                size: image.size,
                check_sum: image.check_sum,
                time_date_stamp: image.time_date_stamp,
            });
            m.put_string(va + base_name, &image.name);
            m.label(format!("module:{}", image.name), va);
            entries.push(va);
        }
        m.link(m.global("PsLoadedModuleList"), &entries);
    }

    fn unloaded(&self, m: &mut Assembly) {
        m.unloaded =
            self.unloaded.iter().rev().map(|one| (one.name.clone(), one.start, one.end)).collect();
        if self.unloaded.is_empty() {
            return;
        }
        let structure = "_UNLOADED_DRIVERS";
        let size = m.layouts.size(structure);
        let array = m.allocate(size * UNLOADED_SLOTS, 16);
        m.patch(array, &vec![0; size * UNLOADED_SLOTS]);
        m.label("unloaded drivers", array);
        let first = self.unloaded_count as usize - self.unloaded.len();
        for (i, driver) in self.unloaded.iter().enumerate() {
            let va = array + ((first + i) % UNLOADED_SLOTS * size) as u64;
            let record = m
                .layouts
                .record(structure)
                .set("StartAddress", driver.start)
                .set("EndAddress", driver.end);
            let bytes = record.set("CurrentTime", driver.time).bytes();
            m.patch(va, &bytes);
            m.put_string(va, &driver.name);
        }
        m.set_pointer("MmUnloadedDrivers", array);
        m.set_u32("MmLastUnloadedDriver", (self.unloaded_count as usize % UNLOADED_SLOTS) as u32);
    }

    fn shared_data(&self, m: &mut Assembly) {
        let va = if machine_is_wide(m) { 0xffff_f780_0000_0000 } else { 0xffdf_0000 };
        let (major, minor) = m.build.version();
        m.patch(va + 0x26c, &u32::from(major).to_le_bytes());
        m.patch(va + 0x270, &u32::from(minor).to_le_bytes());
        m.patch(va + 0x320, &self.tick_count.to_le_bytes());
    }

    fn debugger(&self, m: &mut Assembly) {
        let block = m.global("KdDebuggerDataBlock");
        let list = m.global("KdpDebuggerDataListHead");
        let base = self.images[0].base;
        let size = match m.build.number() {
            7601 => 0x340,
            ..20348 => 0x368,
            _ => 0x3a0,
        };
        let mut words = vec![0u64; size / 8];
        words[0] = list;
        words[1] = list;
        words[2] = (size as u64) << 32 | u64::from(u32::from_le_bytes(*b"KDBG"));
        words[3] = base;
        for (offset, name) in DEBUGGER_FIELDS {
            words[offset / 8] = m.global(name);
        }
        words[0x138 / 8] = 0x1000;
        if let Some(keys) = self.keys {
            let flag = m.global("KdpDataBlockEncoded");
            for word in &mut words {
                *word = encode(*word, keys, flag);
            }
            m.patch(flag, &[1]);
            m.patch(m.global("KiWaitNever"), &keys.wait_never.to_le_bytes());
            m.patch(m.global("KiWaitAlways"), &keys.wait_always.to_le_bytes());
        }
        let bytes: Vec<u8> = words.into_iter().flat_map(u64::to_le_bytes).collect();
        m.patch(block, &bytes);
        m.link(list, &[]);
        m.patch_pointer(list, block);
        m.patch_pointer(list + m.layouts.pointer_size() as u64, block);

        // 32-bit kernels sign-extend these pointers.
        let wide = |va: u64| {
            if machine_is_wide(m) { va } else { va as u32 as i32 as u64 }
        };
        let record = m.layouts.record("_DBGKD_GET_VERSION64").set("MajorVersion", 15);
        let record = record.set("MinorVersion", m.build.number().into()).set("ProtocolVersion", 6);
        let record = record
            .set("Flags", if machine_is_wide(m) { 7 } else { 3 })
            .set("MachineType", m.build.machine().value().into());
        let record = record
            .set("KernBase", wide(base))
            .set("PsLoadedModuleList", wide(m.global("PsLoadedModuleList")));
        let bytes = record.set("DebuggerDataList", wide(list)).bytes();
        m.patch(m.global("KdVersionBlock"), &bytes);
    }

    fn tables(&self, m: &mut Assembly) {
        for (i, image) in self.images.iter().enumerate() {
            if let (Some(pdb), Some(file)) = (&image.pdb, &image.pdb_file) {
                // The path in a symbol store.
                let path = format!("{0}/{1}{2:X}/{0}", pdb.name, pdb.guid_text(), pdb.age);
                m.files.push((path, file.clone()));
            } else if let Some(pdb) = &image.pdb {
                let layouts = (i == 0).then_some(&m.layouts);
                let document = isf::document(pdb, m.build.machine(), &image.symbols, layouts);
                let text = serde_json::to_vec_pretty(&document).expect("a JSON value is writable");
                m.files.push((isf::path(pdb), text));
            }
        }
    }
}

fn machine_is_wide(m: &Assembly) -> bool {
    m.build.machine() != MachineType::X86
}
