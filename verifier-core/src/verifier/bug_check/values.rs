//! Values of parameters by their names: IRQLs, statuses, pool types, flags.

use super::parameter::ParameterKind;
use super::table::{lines, number};
use crate::machine::Machine;
use crate::verifier::tag::PoolTag;

/// Values and names of statuses.
fn statuses() -> impl Iterator<Item = (u64, &'static str)> {
    let read = |line: &'static str| {
        let (value, name) = line.split_once(' ')?;
        Some((number(value)?, name))
    };
    lines(STATUSES).filter_map(read)
}

const STATUSES: &str = include_str!("tables/statuses.txt");

/// `POOL_TYPE` (wdm.h). The values from 32 on are of sessions.
const POOL_TYPES: [(u64, &str); 8] = [
    (0, "NonPagedPool"),
    (1, "PagedPool"),
    (2, "NonPagedPoolMustSucceed"),
    (4, "NonPagedPoolCacheAligned"),
    (5, "PagedPoolCacheAligned"),
    (6, "NonPagedPoolCacheAlignedMustS"),
    (0x200, "NonPagedPoolNx"),
    (0x204, "NonPagedPoolNxCacheAligned"),
];

/// Bits that callers add to a pool type (wdm.h).
const POOL_TYPE_BITS: [(u64, &str); 4] = [
    (0x8, "POOL_QUOTA_FAIL_INSTEAD_OF_RAISE"),
    (0x10, "POOL_RAISE_IF_ALLOCATION_FAILURE"),
    (0x20, "session"),
    (0x400, "POOL_ZERO_ALLOCATION"),
];

/// `MdlFlags` (wdm.h).
const MDL_FLAGS: [(u64, &str); 16] = [
    (0x1, "MDL_MAPPED_TO_SYSTEM_VA"),
    (0x2, "MDL_PAGES_LOCKED"),
    (0x4, "MDL_SOURCE_IS_NONPAGED_POOL"),
    (0x8, "MDL_ALLOCATED_FIXED_SIZE"),
    (0x10, "MDL_PARTIAL"),
    (0x20, "MDL_PARTIAL_HAS_BEEN_MAPPED"),
    (0x40, "MDL_IO_PAGE_READ"),
    (0x80, "MDL_WRITE_OPERATION"),
    (0x100, "MDL_LOCKED_PAGE_TABLES"),
    (0x200, "MDL_FREE_EXTRA_PTES"),
    (0x400, "MDL_DESCRIBES_AWE"),
    (0x800, "MDL_IO_SPACE"),
    (0x1000, "MDL_NETWORK_HEADER"),
    (0x2000, "MDL_MAPPING_CAN_FAIL"),
    (0x4000, "MDL_PAGE_CONTENTS_INVARIANT"),
    (0x8000, "MDL_INTERNAL"),
];

/// Page protections (wdm.h).
const PROTECTIONS: [(u64, &str); 11] = [
    (0x1, "PAGE_NOACCESS"),
    (0x2, "PAGE_READONLY"),
    (0x4, "PAGE_READWRITE"),
    (0x8, "PAGE_WRITECOPY"),
    (0x10, "PAGE_EXECUTE"),
    (0x20, "PAGE_EXECUTE_READ"),
    (0x40, "PAGE_EXECUTE_READWRITE"),
    (0x80, "PAGE_EXECUTE_WRITECOPY"),
    (0x100, "PAGE_GUARD"),
    (0x200, "PAGE_NOCACHE"),
    (0x400, "PAGE_WRITECOMBINE"),
];

/// Major functions of IRPs (wdm.h), by number.
const MAJOR_FUNCTIONS: [&str; 28] = [
    "IRP_MJ_CREATE",
    "IRP_MJ_CREATE_NAMED_PIPE",
    "IRP_MJ_CLOSE",
    "IRP_MJ_READ",
    "IRP_MJ_WRITE",
    "IRP_MJ_QUERY_INFORMATION",
    "IRP_MJ_SET_INFORMATION",
    "IRP_MJ_QUERY_EA",
    "IRP_MJ_SET_EA",
    "IRP_MJ_FLUSH_BUFFERS",
    "IRP_MJ_QUERY_VOLUME_INFORMATION",
    "IRP_MJ_SET_VOLUME_INFORMATION",
    "IRP_MJ_DIRECTORY_CONTROL",
    "IRP_MJ_FILE_SYSTEM_CONTROL",
    "IRP_MJ_DEVICE_CONTROL",
    "IRP_MJ_INTERNAL_DEVICE_CONTROL",
    "IRP_MJ_SHUTDOWN",
    "IRP_MJ_LOCK_CONTROL",
    "IRP_MJ_CLEANUP",
    "IRP_MJ_CREATE_MAILSLOT",
    "IRP_MJ_QUERY_SECURITY",
    "IRP_MJ_SET_SECURITY",
    "IRP_MJ_POWER",
    "IRP_MJ_SYSTEM_CONTROL",
    "IRP_MJ_DEVICE_CHANGE",
    "IRP_MJ_QUERY_QUOTA",
    "IRP_MJ_SET_QUOTA",
    "IRP_MJ_PNP",
];

