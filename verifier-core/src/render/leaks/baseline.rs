//! What a baseline says about outstanding allocations, in words and in JSON; and the baseline's file.

use std::io;

use serde::Serialize;

use super::{Thousands, blocks};
use crate::analysis::{Baseline, KnownLeaks, LeakKey, Leaks, Total};
use crate::render::escape::JsonFormatter;
use crate::render::json::TotalDoc;
use crate::render::text::sanitize;

/// Leaks that a line names; the others are counted.
const NAMED: usize = 10;

/// "12 known, 3 new": the blocks of a baseline apart from the others.
pub(super) fn known_and_new(known: u64, all: u64) -> String {
    match (known, all.saturating_sub(known)) {
        (0, _) => "new".into(),
        (_, 0) => "known".into(),
        (known, new) => format!("{} known, {} new", Thousands(known), Thousands(new)),
    }
}

/// "Baseline known.json: 12 blocks known, 3 new", and which of its leaks are no longer outstanding. Empty
/// without a baseline.
#[must_use]
pub fn baseline_lines(leaks: &Leaks) -> Vec<String> {
    let Some(found) = &leaks.baseline else { return Vec::new() };
    let file = found.file.as_deref().map(|file| format!(" {}", sanitize(file))).unwrap_or_default();
    let new = Thousands(found.new.count);
    let mut lines = vec![format!("Baseline{file}: {} known, {new} new", blocks(found.known.count))];
    lines.extend(gone_line(found));
    lines
}

/// "No longer outstanding: leaky.sys, leaky!LeakyOpen, tag Open (2 blocks)", if that is so of any leak.
fn gone_line(found: &KnownLeaks) -> Option<String> {
    let gone = found.gone.as_deref().filter(|gone| !gone.is_empty())?;
    let name = |(key, total): &(LeakKey, Total)| {
        format!("{} ({})", sanitize(&key.to_string()), blocks(total.count))
    };
    let mut names: Vec<String> = gone.iter().take(NAMED).map(name).collect();
    if gone.len() > NAMED {
        names.push(format!("and {} more", Thousands((gone.len() - NAMED) as u64)));
    }
    Some(format!("No longer outstanding: {}", names.join("; ")))
}

/// A leak in a document or in the file of a baseline.
#[derive(Serialize)]
struct KnownDoc<'a> {
    driver: &'a str,
    function: Option<&'a str>,
    tag: Option<&'a str>,
    #[serde(flatten)]
    total: TotalDoc,
}

impl<'a> KnownDoc<'a> {
    fn of(key: &'a LeakKey, total: Total) -> Self {
        let LeakKey { driver, function, tag } = key;
        Self { driver, function: function.as_deref(), tag: tag.as_deref(), total: total.into() }
    }
}

/// The baseline in a document.
#[derive(Serialize)]
pub(super) struct BaselineDoc<'a> {
    file: Option<&'a str>,
    known: TotalDoc,
    new: TotalDoc,
    no_longer_outstanding: Option<Vec<KnownDoc<'a>>>,
}

impl<'a> BaselineDoc<'a> {
    pub(super) fn of(leaks: &'a Leaks) -> Option<Self> {
        leaks.baseline.as_ref().map(|found| Self {
            file: found.file.as_deref(),
            known: found.known.into(),
            new: found.new.into(),
            no_longer_outstanding: found
                .gone
                .as_ref()
                .map(|gone| gone.iter().map(|(key, total)| KnownDoc::of(key, *total)).collect()),
        })
    }
}

/// Writes the file of a baseline, which [`Baseline::parse`] reads: JSON with one line for each leak, sorted,
/// so that a change is easy to review.
///
/// # Errors
/// Those of the writer.
pub fn write_baseline(out: &mut dyn io::Write, baseline: &Baseline) -> io::Result<()> {
    write!(out, "{{\"verifier_baseline\":{},\"known\":[", Baseline::VERSION)?;
    let mut separator = "\n";
    for (key, total) in baseline.iter() {
        write!(out, "{separator}")?;
        let mut line = serde_json::Serializer::with_formatter(&mut *out, JsonFormatter);
        KnownDoc::of(key, total).serialize(&mut line)?;
        separator = ",\n";
    }
    writeln!(out, "\n]}}")
}
