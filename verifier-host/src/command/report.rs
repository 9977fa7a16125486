//! `verifier report`: all of it for a browser.

use verifier_core::Extent;
use verifier_host::report::write_report;
use verifier_host::{Error, OutputKind};

use super::leak_args::ReportArgs;
use super::output::{complain_kernel_symbols, counted, write_result};
use super::progress::Stages;

pub(super) fn run(args: &ReportArgs) -> Result<(), Error> {
    let session = args.dump.open_for(&args.output, OutputKind::Report, args.force)?;
    complain_kernel_symbols(&session);
    let mut page = Vec::new();
    let of = write_report(&mut page, &session, args.filter.filter(), &Stages::default())?;
    let (blocks, groups) = (counted(of.blocks, "block"), counted(of.groups, "group"));
    let blocks = if of.extent == Extent::Complete { blocks } else { format!("at least {blocks}") };
    let about = format!("{blocks} in {groups}, {} bytes", page.len());
    write_result(&args.output, &page, &about)
}
