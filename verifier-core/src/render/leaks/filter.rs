//! The filter of a view, in words and in JSON.

use serde::Serialize;

use super::{Thousands, amount, blocks};
use crate::analysis::{Filter, Ignored, Leaks};
use crate::render::json::TotalDoc;
use crate::render::text::sanitize;

/// "tag Lk01, at least 4,096 bytes": the conditions on blocks.
fn conditions(filter: &Filter) -> String {
    let bytes = |size: Option<u64>, what: &str| {
        size.map(|size| format!("{what} {} bytes", Thousands(size)))
    };
    let all = [
        filter.driver.as_ref().map(|name| format!("driver {}", sanitize(name))),
        filter.tag.as_ref().map(|tag| format!("tag {}", sanitize(tag))),
        bytes(filter.min_size, "at least"),
        bytes(filter.max_size, "at most"),
        filter.pool.and_then(|pool| pool.name()).map(|pool| format!("{pool} pool")),
    ];
    all.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// "ignored: leaky!Open* (2 blocks, 64 bytes), tag:Irp (no block)".
fn ignored(filter: &Filter) -> Option<String> {
    let name = |one: &Ignored| {
        let what = match one.total.count {
            0 => "no block".into(),
            _ => amount(one.total),
        };
        format!("{} ({what})", sanitize(&one.pattern))
    };
    let all: Vec<String> = filter.ignored.iter().map(name).collect();
    (!all.is_empty()).then(|| format!("ignored: {}", all.join(", ")))
}

fn skipped(filter: &Filter) -> Option<String> {
    let Filter { stacks_skipped, stacks, .. } = filter;
    let stacks = format!("{stacks} stack{}", if *stacks == 1 { "" } else { "s" });
    let skip = sanitize(filter.skip.as_ref()?);
    Some(match stacks_skipped {
        0 => format!("wrappers skipped: {skip}, which matched no frame of {stacks}"),
        _ => format!("wrappers skipped: {skip}, in {stacks_skipped} of {stacks}"),
    })
}

/// "Filtered: tag Lk01, at least 4,096 bytes; wrappers skipped: …, in 5 of 9 stacks; 2 of 342 blocks",
/// if a filter is set.
#[must_use]
pub fn filter_line(leaks: &Leaks) -> Option<String> {
    let filter = leaks.filter.as_ref()?;
    let conditions = Some(conditions(filter)).filter(|text| !text.is_empty());
    let ignored = ignored(filter);
    let count = (conditions.is_some() || ignored.is_some()).then(|| {
        let read = Thousands(leaks.blocks.len() as u64);
        let whose = if filter.driver.is_some() { "the driver's " } else { "" };
        format!("{read} of {whose}{}", blocks(filter.all.count))
    });
    let parts: Vec<String> =
        [conditions, ignored, skipped(filter), count].into_iter().flatten().collect();
    (!parts.is_empty()).then(|| format!("Filtered: {}", parts.join("; ")))
}

/// "no outstanding allocation matches tag lk01 (342 without filters)", or that there are none.
pub(in crate::render) fn nothing_line(leaks: &Leaks) -> String {
    let none = "no outstanding allocation";
    let Some(filter) = leaks.filter.as_ref() else { return none.into() };
    let conditions = conditions(filter);
    let count = Thousands(filter.all.count);
    if !filter.ignored.is_empty() {
        let which = if conditions.is_empty() { String::new() } else { format!(" of {conditions}") };
        return format!("{none}{which} besides those that are ignored ({count} without filters)");
    }
    match (filter.all.count, &filter.driver) {
        _ if conditions.is_empty() => none.into(),
        (0, _) => format!("{none} matches {conditions}"),
        (_, Some(_)) => {
            format!("{none} matches {conditions} ({count} of the driver without other filters)")
        }
        (_, None) => format!("{none} matches {conditions} ({count} without filters)"),
    }
}

/// The filter in a document.
#[derive(Serialize)]
pub(in crate::render) struct FilterDoc<'a> {
    driver: Option<&'a str>,
    tag: Option<&'a str>,
    min_size: Option<u64>,
    max_size: Option<u64>,
    pool: Option<&'static str>,
    skip: Option<&'a str>,
    allocations: u64,
    bytes: u64,
    undetermined: u64,
    stacks_skipped: usize,
    stacks: usize,
    ignored: Vec<IgnoredDoc<'a>>,
}

#[derive(Serialize)]
struct IgnoredDoc<'a> {
    pattern: &'a str,
    #[serde(flatten)]
    total: TotalDoc,
}

impl<'a> FilterDoc<'a> {
    pub(in crate::render) fn of(leaks: &'a Leaks) -> Option<Self> {
        leaks.filter.as_ref().map(|filter| Self {
            driver: filter.driver.as_deref(),
            tag: filter.tag.as_deref(),
            min_size: filter.min_size,
            max_size: filter.max_size,
            pool: filter.pool.and_then(|pool| pool.name()),
            skip: filter.skip.as_deref(),
            allocations: filter.all.count,
            bytes: filter.all.bytes,
            undetermined: filter.undetermined,
            stacks_skipped: filter.stacks_skipped,
            stacks: filter.stacks,
            ignored: filter
                .ignored
                .iter()
                .map(|one| IgnoredDoc { pattern: &one.pattern, total: one.total.into() })
                .collect(),
        })
    }
}
