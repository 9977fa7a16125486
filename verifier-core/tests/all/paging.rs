//! Virtual reads through page tables, compared with one-byte reads and with the builder that made the tables.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::common::open_dump;
use proptest::prelude::*;
use verifier_core::addr::Space;
use verifier_core::dump::Dump;
use verifier_core::kernel::AddressSpace;
use verifier_core::memory::{FromFn, Memory, PageTables, PagingMode, Residence, SparsePages};
use verifier_core::{Fault, Pa, Pfn, Reason, Va};
use verifier_synth::dump::write_dump;
use verifier_synth::{
    AddressSpace as Builder, DumpKind, HeaderInfo, MachineType, PageSize, PageState, Paging,
    PhysicalMemory, Placement,
};

const PAGE: u64 = 0x1000;
const SCHEMES: [Paging; 5] =
    [Paging::X64, Paging::X64La57, Paging::X86, Paging::X86Pae, Paging::Arm64];

fn machine(paging: Paging) -> MachineType {
    match paging {
        Paging::X64 | Paging::X64La57 => MachineType::X64,
        Paging::X86 | Paging::X86Pae => MachineType::X86,
        Paging::Arm64 => MachineType::Arm64,
    }
}

fn mode(paging: Paging) -> PagingMode {
    match paging {
        Paging::X64 => PagingMode::X64,
        Paging::X64La57 => PagingMode::X64La57,
        Paging::X86 => PagingMode::X86,
        Paging::X86Pae => PagingMode::X86Pae,
        Paging::Arm64 => PagingMode::Arm64,
    }
}

/// The shift of each level's index from the root down, and the mask of an index below the root.
fn shifts(paging: Paging) -> (&'static [u32], u64) {
    match paging {
        Paging::X64 | Paging::Arm64 => (&[39, 30, 21, 12], 0x1ff),
        Paging::X64La57 => (&[48, 39, 30, 21, 12], 0x1ff),
        Paging::X86 => (&[22, 12], 0x3ff),
        Paging::X86Pae => (&[30, 21, 12], 0x1ff),
    }
}

/// A kernel address aligned to 1 GiB; on x86 an address with room for large pages around it.
fn base(paging: Paging) -> u64 {
    match paging {
        Paging::X64 | Paging::Arm64 => 0xffff_f800_4000_0000,
        Paging::X64La57 => 0xff12_3400_4000_0000,
        Paging::X86 | Paging::X86Pae => 0xa000_0000,
    }
}

/// The address of the self-pointing list head that identifies the mode.
fn list_head(paging: Paging) -> u64 {
    base(paging) - 0x1000_0000 + 0x7f0
}

fn builder(paging: Paging) -> Builder {
    let memory =
        PhysicalMemory::new(Placement::Scattered { first: 0x200, window: 0x100, seed: 11 });
    let mut space = Builder::new(paging, memory);
    let head = list_head(paging);
    let size = machine(paging).pointer_size();
    let link = &head.to_le_bytes()[..size];
    space.write(head, &[link, link].concat());
    space
}

fn header(space: &Builder) -> HeaderInfo {
    let mut header = HeaderInfo::new(machine(space.paging()), 19041, space.dtb());
    header.ps_loaded_module_list = Some(list_head(space.paging()));
    header.pae = space.paging() == Paging::X86Pae;
    header
}

/// A dump of `space`, of a kind that both widths have.
fn dump(space: &Builder) -> Dump {
    open_dump(write_dump(DumpKind::Summary, &header(space), space.memory()))
}

/// The page tables of a dump, without a cache of translations.
fn tables(dump: &Dump, paging: Paging) -> PageTables {
    let physical = Arc::new(dump.physical().unwrap());
    PageTables::new(physical, dump.header().directory_table_base, mode(paging))
}

fn kinds(paging: Paging) -> &'static [DumpKind] {
    match machine(paging) {
        MachineType::X86 => &[DumpKind::Complete, DumpKind::Summary],
        _ => &DumpKind::WITH_HEADER,
    }
}

fn fault<T: std::fmt::Debug>(result: Result<T, Fault>) -> Fault {
    result.expect_err("a fault")
}

/// The state of one 4 KiB page.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Slot {
    State(PageState),
    /// Mapped to a page frame that is not in the dump.
    Absent,
    /// No entry at all.
    Unmapped,
}

