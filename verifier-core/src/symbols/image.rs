//! Data that an image in memory contains about itself: its PDB's identity and its exports.
//!
//! Both are read from the image's pages in the dump. A kernel dump may hold only some of these pages, so each
//! missing part is reported and the other parts are still read.

use zerocopy::FromBytes;

use super::{PdbId, SymbolKind, SymbolTable};
use crate::addr::{Rva, Va};
use crate::bytes::{le, le32};
use crate::error::{Error, Fault};
use crate::memory::Memory;
use crate::raw::{
    CodeViewRsds, DataDirectory, DebugDirectory, DosHeader, ExportDirectory, FileHeader,
    SectionHeader,
};

/// Limit on the debug directory entries that are read.
const MAX_DEBUG_ENTRIES: usize = 64;
/// Limit on the bytes of a PDB's path.
const MAX_PDB_PATH: usize = 1024;
/// Limit on the bytes of an exported name.
const MAX_EXPORT_NAME: usize = super::name::MAX_SHOWN_NAME;
/// Limit on the exported names.
const MAX_EXPORTS: u32 = 0x1_0000;

/// The start of records of compilers before 2002 (`NB10`): such a record has no GUID.
const OLD_CODEVIEW: &[u8] = b"NB";
/// Limit on the section headers.
const MAX_SECTIONS: u16 = 96;

/// A section of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Section {
    /// Its name: `.data`, `ALMOSTRO`.
    pub name: String,
    /// Start of the section.
    pub start: Rva,
    /// Size in memory, in bytes.
    pub size: u32,
    /// True if the section contains code.
    pub is_executable: bool,
    /// True if the section is writable.
    pub is_writable: bool,
}

/// The headers of an image in memory.
#[derive(Debug, Clone)]
pub struct ImageHeaders {
    base: Va,
    /// `TimeDateStamp`.
    pub time_date_stamp: u32,
    /// `SizeOfImage`.
    pub size_of_image: u32,
    /// The PE machine number.
    pub machine: u16,
    export: Option<DataDirectory>,
    debug: Option<DataDirectory>,
    sections_at: Va,
    number_of_sections: u16,
}

fn read<const N: usize>(memory: &dyn Memory<Va>, at: Va) -> Result<[u8; N], Fault> {
    let mut bytes = [0; N];
    memory.read(at, &mut bytes)?;
    Ok(bytes)
}

impl ImageHeaders {
    /// Reads the headers of the image at `base`.
    ///
    /// # Errors
    /// [`Error::Read`] if the headers are absent, [`Error::Malformed`] if they are not image headers.
    pub fn read(memory: &dyn Memory<Va>, base: Va) -> Result<Self, Error> {
        let malformed = |why: &str| Error::Malformed {
            address: base,
            what: "image headers".into(),
            why: why.into(),
        };
        let fault = |fault| Error::read("image headers", fault);
        let bytes = read::<{ size_of::<DosHeader>() }>(memory, base).map_err(fault)?;
        let dos = DosHeader::ref_from_bytes(&bytes).map_err(|_| malformed("short"))?;
        if &dos.magic != b"MZ" {
            return Err(malformed("no \"MZ\""));
        }
        let new_header = base.add(dos.new_header.get().into());
        let bytes = read::<{ size_of::<FileHeader>() }>(memory, new_header).map_err(fault)?;
        let file = FileHeader::ref_from_bytes(&bytes).map_err(|_| malformed("short"))?;
        if &file.signature != b"PE\0\0" {
            return Err(malformed("no \"PE\""));
        }
        let optional_at = new_header.add(size_of::<FileHeader>() as u64);
        let mut optional = vec![0u8; usize::from(file.size_of_optional_header.get())];
        memory.read(optional_at, &mut optional).map_err(fault)?;
        // PE32 and PE32+ both have SizeOfImage at 0x38 but start their directories at different offsets.
        let directories = match le(&optional, 0, 2) {
            Some(0x10b) => 0x60,
            Some(0x20b) => 0x70,
            _ => return Err(malformed("the optional header has an unknown magic number")),
        };
        let directory = |index: usize| {
            if le32(&optional, directories - 4)? as usize <= index {
                return None;
            }
            let at = directories + index * size_of::<DataDirectory>();
            let raw = optional.get(at..at + size_of::<DataDirectory>())?;
            let directory = DataDirectory::read_from_bytes(raw).ok()?;
            (directory.virtual_address.get() != 0).then_some(directory)
        };
        Ok(Self {
            base,
            time_date_stamp: file.time_date_stamp.get(),
            size_of_image: le32(&optional, 0x38).unwrap_or(0),
            machine: file.machine.get(),
            export: directory(0),
            debug: directory(6),
            sections_at: optional_at.add(optional.len() as u64),
            number_of_sections: file.number_of_sections.get(),
        })
    }

