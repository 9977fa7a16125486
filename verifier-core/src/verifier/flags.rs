//! Verifier's level: the bits of `verifier /flags`, with the names that each generation of tools uses.

use std::fmt;

/// In which group debuggers list a flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FlagGroup {
    /// The standard flags.
    Standard,
    /// The additional flags.
    Additional,
    /// In none: `verifier.exe` knows it, and if it is set, debuggers call it reserved.
    Unlisted,
}

use FlagGroup::{Additional, Standard, Unlisted};

/// One bit of the level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Flag {
    /// The bit.
    pub bit: u32,
    /// The name that `verifier.exe` and debuggers of Windows 8.1 and later print.
    pub name: &'static str,
    /// The name that debuggers up to Windows 7's print after "enabled options are:". If no output of that
    /// time shows the flag, this is the newer name.
    pub old_name: &'static str,
    /// The group in which debuggers list it.
    pub group: FlagGroup,
    /// The first build that knows it.
    pub since: u32,
}

const fn flag(
    bit: u32,
    name: &'static str,
    old_name: &'static str,
    group: FlagGroup,
    since: u32,
) -> Flag {
    Flag { bit, name, old_name, group, since }
}

/// Every flag that public sources name: standard flags first, then the others, by their bits. This is the
/// order in which debuggers list them.
pub const FLAGS: &[Flag] = &[
    flag(0x1, "Special pool", "Special pool", Standard, 0),
    flag(0x2, "Force IRQL checking", "Special irql", Standard, 0),
    flag(0x8, "Pool tracking", "All pool allocations checked on unload", Standard, 0),
    flag(0x10, "I/O verification", "Io subsystem checking enabled", Standard, 0),
    flag(0x20, "Deadlock detection", "Deadlock detection enabled", Standard, 2600),
    flag(0x80, "DMA checking", "DMA checking enabled", Standard, 2600),
    flag(0x100, "Security checks", "Security checks enabled", Standard, 6000),
    flag(0x800, "Miscellaneous checks", "Miscellaneous checks enabled", Standard, 6000),
    flag(0x20000, "DDI compliance checking", "DDI compliance checking", Standard, 9200),
    flag(
        0x4,
        "Randomized low resources simulation",
        "Inject random low-resource API failures",
        Additional,
        0,
    ),
    flag(0x40, "Enhanced I/O verification", "Enhanced I/O verification", Unlisted, 2600),
    flag(0x200, "Force pending I/O requests", "Force pending I/O requests", Additional, 6000),
    flag(0x400, "IRP logging", "IRP logging", Additional, 6000),
    flag(
        0x2000,
        "Invariant MDL checking for stack",
        "Invariant MDL checking for stack",
        Additional,
        9200,
    ),
    flag(
        0x4000,
        "Invariant MDL checking for driver",
        "Invariant MDL checking for driver",
        Additional,
        9200,
    ),
    flag(
        0x8000,
        "Power framework delay fuzzing",
        "Power framework delay fuzzing",
        Additional,
        9200,
    ),
    flag(
        0x10000,
        "Port/miniport interface checking",
        "Port/miniport interface checking",
        Additional,
        10240,
    ),
    flag(
        0x40000,
        "Systematic low resources simulation",
        "Systematic low resources simulation",
        Additional,
        9600,
    ),
    flag(
        0x80000,
        "DDI compliance checking (additional)",
        "DDI compliance checking (additional)",
        Additional,
        9600,
    ),
    flag(0x20_0000, "NDIS/WIFI verification", "NDIS/WIFI verification", Additional, 9600),
    flag(
        0x80_0000,
        "Kernel synchronization delay fuzzing",
        "Kernel synchronization delay fuzzing",
        Additional,
        9600,
    ),
    flag(0x100_0000, "VM switch verification", "VM switch verification", Additional, 9600),
    flag(0x200_0000, "Code integrity checks", "Code integrity checks", Additional, 10240),
];

