//! How Verifier runs beside its level: rule classes, modes, excluded drivers, random faults.

use super::flags::FLAGS;
use crate::error::{Error, Problem};
use crate::kernel::{Kernel, limit, read_unicode_string, read_utf16_z, walk_list};

/// Units of a buffer of tags or applications.
const BUFFER_UNITS: usize = 0x80;

/// Classes that are not flags too, by number.
const CLASSES: [(u32, &str); 5] = [
    (33, "Driver isolation checks"),
    (34, "WDF verification"),
    (35, "DDI checking (additional IRQL rules)"),
    (36, "DIF mode"),
    (37, "File system filter verification"),
];

/// Bits of `VfOptionFlags` whose effect is known.
const OPTIONS: [(u32, &str); 3] = [
    (0x2, "no stacks in the pool log; 22000 and later: no pool log"),
    (0x40, "no stacks in the IRQL transition log"),
    (0x1000, "20348 and later: pool is tracked in trees instead of per driver"),
];

/// Rule classes: `VfRuleClasses`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RuleClasses(pub u64);

impl RuleClasses {
    /// The classes that are on: number (`verifier /ruleclasses`), and name if it is known. Class n up to 32
    /// is the flag of bit n - 1.
    pub fn classes(self) -> impl Iterator<Item = (u32, Option<&'static str>)> {
        (0..64).filter(move |bit| self.0 >> bit & 1 != 0).map(|bit| {
            let class = bit + 1;
            let flag = FLAGS.iter().find(|flag| u64::from(flag.bit) == 1 << bit);
            let name = flag.map(|flag| flag.name).or_else(|| {
                CLASSES.iter().find(|(number, _)| *number == class).map(|(_, name)| *name)
            });
            (class, name)
        })
    }
}

/// Options: `VfOptionFlags`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OptionFlags(pub u32);

impl OptionFlags {
    /// The bits that are set, and the effect of each if it is known.
    pub fn bits(self) -> impl Iterator<Item = (u32, Option<&'static str>)> {
        (0..32).map(|shift| 1u32 << shift).filter(move |bit| self.0 & bit != 0).map(|bit| {
            (bit, OPTIONS.iter().find(|(option, _)| *option == bit).map(|(_, name)| *name))
        })
    }
}

/// Settings of "randomized low resources simulation"; they are used while flag 0x4 is set.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct FaultInjection {
    /// `VfFaultInjectionProbability`: chances in 10,000 that an allocation fails.
    pub probability: Option<u32>,
    /// `VfFaultInjectionMaxProbability`.
    pub max_probability: Option<u32>,
    /// `VfFaultInjectionBootMinutes`: minutes after the start of Windows without faults.
    pub boot_minutes: Option<u32>,
    /// `VerifierFaultTagsBuffer`: pool tags to which it is limited; empty for all.
    pub pool_tags: Option<String>,
    /// `VerifierFaultApplicationsBuffer`: programs to which it is limited; empty for all.
    pub applications: Option<String>,
}

/// How Verifier runs. A value is `None` if the build does not have it or if it could not be read.
///
/// | global | size | builds |
/// |---|---|---|
/// | `VfRuleClasses` | 8: two words of 32 classes | 17763 on |
/// | `VfVerifyMode`, `VfOptionFlags`, `ViVerifyAllDrivers` | 4 | 7 on |
/// | `VfExcludedDriversList`, `VfXdvExcludedDriversList` | `LIST_ENTRY` each | 7 on; 8.1 on |
/// | `VfFaultInjectionProbability`, `…MaxProbability`, `…BootMinutes` | 4 | 7 on |
/// | `VerifierFaultTagsBuffer`, `VerifierFaultApplicationsBuffer` | 0x100 of UTF-16 | 7 on |
///
/// Sizes are the distances to the next symbol in 7601, 9600, 14393, 19041 and 22000. An entry of a list of
/// excluded drivers is a `LIST_ENTRY`, directly after it a `UNICODE_STRING`, and then the characters. No
/// public type describes it, and it is not the type of configured drivers. Kernels of 22631 and later build
/// it this way (`VfSuspectExcludedDriversAllocateEntry`); earlier ones are assumed to do the same. Values
/// whose meaning no public source gives are shown as numbers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Modes {
    /// `VfRuleClasses`.
    pub rule_classes: Option<RuleClasses>,
    /// `VfVerifyMode`: no public source says what its values mean.
    pub verify_mode: Option<u32>,
    /// `VfOptionFlags`.
    pub option_flags: Option<OptionFlags>,
    /// `ViVerifyAllDrivers`: not 0 if all drivers are verified.
    pub verify_all_drivers: Option<u32>,
    /// `VfExcludedDriversList`: drivers that are excluded if all are verified.
    pub excluded_drivers: Option<Vec<String>>,
    /// `VfXdvExcludedDriversList`: drivers that the kernel keeps on a second list of the same form.
    pub xdv_excluded_drivers: Option<Vec<String>>,
    /// Random faults.
    pub faults: FaultInjection,
    /// What could not be read or does not fit.
    pub problems: Vec<Problem>,
}

