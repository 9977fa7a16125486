//! `verifier drivers`.

use clap::Args;
use verifier_core::render::{write_drivers_csv, write_drivers_json, write_drivers_text};
use verifier_host::{Error, Session};

use super::dump_args::DumpArgs;
use super::show::{Format, show};

#[derive(Args)]
pub(super) struct DriversArgs {
    #[command(flatten)]
    dump: DumpArgs,
    /// How the result is written
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

pub(super) fn run(args: &DriversArgs) -> Result<(), Error> {
    show(&args.dump, args.format, Session::drivers, |out, drivers, _| match args.format {
        Format::Text => write_drivers_text(out, drivers),
        Format::Json => write_drivers_json(out, drivers),
        Format::Csv => write_drivers_csv(out, drivers),
    })
    .map(drop)
}
