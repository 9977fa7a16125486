//! `verifier diff OLD NEW`.

use std::io::{self, Write as _};

use verifier_core::analysis::Boot;
use verifier_core::render::{
    DiffView, write_diff_csv, write_diff_json, write_diff_markdown, write_diff_text,
};
use verifier_host::{Error, Progress as _, compare_boots};

use super::args::DumpArgs;
use super::leak_args::{BootArg, DiffArgs, DiffFormat};
use super::leaks::{may_be_more, top};
use super::output::{complain, complain_kernel_symbols, complain_problems, stdout};
use super::progress::Stages;

pub(super) fn run(args: &DiffArgs) -> Result<(), Error> {
    let old = DumpArgs {
        dump: args.old.clone(),
        symbols: args.new.symbols.clone(),
        no_mmap: args.new.no_mmap,
        raw: args.new.raw,
        dtb: args.new.dtb,
        is_text: args.new.is_text,
    }
    .open()?;
    let new = args.new.open()?;
    complain_kernel_symbols(&old);
    complain_kernel_symbols(&new);
    let progress = Stages::default();
    let old_found = old.leaks(args.filter.filter(), &progress)?;
    let new_found = new.leaks(args.filter.filter(), &progress)?;
    let boot = match args.boot {
        BootArg::Same => Boot { is_same: true, why: "--boot same".into() },
        BootArg::Other => Boot { is_same: false, why: "--boot other".into() },
        BootArg::Auto => compare_boots(&old, &new)?,
    };
    progress.begin("comparing", None);
    let diff = new_found.since(&old_found, args.by.into(), boot);
    progress.end();
    let to_people = matches!(args.format, DiffFormat::Text | DiffFormat::Markdown);
    let (old_leaks, new_leaks) = (&old_found.leaks, &new_found.leaks);
    let view =
        DiffView { diff: &diff, old: old_leaks, new: new_leaks, top: top(args.top, to_people) };
    let written = write(args, &view);
    if !matches!(args.format, DiffFormat::Json) {
        complain_problems(&old_leaks.problems);
        complain_problems(&new_leaks.problems);
    }
    if matches!(args.format, DiffFormat::Csv) {
        for line in view.remarks() {
            complain(&line);
        }
    }
    match written {
        Err(why) if why.kind() == io::ErrorKind::BrokenPipe && args.limit.fail_on.is_some() => {}
        written => written?,
    }
    let growth = diff.growth();
    match args.limit.fail_on {
        Some(limit) if growth.count >= limit => Err(Error::LimitReached(format!(
            "{} allocations more are outstanding; --fail-on {limit}",
            growth.count
        ))),
        _ => may_be_more(&args.limit, || view.completeness()),
    }
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
