//! `verifier history`.

use clap::Args;
use verifier_core::Va;
use verifier_core::render::{write_history_csv, write_history_json, write_history_text};
use verifier_host::{Error, Session};

use super::dump_args::{DumpArgs, parse_address};
use super::show::{Format, show};

#[derive(Args)]
pub(super) struct HistoryArgs {
    #[command(flatten)]
    dump: DumpArgs,
    /// The address
    #[arg(long, value_name = "A", value_parser = parse_address)]
    address: Va,
    /// How the result is written
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

pub(super) fn run(args: &HistoryArgs) -> Result<(), Error> {
    let read = |session: &Session| session.history(args.address);
    show(&args.dump, args.format, read, |out, history, names| match args.format {
        Format::Text => write_history_text(out, history, names),
        Format::Json => write_history_json(out, history, names),
        Format::Csv => write_history_csv(out, history, names),
    })
    .map(drop)
}
