//! `verifier flamegraph`: a picture of the stacks that hold pool.

use verifier_core::analysis::GroupBy;
use verifier_host::{Error, OutputKind, Progress as _, flame_graph};

use super::leak_args::FlamegraphArgs;
use super::output::{complain_kernel_symbols, complain_problems, counted, write_result};
use super::progress::Stages;

pub(super) fn run(args: &FlamegraphArgs) -> Result<(), Error> {
    let session = args.dump.open_for(&args.output, OutputKind::FlameGraph, args.force)?;
    complain_kernel_symbols(&session);
    let progress = Stages::default();
    let found = session.leaks(args.filter.filter(), &progress)?;
    complain_problems(&found.leaks.problems);
    let (picture, stacks) = found.view(GroupBy::Stack, None, |view| {
        progress.begin("drawing", None);
        let picture = flame_graph(view, args.by.into());
        progress.end();
        (picture, view.groups.len())
    });
    let blocks = counted(found.leaks.blocks.len(), "block");
    let is_complete = found.leaks.completeness().is_complete();
    let blocks = if is_complete { blocks } else { format!("at least {blocks}") };
    write_result(&args.output, &picture?, &format!("{blocks} in {}", counted(stacks, "stack")))
}
