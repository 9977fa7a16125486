//! Over object: an ELF core of a virtual machine (QEMU's `dump-guest-memory`, libvirt's `virsh dump
//! --memory-only`), whose segments are physical memory.

use object::Endianness;
use object::elf::{FileHeader64, PT_LOAD};
use object::read::elf::{FileHeader, ProgramHeader};
use verifier_core::addr::{Address, Pa};
use verifier_core::kernel::{Hints, Kernel};
use verifier_core::memory::{Memory, Residence};
use verifier_core::{Error, Fault, Reason};

/// The segments: physical address, offset and bytes in the file, by address.
struct Core {
    file: Vec<u8>,
    segments: Vec<(u64, u64, u64)>,
}

impl Memory<Pa> for Core {
    fn read_in_page(&self, at: Pa, buf: &mut [u8]) -> Result<Residence, Fault> {
        let behind = self.segments.partition_point(|&(start, ..)| start <= at.0);
        let found = behind.checked_sub(1).and_then(|index| {
            let (start, offset, length) = *self.segments.get(index)?;
            let skip = at.0 - start;
            let whole = skip.checked_add(buf.len() as u64)? <= length;
            let from = usize::try_from(offset.checked_add(skip)?).ok().filter(|_| whole)?;
            self.file.get(from..)?.get(..buf.len())
        });
        let absent = Fault { space: Pa::SPACE, address: at.0, done: 0, reason: Reason::NotHeld };
        buf.copy_from_slice(found.ok_or(absent)?);
        Ok(Residence::Valid)
    }
}

/// The kernel of a machine whose memory an ELF core holds.
///
/// # Errors
/// Where the file is no ELF of 64 bits, or the kernel is not found.
pub fn open(file: Vec<u8>, dtb: u64, hints: Hints) -> Result<Kernel, Error> {
    let no_elf = |error: object::Error| Error::Unsupported { what: error.to_string() };
    let header = FileHeader64::<Endianness>::parse(&*file).map_err(no_elf)?;
    let endian = header.endian().map_err(no_elf)?;
    let loads = header.program_headers(endian, &*file).map_err(no_elf)?.iter();
    let loads = loads.filter(|segment| segment.p_type(endian) == PT_LOAD);
    let place = |segment: &object::elf::ProgramHeader64<Endianness>| {
        (segment.p_paddr(endian), segment.p_offset(endian), segment.p_filesz(endian))
    };
    let mut segments: Vec<_> = loads.map(place).collect();
    segments.sort_unstable();
    crate::kernel(Core { file, segments }, dtb, hints)
}
