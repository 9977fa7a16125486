//! Windows XP, Server 2003 and Vista on machines made of literals, with the offsets of the public type
//! tables, written here by hand.

use std::sync::Arc;

use verifier_core::addr::Rva;
use verifier_core::kernel::{AddressSpace, Hints, Kernel, Limits};
use verifier_core::machine::Machine;
use verifier_core::memory::{Memory, Residence, SparsePages};
use verifier_core::types::Profile;
use verifier_core::verifier::{
    CarvedPool, DriverState, Drivers, Globals, PoolReport, Scan, Settings,
};
use verifier_core::{Fault, Va};

/// Memory that is written with pointers of one machine's size.
struct Writer {
    memory: SparsePages<Va>,
    width: usize,
}

impl Writer {
    fn number(&mut self, at: u64, value: u64, size: usize) {
        self.memory.write(Va(at), &value.to_le_bytes()[..size]);
    }

    fn pointer(&mut self, at: u64, value: u64) {
        self.number(at, value, self.width);
    }

    fn zeros(&mut self, at: u64, size: usize) {
        self.memory.write(Va(at), &vec![0; size]);
    }

    /// A `UNICODE_STRING` at `at` whose text is at `text`.
    fn string(&mut self, at: u64, text_at: u64, text: &str) {
        let raw: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        self.number(at, raw.len() as u64, 2);
        self.number(at + 2, raw.len() as u64, 2);
        self.pointer(at + self.width as u64, text_at);
        self.memory.write(Va(text_at), &raw);
    }

    /// A ring of `LIST_ENTRY`s.
    fn ring(&mut self, links: &[u64]) {
        for (i, &link) in links.iter().enumerate() {
            let (next, before) =
                (links[(i + 1) % links.len()], links[(i + links.len() - 1) % links.len()]);
            self.pointer(link, next);
            self.pointer(link + self.width as u64, before);
        }
    }

    /// The list of loaded modules: its head, the kernel and a driver.
    fn modules(&mut self, head: u64, modules: &[(u64, &str, u64)]) {
        let wide = self.width == 8;
        let mut links = vec![head];
        for (i, &(base, name, size)) in modules.iter().enumerate() {
            let entry = head + 0x1000 + i as u64 * 0x200;
            self.zeros(entry, 0x100);
            self.pointer(entry + if wide { 0x30 } else { 0x18 }, base);
            self.number(entry + if wide { 0x40 } else { 0x20 }, size, 4);
            self.string(entry + if wide { 0x48 } else { 0x24 }, entry + 0x120, name);
            self.string(entry + if wide { 0x58 } else { 0x2c }, entry + 0x120, name);
            links.push(entry);
        }
        self.ring(&links);
    }

    fn kernel(self, machine: Machine, build: u32, head: u64) -> Kernel {
        let space = AddressSpace::new(Arc::new(self.memory), machine);
        let hints =
            Hints { build: Some(build), ps_loaded_module_list: Some(Va(head)), ..Hints::default() };
        Kernel::open(space, hints).unwrap()
    }
}

/// The addresses of XP's kernel, module list, drivers and pool hash.
const XP: [u64; 4] = [0x8050_0000, 0x8200_0000, 0x8210_0000, 0x8220_0000];

