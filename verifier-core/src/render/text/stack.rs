//! Stacks in text: the one place that writes their lines.

use std::fmt::Display;
use std::io;

use super::digits;
use super::lines::sanitize;
use crate::addr::Va;
use crate::render::Names;

/// Writes a stack, the innermost frame first: each frame's address and name on a line after `indent`.
///
/// # Errors
/// Those of the writer.
pub fn write_stack(
    out: &mut dyn io::Write,
    frames: &[Va],
    names: &Names<'_>,
    indent: &str,
) -> io::Result<()> {
    let machine = names.kernel().space().machine();
    let line = |&va: &Va| frame_line(digits(va, machine), va, names);
    write_stack_lines(out, (indent, indent), frames.iter().map(line))
}

/// The line of a frame whose address is written as `address`.
pub(crate) fn frame_line(address: String, va: Va, names: &Names<'_>) -> String {
    match names.get(va) {
        Some(name) => format!("{address} {}", sanitize(&name)),
        None => address,
    }
}

/// Writes the lines of a stack: the first after the first indent, each other after the second.
pub(crate) fn write_stack_lines<T: Display>(
    out: &mut dyn io::Write,
    (first, other): (&str, &str),
    lines: impl IntoIterator<Item = T>,
) -> io::Result<()> {
    let mut indent = first;
    for line in lines {
        writeln!(out, "{indent}{line}")?;
        indent = other;
    }
    Ok(())
}
