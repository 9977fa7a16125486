//! Pool tracking: one entry for each block that a verified driver holds.
//!
//! `PoolPageHeaders` is an SLIST of whole pages. Slot 0 of a page is the header {next page, owner, signature
//! 0x21321345}; every other slot is a `_VI_POOL_ENTRY`: {block, caller, bytes, tag}. A free entry has bit 0
//! of `NumberOfBytes` set and is linked, at +0, on the SLIST `PoolTrackers`; a fresh one has `NumberOfBytes`
//! 1. The last pointer of a tracked block points at its entry. Source: public PDB types.

use crate::assembly::Assembly;
use crate::physical::PAGE_SIZE;

/// Signature of `_VI_POOL_PAGE_HEADER`.
const SIGNATURE: u64 = 0x2132_1345;

/// A block of pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allocation {
    /// Its address.
    pub address: u64,
    /// `NumberOfBytes`.
    pub size: u64,
    /// The tag, as its four characters.
    pub tag: [u8; 4],
    /// `CallingAddress`.
    pub caller: u64,
    /// True if it counts as paged pool.
    pub paged: bool,
    /// True if the block's last page is in memory, with the pointer back to the entry.
    pub back_pointer: bool,
}

impl Allocation {
    /// A block of nonpaged pool whose own memory is absent.
    pub fn nonpaged(address: u64, size: u64, tag: &[u8; 4], caller: u64) -> Self {
        Self { address, size, tag: *tag, caller, paged: false, back_pointer: false }
    }

    /// A block of paged pool whose own memory is absent.
    pub fn paged(address: u64, size: u64, tag: &[u8; 4], caller: u64) -> Self {
        Self { paged: true, ..Self::nonpaged(address, size, tag, caller) }
    }

    /// Returns the block with its last page in memory.
    pub fn with_back_pointer(self) -> Self {
        Self { back_pointer: true, ..self }
    }
}

/// One slot of a page of trackers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tracker {
    /// A block that the driver holds.
    InUse(Allocation),
    /// A block that was freed.
    Freed(Allocation),
    /// A slot that was never used.
    Fresh,
}

/// The form in which `_SLIST_HEADER` stores the first entry. 8.1 and later, and x86, have only one form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SlistForm {
    /// `HeaderX64` or `Header16`: bit 0 of the second word is set, and the word contains a whole pointer.
    #[default]
    Wide,
    /// `Header8`: bit 0 of the second word is clear, and the first word contains 39 bits of the pointer.
    Narrow,
}

/// Writes the pages of a driver, and the two list heads in its data.
pub(super) fn lay_out(
    m: &mut Assembly,
    name: &str,
    data: u64,
    trackers: &[Tracker],
    form: SlistForm,
) {
    let entry_size = m.layouts.size("_VI_POOL_ENTRY") as u64;
    let per_page = PAGE_SIZE / entry_size as usize - 1;
    let pages: Vec<u64> =
        trackers.chunks(per_page).map(|_| m.allocate(PAGE_SIZE, PAGE_SIZE as u64)).collect();
    let mut next_free = 0;
    let mut free = 0;
    for (number, &page) in pages.iter().enumerate() {
        m.label(format!("trackers:{name}:{number}"), page);
        let record = m
            .layouts
            .record("_VI_POOL_PAGE_HEADER")
            .set("VerifierEntry", data)
            .set("Signature", SIGNATURE);
        let bytes = record.set("NextPage", pages.get(number + 1).copied().unwrap_or(0)).bytes();
        m.patch(page, &bytes);
        for slot in 0..per_page {
            let entry = page + (slot as u64 + 1) * entry_size;
            let tracker = trackers.get(number * per_page + slot).copied().unwrap_or(Tracker::Fresh);
            let record = m.layouts.record("_VI_POOL_ENTRY");
            let fill = |record: crate::record::Record<'_>, a: Allocation, bytes: u64| {
                let record = record
                    .set("InUse.VirtualAddress", a.address)
                    .set("InUse.CallingAddress", a.caller);
                let tag = u64::from(u32::from_le_bytes(a.tag));
                record.set("InUse.NumberOfBytes", bytes).set("InUse.Tag", tag).bytes()
            };
            let mut bytes = match tracker {
                Tracker::InUse(a) => fill(record, a, a.size),
                Tracker::Freed(a) => fill(record, a, a.size | 1),
                Tracker::Fresh => record.set("InUse.NumberOfBytes", 1).bytes(),
            };
            match tracker {
                Tracker::InUse(a) => {
                    if a.back_pointer {
                        m.patch_pointer(
                            a.address + a.size - m.layouts.pointer_size() as u64,
                            entry,
                        );
                    }
                }
                _ => {
                    bytes = m
                        .layouts
                        .record("_VI_POOL_ENTRY")
                        .over(bytes)
                        .set("NextFree", next_free)
                        .bytes();
                    next_free = entry;
                    free += 1;
                }
            }
            m.patch(entry, &bytes);
        }
    }
    let structure = "_VF_TARGET_VERIFIED_DRIVER_DATA";
    let lists = [
        ("PoolPageHeaders", pages.first().copied().unwrap_or(0), pages.len()),
        ("PoolTrackers", next_free, free),
    ];
    for (list, first, depth) in lists {
        let va = data + m.layouts.offset(structure, list) as u64;
        let bytes = slist_header(m, va, first, depth as u64 & 0xffff, form);
        m.patch(va, &bytes);
    }
}

/// The bytes of an SLIST header at `va`.
fn slist_header(m: &Assembly, va: u64, first: u64, depth: u64, form: SlistForm) -> Vec<u8> {
    const SEQUENCE: u64 = 0x35;
    if m.layouts.pointer_size() == 4 {
        // Next, depth, and the sequence or, since 8.1, the processor.
        return (first | depth << 32 | SEQUENCE << 48).to_le_bytes().to_vec();
    }
    let two_forms = m.layouts.find("_SLIST_HEADER", "Header8").is_some();
    let (low, high) = match form {
        SlistForm::Narrow => {
            assert!(two_forms, "this build's SLIST headers have one form");
            assert!(
                first == 0 || first >> 43 == va >> 43,
                "{first:#x} is in a different 8 TiB region than its list at {va:#x}"
            );
            // The region is the top of the address; bit 1 means that the header was initialized.
            (depth | SEQUENCE << 16 | (first >> 4 & ((1 << 39) - 1)) << 25, va >> 61 << 61 | 2)
        }
        SlistForm::Wide => (depth | SEQUENCE << 16, first | u64::from(two_forms)),
    };
    [low.to_le_bytes(), high.to_le_bytes()].concat()
}
