//! Where the parts of tracking data are, for the kernels of every era. Each layout is resolved once.
//!
//! | layout | what it describes |
//! |---|---|
//! | [`EntryLayout`] | `_VI_POOL_ENTRY_INUSE`: one entry, on a page or in XP's array |
//! | [`PageLayout`] | `_VI_POOL_PAGE_HEADER` and the entries after it |
//! | [`ListLayout`] | the lists in a driver's data that lead to pages and free entries |
//!
//! Header and entries have had the same layout since Server 2003, so a page can be recognized in any memory
//! ([`PageLayout::owner_of`]).

use super::entry::RawEntry;
use crate::addr::Va;
use crate::error::Error;
use crate::kernel::{Kernel, SlistForm};
use crate::machine::Machine;
use crate::types::{Field, TypeSource};
use crate::verifier::tag::PoolTag;

/// `_VI_POOL_PAGE_HEADER.Signature`.
pub(in crate::verifier) const PAGE_SIGNATURE: u64 = 0x2132_1345;
/// Before Windows 7 this one structure is both the configured name and the driver's data.
pub(in crate::verifier) const ENTRY_BEFORE_WIN7: &str = "_MI_VERIFIER_DRIVER_ENTRY";

/// True for types of a kernel before Windows 7.
pub(in crate::verifier) fn is_before_win7(types: &dyn TypeSource) -> Result<bool, Error> {
    let has_targets = types.structure("_VF_TARGET_DRIVER")?.is_some();
    Ok(!has_targets && types.structure(ENTRY_BEFORE_WIN7)?.is_some())
}

/// Offsets in an entry.
pub(in crate::verifier) struct EntryLayout {
    /// Bytes from one entry to the next.
    pub(in crate::verifier) size: usize,
    address: Field,
    caller: Field,
    bytes: Field,
    tag: Field,
}

impl EntryLayout {
    pub(super) fn resolve(types: &dyn TypeSource) -> Result<Self, Error> {
        let entry = "_VI_POOL_ENTRY_INUSE";
        let size = types.size_of("_VI_POOL_ENTRY").or_else(|_| types.size_of(entry))?;
        if !(16..=256).contains(&size) {
            let why = format!("_VI_POOL_ENTRY of {size:#x} bytes");
            return Err(Error::Symbols { kind: "kernel", why });
        }
        Ok(Self {
            size: size as usize,
            address: types.field(entry, "VirtualAddress")?,
            caller: types.field(entry, "CallingAddress")?,
            bytes: types.field(entry, "NumberOfBytes")?,
            tag: types.field(entry, "Tag")?,
        })
    }

    /// Decodes the entry that `raw` begins with.
    pub(super) fn decode(&self, raw: &[u8]) -> RawEntry {
        let get = |field: &Field| field.get(raw).unwrap_or(0);
        RawEntry {
            word: Va(get(&self.address)),
            caller: Va(get(&self.caller)),
            size: get(&self.bytes),
            tag: PoolTag(get(&self.tag) as u32),
        }
    }
}

/// Offsets in a page of entries.
pub(in crate::verifier) struct PageLayout {
    /// The page's signature, and its size in bytes.
    pub(in crate::verifier) signature: (Field, usize),
    owner: Field,
    next: Field,
    pub(in crate::verifier) entry: EntryLayout,
}

/// How many slots of a page look like entries.
struct Look {
    /// Slots whose first word is an address of the kernel.
    addresses: usize,
    /// Slots that cannot be entries.
    misfits: usize,
}

impl PageLayout {
    pub(in crate::verifier) fn resolve(types: &dyn TypeSource) -> Result<Self, Error> {
        let header = "_VI_POOL_PAGE_HEADER";
        let entry = EntryLayout::resolve(types)?;
        let signature = types.field(header, "Signature")?;
        let size = signature.shape.size().unwrap_or(0);
        if !(4..=8).contains(&size) {
            let why = format!("{header}.Signature of {size:#x} bytes");
            return Err(Error::Symbols { kind: "kernel", why });
        }
        Ok(Self {
            signature: (signature, size as usize),
            owner: types.field(header, "VerifierEntry")?,
            next: types.field(header, "NextPage")?,
            entry,
        })
    }