fn slot() -> impl Strategy<Value = Slot> {
    prop_oneof![
        8 => Just(Slot::State(PageState::Present)),
        3 => Just(Slot::State(PageState::Transition)),
        1 => Just(Slot::State(PageState::PageFile)),
        1 => Just(Slot::State(PageState::Prototype)),
        1 => Just(Slot::State(PageState::NotPresent)),
        1 => Just(Slot::Absent),
        1 => Just(Slot::Unmapped),
    ]
}

/// One read: which edge, the distance from it (0x3000 is zero), the length.
type Read = (usize, u64, usize);

fn read() -> impl Strategy<Value = Read> {
    let from = prop_oneof![2 => 0x2fc0u64..0x3040, 1 => 0u64..0x6000];
    let length = prop_oneof![3 => 0usize..0x60, 1 => 0usize..0x3800];
    (any::<usize>(), from, length)
}

struct Scene {
    space: Builder,
    transition: BTreeSet<u64>,
    edges: Vec<u64>,
}

/// Contents of a page frame that differ from those of every other frame at each offset.
fn content(pfn: u64) -> Vec<u8> {
    let mut x = pfn.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    (0..PAGE)
        .map(|_| {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
            (x >> 32) as u8
        })
        .collect()
}

/// Small pages around a large page, around a huge one if the mode has them, and at both ends of the address
/// space.
fn scene(paging: Paging, slots: &[Slot], ends: u8) -> Scene {
    let mut space = builder(paging);
    let base = base(paging);
    let mut places: Vec<(PageSize, u64)> = vec![(PageSize::Large, base)];
    if !matches!(paging, Paging::X86 | Paging::X86Pae) {
        places.push((PageSize::Huge, base + 0x4000_0000));
    }
    let mut edges = Vec::new();
    let mut small = Vec::new();
    for &(size, at) in &places {
        let length = space.size_of(size);
        let frames = length / PAGE;
        let first = space.memory_mut().reserve(frames, frames);
        space.map(at, first, size, PageState::Present);
        // Two frames at each end, selected by `ends`; the dump does not hold the others.
        let held = [0, 1, frames - 2, frames - 1];
        for (bit, frame) in held.into_iter().enumerate() {
            if ends & 1 << bit != 0 {
                space.memory_mut().write((first + frame) * PAGE, &content(first + frame));
            }
        }
        edges.extend([at, at + length]);
        small.extend((1..=6).map(|i| at - i * PAGE));
        small.extend((0..6).map(|i| at + length + i * PAGE));
    }
    let top =
        if machine(paging) == MachineType::X86 { 0xffff_f000 } else { 0u64.wrapping_sub(PAGE) };
    small.extend([0, top]);
    edges.extend([0, top.wrapping_add(PAGE), top, 0x8000_0000_0000, 0x0100_0000_0000_0000]);

    let mut transition = BTreeSet::new();
    let mut absent = Vec::new();
    for (&va, &slot) in small.iter().zip(slots.iter().cycle()) {
        let slot = match slot {
            Slot::State(PageState::Transition) if paging == Paging::Arm64 => {
                Slot::State(PageState::Present)
            }
            Slot::State(PageState::PageFile | PageState::Prototype) if paging == Paging::Arm64 => {
                Slot::State(PageState::NotPresent)
            }
            other => other,
        };
        let state = match slot {
            Slot::State(state) => state,
            Slot::Absent => PageState::Present,
            Slot::Unmapped => continue,
        };
        let pfn = space.memory_mut().allocate();
        space.memory_mut().write(pfn * PAGE, &content(pfn));
        space.map(va, pfn, PageSize::Small, state);
        if slot == Slot::Absent {
            absent.push(pfn);
        }
        if state == PageState::Transition {
            transition.insert(va);
        }
    }
    // Last, because a removed frame could be allocated again.
    for pfn in absent {
        assert!(space.memory_mut().remove(pfn));
    }
    Scene { space, transition, edges }
}