/// An XP machine with two drivers, of which one was never loaded, and a pool hash of four entries that states
/// the size `size`.
fn xp_memory(size: u64) -> (Writer, u64) {
    let [base, heads, entries, hash] = XP;
    let mut w = Writer { memory: SparsePages::new(), width: 4 };
    w.modules(heads, &[(base, "ntoskrnl.exe", 0x20_0000), (0xf800_0000, "leaky.sys", 0x3000)]);
    // The list's head in the kernel's data, and two drivers, of which one was never loaded.
    let list = base + 0x8_1230;
    w.zeros(base + 0x8_1000, 0x1000);
    w.zeros(entries, 0x400);
    w.ring(&[list, entries, entries + 0x100]);
    w.number(entries + 0x8, 1, 4);
    w.string(entries + 0x10, entries + 0x200, "leaky.sys");
    w.pointer(entries + 0x18, 0xf800_0000);
    w.pointer(entries + 0x1c, 0xf800_2fff);
    w.string(entries + 0x110, entries + 0x240, "absent.sys");
    // Four entries: in use, free (last of the chain), in use, free (first of the chain).
    w.pointer(entries + 0x30, hash);
    w.number(entries + 0x34, size, 4);
    w.number(entries + 0x38, 3, 4);
    for (slot, words) in [
        [0x8300_0000u32, 0xf800_1234, 0x80, u32::from_le_bytes(*b"Leak")],
        [0xffff_ffff, 0xf800_1234, 0x40, u32::from_le_bytes(*b"Gone")],
        [0x8300_1000, 0xf800_1250, 0x123, u32::from_le_bytes(*b"Peak")],
        [1, 0, 0, 0],
    ]
    .iter()
    .enumerate()
    {
        for (i, &word) in words.iter().enumerate() {
            w.number(hash + slot as u64 * 16 + i as u64 * 4, word.into(), 4);
        }
    }
    w.number(entries + 0x40, 1, 4); // CurrentPagedPoolAllocations
    w.number(entries + 0x44, 1, 4);
    w.number(entries + 0x50, 0x123, 4); // PagedBytes
    w.number(entries + 0x54, 0x80, 4);
    // Their peaks.
    for (at, value) in [(0x48, 1), (0x4c, 1), (0x58, 0x123), (0x5c, 0x80)] {
        w.number(entries + at, value, 4);
    }
    (w, list)
}

#[test]
fn xp() {
    let [base, heads, entries, hash] = XP;
    let (mut w, list) = xp_memory(4);
    w.zeros(base + 0x9_0000, 0x100);
    w.number(base + 0x9_0000, 8, 4); // MmVerifierData.Level
    let kernel = w.kernel(Machine::X86, 2600, heads);
    let profile = Profile::new(Machine::X86, 2600).unwrap();
    let globals = Globals::find(&kernel, &profile);
    assert_eq!(globals.get("MiSuspectDriverList").unwrap().address, Va(list));
    assert!(globals.get("VfPoolTraces").is_none(), "XP has no pool log");
    let profile =
        globals.add_to(profile, &kernel).with_symbol("MmVerifierData", Rva(0x9_0000), "test");
    kernel.supply_built_in_types(Arc::new(profile));

    let drivers = Drivers::read(&kernel).unwrap();
    assert_eq!(drivers.problems, []);
    let [leaky, absent] = &drivers.drivers[..] else { panic!("{drivers:?}") };
    assert_eq!((leaky.name.as_str(), leaky.state()), ("leaky.sys", DriverState::Loaded));
    assert_eq!((absent.name.as_str(), absent.state()), ("absent.sys", DriverState::NeverLoaded));
    assert!(absent.images.is_empty());
    let image = &leaky.images[0];
    assert_eq!((image.base, image.size), (Va(0xf800_0000), 0x3000), "the end may be the last byte");
    assert_eq!(image.verified_data, Va(entries));
    assert_eq!(image.counters.get("PagedBytes"), Some(0x123));
    assert_eq!(image.counters.get("PoolHashSize"), None);

    let report = PoolReport::read(&kernel, |_| true).unwrap();
    let blocks: Vec<_> = report.drivers[0]
        .allocations
        .iter()
        .map(|a| (a.address.0, a.size, a.tag.to_string(), a.caller.0))
        .collect();
    assert_eq!(
        blocks,
        [
            (0x8300_0000, 0x80, "Leak".into(), 0xf800_1234),
            (0x8300_1000, 0x123, "Peak".into(), 0xf800_1250)
        ]
    );
    // The report says that this is inferred; there is no other problem, because the counters agree.
    assert_eq!(report.problems.len(), 1, "{:?}", report.problems);
    assert!(report.problems[0].why.contains("not established"));
    // There are no pages to carve.
    assert!(CarvedPool::read(&kernel, &Scan::Virtual(Va(hash)..Va(hash + 0x1000))).is_err());
}

/// Memory in which the page of the pool hash is repeated at every later address.
struct Repeating(SparsePages<Va>);

