//! Balanced trees. An `_RTL_AVL_TABLE`, alone or at the start of a `_VF_AVL_TABLE`, has its root at
//! `BalancedRoot.RightChild`. A node is `_RTL_BALANCED_LINKS`, followed by its data. Source: public PDB
//! types.

use crate::assembly::Assembly;

/// Links nodes, in the order of their keys, into the tree of the table at `table`.
pub(super) fn table(m: &mut Assembly, table: u64, nodes: &[u64]) {
    let (root, depth) = subtree(m, nodes, table);
    let record = m.layouts.record("_RTL_AVL_TABLE").set("BalancedRoot.Parent", table);
    let record = record.set("BalancedRoot.RightChild", root);
    let bytes = record
        .set("NumberGenericTableElements", nodes.len() as u64)
        .set("DepthOfTree", depth)
        .bytes();
    m.patch(table, &bytes);
}

/// Links sorted nodes into a balanced tree and returns its root and depth.
fn subtree(m: &mut Assembly, nodes: &[u64], parent: u64) -> (u64, u64) {
    if nodes.is_empty() {
        return (0, 0);
    }
    let middle = nodes.len() / 2;
    let node = nodes[middle];
    let (left, left_depth) = subtree(m, &nodes[..middle], node);
    let (right, right_depth) = subtree(m, &nodes[middle + 1..], node);
    let record = m
        .layouts
        .record("_RTL_BALANCED_LINKS")
        .set("Parent", parent)
        .set("LeftChild", left)
        .set("RightChild", right);
    let balance = right_depth as i64 - left_depth as i64;
    let bytes = record.set("Balance", u64::from(balance as i8 as u8)).bytes();
    m.patch(node, &bytes);
    (node, 1 + left_depth.max(right_depth))
}