impl Scene {
    /// Compares a one-byte read with the builder.
    fn check_byte(&self, kind: DumpKind, va: u64, got: &Result<(u8, Residence), Fault>) {
        let Some(pa) = self.space.translate(va) else {
            let fault = fault(got.clone());
            assert!(
                matches!(fault.reason, Reason::NotPresent { .. } | Reason::OutOfRange),
                "{fault}"
            );
            return;
        };
        match (self.space.memory().read(pa, 1), got) {
            (Some(byte), got) => {
                let residence = if self.transition.contains(&(va & !(PAGE - 1))) {
                    Residence::Transition
                } else {
                    Residence::Valid
                };
                assert_eq!(*got, Ok((byte[0], residence)), "{va:#x}");
            }
            // The writer of type 1 fills small gaps with zeros so that the runs fit the header.
            (None, Ok((byte, _))) => {
                assert_eq!((kind, *byte), (DumpKind::Complete, 0), "{va:#x}");
            }
            (None, Err(fault)) => {
                assert_eq!(fault.reason, Reason::Absent { pfn: Pfn(pa / PAGE) }, "{va:#x}");
            }
        }
    }

    fn check(&self, paging: Paging, reads: &[Read]) {
        for &kind in kinds(paging) {
            let dump = open_dump(write_dump(kind, &header(&self.space), self.space.memory()));
            let space = AddressSpace::of_dump(&dump).unwrap();
            assert_eq!(space.paging(), Some(mode(paging)));
            let plain = tables(&dump, paging);
            for &(edge, from, length) in reads {
                let edge = self.edges[edge % self.edges.len()];
                let at = edge.wrapping_add(from).wrapping_sub(0x3000);
                let mut bytes = Vec::new();
                let mut residence = Residence::Valid;
                let mut first_fault = None;
                for i in 0..length as u64 {
                    let va = at.wrapping_add(i);
                    let mut byte = [0xcc];
                    let got = plain.read(Va(va), &mut byte).map(|r| (byte[0], r));
                    // The neighbors of a page edge cover all that the builder knows of the page.
                    if i == 0 || va % PAGE < 2 || va % PAGE > PAGE - 3 {
                        self.check_byte(kind, va, &got);
                    }
                    match got {
                        Ok((byte, here)) => {
                            bytes.push(byte);
                            residence = residence.max(here);
                        }
                        Err(fault) => {
                            assert_eq!((fault.space, fault.done), (Space::Virtual, 0));
                            assert_eq!(fault.address, va);
                            first_fault = Some(Fault { done: bytes.len(), ..fault });
                            break;
                        }
                    }
                }
                let expected = first_fault.map_or(Ok(residence), Err);
                // The third read finds what the second cached.
                let memories: [&dyn Memory<Va>; 3] = [&plain, space.memory(), space.memory()];
                for memory in memories {
                    let mut buf = vec![0xcc; length];
                    let got = memory.read(Va(at), &mut buf);
                    assert_eq!(got, expected, "{kind:?}, {length:#x} bytes at {at:#x}");
                    assert!(buf[..bytes.len()] == bytes, "{kind:?}, {length:#x} bytes at {at:#x}");
                }
            }
        }
    }
}

macro_rules! schemes {
    ($($name:ident: $paging:expr;)*) => {
        proptest! {
            #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]
            $(
                #[test]
                fn $name(
                    slots in prop::collection::vec(slot(), 26),
                    ends in any::<u8>(),
                    reads in prop::collection::vec(read(), 4),
                ) {
                    scene($paging, &slots, ends).check($paging, &reads);
                }
            )*
        }
    };
}

schemes! {
    a_long_read_is_its_one_byte_reads_x64: Paging::X64;
    a_long_read_is_its_one_byte_reads_la57: Paging::X64La57;
    a_long_read_is_its_one_byte_reads_x86: Paging::X86;
    a_long_read_is_its_one_byte_reads_pae: Paging::X86Pae;
    a_long_read_is_its_one_byte_reads_arm64: Paging::Arm64;
}

/// The level, physical address and value of each entry on the way to `va`, from the top, until an entry that
/// points at `end`.
fn way_to(space: &Builder, va: u64, end: Option<u64>) -> Vec<(u8, u64, u64)> {
    let paging = space.paging();
    let (shifts, mask) = shifts(paging);
    let size = if paging == Paging::X86 { 4 } else { 8 };
    let mut table = space.dtb();
    let mut out = Vec::new();
    for (i, shift) in shifts.iter().enumerate() {
        let at = table + (va >> shift & mask) * size;
        let mut entry = [0; 8];
        entry[..size as usize].copy_from_slice(&space.memory().read(at, size as usize).unwrap());
        let entry = u64::from_le_bytes(entry);
        out.push(((shifts.len() - i) as u8, at, entry));
        table = entry & 0x000f_ffff_ffff_f000;
        if Some(table) == end {
            break;
        }
    }
    out
}

