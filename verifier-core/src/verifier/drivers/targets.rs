//! Verified images: the tree of target drivers, and the data that it leads to.

use std::sync::Arc;

use super::driver::TargetDriver;
use super::suspects::SuspectLayout;
use crate::addr::Va;
use crate::error::{Error, Problem};
use crate::kernel::{AvlLayout, Kernel, Limits, limit, walk_avl};
use crate::types::{Field, Structure, TypeSource};
use crate::verifier::counters::{Counters, required};

/// `_VF_TARGET_VERIFIED_DRIVER_DATA.Signature`.
pub(in crate::verifier) const DATA_SIGNATURE: u64 = 0x9876_1940;
/// Tables of a `_VF_AVL_TREE`: the kernel makes 1, 16, 32 or 64.
const MAX_TABLES: u64 = 64;

const TREE: &str = "tree of target drivers";

/// A verified image with the entry of the configured driver that its data points at.
pub(in crate::verifier) type Target = (Va, TargetDriver);

/// Offsets of tree, images and their data, resolved once.
pub(in crate::verifier) struct TargetLayout {
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
    pub(super) signature: Field,
    data: Arc<Structure>,
    first_counter: u64,
}

/// What a `_VF_TARGET_VERIFIED_DRIVER_DATA` says.
pub(super) struct Verified {
    pub(super) signature: u64,
    pub(super) entry: Va,
    pub(super) counters: Counters,
}

