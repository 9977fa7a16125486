//! `verifier flags`.

use std::io::Write as _;

use clap::Args;
use verifier_core::render::{
    unknown_rule, write_flags_json, write_flags_text, write_rule_json, write_rule_text,
};
use verifier_core::verifier::{FLAGS, Level, Rule};
use verifier_host::Error;

use super::output::stdout;
use super::show::TextOrJson;

#[derive(Args)]
#[command(group(clap::ArgGroup::new("what").required(true).args(["level", "names", "rule"])))]
pub(super) struct FlagsArgs {
    /// A level as `verifier /flags` takes it: 8, 0x9bb
    #[arg(value_parser = parse_level)]
    level: Option<u32>,
    /// Names of flags, separated by commas: 'special pool,pool-tracking'
    #[arg(long, value_name = "NAMES", value_delimiter = ',', num_args = 1..)]
    names: Vec<String>,
    /// A rule, by its number (parameter 1 of bug check 0xC4) or name: 0x20005, IrqlExApcLte1
    #[arg(long, value_name = "RULE", conflicts_with = "driver")]
    rule: Option<String>,
    /// A driver to list below; can be given several times
    #[arg(long, value_name = "NAME")]
    driver: Vec<String>,
    /// How the result is written
    #[arg(long, value_enum, default_value = "text")]
    format: TextOrJson,
}

pub(super) fn run(args: &FlagsArgs) -> Result<(), Error> {
    if let Some(text) = &args.rule {
        return rule(text, args.format);
    }
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

/// Writes the rule of a number or a name.
fn rule(text: &str, format: TextOrJson) -> Result<(), Error> {
    let id = parse_level(text).ok().map(u64::from);
    let found = id.map_or_else(|| Rule::by_name(text), Rule::by_id);
    let rule = found.ok_or_else(|| Error::Usage(unknown_rule(text, id)))?;
    let mut out = stdout();
    match format {
        TextOrJson::Json => write_rule_json(&mut out, rule)?,
        TextOrJson::Text => write_rule_text(&mut out, rule)?,
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
