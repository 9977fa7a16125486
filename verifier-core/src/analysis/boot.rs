//! Whether two dumps are of one boot of one machine.

use crate::dump::Header;
use crate::kernel::Kernel;

/// The largest difference between two boot times of one boot, in units of 100 ns.
const BOOT_TIME_SLACK: u64 = 2 * 10_000_000;

/// Whether two dumps are of one boot.
///
/// They are of one boot if their kernels have the same base and their machines were started at the same
/// time (`SystemTime` minus `SystemUpTime`, within two seconds, because the clock may have been corrected).
/// If the times are unknown, every module that both dumps have must have the same base.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Boot {
    /// True for one boot.
    pub is_same: bool,
    /// The reason.
    pub why: String,
}

/// When the machine was started, in units of 100 ns since 1601, from a dump's header.
#[must_use]
pub fn boot_time(header: &Header) -> Option<u64> {
    header.system_time?.checked_sub(header.system_up_time?).filter(|&time| time > 0)
}

impl Boot {
    /// Compares two kernels and the times when their machines were started ([`boot_time`]).
    #[must_use]
    pub fn compare(old: (&Kernel, Option<u64>), new: (&Kernel, Option<u64>)) -> Self {
        let says = |is_same, why: String| Boot { is_same, why };
        let ((old, old_time), (new, new_time)) = (old, new);
        if old.build() != new.build() {
            return says(false, format!("builds {} and {}", old.build(), new.build()));
        }
        if old.base() != new.base() {
            return says(false, format!("the kernel is at {} and at {}", old.base(), new.base()));
        }
        if let (Some(old), Some(new)) = (old_time, new_time) {
            let apart = old.abs_diff(new);
            let seconds = apart / 10_000_000;
            return if apart <= BOOT_TIME_SLACK {
                says(true, "one boot time and one kernel base".into())
            } else {
                says(false, format!("boot times {seconds} seconds apart"))
            };
        }
        let moved = old.modules().loaded().iter().find(|module| {
            new.modules().by_name(&module.name).is_some_and(|other| other.base != module.base)
        });
        match moved {
            Some(module) => says(
                false,
                format!("a module is at {} in one and elsewhere in the other", module.base),
            ),
            None => says(true, "all modules have the same bases (a header has no times)".into()),
        }
    }
}
