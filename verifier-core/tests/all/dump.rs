//! Dump files: page maps compared with naive ones, files that end early, headers as real writers leave them.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::common::open_dump;
use proptest::collection::vec;
use proptest::prelude::*;
use verifier_core::dump::{Dump, DumpKind as Kind, PhysicalPages, ReadAt};
use verifier_core::error::Reason;
use verifier_core::memory::Memory;
use verifier_core::{Error, Extent, Pa, Pfn};
use verifier_synth::dump::write_dump;
use verifier_synth::{DumpKind, HeaderInfo, MachineType, PhysicalMemory, Placement};

const PAGE: u64 = 0x1000;

fn put(file: &mut [u8], at: usize, bytes: &[u8]) {
    file[at..at + bytes.len()].copy_from_slice(bytes);
}

fn put32(file: &mut [u8], at: usize, value: u32) {
    put(file, at, &value.to_le_bytes());
}

fn put64(file: &mut [u8], at: usize, value: u64) {
    put(file, at, &value.to_le_bytes());
}

/// A header without data after it.
fn header(machine: MachineType, dump_type: u32) -> Vec<u8> {
    let empty = PhysicalMemory::new(Placement::Sequential { first: 1 });
    let info = HeaderInfo::new(machine, 19041, 0x1a_d000);
    let mut file = write_dump(DumpKind::Complete, &info, &empty);
    let at = if machine == MachineType::X86 { 0xf88 } else { 0xf98 };
    put32(&mut file, at, dump_type);
    file
}

/// Appends pages; each starts with its own file offset.
fn append_pages(file: &mut Vec<u8>, count: u64) {
    for _ in 0..count {
        let at = file.len() as u64;
        file.extend(at.to_le_bytes());
        file.resize(file.len() + PAGE as usize - 8, 0);
    }
}

/// The contents that [`append_pages`] wrote for this frame.
fn stored_at(pages: &PhysicalPages, pfn: u64) -> u64 {
    pages.read_u64(Pa(pfn * PAGE)).unwrap()
}

/// Compares a page map, and reads through it, with a map from frame to file offset.
fn check(pages: &PhysicalPages, naive: &BTreeMap<u64, u64>, frames: u64, file_len: u64) {
    let map = pages.map();
    assert_eq!(map.page_count(), naive.len() as u64);
    for pfn in 0..frames {
        assert_eq!(map.offset(pfn), naive.get(&pfn).copied(), "frame {pfn:#x}");
        assert_eq!(
            map.next_frame(pfn),
            naive.range(pfn..).next().map(|(&next, _)| next),
            "first frame from {pfn:#x} on"
        );
        let mut byte = [0; 8];
        let read = pages.read(Pa(pfn * PAGE), &mut byte).map_err(|fault| fault.reason);
        match naive.get(&pfn) {
            None => assert_eq!(read, Err(Reason::Absent { pfn: Pfn(pfn) })),
            Some(&offset) if offset + PAGE > file_len => {
                assert_eq!(read, Err(Reason::Truncated { pfn: Pfn(pfn), offset }));
            }
            Some(&offset) => {
                assert!(read.is_ok());
                assert_eq!(u64::from_le_bytes(byte), offset);
            }
        }
    }
    assert_eq!(map.next_frame(u64::MAX), None);
    assert_eq!(map.offset(u64::MAX), None);
}

/// Frames of ranges that are stored one after another; if a frame is stored twice, the first copy counts.
fn naive_ranges(ranges: &[(u64, u64)], first_page: u64) -> BTreeMap<u64, u64> {
    let mut naive = BTreeMap::new();
    let mut offset = first_page;
    for &(first, count) in ranges {
        for pfn in first..first + count {
            naive.entry(pfn).or_insert(offset);
            offset += PAGE;
        }
    }
    naive
}

/// A complete dump with these runs.
fn runs_file(machine: MachineType, runs: &[(u64, u64)]) -> Vec<u8> {
    let mut file = header(machine, 1);
    let pages = runs.iter().map(|run| run.1).sum();
    if machine == MachineType::X86 {
        put32(&mut file, 0x64, runs.len() as u32);
        put32(&mut file, 0x68, pages as u32);
        for (i, &(first, count)) in runs.iter().enumerate() {
            put32(&mut file, 0x6c + 8 * i, first as u32);
            put32(&mut file, 0x70 + 8 * i, count as u32);
        }
    } else {
        put32(&mut file, 0x88, runs.len() as u32);
        put64(&mut file, 0x90, pages);
        for (i, &(first, count)) in runs.iter().enumerate() {
            put64(&mut file, 0x98 + 16 * i, first);
            put64(&mut file, 0xa0 + 16 * i, count);
        }
    }
    append_pages(&mut file, pages);
    file
}

