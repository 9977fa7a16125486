//! Levels as `!verifier` and `verifier.exe` print them.

use std::io;

use super::Style;
use crate::verifier::{FLAGS, FlagGroup, Level};

/// The lines of a level, limited to the flags that a kernel of `build` knows.
///
/// # Errors
/// Those of the writer.
pub fn write_flag_list(
    out: &mut dyn io::Write,
    level: Level,
    build: u32,
    style: Style,
) -> io::Result<()> {
    match style {
        Style::Win7 => {
            writeln!(out, "Verify Level {:x} ... enabled options are:", level.0)?;
            for flag in level.flags().filter(|flag| flag.group != FlagGroup::Unlisted) {
                writeln!(out, "      {}", flag.old_name)?;
            }
        }
        Style::Modern => {
            writeln!(out)?;
            writeln!(out, "Verify Flags Level {level}")?;
            let check = |set: bool| if set { 'X' } else { ' ' };
            for (title, group) in
                [("STANDARD", FlagGroup::Standard), ("ADDITIONAL", FlagGroup::Additional)]
            {
                writeln!(out, "\n  {title} FLAGS:")?;
                if group == FlagGroup::Standard {
                    writeln!(out, "    [X] (0x00000000) Automatic Checks")?;
                }
                for flag in FLAGS.iter().filter(|flag| flag.group == group && flag.since <= build) {
                    let set = check(level.has(flag.bit));
                    writeln!(out, "    [{set}] ({:#010x}) {}", flag.bit, flag.name)?;
                }
            }
            let reserved = level.unlisted(build);
            if reserved != 0 {
                writeln!(out, "\n  RESERVED FLAGS (use of these flags is unsupported):")?;
                for bit in (0..32).map(|shift| 1u32 << shift).filter(|bit| reserved & bit != 0) {
                    writeln!(out, "    [X] ({bit:#010x}) Unused or reserved flag")?;
                }
            }
            writeln!(out, "\n    [X] Indicates flag is enabled")?;
        }
    }
    Ok(())
}

/// The settings as `verifier /flags` of Windows 7 prints them back.
///
/// That tool has a line for eleven settings. A flag that it does not know, if it is set, gets a
/// line after them; that line is our own.
///
/// # Errors
/// Those of the writer.
pub fn write_new_settings(
    out: &mut dyn io::Write,
    level: Level,
    drivers: &[String],
) -> io::Result<()> {
    const LINES: [(u32, &str); 11] = [
        (0x1, "Special pool"),
        (0x8, "Pool tracking"),
        (0x2, "Force IRQL checking"),
        (0x10, "I/O verification"),
        (0x20, "Deadlock detection"),
        (0x80, "DMA checking"),
        (0x100, "Security checks"),
        (0x200, "Force pending I/O requests"),
        (0x4, "Low resources simulation"),
        (0x400, "IRP Logging"),
        (0x800, "Miscellaneous checks"),
    ];
    writeln!(out, "New verifier settings:\n")?;
    for (bit, name) in LINES {
        let state = if level.has(bit) { "Enabled" } else { "Disabled" };
        writeln!(out, "{name}: {state}")?;
    }
    let told = LINES.iter().fold(0, |bits, (bit, _)| bits | bit);
    let rest = Level(level.0 & !told);
    for flag in rest.flags() {
        writeln!(out, "{}: Enabled", flag.name)?;
    }
    let nameless = rest.unknown(u32::MAX);
    if nameless != 0 {
        writeln!(out, "Unused or reserved flags: {nameless:#010x}")?;
    }
    if !drivers.is_empty() {
        writeln!(out, "\nVerified drivers:\n")?;
        for driver in drivers {
            writeln!(out, "{driver}")?;
        }
    }
    Ok(())
}
