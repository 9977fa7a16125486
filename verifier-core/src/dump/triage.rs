//! Small (triage) dumps, type 4: they have no physical memory, but blocks of the kernel's virtual memory
//! around the crash, and a list of drivers.

use std::sync::Arc;

use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

use super::header::Header;
use super::source::ReadAt;
use super::spans::{FileSpans, Span};
use super::truncation::Truncation;
use crate::addr::Va;
use crate::error::{Error, Problem};
use crate::raw::{
    Triage32, Triage64, TriageBlock, TriageData, TriageDriver32, TriageDriver64, TriageParts,
    TriageUnloaded32, TriageUnloaded64,
};

/// The most blocks that are read; real dumps have some thousands.
const MAX_BLOCKS: u32 = 1 << 20;
/// The most drivers that are read.
const MAX_DRIVERS: u32 = 1 << 14;
/// The most unloaded drivers that are read; the kernel keeps 50.
const MAX_UNLOADED: u32 = 1 << 10;
/// The most characters of a driver's path that are read.
const MAX_PATH: u32 = 1 << 10;

/// A driver of the list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct TriageDriver {
    /// Its path, `\SystemRoot\System32\drivers\…`; empty if it cannot be read.
    pub path: String,
    /// `DllBase`.
    pub base: Va,
    /// `SizeOfImage`.
    pub size: u32,
    /// `CheckSum`.
    pub check_sum: u32,
    /// `TimeDateStamp`.
    pub time_date_stamp: u32,
}

/// A driver that was unloaded before the crash.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TriageUnloaded {
    /// Its file name, cut to 12 characters by the format.
    pub name: String,
    /// Its first address.
    pub start: Va,
    /// The first address after it.
    pub end: Va,
}

/// The part of the crashed thread's stack that is in the dump.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct CallStack {
    /// Its lowest address in the dump (`TopOfStack`): the stack pointer at the crash.
    pub address: Va,
    /// Its length in bytes.
    pub size: u32,
}

/// The contents of a small dump.
///
/// The kernel chose the contents at the crash: the crashed thread's stack, its process and processor, the
/// debugger data block, `MmVerifierData`, and the memory that registers and drivers' own callbacks pointed
/// at. Lists, pool and page tables are not in it.
///
/// Offsets and counts are checked against the file. If a table is only partly in the file, the entries that
/// are there are returned with a problem.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Triage {
    /// False if the writer did not finish: `TRGD` is missing at the end.
    pub is_complete: bool,
    /// The length of the dump in bytes that its writer states; secondary data may follow.
    pub size_of_dump: u32,
    /// The loaded drivers, the kernel first.
    pub drivers: Vec<TriageDriver>,
    /// The unloaded drivers.
    pub unloaded: Vec<TriageUnloaded>,
    /// The crashed thread's stack.
    pub call_stack: Option<CallStack>,
    /// The kernel's virtual memory in the dump.
    pub memory: FileSpans<Va>,
    /// What is missing at the end of the file, if it was cut short.
    pub truncation: Option<Truncation>,
    /// What could not be read or does not fit.
    pub problems: Vec<Problem>,
}

/// The 32-bit and the 64-bit header as one structure.
struct Parts {
    parts: TriageParts,
    data: TriageData,
    top_of_stack: u64,
    data_page_address: u64,
}

impl Triage {
    pub(super) fn read(file: &Arc<dyn ReadAt>, header: &Header) -> Result<Self, Error> {
        let reader = Reader { file: &**file, is_64bit: header.is_64bit };
        let Parts { parts, data, top_of_stack, data_page_address } = reader.parts(header.size())?;
        let mut problems = Vec::new();
        let mut valid = [0u8; 4];
        let is_complete =
            file.read_at(parts.valid_offset.get().into(), &mut valid).is_ok() && &valid == b"TRGD";
        if !is_complete {
            problems.push(Problem::from_error(
                "small dump",
                &Error::Format {
                    offset: parts.valid_offset.get().into(),
                    what: "triage header",
                    why: "\"TRGD\" is missing: the dump was not written to its end".into(),
                },
            ));
        }
        let mut spans = reader.blocks(&data, &mut problems);
        let mut add = |address: u64, offset: u32, size: u32| {
            if offset != 0 && address != 0 {
                spans.push(Span { first: address, count: size.into(), offset: offset.into() });
            }
        };
        let stack_size = parts.size_of_call_stack.get();
        add(top_of_stack, parts.call_stack_offset.get(), stack_size);
        if let Some(address) = header.kd_debugger_data_block {
            add(address.0, data.debugger_data_offset.get(), data.debugger_data_size.get());
        }
        add(data_page_address, data.data_page_offset.get(), data.data_page_size.get());
        let call_stack = (top_of_stack != 0 && stack_size != 0)
            .then_some(CallStack { address: Va(top_of_stack), size: stack_size });
        // `TRGD`, which marks a complete dump, is the dump's last four bytes.
        let valid_end = u64::from(parts.valid_offset.get()).saturating_add(valid.len() as u64);
        let end = u64::from(parts.size_of_dump.get()).min(valid_end);
        Ok(Self {
            is_complete,
            truncation: Truncation::new(file.len(), end),
            size_of_dump: parts.size_of_dump.get(),
            drivers: reader.drivers(&parts, &mut problems),
            unloaded: reader.unloaded(parts.unloaded_drivers_offset.get(), &mut problems),
            call_stack,
            memory: FileSpans::new(Arc::clone(file), spans),
            problems,
        })
    }
}