/// The name of a value of this kind: "DISPATCH_LEVEL", "STATUS_PENDING", "PagedPool", "Leak". `None` if the
/// kind does not have names, or the value does not have one.
#[must_use]
pub fn value_name(kind: ParameterKind, value: u64, machine: Machine) -> Option<String> {
    use ParameterKind as K;
    let name = match kind {
        K::Irql => irql(value, machine)?.to_owned(),
        K::Status => status(value)?.to_owned(),
        K::PoolType => pool_type(value)?,
        K::PoolTag => tag(value)?,
        K::MdlFlags => flags(value, &MDL_FLAGS)?,
        K::Protection => flags(value, &PROTECTIONS)?,
        K::MajorFunction => major_function(value)?.to_owned(),
        K::IoControl => io_control(value)?,
        K::Mode => match value {
            0 => "kernel mode".to_owned(),
            1 => "user mode".to_owned(),
            _ => return None,
        },
        K::Access => access(value, machine)?.to_owned(),
        K::Signed => signed(value)?.to_string(),
        // Digits that say the same as the value's own help nobody.
        K::Size | K::Count | K::Time if value > 9 => value.to_string(),
        _ => return None,
    };
    Some(name)
}

/// IRQLs from wdm.h of each machine; those between are of devices.
fn irql(value: u64, machine: Machine) -> Option<&'static str> {
    Some(match (value, machine) {
        (0, _) => "PASSIVE_LEVEL",
        (1, _) => "APC_LEVEL",
        (2, _) => "DISPATCH_LEVEL",
        (27, Machine::X86) => "PROFILE_LEVEL",
        (28, Machine::X86) => "CLOCK_LEVEL",
        (29, Machine::X86) => "IPI_LEVEL",
        (30, Machine::X86) => "POWER_LEVEL",
        (31, Machine::X86) => "HIGH_LEVEL",
        (3..=26, Machine::X86) => "an IRQL of devices",
        (13, _) => "CLOCK_LEVEL",
        (14, _) => "IPI_LEVEL",
        (15, _) => "HIGH_LEVEL",
        (3..=12, _) => "an IRQL of devices",
        _ => return None,
    })
}

/// A status is 32 bits wide; in a parameter it may be sign-extended.
fn status(value: u64) -> Option<&'static str> {
    let low = u64::from(value as u32);
    let is_extended = value as u32 as i32 as i64 as u64 == value;
    (value == low || is_extended).then_some(())?;
    statuses().find(|(status, _)| *status == low).map(|(_, name)| name)
}

fn pool_type(value: u64) -> Option<String> {
    let added: u64 = POOL_TYPE_BITS.iter().map(|(bit, _)| bit).sum();
    let base = POOL_TYPES.iter().find(|(base, _)| *base == value & !added)?.1;
    let set = POOL_TYPE_BITS.iter().filter(|(bit, _)| value & bit != 0).map(|(_, name)| *name);
    Some(std::iter::once(base).chain(set).collect::<Vec<_>>().join(" | "))
}

fn tag(value: u64) -> Option<String> {
    let tag = u32::try_from(value).ok().filter(|&tag| tag != 0)?;
    Some(PoolTag(tag).to_string())
}

/// The names of the bits; `None` if one has none.
fn flags(value: u64, names: &[(u64, &str)]) -> Option<String> {
    let known: u64 = names.iter().map(|(bit, _)| bit).sum();
    let set = names.iter().filter(|(bit, _)| value & bit != 0).map(|(_, name)| *name);
    (value != 0 && value & !known == 0).then(|| set.collect::<Vec<_>>().join(" | "))
}

