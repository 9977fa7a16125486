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

/// Writes the lines with which the text of a view begins if the answer is not complete: one for each
/// reason that has its own line ([`Problem::headline`](crate::Problem::headline)), and
/// [`extent_line`] for the others.
///
/// # Errors
/// Those of the writer.
pub fn write_extent(out: &mut dyn io::Write, answer: &Completeness) -> io::Result<()> {
    for headline in &answer.headlines {
        writeln!(out, "{}.", sanitize(&headline.line))?;
    }
    let has_line = |index: &usize| answer.headlines.iter().any(|one| one.reason == Some(*index));
    let others = answer.because.iter().enumerate().filter(|(index, _)| !has_line(index));
    let because: Vec<String> = others.map(|(_, why)| why.clone()).collect();
    if because.is_empty() && !answer.headlines.is_empty() {
        return Ok(());
    }
    let others = Completeness { because, ..answer.clone() };
    extent_line(&others).map_or(Ok(()), |line| writeln!(out, "{line}."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Problem;

    #[test]
    fn a_file_that_was_cut_short_is_said_once() {
        let text = |problems: &[Problem]| {
            let mut out = Vec::new();
            write_extent(&mut out, &Completeness::of(problems)).unwrap();
            String::from_utf8(out).unwrap()
        };
        let headline = Some("Truncated: 16 bytes are missing at the end of a.dmp".into());
        let cut = Problem { headline, ..Problem::new("file", "it ends at offset 0x10") };
        let line = "Truncated: 16 bytes are missing at the end of a.dmp.\n";
        assert_eq!(text(std::slice::from_ref(&cut)), line);
        let off = Problem::new("Driver Verifier", "it is off").unknown();
        assert_eq!(text(&[cut, off]), format!("{line}Unknown: Driver Verifier: it is off.\n"));
    }

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