/// The entries on the way to a small page, down to the last level.
fn way(space: &Builder, va: u64) -> Vec<(u8, u64, u64)> {
    way_to(space, va, None)
}

#[test]
fn a_page_in_transition_is_read_through() {
    for paging in [Paging::X64, Paging::X64La57, Paging::X86, Paging::X86Pae] {
        let mut space = builder(paging);
        let va = base(paging);
        space.write(va, &[1; 0x1000]);
        space.write(va + PAGE, &[2; 0x1000]);
        space.set_state(va + PAGE, PageState::Transition);
        let dump = dump(&space);
        let tables = tables(&dump, paging);
        let mut buf = [0; 0x10];
        assert_eq!(tables.read(Va(va), &mut buf), Ok(Residence::Valid), "{paging:?}");
        assert_eq!(buf, [1; 0x10]);
        let across = tables.read(Va(va + PAGE - 8), &mut buf);
        assert_eq!(across, Ok(Residence::Transition), "{paging:?}");
        assert_eq!(buf, [1, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2]);
        let found = tables.translate(Va(va + PAGE + 5)).unwrap();
        assert_eq!(Some(found.pa.0), way(&space, va + PAGE).last().map(|e| (e.2 & !0xfff) + 5));
        assert_eq!((found.page_size, found.residence), (PAGE, Residence::Transition));
    }
}

#[test]
fn a_page_table_in_transition_is_walked() {
    for paging in [Paging::X64, Paging::X64La57, Paging::X86, Paging::X86Pae] {
        let mut space = builder(paging);
        let va = base(paging);
        space.write(va, &[7; 8]);
        let steps = way(&space, va);
        let (level, at, entry) = steps[steps.len() - 2];
        assert_eq!(level, 2);
        let size = if paging == Paging::X86 { 4 } else { 8 };
        let trimmed = (entry & !0xfff | 0x8c0).to_le_bytes();
        space.memory_mut().write(at, &trimmed[..size]);
        let dump = dump(&space);
        let mut buf = [0; 8];
        let got = tables(&dump, paging).read(Va(va), &mut buf);
        assert_eq!((got, buf), (Ok(Residence::Transition), [7; 8]), "{paging:?}");
    }
}

#[test]
fn an_entry_without_a_page_frame_is_reported() {
    for paging in SCHEMES {
        let states: &[PageState] = match paging {
            Paging::Arm64 => &[PageState::NotPresent],
            _ => &[PageState::Prototype, PageState::PageFile, PageState::NotPresent],
        };
        for &state in states {
            let mut space = builder(paging);
            let va = base(paging);
            space.write(va, &[3; 0x2000]);
            space.set_state(va + PAGE, state);
            let &(level, at, entry) = way(&space, va + PAGE).last().unwrap();
            assert_eq!((level, entry == 0), (1, state == PageState::NotPresent));
            let dump = dump(&space);
            let expected = Fault {
                space: Space::Virtual,
                address: va + PAGE,
                done: 0x10,
                reason: Reason::NotPresent { level: 1, entry, at: Pa(at) },
            };
            let mut buf = [0; 0x20];
            let got = tables(&dump, paging).read(Va(va + PAGE - 0x10), &mut buf);
            assert_eq!(got, Err(expected), "{paging:?} {state:?}");
            assert_eq!(buf[..0x10], [3; 0x10]);
        }
    }
}

#[test]
fn an_absent_page_table_is_reported_with_its_level() {
    for paging in SCHEMES {
        let mut space = builder(paging);
        let va = base(paging) + 0x2345;
        space.write(va, &[3; 8]);
        for (level, at, _) in way(&space, va) {
            let mut damaged = space.clone();
            assert!(damaged.memory_mut().remove(at / PAGE));
            let dump = dump(&damaged);
            let got = fault(tables(&dump, paging).read(Va(va), &mut [0; 8]));
            let cause = Box::new(Reason::Absent { pfn: Pfn(at / PAGE) });
            assert_eq!(got.reason, Reason::Table { level, at: Pa(at), cause }, "{paging:?}");
            assert!(got.reason.is_absent());
            assert_eq!((got.space, got.address, got.done), (Space::Virtual, va, 0));
        }
    }
}