/// A dump of ranges whose list ends with a zero entry.
fn ranges_file(dump_type: u32, ranges: &[(u64, u64)]) -> (Vec<u8>, u64) {
    let mut file = header(MachineType::X64, dump_type);
    let first_page = (0x2030 + 16 * (ranges.len() as u64 + 1)).next_multiple_of(PAGE);
    file.resize(first_page as usize, 0);
    put32(&mut file, 0x2000, 0x40);
    put(&mut file, 0x2004, b"RDMPDUMP");
    put64(&mut file, 0x2010, first_page - 0x2020);
    put64(&mut file, 0x2018, first_page);
    let pages = ranges.iter().map(|range| range.1).sum();
    if dump_type == 0xa {
        put32(&mut file, 0x2020, ranges.len() as u32);
        put64(&mut file, 0x2028, pages);
    }
    for (i, &(first, count)) in ranges.iter().enumerate() {
        put64(&mut file, 0x2030 + 16 * i, first);
        put64(&mut file, 0x2038 + 16 * i, count);
    }
    append_pages(&mut file, pages);
    (file, first_page)
}

/// A bitmap dump of `bits.len()` frames; the bits past the last one are set, as garbage.
fn bitmap_file(dump_type: u32, machine: MachineType, bits: &[bool]) -> (Vec<u8>, u64) {
    let mut file = header(machine, dump_type);
    let start = file.len();
    let bitmap = match (dump_type, machine) {
        (2, MachineType::X86) => start + 0x20,
        (2, _) => start + 0x28,
        _ => start + 0x38,
    };
    let end = bitmap + bits.len().div_ceil(8);
    let first_page = end.next_multiple_of(PAGE as usize);
    file.resize(first_page, 0);
    let present = bits.iter().filter(|&&bit| bit).count() as u64;
    if dump_type == 2 {
        put(&mut file, start, b"SDMPDUMP");
        put32(&mut file, start + 0xc, first_page as u32);
        put32(&mut file, start + 0x10, bits.len() as u32);
        put32(&mut file, start + 0x14, present as u32);
        put32(&mut file, start + 0x18, bits.len() as u32);
    } else {
        put(&mut file, start, if dump_type == 5 { b"FDMPDUMP" } else { b"SDMPDUMP" });
        put64(&mut file, start + 0x20, first_page as u64);
        put64(&mut file, start + 0x28, present);
        put64(&mut file, start + 0x30, bits.len() as u64);
    }
    for bit in 0..8 * bits.len().div_ceil(8) {
        if bits.get(bit).copied().unwrap_or(true) {
            file[bitmap + bit / 8] |= 1 << (bit % 8);
        }
    }
    append_pages(&mut file, present);
    (file, first_page as u64)
}

fn naive_bits(bits: &[bool], first_page: u64) -> BTreeMap<u64, u64> {
    (0u64..)
        .zip(bits)
        .filter(|&(_, &bit)| bit)
        .enumerate()
        .map(|(rank, (pfn, _))| (pfn, first_page + rank as u64 * PAGE))
        .collect()
}

