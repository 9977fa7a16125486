//! Stacks in text: the one place that writes their lines.

use std::fmt::Display;
use std::io;

use super::digits;
use super::lines::sanitize;
use crate::addr::Va;
use crate::render::names::{LineStyle, Names};

/// Writes a stack, the innermost frame first: each frame's address, name and line of source code on a line
/// after `indent`. Functions that were inlined at a frame have lines of their own before it.
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
    write_frames(out, (indent, indent), frames, names, |va| digits(va, machine))
}

/// The same with an indent for the first line and one for the others; `address` writes an address.
pub(crate) fn write_frames(
    out: &mut dyn io::Write,
    indents: (&str, &str),
    frames: &[Va],
    names: &Names<'_>,
    address: impl Fn(Va) -> String,
) -> io::Result<()> {
    let lines = frames.iter().flat_map(|&va| {
        let name = names.get(va);
        let name = name.map(|name| sanitize(&name).into_owned()).unwrap_or_default();
        let address = address(va);
        let blank = if address.is_empty() || name.is_empty() { "" } else { " " };
        frame_lines(names, va, &(address + blank), &name)
    });
    write_stack_lines(out, indents, lines)
}

/// The lines of a frame without its address.
pub(crate) fn code_lines(names: &Names<'_>, va: Va) -> impl Iterator<Item = String> + use<> {
    frame_lines(names, va, "", &names.text(va))
}

/// The lines of a frame: the functions that were inlined there, then the address, which ends with its blank,
/// and the name.
pub(crate) fn frame_lines(
    names: &Names<'_>,
    va: Va,
    address: &str,
    name: &str,
) -> impl Iterator<Item = String> + use<> {
    let site = match names.lines {
        LineStyle::Hidden => None,
        _ => names.source(va),
    };
    let mut lines = Vec::with_capacity(1);
    let frame = format!("{address}{name}");
    let Some(site) = site else {
        lines.push(frame);
        return lines.into_iter();
    };
    for inlined in &site.inlined {
        let function = names.inlined(va, &inlined.function);
        let function = sanitize(&function);
        let place = place(names.lines, &inlined.file, inlined.line);
        lines.push(match names.lines {
            LineStyle::Debugger => {
                let offset = match inlined.displacement {
                    0 => String::new(),
                    offset => format!("+{offset:#x}"),
                };
                format!("(Inline Function) {function}{offset} {place}")
            }
            _ => {
                let width = address.trim_end().chars().count();
                format!("{:width$} {function} {place}", "(inlined)")
            }
        });
    }
    let frame = frame.trim_end();
    lines.push(format!("{frame} {}", place(names.lines, &site.file, site.line)));
    lines.into_iter()
}

fn place(style: LineStyle, file: &str, line: u32) -> String {
    let file = sanitize(file);
    match style {
        LineStyle::Debugger => format!("[{file} @ {line}]"),
        _ => format!("({file}:{line})"),
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
