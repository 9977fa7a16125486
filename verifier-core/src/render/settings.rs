//! Level, statistics and modes, and the flags of a level, as JSON and CSV.

use std::io;

use serde::Serialize;

use super::csv::{Csv, inert};
use super::json::{Verdict, to_snake_case, write_json};
use crate::addr::Va;
use crate::error::Problem;
use crate::verifier::{Counters, Level, Modes, Settings};

#[derive(Serialize)]
struct FlagDoc {
    bit: u32,
    name: &'static str,
}

fn flag_docs(level: Level) -> Vec<FlagDoc> {
    level.flags().map(|flag| FlagDoc { bit: flag.bit, name: flag.name }).collect()
}

/// Writes the `flags` document.
///
/// # Errors
/// Those of the writer.
pub fn write_flags_json(out: &mut dyn io::Write, level: Level) -> io::Result<()> {
    #[derive(Serialize)]
    struct Doc {
        level: u32,
        flags: Vec<FlagDoc>,
        problems: [(); 0],
    }
    write_json(out, &Doc { level: level.0, flags: flag_docs(level), problems: [] })
}

#[derive(Serialize)]
struct ClassDoc {
    class: u32,
    name: Option<&'static str>,
}

#[derive(Serialize)]
struct OptionDoc {
    bit: u32,
    meaning: Option<&'static str>,
}

#[derive(Serialize)]
struct FaultsDoc<'a> {
    probability: Option<u32>,
    max_probability: Option<u32>,
    boot_minutes: Option<u32>,
    pool_tags: Option<&'a str>,
    applications: Option<&'a str>,
}

#[derive(Serialize)]
struct ModesDoc<'a> {
    rule_classes: Option<Vec<ClassDoc>>,
    verify_mode: Option<u32>,
    option_flags: Option<u32>,
    options: Option<Vec<OptionDoc>>,
    verify_all_drivers: Option<u32>,
    excluded_drivers: Option<&'a [String]>,
    xdv_excluded_drivers: Option<&'a [String]>,
    fault_injection: FaultsDoc<'a>,
}

impl<'a> ModesDoc<'a> {
    fn new(modes: &'a Modes) -> Self {
        let classes = modes.rule_classes.map(|classes| {
            classes.classes().map(|(class, name)| ClassDoc { class, name }).collect()
        });
        let options = modes.option_flags.map(|options| {
            options.bits().map(|(bit, meaning)| OptionDoc { bit, meaning }).collect()
        });
        let faults = &modes.faults;
        Self {
            rule_classes: classes,
            verify_mode: modes.verify_mode,
            option_flags: modes.option_flags.map(|options| options.0),
            options,
            verify_all_drivers: modes.verify_all_drivers,
            excluded_drivers: modes.excluded_drivers.as_deref(),
            xdv_excluded_drivers: modes.xdv_excluded_drivers.as_deref(),
            fault_injection: FaultsDoc {
                probability: faults.probability,
                max_probability: faults.max_probability,
                boot_minutes: faults.boot_minutes,
                pool_tags: faults.pool_tags.as_deref(),
                applications: faults.applications.as_deref(),
            },
        }
    }
}

impl Serialize for Modes {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        ModesDoc::new(self).serialize(serializer)
    }
}

/// Writes the `settings` document.
///
/// # Errors
/// Those of the writer.
pub fn write_settings_json(
    out: &mut dyn io::Write,
    settings: &Settings,
    modes: &Modes,
) -> io::Result<()> {
    #[derive(Serialize)]
    struct Doc<'a> {
        level: u32,
        flags: Vec<FlagDoc>,
        statistics: &'a Counters,
        modes: &'a Modes,
        address: Va,
        #[serde(flatten)]
        verdict: Verdict<Vec<&'a Problem>>,
    }
    write_json(
        out,
        &Doc {
            level: settings.level.0,
            flags: flag_docs(settings.level),
            statistics: &settings.statistics,
            modes,
            address: settings.address,
            verdict: Verdict::of(settings.problems.iter().chain(&modes.problems)),
        },
    )
}

/// Writes level, statistics, and the numbers of the modes. A statistic has the name of its field in
/// the symbols, and a symbol file may hold any text.
///
/// # Errors
/// Those of the writer.
pub fn write_settings_csv(
    out: &mut dyn io::Write,
    settings: &Settings,
    modes: &Modes,
) -> io::Result<()> {
    let problems = settings.problems.iter().chain(&modes.problems);
    let mut csv = Csv::new(out, problems, ["name", "value"])?;
    csv.row(["level", &settings.level.0.to_string()])?;
    for counter in &settings.statistics.0 {
        let name = to_snake_case(&counter.name);
        csv.row([&*inert(&name), &counter.value.to_string()])?;
    }
    for (name, value) in [
        ("rule_classes", modes.rule_classes.map(|classes| classes.0)),
        ("verify_mode", modes.verify_mode.map(u64::from)),
        ("option_flags", modes.option_flags.map(|options| options.0.into())),
        ("verify_all_drivers", modes.verify_all_drivers.map(u64::from)),
        ("fault_probability", modes.faults.probability.map(u64::from)),
        ("fault_max_probability", modes.faults.max_probability.map(u64::from)),
        ("fault_boot_minutes", modes.faults.boot_minutes.map(u64::from)),
    ] {
        if let Some(value) = value {
            csv.row([name, &value.to_string()])?;
        }
    }
    csv.end()
}
