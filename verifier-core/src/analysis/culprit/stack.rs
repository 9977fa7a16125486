//! The first code of a driver on the stack of the crashed thread.
//!
//! Nothing is unwound: values on the stack that follow a call instruction in an image are taken for return
//! addresses. A value may be left over from an earlier call, so what is found here is likely, not certain.

use crate::addr::{PAGE_SIZE, Va};
use crate::bytes::{le, le32};
use crate::kernel::Kernel;
use crate::machine::Machine;
use crate::verifier::{Drivers, is_kernel_or_verifier};

/// Bytes of the stack that are looked at. Kernel stacks have 12 KiB on x86 and 24 KiB on other machines.
const MAX_STACK: u64 = 0x6000;

/// The innermost return address in a verified driver, else in any driver.
///
/// # Errors
/// Why there is none.
pub(super) fn first_driver(kernel: &Kernel) -> Result<Va, String> {
    let pointer = kernel.stack_pointer().filter(|&sp| kernel.space().is_kernel(sp));
    let Some(pointer) = pointer else {
        return Err("the stack pointer at the crash is unknown".into());
    };
    let values = values(kernel, pointer);
    if values.is_empty() {
        return Err("the stack of the crashed thread is not in the dump".into());
    }
    let found: Vec<Va> = values.into_iter().filter(|&va| is_return(kernel, va)).collect();
    let drivers = Drivers::read(kernel).map(|drivers| drivers.drivers).unwrap_or_default();
    let is_verified = |va: &Va| {
        let module = kernel.modules().find(*va);
        module.is_some_and(|(_, module)| drivers.iter().any(|one| one.is_named(&module.name)))
    };
    let verified = found.iter().copied().find(is_verified);
    verified
        .or(found.first().copied())
        .ok_or_else(|| "no return address on the stack of the crashed thread is in a driver".into())
}

/// The pointers on the stack up to the first page that cannot be read.
fn values(kernel: &Kernel, pointer: Va) -> Vec<Va> {
    let size = kernel.space().pointer_size();
    let start = Va(pointer.0 & !(size as u64 - 1));
    let mut values = Vec::new();
    let mut at = start;
    while at.0 < start.0.saturating_add(MAX_STACK) {
        let room = PAGE_SIZE - at.0 % PAGE_SIZE;
        let mut bytes = vec![0u8; room as usize];
        // A small dump holds the stack up to its end, which may be inside a page.
        let read = match kernel.space().read(at, &mut bytes) {
            Ok(_) => bytes.len(),
            Err(fault) => fault.done,
        };
        let words = bytes.get(..read).unwrap_or_default().chunks_exact(size);
        values.extend(words.filter_map(|word| le(word, 0, size)).map(Va));
        if read < bytes.len() {
            break;
        }
        at = at.add(room);
    }
    values
}

/// True for an address after a call in an image that is neither the kernel nor Verifier. Without the code
/// (a small dump does not hold it) any address in such an image counts.
fn is_return(kernel: &Kernel, va: Va) -> bool {
    let Some((_, module)) = kernel.modules().find(va) else { return false };
    let is_hal = module.name.to_ascii_lowercase().starts_with("hal");
    if is_hal || is_kernel_or_verifier(kernel, va) {
        return false;
    }
    let mut before = [0u8; 8];
    match kernel.space().read(va.sub(before.len() as u64), &mut before) {
        Ok(_) => follows_call(&before, kernel.space().machine()),
        Err(_) => true,
    }
}

/// True if these bytes end with a call.
fn follows_call(before: &[u8; 8], machine: Machine) -> bool {
    match machine {
        Machine::Arm64 => le32(before, 4).is_some_and(|word| {
            // BL, and BLR with any register.
            word & 0xfc00_0000 == 0x9400_0000 || word & 0xffff_fc1f == 0xd63f_0000
        }),
        Machine::X64 | Machine::X86 => {
            let &[_, b7, b6, b5, b4, b3, b2, b1] = before;
            // FF /2 with each length of its operand.
            let is_indirect = |opcode: u8, operand: u8| opcode == 0xff && operand & 0x38 == 0x10;
            let pairs = [(b7, b6), (b6, b5), (b4, b3), (b3, b2), (b2, b1)];
            b5 == 0xe8 || pairs.into_iter().any(|(opcode, operand)| is_indirect(opcode, operand))
        }
    }
}
