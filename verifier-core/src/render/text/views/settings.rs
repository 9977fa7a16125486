//! Level, statistics and modes.

use std::io;

use crate::completeness::Completeness;
use crate::render::text::{sanitize, write_extent};
use crate::verifier::{FaultInjection, Modes, Settings};

/// Writes level, statistics and modes of a kernel of that build.
///
/// # Errors
/// Those of the writer.
pub fn write_settings_text(
    out: &mut dyn io::Write,
    settings: &Settings,
    modes: &Modes,
    build: u32,
) -> io::Result<()> {
    write_extent(out, &Completeness::of(settings.problems.iter().chain(&modes.problems)))?;
    writeln!(out, "Level {}", settings.level)?;
    for flag in settings.level.flags() {
        writeln!(out, "  {:#010x}  {}", flag.bit, flag.name)?;
    }
    let unknown = settings.level.unknown(build);
    if unknown != 0 {
        writeln!(out, "  {unknown:#010x}  not among the flags known of build {build}")?;
    }
    writeln!(out, "\nStatistics")?;
    for counter in &settings.statistics.0 {
        writeln!(out, "  {:36}{:>12}", sanitize(&counter.name), counter.value)?;
    }
    write_modes(out, modes)
}

/// Writes modes. A bit or class without a public meaning is "unknown".
fn write_modes(out: &mut dyn io::Write, modes: &Modes) -> io::Result<()> {
    const UNKNOWN: &str = "unknown";
    writeln!(out, "\nModes")?;
    let mut number = |name: &str, value: Option<u32>, what: &str| match value {
        Some(value) => writeln!(out, "  {name:36}{value:>12}{what}"),
        None => Ok(()),
    };
    number("VfVerifyMode", modes.verify_mode, "  (its values are unknown)")?;
    number("ViVerifyAllDrivers", modes.verify_all_drivers, "")?;
    if let Some(options) = modes.option_flags {
        writeln!(out, "  {:36}{:>12}", "VfOptionFlags", format!("{:#x}", options.0))?;
        for (bit, meaning) in options.bits() {
            writeln!(out, "    {bit:#010x}  {}", meaning.unwrap_or(UNKNOWN))?;
        }
    }
    if let Some(classes) = modes.rule_classes {
        writeln!(out, "  {:36}{:>12}", "VfRuleClasses", format!("{:#x}", classes.0))?;
        for (class, name) in classes.classes() {
            writeln!(out, "    {class:10}  {}", name.unwrap_or(UNKNOWN))?;
        }
    }
    for (what, excluded) in [
        ("Excluded drivers", &modes.excluded_drivers),
        ("Excluded drivers, second list (XDV)", &modes.xdv_excluded_drivers),
    ] {
        let Some(excluded) = excluded else { continue };
        let names: Vec<_> = excluded.iter().map(|name| sanitize(name)).collect();
        let names = if names.is_empty() { "none".into() } else { names.join(", ") };
        writeln!(out, "  {what}: {names}")?;
    }
    write_faults(out, &modes.faults)
}

fn write_faults(out: &mut dyn io::Write, faults: &FaultInjection) -> io::Result<()> {
    if let Some(probability) = faults.probability {
        writeln!(out, "  Random faults, while flag 0x4 is set: {probability} in 10000")?;
    }
    if let Some(most) = faults.max_probability {
        writeln!(out, "    VfFaultInjectionMaxProbability {most}")?;
    }
    if let Some(minutes) = faults.boot_minutes {
        writeln!(out, "    none in the first {minutes} minutes")?;
    }
    for (what, text) in [("pool tags", &faults.pool_tags), ("programs", &faults.applications)] {
        match text.as_deref() {
            Some("") => writeln!(out, "    all {what}")?,
            Some(text) => writeln!(out, "    {what}: {}", sanitize(text))?,
            None => {}
        }
    }
    Ok(())
}