impl Modes {
    /// Reads all modes that the build has. A global that the symbols do not have is not a problem. A remark
    /// names the globals whose pages cannot be read: they have no value, and level and statistics are
    /// complete without them.
    #[must_use]
    pub fn read(kernel: &Kernel) -> Self {
        let mut globals = Globals { kernel, unread: Vec::new(), problems: Vec::new() };
        let low = globals.number("VfRuleClasses", 0);
        let high = globals.number("VfRuleClasses", 4);
        let classes = low.zip(high).map(|(low, high)| u64::from(high) << 32 | u64::from(low));
        let mut modes = Self {
            rule_classes: classes.map(RuleClasses),
            verify_mode: globals.number("VfVerifyMode", 0),
            option_flags: globals.number("VfOptionFlags", 0).map(OptionFlags),
            verify_all_drivers: globals.number("ViVerifyAllDrivers", 0),
            excluded_drivers: globals.excluded("VfExcludedDriversList", "list of excluded drivers"),
            xdv_excluded_drivers: globals
                .excluded("VfXdvExcludedDriversList", "second list of excluded drivers"),
            faults: FaultInjection {
                probability: globals.number("VfFaultInjectionProbability", 0),
                max_probability: globals.number("VfFaultInjectionMaxProbability", 0),
                boot_minutes: globals.number("VfFaultInjectionBootMinutes", 0),
                pool_tags: globals.text("VerifierFaultTagsBuffer"),
                applications: globals.text("VerifierFaultApplicationsBuffer"),
            },
            problems: Vec::new(),
        };
        modes.problems = globals.into_problems();
        modes
    }
}

/// The kernel's globals, each of which may be missing.
struct Globals<'a> {
    kernel: &'a Kernel,
    /// The globals that could not be read, and why.
    unread: Vec<(&'static str, Error)>,
    problems: Vec<Problem>,
}

impl Globals<'_> {
    fn number(&mut self, name: &'static str, offset: u64) -> Option<u32> {
        let at = self.kernel.global(name).ok()?.add(offset);
        let read = self.kernel.space().memory().read_u32(at);
        self.noted(name, read.map_err(|fault| Error::read(name, fault)))
    }

    fn text(&mut self, name: &'static str) -> Option<String> {
        let at = self.kernel.global(name).ok()?;
        self.noted(name, read_utf16_z(self.kernel.space(), at, BUFFER_UNITS))
    }

    /// The value; an error is kept for the remark.
    fn noted<T>(&mut self, name: &'static str, read: Result<T, Error>) -> Option<T> {
        read.map_err(|error| self.unread.push((name, error))).ok()
    }

    /// The globals are on few pages, so one remark names all.
    fn into_problems(mut self) -> Vec<Problem> {
        if let Some((_, error)) = self.unread.first() {
            let mut names: Vec<&str> = self.unread.iter().map(|(name, _)| *name).collect();
            names.dedup();
            self.problems.push(Problem::from_error(names.join(", "), error).remark());
        }
        self.problems
    }

    /// The names on a list of excluded drivers.
    fn excluded(&mut self, global: &'static str, what: &'static str) -> Option<Vec<String>> {
        let kernel = self.kernel;
        let (space, limits) = (kernel.space(), kernel.limits());
        let head = kernel.global(global).ok()?;
        let size = space.pointer_size() as u64;
        let links = space.read_pointer(head).and_then(|next| {
            let last = space.read_pointer(head.add(size))?;
            Ok([next, last])
        });
        let links = self.noted(global, links.map_err(|fault| Error::read(global, fault)))?;
        // A head of zeros: the kernel never set the list up.
        if links.iter().all(|link| link.is_null()) {
            return Some(Vec::new());
        }
        let mut walk = walk_list(space, head, what, limits);
        if let Some(error) = walk.broken {
            self.problems.push(Problem::from_error(what, &error));
        }
        limit!(limits, drivers).cut(&mut walk.entries, what, &mut self.problems);
        let mut names = Vec::new();
        for entry in walk.entries {
            match read_unicode_string(space, entry.add(2 * size), limits) {
                Ok(name) => names.push(name),
                Err(error) => {
                    self.problems.push(Problem::at("name of an excluded driver", entry, error));
                }
            }
        }
        Some(names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_go_on_beyond_the_flags() {
        // As the kernel of build 27774 shows them: 0:0x1209bb, 1:0x100012.
        let classes: Vec<_> = RuleClasses(0x0010_0012_0012_09bb).classes().collect();
        let numbers: Vec<u32> = classes.iter().map(|(number, _)| *number).collect();
        assert_eq!(numbers, [1, 2, 4, 5, 6, 8, 9, 12, 18, 21, 34, 37, 53]);
        assert_eq!(classes[0].1, Some("Special pool"));
        assert_eq!(classes[9].1, None);
        assert_eq!(classes[10].1, Some("WDF verification"));
        assert_eq!(classes[12].1, None);
    }

    #[test]
    fn class_7_is_the_flag_of_bit_6() {
        let classes: Vec<_> = RuleClasses(0x40).classes().collect();
        assert_eq!(classes, [(7, Some("Enhanced I/O verification"))]);
    }

    #[test]
    fn options_by_bit() {
        let bits: Vec<_> =
            OptionFlags(0x1001).bits().map(|(bit, name)| (bit, name.is_some())).collect();
        assert_eq!(bits, [(1, false), (0x1000, true)]);
    }
}
