//! The `leaks` document.

use std::io;

use serde::Serialize;

use super::baseline::BaselineDoc;
use super::summary::SummaryDoc;
use super::{BlockRow, FilterDoc, LeakGroup, LeaksView, Omitted};
use crate::addr::Va;
use crate::analysis::TreeReach;
use crate::error::Problem;
use crate::render::json::{self, RowDoc, Seq, TotalDoc, Verdict, write_json};

#[derive(Serialize)]
struct WhyDoc {
    why: String,
    #[serde(flatten)]
    total: TotalDoc,
}

#[derive(Serialize)]
struct CoverageDoc {
    allocations: u64,
    with_stack: u64,
    uncertain: u64,
    bytes: u64,
    bytes_with_stack: u64,
    with_stack_of: SourcesDoc,
    without_stack: Vec<WhyDoc>,
}

#[derive(Serialize)]
struct SourcesDoc {
    pool_log: u64,
    pool_info_tree: u64,
}

#[derive(Serialize)]
struct TreeDoc {
    blocks: u64,
    unread: u64,
    stacks: u64,
}

#[derive(Serialize)]
struct LogDoc {
    capacity: u32,
    written: Option<u32>,
    records: u64,
    missing: u64,
}

#[derive(Serialize)]
struct UnloadDoc<'a> {
    driver: &'a str,
    verified_data: Va,
    counted: u64,
    count: usize,
    bytes: u64,
}

#[derive(Serialize)]
struct OmittedDoc {
    groups: usize,
    #[serde(flatten)]
    total: TotalDoc,
}

/// Writes the `leaks` document: coverage first, then the groups, each with its allocations, those of
/// contiguous memory apart.
///
/// # Errors
/// Those of the writer.
pub fn write_leaks_json(out: &mut dyn io::Write, view: &LeaksView<'_>) -> io::Result<()> {
    #[derive(Serialize)]
    struct Doc<'a, T: Serialize> {
        unload_leak: Option<UnloadDoc<'a>>,
        by: &'static str,
        filter: Option<FilterDoc<'a>>,
        summary: SummaryDoc<'a>,
        baseline: Option<BaselineDoc<'a>>,
        coverage: CoverageDoc,
        log: LogDoc,
        pool_info: Option<TreeDoc>,
        groups: T,
        contiguous: T,
        omitted: OmittedDoc,
        #[serde(flatten)]
        verdict: Verdict<Vec<&'a Problem>>,
    }
    #[derive(Serialize)]
    struct GroupDoc<'a, A: Serialize> {
        #[serde(flatten)]
        group: RowDoc<'a, LeakGroup<'a>, LeakGroup<'a>>,
        allocations: A,
    }
    let leaks = view.leaks;
    let coverage = leaks.coverage();
    let Omitted { groups, total } = view.omitted();
    let without = coverage.without.iter();
    let (group, block) = (LeakGroup::TABLE, BlockRow::block_table());
    // The same groups in two lists: those of pool have what drivers' pages and the tree hold.
    let (group, block) = (&group, &block);
    let groups_of = |is_contiguous: bool| {
        Seq(move || {
            let rows = view.iter().filter(move |group| group.is_contiguous == is_contiguous);
            rows.map(move |row| GroupDoc {
                group: RowDoc::new(group, row, &view.names),
                allocations: json::rows(block, row.block_rows(), &view.names),
            })
        })
    };
    write_json(
        out,
        &Doc {
            unload_leak: leaks.unload_leak.as_ref().map(|leak| UnloadDoc {
                driver: &leak.driver,
                verified_data: leak.verified_data,
                counted: leak.counted,
                count: leak.allocations.len(),
                bytes: leak.bytes(),
            }),
            by: view.by.name(),
            filter: FilterDoc::of(leaks),
            summary: view.summary_doc(),
            baseline: BaselineDoc::of(leaks),
            coverage: CoverageDoc {
                allocations: coverage.all.count,
                with_stack: coverage.with_stack.count,
                uncertain: coverage.uncertain,
                bytes: coverage.all.bytes,
                bytes_with_stack: coverage.with_stack.bytes,
                with_stack_of: SourcesDoc {
                    pool_log: coverage.from_log(),
                    pool_info_tree: coverage.from_tree.count,
                },
                without_stack: without
                    .map(|&(why, total)| WhyDoc { why: leaks.why(why), total: total.into() })
                    .collect(),
            },
            log: LogDoc {
                capacity: leaks.reach.capacity,
                written: leaks.reach.written,
                records: leaks.reach.records,
                missing: leaks.reach.missing,
            },
            pool_info: leaks.tree.map(|TreeReach { blocks, unread, stacks }| TreeDoc {
                blocks,
                unread,
                stacks,
            }),
            groups: groups_of(false),
            contiguous: groups_of(true),
            omitted: OmittedDoc { groups, total: total.into() },
            verdict: Verdict::new(leaks.completeness(), leaks.problems.iter().collect()),
        },
    )
}