impl Memory<Va> for Repeating {
    fn read_in_page(&self, at: Va, buf: &mut [u8]) -> Result<Residence, Fault> {
        let hash = XP[3];
        let is_after = (hash..hash + 0x1000_0000).contains(&at.0);
        let at = if is_after { Va(hash + at.page_offset()) } else { at };
        self.0.read_in_page(at, buf)
    }

    fn held(&self) -> Option<u64> {
        self.0.held()
    }
}

/// The same machine with a pool hash that does not end, by its size and its pages.
fn endless(limits: Limits) -> Kernel {
    let (mut w, list) = xp_memory(0x7fff_ffff);
    let [base, heads, _, hash] = XP;
    for slot in 4..0x100 {
        w.number(hash + slot * 16, 0x8300_0000, 4);
        w.number(hash + slot * 16 + 4, 0xf800_1234, 4);
        w.number(hash + slot * 16 + 8, 0x10, 8);
    }
    let space = AddressSpace::new(Arc::new(Repeating(w.memory)), Machine::X86);
    let list_head = Some(Va(heads));
    let hints = Hints { build: Some(2600), ps_loaded_module_list: list_head, ..Hints::default() };
    let kernel = Kernel::open_with(space, hints, limits).unwrap();
    let profile = Profile::new(Machine::X86, 2600).unwrap();
    let rva = Rva((list - base) as u32);
    kernel.supply_built_in_types(Arc::new(profile.with_symbol("MiSuspectDriverList", rva, "test")));
    kernel
}

#[test]
fn a_pool_hash_is_no_longer_than_memory_and_limit() {
    let read = |tracker_pages| {
        let mut limits = Limits::default();
        limits.tracker_pages = tracker_pages;
        let kernel = endless(limits);
        let held = kernel.space().memory().held().unwrap() / 0x1000;
        let report = PoolReport::read(&kernel, |_| true).unwrap();
        let told = report.problems.iter().any(|p| p.why.contains("Limits::tracker_pages"));
        assert!(told, "{:?}", report.problems);
        (report.drivers[0].allocations.len() as u64, held)
    };
    // A page has 256 slots; two of the first page are free by the chain and by their contents.
    let (found, held) = read(usize::MAX);
    assert!(((held - 1) * 254..held * 256).contains(&found), "{found} of {held} pages");
    assert!((254..256).contains(&read(1).0));
}

#[test]
fn reading_a_pool_hash_can_be_stopped() {
    let kernel = endless(Limits::default());
    kernel.stop_when(Box::new(|| true));
    let report = PoolReport::read(&kernel, |_| true).unwrap();
    assert_eq!(report.drivers[0].allocations, []);
    assert!(report.problems.iter().any(|p| p.why.contains("stopped")), "{:?}", report.problems);
}