/// The name of an IRP's major function.
#[must_use]
pub fn major_function(value: u64) -> Option<&'static str> {
    MAJOR_FUNCTIONS.get(usize::try_from(value).ok()?).copied()
}

/// The parts of an I/O control code (`CTL_CODE` of wdm.h).
fn io_control(value: u64) -> Option<String> {
    const METHODS: [&str; 4] =
        ["METHOD_BUFFERED", "METHOD_IN_DIRECT", "METHOD_OUT_DIRECT", "METHOD_NEITHER"];
    let code = u32::try_from(value).ok().filter(|&code| code != 0)?;
    let method = METHODS.get((code & 3) as usize)?;
    Some(format!("device type {:#x}, function {:#x}, {method}", code >> 16, code >> 2 & 0xfff))
}

/// What a page fault was: 0 is a read everywhere. Kernels from Windows 10 on pass the processor's bits: 2 is
/// a write and 0x10 an execution, on ARM64 1 and 8.
fn access(value: u64, machine: Machine) -> Option<&'static str> {
    Some(match (value, machine) {
        (0, _) => "read",
        (1 | 2, _) => "write",
        (8, Machine::Arm64) | (0x10, Machine::X86 | Machine::X64) => "execute",
        _ => return None,
    })
}

/// A count of 32 bits with its sign: APC disable counts are negative while APCs are disabled.
fn signed(value: u64) -> Option<i32> {
    let number = value as u32 as i32;
    (value == u64::from(value as u32) || value == number as i64 as u64).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ParameterKind as K;

    #[test]
    fn values_have_their_names() {
        for (kind, value, machine, expected) in [
            (K::Irql, 2, Machine::X64, Some("DISPATCH_LEVEL")),
            (K::Irql, 15, Machine::Arm64, Some("HIGH_LEVEL")),
            (K::Irql, 31, Machine::X86, Some("HIGH_LEVEL")),
            (K::Irql, 15, Machine::X86, Some("an IRQL of devices")),
            (K::Irql, 16, Machine::X64, None),
            (K::Status, 0x103, Machine::X64, Some("STATUS_PENDING")),
            (K::Status, 0xffff_ffff_c000_0005, Machine::X64, Some("STATUS_ACCESS_VIOLATION")),
            (K::Status, 0xc000_0005, Machine::X86, Some("STATUS_ACCESS_VIOLATION")),
            (K::Status, 0x1_0000_0103, Machine::X64, None),
            (K::PoolType, 0, Machine::X64, Some("NonPagedPool")),
            (K::PoolType, 0x200, Machine::X64, Some("NonPagedPoolNx")),
            (K::PoolType, 0x21, Machine::X64, Some("PagedPool | session")),
            (K::PoolType, 0x99, Machine::X64, None),
            (K::PoolTag, 0x6b61_654c, Machine::X64, Some("Leak")),
            (
                K::MdlFlags,
                0x6,
                Machine::X64,
                Some("MDL_PAGES_LOCKED | MDL_SOURCE_IS_NONPAGED_POOL"),
            ),
            (K::Protection, 0x40, Machine::X64, Some("PAGE_EXECUTE_READWRITE")),
            (K::MajorFunction, 0x1b, Machine::X64, Some("IRP_MJ_PNP")),
            (K::MajorFunction, 0x1c, Machine::X64, None),
            (K::Mode, 1, Machine::X64, Some("user mode")),
            (K::Access, 0x10, Machine::X64, Some("execute")),
            (K::Access, 8, Machine::X64, None),
            (K::Signed, 0xffff_ffff, Machine::X64, Some("-1")),
            (K::Signed, 0xffff_ffff_ffff_fffe, Machine::X64, Some("-2")),
            (K::Size, 0x40, Machine::X64, Some("64")),
            (K::Address, 0x40, Machine::X64, None),
        ] {
            assert_eq!(
                value_name(kind, value, machine).as_deref(),
                expected,
                "{kind:?} {value:#x}"
            );
        }
        let code = value_name(K::IoControl, 0x22_2003, Machine::X64).unwrap();
        assert_eq!(code, "device type 0x22, function 0x800, METHOD_NEITHER");
    }

    #[test]
    fn statuses_are_in_no_doubt() {
        let mut values: Vec<u64> = statuses().map(|(value, _)| value).collect();
        assert_eq!(values.len(), lines(STATUSES).count());
        values.sort_unstable();
        assert!(values.windows(2).all(|pair| pair[0] < pair[1]));
    }
}
