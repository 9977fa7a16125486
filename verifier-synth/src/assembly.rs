//! The memory of a machine: first to lay it out, then to damage it.

use std::collections::BTreeMap;

use crate::build::Build;
use crate::dump::{DumpKind, HeaderInfo, SmallDump, SmallDumpDriver, write_dump, write_small_dump};
use crate::layout::Layouts;
use crate::paging::{AddressSpace, PageSize, PageState};
use crate::physical::PAGE_SIZE;

/// A dump and its symbol tables.
#[derive(Debug, Clone)]
pub struct Sample {
    /// The bytes of the dump file.
    pub dump: Vec<u8>,
    /// Symbol tables: path such as `ntkrnlmp.pdb/<GUID>-1.json`, and content.
    pub files: Vec<(String, Vec<u8>)>,
}

/// A machine laid out in memory, made by [`Machine::assemble`](crate::Machine::assemble). You can damage it
/// and then write dumps of it.
#[derive(Debug, Clone)]
pub struct Assembly {
    pub(crate) build: Build,
    pub(crate) layouts: Layouts,
    pub(crate) space: AddressSpace,
    /// The header of the dumps.
    pub header: HeaderInfo,
    /// Symbol tables by path.
    pub files: Vec<(String, Vec<u8>)>,
    labels: BTreeMap<String, u64>,
    pool: u64,
    zero_frame: Option<u64>,
    /// The contents of a small dump's own lists.
    pub(crate) drivers: Vec<SmallDumpDriver>,
    pub(crate) unloaded: Vec<(String, u64, u64)>,
}

impl Assembly {
    pub(crate) fn new(build: Build, space: AddressSpace, pool: u64) -> Self {
        let header = HeaderInfo::new(build.machine(), build.number(), space.dtb());
        Self {
            build,
            layouts: build.layouts(),
            space,
            header,
            files: Vec::new(),
            labels: BTreeMap::new(),
            pool,
            zero_frame: None,
            drivers: Vec::new(),
            unloaded: Vec::new(),
        }
    }

    /// Address of a label:
    ///
    /// - `nt!VfPoolTraces` (every global that this crate lays out), `module:NAME` (loader entry)
    /// - `suspect:NAME`, `node:NAME` (AVL node), `target:NAME` (`_VF_TARGET_DRIVER`), `verified:NAME`
    ///   (`_VF_TARGET_VERIFIED_DRIVER_DATA`), `avl table`
    /// - `trackers:NAME:0` (first page of trackers), `contiguous:NAME:0` (node of contiguous memory)
    /// - `pool block:0` and `pool stack:0` (nodes of the pool info trees, in the order they were added)
    /// - `unloaded drivers`, `unloaded:NAME` (the name that bug check 0xC4/0x62 points at), `excluded:NAME`,
    ///   `watched:0` (the first `_VF_WATCHDOG_IRP`)
    /// - `ring:SYMBOL` (array of a log, by its variable's name)
    /// - deadlock detection: `deadlock globals`, `deadlock resource heads`, `deadlock thread heads`, and
    ///   counted from 0 `deadlock lock:0`, `deadlock thread:0`, `deadlock node:0`
    ///
    /// # Panics
    ///
    /// If the label does not exist.
    pub fn address(&self, label: &str) -> u64 {
        *self.labels.get(label).unwrap_or_else(|| panic!("no label {label:?}"))
    }

    /// All labels with their addresses.
    pub fn labels(&self) -> impl Iterator<Item = (&str, u64)> {
        self.labels.iter().map(|(label, &address)| (label.as_str(), address))
    }

    /// The build's layouts.
    pub fn layouts(&self) -> &Layouts {
        &self.layouts
    }

    /// The address space.
    pub fn space(&self) -> &AddressSpace {
        &self.space
    }

    /// The address space, for damage that has no method here.
    pub fn space_mut(&mut self) -> &mut AddressSpace {
        &mut self.space
    }

    /// Overwrites memory; unmapped pages are added.
    pub fn patch(&mut self, va: u64, bytes: &[u8]) {
        let mut done = 0;
        while done < bytes.len() {
            let at = va + done as u64;
            let take = (bytes.len() - done).min(PAGE_SIZE - (at % PAGE_SIZE as u64) as usize);
            // The zero page that unused ring slots share must stay zero.
            if self.zero_frame.is_some()
                && self.space.translate(at).map(|pa| pa / PAGE_SIZE as u64) == self.zero_frame
            {
                let pfn = self.space.memory_mut().allocate();
                self.space.map(
                    at & !(PAGE_SIZE as u64 - 1),
                    pfn,
                    PageSize::Small,
                    PageState::Present,
                );
            }
            self.space.write(at, &bytes[done..done + take]);
            done += take;
        }
    }

    /// Overwrites memory with a pointer.
    pub fn patch_pointer(&mut self, va: u64, value: u64) {
        let bytes = self.layouts.pointer(value);
        self.patch(va, &bytes);
    }

    /// Overwrites one field, by path, of the structure at `va`.
    ///
    /// # Panics
    ///
    /// If the build has no such field, or the structure is not mapped.
    pub fn patch_field(&mut self, va: u64, structure: &str, path: &str, value: u64) {
        let old = self
            .space
            .read(va, self.layouts.size(structure))
            .unwrap_or_else(|| panic!("{va:#x} is not mapped"));
        let bytes = self.layouts.record(structure).over(old).set(path, value).bytes();
        self.patch(va, &bytes);
    }

    /// The bytes at a virtual address.
    pub fn read(&self, va: u64, length: usize) -> Option<Vec<u8>> {
        self.space.read(va, length)
    }

