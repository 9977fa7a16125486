//! The pool log over time: allocations and frees in the order of the ring.
//!
//! A record has no time stamp, only its place in the ring, so the axis is a count of records, the oldest on
//! the left.

use std::collections::HashSet;
use std::fmt::Write as _;

use verifier_core::analysis::Leaks;
use verifier_core::render::escape_html;
use verifier_core::verifier::log::{Operation, PoolLog};

use super::html::{number, write_table};

/// The bars of the picture.
const BARS: usize = 120;

/// Adjoining records of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Bucket {
    /// Allocations.
    pub allocations: u64,
    /// Of those, how many made a block that is still held.
    pub held: u64,
    /// Frees.
    pub frees: u64,
    /// Allocations that failed.
    pub failed: u64,
    /// Records whose operation is unknown.
    pub unknown: u64,
}

/// The pool log over time.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Timeline {
    /// From the oldest record to the newest.
    pub buckets: Vec<Bucket>,
    /// Records in each bucket; the first one may have fewer.
    pub per_bucket: usize,
    /// All records.
    pub records: usize,
    /// True if a filter left out blocks that are still held, so that some do not count as held.
    pub is_filtered: bool,
    /// True if not all of the log could be read.
    pub is_partial: bool,
    /// Why there are none.
    pub empty_because: Option<&'static str>,
}

impl Timeline {
    /// Counts the records of `log`; `leaks` shows which of them allocated a block that is still held.
    #[must_use]
    pub fn new(log: &PoolLog, leaks: &Leaks) -> Self {
        let held: HashSet<u32> =
            leaks.blocks.iter().filter_map(|block| Some(block.made()?.slot)).collect();
        let records = log.records.len();
        let per_bucket = records.div_ceil(BARS).max(1);
        let mut buckets = Vec::new();
        // The log is newest first.
        for chunk in log.records.chunks(per_bucket) {
            let mut bucket = Bucket::default();
            for record in chunk {
                let is_held = held.contains(&record.slot);
                match record.operation {
                    Operation::Allocate => bucket.allocations += 1,
                    Operation::Free => bucket.frees += 1,
                    Operation::Failed => bucket.failed += 1,
                    _ if is_held => bucket.allocations += 1,
                    _ => bucket.unknown += 1,
                }
                bucket.held += u64::from(is_held);
            }
            buckets.push(bucket);
        }
        buckets.reverse();
        let is_filtered = leaks
            .filter
            .as_ref()
            .is_some_and(|filter| filter.is_narrow() || filter.driver.is_some());
        let is_partial = log.missing > 0 || log.is_cut;
        let empty_because = log.empty_because;
        Self { buckets, per_bucket, records, is_filtered, is_partial, empty_because }
    }

    /// The numbers of a bucket's first and last record; the oldest of all is number 1. Only the first bucket
    /// may not be full.
    fn range(&self, bucket: usize) -> (usize, usize) {
        let newer = (self.buckets.len() - 1 - bucket) * self.per_bucket;
        let last = self.records - newer;
        ((last + 1).saturating_sub(self.per_bucket).max(1), last)
    }

    /// The picture as SVG with a legend, and the numbers as a table.
    pub(super) fn write(&self, out: &mut String) {
        if self.buckets.is_empty() {
            let why = self.empty_because.unwrap_or("the pool log holds no records");
            let _ = writeln!(out, "<p>{}.</p>", escape_html(why));
            return;
        }
        let all = |of: fn(&Bucket) -> u64| self.buckets.iter().map(of).sum::<u64>();
        let _ = writeln!(
            out,
            "<p>{}{} records, the oldest on the left; a record has no time stamp, only its place in the ring. \
             {} allocations ({} of them of blocks that are still held{}), {} frees, {} failed, {} \
             unknown.</p>",
            if self.is_partial { "At least " } else { "" },
            number(self.records as u64),
            number(all(|b| b.allocations)),
            number(all(|b| b.held)),
            if self.is_filtered { " and match the filter" } else { "" },
            number(all(|b| b.frees)),
            number(all(|b| b.failed)),
            number(all(|b| b.unknown)),
        );
        self.write_picture(out);
        self.write_table(out);
    }