#[test]
fn a_missing_table_ends_the_walk_at_its_level() {
    for paging in SCHEMES {
        let space = builder(paging);
        let (shifts, _) = shifts(paging);
        let dump = dump(&space);
        // Follows the list head's path and leaves it at each level above the last.
        for (i, shift) in shifts.iter().enumerate() {
            let va = list_head(paging) ^ 1 << shift;
            let level = (shifts.len() - i) as u8;
            match fault(tables(&dump, paging).translate(Va(va))).reason {
                Reason::NotPresent { level: got, entry: 0, .. } => assert_eq!(got, level),
                other => panic!("{paging:?}, {va:#x}: {other}"),
            }
        }
    }
}

#[test]
fn the_list_head_distinguishes_four_levels_from_five() {
    // An address that both modes can translate.
    let head: u64 = 0xffff_f800_1234_5ff8;
    for paging in [Paging::X64, Paging::X64La57] {
        let mut space = builder(paging);
        let link = head.to_le_bytes();
        space.write(head, &[link, link].concat());
        let mut info = header(&space);
        for (list, expected) in [
            (Some(head), mode(paging)),
            // Nothing distinguishes them, so the more common mode is used.
            (None, PagingMode::X64),
            (Some(head + 0x8_0000), PagingMode::X64),
        ] {
            info.ps_loaded_module_list = list;
            let dump = open_dump(write_dump(DumpKind::BitmapKernel, &info, space.memory()));
            let found = AddressSpace::of_dump(&dump).unwrap();
            assert_eq!(found.paging(), Some(expected), "{paging:?} {list:x?}");
            if expected == mode(paging) && list.is_some() {
                assert_eq!(found.read_pointer(Va(head)), Ok(Va(head)));
            }
        }
    }
}

#[test]
fn the_list_head_shows_pae_if_the_header_does_not() {
    for paging in [Paging::X86, Paging::X86Pae] {
        let space = builder(paging);
        let mut bytes = write_dump(DumpKind::Complete, &header(&space), space.memory());
        bytes[0x5c] = b'P';
        let dump = open_dump(bytes);
        assert_eq!(dump.header().pae_enabled, None);
        let found = AddressSpace::of_dump(&dump).unwrap();
        assert_eq!(found.paging(), Some(mode(paging)));
        let head = Va(list_head(paging));
        assert_eq!(found.read_pointer(head), Ok(head));
    }
}

#[test]
fn an_address_that_is_not_canonical_is_out_of_range() {
    for (paging, outside, inside) in [
        (
            Paging::X64,
            &[0x8000_0000_0000, 0xffff_7fff_ffff_ffff, 0x00ff_f800_0000_0000][..],
            &[0x7fff_ffff_ffff, 0xffff_8000_0000_0000][..],
        ),
        (
            Paging::X64La57,
            &[0x0100_0000_0000_0000, 0xfeff_ffff_ffff_ffff],
            &[0x00ff_ffff_ffff_ffff, 0xff00_0000_0000_0000, 0x8000_0000_0000],
        ),
        (Paging::X86, &[0x1_0000_0000, 0xffff_ffff_8000_0000], &[0xffff_ffff]),
        (Paging::X86Pae, &[0x1_0000_0000, 0xffff_ffff_8000_0000], &[0xffff_ffff]),
        (
            Paging::Arm64,
            &[0x0001_0000_0000_0000, 0xfffe_ffff_ffff_ffff],
            &[0xffff_ffff_ffff, 0xffff_0000_0000_0000],
        ),
    ] {
        let dump = dump(&builder(paging));
        let tables = tables(&dump, paging);
        for &va in outside {
            let expected =
                Fault { space: Space::Virtual, address: va, done: 0, reason: Reason::OutOfRange };
            assert_eq!(tables.read(Va(va), &mut [0; 4]), Err(expected), "{paging:?}");
        }
        for &va in inside {
            let reason = fault(tables.read(Va(va), &mut [0; 1])).reason;
            assert!(matches!(reason, Reason::NotPresent { .. }), "{paging:?} {va:#x}: {reason}");
        }
    }
}

