//! The list of cases: what is done to a dump, in an order of which any beginning is a fair sample.

use std::collections::BTreeSet;

use crate::damage::Damage;
use crate::subject::Subject;
use crate::trace::{Piece, Trace};

/// What a case is an instance of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The file cut at a page boundary.
    CutPage,
    /// The file cut at the start or end of something that is read.
    CutStructure,
    /// A byte of the headers, the page map or the page tables.
    HeaderByte,
    /// A byte of a structure that is read by itself.
    StructureByte,
    /// A byte of a page of entries or records, one in each word.
    RecordByte,
    /// A pointer that leads back: to itself, its structure, a list head, another structure.
    Cycle,
    /// A number at its maximum.
    Maximum,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Kind; 7] = [
        Kind::CutPage,
        Kind::CutStructure,
        Kind::HeaderByte,
        Kind::StructureByte,
        Kind::RecordByte,
        Kind::Cycle,
        Kind::Maximum,
    ];

    /// What it is called in the report.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Kind::CutPage => "file cut at a page",
            Kind::CutStructure => "file cut at a structure",
            Kind::HeaderByte => "byte of header, page map, page tables",
            Kind::StructureByte => "byte of a structure",
            Kind::RecordByte => "byte of a page of entries or records",
            Kind::Cycle => "pointer leads back",
            Kind::Maximum => "number at its maximum",
        }
    }
}

/// One damaged file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Case {
    /// What it is an instance of.
    pub kind: Kind,
    /// Where in the file.
    pub at: usize,
    /// What is done there.
    pub damage: Damage,
}

/// A page, and a read that is as long: entries and records are read so.
const PAGE: usize = 0x1000;

/// Every case of a subject. Kinds take turns, and within a kind neighbors are far apart.
#[must_use]
pub fn cases(subject: &Subject, trace: &Trace) -> Vec<Case> {
    let file = &*subject.file;
    let header = if file.starts_with(b"PAGEDU64") { 0x2000 } else { 0x1000 };
    let case = |kind, at, damage| Case { kind, at, damage };
    let mut kinds: Vec<Vec<Case>> = Vec::new();

    let pages = (0..file.len()).step_by(PAGE);
    kinds.push(pages.map(|at| case(Kind::CutPage, at, Damage::Cut)).collect());

    let ends: BTreeSet<usize> = trace
        .file
        .iter()
        .copied()
        .chain(trace.pieces.iter().map(|piece| (piece.offset, piece.len)))
        .flat_map(|(at, len)| [at, at + len])
        .filter(|at| at % PAGE != 0)
        .collect();
    kinds.push(ends.into_iter().map(|at| case(Kind::CutStructure, at, Damage::Cut)).collect());

    let in_file = trace.file.iter().flat_map(|&(at, len)| at..at + len);
    let head: BTreeSet<usize> = (0..header.min(file.len())).chain(in_file).collect();
    kinds.push(bytes(file, Kind::HeaderByte, head.iter().copied()));

    let (whole, small): (Vec<Piece>, Vec<Piece>) =
        trace.pieces.iter().partition(|piece| piece.len == PAGE);
    let fine: BTreeSet<usize> =
        small.iter().flat_map(|piece| piece.offset..piece.offset + piece.len).collect();
    kinds.push(bytes(file, Kind::StructureByte, fine.iter().copied()));
    // One byte in each word, each time another one.
    let coarse: BTreeSet<usize> = whole
        .iter()
        .flat_map(|piece| (0..PAGE).step_by(8).map(|at| piece.offset + at + at / 8 % 8))
        .filter(|at| !fine.contains(at))
        .collect();
    kinds.push(bytes(file, Kind::RecordByte, coarse.into_iter()));

    kinds.push(cycles(file, trace));
    kinds.push(maxima(file, trace, header));

    let mut kinds: Vec<_> = kinds.into_iter().map(|list| spread(list).into_iter()).collect();
    let mut all = Vec::new();
    loop {
        let before = all.len();
        all.extend(kinds.iter_mut().filter_map(Iterator::next));
        if all.len() == before {
            return all;
        }
    }
}