    fn write_picture(&self, out: &mut String) {
        const WIDTH: f64 = 1000.0;
        const HALF: f64 = 90.0;
        let highest =
            self.buckets.iter().map(|b| (b.allocations + b.unknown).max(b.frees + b.failed)).max();
        let scale = HALF / highest.unwrap_or(1).max(1) as f64;
        let step = WIDTH / self.buckets.len() as f64;
        // Text in the picture would be stretched with it.
        let top = number(highest.unwrap_or(0));
        let _ = writeln!(
            out,
            "<figure class=\"timeline\"><div class=\"scale\" aria-hidden=\"true\"><span>{top}</span>\
             <span>0</span><span>{top}</span></div><svg viewBox=\"0 0 1000 190\" role=\"img\" \
             preserveAspectRatio=\"none\" aria-label=\"Allocations above the line, frees below it, \
             oldest left\">"
        );
        for (i, bucket) in self.buckets.iter().enumerate() {
            let (first, last) = self.range(i);
            let x = i as f64 * step;
            let width = (step * 0.86).max(0.5);
            let _ = write!(
                out,
                "<g><title>records {} to {}: {} allocations, {} of them still held, {} frees, {} \
                 failed, {} unknown</title>",
                number(first as u64),
                number(last as u64),
                bucket.allocations,
                bucket.held,
                bucket.frees,
                bucket.failed,
                bucket.unknown
            );
            let mut bar = |class: &str, y: f64, height: f64| {
                if height > 0.0 {
                    let _ = write!(
                        out,
                        "<rect class=\"{class}\" x=\"{x:.2}\" y=\"{y:.2}\" width=\"{width:.2}\" \
                         height=\"{height:.2}\"/>"
                    );
                }
            };
            let held = bucket.held.min(bucket.allocations) as f64 * scale;
            let made = bucket.allocations as f64 * scale;
            bar("held", 95.0 - held, held);
            bar("made", 95.0 - made, made - held);
            let unknown = bucket.unknown as f64 * scale;
            bar("unknown", 95.0 - made - unknown, unknown);
            let frees = bucket.frees as f64 * scale;
            bar("freed", 95.0, frees);
            bar("failed", 95.0 + frees, bucket.failed as f64 * scale);
            out.push_str("</g>\n");
        }
        let _ = write!(
            out,
            "<line class=\"axis\" x1=\"0\" x2=\"1000\" y1=\"95\" y2=\"95\"/></svg>\n<figcaption>\
             {} records a bar; up: allocations, down: frees. <span class=\"key held\"></span>allocated, still held \
             <span class=\"key made\"></span>allocated \
             <span class=\"key freed\"></span>freed \
             <span class=\"key failed\"></span>failed \
             <span class=\"key unknown\"></span>unknown</figcaption></figure>\n",
            number(self.per_bucket as u64)
        );
    }

    fn write_table(&self, out: &mut String) {
        let heads = [
            ("Records", ""),
            ("Allocations", "n"),
            ("Still held", "n"),
            ("Frees", "n"),
            ("Failed", "n"),
            ("Unknown", "n"),
        ];
        let rows = self.buckets.iter().enumerate().map(|(i, bucket)| {
            let (first, last) = self.range(i);
            let range = format!("{}–{}", number(first as u64), number(last as u64));
            let Bucket { allocations, held, frees, failed, unknown } = *bucket;
            let counts = [allocations, held, frees, failed, unknown];
            std::iter::once(range).chain(counts.map(number)).collect()
        });
        out.push_str("<details><summary>The numbers as a table</summary>");
        write_table(out, "", &heads, rows);
        out.push_str("</details>\n");
    }
}
