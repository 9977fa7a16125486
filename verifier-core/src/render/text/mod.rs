//! Text as the debugger prints it.
//!
//! Two generations of `!verifier` are followed; published transcripts show how they differ.
//! [`Style::Win7`] is the debugger of the Windows 7 kit and before, [`Style::Modern`] is WinDbg of 2021 and
//! later. If no transcript shows a case, its line is our own, and a comment beside it says so.

mod deadlock;
mod event_log;
mod extent;
mod flags;
mod kd;
mod lines;
mod pool_log;
pub(super) mod stack;
mod time;
mod verifier;
pub(super) mod views;

pub use deadlock::{DeadlockDetail, write_deadlock, write_deadlock_state};
pub use event_log::{write_event_log, write_log_state, write_log_title, write_watched_irps};
pub use extent::{extent_line, write_extent};
pub use flags::{write_flag_list, write_new_settings};
pub use kd::{write_bug_check, write_modules, write_rule_info};
pub use lines::sanitize;
pub use pool_log::{write_pool_log, write_pool_log_search, write_pool_record};
pub(crate) use stack::code_lines;
pub use stack::write_stack;
pub use time::{filetime_text, up_time_text};
pub use verifier::{write_driver_list, write_summary};

/// Whose text is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Style {
    /// The debugger of the Windows 7 kit and before.
    Win7,
    /// WinDbg of 2021 and later.
    #[default]
    Modern,
}

use crate::addr::Va;
use crate::machine::Machine;

/// An address as the debugger prints it alone: all digits, no prefix.
pub(crate) fn digits(va: Va, machine: Machine) -> String {
    match machine {
        Machine::X86 => format!("{:08x}", va.0),
        Machine::X64 | Machine::Arm64 => format!("{:016x}", va.0),
    }
}

/// An address with a backtick in its middle, as `lm` and `.bugcheck` print it.
pub(crate) fn ticked(value: u64, machine: Machine) -> String {
    match machine {
        Machine::X86 => format!("{value:08x}"),
        Machine::X64 | Machine::Arm64 => {
            format!("{:08x}`{:08x}", value >> 32, value & 0xffff_ffff)
        }
    }
}
