//! Core files of virtual machines in ELF format, as QEMU's `dump-guest-memory` and VirtualBox's
//! `debugvm dumpvmcore` write them.
//!
//! Only this file uses the `object` crate. It is in the core because the core finds pages in files, and
//! `object` does no I/O: it receives the header and the tables as bytes, after their declared sizes were
//! checked against the file.

use std::sync::Arc;

use object::elf::{ET_CORE, FileHeader32, FileHeader64, PN_XNUM, PT_LOAD, PT_NOTE};
use object::pod::{from_bytes, slice_from_bytes};
use object::read::elf::{FileHeader, NoteIterator, ProgramHeader, SectionHeader};
use object::{LittleEndian, Pod};
use zerocopy::FromBytes;

use super::source::ReadAt;
use super::spans::{FileSpans, Span};
use crate::addr::Pa;
use crate::error::{Error, Problem};
use crate::machine::Machine;
use crate::raw::QemuCpuState;

/// The most segments that are read; QEMU writes one for each range of the machine's memory.
const MAX_SEGMENTS: u64 = 1 << 16;
/// The most bytes of notes that are read in total.
const MAX_NOTES: u64 = 1 << 22;
/// The name of such files in messages.
const WHAT: &str = "ELF core";

/// A core file of a virtual machine.
///
/// Each `PT_LOAD` segment is a range of physical memory (`p_paddr`; QEMU with paging also gives virtual
/// addresses, which are not needed here). QEMU adds a note for each processor, whose CR3 leads to page
/// tables. VirtualBox's notes change with its versions and are ignored: the page tables are searched for.
#[derive(Debug, Clone)]
pub struct ElfCore {
    /// `e_machine`.
    pub machine_number: u16,
    /// The physical memory in the file.
    pub memory: FileSpans<Pa>,
    /// CR3 of each processor for which QEMU wrote a note.
    pub processors: Vec<Pa>,
    /// What could not be read or does not fit.
    pub problems: Vec<Problem>,
    file_len: u64,
}

impl ElfCore {
    /// True if the file begins with the ELF signature.
    pub(super) fn is_one(file: &dyn ReadAt) -> bool {
        let mut magic = [0u8; 4];
        file.read_at(0, &mut magic).is_ok() && &magic == b"\x7fELF"
    }

    /// Reads the program headers and the notes.
    ///
    /// # Errors
    /// [`Error::Format`] if the file is not a little-endian ELF core, has no segment of memory, or ends
    /// before its program headers.
    pub fn open(file: Arc<dyn ReadAt>) -> Result<Self, Error> {
        let mut ident = [0u8; 6];
        file.read_at(0, &mut ident).map_err(|_| malformed(0, "the file ends before its header"))?;
        match ident {
            [0x7f, b'E', b'L', b'F', 2, 1] => Self::read::<FileHeader64<LittleEndian>>(file),
            [0x7f, b'E', b'L', b'F', 1, 1] => Self::read::<FileHeader32<LittleEndian>>(file),
            _ => Err(malformed(0, "neither 32-bit nor 64-bit, or not little-endian")),
        }
    }

    /// The length of the file in bytes.
    #[must_use]
    pub fn file_len(&self) -> u64 {
        self.file_len
    }

    /// The architecture of `e_machine`, if it is known.
    #[must_use]
    pub fn machine(&self) -> Option<Machine> {
        match self.machine_number {
            3 => Some(Machine::X86),
            62 => Some(Machine::X64),
            183 => Some(Machine::Arm64),
            _ => None,
        }
    }

