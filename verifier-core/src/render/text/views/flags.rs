//! A level that was asked for.

use std::io;

use crate::render::text::{sanitize, write_new_settings};
use crate::verifier::Level;

/// Writes a level as `verifier /flags` prints it back, and before it, if `with_command` is set, the
/// command that sets it for these drivers.
///
/// # Errors
/// Those of the writer.
pub fn write_flags_text(
    out: &mut dyn io::Write,
    level: Level,
    drivers: &[String],
    with_command: bool,
) -> io::Result<()> {
    if with_command {
        write!(out, "verifier /flags {:#x}", level.0)?;
        for (index, driver) in drivers.iter().enumerate() {
            let option = if index == 0 { " /driver " } else { " " };
            write!(out, "{option}{}", sanitize(driver))?;
        }
        writeln!(out, "\n")?;
    }
    write_new_settings(out, level, drivers)
}
