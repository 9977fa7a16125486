//! The `diff` document.

use std::io;
use std::sync::Arc;

use serde::Serialize;

use super::{DiffRow, DiffView};
use crate::analysis::Leaks;
use crate::error::Problem;
use crate::render::json::{Seq, TotalDoc, Verdict, rows, write_json};
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
    let table = DiffRow::TABLE;
    write_json(
        out,
        &Doc {
            same_boot: diff.boot.is_same,
            why: &diff.boot.why,
            by: diff.by.name(),
            rebuilt: diff.rebuilt.iter().map(Arc::as_ref).collect(),
            old: SideDoc::new(view.old),
            new: SideDoc::new(view.new),
            groups: rows(&table, view.rows(), None),
            omitted: view.shown().1,
            unchanged: diff.unchanged.len(),
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
