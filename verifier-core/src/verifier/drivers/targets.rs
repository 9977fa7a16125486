//! Verified images: the tree of target drivers, and the data that it leads to.

use std::sync::Arc;

use super::{SuspectLayout, TargetDriver};
use crate::addr::Va;
use crate::error::{Error, Problem};
use crate::kernel::{AvlLayout, Kernel, Limits, walk_avl};
use crate::types::{Field, Structure, TypeSource};
use crate::verifier::counters::{Counters, required};

/// `_VF_TARGET_VERIFIED_DRIVER_DATA.Signature`.
pub(in crate::verifier) const DATA_SIGNATURE: u64 = 0x9876_1940;
/// Tables of a `_VF_AVL_TREE`: the kernel makes 1, 16, 32 or 64.
const MAX_TABLES: u64 = 64;

/// Offsets of this view, resolved once.
pub(in crate::verifier) struct Layout {
    pub(in crate::verifier) suspect: SuspectLayout,
    pub(in crate::verifier) tables: u64,
    pub(in crate::verifier) tables_no: u64,
    /// `None` if the types do not have it.
    node_count: Option<Field>,
    table_size: u64,
    pub(in crate::verifier) rtl_table: u64,
    pub(in crate::verifier) avl: AvlLayout,
    p: Field,
    range_size: Field,
    verified_data: Field,
    target_size: usize,
    suspect_entry: Field,
    pub(in crate::verifier) signature: Field,
    data: Arc<Structure>,
    first_counter: u64,
}

impl Layout {
    pub(in crate::verifier) fn resolve(types: &dyn TypeSource) -> Result<Self, Error> {
        let target = "_VF_TARGET_DRIVER";
        let data = "_VF_TARGET_VERIFIED_DRIVER_DATA";
        // From 14393 on the node has a session beside it and its own fields one step deeper.
        let node = |field: &str| {
            types
                .field(target, &format!("TreeNode.{field}"))
                .or_else(|_| types.field(target, &format!("TreeNode.Base.{field}")))
        };
        let size = |name: &str| types.size_of(name).map(|size| size.min(0x1000) as usize);
        Ok(Self {
            suspect: SuspectLayout::resolve(types, "_VF_SUSPECT_DRIVER_ENTRY")?,
            tables: types.field("_VF_AVL_TREE", "Tables")?.offset,
            tables_no: types.field("_VF_AVL_TREE", "TablesNo")?.offset,
            node_count: types.field("_VF_AVL_TREE", "NodeCount").ok(),
            table_size: types.size_of("_VF_AVL_TABLE")?,
            rtl_table: types.field("_VF_AVL_TABLE", "RtlTable")?.offset,
            avl: AvlLayout::from_types(types)?,
            p: node("p")?,
            range_size: node("RangeSize")?,
            verified_data: types.field(target, "VerifiedData")?,
            target_size: size(target)?,
            suspect_entry: types.field(data, "SuspectDriverEntry")?,
            signature: types.field(data, "Signature")?,
            data: required(types, data)?,
            first_counter: types.field(data, "CurrentPagedPoolAllocations")?.offset,
        })
    }
}

