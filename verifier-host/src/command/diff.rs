//! `verifier diff OLD NEW`.

use std::io::{self, Write as _};

use verifier_core::Va;
use verifier_core::analysis::{Boot, Diff, Grouping, Side, boot_time};
use verifier_core::render::{
    DiffView, Names, write_diff_csv, write_diff_json, write_diff_markdown, write_diff_text,
};

use super::args::DumpArgs;
use super::leak_args::{BootArg, DiffArgs, DiffFormat};
use super::leaks::top;
use super::output::{complain_kernel_symbols, complain_missing_symbols, complain_problems, stdout};
use super::progress::Stage;
use crate::error::Error;

pub(super) fn run(args: &DiffArgs) -> Result<(), Error> {
    let old = DumpArgs {
        dump: args.old.clone(),
        symbols: args.new.symbols.clone(),
        no_mmap: args.new.no_mmap,
        raw: args.new.raw,
        dtb: args.new.dtb,
    }
    .open()?;
    let new = args.new.open()?;
    complain_kernel_symbols(&old);
    complain_kernel_symbols(&new);
    let (old_kernel, new_kernel) = (old.kernel()?, new.kernel()?);
    let old_leaks = args.filter.read(&old)?;
    let new_leaks = args.filter.read(&new)?;
    let boot = match args.boot {
        BootArg::Same => Boot { is_same: true, why: "--boot same".into() },
        BootArg::Other => Boot { is_same: false, why: "--boot other".into() },
        BootArg::Auto => Boot::compare(
            (old_kernel, old.dump().and_then(|dump| boot_time(dump.header()))),
            (new_kernel, new.dump().and_then(|dump| boot_time(dump.header()))),
        ),
    };
    let (old_names, new_names) = (Names::new(old_kernel), Names::new(new_kernel));
    let old_skip = |va: Va| args.filter.skipped(&old_names, va);
    let new_skip = |va: Va| args.filter.skipped(&new_names, va);
    let skips = args.filter.skips();
    let old_grouping = Grouping::new(old_kernel, &old_leaks, skips.then_some(&old_skip));
    let new_grouping = Grouping::new(new_kernel, &new_leaks, skips.then_some(&new_skip));
    let stage = Stage::begin("comparing");
    let diff = Diff::new(
        boot,
        Side { kernel: old_kernel, leaks: &old_leaks, grouping: &old_grouping },
        Side { kernel: new_kernel, leaks: &new_leaks, grouping: &new_grouping },
        args.by.into(),
    );
    drop(stage);
    let to_people = matches!(args.format, DiffFormat::Text | DiffFormat::Markdown);
    let view =
        DiffView { diff: &diff, old: &old_leaks, new: &new_leaks, top: top(args.top, to_people) };
    let written = write(args, &view);
    if !matches!(args.format, DiffFormat::Json) {
        complain_problems(&old_leaks.problems);
        complain_problems(&new_leaks.problems);
    }
    if matches!(args.format, DiffFormat::Text) {
        complain_missing_symbols(&new);
    }
    match written {
        Err(why) if why.kind() == io::ErrorKind::BrokenPipe && args.fail_on.is_some() => {}
        written => written?,
    }
    let growth = diff.growth();
    match args.fail_on {
        Some(limit) if growth.count >= limit => Err(Error::LimitReached(format!(
            "{} allocations more are outstanding; --fail-on {limit}",
            growth.count
        ))),
        _ => Ok(()),
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