/// Each byte as 0x00, as 0xFF and with one bit flipped, another one at each offset.
fn bytes(file: &[u8], kind: Kind, offsets: impl Iterator<Item = usize>) -> Vec<Case> {
    let mut cases = Vec::new();
    for at in offsets {
        let Some(&old) = file.get(at) else { continue };
        let flipped = old ^ 1u8.rotate_left(at as u32 % 8);
        let new: BTreeSet<u8> = BTreeSet::from([0, 0xff, flipped]);
        cases.extend(new.into_iter().filter(|&new| new != old).map(|new| Case {
            kind,
            at,
            damage: Damage::byte(new),
        }));
    }
    cases
}

fn number(file: &[u8], at: usize, size: usize) -> Option<u64> {
    let mut raw = [0; 8];
    raw.get_mut(..size)?.copy_from_slice(file.get(at..at + size)?);
    Some(u64::from_le_bytes(raw))
}

/// Every aligned word of what is read: its offset, its address, the start of its structure.
fn words(trace: &Trace, size: usize) -> BTreeSet<(usize, u64, u64)> {
    trace
        .pieces
        .iter()
        // Of a page of entries: its header and the first of them.
        .map(|piece| if piece.len == PAGE { Piece { len: 0x80, ..*piece } } else { *piece })
        .flat_map(|piece| {
            let first = piece.va.next_multiple_of(size as u64);
            (first..piece.va + piece.len as u64).step_by(size).filter_map(move |va| {
                let within = (va - piece.va) as usize;
                (within + size <= piece.len).then_some((piece.offset + within, va, piece.va))
            })
        })
        .collect()
}

/// Every pointer to kernel memory, led back.
fn cycles(file: &[u8], trace: &Trace) -> Vec<Case> {
    let size = trace.pointer;
    let is_kernel = |value: u64| match size {
        4 => value >= 0x8000_0000,
        _ => value >> 56 == 0xff && value != u64::MAX,
    };
    let pointers: Vec<(usize, u64, u64, u64)> = words(trace, size)
        .into_iter()
        .filter_map(|(at, va, start)| Some((at, va, start, number(file, at, size)?)))
        .filter(|&(.., value)| is_kernel(value))
        .collect();
    let mut cases = Vec::new();
    for (i, &(at, va, start, value)) in pointers.iter().enumerate() {
        // Another structure, near the beginning and anywhere.
        let other = |i: usize| pointers.get(i % pointers.len()).map_or(va, |&(_, va, ..)| va);
        let targets = [va, va - size as u64, start, va & !0xfff, other(i / 2), other(i * 7919 + 1)];
        let targets: BTreeSet<u64> = targets.into_iter().filter(|&to| to != value).collect();
        cases.extend(targets.into_iter().map(|to| Case {
            kind: Kind::Cycle,
            at,
            damage: Damage::number(to, size),
        }));
    }
    cases
}

/// Every word that may be a count or a length, at its maximum and at the edge of its sign.
fn maxima(file: &[u8], trace: &Trace, header: usize) -> Vec<Case> {
    let mut seen = BTreeSet::new();
    let head = (0..header).step_by(4).map(|at| (at, 4));
    let map = trace.file.iter().filter(|&&(at, _)| at >= header).flat_map(|&(at, len)| {
        // Of a bitmap or a list of ranges, the beginning.
        (at..at + len.min(0x40)).step_by(8).map(|at| (at, 8))
    });
    let structures = [2, 4, 8]
        .into_iter()
        .flat_map(|size| words(trace, size).into_iter().map(move |(at, ..)| (at, size)));
    let places = head.chain(map).chain(structures).filter(|place| seen.insert(*place));
    places
        .flat_map(|(at, size)| {
            let most = u64::MAX >> (64 - 8 * size);
            [most, most >> 1, (most >> 1) + 1].map(|value| (at, size, value))
        })
        .filter(|&(at, size, value)| number(file, at, size).is_some_and(|old| old != value))
        .map(|(at, size, value)| Case {
            kind: Kind::Maximum,
            at,
            damage: Damage::number(value, size),
        })
        .collect()
}

/// The list in an order in which any beginning is spread over all of it.
fn spread(list: Vec<Case>) -> Vec<Case> {
    let len = list.len();
    if len < 3 {
        return list;
    }
    // A step without a common divisor, by the golden section.
    let mut step = (len as f64 * 0.618_034) as usize | 1;
    while gcd(step, len) != 1 {
        step += 1;
    }
    (0..len).filter_map(|i| list.get((i * step) % len).copied()).collect()
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}
