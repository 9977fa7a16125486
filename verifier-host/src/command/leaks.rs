//! `verifier leaks`: every outstanding allocation with the stack that allocated it.
//!
//! `--fail-on N` counts allocations after the filters. A damaged dump must not pass for a clean run. So the
//! counters of the drivers and of the pool info tree decide if they count more blocks than could be read, and
//! no filter except `--driver` is set. A block of an unknown pool counts with those of the pool that is asked
//! for. If the limit is not reached and the answer is not complete, the exit code is 4: cannot tell.

use std::io;

use clap::Args;
use verifier_core::Completeness;
use verifier_core::render::{Severity, baseline_lines, filter_line, unload_line};
use verifier_host::{Error, FilteredLeaks, Progress as _, SourceFiles};

use super::dump_args::DumpArgs;
use super::leak_baseline::BaselineArgs;
use super::leak_filter::{ByArg, FilterArgs};
use super::leak_limit::LimitArgs;
use super::leak_outputs::{LeaksFormat, OutputArgs, Shown};
use super::output::warn;
use super::progress::Stages;
use super::show::{open, warn_of_view};

#[derive(Args)]
pub(super) struct LeaksArgs {
    #[command(flatten)]
    dump: DumpArgs,
    #[command(flatten)]
    filter: FilterArgs,
    /// What allocations are grouped by [default: path in text and Markdown, line in SARIF and annotations,
    /// function in JUnit, else stack]
    #[arg(long, value_enum)]
    by: Option<ByArg>,
    /// Only the N groups with the most bytes; 0 for all. By default text and Markdown show 20,
    /// annotations 10
    #[arg(long, value_name = "N")]
    top: Option<usize>,
    /// Show the source code around the line of each group, if the file is on this machine
    #[arg(short, long)]
    verbose: bool,
    #[command(flatten)]
    limit: LimitArgs,
    #[command(flatten)]
    baseline: BaselineArgs,
    #[command(flatten)]
    outputs: OutputArgs,
}

pub(super) fn run(args: &LeaksArgs) -> Result<(), Error> {
    let format = args.outputs.stdout();
    let is_other = args.by.is_some_and(|by| !matches!(by, ByArg::Stack | ByArg::StackAndTag));
    if format == LeaksFormat::Folded && is_other {
        return Err(Error::Usage("--format folded is by stack".into()));
    }
    args.limit.check()?;
    args.outputs.check()?;
    check_files(args)?;
    let known = args.baseline.read()?;
    let session = open(&args.dump, format)?;
    let progress = Stages::default();
    let mut found = session.leaks_with(args.filter.filter(), &progress)?;
    args.baseline.apply(known, &mut found);
    let limit = check_limit(&args.limit, &found);
    let is_failure = limit.is_err() || !args.limit.is_set();
    let severity = if is_failure { Severity::Error } else { Severity::Warning };
    progress.begin("writing", None);
    let (by, files) = (args.by.map(Into::into), SourceFiles::new());
    let snippets = args.verbose.then_some(&files as _);
    let written = args.outputs.write(&found, Shown { by, top: args.top, severity, snippets });
    progress.end();
    args.baseline.write(&found)?;
    warn_of_view(format, &found.leaks.problems);
    // A table has no place for these lines.
    if format.is_table() {
        let lines = [unload_line(&found.leaks), filter_line(&found.leaks)];
        let lines = lines.into_iter().flatten().chain(baseline_lines(&found.leaks));
        lines.for_each(|line| warn(&line));
    }
    unless_reader_gone(written?, &args.limit)?;
    limit?;
    args.limit.check_complete(|| match args.limit.fail_on_bytes {
        // The sizes of blocks of unknown pool are not counted.
        Some(_) => found.leaks.completeness(),
        // `check_limit` has counted these blocks.
        None => Completeness::of(&found.leaks.problems),
    })
}

/// Refuses outputs that would replace a file that is read, or each other.
fn check_files(args: &LeaksArgs) -> Result<(), Error> {
    let mut inputs = args.dump.inputs()?;
    if let Some(new) = &args.baseline.write_baseline {
        if args.outputs.files().any(|file| file == new) {
            let text = format!("{}: --output names the file of --write-baseline", new.display());
            return Err(Error::Usage(text));
        }
        inputs.refuse_overwrite(new)?;
    }
    if let Some(known) = &args.baseline.baseline {
        inputs = inputs.and(known, "the baseline");
    }
    args.outputs.files().try_for_each(|file| inputs.refuse_overwrite(file))
}

/// The result of writing. The reader of the output may stop reading: if a limit is set, its exit code counts
/// all the same.
pub(super) fn unless_reader_gone(written: io::Result<()>, limit: &LimitArgs) -> io::Result<()> {
    match written {
        Err(why) if why.kind() == io::ErrorKind::BrokenPipe && limit.is_set() => Ok(()),
        written => written,
    }
}

/// Fails if a limit is reached, or may be, by what is not in the baseline.
fn check_limit(limit: &LimitArgs, found: &FilteredLeaks) -> Result<(), Error> {
    let leaks = &found.leaks;
    let new = leaks.new_blocks();
    let baseline = leaks.baseline.as_deref();
    let are = match baseline {
        None => "are outstanding".to_owned(),
        Some(found) => format!("are new, and {} allocations are known", found.known.count),
    };
    limit.check_total(new, &are)?;
    let Some(at) = limit.fail_on else { return Ok(()) };
    let read = leaks.blocks.len() as u64;
    // Blocks that were not read may be known ones.
    let may_be_known = baseline.map_or(0, |found| found.known.count.saturating_add(found.unused));
    if let Some(counted) = found.counted()
        && counted.saturating_sub(may_be_known) >= at
    {
        return Err(Error::LimitReached(format!(
            "{read} outstanding allocations could be read, but the counters say \
             {counted}; --fail-on {at}"
        )));
    }
    let undetermined = leaks.filter.as_ref().map_or(0, |filter| filter.undetermined);
    if new.count + undetermined >= at {
        return Err(Error::LimitReached(format!(
            "{} allocations {are}, and {undetermined} more may be: their pool is unknown; --fail-on {at}",
            new.count
        )));
    }
    Ok(())
}
