//! The line that says that an answer is not complete.

use std::io;

use super::sanitize;
use crate::completeness::Completeness;
use crate::extent::Extent;

/// "Not complete: list of configured drivers: its head is null (and 2 more reasons)", or "Unknown: …";
/// `None` if the answer is complete.
#[must_use]
pub fn extent_line(answer: &Completeness) -> Option<String> {
    let what = match answer.extent {
        Extent::Complete => return None,
        Extent::AtLeast => "Not complete",
        Extent::Unknown => "Unknown",
    };
    let first = answer.because.first().map(|why| sanitize(why)).unwrap_or_default();
    let more = match answer.because.len().saturating_sub(1) {
        0 => String::new(),
        1 => " (and 1 more reason)".into(),
        more => format!(" (and {more} more reasons)"),
    };
    Some(format!("{what}: {first}{more}"))
}

/// Writes that line, if there is one.
///
/// # Errors
/// Those of the writer.
pub fn write_extent(out: &mut dyn io::Write, answer: &Completeness) -> io::Result<()> {
    match extent_line(answer) {
        Some(line) => writeln!(out, "{line}."),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Problem;

    #[test]
    fn the_line_has_the_gravest_reason_and_counts_the_others() {
        let line = |problems: &[Problem]| extent_line(&Completeness::of(problems));
        assert_eq!(line(&[]), None);
        assert_eq!(line(&[Problem::new("a", "b").remark()]), None);
        let lost = Problem::new("list", "its head is null\u{1b}[2J");
        assert_eq!(
            line(std::slice::from_ref(&lost)).unwrap(),
            "Not complete: list: its head is null\u{fffd}[2J"
        );
        let off = Problem::new("Driver Verifier", "it is off").unknown();
        let both = line(&[lost, off]).unwrap();
        assert_eq!(both, "Unknown: Driver Verifier: it is off (and 1 more reason)");
    }
}
