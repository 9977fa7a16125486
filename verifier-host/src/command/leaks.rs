//! `verifier leaks`: every outstanding allocation with the stack that made it.
//!
//! `--fail-on N` counts allocations after the filters. Where the drivers' own counters, or the pool info
//! tree's, say that there are more than could be read, and no filter but `--driver` is set, the counters
//! decide: a damaged dump must not pass for a clean run. Nor may one whose blocks cannot be told apart: a
//! block of which nothing tells the pool counts with those of the pool that is asked for. If the limit is
//! not reached and the answer is not complete, the command cannot tell, and says so by exit code 4.

use std::io::{self, Write as _};

use verifier_core::Completeness;
use verifier_core::render::text::extent_line;
use verifier_core::render::{
    LeaksView, filter_line, unload_line, write_leaks_csv, write_leaks_folded, write_leaks_json,
    write_leaks_markdown, write_leaks_text,
};
use verifier_host::{Error, FilteredLeaks, Progress as _};

use super::leak_args::{ByArg, LeaksArgs, LeaksFormat, LimitArgs, WeightArg};
use super::output::{complain, complain_kernel_symbols, complain_problems, stdout};
use super::progress::Stages;

/// Groups that are shown to people where they do not say how many.
pub(super) const SHOWN: usize = 20;

pub(super) fn run(args: &LeaksArgs) -> Result<(), Error> {
    check_arguments(args)?;
    let session = args.dump.open()?;
    complain_kernel_symbols(&session);
    let progress = Stages::default();
    let found = session.leaks(args.filter.filter(), &progress)?;
    let top = top(args.top, matches!(args.format, LeaksFormat::Text | LeaksFormat::Markdown));
    let written = found.view(args.by.into(), top, |view| {
        progress.begin("writing", None);
        let written = write(args, view);
        progress.end();
        written
    });
    if !matches!(args.format, LeaksFormat::Json) {
        complain_problems(&found.leaks.problems);
    }
    // Rows of a table have no room for these.
    if matches!(args.format, LeaksFormat::Csv | LeaksFormat::Folded) {
        let lines = [unload_line(&found.leaks), filter_line(&found.leaks)];
        lines.iter().flatten().for_each(|line| complain(line));
    }
    match written {
        // Whoever reads the table may stop reading; the exit code counts all the same.
        Err(why) if why.kind() == io::ErrorKind::BrokenPipe && args.limit.fail_on.is_some() => {}
        written => written?,
    }
    reached(args, &found)?;
    // Blocks of unknown pool type are counted above.
    may_be_more(&args.limit, || Completeness::of(&found.leaks.problems))
}

/// Folded stacks are stacks, and nothing else has a weight.
fn check_arguments(args: &LeaksArgs) -> Result<(), Error> {
    let is_folded = matches!(args.format, LeaksFormat::Folded);
    if is_folded && args.by != ByArg::Stack {
        return Err(Error::Usage("--format folded is by stack".into()));
    }
    if !is_folded && args.weight.is_some() {
        return Err(Error::Usage("--weight is for --format folded".into()));
    }
    Ok(())
}

fn write(args: &LeaksArgs, view: &LeaksView<'_>) -> io::Result<()> {
    let mut out = stdout();
    match args.format {
        LeaksFormat::Text => write_leaks_text(&mut out, view)?,
        LeaksFormat::Json => write_leaks_json(&mut out, view)?,
        LeaksFormat::Csv => write_leaks_csv(&mut out, view)?,
        LeaksFormat::Markdown => write_leaks_markdown(&mut out, view)?,
        LeaksFormat::Folded => {
            write_leaks_folded(&mut out, view, args.weight.unwrap_or(WeightArg::Bytes).into())?
        }
    }
    out.flush()
}

/// How many groups are shown: what was asked for, 0 being all; else 20 to people, all to programs.
pub(super) fn top(asked: Option<usize>, to_people: bool) -> Option<usize> {
    match asked {
        Some(0) => None,
        Some(top) => Some(top),
        None => to_people.then_some(SHOWN),
    }
}

/// Ends with "cannot tell" if a limit was set and was not reached, but the answer is not complete.
pub(super) fn may_be_more(
    args: &LimitArgs,
    answer: impl FnOnce() -> Completeness,
) -> Result<(), Error> {
    let Some(limit) = args.fail_on.filter(|_| !args.allow_incomplete) else { return Ok(()) };
    match extent_line(&answer()) {
        None => Ok(()),
        Some(line) => Err(Error::CannotTell(format!(
            "cannot tell whether {limit} allocations are outstanding. {line}. Take a complete dump, or \
             give --allow-incomplete to accept this answer"
        ))),
    }
}

fn reached(args: &LeaksArgs, found: &FilteredLeaks) -> Result<(), Error> {
    let Some(limit) = args.limit.fail_on else { return Ok(()) };
    let read = found.leaks.blocks.len() as u64;
    if read >= limit {
        return Err(Error::LimitReached(format!(
            "{read} allocations are outstanding; --fail-on {limit}"
        )));
    }
    if let Some(counted) = found.counted()
        && counted >= limit
    {
        return Err(Error::LimitReached(format!(
            "{read} outstanding allocations could be read, but the counters say \
             {counted}; --fail-on {limit}"
        )));
    }
    let undetermined = found.leaks.filter.as_ref().map_or(0, |filter| filter.undetermined);
    if read + undetermined >= limit {
        return Err(Error::LimitReached(format!(
            "{read} allocations are outstanding, and of {undetermined} more nothing tells whether they are \
             from that pool; --fail-on {limit}"
        )));
    }
    Ok(())
}
