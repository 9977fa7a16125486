//! Contiguous memory that a verified driver holds:
//! `_VF_TARGET_VERIFIED_DRIVER_DATA.ContiguousMemoryListHead`.
//!
//! Memory from `MmAllocateContiguousMemory*` and `MmAllocateNonCachedMemory` is not a pool block and does not
//! have a tracking entry. Verifier keeps a list of nodes {LIST_ENTRY, address, size, caller}, five pointers
//! long (pool tag `VfCa`). No PDB has the node's type. The layout is that of two x64 kernels, one of Windows
//! 10 and one of Windows 11 22H2 (`ViTargetTrackContiguousMemory`); all other kernels are assumed to have the
//! same, x86 with pointers of four bytes. If the sizes do not add up to the driver's `ContiguousMemoryBytes`,
//! that is a problem.

use crate::addr::Va;
use crate::bytes::le;
use crate::error::Problem;
use crate::kernel::{Kernel, Limits, walk_list};
use crate::verifier::allocation::{Allocation, Source};
use crate::verifier::tag::PoolTag;

/// Reads the nodes of the list at `head`; `owner` names the driver in problems, `counted` is its
/// `ContiguousMemoryBytes`. All drivers share the entries of `limits`, because many could lead to one long
/// list.
pub(super) fn read_contiguous(
    kernel: &Kernel,
    owner: &str,
    head: Va,
    counted: Option<u64>,
    limits: &mut Limits,
    problems: &mut Vec<Problem>,
) -> Vec<Allocation> {
    let space = kernel.space();
    let before = problems.len();
    let what = || format!("contiguous memory of {owner}");
    let mut held = Vec::new();
    let is_unset = space.read_pointer(head) == Ok(Va(0));
    if !is_unset {
        let walk = walk_list(space, head, "list of contiguous memory", limits);
        limits.list_entries = limits.list_entries.saturating_sub(walk.entries.len());
        if let Some(error) = walk.broken {
            problems.push(Problem::from_error(what(), &error));
        }
        let pointer = space.pointer_size();
        let mut bytes = vec![0u8; 5 * pointer];
        for node in walk.entries {
            if let Err(fault) = space.read(node, &mut bytes) {
                problems.push(Problem::at(what(), node, fault));
                continue;
            }
            let field = |index: usize| le(&bytes, index * pointer, pointer).unwrap_or(0);
            held.push(Allocation {
                address: Va(field(2)),
                size: field(3),
                tag: PoolTag::default(),
                caller: Va(field(4)),
                entry: node,
                source: Source::Contiguous,
                impossible: None,
            });
        }
    }
    let found = held.iter().fold(0u64, |sum, memory| sum.saturating_add(memory.size));
    // A part that could not be read is a problem already.
    if problems.len() == before
        && let Some(counted) = counted
        && counted != found
    {
        problems.push(Problem::at(
            what(),
            head,
            format!("its counter says {counted:#x} bytes, its list holds {found:#x}"),
        ));
    }
    held
}
