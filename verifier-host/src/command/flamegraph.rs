//! `verifier flamegraph`: a picture of the stacks that hold pool.

use std::path::PathBuf;

use clap::Args;
use verifier_core::analysis::GroupBy;
use verifier_host::{Error, OutputKind, Progress as _, flame_graph};

use super::dump_args::DumpArgs;
use super::leak_filter::{FilterArgs, WeightArg};
use super::output::{counted, warn_of_kernel_symbols, warn_of_problems, write_result};
use super::progress::Stages;
use super::show::warn_of_truncation;

#[derive(Args)]
pub(super) struct FlamegraphArgs {
    #[command(flatten)]
    dump: DumpArgs,
    #[command(flatten)]
    filter: FilterArgs,
    /// What the widths are
    #[arg(long, value_enum, default_value = "bytes")]
    by: WeightArg,
    /// Merge the stacks from the frames that allocated, not from the outermost ones
    #[arg(long)]
    inverted: bool,
    /// The picture's file; - for standard output
    #[arg(short, long, value_name = "FILE.svg")]
    output: PathBuf,
    /// Replace the file even if it is not a flame graph that verifier wrote
    #[arg(long)]
    force: bool,
}

pub(super) fn run(args: &FlamegraphArgs) -> Result<(), Error> {
    let session = args.dump.open_for(&args.output, OutputKind::FlameGraph, args.force)?;
    warn_of_truncation(&session);
    warn_of_kernel_symbols(&session);
    let progress = Stages::default();
    let found = session.leaks_with(args.filter.filter(), &progress)?;
    warn_of_problems(&found.leaks.problems);
    let view = found.by(GroupBy::StackAndTag);
    progress.begin("drawing", None);
    let picture = flame_graph(&view, args.by.into(), args.inverted);
    progress.end();
    let blocks = counted(found.leaks.blocks.len(), "block");
    let is_complete = found.leaks.completeness().is_complete();
    let blocks = if is_complete { blocks } else { format!("at least {blocks}") };
    write_result(
        &args.output,
        &picture?,
        &format!("{blocks} in {}", counted(view.groups.len(), "stack")),
    )
}
