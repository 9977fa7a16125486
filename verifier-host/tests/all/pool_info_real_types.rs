//! The pool info trees and contiguous memory, at the addresses of a real kernel's symbols: laid over dumps of
//! 22000, with the option on.
//!
//! The dumps' own blocks are on tracking pages. Here copies replace the pages of the globals: bit 0x1000 of
//! `VfOptionFlags` is set, and both tables have a root. The nodes are at addresses that the dump does not
//! have.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use crate::common::shared;
use verifier_core::Va;
use verifier_core::analysis::{Leaks, StackSource};
use verifier_core::error::Fault;
use verifier_core::kernel::{AddressSpace, Hints, Kernel};
use verifier_core::memory::{Memory, Residence};
use verifier_core::verifier::{AttributedBy, PoolReport, PoolTag};
use verifier_host::Session;
use verifier_host::symbols::SymbolPath;

/// The address of the nodes.
const NODES: u64 = 0xffff_cccc_0000_0000;
const BLOCK: u64 = 0xffff_cccc_1000_0000;

/// Memory with pages laid over it.
struct Overlay {
    below: AddressSpace,
    pages: BTreeMap<u64, Vec<u8>>,
}

impl Overlay {
    fn write(&mut self, at: u64, bytes: &[u8]) {
        for (i, &byte) in bytes.iter().enumerate() {
            let at = at + i as u64;
            let page = self.pages.entry(at & !0xfff).or_insert_with(|| {
                let mut page = vec![0; 0x1000];
                let _ = self.below.read(Va(at & !0xfff), &mut page);
                page
            });
            page[(at & 0xfff) as usize] = byte;
        }
    }

    fn write_words(&mut self, at: u64, words: &[u64]) {
        for (i, word) in words.iter().enumerate() {
            self.write(at + 8 * i as u64, &word.to_le_bytes());
        }
    }
}

impl Memory<Va> for Overlay {
    fn read_in_page(&self, at: Va, buf: &mut [u8]) -> Result<Residence, Fault> {
        let Some(page) = self.pages.get(&at.page().0) else { return self.below.read(at, buf) };
        let start = at.page_offset() as usize;
        buf.copy_from_slice(&page[start..start + buf.len()]);
        Ok(Residence::Valid)
    }
}

fn scenario(folder: &Path) {
    let symbols = || {
        let mut path = SymbolPath::new();
        path.push(folder.join("symbols").to_str().unwrap()).unwrap();
        path
    };
    let plain = Session::open(&folder.join("memory.dmp"), symbols()).unwrap();
    let kernel = plain.kernel().unwrap();
    let before = PoolReport::read(kernel, |_| true).unwrap();
    assert!(before.pool_info.empty_because.unwrap().contains("bit 0x1000"));
    let global = |name: &str| kernel.global(name).unwrap().0;
    let leaky = before.drivers.iter().find(|pool| pool.driver.name == "leaky.sys").unwrap();
    let caller = leaky.driver.images[0].base.0 + 0x1010;
    let inside = kernel.base().0 + 0x1000;

    let mut memory = Overlay { below: kernel.space().clone(), pages: BTreeMap::new() };
    memory.write(global("VfOptionFlags"), &0x1000_u32.to_le_bytes());
    // On a page that is not in the dumps.
    memory.write(global("DifpPoolTagsSize"), &0_u32.to_le_bytes());
    // Two blocks, the second left of the first; one stack. A node begins with parent, left, right and
    // balance.
    let [root, left, stack] = [0, 0x100, 0x200].map(|offset| NODES + offset);
    for (table, root, count) in [("ViPoolInfoAvl", root, 2_u32), ("ViPoolStackInfoAvl", stack, 1)] {
        let table = global(table);
        memory.write_words(table, &[table, 0, root, 0]);
        memory.write(table + 0x2c, &count.to_le_bytes());
    }
    let element = stack + 0x20;
    memory.write_words(root, &[global("ViPoolInfoAvl"), left, 0, 0, BLOCK + 0x1000, 0x77, element]);
    memory.write_words(left, &[root, 0, 0, 0, BLOCK, 0x33, element]);
    let tag = u32::from_le_bytes(*b"Over");
    let word = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
    let counts = [word(tag, 0xabcd), word(0x11, 5), word(3, 0), 0x77 + 0x33 + 0x300, 0x300];
    memory.write_words(stack, &[global("ViPoolStackInfoAvl"), 0, 0, 0]);
    memory.write_words(element, &counts);
    memory.write_words(element + 0x28, &[inside, caller, inside, 0]);

    // One piece of contiguous memory: its counter and peak, the list's head and a node.
    let (data, node) = (leaky.driver.images[0].verified_data.0, NODES + 0x800);
    memory.write_words(data + 0xf8, &[0x5000, 0x5000]);
    memory.write_words(data + 0x108, &[node, node]);
    memory.write_words(node, &[data + 0x108, data + 0x108, BLOCK + 0x8000, 0x5000, caller]);

    let space = AddressSpace::new(Arc::new(memory), kernel.space().machine());
    let hints = Hints::from(plain.dump().unwrap().header());
    let over = Arc::new(Kernel::open(space, hints).unwrap());
    let session = Session::of_kernel(Arc::clone(&over), symbols());
    assert_eq!(session.missing_kernel_symbols(), None);

    let report = PoolReport::read(&over, |_| true).unwrap();
    assert_eq!(report.problems, before.problems);
    assert_eq!(report.unowned, []);
    for (pool, before) in report.drivers.iter().zip(&before.drivers) {
        let (old, new) = pool.allocations.split_at(before.allocations.len());
        assert_eq!(old, before.allocations, "{}", pool.driver.name);
        let new: Vec<_> = new.iter().map(|a| (a.address.0, a.size, a.tag, a.caller.0)).collect();
        if pool.driver.name == "leaky.sys" {
            let tag = PoolTag(tag);
            assert_eq!(new, [(BLOCK, 0x33, tag, caller), (BLOCK + 0x1000, 0x77, tag, caller)]);
            assert_eq!(
                pool.allocations.last().unwrap().source.attributed_by(),
                Some(AttributedBy::Image)
            );
        } else {
            assert_eq!(new, []);
        }
    }
    let contiguous = report.drivers.iter().flat_map(|pool| &pool.contiguous);
    let contiguous: Vec<_> = contiguous.map(|c| (c.address.0, c.size, c.caller.0)).collect();
    assert_eq!(contiguous, [(BLOCK + 0x8000, 0x5000, caller)]);
    let stack = &report.pool_info.stacks[0];
    assert_eq!((stack.hash, stack.live_count(), stack.live_bytes()), (0xabcd, 2, 0x77 + 0x33));
    assert_eq!((stack.is_nonpaged(), stack.blocks), (Some(true), 2));

    let leaks = Leaks::read(&over, |_| true).unwrap();
    let of_tree: Vec<_> = leaks
        .blocks
        .iter()
        .filter(|block| block.stack_source == Some(StackSource::PoolInfo))
        .map(|block| leaks.stack(block.stack.unwrap()).to_vec())
        .collect();
    assert_eq!(
        of_tree,
        [[inside, caller, inside].map(Va).to_vec(), [inside, caller, inside].map(Va).to_vec()]
    );
}

#[test]
fn both_machines() {
    let Some(dumps) = shared("dumps") else { return };
    for name in ["win11-22000-rich", "arm64-22000-rich"] {
        scenario(&dumps.join(name));
    }
}