    fn read<E: FileHeader<Endian = LittleEndian>>(file: Arc<dyn ReadAt>) -> Result<Self, Error> {
        let endian = LittleEndian;
        let mut problems = Vec::new();
        let mut buf = Vec::new();
        let header: E = *one(&*file, 0, &mut buf)?;
        if header.e_type(endian) != ET_CORE {
            return Err(malformed(0x10, "an ELF file of another kind than a core"));
        }
        let table_at: u64 = header.e_phoff(endian).into();
        let mut count = u64::from(header.e_phnum(endian));
        if count == u64::from(PN_XNUM) && header.e_shoff(endian).into() != 0 {
            // The number is too large for the field, so it is in the first section header.
            let mut buf = Vec::new();
            let section: &E::SectionHeader = one(&*file, header.e_shoff(endian).into(), &mut buf)?;
            count = section.sh_info(endian).into();
        }
        let size = size_of::<E::ProgramHeader>() as u64;
        let held = file.len().saturating_sub(table_at) / size;
        if count > held {
            let why =
                format!("the header counts {count:#x} program headers, the file has {held:#x}");
            problems.push(Problem::from_error(WHAT, &malformed(table_at, &why)));
            count = held;
        }
        if count > MAX_SEGMENTS {
            let what = "program headers of an ELF core".into();
            let error = Error::Limit { what, limit: MAX_SEGMENTS, name: "MAX_SEGMENTS" };
            problems.push(Problem::from_error(WHAT, &error));
            count = MAX_SEGMENTS;
        }
        let mut table = vec![0u8; usize::try_from(count * size).unwrap_or(0)];
        file.read_at(table_at, &mut table)
            .map_err(|_| malformed(table_at, "the program headers cannot be read"))?;
        let (segments, _) =
            slice_from_bytes::<E::ProgramHeader>(&table, usize::try_from(count).unwrap_or(0))
                .map_err(|()| malformed(table_at, "the program headers cannot be read"))?;
        let mut core = Self {
            machine_number: header.e_machine(endian).0,
            memory: FileSpans::new(Arc::clone(&file), memory_of(segments)),
            processors: Vec::new(),
            problems,
            file_len: file.len(),
        };
        if core.memory.bytes() == 0 {
            return Err(malformed(
                table_at,
                "no segment has memory, so this is not a dump of a machine",
            ));
        }
        core.read_notes::<E>(&*file, segments);
        Ok(core)
    }

    fn read_notes<E: FileHeader<Endian = LittleEndian>>(
        &mut self,
        file: &dyn ReadAt,
        segments: &[E::ProgramHeader],
    ) {
        let endian = LittleEndian;
        let mut left = MAX_NOTES;
        for segment in segments.iter().filter(|segment| segment.p_type(endian) == PT_NOTE) {
            let (at, size): (u64, u64) =
                (segment.p_offset(endian).into(), segment.p_filesz(endian).into());
            let held = size.min(file.len().saturating_sub(at));
            let taken = held.min(left);
            left -= taken;
            let mut bytes = vec![0u8; usize::try_from(taken).unwrap_or(0)];
            let mut note = |error: &Error| self.problems.push(Problem::from_error(WHAT, error));
            if file.read_at(at, &mut bytes).is_err() || held < size {
                note(&malformed(at, "the notes are incomplete"));
            }
            if taken < held {
                let what = "bytes of notes of an ELF core".into();
                note(&Error::Limit { what, limit: MAX_NOTES, name: "MAX_NOTES" });
            }
            let Ok(mut notes) = NoteIterator::<E>::new(endian, segment.p_align(endian), &bytes)
            else {
                note(&malformed(at, "the alignment of the notes is invalid"));
                continue;
            };
            while let Ok(Some(found)) = notes.next() {
                if found.name() != b"QEMU" {
                    continue;
                }
                if let Ok((state, _)) = QemuCpuState::read_from_prefix(found.desc())
                    && let [_, _, _, cr3, _] = state.control
                {
                    self.processors.push(Pa(cr3.get()));
                }
            }
        }
    }
}

/// The ranges of physical memory, in the order of their headers.
fn memory_of<P: ProgramHeader<Endian = LittleEndian>>(segments: &[P]) -> Vec<Span> {
    let endian = LittleEndian;
    let loads = segments.iter().filter(|segment| segment.p_type(endian) == PT_LOAD);
    let span = |segment: &P| Span {
        first: segment.p_paddr(endian).into(),
        // The part of a segment that is not in the file (`p_memsz` beyond `p_filesz`) is absent.
        count: segment.p_filesz(endian).into(),
        offset: segment.p_offset(endian).into(),
    };
    loads.map(span).collect()
}

/// A structure of the file.
fn one<'a, T: Pod>(file: &dyn ReadAt, at: u64, buf: &'a mut Vec<u8>) -> Result<&'a T, Error> {
    buf.resize(size_of::<T>(), 0);
    let ends = || malformed(at, "the file ends before the end of its header");
    file.read_at(at, buf).map_err(|_| ends())?;
    from_bytes(buf).map(|(value, _)| value).map_err(|()| ends())
}

fn malformed(offset: u64, why: &str) -> Error {
    Error::Format { offset, what: WHAT, why: why.into() }
}
