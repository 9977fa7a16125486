//! Dump headers and page maps; page tables.

use std::sync::Arc;

use verifier_core::analysis::BugCheckReport;
use verifier_core::dump::Dump;
use verifier_core::kernel::{AddressSpace, Hints, Kernel};
use verifier_core::memory::{FromFn, Memory, PageTables, PagingMode};
use verifier_core::render::info::BugCheckInfo;
use verifier_core::render::text::{write_bug_check, write_modules};
use verifier_core::{Error, Pa, Va};

use crate::bytes::Input;
use crate::machine;

/// A file of any bytes, or (if its first byte is odd) a dump with a changed and cut head: what `info`
/// does with it.
pub fn dump_header(data: &[u8]) {
    let mut input = Input(data);
    let dump = if input.u8() & 1 == 1 {
        Dump::open(machine::with_changed_head(&mut input))
    } else {
        Dump::open(Arc::new(input.0.to_vec()))
    };
    let Ok(dump) = dump else { return };
    let _ = format!("{:?} {:?}", dump.header(), dump.problems());
    let Ok(physical) = dump.physical() else { return };
    let mut from = 0;
    let mut page = [0; 64];
    for _ in 0..64 {
        let Some(pfn) = physical.map().next_frame(from) else { break };
        assert!(pfn >= from);
        let _ = physical.read(Pa(pfn.wrapping_mul(0x1000)), &mut page);
        let Some(next) = pfn.checked_add(1) else { break };
        from = next;
    }
    let _ = physical.map().page_count();
    let show = |kernel: Result<&Kernel, &Error>| {
        let header = dump.header();
        let report = BugCheckReport::of(header.bug_check, kernel, header.machine());
        let Some(machine) = header.machine() else { return };
        let info = BugCheckInfo::of(&report, kernel.ok());
        let _ = write_bug_check(&mut std::io::sink(), &info, machine);
    };
    show(Err(&Error::Unsupported { what: "no kernel".into() }));
    let Ok(space) = AddressSpace::of_dump(&dump) else { return };
    let hints = Hints::from(dump.header());
    let Ok(kernel) = Kernel::open_with(space, hints, machine::limits()) else { return };
    for wanted in kernel.wanted_symbols() {
        let _ = wanted.to_string();
    }
    let _ = write_modules(&mut std::io::sink(), &kernel);
    show(Ok(&kernel));
}

/// Page tables of any bytes: a read equals its one-byte reads, and ends.
pub fn paging(data: &[u8]) {
    const MODES: [PagingMode; 5] = [
        PagingMode::X86,
        PagingMode::X86Pae,
        PagingMode::X64,
        PagingMode::X64La57,
        PagingMode::Arm64,
    ];
    let mut input = Input(data);
    let mode = MODES[usize::from(input.u8()) % MODES.len()];
    let root = input.u64();
    let starts: Vec<u64> = (0..4).map(|_| input.u64()).collect();
    let memory = input.0.to_vec();
    if memory.is_empty() {
        return;
    }
    // Physical memory is the rest of the input over and over, so that any frame number leads somewhere;
    // one page in eight is absent.
    let physical = FromFn::new(move |at: Pa, buf: &mut [u8]| {
        if at.pfn().0 % 8 == 7 {
            return Err("absent");
        }
        for (i, to) in buf.iter_mut().enumerate() {
            *to = memory[(at.0.wrapping_add(i as u64) % memory.len() as u64) as usize];
        }
        Ok(())
    });
    let tables = PageTables::new(Arc::new(physical), Pa(root), mode);
    for start in starts {
        let mut whole = [0; 24];
        let result = tables.read(Va(start), &mut whole);
        let done = result.as_ref().map_or_else(|fault| fault.done, |_| whole.len());
        for (i, &byte) in whole.iter().enumerate().take(done) {
            assert_eq!(tables.read_u8(Va(start.wrapping_add(i as u64))), Ok(byte));
        }
        if let Err(fault) = result {
            let _ = fault.to_string();
            assert!(tables.read_u8(Va(start.wrapping_add(done as u64))).is_err());
        }
    }
}