#[test]
fn the_cache_does_not_translate_a_non_canonical_twin() {
    let mut space = builder(Paging::X64);
    let va = base(Paging::X64);
    space.write(va, &[9; 8]);
    let dump = dump(&space);
    let found = AddressSpace::of_dump(&dump).unwrap();
    let mut buf = [0; 8];
    assert_eq!(found.read(Va(va), &mut buf), Ok(Residence::Valid));
    // The same bits 0 to 48, not sign-extended.
    let twin = Va(va & ((1 << 49) - 1));
    assert_eq!(fault(found.read(twin, &mut buf)).reason, Reason::OutOfRange);
}

#[test]
fn low_bits_of_the_directory_table_base_are_ignored() {
    for paging in SCHEMES {
        let mut space = builder(paging);
        let va = base(paging) + 0xffc;
        space.write(va, b"across!");
        for low in [0, 1, 0x18, 0x1f, 0x7ff, 0xfff] {
            let mut info = header(&space);
            // PAE's base is aligned to only 32 bytes.
            info.dtb |= if paging == Paging::X86Pae { low & 0x1f } else { low };
            let dump = open_dump(write_dump(DumpKind::Summary, &info, space.memory()));
            assert_eq!(dump.header().directory_table_base, Pa(info.dtb));
            let found = AddressSpace::of_dump(&dump).unwrap();
            let mut buf = [0; 7];
            assert_eq!(found.read(Va(va), &mut buf), Ok(Residence::Valid), "{paging:?} {low:#x}");
            assert_eq!(&buf, b"across!");
        }
    }
}

#[test]
fn a_large_page_is_reported_with_its_size() {
    for (paging, size, length) in [
        (Paging::X64, PageSize::Large, 0x20_0000),
        (Paging::X64, PageSize::Huge, 0x4000_0000),
        (Paging::X64La57, PageSize::Huge, 0x4000_0000),
        (Paging::X86, PageSize::Large, 0x40_0000),
        (Paging::X86Pae, PageSize::Large, 0x20_0000),
        (Paging::Arm64, PageSize::Large, 0x20_0000),
        (Paging::Arm64, PageSize::Huge, 0x4000_0000),
    ] {
        let mut space = builder(paging);
        let frames = length / PAGE;
        let first = space.memory_mut().reserve(frames, frames);
        let va = base(paging) + if paging == Paging::X86Pae { 0x20_0000 } else { 0x4000_0000 };
        space.map(va, first, size, PageState::Present);
        if paging != Paging::Arm64 {
            // The PAT bit of a large page is bit 12, which does not belong to the address.
            let &(_, at, entry) = way_to(&space, va, Some(first * PAGE)).last().unwrap();
            space.memory_mut().write(at, &(entry as u32 | 0x1000).to_le_bytes());
        }
        let dump = dump(&space);
        for offset in [5, length - 3] {
            let found = tables(&dump, paging).translate(Va(va + offset)).unwrap();
            assert_eq!(found.page_size, length, "{paging:?} {size:?}");
            assert_eq!(found.pa, Pa(first * PAGE + offset), "{paging:?} {size:?}");
        }
        // The next page is not mapped.
        assert!(tables(&dump, paging).translate(Va(va + length)).is_err());
    }
}

/// If memory does not change, the tables on the way to a page are read once; otherwise at each read.
#[test]
fn a_cached_space_walks_the_tables_to_a_page_once() {
    // Tables of five levels have no cache.
    for paging in [Paging::X64, Paging::X86, Paging::X86Pae, Paging::Arm64] {
        let dump = dump(&builder(paging));
        let header = dump.header();
        let physical = dump.physical().unwrap();
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        let memory = Arc::new(FromFn::new(move |at: Pa, buf: &mut [u8]| {
            count.fetch_add(1, Ordering::Relaxed);
            physical.read(at, buf).map(|_| ())
        }));
        let space = |cached| {
            let space =
                AddressSpace::of_physical(memory.clone(), header, header.machine().unwrap());
            if cached { space.cached() } else { space }
        };
        let head = Va(list_head(paging));
        let reads = |space: &AddressSpace| {
            let before = asked.load(Ordering::Relaxed);
            assert_eq!(space.read_pointer(head), Ok(head), "{paging:?}");
            asked.load(Ordering::Relaxed) - before
        };
        let levels = shifts(paging).0.len();
        let (plain, cached) = (space(false), space(true));
        assert_eq!(cached.paging(), Some(mode(paging)));
        assert_eq!([reads(&plain), reads(&plain)], [levels + 1, levels + 1], "{paging:?}");
        assert_eq!([reads(&cached), reads(&cached)], [levels + 1, 1], "{paging:?}");
    }
}

