//! Logs of recent events.

use std::io;

use crate::completeness::Completeness;
use crate::render::Names;
use crate::render::text::{
    Style, write_event_log, write_extent, write_log_state, write_pool_log, write_watched_irps,
};
use crate::verifier::log::{EventLog, PoolLog, WatchedIrps};

/// Writes the state of the pool log and the records that were read.
///
/// # Errors
/// Those of the writer.
pub fn write_pool_log_text(
    out: &mut dyn io::Write,
    log: &PoolLog,
    names: &Names<'_>,
) -> io::Result<()> {
    write_extent(out, &Completeness::of(&log.problems))?;
    write_log_state(out, "pool log", &log.ring, log.wrapped)?;
    write_pool_log(out, log, names)
}

/// Writes the state of any other log and the records that were read.
///
/// # Errors
/// Those of the writer.
pub fn write_event_log_text(
    out: &mut dyn io::Write,
    log: &EventLog,
    names: &Names<'_>,
) -> io::Result<()> {
    write_extent(out, &Completeness::of(&log.problems))?;
    write_log_state(out, log.kind.describe(), &log.ring, log.wrapped)?;
    write_event_log(out, log, names, Style::Modern)
}

/// Writes the canceled IRPs that are watched.
///
/// # Errors
/// Those of the writer.
pub fn write_watched_irps_text(
    out: &mut dyn io::Write,
    watched: &WatchedIrps,
    names: &Names<'_>,
) -> io::Result<()> {
    write_extent(out, &Completeness::of(&watched.problems))?;
    write_watched_irps(out, watched, names)
}