/// Runs that may overlap, touch, repeat and come in any order.
fn some_runs(most: usize) -> impl Strategy<Value = Vec<(u64, u64)>> {
    vec((0u64..80, 1u64..12), 1..most)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn runs_equal_the_naive_map(runs in some_runs(12), x86: bool, cut in 0u64..0x9000) {
        let machine = if x86 { MachineType::X86 } else { MachineType::X64 };
        let mut file = runs_file(machine, &runs);
        let start = if x86 { 0x1000 } else { 0x2000 };
        file.truncate((file.len() as u64).saturating_sub(cut).max(start) as usize);
        let len = file.len() as u64;
        let dump = open_dump(file);
        prop_assert_eq!(dump.header().kind, Kind::Full);
        check(&dump.physical().unwrap(), &naive_ranges(&runs, start), 100, len);
    }

    #[test]
    fn ranges_equal_the_naive_map(
        ranges in some_runs(12), dump_type in prop::sample::select(vec![8u32, 9, 0xa]),
        cut in 0u64..0x9000,
    ) {
        let (mut file, first_page) = ranges_file(dump_type, &ranges);
        file.truncate((file.len() as u64).saturating_sub(cut).max(first_page) as usize);
        let len = file.len() as u64;
        let dump = open_dump(file);
        prop_assert_eq!(dump.header().kind.raw(), dump_type);
        check(&dump.physical().unwrap(), &naive_ranges(&ranges, first_page), 100, len);
    }

    #[test]
    fn bitmaps_equal_the_naive_map(
        bits in vec(prop::bool::weighted(0.3), 1..1300),
        dump_type in prop::sample::select(vec![2u32, 5, 6]), x86: bool, cut in 0u64..0x9000,
    ) {
        let machine = if x86 && dump_type == 2 { MachineType::X86 } else { MachineType::X64 };
        let (mut file, first_page) = bitmap_file(dump_type, machine, &bits);
        file.truncate((file.len() as u64).saturating_sub(cut).max(first_page) as usize);
        let len = file.len() as u64;
        let dump = open_dump(file);
        let frames = bits.len() as u64 + 70;
        check(&dump.physical().unwrap(), &naive_bits(&bits, first_page), frames, len);
    }

    /// A read over pages equals its one-byte reads, physically.
    #[test]
    fn a_read_equals_its_bytes(runs in some_runs(8), at in 0u64..0x2_0000, len in 0usize..0x3800) {
        let file = runs_file(MachineType::X64, &runs);
        let pages = open_dump(file).physical().unwrap();
        let mut whole = vec![0; len];
        let result = pages.read(Pa(at), &mut whole);
        let done = result.as_ref().map_or_else(|fault| fault.done, |_| len);
        // The page's first bytes are its offset; any other bytes do for the last ones.
        for i in (0..done).filter(|i| (at + *i as u64) % PAGE < 16 || i % 61 == 0) {
            prop_assert_eq!(pages.read_u8(Pa(at + i as u64)), Ok(whole[i]));
        }
        if let Err(fault) = result {
            prop_assert_eq!(fault.address, at + done as u64);
            prop_assert_eq!(pages.read_u8(Pa(fault.address)).map_err(|f| f.reason), Err(fault.reason));
        }
    }

    /// With any bytes after a header, opening and reading do not panic or allocate more than the file's size.
    #[test]
    fn any_bytes_after_the_header(
        dump_type in prop::sample::select(vec![1u32, 2, 5, 6, 8, 9, 0xa]),
        noise in vec(any::<u8>(), 0..0x300), signed: bool, x86: bool, pfn in any::<u64>(),
    ) {
        let machine = if x86 { MachineType::X86 } else { MachineType::X64 };
        let mut file = header(machine, dump_type);
        let start = file.len();
        file.extend(&noise);
        if signed && noise.len() > 0x40 {
            match dump_type {
                2 | 5 | 6 => put(&mut file, start, b"SDMPDUMP"),
                _ => {
                    put32(&mut file, start, 0x40);
                    put(&mut file, start + 4, b"RDMPDUMP");
                    let first = u64::from(noise[0]) * 16;
                    put64(&mut file, start + 0x10, first);
                    put64(&mut file, start + 0x18, 0x2020 + first);
                }
            }
        }
        if let Ok(pages) = open_dump(file).physical() {
            let frame = pages.map().next_frame(pfn).unwrap_or(pfn);
            let _ = pages.map().offset(frame);
            let _ = pages.read_u64(Pa(frame.wrapping_mul(PAGE)));
        }
    }
}

#[test]
fn every_kind_reads_what_was_written() {
    for machine in [MachineType::X64, MachineType::Arm64, MachineType::X86] {
        let mut memory =
            PhysicalMemory::new(Placement::Scattered { first: 3, window: 32, seed: 11 });
        for _ in 0..40 {
            let pfn = memory.allocate();
            memory.write(pfn * PAGE, &(pfn * 0x1_0001).to_le_bytes().repeat(512));
        }
        let info = HeaderInfo::new(machine, 19041, 0x3000);
        for kind in DumpKind::WITH_HEADER {
            if machine == MachineType::X86
                && !matches!(kind, DumpKind::Complete | DumpKind::Summary)
            {
                continue;
            }
            let dump = open_dump(write_dump(kind, &info, &memory));
            assert_eq!(dump.header().kind.raw(), kind.dump_type());
            let pages = dump.physical().unwrap();
            for (pfn, page) in memory.pages() {
                let mut read = [0; 0x1000];
                pages.read(Pa(pfn * PAGE), &mut read).unwrap();
                assert!(read == *page, "{kind:?} {machine:?}: frame {pfn:#x}");
            }
            let mut walked = Vec::new();
            let mut from = 0;
            while let Some(pfn) = pages.map().next_frame(from) {
                walked.push(pfn);
                from = pfn + 1;
            }
            assert_eq!(walked.len() as u64, pages.map().page_count(), "{kind:?}");
            if kind != DumpKind::Complete {
                // A complete dump may store gaps as zero pages, so that the runs fit into the header.
                assert!(walked.iter().copied().eq(memory.pages().map(|(pfn, _)| pfn)), "{kind:?}");
            }
        }
    }
}