    /// The image's sections, in the order of their headers.
    ///
    /// # Errors
    /// [`Error::Read`] if their headers are absent.
    pub fn sections(&self, memory: &dyn Memory<Va>) -> Result<Vec<Section>, Error> {
        let mut sections = Vec::new();
        for i in 0..self.number_of_sections.min(MAX_SECTIONS) {
            let at = self.sections_at.add(u64::from(i) * size_of::<SectionHeader>() as u64);
            let bytes = read::<{ size_of::<SectionHeader>() }>(memory, at)
                .map_err(|fault| Error::read("section headers", fault))?;
            let Ok(raw) = SectionHeader::ref_from_bytes(&bytes) else { break };
            let name = raw.name.split(|&byte| byte == 0).next().unwrap_or_default();
            sections.push(Section {
                name: String::from_utf8_lossy(name).into_owned(),
                start: Rva(raw.virtual_address.get()),
                size: raw.virtual_size.get(),
                is_executable: raw.characteristics.get() & 0x2000_0000 != 0,
                is_writable: raw.characteristics.get() & 0x8000_0000 != 0,
            });
        }
        Ok(sections)
    }

    fn at(&self, rva: u32) -> Va {
        self.base.add(rva.into())
    }

    /// The identity of the image's PDB, from its CodeView record.
    ///
    /// # Errors
    /// [`Error::Read`] if the record is absent, [`Error::Malformed`] if the image has none (the error is then
    /// about the image's base) or the record is not one (the error is about the record).
    pub fn pdb_id(&self, memory: &dyn Memory<Va>) -> Result<PdbId, Error> {
        let malformed = |why: &str| Error::Malformed {
            address: self.base,
            what: "debug directory".into(),
            why: why.into(),
        };
        let debug = self.debug.ok_or_else(|| malformed("the image has none"))?;
        let entries = debug.size.get() as usize / size_of::<DebugDirectory>();
        for i in 0..entries.min(MAX_DEBUG_ENTRIES) {
            let at = self.at(debug.virtual_address.get());
            let at = at.add((i * size_of::<DebugDirectory>()) as u64);
            let bytes = read::<{ size_of::<DebugDirectory>() }>(memory, at)
                .map_err(|fault| Error::read("debug directory", fault))?;
            let entry = DebugDirectory::ref_from_bytes(&bytes).map_err(|_| malformed("short"))?;
            if entry.kind.get() != 2 || entry.address_of_raw_data.get() == 0 {
                continue;
            }
            let at = self.at(entry.address_of_raw_data.get());
            let bytes = read::<{ size_of::<CodeViewRsds>() }>(memory, at)
                .map_err(|fault| Error::read("CodeView record", fault))?;
            let record = CodeViewRsds::ref_from_bytes(&bytes).map_err(|_| malformed("short"))?;
            if record.signature.starts_with(OLD_CODEVIEW) {
                continue;
            }
            if &record.signature != b"RSDS" {
                let [a, b, c, d] = record.signature;
                return Err(Error::Malformed {
                    address: at,
                    what: "CodeView record".into(),
                    why: format!(
                        "it begins with {a:02x} {b:02x} {c:02x} {d:02x}, not with \"RSDS\""
                    ),
                });
            }
            let path = read_text(memory, at.add(bytes.len() as u64), MAX_PDB_PATH)
                .map_err(|fault| Error::read("CodeView record", fault))?;
            // Drivers carry the full path from the machine that built them.
            let name = path.rsplit(['\\', '/']).next().unwrap_or("").to_string();
            return Ok(PdbId { name, guid: record.guid, age: record.age.get() });
        }
        Err(malformed("no CodeView (RSDS) record"))
    }