/// The level of a kernel: `_MM_DRIVER_VERIFIER_DATA.Level`.
///
/// Sources: the outputs of `!verifier` and of tools that Microsoft and users published for Windows Vista to
/// 11, and the documentation of `verifier.exe`. "since" is the first build whose tools know the flag. Bits
/// that are set and not in the table are printed as reserved, as current debuggers do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Level(pub u32);

impl Level {
    /// Pool tracking.
    pub const POOL_TRACKING: u32 = 0x8;

    /// True if all bits of `bit` are set.
    #[must_use]
    pub fn has(self, bit: u32) -> bool {
        self.0 & bit == bit
    }

    /// The bits that are set and that debuggers do not list for a kernel of `build`: they call these bits
    /// reserved, whether or not they have a name.
    #[must_use]
    pub fn unlisted(self, build: u32) -> u32 {
        let listed = FLAGS.iter().filter(|flag| flag.group != Unlisted && flag.since <= build);
        self.0 & !listed.fold(0, |bits, flag| bits | flag.bit)
    }

    /// The flags that are set and have a name, in order of their bits.
    pub fn flags(self) -> impl Iterator<Item = &'static Flag> {
        (0..32).filter_map(move |shift| {
            let bit = 1u32 << shift;
            FLAGS.iter().find(|flag| self.has(bit) && flag.bit == bit)
        })
    }

    /// The bits that are set and whose names, if they have any, are newer than a kernel of `build`.
    #[must_use]
    pub fn unknown(self, build: u32) -> u32 {
        let known =
            FLAGS.iter().filter(|flag| flag.since <= build).fold(0, |bits, flag| bits | flag.bit);
        self.0 & !known
    }

    /// The level with the given flags: the names of [`FLAGS`] without regard to case, spaces,
    /// slashes and hyphens ("special pool", `pool-tracking`), or hexadecimal bits.
    ///
    /// # Errors
    /// The first name that is not a flag's.
    pub fn from_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, &'a str> {
        let plain = |text: &str| -> String {
            text.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_lowercase()
        };
        let mut level = 0;
        for name in names {
            let wanted = plain(name);
            if wanted.is_empty() {
                continue;
            }
            let by_name = FLAGS
                .iter()
                .find(|flag| plain(flag.name) == wanted || plain(flag.old_name) == wanted)
                .map(|flag| flag.bit);
            let bits =
                name.trim().strip_prefix("0x").and_then(|hex| u32::from_str_radix(hex, 16).ok());
            level |= by_name.or(bits).ok_or(name)?;
        }
        Ok(Level(level))
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#010x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_bit_once() {
        let mut seen = 0;
        for flag in FLAGS {
            assert_eq!(flag.bit.count_ones(), 1);
            assert_eq!(seen & flag.bit, 0, "{}", flag.name);
            seen |= flag.bit;
        }
    }

    #[test]
    fn standard_settings() {
        let names: Vec<_> = Level(0x9bb).flags().map(|flag| flag.bit).collect();
        assert_eq!(names, [0x1, 0x2, 0x8, 0x10, 0x20, 0x80, 0x100, 0x800]);
        assert_eq!(Level(0x001209bb).unknown(19041), 0x100000);
        assert_eq!(Level(0x209bb).unknown(7601), 0x20000);
    }

    /// Bit 6: a flag of `verifier.exe` from XP on that no debugger lists.
    #[test]
    fn enhanced_io_verification_has_a_name_and_is_not_listed() {
        let level = Level(0x50);
        assert_eq!(level.flags().last().map(|flag| flag.name), Some("Enhanced I/O verification"));
        assert_eq!((level.unknown(7601), level.unlisted(7601)), (0, 0x40));
        assert_eq!(Level::from_names(["enhanced i/o verification"]), Ok(Level(0x40)));
    }

    #[test]
    fn by_name() {
        assert_eq!(Level::from_names(["pool-tracking", "Special Pool"]), Ok(Level(9)));
        assert_eq!(Level::from_names(["0x200", "i/o verification"]), Ok(Level(0x210)));
        assert_eq!(Level::from_names(["pool tracking", "nonsense"]), Err("nonsense"));
    }
}
