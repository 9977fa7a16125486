//! A large PDB: a small one with many more modules, as a driver of many source files has.
//!
//! A PDB is a file of pages (MSF): the first one says where the directory's page numbers are; the directory
//! has the number of streams, the size of each, and the page numbers of each.

/// Bytes of a page.
pub const PAGE: usize = 4096;
/// Offsets in the first page: number of pages, bytes of the directory, the page of its page numbers.
const PAGES: usize = 40;
const DIRECTORY: usize = 44;
const DIRECTORY_PAGES: usize = 52;
/// The debug information stream, its header, and the sizes in it of the modules and the contributions.
pub const DEBUG: usize = 3;
const HEADER: usize = 64;
const MODULES: usize = 24;
const CONTRIBUTIONS: usize = 28;
/// A module's stream number in its record, and the size of a contribution.
const STREAM: usize = 34;
const CONTRIBUTION: usize = 28;

/// The PDB with copies of its first module, so many that it has about `size` bytes. Each copy has code of its
/// own, past that of the other modules.
///
/// # Panics
///
/// If these are not the bytes of a PDB that a linker made.
pub fn enlarged(pdb: &[u8], size: usize) -> Vec<u8> {
    let mut streams = streams(pdb);
    let debug = streams[DEBUG].clone();
    let modules_end = HEADER + word(&debug, MODULES);
    let first_end = HEADER + module_size(&debug[HEADER..]);
    let first = &debug[HEADER..first_end];
    let module =
        streams[usize::from(u16::from_le_bytes([first[STREAM], first[STREAM + 1]]))].clone();
    // A stream begins with a module's symbols and lines; what follows is for the linker.
    let module = [module.as_slice(), &[0; 4 * PAGE]].concat();
    let count = size.saturating_sub(pdb.len()) / module.len().next_multiple_of(PAGE);
    let (mut more_modules, mut more_contributions) = (Vec::new(), Vec::new());
    let number_of_modules = number_of_modules(&debug[HEADER..modules_end]);
    for copy in 0..count {
        let mut record = first.to_vec();
        record[STREAM..STREAM + 2].copy_from_slice(&(streams.len() as u16).to_le_bytes());
        more_modules.extend(record);
        streams.push(module.clone());
        let mut contribution = [0; CONTRIBUTION];
        contribution[0] = 1;
        contribution[4..8].copy_from_slice(&(0x10_0000 + 0x1000 * copy as u32).to_le_bytes());
        contribution[8..12].copy_from_slice(&0x1000u32.to_le_bytes());
        contribution[16..18].copy_from_slice(&((number_of_modules + copy) as u16).to_le_bytes());
        more_contributions.extend(contribution);
    }
    let contributions_end = modules_end + word(&debug, CONTRIBUTIONS);
    let mut debug = [
        &debug[..modules_end],
        &more_modules,
        &debug[modules_end..contributions_end],
        &more_contributions,
        &debug[contributions_end..],
    ]
    .concat();
    add(&mut debug, MODULES, more_modules.len());
    add(&mut debug, CONTRIBUTIONS, more_contributions.len());
    streams[DEBUG] = debug;
    file(&pdb[..PAGE], &streams)
}

fn word(bytes: &[u8], at: usize) -> usize {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes")) as usize
}

fn add(bytes: &mut [u8], at: usize, more: usize) {
    let sum = (word(bytes, at) + more) as u32;
    bytes[at..at + 4].copy_from_slice(&sum.to_le_bytes());
}

/// The size of the first module's record: two texts follow 64 bytes.
fn module_size(records: &[u8]) -> usize {
    let mut nulls = (HEADER..records.len()).filter(|&at| records[at] == 0);
    (nulls.nth(1).expect("two texts") + 1).next_multiple_of(4)
}

fn number_of_modules(mut records: &[u8]) -> usize {
    let mut count = 0;
    while !records.is_empty() {
        records = &records[module_size(records)..];
        count += 1;
    }
    count
}

/// The streams of a PDB.
pub fn streams(pdb: &[u8]) -> Vec<Vec<u8>> {
    let page = |number: usize| &pdb[number * PAGE..(number + 1) * PAGE];
    let numbers = page(word(pdb, DIRECTORY_PAGES));
    let size = word(pdb, DIRECTORY);
    let directory: Vec<u8> = (0..size.div_ceil(PAGE))
        .flat_map(|i| page(word(numbers, 4 * i)).iter().copied())
        .take(size)
        .collect();
    let count = word(&directory, 0);
    let mut at = 4 + 4 * count;
    (0..count)
        .map(|i| {
            let size = word(&directory, 4 + 4 * i) as u32;
            let size = if size == u32::MAX { 0 } else { size as usize };
            let pages = size.div_ceil(PAGE);
            let bytes = (0..pages).flat_map(|i| page(word(&directory, at + 4 * i)).iter().copied());
            let stream = bytes.take(size).collect();
            at += 4 * pages;
            stream
        })
        .collect()
}

/// A PDB of these streams; `first` is the first page of one.
pub fn file(first: &[u8], streams: &[Vec<u8>]) -> Vec<u8> {
    let mut file = first.to_vec();
    let mut directory = Vec::from((streams.len() as u32).to_le_bytes());
    directory.extend(streams.iter().flat_map(|stream| (stream.len() as u32).to_le_bytes()));
    for stream in streams {
        directory.extend(append(&mut file, stream));
    }
    let size = directory.len() as u32;
    let numbers = append(&mut file, &directory);
    let place = append(&mut file, &numbers);
    let pages = (file.len() / PAGE) as u32;
    file[PAGES..PAGES + 4].copy_from_slice(&pages.to_le_bytes());
    file[DIRECTORY..DIRECTORY + 4].copy_from_slice(&size.to_le_bytes());
    file[DIRECTORY_PAGES..DIRECTORY_PAGES + 4].copy_from_slice(&place);
    file
}

/// Adds the pages of a stream; returns their numbers, as bytes.
fn append(file: &mut Vec<u8>, stream: &[u8]) -> Vec<u8> {
    let mut numbers = Vec::new();
    for part in stream.chunks(PAGE) {
        // Two pages of every 4,096 are maps of free pages.
        while matches!(file.len() / PAGE % PAGE, 1 | 2) {
            file.extend([0xff; PAGE]);
        }
        numbers.extend(((file.len() / PAGE) as u32).to_le_bytes());
        file.extend(part);
        file.resize(file.len().next_multiple_of(PAGE), 0);
    }
    numbers
}
