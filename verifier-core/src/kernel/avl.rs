//! `RTL_AVL_TABLE`: balanced trees of the kernel's runtime library.
//!
//! The table's own `BalancedRoot` is a sentinel whose `RightChild` is the real root. A node's data follow
//! its `RTL_BALANCED_LINKS`.

use std::collections::HashSet;

use super::{AddressSpace, Limit, Limits, Walk, limit};
use crate::addr::Va;
use crate::error::{Error, Fault};
use crate::types::{Field, TypeSource};

/// The offsets of a tree's fields, resolved once.
#[derive(Debug, Clone)]
pub struct AvlLayout {
    root: u64,
    right_of_root: Field,
    count: Field,
    /// `None` if the types do not have it.
    parent: Option<Field>,
    left: Field,
    right: Field,
    links_size: u64,
}

impl AvlLayout {
    /// Resolves the layout.
    ///
    /// # Errors
    /// [`Error::MissingType`] or [`Error::MissingField`] of `_RTL_AVL_TABLE` and
    /// `_RTL_BALANCED_LINKS`.
    pub fn from_types(types: &dyn TypeSource) -> Result<Self, Error> {
        Ok(Self {
            root: types.field("_RTL_AVL_TABLE", "BalancedRoot")?.offset,
            right_of_root: types.field("_RTL_AVL_TABLE", "BalancedRoot.RightChild")?,
            count: types.field("_RTL_AVL_TABLE", "NumberGenericTableElements")?,
            parent: types.field("_RTL_BALANCED_LINKS", "Parent").ok(),
            left: types.field("_RTL_BALANCED_LINKS", "LeftChild")?,
            right: types.field("_RTL_BALANCED_LINKS", "RightChild")?,
            links_size: types.size_of("_RTL_BALANCED_LINKS")?,
        })
    }

    /// `NumberGenericTableElements` of the table at `table`.
    ///
    /// # Errors
    /// The [`Fault`] of the table.
    pub fn count(&self, space: &AddressSpace, table: Va) -> Result<u32, Fault> {
        space.memory().read_u32(table.add(self.count.offset))
    }
}

impl AvlLayout {
    /// The offset of the root in a table.
    pub(crate) fn root_offset(&self) -> u64 {
        self.right_of_root.offset
    }

    /// True if `table` can be the address of a table with elements: it counts from one to `most` elements
    /// and has a root in the kernel.
    #[must_use]
    pub fn is_plausible(&self, space: &AddressSpace, table: Va, most: u64) -> bool {
        let count = space.memory().read_u32(table.add(self.count.offset)).unwrap_or(0);
        (1..=most).contains(&u64::from(count))
            && space
                .read_pointer(table.add(self.right_of_root.offset))
                .is_ok_and(|root| space.is_kernel(root))
    }
}

/// The links of a node.
struct Links {
    /// `None` if the types do not have it.
    parent: Option<Va>,
    left: Va,
    right: Va,
}

impl AvlLayout {
    fn links(&self, space: &AddressSpace, node: Va) -> Result<Links, Fault> {
        let mut bytes = [0u8; MAX_LINKS];
        let size = usize::try_from(self.links_size).unwrap_or(MAX_LINKS).min(MAX_LINKS);
        let bytes = bytes.get_mut(..size).unwrap_or_default();
        space.read(node, bytes)?;
        let get = |field: &Field| Va(field.get(bytes).unwrap_or(0));
        let parent = self.parent.as_ref().map(get);
        Ok(Links { parent, left: get(&self.left), right: get(&self.right) })
    }
}

/// Bytes of `_RTL_BALANCED_LINKS`: 0x20 and 0x10.
const MAX_LINKS: usize = 0x40;

/// The elements of the table at `table`, in order: the addresses of the data after each node's links.
///
/// [`Walk::broken`] is the first of these: a subtree that cannot be read, which is left out; a node whose
/// parent is not the node that led to it; a count that differs from the table's own.
#[must_use]
pub fn walk_avl(
    space: &AddressSpace,
    table: Va,
    layout: &AvlLayout,
    what: &'static str,
    limits: &Limits,
) -> Walk {
    walk_avl_to(space, table, layout, what, limit!(limits, tree_nodes), &|| false)
}

/// Nodes between two checks of `stop`.
const NODES_BETWEEN_LOOKS: usize = 64;

/// Like [`walk_avl`], up to `limit` nodes, or until `stop` returns true.
pub(crate) fn walk_avl_to(
    space: &AddressSpace,
    table: Va,
    layout: &AvlLayout,
    what: &'static str,
    limit: Limit,
    stop: &dyn Fn() -> bool,
) -> Walk {
    let mut walk = Walk::default();
    let mut seen = HashSet::new();
    let root = match space.read_pointer(table.add(layout.right_of_root.offset)) {
        Ok(root) => root,
        Err(fault) => {
            walk.broken = Some(Error::read(what, fault));
            return walk;
        }
    };
    let mut note = |error: Error| {
        walk.broken.get_or_insert(error);
    };
    // Nodes whose left subtree is being walked.
    let mut pending: Vec<(Va, Va)> = Vec::new();
    // The root's parent is the sentinel.
    let mut above = table.add(layout.root);
    let mut here = root;
    let mut elements = Vec::new();
    loop {
        while !here.is_null() {
            if limit.is_reached(seen.len()) {
                note(limit.error(what));
                break;
            }
            if seen.len().is_multiple_of(NODES_BETWEEN_LOOKS) && stop() {
                note(Error::Stopped { what: what.into() });
                break;
            }
            let malformed =
                |why: String| Error::Malformed { address: here, what: what.into(), why };
            if !space.is_kernel(here) {
                note(malformed("a node outside the kernel".into()));
                break;
            }
            if !seen.insert(here) {
                note(malformed("a node is reached twice".into()));
                break;
            }
            match layout.links(space, here) {
                Ok(Links { parent, left, right }) => {
                    if let Some(parent) = parent.filter(|&parent| parent != above) {
                        let why = format!("its parent is {parent}, but {above} leads to it");
                        note(malformed(why));
                    }
                    pending.push((here, right));
                    (above, here) = (here, left);
                }
                Err(fault) => {
                    note(Error::read(what, fault));
                    break;
                }
            }
        }
        let Some((node, right)) = pending.pop() else { break };
        elements.push(node.add(layout.links_size));
        (above, here) = (node, right);
    }
    if walk.broken.is_none()
        && let Ok(count) = layout.count(space, table)
        && count as usize != elements.len()
    {
        walk.broken = Some(Error::Malformed {
            address: table,
            what: what.into(),
            why: format!("the table counts {count} elements, the tree holds {}", elements.len()),
        });
    }
    walk.entries = elements;
    walk
}