    /// The image's name in its export directory.
    ///
    /// # Errors
    /// [`Error::Read`] if the name is absent, [`Error::Malformed`] if the image exports nothing.
    pub fn export_name(&self, memory: &dyn Memory<Va>) -> Result<String, Error> {
        let directory = self.export.ok_or_else(|| Error::Malformed {
            address: self.base,
            what: "export directory".into(),
            why: "the image has none".into(),
        })?;
        let fault = |fault| Error::read("export directory", fault);
        // ExportDirectory.name.
        let name = memory.read_u32(self.at(directory.virtual_address.get()).add(0xc));
        read_text(memory, self.at(name.map_err(fault)?), MAX_EXPORT_NAME).map_err(fault)
    }

    /// The image's exported names as a symbol table, at most `left` (and 65,536) of them. The number of names
    /// that the image claims to have is subtracted from `left`, which limits the work over many images. Names
    /// whose pages are absent are left out.
    ///
    /// # Errors
    /// [`Error::Read`] if the export directory itself is absent, [`Error::Malformed`] if the image exports
    /// nothing.
    pub fn exports(&self, memory: &dyn Memory<Va>, left: &mut u32) -> Result<SymbolTable, Error> {
        let malformed = |why: &str| Error::Malformed {
            address: self.base,
            what: "export directory".into(),
            why: why.into(),
        };
        let directory = self.export.ok_or_else(|| malformed("the image has none"))?;
        let start = directory.virtual_address.get();
        let bytes = read::<{ size_of::<ExportDirectory>() }>(memory, self.at(start))
            .map_err(|fault| Error::read("export directory", fault))?;
        let exports = ExportDirectory::ref_from_bytes(&bytes).map_err(|_| malformed("short"))?;
        let functions = exports.number_of_functions.get();
        let forwarders = start..start.saturating_add(directory.size.get());
        let mut table = SymbolTable::builder(self.machine == 0x14c);
        let count = exports.number_of_names.get().min(MAX_EXPORTS).min(*left);
        *left -= count;
        for i in 0..count {
            let entry = |table: u32, size: u64| self.at(table).add(u64::from(i) * size);
            let Ok(name) = memory.read_u32(entry(exports.address_of_names.get(), 4)) else {
                continue;
            };
            let Ok(ordinal) = memory.read_u16(entry(exports.address_of_name_ordinals.get(), 2))
            else {
                continue;
            };
            if u32::from(ordinal) >= functions {
                continue;
            }
            let function = self.at(exports.address_of_functions.get()).add(u64::from(ordinal) * 4);
            let Ok(rva) = memory.read_u32(function) else { continue };
            // An address inside the directory is a forwarder: the name of another image's function.
            if forwarders.contains(&rva) {
                continue;
            }
            if let Ok(name) = read_text(memory, self.at(name), MAX_EXPORT_NAME) {
                table.add(Rva(rva), &name, SymbolKind::Export);
            }
        }
        Ok(table.finish())
    }
}

/// A NUL-terminated string; a string longer than `max` bytes is cut.
fn read_text(memory: &dyn Memory<Va>, at: Va, max: usize) -> Result<String, Fault> {
    let mut text = Vec::new();
    let mut here = at;
    while text.len() < max {
        // Reads up to the end of one page at a time: the next page may be absent and not needed.
        let left = (crate::addr::PAGE_SIZE - here.page_offset()) as usize;
        let mut part = vec![0u8; left.min(64).min(max - text.len())];
        memory.read(here, &mut part)?;
        if let Some(end) = part.iter().position(|&b| b == 0) {
            text.extend_from_slice(part.get(..end).unwrap_or_default());
            break;
        }
        here = here.add(part.len() as u64);
        text.append(&mut part);
    }
    Ok(String::from_utf8_lossy(&text).into_owned())
}
