//! `KDDEBUGGER_DATA64`: the block that gives debuggers the addresses of the kernel's globals.

use super::AddressSpace;
use crate::addr::{PAGE_SIZE, Va};
use crate::bytes::{le32, le64};
use crate::error::Error;

/// Bytes that are read: up to and including `MmVerifierData`.
const SIZE: usize = 0x250;
/// The most bytes of a kernel's image that are searched: kernels have 6 to 17 MiB.
pub(crate) const MAX_IMAGE: u64 = 64 << 20;
/// The offset of the signature, `Header.OwnerTag`.
const TAG: u64 = 0x10;
/// `KDBG`.
const OWNER_TAG: u32 = 0x4742_444b;

/// The debugger data block.
///
/// Sources: `wdbgexts.h`, and the offsets in volatility's `kdbg_vtypes.py`, checked on dumps of 7601, 9600,
/// 19041 and 22000. On every machine all address fields are 64 bits wide (sign-extended on x86). Each is
/// the address *of* a variable, except `KernBase`.
///
/// Since Windows 8, x64 kernels keep the block encoded while they run, and decode it in place when they
/// write a dump. So the block is encoded in a raw image of memory. With the kernel's symbols, the keys can
/// be read ([`DataBlockKeys`]).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DebuggerData {
    /// Its address.
    pub address: Va,
    /// True if it had to be decoded.
    pub was_encoded: bool,
    /// `KernBase`: the base address of the kernel.
    pub kernel_base: Va,
    /// Address of `PsLoadedModuleList`.
    pub ps_loaded_module_list: Va,
    /// Address of `KiBugCheckData`: the bug check's code and parameters, five pointers.
    pub ki_bug_check_data: Va,
    /// Address of `MmUnloadedDrivers`.
    pub mm_unloaded_drivers: Va,
    /// Address of `MmLastUnloadedDriver`.
    pub mm_last_unloaded_driver: Va,
    /// Address of `NtBuildLab`.
    pub nt_build_lab: Va,
    /// Address of `MmVerifierData`.
    pub mm_verifier_data: Va,
}

/// The keys of an encoded block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DataBlockKeys {
    /// The value of `KiWaitNever`.
    pub wait_never: u64,
    /// The value of `KiWaitAlways`.
    pub wait_always: u64,
    /// The *address* of `KdpDataBlockEncoded`.
    pub encoded_flag: Va,
}

impl DataBlockKeys {
    /// Decodes one quadword of the block.
    #[must_use]
    pub fn decode(&self, raw: u64) -> u64 {
        let x = (raw ^ self.wait_never).rotate_left((self.wait_never & 0x3f) as u32);
        (x ^ self.encoded_flag.0).swap_bytes() ^ self.wait_always
    }
}

impl DebuggerData {
    /// Finds the block in the image at `base` of `size` bytes: it has the signature and names this image.
    /// `None` if there is no such block, or it is encoded.
    pub(super) fn search(space: &AddressSpace, base: Va, size: u32) -> Option<Self> {
        let mut page = vec![0u8; PAGE_SIZE as usize];
        let size = u64::from(size).min(MAX_IMAGE);
        (0..size).step_by(PAGE_SIZE as usize).find_map(|offset| {
            space.read(base.add(offset), &mut page).ok()?;
            (0..page.len()).step_by(8).find_map(|at| {
                if le32(&page, at) != Some(OWNER_TAG) {
                    return None;
                }
                let address = base.add(offset + at as u64).sub(TAG);
                let data = Self::read(space, address, None).ok()?;
                (data.kernel_base == base).then_some(data)
            })
        })
    }

    /// True if there is a block at `address` that is not encoded.
    pub(super) fn is_marked(space: &AddressSpace, address: Va) -> bool {
        space.memory().read_u32(address.add(TAG)).is_ok_and(|tag| tag == OWNER_TAG)
    }

    /// Reads the block at `address`; `keys` are used if it is encoded.
    ///
    /// # Errors
    /// [`Error::Read`] if it is absent, [`Error::Malformed`] if there is no block (or it is encoded, and no
    /// keys are given).
    pub fn read(
        space: &AddressSpace,
        address: Va,
        keys: Option<&DataBlockKeys>,
    ) -> Result<Self, Error> {
        let what = "debugger data block";
        let mut bytes = [0u8; SIZE];
        space.read(address, &mut bytes).map_err(|fault| Error::read(what, fault))?;
        let mut was_encoded = false;
        if le32(&bytes, TAG as usize) != Some(OWNER_TAG)
            && let Some(keys) = keys
        {
            for quad in bytes.chunks_exact_mut(8) {
                let decoded = keys.decode(le64(quad, 0).unwrap_or(0));
                quad.copy_from_slice(&decoded.to_le_bytes());
            }
            was_encoded = true;
        }
        if le32(&bytes, TAG as usize) != Some(OWNER_TAG) {
            return Err(Error::Malformed {
                address,
                what: what.into(),
                why: if was_encoded {
                    "no \"KDBG\", neither plain nor decoded".into()
                } else {
                    "no \"KDBG\": it may be encoded, as in a running Windows 8 or later".into()
                },
            });
        }
        let field = |offset| space.narrow(le64(&bytes, offset).unwrap_or(0));
        Ok(Self {
            address,
            was_encoded,
            kernel_base: field(0x18),
            ps_loaded_module_list: field(0x48),
            ki_bug_check_data: field(0x88),
            nt_build_lab: field(0x208),
            mm_unloaded_drivers: field(0x220),
            mm_last_unloaded_driver: field(0x228),
            mm_verifier_data: field(0x248),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decoding_undoes_what_the_kernel_does() {
        let keys = DataBlockKeys {
            wait_never: 0x1234_5678_9abc_def7,
            wait_always: 0x0fed_cba9_8765_4321,
            encoded_flag: Va(0xffff_f801_2345_6789),
        };
        // The other direction, step by step backwards.
        let plain = 0xffff_f800_0183_9c90u64;
        let x = (plain ^ keys.wait_always).swap_bytes() ^ keys.encoded_flag.0;
        let encoded = x.rotate_right(0x37) ^ keys.wait_never;
        assert_eq!(keys.decode(encoded), plain);
    }
}
