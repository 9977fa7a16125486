//! `verifier leaks`: every outstanding allocation with the stack that allocated it.
//!
//! `--fail-on N` counts allocations after the filters. A damaged dump must not pass for a clean run. So the
//! counters of the drivers and of the pool info tree decide if they count more blocks than could be read, and
//! no filter except `--driver` is set. A block of an unknown pool counts with those of the pool that is asked
//! for. If the limit is not reached and the answer is not complete, the exit code is 4: cannot tell.

use std::io::{self, Write as _};

use clap::{Args, ValueEnum};
use verifier_core::Completeness;
use verifier_core::analysis::GroupBy;
use verifier_core::render::{
    LeaksView, filter_line, unload_line, write_leaks_csv, write_leaks_folded, write_leaks_json,
    write_leaks_markdown, write_leaks_text,
};
use verifier_host::{Error, FilteredLeaks, Progress as _, SourceFiles};

use super::dump_args::DumpArgs;
use super::leak_filter::{ByArg, FilterArgs, WeightArg};
use super::leak_limit::LimitArgs;
use super::output::{stdout, warn};
use super::progress::Stages;
use super::show::{OutputFormat, open, warn_of_view};

/// Groups that text shows by default.
const SHOWN: usize = 20;

#[derive(Args)]
pub(super) struct LeaksArgs {
    #[command(flatten)]
    dump: DumpArgs,
    #[command(flatten)]
    filter: FilterArgs,
    /// What allocations are grouped by [default: path in text and Markdown, else stack]
    #[arg(long, value_enum)]
    by: Option<ByArg>,
    /// Only the N groups with the most bytes; 0 for all. Text and Markdown show 20 by default
    #[arg(long, value_name = "N")]
    top: Option<usize>,
    /// Show the source code around the line of each group, if the file is on this machine
    #[arg(short, long)]
    verbose: bool,
    #[command(flatten)]
    limit: LimitArgs,
    /// What folded stacks weigh [default: bytes]
    #[arg(long, value_enum)]
    weight: Option<WeightArg>,
    /// How the result is written
    #[arg(long, value_enum, default_value = "text")]
    format: LeaksFormat,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LeaksFormat {
    Text,
    Json,
    Csv,
    Markdown,
    /// Lines for flame graph viewers
    Folded,
}

impl OutputFormat for LeaksFormat {
    fn is_text(self) -> bool {
        self == Self::Text
    }

    fn says_problems(self) -> bool {
        self != Self::Json
    }
}

pub(super) fn run(args: &LeaksArgs) -> Result<(), Error> {
    check_arguments(args)?;
    let session = open(&args.dump, args.format)?;
    let progress = Stages::default();
    let found = session.leaks_with(args.filter.filter(), &progress)?;
    let to_people = matches!(args.format, LeaksFormat::Text | LeaksFormat::Markdown);
    let by = match (args.by, args.format) {
        // Each tag is a frame of its own.
        (_, LeaksFormat::Folded) => GroupBy::StackAndTag,
        (Some(by), _) => by.into(),
        (None, _) if to_people => GroupBy::Path,
        (None, _) => GroupBy::Stack,
    };
    let files = SourceFiles::new();
    let mut view = found.by(by).with_top(top(args.top, to_people));
    if args.verbose {
        view = view.with_snippets(&files);
    }
    progress.begin("writing", None);
    let written = write(args, &view);
    progress.end();
    warn_of_view(args.format, &found.leaks.problems);
    // A table has no place for these lines.
    if matches!(args.format, LeaksFormat::Csv | LeaksFormat::Folded) {
        let lines = [unload_line(&found.leaks), filter_line(&found.leaks)];
        lines.iter().flatten().for_each(|line| warn(line));
    }
    unless_reader_gone(written, &args.limit)?;
    check_limit(args, &found)?;
    // `check_limit` has counted the blocks of unknown pool type.
    args.limit.check_complete(|| Completeness::of(&found.leaks.problems))
}

/// Refuses a weight or groups that the format cannot have: folded lines are stacks, and only they have a
/// weight.
fn check_arguments(args: &LeaksArgs) -> Result<(), Error> {
    let is_folded = args.format == LeaksFormat::Folded;
    if is_folded && args.by.is_some_and(|by| by != ByArg::Stack) {
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

/// How many groups are shown: the number that was asked for, 0 meaning all; by default 20 to people and all
/// to programs.
pub(super) fn top(asked: Option<usize>, to_people: bool) -> Option<usize> {
    match asked {
        Some(0) => None,
        Some(top) => Some(top),
        None => to_people.then_some(SHOWN),
    }
}

/// The result of writing. The reader of the output may stop reading: if a limit is set, its exit code counts
/// all the same.
pub(super) fn unless_reader_gone(written: io::Result<()>, limit: &LimitArgs) -> io::Result<()> {
    match written {
        Err(why) if why.kind() == io::ErrorKind::BrokenPipe && limit.is_set() => Ok(()),
        written => written,
    }
}

fn check_limit(args: &LeaksArgs, found: &FilteredLeaks) -> Result<(), Error> {
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
            "{read} allocations are outstanding, and {undetermined} more may be: their pool is unknown; \
             --fail-on {limit}"
        )));
    }
    Ok(())
}