struct Reader<'a> {
    file: &'a dyn ReadAt,
    is_64bit: bool,
}

impl Reader<'_> {
    fn parts(&self, at: u64) -> Result<Parts, Error> {
        Ok(if self.is_64bit {
            let raw: Triage64 = self.one(at, "triage header")?;
            Parts {
                parts: raw.parts,
                data: raw.data,
                top_of_stack: raw.top_of_stack.get(),
                data_page_address: raw.data_page_address.get(),
            }
        } else {
            let raw: Triage32 = self.one(at, "triage header")?;
            Parts {
                parts: raw.parts,
                data: raw.data,
                top_of_stack: raw.top_of_stack.get().into(),
                data_page_address: raw.data_page_address.get().into(),
            }
        })
    }

    fn one<T: FromBytes>(&self, at: u64, what: &'static str) -> Result<T, Error> {
        let mut bytes = vec![0u8; size_of::<T>()];
        let ends = || Error::Format {
            offset: at,
            what,
            why: format!("the file ends before it ({:#x} bytes)", self.file.len()),
        };
        self.file.read_at(at, &mut bytes).map_err(|_| ends())?;
        T::read_from_bytes(&bytes).map_err(|_| ends())
    }

    /// A table of `count` entries. Reads the entries that are in the file, at most `max`.
    fn table<T: FromBytes + Immutable + KnownLayout + Unaligned + Copy>(
        &self,
        what: &'static str,
        at: u64,
        count: u32,
        (max, name): (u32, &'static str),
        problems: &mut Vec<Problem>,
    ) -> Vec<T> {
        let held = self.file.len().saturating_sub(at) / size_of::<T>() as u64;
        let there = u64::from(count.min(max)).min(held);
        let mut bytes = vec![0u8; usize::try_from(there).unwrap_or(0) * size_of::<T>()];
        let read = self.file.read_at(at, &mut bytes);
        let mut note = |error: Error| problems.push(Problem::from_error("small dump", &error));
        let malformed = |why: String| Error::Format { offset: at, what, why };
        if read.is_err() {
            note(malformed("it cannot be read".into()));
            return Vec::new();
        }
        if held < u64::from(count) {
            note(malformed(format!(
                "the header counts {count:#x} entries, the file has {held:#x}"
            )));
        } else if count > max {
            note(Error::Limit { what: what.into(), limit: max.into(), name });
        }
        <[T]>::ref_from_bytes(&bytes).map(<[T]>::to_vec).unwrap_or_default()
    }

    fn blocks(&self, data: &TriageData, problems: &mut Vec<Problem>) -> Vec<Span> {
        let at = data.data_blocks_offset.get();
        if at == 0 {
            return Vec::new();
        }
        let (count, most) = (data.data_blocks_count.get(), (MAX_BLOCKS, "MAX_BLOCKS"));
        let blocks: Vec<TriageBlock> = self.table("data blocks", at.into(), count, most, problems);
        let mut past_end = 0usize;
        let spans = blocks
            .iter()
            .map(|block| {
                let (offset, size) = (block.offset.get().into(), block.size.get().into());
                if self.file.len().checked_sub(offset).is_none_or(|left| left < size) {
                    past_end += 1;
                }
                // A 32-bit kernel's addresses are extended by their sign.
                let mask = if self.is_64bit { u64::MAX } else { 0xffff_ffff };
                Span { first: block.address.get() & mask, count: size, offset }
            })
            .collect();
        if past_end > 0 {
            let why = format!("{past_end} of {} reach past the end of the file", blocks.len());
            let error = Error::Format { offset: at.into(), what: "data blocks", why };
            problems.push(Problem::from_error("small dump", &error));
        }
        spans
    }

    fn drivers(&self, parts: &TriageParts, problems: &mut Vec<Problem>) -> Vec<TriageDriver> {
        let (at, count) = (parts.driver_list_offset.get(), parts.driver_count.get());
        if at == 0 || count == 0 {
            return Vec::new();
        }
        let (at, most) = (u64::from(at), (MAX_DRIVERS, "MAX_DRIVERS"));
        let mut nameless = 0usize;
        let mut driver = |name: u32, base: u64, size, check_sum, time_date_stamp| TriageDriver {
            path: self.path(name.into()).unwrap_or_else(|| {
                nameless += 1;
                String::new()
            }),
            base: Va(base),
            size,
            check_sum,
            time_date_stamp,
        };
        let drivers = if self.is_64bit {
            let raw: Vec<TriageDriver64> = self.table("driver list", at, count, most, problems);
            raw.iter()
                .map(|raw| {
                    let (name, base) = (raw.name_offset.get(), raw.base.get());
                    let (sum, stamp) = (raw.check_sum.get(), raw.time_date_stamp.get());
                    driver(name, base, raw.size_of_image.get(), sum, stamp)
                })
                .collect()
        } else {
            let raw: Vec<TriageDriver32> = self.table("driver list", at, count, most, problems);
            raw.iter()
                .map(|raw| {
                    let (name, base) = (raw.name_offset.get(), raw.base.get().into());
                    let (sum, stamp) = (raw.check_sum.get(), raw.time_date_stamp.get());
                    driver(name, base, raw.size_of_image.get(), sum, stamp)
                })
                .collect()
        };
        if nameless > 0 {
            let why = format!("the names of {nameless} drivers cannot be read");
            let error = Error::Format { offset: at, what: "driver list", why };
            problems.push(Problem::from_error("small dump", &error));
        }
        drivers
    }

    fn path(&self, at: u64) -> Option<String> {
        let mut length = [0u8; 4];
        self.file.read_at(at, &mut length).ok()?;
        let characters = u32::from_le_bytes(length);
        if at == 0 || characters == 0 || characters > MAX_PATH {
            return None;
        }
        let mut bytes = vec![0u8; characters as usize * 2];
        self.file.read_at(at + 4, &mut bytes).ok()?;
        Some(utf16(&bytes))
    }

    fn unloaded(&self, at: u32, problems: &mut Vec<Problem>) -> Vec<TriageUnloaded> {
        let at = u64::from(at);
        let what = "unloaded drivers";
        if at == 0 {
            return Vec::new();
        }
        let mut count = [0u8; 4];
        if self.file.read_at(at, &mut count).is_err() {
            let error = Error::Format { offset: at, what, why: "the file ends before it".into() };
            problems.push(Problem::from_error("small dump", &error));
            return Vec::new();
        }
        let (count, most) = (u32::from_le_bytes(count), (MAX_UNLOADED, "MAX_UNLOADED"));
        let unloaded = |length: u16, name: &[u8], start: u64, end: u64| TriageUnloaded {
            name: utf16(name.get(..usize::from(length) & !1).unwrap_or(name)),
            start: Va(start),
            end: Va(end),
        };
        if self.is_64bit {
            let raw: Vec<TriageUnloaded64> = self.table(what, at + 8, count, most, problems);
            raw.iter()
                .map(|raw| {
                    let (start, end) = (raw.start.get(), raw.end.get());
                    unloaded(raw.name_length.get(), &raw.name, start, end)
                })
                .collect()
        } else {
            let raw: Vec<TriageUnloaded32> = self.table(what, at + 4, count, most, problems);
            raw.iter()
                .map(|raw| {
                    let (start, end) = (raw.start.get().into(), raw.end.get().into());
                    unloaded(raw.name_length.get(), &raw.name, start, end)
                })
                .collect()
        }
    }
}

/// Text up to the first NUL.
fn utf16(bytes: &[u8]) -> String {
    let units = bytes.chunks_exact(2).map(|pair| match pair {
        [low, high] => u16::from_le_bytes([*low, *high]),
        _ => 0,
    });
    char::decode_utf16(units.take_while(|&unit| unit != 0))
        .map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect()
}