#[test]
fn a_frame_stored_twice_reads_from_its_first_place() {
    // The second run starts lower and reaches into the first.
    let pages = open_dump(runs_file(MachineType::X64, &[(5, 4), (2, 5)])).physical().unwrap();
    assert_eq!(stored_at(&pages, 5), 0x2000);
    assert_eq!(stored_at(&pages, 6), 0x3000);
    assert_eq!(stored_at(&pages, 2), 0x6000);
    assert_eq!(stored_at(&pages, 4), 0x8000);
    assert_eq!(pages.map().page_count(), 7);
}

#[test]
fn half_a_page_at_the_end_is_not_a_page() {
    let mut file = runs_file(MachineType::X64, &[(0x10, 3)]);
    file.truncate(file.len() - 1);
    let dump = open_dump(file);
    let truncation = dump.truncation().unwrap();
    assert_eq!((truncation.expected_len, truncation.missing_bytes()), (0x5000, 1));
    assert_eq!(truncation.to_string(), "1 byte (1 of 3 pages) is missing");
    assert_eq!(dump.file_len(), 0x4fff);
    let pages = dump.physical().unwrap();
    assert_eq!(stored_at(&pages, 0x11), 0x3000);
    let mut buf = [0; 0x10];
    let fault = pages.read(Pa(0x1_1ff8), &mut buf).unwrap_err();
    assert_eq!((fault.address, fault.done), (0x1_2000, 8));
    assert_eq!(fault.reason, Reason::Truncated { pfn: Pfn(0x12), offset: 0x4000 });
    assert!(fault.reason.is_absent());
}

/// Some memory of a machine, and a matching header.
fn some_memory(machine: MachineType) -> (HeaderInfo, PhysicalMemory) {
    let mut memory = PhysicalMemory::new(Placement::Scattered { first: 3, window: 32, seed: 11 });
    for _ in 0..40 {
        memory.allocate();
    }
    (HeaderInfo::new(machine, 19041, 0x3000), memory)
}

#[test]
fn a_file_of_any_kind_that_is_cut_short_says_how_much_is_missing() {
    for machine in [MachineType::X64, MachineType::X86] {
        let (info, memory) = some_memory(machine);
        for kind in DumpKind::WITH_HEADER {
            if machine == MachineType::X86
                && !matches!(kind, DumpKind::Complete | DumpKind::Summary)
            {
                continue;
            }
            let file = write_dump(kind, &info, &memory);
            let whole = open_dump(file.clone());
            assert_eq!((whole.truncation(), whole.problems()), (None, vec![]), "{kind:?}");
            let len = file.len() as u64;
            let pages = whole.physical().unwrap().map().page_count();
            for (cut, missing) in [(1, 1), (16, 1), (PAGE, 1), (PAGE + 1, 2), (7 * PAGE, 7)] {
                let dump = open_dump(file[..(len - cut) as usize].to_vec());
                let truncation = dump.truncation().unwrap();
                assert_eq!((truncation.file_len, truncation.expected_len), (len - cut, len));
                assert_eq!((truncation.missing_pages, truncation.pages), (missing, pages));
                assert_eq!(truncation.missing_bytes(), cut);
                let [problem] = &dump.problems()[..] else { panic!("{:?}", dump.problems()) };
                let end = format!("it ends at offset {:#x}: {truncation}", len - cut);
                assert!(problem.why.contains(&end), "{problem}");
                assert_eq!(problem.leaves, Extent::AtLeast);
            }
        }
    }
}

#[test]
fn a_file_that_ends_before_its_first_page_misses_what_its_header_counts() {
    let bits = vec![true; 70];
    for (dump_type, end) in [(2, 0x202c), (5, 0x203c), (6, 0x203c)] {
        let (file, first_page) = bitmap_file(dump_type, MachineType::X64, &bits);
        let dump = open_dump(file[..end].to_vec());
        let truncation = dump.truncation().unwrap();
        assert_eq!(truncation.expected_len, first_page + 70 * PAGE);
        assert_eq!((truncation.missing_pages, truncation.is_minimum), (70, false));
        let error = dump.physical().unwrap_err().to_string();
        assert!(error.contains("inside the bitmap of 0x46 bits: it was cut short"), "{error}");
    }
    for (dump_type, text) in [
        (0xa, "16,328 bytes (3 of 3 pages) are missing"),
        // These kinds do not count their pages.
        (8, "at least 4,040 bytes are missing"),
        (9, "at least 4,040 bytes are missing"),
    ] {
        let (file, _) = ranges_file(dump_type, &[(7, 1), (3, 2)]);
        let dump = open_dump(file[..0x2038].to_vec());
        assert_eq!(dump.truncation().unwrap().to_string(), text);
    }
    let error = open_dump(header(MachineType::X64, 5)).physical().unwrap_err().to_string();
    assert!(error.contains("the file ends before it: it was cut short; copy the file again"));
}

