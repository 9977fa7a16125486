//! `verifier report`: the outstanding allocations and the settings for a browser.

use std::path::PathBuf;

use clap::Args;
use verifier_core::Extent;
use verifier_host::report::write_report;
use verifier_host::{Error, OutputKind};

use super::dump_args::DumpArgs;
use super::leak_filter::FilterArgs;
use super::output::{counted, warn_of_kernel_symbols, write_result};
use super::progress::Stages;
use super::show::warn_of_truncation;

#[derive(Args)]
pub(super) struct ReportArgs {
    #[command(flatten)]
    dump: DumpArgs,
    #[command(flatten)]
    filter: FilterArgs,
    /// The report's file; - for standard output
    #[arg(short, long, value_name = "FILE.html")]
    output: PathBuf,
    /// Replace the file even if it is not a report that verifier wrote
    #[arg(long)]
    force: bool,
}

pub(super) fn run(args: &ReportArgs) -> Result<(), Error> {
    let session = args.dump.open_for(&args.output, OutputKind::Report, args.force)?;
    warn_of_truncation(&session);
    warn_of_kernel_symbols(&session);
    let mut page = Vec::new();
    let of = write_report(&mut page, &session, args.filter.filter(), &Stages::default())?;
    let (blocks, groups) = (counted(of.blocks, "block"), counted(of.groups, "group"));
    let blocks = if of.extent == Extent::Complete { blocks } else { format!("at least {blocks}") };
    let about = format!("{blocks} in {groups}, {} bytes", page.len());
    write_result(&args.output, &page, &about)
}
