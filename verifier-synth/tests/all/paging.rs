//! Page tables, checked with an independent walker.

use crate::common::Dump;
use verifier_synth::{
    AddressSpace, DumpKind, HeaderInfo, MachineType, PageSize, PageState, Paging, PhysicalMemory,
    Placement, dump::write_dump,
};

fn space(paging: Paging) -> AddressSpace {
    AddressSpace::new(
        paging,
        PhysicalMemory::new(Placement::Scattered { first: 0x200, window: 0x100, seed: 3 }),
    )
}

fn file(space: &AddressSpace, machine: MachineType) -> Vec<u8> {
    write_dump(DumpKind::Complete, &HeaderInfo::new(machine, 19041, space.dtb()), space.memory())
}

#[test]
fn every_scheme_reads_back_what_was_written() {
    type Walk = fn(&Dump<'_>, u64) -> Option<u64>;
    let cases: [(Paging, MachineType, u64, Walk); 5] = [
        (Paging::X64, MachineType::X64, 0xffff_f800_1234_5ff0, |d, va| d.x64(va, 4)),
        (Paging::X64La57, MachineType::X64, 0xff10_0000_1234_5ff0, |d, va| d.x64(va, 5)),
        (Paging::X86, MachineType::X86, 0x82a0_bff0, |d, va| d.x86(va)),
        (Paging::X86Pae, MachineType::X86, 0x82a0_bff0, |d, va| d.pae(va)),
        (Paging::Arm64, MachineType::Arm64, 0xffff_f801_d840_0ff0, |d, va| d.arm64(va)),
    ];
    for (paging, machine, va, walk) in cases {
        let mut space = space(paging);
        let data: Vec<u8> = (0..64).collect();
        space.write(va, &data);
        let far = va ^ 0x4000_0000;
        space.write(far, &data);
        let file = file(&space, machine);
        let dump = Dump::open(&file);
        for at in [va, far] {
            assert_eq!(dump.read_by(walk, at, 64), Some(data.clone()), "{paging:?} at {at:#x}");
        }
        assert_eq!(walk(&dump, va + 0x10_0000), None, "{paging:?}");
    }
}

#[test]
fn large_pages() {
    let cases = [
        (Paging::X64, PageSize::Large, 0x20_0000),
        (Paging::X64, PageSize::Huge, 0x4000_0000),
        (Paging::X64La57, PageSize::Large, 0x20_0000),
        (Paging::Arm64, PageSize::Large, 0x20_0000),
        (Paging::X86Pae, PageSize::Large, 0x20_0000),
        (Paging::X86, PageSize::Large, 0x40_0000),
    ];
    for (paging, size, length) in cases {
        let mut space = space(paging);
        assert_eq!(space.size_of(size), length);
        let frames = length / 0x1000;
        let base = space.memory_mut().reserve(frames, frames);
        let va = 0x8000_0000;
        space.map(va, base, size, PageState::Present);
        let machine = match paging {
            Paging::X86 | Paging::X86Pae => MachineType::X86,
            Paging::Arm64 => MachineType::Arm64,
            _ => MachineType::X64,
        };
        let probe = va + length - 0x1800;
        space.write(probe, &[0xab; 0x1000]);
        let file = file(&space, machine);
        let dump = Dump::open(&file);
        let walked = match paging {
            Paging::X64 => dump.x64(probe, 4),
            Paging::X64La57 => dump.x64(probe, 5),
            Paging::X86 => dump.x86(probe),
            Paging::X86Pae => dump.pae(probe),
            Paging::Arm64 => dump.arm64(probe),
        };
        assert_eq!(walked, Some(base * 0x1000 + length - 0x1800), "{paging:?} {size:?}");
        assert_eq!(dump.physical(walked.unwrap(), 4), Some(vec![0xab; 4]));
    }
}

#[test]
fn page_states_decide_what_can_be_read() {
    let mut space = space(Paging::X64);
    let va = 0xffff_fa80_0000_0000;
    for i in 0..5 {
        space.write(va + 0x1000 * i, &[i as u8 + 1; 8]);
    }
    for (i, state) in
        [PageState::Transition, PageState::PageFile, PageState::Prototype, PageState::NotPresent]
            .into_iter()
            .enumerate()
    {
        space.set_state(va + 0x1000 * (i as u64 + 1), state);
    }
    let file = file(&space, MachineType::X64);
    let dump = Dump::open(&file);
    let reads: Vec<_> = (0..5)
        .map(|i| dump.read_by(|d, va| d.x64(va, 4), va + 0x1000 * i, 8).map(|bytes| bytes[0]))
        .collect();
    assert_eq!(reads, [Some(1), Some(2), None, None, None]);
}

#[test]
fn pae_base_is_32_byte_aligned_and_arm64_base_may_have_low_bits() {
    assert_eq!(space(Paging::X86Pae).dtb() % 0x1000, 0x2e0);
    let mut arm = space(Paging::Arm64);
    arm.set_dtb_low_bits(1);
    assert_eq!(arm.dtb() & 0xfff, 1);
}

#[test]
#[should_panic(expected = "a large page already covers")]
fn a_small_page_inside_a_large_one_is_refused() {
    let mut space = space(Paging::X64);
    let base = space.memory_mut().reserve(512, 512);
    space.map(0x20_0000, base, PageSize::Large, PageState::Present);
    space.map(0x20_1000, 1, PageSize::Small, PageState::Present);
}