/// The only problem of a file, which must not count as cut short.
#[track_caller]
fn contradiction(file: Vec<u8>) -> (String, Extent) {
    let dump = open_dump(file);
    assert_eq!(dump.truncation(), None);
    match &dump.problems()[..] {
        [problem] => (problem.to_string(), problem.leaves),
        problems => panic!("{problems:?}"),
    }
}

#[test]
fn a_page_map_that_differs_from_the_headers_count_is_reported() {
    let mut bits = vec![true; 70];
    bits[9] = false;
    for (dump_type, at) in [(2, 0x2014), (5, 0x2028), (6, 0x2028)] {
        let bitmap = if dump_type == 2 { 0x2028 } else { 0x2038 };
        let (file, _) = bitmap_file(dump_type, MachineType::X64, &bits);
        // One bit more, one bit less: the file has the length of the count, so the map is damaged.
        for (byte, bits_set) in [(1, 70), (0, 68)] {
            let mut file = file.clone();
            file[bitmap + byte] ^= 2;
            let (text, leaves) = contradiction(file);
            let counts = format!(
                "page map: it has {bits_set} pages, but the header's count at file offset {at:#x} is 69, \
                 and the file has room for 69"
            );
            assert!(text.starts_with(&counts), "{text}");
            assert_eq!(leaves, Extent::AtLeast);
        }
        // Another count: the file has the length of the map, so the count is damaged.
        let mut file = file;
        file[at] += 1;
        let (text, leaves) = contradiction(file.clone());
        assert!(
            text.contains("is 70, and the file has room for 69: the count is damaged"),
            "{text}"
        );
        assert_eq!(leaves, Extent::Complete);
        // Secondary data may follow the pages; other bytes do not confirm the map.
        let with = |tail: &[u8]| contradiction([&file[..], tail].concat()).1;
        assert_eq!(with(b"DumpBlob and what they are"), Extent::Complete);
        assert_eq!(with(b"something else"), Extent::AtLeast);
        // A count that was never set is ignored.
        file[at] = 0;
        assert_eq!(open_dump(file).problems(), []);
    }
}

#[test]
fn runs_of_pages_that_contradict_the_header_or_each_other_are_reported() {
    // The offsets of the page count and the second run's first frame.
    for (machine, count, base) in [(MachineType::X64, 0x90, 0xa8), (MachineType::X86, 0x68, 0x74)] {
        let file = runs_file(machine, &[(5, 4), (20, 5)]);
        let mut fewer = file.clone();
        fewer[count] -= 1;
        let (text, leaves) = contradiction(fewer);
        assert!(text.contains("it has 9 pages") && text.contains("is 8,"), "{text}");
        assert_eq!(leaves, Extent::Complete);
        let mut overlap = file;
        overlap[base] = 7;
        let (text, leaves) = contradiction(overlap);
        assert_eq!(text, "page map: page frame 0x7 is stored twice: its runs of pages overlap");
        assert_eq!(leaves, Extent::AtLeast);
    }
    // Types 8 and 9 do not count the pages of their ranges; type 0xA does.
    let (mut file, _) = ranges_file(0xa, &[(7, 1), (3, 2)]);
    file[0x2028] = 2;
    assert!(contradiction(file).0.contains("it has 3 pages"));
    let (file, _) = ranges_file(8, &[(7, 1), (6, 2)]);
    assert!(contradiction(file).0.contains("page frame 0x7 is stored twice"));
}

