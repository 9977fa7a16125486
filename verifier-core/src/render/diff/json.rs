//! The `diff` document.

use std::io;
use std::sync::Arc;

use serde::Serialize;

use super::DiffView;
use crate::addr::Va;
use crate::analysis::{DiffGroup, Leaks};
use crate::error::Problem;
use crate::render::json::{Seq, TotalDoc, Verdict, write_json};
use crate::render::leaks::FilterDoc;

/// One of the two dumps.
#[derive(Serialize)]
struct SideDoc<'a> {
    #[serde(flatten)]
    total: TotalDoc,
    with_stack: u64,
    filter: Option<FilterDoc<'a>>,
}

impl<'a> SideDoc<'a> {
    fn new(leaks: &'a Leaks) -> Self {
        let coverage = leaks.coverage();
        Self {
            total: coverage.all.into(),
            with_stack: coverage.with_stack.count,
            filter: FilterDoc::of(leaks),
        }
    }
}

#[derive(Serialize)]
struct GrowthDoc {
    count: i64,
    bytes: i64,
}

#[derive(Serialize)]
struct GroupDoc<'a> {
    label: &'a str,
    tag: Option<String>,
    contiguous: bool,
    driver: Option<&'a str>,
    stack: Option<Vec<&'a str>>,
    why_no_stack: Option<String>,
    merged: usize,
    old: TotalDoc,
    new: TotalDoc,
    growth: GrowthDoc,
    appeared: &'a [Va],
    gone: &'a [Va],
}

impl<'a> GroupDoc<'a> {
    fn new(view: &DiffView<'_>, group: &'a DiffGroup) -> Self {
        let (count, bytes) = group.clamped_growth();
        Self {
            label: &group.label,
            tag: group.key.tag.map(|tag| tag.to_string()),
            contiguous: group.key.is_contiguous,
            driver: group.key.driver.as_deref(),
            stack: group.key.stack.as_ref().map(|stack| stack.iter().map(Arc::as_ref).collect()),
            why_no_stack: view.why(group),
            merged: group.merged,
            old: group.old.into(),
            new: group.new.into(),
            growth: GrowthDoc { count, bytes },
            appeared: &group.appeared,
            gone: &group.gone,
        }
    }
}

/// Writes the `diff` document.
///
/// # Errors
/// Those of the writer.
pub fn write_diff_json(out: &mut dyn io::Write, view: &DiffView<'_>) -> io::Result<()> {
    #[derive(Serialize)]
    struct Doc<'a, T: Serialize, P: Serialize> {
        same_boot: bool,
        why: &'a str,
        by: &'static str,
        rebuilt: Vec<&'a str>,
        old: SideDoc<'a>,
        new: SideDoc<'a>,
        groups: T,
        omitted: usize,
        unchanged: usize,
        #[serde(flatten)]
        verdict: Verdict<P>,
    }
    #[derive(Serialize)]
    struct ProblemDoc<'a> {
        dump: &'static str,
        #[serde(flatten)]
        problem: &'a Problem,
    }
    let diff = view.diff;
    let (shown, omitted) = view.shown();
    write_json(
        out,
        &Doc {
            same_boot: diff.boot.is_same,
            why: &diff.boot.why,
            by: diff.by.name(),
            rebuilt: diff.rebuilt.iter().map(Arc::as_ref).collect(),
            old: SideDoc::new(view.old),
            new: SideDoc::new(view.new),
            groups: Seq(|| shown.iter().map(|group| GroupDoc::new(view, group))),
            omitted,
            unchanged: diff.unchanged,
            verdict: Verdict::new(
                view.completeness(),
                Seq(|| {
                    let old = view.old.problems.iter();
                    let new = view.new.problems.iter();
                    old.map(|problem| ProblemDoc { dump: "old", problem })
                        .chain(new.map(|problem| ProblemDoc { dump: "new", problem }))
                }),
            ),
        },
    )
}