    /// Removes the physical page of `va` from memory: it stays mapped, but the dump does not hold it.
    ///
    /// # Panics
    ///
    /// If the page is not mapped.
    pub fn remove_page(&mut self, va: u64) {
        let pa = self.space.translate(va).unwrap_or_else(|| panic!("{va:#x} is not mapped"));
        self.space.memory_mut().remove(pa / PAGE_SIZE as u64);
    }

    /// Changes the state of the page of `va`, for example to [`PageState::NotPresent`] or
    /// [`PageState::Transition`].
    ///
    /// # Panics
    ///
    /// If the page is not mapped.
    pub fn set_page_state(&mut self, va: u64, state: PageState) {
        self.space.set_state(va, state);
    }

    /// The bytes of a dump file.
    ///
    /// # Panics
    ///
    /// See [`write_dump`].
    pub fn dump(&self, kind: DumpKind) -> Vec<u8> {
        write_dump(kind, &self.header, self.space.memory())
    }

    /// A dump with its symbol tables.
    ///
    /// # Panics
    ///
    /// See [`write_dump`].
    pub fn sample(&self, kind: DumpKind) -> Sample {
        Sample { dump: self.dump(kind), files: self.files.clone() }
    }

    /// The contents of a small dump of this machine: the debugger data, a stack without meaning, and these
    /// blocks: the first 0x9c bytes of `MmVerifierData` (19041 keeps only these), `NtBuildLab`, the first
    /// page of the kernel's image, and `more` (address and number of bytes).
    ///
    /// # Panics
    ///
    /// If any of them is not mapped.
    pub fn small_dump_content(&self, more: &[(u64, usize)]) -> SmallDump {
        let read = |va: u64, size: usize| {
            self.read(va, size).unwrap_or_else(|| panic!("{va:#x} is not mapped"))
        };
        let kernel = self.drivers[0].base;
        let mut places = vec![
            (self.global("MmVerifierData"), 0x9c),
            (self.global("NtBuildLab"), 0x40),
            (kernel, PAGE_SIZE),
        ];
        places.extend_from_slice(more);
        // Blocks in real dumps are unordered.
        let blocks = places.iter().rev().map(|&(va, size)| (va, read(va, size))).collect();
        let wide = self.layouts.pointer_size() == 8;
        let stack = if wide { 0xffff_d000_2345_6ee8 } else { 0x9abc_dee8 };
        SmallDump {
            blocks,
            drivers: self.drivers.clone(),
            unloaded: self.unloaded.clone(),
            stack: (stack, (0..0x318u32).map(|i| i as u8 ^ 0x5a).collect()),
            debugger_data: read(self.global("KdDebuggerDataBlock"), 0x340),
        }
    }

    /// The bytes of a small dump: see [`Self::small_dump_content`].
    ///
    /// # Panics
    ///
    /// As for [`Self::small_dump_content`].
    pub fn small_dump(&self, more: &[(u64, usize)]) -> Vec<u8> {
        write_small_dump(&self.header, &self.small_dump_content(more))
    }

    pub(crate) fn label(&mut self, label: impl Into<String>, address: u64) {
        self.labels.insert(label.into(), address);
    }

    /// Address of a kernel global.
    pub(crate) fn global(&self, name: &str) -> u64 {
        self.address(&format!("nt!{name}"))
    }

    pub(crate) fn has_global(&self, name: &str) -> bool {
        self.labels.contains_key(&format!("nt!{name}"))
    }

    pub(crate) fn set_pointer(&mut self, global: &str, value: u64) {
        self.patch_pointer(self.global(global), value);
    }

    pub(crate) fn set_u32(&mut self, global: &str, value: u32) {
        self.patch(self.global(global), &value.to_le_bytes());
    }

    /// Allocates pool.
    pub(crate) fn allocate(&mut self, size: usize, align: u64) -> u64 {
        let va = self.pool.next_multiple_of(align);
        // Leaves room for a pool header between neighbors.
        self.pool = va + size as u64 + 0x10;
        va
    }

    /// Writes bytes to new pool and returns their address.
    pub(crate) fn place(&mut self, bytes: &[u8]) -> u64 {
        let va = self.allocate(bytes.len(), 16);
        self.patch(va, bytes);
        va
    }

    /// Writes a `_UNICODE_STRING` at `va`, with its text in pool.
    pub(crate) fn put_string(&mut self, va: u64, text: &str) {
        let mut units: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let length = units.len() as u64;
        units.extend([0, 0]);
        let buffer = self.place(&units);
        let record = self.layouts.record("_UNICODE_STRING");
        let bytes = record
            .set("Length", length)
            .set("MaximumLength", length + 2)
            .set("Buffer", buffer)
            .bytes();
        self.patch(va, &bytes);
    }

    /// Links list entries to a ring that begins and ends at `head`.
    pub(crate) fn link(&mut self, head: u64, entries: &[u64]) {
        let ring: Vec<u64> = std::iter::once(head).chain(entries.iter().copied()).collect();
        let pointer = self.layouts.pointer_size() as u64;
        for (i, &entry) in ring.iter().enumerate() {
            self.patch_pointer(entry, ring[(i + 1) % ring.len()]);
            self.patch_pointer(entry + pointer, ring[(i + ring.len() - 1) % ring.len()]);
        }
    }

    /// Maps a page to the shared physical page of zeros, unless it is already mapped.
    pub(crate) fn map_zero(&mut self, va: u64) {
        if self.space.translate(va).is_none() {
            let pfn = *self.zero_frame.get_or_insert_with(|| self.space.memory_mut().allocate());
            self.space.map(va, pfn, PageSize::Small, PageState::Present);
        }
    }
}