/// Server 2003 x64 (the SLIST's eight-byte form) and Vista SP2 x86 (plain pointers).
fn with_pages(machine: Machine, build: u32) {
    let wide = machine == Machine::X64;
    let (base, heads, entry, page, driver) = if wide {
        (
            0xffff_f800_0100_0000u64,
            0xffff_fadf_0100_0000u64,
            0xffff_fadf_0200_0000u64,
            0xffff_fadf_0300_0000u64,
            0xffff_fadf_0800_0000u64,
        )
    } else {
        (0x8180_0000, 0x8400_0000, 0x8410_0000, 0x8420_0000, 0x8b00_0000)
    };
    let width = if wide { 8 } else { 4 };
    let mut w = Writer { memory: SparsePages::new(), width };
    w.modules(heads, &[(base, "ntoskrnl.exe", 0x40_0000), (driver, "leaky.sys", 0x3000)]);
    let list = base + 0x10_0450;
    w.zeros(base + 0x10_0000, 0x1000);
    w.zeros(entry, 0x400);
    w.ring(&[list, entry]);
    // Loads, BaseName, StartAddress, EndAddress, PoolPageHeaders, PoolTrackers, the first counter.
    let places: [u64; 7] = if wide {
        [0x10, 0x18, 0x28, 0x30, 0x50, 0x60, 0x70]
    } else {
        [8, 0x10, 0x18, 0x1c, 0x28, 0x30, 0x38]
    };
    let [loads, name, start, end, pages, trackers, counters] = places.map(|offset| entry + offset);
    w.number(loads, 1, 4);
    w.string(name, entry + 0x200, "leaky.sys");
    w.pointer(start, driver);
    w.pointer(end, driver + 0x3000);
    w.number(counters, 0, 4);
    // Two blocks, their peak, their bytes and the peak of the bytes, all nonpaged.
    let bytes = counters + 0x10 + width as u64;
    for (at, value) in [(4, 2), (0xc, 2)] {
        w.number(counters + at, value, 4);
    }
    w.pointer(bytes, 0xa1);
    w.pointer(bytes + 2 * width as u64, 0xa1);
    let slot = if wide { 0x20 } else { 0x10 };
    let free = page + 3 * slot;
    for (header, first) in [(pages, page), (trackers, free)] {
        if wide {
            // Depth 1, and bits 4 to 42 of the entry at bit 25; the upper bits are those of the header's
            // address.
            w.number(header, 1 | ((first >> 4) & ((1 << 39) - 1)) << 25, 8);
        } else {
            w.pointer(header, first);
            w.number(header + 4, 1, 2);
        }
    }
    w.zeros(page, 0x1000);
    w.pointer(page + width as u64, entry);
    w.number(page + 2 * width as u64, 0x2132_1345, width);
    let block = page + 0x100_0000;
    for i in 1..0x1000 / slot {
        let at = page + i * slot;
        let words = match i {
            1 => [block, driver + 0x1234, 0x80, u64::from(u32::from_le_bytes(*b"Leak"))],
            2 => [block + 0x1000, driver + 0x1250, 0x21, u64::from(u32::from_le_bytes(*b"Odd "))],
            // Free: the link ends, the size has bit 0.
            _ => [0, 0, 1, 0],
        };
        for (j, &word) in words.iter().enumerate() {
            w.pointer(at + (j * width) as u64, word);
        }
    }
    w.zeros(base + 0x10_2000, 0x100);
    w.number(base + 0x10_2000, 0x9bb, 4);
    w.number(base + 0x10_2010, 7, 4);
    let kernel = w.kernel(machine, build, heads);
    let profile = Profile::new(machine, build).unwrap();
    let globals = Globals::find(&kernel, &profile);
    assert_eq!(globals.get("MiSuspectDriverList").unwrap().address, Va(list));
    let profile =
        globals.add_to(profile, &kernel).with_symbol("MmVerifierData", Rva(0x10_2000), "test");
    kernel.supply_built_in_types(Arc::new(profile));

    let settings = Settings::read(&kernel).unwrap();
    assert_eq!(settings.level.0, 0x9bb);
    assert_eq!(settings.statistics.get("AllocationsAttempted"), Some(7));
    let report = PoolReport::read(&kernel, |_| true).unwrap();
    assert_eq!(report.problems, [], "{build}");
    let pool = &report.drivers[0];
    assert_eq!(pool.driver.images[0].size, 0x3000);
    let blocks: Vec<_> = pool
        .allocations
        .iter()
        .map(|a| (a.address.0, a.size, a.tag.to_string(), a.caller.0))
        .collect();
    assert_eq!(
        blocks,
        [
            (block, 0x80, "Leak".into(), driver + 0x1234),
            (block + 0x1000, 0x21, "Odd ".into(), driver + 0x1250)
        ]
    );
    // The same by carving; in these kernels the owner has a name, and its signature is unknown.
    let carved = CarvedPool::read(&kernel, &Scan::Virtual(Va(page)..Va(page + 0x1000))).unwrap();
    let owner = &carved.owners[0];
    assert_eq!((owner.name.as_deref(), owner.is_signed), (Some("leaky.sys"), false));
    assert_eq!(carved.compare(&report).both, 2);
}

#[test]
fn server_2003_x64() {
    with_pages(Machine::X64, 3790);
}

#[test]
fn server_2003_x86() {
    with_pages(Machine::X86, 3790);
}

#[test]
fn vista() {
    with_pages(Machine::X86, 6002);
}