impl TargetLayout {
    pub(in crate::verifier) fn resolve(types: &dyn TypeSource) -> Result<Self, Error> {
        let target = "_VF_TARGET_DRIVER";
        let data = "_VF_TARGET_VERIFIED_DRIVER_DATA";
        // From 14393 on the node has a session beside it, and its own fields are one step deeper.
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

    /// True if Verifier's signature is in the data at `data`. Four bytes of it are set on every machine; the
    /// rest of the field is zero.
    pub(in crate::verifier) fn is_signed(&self, kernel: &Kernel, data: Va) -> bool {
        let word = kernel.space().memory().read_u32(data.add(self.signature.offset));
        word.is_ok_and(|word| u64::from(word) == DATA_SIGNATURE)
    }

    /// The name of the driver to which the data at `data` belongs.
    pub(in crate::verifier) fn name_of(&self, kernel: &Kernel, data: Va) -> Result<String, Error> {
        let entry = kernel.space().read_pointer(data.add(self.suspect_entry.offset));
        self.suspect.name(kernel, entry.unwrap_or_default())
    }

    /// Reads the `_VF_TARGET_VERIFIED_DRIVER_DATA` at `data`. A wrong signature is a problem.
    pub(super) fn verified(
        &self,
        kernel: &Kernel,
        data: Va,
        problems: &mut Vec<Problem>,
    ) -> Result<Verified, Error> {
        let mut bytes = vec![0u8; self.data.size.min(0x1000) as usize];
        kernel
            .space()
            .read(data, &mut bytes)
            .map_err(|fault| Error::read("_VF_TARGET_VERIFIED_DRIVER_DATA", fault))?;
        let signature = self.signature.get(&bytes).unwrap_or(0);
        if signature != DATA_SIGNATURE {
            let why = format!("its signature is {signature:#x}, not {DATA_SIGNATURE:#x}");
            problems.push(Problem::at("verified data", data, why));
        }
        Ok(Verified {
            signature,
            entry: Va(self.suspect_entry.get(&bytes).unwrap_or(0)),
            counters: Counters::read(&self.data, self.first_counter, &bytes),
        })
    }

    /// The tables of the tree at `tree`: where the first one is, and how many there are.
    fn tables(&self, kernel: &Kernel, tree: Va) -> Result<(Va, u64), Problem> {
        let space = kernel.space();
        let head = space
            .read_pointer(tree.add(self.tables))
            .and_then(|tables| Ok((tables, space.memory().read_u32(tree.add(self.tables_no))?)));
        let (tables, count) = head.map_err(|fault| Problem::at(TREE, tree, fault))?;
        let count = u64::from(count);
        if tables.is_null() {
            return match self.node_count(kernel, tree) {
                Some(nodes @ 1..) => {
                    let why = format!("it has no table, but NodeCount is {nodes}");
                    Err(Problem::at(TREE, tree, why))
                }
                _ => Ok((tables, 0)),
            };
        }
        if count > MAX_TABLES {
            let why = format!("{count} tables, at most {MAX_TABLES} exist");
            return Err(Problem::at(TREE, tree, why));
        }
        Ok((tables, count))
    }

    /// `NodeCount` of the tree, over all its tables.
    fn node_count(&self, kernel: &Kernel, tree: Va) -> Option<u64> {
        let Field { offset, shape } = self.node_count.clone()?;
        let mut bytes = [0u8; 8];
        kernel.space().read(tree.add(offset), &mut bytes).ok()?;
        Field { offset: 0, shape }.get(&bytes)
    }

    /// The verified image of the node at `address`; `None` if the image is loaded but not verified.
    fn target(
        &self,
        kernel: &Kernel,
        address: Va,
        node: &mut [u8],
        problems: &mut Vec<Problem>,
    ) -> Option<Target> {
        if let Err(fault) = kernel.space().read(address, node) {
            problems.push(Problem::at("target driver", address, fault));
            return None;
        }
        let get = |field: &Field| field.get(node).unwrap_or(0);
        let (verified_data, base) = (Va(get(&self.verified_data)), Va(get(&self.p)));
        if verified_data.is_null() {
            return None;
        }
        match self.verified(kernel, verified_data, problems) {
            Ok(Verified { entry, counters, .. }) => {
                let size = get(&self.range_size);
                let image =
                    TargetDriver { address, base, size, verified_data, counters, is_carved: false };
                Some((entry, image))
            }
            Err(error) => {
                let what = format!("verified data of the image at {base}");
                problems.push(Problem::from_error(what, &error));
                None
            }
        }
    }
}

/// The verified images of the tree at `tree`.
pub(in crate::verifier) fn targets(
    kernel: &Kernel,
    layout: &TargetLayout,
    tree: Va,
    limits: &Limits,
    problems: &mut Vec<Problem>,
) -> Vec<Target> {
    let (tables, count) = match layout.tables(kernel, tree) {
        Ok(tables) => tables,
        Err(problem) => {
            problems.push(problem);
            return Vec::new();
        }
    };
    let mut images = Vec::new();
    let mut node = vec![0u8; layout.target_size];
    let mut limits = limits.clone();
    let (before, mut found) = (problems.len(), 0);
    for i in 0..count {
        let table = tables.add(i.wrapping_mul(layout.table_size)).add(layout.rtl_table);
        let walk = walk_avl(kernel.space(), table, &layout.avl, TREE, &limits);
        limits.tree_nodes = limits.tree_nodes.saturating_sub(walk.entries.len());
        found += walk.entries.len() as u64;
        if let Some(error) = walk.broken {
            problems.push(Problem::from_error(TREE, &error));
        }
        for address in walk.entries {
            let Some(target) = layout.target(kernel, address, &mut node, problems) else {
                continue;
            };
            let limit = limit!(limits, drivers);
            if limit.is_reached(images.len()) {
                problems.push(Problem::from_error(TREE, &limit.error("verified images")));
                return images;
            }
            images.push(target);
        }
    }
    let nodes = if tables.is_null() { None } else { layout.node_count(kernel, tree) };
    if let Some(nodes) = nodes.filter(|&nodes| nodes != found && problems.len() == before) {
        let why = format!("NodeCount is {nodes}, but the tree holds {found} nodes");
        problems.push(Problem::at(TREE, tree, why));
    }
    images
}
