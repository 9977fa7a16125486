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

/// The frames of addresses, the innermost first, with their lines: `leaky!Allocate+0x1f (pool.c:42)`. Functions
/// that were inlined are frames of their own.
fn frames(view: &LeaksView<'_>, stack: &[Va]) -> Vec<String> {
    let line = |file: &str, line: u32| format!("({}:{line})", file_name(file));
    let mut frames = Vec::new();
    for &va in stack {
        let name = view.name(va);
        let Some(source) = view.names.source(va) else {
            frames.push(frame(&name));
            continue;
        };
        frames.extend(source.inlined.iter().map(|inlined| {
            let function = view.names.inlined(va, &inlined.function);
            frame(&format!("{function} {} (inlined)", line(&inlined.file, inlined.line)))
        }));
        frames.push(frame(&format!("{name} {}", line(&source.file, source.line))));
    }
    frames
}

/// What is known of a group without a stack, the outermost first.
fn without_stack(view: &LeaksView<'_>, group: LeakGroup<'_>) -> Vec<String> {
    let why = match group.stack {
        Some(Err(why)) => Some(frame(&format!("(no stack, {})", view.leaks.why(why)))),
        _ => None,
    };
    why.into_iter().chain([frame(&group.label())]).collect()
}

/// The tag of a group as a frame.
fn tag(group: LeakGroup<'_>) -> Option<String> {
    match group.tag {
        _ if group.is_contiguous => Some(format!("({CONTIGUOUS})")),
        tag => tag.map(|tag| frame(&format!("(tag {tag})"))),
    }
}

fn path(view: &LeaksView<'_>, group: LeakGroup<'_>) -> Vec<String> {
    let mut path: Vec<String> = group.driver_name().map(frame).into_iter().collect();
    match group.frames() {
        Some(stack) => path.extend(frames(view, stack).into_iter().rev()),
        None => path.extend(without_stack(view, group)),
    }
    path.extend(tag(group));
    path
}

fn inverted_path(view: &LeaksView<'_>, group: LeakGroup<'_>) -> Vec<String> {
    let mut path = match group.frames() {
        Some(_) => frames(view, &group.path()),
        None => without_stack(view, group).into_iter().rev().collect(),
    };
    path.extend(group.driver_name().map(frame));
    path.extend(tag(group));
    path
}

/// The folded lines with their weights, sorted, equal paths added up. The outermost frame is the
/// driver, the innermost the tag; blocks without a stack are under their reason and caller. Group by
/// stack and tag: other groups have no frames or tags.
#[must_use]
pub fn folded_stacks(view: &LeaksView<'_>, weight: Weight) -> Vec<(String, u64)> {
    folded(view, weight, path)
}

/// The same bottom-up: each line begins with the function that allocates, then come its callers, the driver
/// and the tag. Frames of the kernel and of Verifier are left out, since every stack begins with them.
#[must_use]
pub fn inverted_stacks(view: &LeaksView<'_>, weight: Weight) -> Vec<(String, u64)> {
    folded(view, weight, inverted_path)
}

fn folded<'v>(
    view: &'v LeaksView<'_>,
    weight: Weight,
    path: impl Fn(&'v LeaksView<'_>, LeakGroup<'v>) -> Vec<String>,
) -> Vec<(String, u64)> {
    let mut lines: BTreeMap<String, u64> = BTreeMap::new();
    for group in view {
        let value = match weight {
            Weight::Bytes => group.bytes,
            Weight::Count => group.blocks.len() as u64,
        };
        let sum = lines.entry(path(view, group).join(";")).or_default();
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