#[test]
fn impossible_values_of_a_header_are_remarks() {
    let (info, memory) = some_memory(MachineType::X64);
    let file = write_dump(DumpKind::BitmapKernel, &info, &memory);
    for (at, bytes, text) in [
        (0x16, &[0xff, 0x7f][..], "DirectoryTableBase 0x7fff000000003000 at file offset 0x10"),
        (0xe, &[1, 0], "MinorVersion 0x14a61 at file offset 0xc is not a build number"),
        (0x34, &[1, 8], "NumberProcessors 2049 at file offset 0x34 is too high"),
    ] {
        let mut file = file.clone();
        put(&mut file, at, bytes);
        let (problem, leaves) = contradiction(file);
        assert!(problem.starts_with(&format!("dump header: {text}")), "{problem}");
        assert_eq!(leaves, Extent::Complete);
    }
    // Fields that were never set are ignored.
    let mut unset = file;
    for (at, len) in [(0xc, 4), (0x10, 8), (0x34, 4)] {
        put(&mut unset, at, &b"PAGEPAGE"[..len]);
    }
    assert_eq!(open_dump(unset).problems(), []);
}

#[test]
fn a_file_cut_inside_its_page_map_opens_and_says_so() {
    let bits = vec![true; 70];
    for dump_type in [2, 5, 6] {
        let (mut file, _) = bitmap_file(dump_type, MachineType::X64, &bits);
        file.truncate(0x2030);
        let dump = open_dump(file);
        assert_eq!(dump.header().build, 19041);
        let error = dump.physical().unwrap_err();
        assert!(matches!(error, Error::Format { .. }), "{error}");
        assert!(error.to_string().contains("0x20"), "{error}");
    }
    for dump_type in [8, 9, 0xa] {
        let (file, first_page) = ranges_file(dump_type, &[(7, 1), (3, 2)]);
        let mut short = file.clone();
        short.truncate(0x2018);
        assert!(matches!(open_dump(short).physical(), Err(Error::Format { .. })));
        // The part of a cut list that is there is used; its pages are past the end.
        let mut short = file;
        short.truncate(0x2040);
        let pages = open_dump(short).physical().unwrap();
        assert_eq!(pages.map().offset(7), Some(first_page));
        assert_eq!(pages.map().page_count(), 1);
        let fault = pages.read_u8(Pa(0x7000)).unwrap_err();
        assert!(matches!(fault.reason, Reason::Truncated { .. }), "{fault}");
    }
}

#[test]
fn an_empty_range_does_not_hide_later_ranges() {
    for dump_type in [8, 9, 0xa] {
        let ranges = [(7, 1), (0x33, 0), (0x100, 2)];
        let (file, first_page) = ranges_file(dump_type, &ranges);
        let len = file.len() as u64;
        check(&open_dump(file).physical().unwrap(), &naive_ranges(&ranges, first_page), 0x110, len);
    }
}

#[test]
fn a_bitmap_larger_than_the_file_is_refused_before_it_is_read() {
    for bits in [u64::MAX, u64::MAX / 8, 1 << 40] {
        let (mut file, _) = bitmap_file(6, MachineType::X64, &[true; 8]);
        put64(&mut file, 0x2030, bits);
        let error = open_dump(file).physical().unwrap_err();
        assert!(error.to_string().contains("does not fit before the first page"), "{error}");
    }
}

#[test]
fn counts_that_overflow_end_the_list() {
    let (mut file, _) = ranges_file(8, &[(1, 1), (0x100, 1), (0x200, 1)]);
    put64(&mut file, 0x2048, u64::MAX);
    let pages = open_dump(file).physical().unwrap();
    assert_eq!(stored_at(&pages, 1), pages.map().offset(1).unwrap());
    assert_eq!(pages.map().offset(0x100), Some(pages.map().offset(1).unwrap() + PAGE));
    assert!(pages.read_u8(Pa(0x1_0000_0000_0000)).is_err());
    assert_eq!(pages.map().page_count(), u64::MAX - 0xff);
}

#[test]
fn fields_that_were_never_set_are_none() {
    for machine in [MachineType::X64, MachineType::X86] {
        let empty = PhysicalMemory::new(Placement::Sequential { first: 1 });
        let info = HeaderInfo::new(machine, 9600, 0x18_7000);
        // The bitmap and summary writers do not set the physical memory block.
        let dump = open_dump(write_dump(DumpKind::Summary, &info, &empty));
        let header = dump.header();
        assert_eq!(header.number_of_runs, 0x4547_4150);
        assert_eq!(header.runs, []);
        assert_eq!(header.physical_pages, None);
        assert_eq!(header.pfn_data_base, None);
        assert_eq!(header.ps_loaded_module_list, None);
        assert_eq!(header.ps_active_process_head, None);
        assert_eq!(header.kd_debugger_data_block, None);
        assert_eq!(header.system_time, None);
        assert_eq!(header.system_up_time, None);
        assert_eq!(header.comment, None);
        assert_eq!(header.build, 9600);
        assert_eq!(header.processors, Some(1));
        assert_eq!(header.is_64bit, machine != MachineType::X86);
        assert_eq!(header.pae_enabled, (machine == MachineType::X86).then_some(false));
        assert_eq!(
            header.machine().map(verifier_core::machine::Machine::pointer_size),
            Some(machine.pointer_size())
        );
    }
}

