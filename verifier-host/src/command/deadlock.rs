//! `verifier deadlock`.

use std::io::Write as _;

use verifier_core::Completeness;
use verifier_core::analysis::LockGraph;
use verifier_core::render::text::write_extent;
use verifier_core::render::{Names, write_deadlock_dot, write_deadlock_json, write_deadlock_text};
use verifier_host::Error;

use super::args::{DeadlockArgs, DeadlockFormat};
use super::output::{complain_kernel_symbols, complain_problems, stdout};

pub(super) fn run(args: &DeadlockArgs) -> Result<(), Error> {
    let session = args.dump.open()?;
    complain_kernel_symbols(&session);
    let deadlock = session.deadlock()?;
    let graph = LockGraph::of(&deadlock);
    let names = Names::new(session.kernel()?);
    let mut out = stdout();
    match args.format {
        DeadlockFormat::Json => write_deadlock_json(&mut out, &deadlock, &graph, &names)?,
        DeadlockFormat::Dot => write_deadlock_dot(&mut out, &deadlock, &graph, &names)?,
        DeadlockFormat::Text => {
            write_extent(&mut out, &Completeness::of(&deadlock.problems))?;
            write_deadlock_text(&mut out, &deadlock, &graph, &names)?;
        }
    }
    out.flush()?;
    if args.format != DeadlockFormat::Json {
        complain_problems(&deadlock.problems);
    }
    Ok(())
}
