//! `verifier diff OLD NEW`.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use verifier_core::analysis::Boot;
use verifier_core::render::{
    DiffView, write_diff_csv, write_diff_json, write_diff_markdown, write_diff_text,
};
use verifier_host::report::write_diff_report;
use verifier_host::{Error, OutputKind, Progress as _, compare_boots, write_file};

use super::dump_args::DumpArgs;
use super::leak_filter::{ByArg, FilterArgs};
use super::leak_limit::LimitArgs;
use super::leak_outputs::{SHOWN, top};
use super::leaks::unless_reader_gone;
use super::output::{is_stdout, stdout, warn};
use super::progress::Stages;
use super::show::{OutputFormat, open, warn_of_view};

#[derive(Args)]
#[command(mut_arg("dump", |dump| dump.value_name("NEW").help("The later crash dump")))]
pub(super) struct DiffArgs {
    /// The earlier crash dump
    old: PathBuf,
    #[command(flatten)]
    new: DumpArgs,
    #[command(flatten)]
    filter: FilterArgs,
    /// What allocations are grouped by
    #[arg(long, value_enum, default_value = "stack-and-tag")]
    by: ByArg,
    /// Whether both dumps are of one boot, if their headers do not show it
    #[arg(long, value_enum, default_value = "auto")]
    boot: BootArg,
    /// Only the N groups that grew most; 0 for all. Text and Markdown show 20 by default
    #[arg(long, value_name = "N")]
    top: Option<usize>,
    #[command(flatten)]
    limit: LimitArgs,
    /// How the result is written
    #[arg(long, value_enum, default_value = "text")]
    format: DiffFormat,
    /// Also write a page for a browser, with a flame graph of what changed; with - only the page, to standard
    /// output
    #[arg(short, long, value_name = "FILE.html")]
    output: Option<PathBuf>,
    /// Replace the file of -o even if it is not a report that verifier wrote
    #[arg(long, requires = "output")]
    force: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum DiffFormat {
    Text,
    Json,
    Csv,
    Markdown,
}

impl OutputFormat for DiffFormat {
    fn is_text(self) -> bool {
        self == Self::Text
    }

    fn says_problems(self) -> bool {
        self != Self::Json
    }
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum BootArg {
    /// By boot time and module bases
    Auto,
    /// Of one boot: blocks are matched by address
    Same,
    /// Of different boots: groups are matched by names
    Other,
}

pub(super) fn run(args: &DiffArgs) -> Result<(), Error> {
    args.limit.check()?;
    let old = DumpArgs { dump: args.old.clone(), how: args.new.how.clone() };
    for dump in [&old, &args.new] {
        if let Some(output) = &args.output {
            dump.check_output(output, OutputKind::Report, args.force)?;
        }
    }
    let (old, new) = (open(&old, args.format)?, open(&args.new, args.format)?);
    let progress = Stages::default();
    let old_found = old.leaks_with(args.filter.filter(), &progress)?;
    let new_found = new.leaks_with(args.filter.filter(), &progress)?;
    let boot = match args.boot {
        BootArg::Same => Boot { is_same: true, why: "--boot same".into() },
        BootArg::Other => Boot { is_same: false, why: "--boot other".into() },
        BootArg::Auto => compare_boots(&old, &new)?,
    };
    progress.begin("comparing", None);
    let diff = new_found.since(&old_found, args.by.into(), boot.clone());
    progress.end();
    let to_people = matches!(args.format, DiffFormat::Text | DiffFormat::Markdown);
    let top = top(args.top, to_people.then_some(SHOWN));
    let (old_leaks, new_leaks) = (&old_found.leaks, &new_found.leaks);
    let view = DiffView { diff: &diff, old: old_leaks, new: new_leaks, top };
    let written = match args.output.as_deref().is_some_and(is_stdout) {
        true => Ok(()),
        false => write(args, &view),
    };
    warn_of_view(args.format, &old_leaks.problems);
    warn_of_view(args.format, &new_leaks.problems);
    if args.format == DiffFormat::Csv {
        view.remarks().iter().for_each(|line| warn(line));
    }
    unless_reader_gone(written, &args.limit)?;
    if let Some(output) = &args.output {
        let mut page = Vec::new();
        write_diff_report(&mut page, &old_found, &new_found, &boot)?;
        write_page(output, &page)?;
    }
    args.limit.check_total(diff.growth(), "more are outstanding")?;
    args.limit.check_complete(|| view.completeness())
}

/// Writes the page. The line about it is on standard error, because the difference itself is on standard output.
fn write_page(output: &Path, page: &[u8]) -> Result<(), Error> {
    if is_stdout(output) {
        let mut out = stdout();
        out.write_all(page)?;
        return Ok(out.flush()?);
    }
    write_file(output, page)?;
    warn(&format!("{}: {} bytes", output.display(), page.len()));
    Ok(())
}

fn write(args: &DiffArgs, view: &DiffView<'_>) -> io::Result<()> {
    let mut out = stdout();
    match args.format {
        DiffFormat::Text => write_diff_text(&mut out, view)?,
        DiffFormat::Json => write_diff_json(&mut out, view)?,
        DiffFormat::Csv => write_diff_csv(&mut out, view)?,
        DiffFormat::Markdown => write_diff_markdown(&mut out, view)?,
    }
    out.flush()
}