#[test]
fn a_filler_is_not_a_run_count() {
    for (machine, at) in [(MachineType::X64, 0x88), (MachineType::X86, 0x64)] {
        for (number, what) in
            [(0x4547_4150u32, "0x45474150 runs"), (87, "0x57 runs"), (0, "0x0 runs")]
        {
            let mut file = header(machine, 1);
            put32(&mut file, at, number);
            let dump = open_dump(file);
            assert_eq!(dump.header().number_of_runs, number);
            assert_eq!(dump.truncation(), None);
            let error = dump.physical().unwrap_err();
            assert!(matches!(error, Error::Format { offset, .. } if offset == at as u64));
            assert!(error.to_string().contains(what), "{error}");
        }
    }
}

#[test]
fn header_fields_are_as_they_were_written() {
    let memory = PhysicalMemory::new(Placement::Sequential { first: 1 });
    let mut info = HeaderInfo::new(MachineType::X64, 22000, 0x1a_d002);
    info.ps_loaded_module_list = Some(0xffff_f803_1234_5678);
    info.kd_debugger_data_block = Some(0xffff_f803_2222_0000);
    info.bug_check = Some(verifier_synth::BugCheck { code: 0xc4, parameters: [0x62, 1, 2, 3] });
    info.system_time = Some(0x01cc_0000_1111_2222);
    info.up_time = Some(77);
    info.comment = Some("full of ghosts".into());
    info.physical_memory = Some(vec![(1, 0x9e), (0x100, 0xf00)]);
    info.major_version = 12;
    let dump = open_dump(write_dump(DumpKind::BitmapKernel, &info, &memory));
    let header = dump.header();
    // The low bits of the base are kept; the page tables ignore them.
    assert_eq!(header.directory_table_base, Pa(0x1a_d002));
    assert_eq!(header.kind, Kind::BitmapKernel);
    assert_eq!(header.major_version, 12);
    assert_eq!((header.bug_check.code, header.bug_check.parameters), (0xc4, [0x62, 1, 2, 3]));
    assert_eq!(header.ps_loaded_module_list.unwrap().0, 0xffff_f803_1234_5678);
    assert_eq!(header.kd_debugger_data_block.unwrap().0, 0xffff_f803_2222_0000);
    assert_eq!(
        (header.system_time, header.system_up_time),
        (Some(0x01cc_0000_1111_2222), Some(77))
    );
    assert_eq!(header.comment.as_deref(), Some("full of ghosts"));
    assert_eq!(header.physical_pages, Some(0xf9e));
    assert_eq!(
        header.runs.iter().map(|run| (run.base_page, run.page_count)).collect::<Vec<_>>(),
        [(1, 0x9e), (0x100, 0xf00)]
    );
}

#[test]
fn files_that_are_not_kernel_dumps() {
    let refused = |bytes: Vec<u8>| Dump::open(Arc::new(bytes)).unwrap_err().to_string();
    let mut minidump = b"MDMP\x93\xa7\0\0".to_vec();
    minidump.resize(0x4000, 0);
    assert!(refused(minidump).contains("user-mode minidump"));
    assert!(refused(b"MZ\x90\0\x03\0\0\0".repeat(0x400)).contains("the signature is \"MZ"));
    assert!(refused(Vec::new()).contains("file offset 0x0"));
    assert!(refused(b"PAGE".to_vec()).contains("the file ends here"));
    for machine in [MachineType::X64, MachineType::X86] {
        let mut file = header(machine, 1);
        let size = file.len();
        assert!(Dump::open(Arc::new(file.clone())).is_ok());
        file.truncate(size - 1);
        let text = refused(file);
        assert!(text.contains(&format!("{:#x}", size - 1)), "{text}");
        assert!(text.contains(&format!("{size:#x} bytes")), "{text}");
    }
}

#[test]
fn kinds_without_physical_memory_open_and_say_why_they_hold_none() {
    for (machine, at) in [(MachineType::X64, 0xf98), (MachineType::X86, 0xf88)] {
        let triage = open_dump(header(machine, 4));
        assert_eq!(triage.header().kind, Kind::Triage);
        let error = triage.physical().unwrap_err();
        assert!(matches!(&error, Error::Unsupported { .. }), "{error}");
        assert!(error.to_string().contains("triage"), "{error}");
        for unknown in [0, 3, 7, 0xb, 0x4547_4150] {
            let dump = open_dump(header(machine, unknown));
            assert_eq!(dump.header().kind, Kind::Unknown(unknown));
            let error = dump.physical().unwrap_err();
            assert!(matches!(error, Error::Format { offset, .. } if offset == at));
            assert!(error.to_string().contains(&format!("{unknown:#x}")), "{error}");
        }
    }
}

