//! `verifier log KIND`.

use std::io::Write as _;

use verifier_core::render::text::{write_event_log, write_pool_log};
use verifier_core::render::{
    Names, write_event_log_csv, write_event_log_json, write_pool_log_csv, write_pool_log_json,
};
use verifier_core::verifier::log::EventKind;

use super::args::{Format, LogArgs, LogKind};
use super::output::{complain_kernel_symbols, complain_missing_symbols, complain_problems, stdout};
use crate::error::Error;

pub(super) fn run(args: &LogArgs) -> Result<(), Error> {
    match args.kind {
        LogKind::Pool => pool(args),
        LogKind::Irql => events(args, EventKind::Irql),
        LogKind::Fault => events(args, EventKind::Fault),
        LogKind::Region => events(args, EventKind::Region),
        LogKind::Irp => events(args, EventKind::Irp),
        LogKind::Pending => events(args, EventKind::Pending),
    }
}

fn events(args: &LogArgs, kind: EventKind) -> Result<(), Error> {
    let session = args.dump.open()?;
    complain_kernel_symbols(&session);
    let log = session.event_log(kind, args.last, args.address)?;
    let names = Names::new(session.kernel()?);
    let mut out = stdout();
    match args.format {
        Format::Json => write_event_log_json(&mut out, &log, &names)?,
        Format::Csv => write_event_log_csv(&mut out, &log, &names)?,
        Format::Text => {
            write_event_log(&mut out, &log, &names)?;
            complain_problems(&log.problems);
            complain_missing_symbols(&session);
        }
    }
    Ok(out.flush()?)
}

fn pool(args: &LogArgs) -> Result<(), Error> {
    let session = args.dump.open()?;
    complain_kernel_symbols(&session);
    let log = session.pool_log(args.last, args.address)?;
    let names = Names::new(session.kernel()?);
    let mut out = stdout();
    match args.format {
        Format::Json => write_pool_log_json(&mut out, &log, &names)?,
        Format::Csv => write_pool_log_csv(&mut out, &log, &names)?,
        Format::Text => {
            write_pool_log(&mut out, &log, &names)?;
            complain_problems(&log.problems);
            complain_missing_symbols(&session);
        }
    }
    Ok(out.flush()?)
}
