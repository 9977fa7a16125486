//! `verifier pool`.

use clap::Args;
use verifier_core::render::{
    write_carved_pool_csv, write_carved_pool_json, write_carved_pool_text, write_pool_csv,
    write_pool_json, write_pool_stacks_csv, write_pool_stacks_json, write_pool_stacks_text,
    write_pool_text,
};
use verifier_host::{Error, Session};

use super::dump_args::{CarveArgs, DumpArgs};
use super::show::{Format, show};

#[derive(Args)]
pub(super) struct PoolArgs {
    #[command(flatten)]
    dump: DumpArgs,
    /// Only this driver, by file name with or without extension
    #[arg(long, value_name = "NAME")]
    driver: Option<String>,
    /// The stacks that the kernel keeps with its blocks, the most bytes first (20348, and 22000 and later)
    #[arg(long)]
    by_stack: bool,
    #[command(flatten)]
    carve: CarveArgs,
    /// How the result is written
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

pub(super) fn run(args: &PoolArgs) -> Result<(), Error> {
    match (args.carve.is_requested(), args.by_stack) {
        (true, _) => carved(args),
        (false, true) => stacks(args),
        (false, false) => blocks(args),
    }
}

fn blocks(args: &PoolArgs) -> Result<(), Error> {
    let read = |session: &Session| session.pool(args.driver.as_deref());
    show(&args.dump, args.format, read, |out, report, names| match args.format {
        Format::Text => write_pool_text(out, report, names),
        Format::Json => write_pool_json(out, report, names),
        Format::Csv => write_pool_csv(out, report, names),
    })
    .map(drop)
}

fn stacks(args: &PoolArgs) -> Result<(), Error> {
    let read = |session: &Session| session.pool_stacks(args.driver.as_deref());
    show(&args.dump, args.format, read, |out, stacks, names| match args.format {
        Format::Text => write_pool_stacks_text(out, stacks, names),
        Format::Json => write_pool_stacks_json(out, stacks, names),
        Format::Csv => write_pool_stacks_csv(out, stacks, names),
    })
    .map(drop)
}

fn carved(args: &PoolArgs) -> Result<(), Error> {
    let read =
        |session: &Session| session.carve_pool(args.carve.range.as_ref(), args.driver.as_deref());
    show(&args.dump, args.format, read, |out, (carved, comparison), names| {
        let comparison = comparison.as_ref().map_err(String::as_str);
        match args.format {
            Format::Text => write_carved_pool_text(out, carved, comparison, names),
            Format::Json => write_carved_pool_json(out, carved, comparison, names),
            Format::Csv => write_carved_pool_csv(out, carved, names),
        }
    })
    .map(drop)
}