#[test]
fn the_markers_of_page_maps_are_checked() {
    for (dump_type, marker) in
        [(2, "SDMPDUMP"), (5, "FDMPDUMP"), (6, "FDMPDUMP"), (8, "RDMP"), (0xa, "RDMP")]
    {
        let mut file = header(MachineType::X64, dump_type);
        file.resize(0x5000, 0);
        let error = open_dump(file).physical().unwrap_err();
        assert!(matches!(error, Error::Format { offset: 0x2000, .. }), "{error}");
        assert!(error.to_string().contains(marker), "{error}");
    }
    // Metadata that do not end at the first page.
    let (mut file, _) = ranges_file(9, &[(7, 1)]);
    put64(&mut file, 0x2010, 0x10);
    assert!(open_dump(file).physical().unwrap_err().to_string().contains("do not fit together"));
}

/// A file that is read with seeks, as in an embedder without mappings.
struct Seeking(std::sync::Mutex<std::fs::File>, u64);

impl ReadAt for Seeking {
    fn len(&self) -> u64 {
        self.1
    }
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), verifier_core::dump::FileError> {
        use std::io::{Read, Seek, SeekFrom};
        use verifier_core::dump::FileError;
        let mut file = self.0.lock().unwrap();
        let read = file.seek(SeekFrom::Start(offset)).and_then(|_| file.read_exact(buf));
        read.map_err(|error| match error.kind() {
            std::io::ErrorKind::UnexpectedEof => FileError::PastEnd,
            _ => FileError::Io(error.to_string().into()),
        })
    }
}

/// 64 GiB of memory; two thirds of it are in a file, which is small on systems with sparse files.
#[cfg(unix)]
#[test]
fn a_dump_of_sixteen_million_frames() {
    use verifier_synth::dump::write_bitmap_dump_sparse;

    const FRAMES: u64 = 1 << 24;
    let present = |pfn: u64| !pfn.is_multiple_of(3);
    let before = |pfn: u64| pfn - pfn.div_ceil(3);
    let mut memory = PhysicalMemory::new(Placement::Sequential { first: 1 });
    let probes = [1, 2, 511, 512, 0x7ffe, 0x1_0001, 0x80_0000, 0xab_cdef, FRAMES - 2];
    let probes: Vec<u64> = probes.into_iter().filter(|&pfn| present(pfn)).collect();
    assert!(probes.len() >= 6);
    for &pfn in &probes {
        memory.write(pfn * PAGE, &(pfn ^ 0x5a5a_0000_0000).to_le_bytes());
        memory.write(pfn * PAGE + 0xff8, &pfn.to_le_bytes());
    }
    let mut file = tempfile::tempfile().unwrap();
    let info = HeaderInfo::new(MachineType::X64, 19041, 0x1000);
    let wrote =
        write_bitmap_dump_sparse(&mut file, DumpKind::BitmapFull, &info, FRAMES, present, &memory)
            .unwrap();
    assert!(wrote.length > 40 << 30);

    let dump = Dump::open(Arc::new(Seeking(std::sync::Mutex::new(file), wrote.length))).unwrap();
    let pages = dump.physical().unwrap();
    let map = pages.map();
    assert_eq!(map.page_count(), wrote.present);
    for &pfn in &probes {
        assert_eq!(map.offset(pfn), Some(wrote.first_page + before(pfn) * PAGE), "{pfn:#x}");
        assert_eq!(pages.read_u64(Pa(pfn * PAGE)), Ok(pfn ^ 0x5a5a_0000_0000));
        assert_eq!(pages.read_u64(Pa(pfn * PAGE + 0xff8)), Ok(pfn));
    }
    for pfn in [0, 3, 0x80_0001, FRAMES - 1, FRAMES, FRAMES + 1] {
        let fault = pages.read_u8(Pa(pfn * PAGE)).unwrap_err();
        assert_eq!(fault.reason, Reason::Absent { pfn: Pfn(pfn) });
    }
    assert_eq!(map.next_frame(FRAMES - 1), None);
    assert_eq!(map.next_frame(0x60_0000), Some(0x60_0001));
    // A page in a hole of the sparse file reads as zeros.
    assert_eq!(pages.read_u64(Pa(4 * PAGE)), Ok(0));
}