/// Every page in turn, each with its own look-up.
fn one_by_one(tables: &PageTables, first: u64, last: u64) -> Vec<(Va, Pa, u64, Residence)> {
    let pages = (0..=(last - first) / PAGE).map(|i| Va(first + i * PAGE));
    let found = pages.filter_map(|va| {
        let found = tables.translate(va).ok()?;
        Some((va, found.pa, found.page_size, found.residence))
    });
    found.collect()
}

#[test]
fn the_mapped_pages_are_the_pages_that_translate() {
    for paging in SCHEMES {
        let slots = [
            Slot::State(PageState::Present),
            Slot::State(PageState::Transition),
            Slot::Unmapped,
            Slot::State(PageState::NotPresent),
            Slot::Absent,
        ];
        let scene = scene(paging, &slots, 0b1011);
        let dump = dump(&scene.space);
        let tables = tables(&dump, paging);
        let physical = dump.physical().unwrap();
        let size = scene.space.size_of(PageSize::Large);
        // From the middle of the tables, and to the middle of the large page.
        for (first, last) in [
            (base(paging) - 6 * PAGE, base(paging) + size + 6 * PAGE),
            (base(paging) - 3 * PAGE, base(paging) + size - 2 * PAGE),
            (base(paging) + PAGE, base(paging) + size - PAGE - 1),
            (base(paging) + size, base(paging) + size + PAGE),
        ] {
            let mut pages = tables.mapped_pages(Va(first), Va(last), 1 << 20);
            let found: Vec<_> = pages
                .by_ref()
                .map(|(va, found)| (va, found.pa, found.page_size, found.residence))
                .collect();
            // Of a large page, only the parts that the dump holds are listed.
            let mut expected = one_by_one(&tables, first, last);
            expected.retain(|(_, pa, size, _)| *size == PAGE || physical.read_u8(*pa).is_ok());
            assert_eq!(found, expected, "{paging:?} {first:#x} {last:#x}");
            assert!(pages.steps_left() > 0);
        }
    }
}

#[test]
fn tables_in_a_circle_are_walked_once_at_each_level() {
    for paging in SCHEMES {
        let size = if paging == Paging::X86 { 4 } else { 8 };
        let entry = if paging == Paging::Arm64 { 0x1703u64 } else { 0x1063 };
        // PAE's top table has reserved bits.
        let top = if paging == Paging::X86Pae { 0x1001 } else { entry };
        let mut memory = SparsePages::<Pa>::new();
        memory.write(Pa(0x1000), &entry.to_le_bytes()[..size].repeat(PAGE as usize / size));
        memory.write(Pa(0x2000), &top.to_le_bytes()[..size].repeat(PAGE as usize / size));
        let tables = PageTables::new(Arc::new(memory), Pa(0x2000), mode(paging));
        let mut pages = tables.mapped_pages(Va(0), Va(u64::MAX), 1 << 20);
        let found = pages.by_ref().count() as u64;
        assert_eq!(found, PAGE / size as u64, "{paging:?}");
        let steps = (1 << 20) - pages.steps_left();
        assert!(steps <= 5 * 1024, "{paging:?}: {steps:#x}");
    }
}

#[test]
fn a_large_page_of_absent_memory_is_one_step() {
    let mut memory = SparsePages::<Pa>::new();
    // 512 pages of 1 GiB each; the last one begins with a page that is held.
    let entries = (1..=512u64).flat_map(|i| (i << 30 | 0xe3).to_le_bytes());
    memory.write(Pa(0x2000), &entries.collect::<Vec<u8>>());
    memory.write(Pa(0x1000), &0x2063u64.to_le_bytes().repeat(512));
    memory.write(Pa(512 << 30), &[1; 0x1000]);
    let tables = PageTables::new(Arc::new(memory), Pa(0x1000), PagingMode::X64);
    let mut pages = tables.mapped_pages(Va(0), Va(u64::MAX), 1 << 20);
    let found: Vec<_> = pages.by_ref().map(|(va, found)| (va.0, found.pa.0)).collect();
    assert_eq!(found, [(511 << 30, 512 << 30)]);
    assert!((1 << 20) - pages.steps_left() < 2048);
}
