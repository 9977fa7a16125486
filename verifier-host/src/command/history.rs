//! `verifier history --address A`.

use std::io::Write as _;

use verifier_core::analysis::History;
use verifier_core::render::text::{sanitize, write_pool_record};
use verifier_core::render::{Names, write_history_csv, write_history_json};

use super::args::{Format, HistoryArgs};
use super::output::{complain_kernel_symbols, complain_missing_symbols, complain_problems, stdout};
use crate::error::Error;

pub(super) fn run(args: &HistoryArgs) -> Result<(), Error> {
    let session = args.dump.open()?;
    complain_kernel_symbols(&session);
    let kernel = session.kernel()?;
    let history = History::read(kernel, args.address)?;
    let frames = history.events.iter().flat_map(|event| event.frames.iter().copied());
    let callers = history.trackers.iter().map(|tracker| tracker.entry.allocation.caller);
    session.load_symbols_at(frames.chain(callers));
    let names = Names::new(kernel);
    let mut out = stdout();
    match args.format {
        Format::Json => write_history_json(&mut out, &history, &names)?,
        Format::Csv => write_history_csv(&mut out, &history, &names)?,
        Format::Text => {
            for tracker in &history.trackers {
                let allocation = &tracker.entry.allocation;
                let caller = names
                    .get(allocation.caller)
                    .map_or_else(|| allocation.caller.to_string(), |name| name.to_string());
                writeln!(
                    out,
                    "{} is in an outstanding allocation of {}: block {}, {:#x} bytes, tag {}, \
                     allocated by {}",
                    history.address,
                    sanitize(&tracker.driver),
                    allocation.address,
                    allocation.size,
                    allocation.tag,
                    sanitize(&caller),
                )?;
            }
            if history.trackers.is_empty() {
                writeln!(out, "{} is in no outstanding allocation.", history.address)?;
            }
            writeln!(
                out,
                "\n{} of the pool log's records are about it, newest first:",
                history.events.len()
            )?;
            for event in &history.events {
                writeln!(
                    out,
                    "\n{} at {} (slot {:#x})",
                    event.record.operation.name(),
                    event.record.address,
                    event.record.slot
                )?;
                write_pool_record(&mut out, &event.record, &event.frames, &names)?;
            }
            complain_problems(&history.problems);
            complain_missing_symbols(&session);
        }
    }
    Ok(out.flush()?)
}
