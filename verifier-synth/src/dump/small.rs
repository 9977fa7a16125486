//! `DumpType` 4: small (triage) dumps, which hold blocks of virtual memory and a list of drivers.
//!
//! After the header (0x2000, 32-bit 0x1000) come eighteen words: service pack, size, offset of `TRGD`, then
//! the offsets of context, exception, memory statistics, unloaded drivers, processor, process, thread, stack;
//! the stack's size; offset of the driver list, number of drivers; offset and size of the names; the broken
//! driver; options. Then come the stack's address (64-bit: also 0x10 bytes for IA-64), the data page's
//! address, and six words: offset and size of the data page and of the debugger data, offset and number of
//! the blocks.
//!
//! | table | entry |
//! |---|---|
//! | drivers | offset of the name, and a loader entry: 0x90 bytes (32-bit 0x4c) |
//! | names | characters u32, UTF-16, a NUL |
//! | unloaded drivers | after a count of 8 bytes (32-bit 4): UNICODE_STRING, 12 characters, start, end |
//! | blocks | address u64, offset u32, size u32 |
//!
//! Sources: published structures of the format, and two real dumps; the 32-bit form only from the structures.

use super::{HeaderInfo, MachineType, put, put32, put64};

/// The contents of a small dump.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SmallDump {
    /// Blocks of virtual memory: address and bytes, in the order in which they are stored.
    pub blocks: Vec<(u64, Vec<u8>)>,
    /// Loaded drivers.
    pub drivers: Vec<SmallDumpDriver>,
    /// Unloaded drivers: name, first address, first address after it.
    pub unloaded: Vec<(String, u64, u64)>,
    /// The stack: its lowest address and its bytes.
    pub stack: (u64, Vec<u8>),
    /// `KDDEBUGGER_DATA64`.
    pub debugger_data: Vec<u8>,
}

/// An entry of the driver list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SmallDumpDriver {
    /// Its path.
    pub path: String,
    /// Its load address.
    pub base: u64,
    /// Its size.
    pub size: u32,
    /// `CheckSum`.
    pub check_sum: u32,
    /// `TimeDateStamp`.
    pub time_date_stamp: u32,
}

/// Writes a small dump.
///
/// # Panics
///
/// If an address does not fit in a 32-bit machine.
pub fn write_small_dump(header: &HeaderInfo, content: &SmallDump) -> Vec<u8> {
    let wide = header.machine != MachineType::X86;
    let start = header.size();
    let mut file = header.render(4, None, 0);
    file.resize(start + if wide { 0x80 } else { 0x68 }, 0);
    let mut append = |bytes: &[u8]| {
        let at = file.len().next_multiple_of(8);
        file.resize(at, 0);
        file.extend_from_slice(bytes);
        at as u32
    };
    let unloaded_at = append(&unloaded(content, wide));
    let stack_at = append(&content.stack.1);
    let data_at = append(&content.debugger_data);
    let entry = if wide { 0x90 } else { 0x4c };
    let list_at = append(&vec![0; entry * content.drivers.len()]);
    let mut names = Vec::new();
    for driver in &content.drivers {
        let mut name = (driver.path.encode_utf16().count() as u32).to_le_bytes().to_vec();
        name.extend(driver.path.encode_utf16().chain([0]).flat_map(u16::to_le_bytes));
        names.push((append(&name), name.len()));
    }
    let names_at = names.first().map_or(0, |name| name.0);
    let names_end = names.last().map_or(0, |name| name.0 + name.1 as u32);
    let blocks_at = append(&vec![0; 16 * content.blocks.len()]);
    let places: Vec<u32> = content.blocks.iter().map(|(_, bytes)| append(bytes)).collect();
    let valid_at = append(b"TRGD");

    for (i, (driver, name)) in content.drivers.iter().zip(&names).enumerate() {
        let at = list_at as usize + entry * i;
        put32(&mut file, at, name.0);
        let (base, size, sum, stamp) =
            if wide { (0x38, 0x48, 0x80, 0x88) } else { (0x1c, 0x24, 0x44, 0x48) };
        put_pointer(&mut file, at + base, driver.base, wide);
        put32(&mut file, at + size, driver.size);
        put32(&mut file, at + sum, driver.check_sum);
        put32(&mut file, at + stamp, driver.time_date_stamp);
    }
    for (i, ((address, bytes), place)) in content.blocks.iter().zip(places).enumerate() {
        let at = blocks_at as usize + 16 * i;
        // 32-bit addresses are sign-extended.
        put64(&mut file, at, if wide { *address } else { *address as u32 as i32 as u64 });
        put32(&mut file, at + 8, place);
        put32(&mut file, at + 12, bytes.len() as u32);
    }
    let words = [
        (0x04, valid_at + 4),
        (0x08, valid_at),
        (0x0c, if wide { 0x348 } else { 0x320 }),
        (0x10, if wide { 0xf00 } else { 0x7d0 }),
        (0x18, unloaded_at),
        (0x28, stack_at),
        (0x2c, content.stack.1.len() as u32),
        (0x30, list_at),
        (0x34, content.drivers.len() as u32),
        (0x38, names_at),
        (0x3c, names_end - names_at),
        (0x44, u32::MAX),
    ];
    for (at, word) in words {
        put32(&mut file, start + at, word);
    }
    put_pointer(&mut file, start + 0x48, content.stack.0, wide);
    let rest = start + if wide { 0x70 } else { 0x58 };
    let sizes = [content.debugger_data.len() as u32, blocks_at, content.blocks.len() as u32];
    for (i, word) in [data_at].into_iter().chain(sizes).enumerate() {
        put32(&mut file, rest + 4 * i, word);
    }
    let length = file.len() as u64;
    put64(&mut file, 0xfa0, length);
    file
}

fn unloaded(content: &SmallDump, wide: bool) -> Vec<u8> {
    let (count, entry, name_at) = if wide { (8, 0x38, 0x10) } else { (4, 0x28, 8) };
    let mut out = vec![0; count + entry * content.unloaded.len()];
    put32(&mut out, 0, content.unloaded.len() as u32);
    for (i, (name, start, end)) in content.unloaded.iter().enumerate() {
        let at = count + entry * i;
        let units: Vec<u8> = name.encode_utf16().take(12).flat_map(u16::to_le_bytes).collect();
        put(&mut out, at, &(units.len() as u16).to_le_bytes().repeat(2));
        put(&mut out, at + name_at, &units);
        let pointer = if wide { 8 } else { 4 };
        put_pointer(&mut out, at + name_at + 24, *start, wide);
        put_pointer(&mut out, at + name_at + 24 + pointer, *end, wide);
    }
    out
}

fn put_pointer(file: &mut [u8], at: usize, value: u64, wide: bool) {
    match wide {
        true => put64(file, at, value),
        false => put32(file, at, u32::try_from(value).expect("a 32-bit address")),
    }
}
