//! A machine on which the driver of [`Linked`] leaks.

use crate::assembly::Sample;
use crate::build::Build;
use crate::driver::Driver;
use crate::dump::{DumpKind, MachineType};
use crate::linked::Linked;
use crate::machine::{DriverId, Machine, PoolRecord};
use crate::verifier::Allocation;

/// The blocks of [`leaky_machine`]: the functions of the call, which of such calls, the call of that function
/// in `DriverEntry`, how many blocks of how many bytes.
const LEAKS: [(&[&str], usize, usize, u64, u64); 5] = [
    // A node and its data: the allocator is inlined into a function that is inlined too.
    (&["PoolAllocate", "NodeCreate", "CacheInsert"], 0, 1, 12, 0x18),
    (&["PoolAllocate", "NodeCreate", "CacheInsert"], 1, 1, 30, 0x200),
    // A macro allocates.
    (&["QueuePush"], 0, 0, 3, 0x10),
    // A member function is inlined.
    (&["PoolAllocate", "wire::Session::Open", "SessionOpen"], 0, 2, 1, 0x1000),
    (&["PoolAllocate", "DriverEntry"], 0, 0, 1, 0x40),
];

/// A machine with the driver [`Linked::leaky`], which holds 47 blocks: 42 of a cache (30 of them the data of
/// its nodes), 3 of a queue, 1 of a session and 1 of its entry. Each block has a record in the pool log.
pub fn leaky_machine(build: Build) -> (Machine, DriverId) {
    let linked = Linked::leaky(build.machine());
    let mut m = Machine::new(build);
    let leaky = m.driver(Driver::new("leaky.sys").linked(&linked));
    let base = m.image(leaky).base;
    m.level(8);
    let hooks = [
        m.kernel_address("VeAllocatePoolWithTagPriority") + 0x2b6,
        m.kernel_address("VerifierExAllocatePoolEx") + 0x1d,
    ];
    let thread_start = m.kernel_address("KiStartSystemThread") + 0x16;
    let mut blocks = Vec::new();
    for (functions, nth, entry, count, size) in LEAKS {
        let caller = base + u64::from(linked.call(functions, nth));
        let mut frames = [&hooks[..], &[caller]].concat();
        if !functions.contains(&"DriverEntry") {
            frames.push(base + u64::from(linked.call(&["DriverEntry"], entry)));
        }
        frames.push(thread_start);
        for _ in 0..count {
            // Past the structures that a machine lays out.
            let address = m.pool_start() + 0x100_0000 + 0x2000 * blocks.len() as u64;
            blocks.push(Allocation::nonpaged(address, size, b"Leak", caller));
            let (frames, thread) = (frames.clone(), m.pool_start() + 0x80_0040);
            m.pool_record(PoolRecord { address, size, thread, frames, stale: Vec::new() });
        }
    }
    let verified = m.verified(leaky);
    for block in blocks {
        verified.allocation(block);
    }
    (m, leaky)
}

/// The dump of [`leaky_machine`] with its symbols: a PDB with lines for the driver, tables for the others.
pub fn leaky(build: Build) -> Sample {
    let kind = match build.machine() {
        MachineType::X86 => DumpKind::Complete,
        _ if build == Build::Win7Sp1 => DumpKind::Summary,
        _ => DumpKind::BitmapKernel,
    };
    leaky_machine(build).0.build(kind)
}