    /// `Signature` of the page that `bytes` are.
    pub(super) fn signature_of(&self, bytes: &[u8]) -> u64 {
        self.signature.0.get(bytes).unwrap_or(0)
    }

    /// `VerifierEntry`: the data of the driver that the page belongs to.
    pub(in crate::verifier) fn owner(&self, bytes: &[u8]) -> Va {
        Va(self.owner.get(bytes).unwrap_or(0))
    }

    /// `NextPage`.
    pub(in crate::verifier) fn next(&self, bytes: &[u8]) -> Va {
        Va(self.next.get(bytes).unwrap_or(0))
    }

    /// The slots after the header, with their numbers.
    pub(in crate::verifier) fn entries<'b>(
        &self,
        bytes: &'b [u8],
    ) -> impl Iterator<Item = (usize, RawEntry)> + use<'b, '_> {
        let slots = bytes.chunks_exact(self.entry.size).enumerate().skip(1);
        slots.map(|(slot, raw)| (slot, self.entry.decode(raw)))
    }

    fn look_at(&self, kernel: &Kernel, bytes: &[u8]) -> Look {
        let mut look = Look { addresses: 0, misfits: 0 };
        for (_, entry) in self.entries(bytes) {
            if kernel.space().is_kernel(entry.word) {
                look.addresses += 1;
            } else if !(entry.is_marked_free() && entry.word.is_null()) {
                // The link of a free entry may be null. The address of a block never is.
                look.misfits += 1;
            }
        }
        look
    }

    /// The owner of a tracking page. `None` if the page is not one: its signature is wrong, its owner is
    /// outside the kernel, or its slots cannot be entries. (Freed pages and other data may keep single
    /// words.)
    pub(in crate::verifier) fn owner_of(&self, kernel: &Kernel, bytes: &[u8]) -> Option<Va> {
        let space = kernel.space();
        if self.signature_of(bytes) != PAGE_SIGNATURE {
            return None;
        }
        let (owner, next) = (self.owner(bytes), self.next(bytes));
        let is_next = next.is_null() || (space.is_kernel(next) && next.page_offset() == 0);
        let is_owner = space.is_kernel(owner) && owner.0.is_multiple_of(4);
        // One torn entry is not a reason to drop a page.
        (is_owner && is_next && self.look_at(kernel, bytes).misfits <= 1).then_some(owner)
    }

    /// True if a page whose header is wrong holds entries: at most one slot, which may be torn, is not one.
    pub(super) fn holds_entries(&self, kernel: &Kernel, bytes: &[u8]) -> bool {
        let Look { addresses, misfits } = self.look_at(kernel, bytes);
        addresses > misfits && misfits <= 1
    }
}

/// Offsets of the lists in a driver's data.
pub(in crate::verifier) struct ListLayout {
    /// `PoolPageHeaders`: the pages.
    pub(in crate::verifier) pages: u64,
    /// `PoolTrackers`: the free entries.
    pub(in crate::verifier) free_entries: u64,
    /// `ContiguousMemoryListHead`, if the build has it.
    pub(super) contiguous: Option<u64>,
    pub(in crate::verifier) form: SlistForm,
}

impl ListLayout {
    pub(in crate::verifier) fn resolve(
        types: &dyn TypeSource,
        machine: Machine,
    ) -> Result<Self, Error> {
        let data = match is_before_win7(types)? {
            true => ENTRY_BEFORE_WIN7,
            false => "_VF_TARGET_VERIFIED_DRIVER_DATA",
        };
        Ok(Self {
            pages: types.field(data, "PoolPageHeaders")?.offset,
            free_entries: types.field(data, "PoolTrackers")?.offset,
            contiguous: types.field(data, "ContiguousMemoryListHead").ok().map(|head| head.offset),
            form: SlistForm::from_types(types, machine)?,
        })
    }
}
