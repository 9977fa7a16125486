//! Leaks as annotations of a GitHub workflow: lines such as `::error file=src/pool.c,line=42,title=…::…`,
//! which a runner shows at the line in a pull request.

use std::io;

use super::baseline::baseline_lines;
use super::filter::{filter_line, nothing_line};
use super::finding::{Finding, Novelty, Rule, unload_without_groups};
use super::source_path::forward;
use super::{LeakGroup, LeaksView, UNKNOWN, amount, more_groups, sentence, unload_line};
use crate::render::text::{extent_line, sanitize};

/// Lines of stacks in an annotation.
const LINES: usize = 48;

/// The kind of an annotation of what is not a fault.
const NOTICE: &str = "notice";

/// A line that the runner obeys.
struct Annotation<'a> {
    kind: &'static str,
    place: Option<(&'a str, u32)>,
    title: &'a str,
    /// Lines.
    message: &'a [String],
}

impl Annotation<'_> {
    fn write(&self, out: &mut dyn io::Write) -> io::Result<()> {
        write!(out, "::{} ", self.kind)?;
        if let Some((file, line)) = self.place {
            write!(out, "file={},line={line},", property(&forward(file)))?;
        }
        let message: Vec<String> = self.message.iter().map(|line| data(line)).collect();
        writeln!(out, "title={}::{}", property(self.title), message.join("%0A"))
    }
}

/// The text of a message: characters that end a command are escaped.
fn data(text: &str) -> String {
    sanitize(text).replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// The value of a property: also those that end a property.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

/// Writes an annotation for each group that is shown, new ones first, at the line of its code if that is known.
/// A last one counts the groups that are not shown. GitHub shows ten annotations of each kind for each step.
///
/// # Errors
/// Those of the writer.
pub fn write_leaks_github(out: &mut dyn io::Write, view: &LeaksView<'_>) -> io::Result<()> {
    let answer = view.leaks.completeness();
    let notice = |out: &mut dyn io::Write, title: &str, line: String| {
        Annotation { kind: NOTICE, place: None, title, message: &[line] }.write(out)
    };
    if let Some(line) = extent_line(&answer) {
        let title = "The answer is not complete";
        Annotation { kind: "warning", place: None, title, message: &[line] }.write(out)?;
    }
    for line in filter_line(view.leaks).into_iter().chain(baseline_lines(view.leaks)) {
        notice(out, "Driver Verifier", line)?;
    }
    let unloaded = unload_without_groups(view);
    if unloaded.is_some() {
        let (title, message) = (Rule::Unloaded.title(), unload_line(view.leaks));
        let message: Vec<String> = message.into_iter().collect();
        let kind = view.severity.word(Novelty::New, NOTICE);
        Annotation { kind, place: None, title, message: &message }.write(out)?;
    }
    if view.groups.is_empty() && unloaded.is_none() {
        let nothing = nothing_line(view.leaks);
        let line = if answer.is_complete() { &nothing } else { UNKNOWN };
        return notice(out, "Driver Verifier", sentence(line));
    }
    for group in view {
        write_group(out, view, group)?;
    }
    let rest = view.omitted();
    if rest.groups > 0 {
        notice(out, &more_groups(rest.groups), amount(rest.total))?;
    }
    Ok(())
}

fn write_group(
    out: &mut dyn io::Write,
    view: &LeaksView<'_>,
    group: LeakGroup<'_>,
) -> io::Result<()> {
    let finding = Finding::new(view, group);
    let mut message = vec![format!("{}: {}", finding.subject(), finding.details())];
    let mut stack = finding.stack_lines();
    let more = stack.len().saturating_sub(LINES);
    stack.truncate(LINES);
    message.append(&mut stack);
    if more > 0 {
        message.push(format!("and {more} more lines"));
    }
    Annotation {
        kind: view.severity.word(finding.novelty(), NOTICE),
        place: finding.place.as_ref().map(|(file, line)| (&**file, *line)),
        title: &format!("{}: {}", finding.rule().title(), finding.amount()),
        message: &message,
    }
    .write(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_annotation_is_escaped_as_github_documents_it() {
        let mut out = Vec::new();
        let annotation = Annotation {
            kind: "error",
            place: Some(("src\\a,b:c%.c", 42)),
            title: "100 %: a,b\r\n",
            message: &["50 %, a::b".to_owned(), "next\n::error::".to_owned()],
        };
        annotation.write(&mut out).unwrap();
        Annotation { place: None, ..annotation }.write(&mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let rest = "title=100 %25%3A a%2Cb\u{fffd}\u{fffd}::50 %25, a::b%0Anext\u{fffd}::error::\n";
        assert_eq!(text, format!("::error file=src/a%2Cb%3Ac%25.c,line=42,{rest}::error {rest}"));
    }
}
