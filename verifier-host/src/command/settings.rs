//! `verifier settings`.

use std::io::Write as _;

use verifier_core::render::text::sanitize;
use verifier_core::render::{write_settings_csv, write_settings_json};
use verifier_core::verifier::Settings;

use super::args::{Format, ViewArgs};
use super::output::{complain_kernel_symbols, complain_problems, stdout};
use crate::error::Error;

pub(super) fn run(args: &ViewArgs) -> Result<(), Error> {
    let session = args.dump.open()?;
    complain_kernel_symbols(&session);
    let kernel = session.kernel()?;
    let settings = Settings::read(kernel)?;
    let mut out = stdout();
    match args.format {
        Format::Json => write_settings_json(&mut out, &settings)?,
        Format::Csv => write_settings_csv(&mut out, &settings)?,
        Format::Text => {
            writeln!(out, "Level {}", settings.level)?;
            for flag in settings.level.flags() {
                writeln!(out, "  {:#010x}  {}", flag.bit, flag.name)?;
            }
            let unknown = settings.level.unknown(kernel.build());
            if unknown != 0 {
                writeln!(
                    out,
                    "  {unknown:#010x}  not among the flags known of build {}",
                    kernel.build()
                )?;
            }
            writeln!(out, "\nStatistics")?;
            for counter in &settings.statistics.0 {
                writeln!(out, "  {:36}{:>12}", sanitize(&counter.name), counter.value)?;
            }
            complain_problems(&settings.problems);
        }
    }
    Ok(out.flush()?)
}
