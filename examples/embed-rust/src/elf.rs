//! Over the `object` crate: an ELF core of a virtual machine (QEMU's `dump-guest-memory`, libvirt's `virsh
//! dump --memory-only`). Its segments are physical memory.

use object::elf::{EM_386, EM_AARCH64, EM_X86_64, FileHeader32, FileHeader64, PT_LOAD};
use object::read::elf::{FileHeader, ProgramHeader};
use object::{Endianness, FileKind};
use verifier_core::addr::{Address, Pa};
use verifier_core::kernel::{Hints, Kernel};
use verifier_core::memory::{Memory, Residence};
use verifier_core::{Error, Fault, Reason};

/// Physical address, offset in the file and length in bytes.
type Segment = (u64, u64, u64);

/// The file and its segments, sorted by address.
struct Core {
    file: Vec<u8>,
    segments: Vec<Segment>,
}

impl Memory<Pa> for Core {
    fn read_in_page(&self, at: Pa, buf: &mut [u8]) -> Result<Residence, Fault> {
        let after = self.segments.partition_point(|&(start, ..)| start <= at.0);
        let found = after.checked_sub(1).and_then(|index| {
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

/// The kernel of a machine whose memory is in an ELF core.
///
/// # Errors
/// If the file is not ELF, or the kernel is not found.
pub fn open(file: Vec<u8>, dtb: u64, hints: Hints) -> Result<Kernel, Error> {
    let read = match FileKind::parse(&*file) {
        Ok(FileKind::Elf32) => segments::<FileHeader32<Endianness>>(&file),
        _ => segments::<FileHeader64<Endianness>>(&file),
    };
    let read = read.map_err(|error| Error::Unsupported { what: error.to_string() });
    let (machine, segments) = read?;
    crate::kernel(Core { file, segments }, dtb, machine, hints)
}

/// The machine's number in PE files, and the segments.
fn segments<Elf: FileHeader<Endian = Endianness>>(
    file: &[u8],
) -> object::Result<(u32, Vec<Segment>)> {
    let header = Elf::parse(file)?;
    let endian = header.endian()?;
    let machines = [(EM_386, 0x14c), (EM_X86_64, 0x8664), (EM_AARCH64, 0xaa64)];
    let machine = machines.into_iter().find(|&(elf, _)| elf == header.e_machine(endian));
    let loads = header.program_headers(endian, file)?.iter();
    let loads = loads.filter(|segment| segment.p_type(endian) == PT_LOAD).map(|segment| {
        let (start, offset) = (segment.p_paddr(endian).into(), segment.p_offset(endian).into());
        (start, offset, segment.p_filesz(endian).into())
    });
    let mut segments: Vec<_> = loads.collect();
    segments.sort_unstable();
    Ok((machine.map_or(0, |(_, machine)| machine), segments))
}
