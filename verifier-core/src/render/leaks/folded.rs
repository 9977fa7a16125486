//! Folded stacks: one line for each stack, its frames from the outermost one in, joined by semicolons, then a
//! blank and a number. Every flame graph viewer reads this format (flamegraph.pl, inferno, speedscope).

use std::collections::BTreeMap;
use std::io;

use super::{CONTIGUOUS, LeakGroup, LeaksView};
use crate::addr::Va;
use crate::render::text::sanitize;
use crate::symbols::file_name;

/// What the widths of a flame graph show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Weight {
    /// Bytes held.
    #[default]
    Bytes,
    /// Blocks held.
    Count,
}

/// Text that is one frame: without separators, line ends, and blanks at its ends.
fn frame(text: &str) -> String {
    sanitize(text).trim().replace(';', ":")
}

/// A frame with its line of source code, then the functions that were inlined there, the outermost first.
fn push_frame(frames: &mut Vec<String>, view: &LeaksView<'_>, va: Va) {
    let name = view.name(va);
    let Some(site) = view.names.source(va) else { return frames.push(frame(&name)) };
    let place = |file: &str, line: u32| format!("({}:{line})", file_name(file));
    frames.push(frame(&format!("{name} {}", place(&site.file, site.line))));
    let module = name.split_once('!').map_or("", |(module, _)| module);
    for one in site.inlined.iter().rev() {
        let place = place(&one.file, one.line);
        frames.push(frame(&format!("{module}!{} {place} (inlined)", one.function)));
    }
}

fn path(view: &LeaksView<'_>, group: LeakGroup<'_>) -> String {
    let mut frames = Vec::new();
    if let Some(driver) = group.driver_name() {
        frames.push(frame(driver));
    }
    match group.stack {
        Some(Ok(_)) => {
            let stack = group.frames().unwrap_or_default();
            stack.iter().rev().for_each(|&va| push_frame(&mut frames, view, va));
        }
        Some(Err(why)) => {
            frames.push(frame(&format!("(no stack, {})", view.leaks.why(why))));
            frames.push(frame(&group.label()));
        }
        None => frames.push(frame(&group.label())),
    }
    match group.tag {
        _ if group.is_contiguous => frames.push(format!("({CONTIGUOUS})")),
        Some(tag) => frames.push(frame(&format!("(tag {tag})"))),
        None => {}
    }
    frames.join(";")
}

/// The folded lines with their weights, sorted, equal paths added up. The outermost frame is the
/// driver, the innermost the tag; blocks without a stack are under their reason and caller. Group by
/// stack: other groups have no frames.
#[must_use]
pub fn folded_stacks(view: &LeaksView<'_>, weight: Weight) -> Vec<(String, u64)> {
    let mut lines: BTreeMap<String, u64> = BTreeMap::new();
    for group in view {
        let value = match weight {
            Weight::Bytes => group.bytes,
            Weight::Count => group.blocks.len() as u64,
        };
        let sum = lines.entry(path(view, group)).or_default();
        *sum = sum.saturating_add(value);
    }
    lines.into_iter().collect()
}

/// Writes folded stacks.
///
/// # Errors
/// Those of the writer.
pub fn write_leaks_folded(
    out: &mut dyn io::Write,
    view: &LeaksView<'_>,
    weight: Weight,
) -> io::Result<()> {
    for (path, value) in folded_stacks(view, weight) {
        writeln!(out, "{path} {value}")?;
    }
    Ok(())
}
