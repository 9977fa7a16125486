//! ELF cores as QEMU writes them: a header, program headers, the notes, then the memory.
//!
//! A 64-bit file for 64-bit machines, a 32-bit one for x86. There is one `PT_NOTE` with an `NT_PRSTATUS` of
//! owner `CORE` for each processor, then one of owner `QEMU`, type 0, for each: {version 1, size, RAX … R15,
//! RIP, RFLAGS, ten segments of 24 bytes, CR0 … CR4, kernel GS}. ARM machines do not have the second note.
//! Each `PT_LOAD` is a run of frames; its virtual address comes from paging and has no meaning here.

use super::{HeaderInfo, MachineType, put, put32, put64};
use crate::physical::{PAGE_SIZE, PhysicalMemory};

/// Offset of CR3 in the note's content.
const CR3: usize = 0x1a0;

pub(super) fn write(header: &HeaderInfo, memory: &PhysicalMemory) -> Vec<u8> {
    let wide = header.machine != MachineType::X86;
    let mut runs: Vec<(u64, u64)> = Vec::new();
    for (pfn, _) in memory.pages() {
        match runs.last_mut() {
            Some((base, count)) if *base + *count == pfn => *count += 1,
            _ => runs.push((pfn, 1)),
        }
    }
    let (header_size, entry_size) = if wide { (64, 56) } else { (52, 32) };
    let notes = notes(header);
    let notes_at = header_size + entry_size * (runs.len() + 1);
    let memory_at = notes_at + notes.len();
    let mut file = vec![0; memory_at];
    put(&mut file, 0, b"\x7fELF");
    file[4..7].copy_from_slice(&[if wide { 2 } else { 1 }, 1, 1]);
    let machine: u16 = match header.machine {
        MachineType::X86 => 3,
        MachineType::X64 => 62,
        MachineType::Arm64 => 183,
    };
    // ET_CORE.
    put(&mut file, 0x10, &4u16.to_le_bytes());
    put(&mut file, 0x12, &machine.to_le_bytes());
    put32(&mut file, 0x14, 1);
    let (table, sizes) = if wide { (0x20, 0x34) } else { (0x1c, 0x28) };
    put32(&mut file, table, header_size as u32);
    for (i, half) in [header_size, entry_size, runs.len() + 1].into_iter().enumerate() {
        put(&mut file, sizes + 2 * i, &(half as u16).to_le_bytes());
    }
    let mut entry = |index: usize, kind: u32, at: usize, address: u64, size: usize| {
        let here = header_size + entry_size * index;
        put32(&mut file, here, kind);
        if wide {
            put64(&mut file, here + 8, at as u64);
            put64(&mut file, here + 0x18, address);
            put64(&mut file, here + 0x20, size as u64);
            put64(&mut file, here + 0x28, size as u64);
        } else {
            let address = u32::try_from(address).expect("a 32-bit core holds memory below 4 GiB");
            put32(&mut file, here + 4, at as u32);
            put32(&mut file, here + 0xc, address);
            put32(&mut file, here + 0x10, size as u32);
            put32(&mut file, here + 0x14, size as u32);
        }
    };
    entry(0, 4, notes_at, 0, notes.len());
    let mut at = memory_at;
    for (i, &(base, count)) in runs.iter().enumerate() {
        let size = count as usize * PAGE_SIZE;
        entry(i + 1, 1, at, base * PAGE_SIZE as u64, size);
        at += size;
    }
    put(&mut file, notes_at, &notes);
    for (_, page) in memory.pages() {
        file.extend_from_slice(page);
    }
    file
}

fn notes(header: &HeaderInfo) -> Vec<u8> {
    let mut out = Vec::new();
    for _ in 0..header.processors {
        note(&mut out, b"CORE\0", 1, &[0; 336]);
    }
    if header.machine != MachineType::Arm64 {
        for number in 0..header.processors {
            let mut state = vec![0; 0x1b8];
            put32(&mut state, 0, 1);
            put32(&mut state, 4, 0x1b8);
            put64(&mut state, 8, 0x1111 * u64::from(number));
            put64(&mut state, CR3, header.dtb);
            note(&mut out, b"QEMU\0", 0, &state);
        }
    }
    out
}

fn note(out: &mut Vec<u8>, owner: &[u8], kind: u32, content: &[u8]) {
    for word in [owner.len() as u32, content.len() as u32, kind] {
        out.extend(word.to_le_bytes());
    }
    out.extend_from_slice(owner);
    out.resize(out.len().next_multiple_of(4), 0);
    out.extend_from_slice(content);
    out.resize(out.len().next_multiple_of(4), 0);
}
