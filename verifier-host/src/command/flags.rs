//! `verifier flags`.

use std::io::Write as _;

use clap::Args;
use verifier_core::render::{write_flags_json, write_flags_text};
use verifier_core::verifier::{FLAGS, Level};
use verifier_host::Error;

use super::output::stdout;
use super::show::TextOrJson;

#[derive(Args)]
#[command(group(clap::ArgGroup::new("what").required(true).args(["level", "names"])))]
pub(super) struct FlagsArgs {
    /// A level as `verifier /flags` takes it: 8, 0x9bb
    #[arg(value_parser = parse_level)]
    level: Option<u32>,
    /// Names of flags, separated by commas: 'special pool,pool-tracking'
    #[arg(long, value_name = "NAMES", value_delimiter = ',', num_args = 1..)]
    names: Vec<String>,
    /// A driver to list below; can be given several times
    #[arg(long, value_name = "NAME")]
    driver: Vec<String>,
    /// How the result is written
    #[arg(long, value_enum, default_value = "text")]
    format: TextOrJson,
}

pub(super) fn run(args: &FlagsArgs) -> Result<(), Error> {
    let level = match args.level {
        Some(level) => Level(level),
        None => Level::from_names(args.names.iter().map(String::as_str)).map_err(|name| {
            let known: Vec<&str> = FLAGS.iter().map(|flag| flag.name).collect();
            let known = known.join(", ");
            Error::Usage(format!("no flag is called {name:?}; known are: {known}"))
        })?,
    };
    let mut out = stdout();
    match args.format {
        TextOrJson::Json => write_flags_json(&mut out, level)?,
        TextOrJson::Text => {
            write_flags_text(&mut out, level, &args.driver, args.level.is_none())?;
        }
    }
    Ok(out.flush()?)
}

/// Reads a level as `verifier.exe` takes it: decimal, or hexadecimal after 0x.
fn parse_level(text: &str) -> Result<u32, String> {
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(hex) => u32::from_str_radix(hex, 16),
        None => text.parse(),
    }
    .map_err(|_| format!("{text:?} is not a level: decimal, or hexadecimal after 0x"))
}
