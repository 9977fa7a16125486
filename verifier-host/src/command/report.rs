//! `verifier report`: all of it for a browser.

use std::io::Write as _;

use verifier_host::report::write_report;
use verifier_host::{Error, write_file};

use super::leak_args::ReportArgs;
use super::output::{complain_kernel_symbols, stdout};
use super::progress::Stages;

pub(super) fn run(args: &ReportArgs) -> Result<(), Error> {
    let session = args.dump.open()?;
    complain_kernel_symbols(&session);
    let mut page = Vec::new();
    let of = write_report(&mut page, &session, args.filter.filter(), &Stages::default())?;
    write_file(&args.output, &page)?;
    let mut out = stdout();
    writeln!(
        out,
        "{}: {} blocks in {} groups, {} bytes",
        args.output.display(),
        of.blocks,
        of.groups,
        page.len()
    )?;
    Ok(out.flush()?)
}
