//! `verifier flags`.

use std::io::Write as _;

use serde::Serialize;
use verifier_core::render::text::write_new_settings;
use verifier_core::render::write_json;
use verifier_core::verifier::Level;
use verifier_host::Error;

use super::args::{FlagsArgs, TextOrJson};
use super::output::stdout;

#[derive(Serialize)]
struct Doc {
    level: u32,
    flags: Vec<FlagDoc>,
    problems: [(); 0],
}

#[derive(Serialize)]
struct FlagDoc {
    bit: u32,
    name: &'static str,
}

pub(super) fn run(args: &FlagsArgs) -> Result<(), Error> {
    let by_name = args.level.is_none();
    let level = match args.level {
        Some(level) => Level(level),
        None => Level::from_names(args.names.iter().map(String::as_str)).map_err(|name| {
            let known: Vec<&str> =
                verifier_core::verifier::FLAGS.iter().map(|flag| flag.name).collect();
            Error::Usage(format!("no flag is called {name:?}; known are: {}", known.join(", ")))
        })?,
    };
    let mut out = stdout();
    match args.format {
        TextOrJson::Json => {
            let flags = level.flags().map(|flag| FlagDoc { bit: flag.bit, name: flag.name });
            write_json(&mut out, &Doc { level: level.0, flags: flags.collect(), problems: [] })?;
        }
        TextOrJson::Text => {
            if by_name {
                let mut command = format!("verifier /flags {:#x}", level.0);
                for driver in &args.driver {
                    command.push_str(if driver == &args.driver[0] { " /driver " } else { " " });
                    command.push_str(driver);
                }
                writeln!(out, "{command}\n")?;
            }
            write_new_settings(&mut out, level, &args.driver)?;
        }
    }
    Ok(out.flush()?)
}
