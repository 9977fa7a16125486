//! The machine of the walk-through: Windows 7 x64, `verifier /flags 8 /driver myfault.sys`, ten leaked
//! blocks, a summary dump.
//!
//! Addresses, sizes, tag, caller, thread, stack and statistics are from the article "Troubleshooting Pool
//! Leaks Part 6 – Driver Verifier". The article does not give the bases, the other modules and the addresses
//! of structures; these are invented to match.

use crate::assembly::Sample;
use crate::build::Build;
use crate::driver::Driver;
use crate::dump::{BugCheck, DumpKind};
use crate::kernel::UnloadedDriver;
use crate::machine::{Machine, PoolRecord};
use crate::verifier::{Allocation, Suspect};

/// A base that puts every kernel frame of the walk-through inside the image.
const KERNEL: u64 = 0xffff_f800_0140_c000;
/// Likewise for the driver.
const MYFAULT: u64 = 0xffff_f880_0447_c000;
const THREAD: u64 = 0xffff_fa80_044c_eb60;

/// The blocks, as the debugger prints them.
const BLOCKS: [u64; 10] = [
    0xffff_fa80_0540_0000,
    0xffff_fa80_052f_b000,
    0xffff_fa80_0520_0000,
    0xffff_fa80_050f_b000,
    0xffff_fa80_0500_0000,
    0xffff_fa80_04ef_b000,
    0xffff_fa80_04e0_0000,
    0xffff_fa80_04cf_b000,
    0xffff_fa80_04c0_0000,
    0xffff_fa80_04a6_6000,
];

const STACK: [u64; 8] = [
    0xffff_f800_0192_7cc6,
    0xffff_f800_0192_7d3d,
    0xffff_f880_0447_d634,
    0xffff_f880_0447_d727,
    0xffff_f800_0193_2750,
    0xffff_f800_017a_7a97,
    0xffff_f800_017a_82f6,
    0xffff_f800_0148_bed3,
];

/// Each routine with its address: the frame minus the displacement that the walk-through prints.
const ROUTINES: [(&str, u64); 6] = [
    ("VeAllocatePoolWithTagPriority", STACK[0] - 0x2b6),
    ("VerifierExAllocatePoolEx", STACK[1] - 0x1d),
    ("IovCallDriver", STACK[4] - 0xa0),
    ("IopXxxControlFile", STACK[5] - 0x607),
    ("NtDeviceIoControlFile", STACK[6] - 0x56),
    ("KiSystemServiceCopyEnd", STACK[7] - 0x13),
];

/// The machine, so that you can change it.
pub fn walkthrough_machine() -> Machine {
    let mut m = Machine::new(Build::Win7Sp1);
    m.kernel_base(KERNEL);
    for (name, address) in ROUTINES {
        m.kernel_symbol(name, (address - KERNEL) as u32);
    }
    // The load addresses of drivers that the article does not show.
    for (name, base, size) in [
        ("kdcom.dll", 0xffff_f880_00b9_5000, 0xa000),
        ("Wdf01000.sys", 0xffff_f880_00e3_c000, 0xa4000),
    ] {
        m.driver(
            Driver::new(name)
                .base(base)
                .size(size)
                .pdb(&format!("{}.pdb", &name[..name.len() - 4])),
        );
    }
    m.driver(Driver::new("ntfs.sys").base(0xffff_f880_0124_a000).size(0x1a_3000).pdb("ntfs.pdb"));
    let myfault = Driver::new("myfault.sys").base(MYFAULT).size(0x8000).pdb("myfault.pdb");
    let myfault = myfault
        .symbol("DriverEntry", 0x5000)
        .symbol("MyfaultUnload", 0x1080)
        .symbol("MyfaultDeviceControl", (STACK[2] - 0x358 - MYFAULT) as u32)
        .symbol("MyfaultDispatch", (STACK[3] - 0xb7 - MYFAULT) as u32);
    let myfault = m.driver(myfault);
    m.unloaded_driver(UnloadedDriver {
        name: "crashdmp.sys".into(),
        start: 0xffff_f880_0140_0000,
        end: 0xffff_f880_0140_e000,
        time: 0x01cc_7a99_1b2a_8000,
    });

    m.level(8)
        .statistic("AllocationsAttempted", 0xb)
        .statistic("AllocationsSucceeded", 0xb)
        .statistic("AllocationsSucceededSpecialPool", 0xa)
        .statistic("AllocationsWithNoTag", 1);
    let entry = Suspect {
        name: "myfault.sys".into(),
        loads: 1,
        unloads: 0,
        address: Some(0xffff_fa80_031b_5830),
    };
    let verified = m.verified_as(myfault, entry);
    // Free entries are taken from the end of the page, so the newest block has the lowest slot.
    verified.fresh(117);
    for address in BLOCKS {
        verified.allocation(
            Allocation::nonpaged(address, 0xf_b000, b"Leak", STACK[2]).with_back_pointer(),
        );
    }
    verified
        .counter("PeakPagedPoolAllocations", 1)
        .counter("PeakPagedBytes", 0x80)
        .counter("AllocationsWithNoTag", 1);

    records(&mut m);
    m.bug_check(BugCheck { code: 0xe2, parameters: [0; 4] });
    m
}

/// The pool log, oldest first: the one paged block, its free, and the leak.
fn records(m: &mut Machine) {
    let nt = |m: &Machine, name: &str, offset: u64| m.kernel_address(name) + offset;
    let paged = 0xffff_f8a0_0123_4f80;
    let entry = MYFAULT + 0x5000;
    let start = [entry + 0x5c, nt(m, "KiStartSystemThread", 0x16)];
    let allocated = [&STACK[..2], &start].concat();
    let freed = [
        &[
            nt(m, "VfFreePoolNotification", 0x31),
            nt(m, "VerifierExFreePoolWithTag", 0x2d),
            entry + 0x71,
        ],
        &start[1..],
    ]
    .concat();
    let system = 0xffff_fa80_018d_5040;
    for (size, frames) in [(0x78, allocated), (0x80, freed)] {
        m.pool_record(PoolRecord {
            address: paged,
            size,
            thread: system,
            frames,
            stale: Vec::new(),
        });
    }
    for address in BLOCKS.into_iter().rev() {
        m.pool_record(PoolRecord {
            address,
            size: 0xf_a000,
            thread: THREAD,
            frames: STACK.to_vec(),
            // Frames left by a longer stack of an earlier lap; they must not be shown.
            stale: vec![STACK[5], STACK[6], 0xffff_fa80_01a0_0010],
        });
    }
}

/// The dump of the walk-through with its symbol tables.
pub fn walkthrough() -> Sample {
    walkthrough_machine().build(DumpKind::Summary)
}