/// The verified images with the entries that they belong to.
pub(in crate::verifier) fn targets(
    kernel: &Kernel,
    layout: &Layout,
    tree: Va,
    limits: &Limits,
    problems: &mut Vec<Problem>,
) -> Vec<(Va, TargetDriver)> {
    let what = "tree of target drivers";
    let space = kernel.space();
    let head = space
        .read_pointer(tree.add(layout.tables))
        .and_then(|tables| Ok((tables, space.memory().read_u32(tree.add(layout.tables_no))?)));
    let (tables, count) = match head {
        Ok((tables, count)) => (tables, u64::from(count)),
        Err(fault) => {
            problems.push(Problem::at(what, tree, fault));
            return Vec::new();
        }
    };
    let nodes = node_count(kernel, layout, tree);
    if tables.is_null() {
        if let Some(nodes @ 1..) = nodes {
            let why = format!("it has no table, but NodeCount is {nodes}");
            problems.push(Problem::at(what, tree, why));
        }
        return Vec::new();
    }
    if count > MAX_TABLES {
        problems.push(Problem::at(
            what,
            tree,
            format!("{count} tables, at most {MAX_TABLES} exist"),
        ));
        return Vec::new();
    }
    let mut images = Vec::new();
    let mut target = vec![0u8; layout.target_size];
    let mut limits = limits.clone();
    let (before, mut found) = (problems.len(), 0);
    for i in 0..count {
        let table = tables.add(i.wrapping_mul(layout.table_size)).add(layout.rtl_table);
        let walk = walk_avl(space, table, &layout.avl, what, &limits);
        limits.tree_nodes = limits.tree_nodes.saturating_sub(walk.entries.len());
        found += walk.entries.len() as u64;
        if let Some(error) = walk.broken {
            problems.push(Problem::from_error(what, &error));
        }
        for address in walk.entries {
            if let Err(fault) = space.read(address, &mut target) {
                problems.push(Problem::at("target driver", address, fault));
                continue;
            }
            let data = Va(layout.verified_data.get(&target).unwrap_or(0));
            if data.is_null() {
                // Loaded, not verified.
                continue;
            }
            if images.len() >= limits.drivers {
                let (limit, name) = (limits.drivers as u64, "Limits::drivers");
                let error = Error::Limit { what: "verified images".into(), limit, name };
                problems.push(Problem::from_error(what, &error));
                return images;
            }
            let base = Va(layout.p.get(&target).unwrap_or(0));
            match verified(kernel, layout, data, problems) {
                Ok(Verified { entry, counters, .. }) => images.push((
                    entry,
                    TargetDriver {
                        address,
                        base,
                        size: layout.range_size.get(&target).unwrap_or(0),
                        verified_data: data,
                        counters,
                        is_carved: false,
                    },
                )),
                Err(error) => problems.push(Problem::from_error(
                    format!("verified data of the image at {base}"),
                    &error,
                )),
            }
        }
    }
    if let Some(nodes) = nodes.filter(|&nodes| nodes != found && problems.len() == before) {
        let why = format!("NodeCount is {nodes}, but the tree holds {found} nodes");
        problems.push(Problem::at(what, tree, why));
    }
    images
}

/// `NodeCount` of the tree, over all its tables.
fn node_count(kernel: &Kernel, layout: &Layout, tree: Va) -> Option<u64> {
    let Field { offset, shape } = layout.node_count.clone()?;
    let mut bytes = [0u8; 8];
    kernel.space().read(tree.add(offset), &mut bytes).ok()?;
    Field { offset: 0, shape }.get(&bytes)
}

/// What a `_VF_TARGET_VERIFIED_DRIVER_DATA` says.
pub(in crate::verifier) struct Verified {
    pub(super) signature: u64,
    pub(in crate::verifier) entry: Va,
    pub(in crate::verifier) counters: Counters,
}

/// Reads a `_VF_TARGET_VERIFIED_DRIVER_DATA`.
pub(in crate::verifier) fn verified(
    kernel: &Kernel,
    layout: &Layout,
    data: Va,
    problems: &mut Vec<Problem>,
) -> Result<Verified, Error> {
    let mut bytes = vec![0u8; layout.data.size.min(0x1000) as usize];
    kernel
        .space()
        .read(data, &mut bytes)
        .map_err(|fault| Error::read("_VF_TARGET_VERIFIED_DRIVER_DATA", fault))?;
    let signature = layout.signature.get(&bytes).unwrap_or(0);
    if signature != DATA_SIGNATURE {
        problems.push(Problem::at(
            "verified data",
            data,
            format!("its signature is {signature:#x}, not {DATA_SIGNATURE:#x}"),
        ));
    }
    Ok(Verified {
        signature,
        entry: Va(layout.suspect_entry.get(&bytes).unwrap_or(0)),
        counters: Counters::read(&layout.data, layout.first_counter, &bytes),
    })
}
