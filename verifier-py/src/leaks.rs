//! `leaks()` and `diff()`: groups as columns, and the classes around them.

use std::path::PathBuf;

use pyo3::prelude::*;
use pyo3::types::PyTuple;
use verifier_core::analysis::{
    Block, Diff as CoreDiff, DiffGroup, GroupBy, PoolKind, StackSource, Total,
};
use verifier_core::kernel::Kernel;
use verifier_core::render::{
    DiffView, LeaksView, Weight, write_diff_markdown, write_diff_text, write_leaks_folded,
    write_leaks_markdown, write_leaks_text,
};
use verifier_core::{Error, Problem, Va};
use verifier_host::{FilteredLeaks, LeakFilter, NamePattern, flame_graph};

use crate::arrow::{
    Column, addresses, frames, lists, maybe_addresses, maybe_lists, maybe_numbers,
    maybe_small_numbers, maybe_words, numbers, signed, structure, words,
};
use crate::errors::Failure;
use crate::table::{Table, View, problems};
use crate::text::{self, Text};
use crate::{views, work};

/// What the blocks are grouped by, by its name; `driver frame` is `frame`.
pub(crate) fn group_by(name: &str) -> Result<GroupBy, Failure> {
    let plain = name.to_ascii_lowercase().replace(['-', '_'], " ");
    let plain = if plain == "driver frame" { "frame" } else { &plain };
    GroupBy::ALL.into_iter().find(|by| by.name() == plain).ok_or_else(|| {
        let known = GroupBy::ALL.map(GroupBy::name).join(", ");
        Failure::usage(format!("by={name:?} is none of {known}"))
    })
}

/// What the widths of a flame graph are.
pub(crate) fn weight(name: &str) -> Result<Weight, Failure> {
    match name {
        "bytes" => Ok(Weight::Bytes),
        "count" => Ok(Weight::Count),
        _ => Err(Failure::usage(format!("weight={name:?} is neither \"bytes\" nor \"count\""))),
    }
}

/// The filters that `leaks()`, `flamegraph()`, `report()` and `diff()` take.
pub(crate) fn filter(
    driver: Option<String>,
    tag: Option<String>,
    min_size: Option<u64>,
    max_size: Option<u64>,
    pool_type: Option<&str>,
    skip: Option<&str>,
) -> Result<LeakFilter, Failure> {
    let pool = pool_type.map(|name| {
        let all = [PoolKind::Paged, PoolKind::NonPaged];
        all.into_iter().find(|kind| kind.name() == Some(name)).ok_or_else(|| {
            Failure::usage(format!("pool_type={name:?} is neither \"paged\" nor \"nonpaged\""))
        })
    });
    let skip = skip.map(|text| {
        text.parse::<NamePattern>().map_err(|why| Failure::usage(format!("skip={text:?}: {why}")))
    });
    let (pool, skip) = (pool.transpose()?, skip.transpose()?);
    Ok(LeakFilter { driver, tag, min_size, max_size, pool, skip })
}

/// The groups that a view shows.
fn leak_view(view: &LeaksView<'_>, kernel: &Kernel) -> Result<View, Error> {
    let leaks = view.leaks;
    let groups = view.split().0;
    let driver = |index: usize| leaks.drivers.get(index).map(|driver| driver.name.as_str());
    let stacks: Vec<Option<&[Va]>> = groups.iter().map(|group| group.frames(leaks)).collect();
    let all_frames: Vec<Va> = stacks.iter().flatten().copied().flatten().copied().collect();
    let of = |group: &verifier_core::analysis::Group| {
        group.blocks.iter().filter_map(|&index| leaks.blocks.get(index)).collect::<Vec<&Block>>()
    };
    let blocks: Vec<&Block> = groups.iter().flat_map(of).collect();
    let allocations: Vec<_> = blocks.iter().map(|block| &block.allocation).collect();
    let mut block = views::allocations(&allocations, kernel)?;
    block.extend([
        words("driver", blocks.iter().map(|block| leaks.driver(block))),
        maybe_words("pool", blocks.iter().map(|block| block.kind.name())),
        maybe_numbers("requested", blocks.iter().map(|block| block.requested())),
        maybe_addresses("thread", blocks.iter().map(|block| Some(block.made()?.thread))),
        maybe_small_numbers("slot", blocks.iter().map(|block| Some(block.made()?.slot))),
        maybe_words(
            "stack_source",
            blocks.iter().map(|block| block.stack_source.map(StackSource::name)),
        ),
    ]);
    let columns = vec![
        numbers("count", groups.iter().map(|group| group.blocks.len() as u64)),
        numbers("bytes", groups.iter().map(|group| group.bytes)),
        numbers("largest", groups.iter().map(|group| group.largest)),
        maybe_words("tag", groups.iter().map(|group| group.tag.map(|tag| tag.to_string()))),
        maybe_words("driver", groups.iter().map(|group| group.driver.and_then(driver))),
        words("label", groups.iter().map(|group| view.label(group))),
        maybe_lists(
            "stack",
            stacks.iter().map(|stack| stack.map(<[Va]>::len)),
            frames(all_frames, kernel)?,
        )?,
        maybe_words("why_no_stack", groups.iter().map(|group| view.why_no_stack(group))),
        maybe_words(
            "stack_source",
            groups.iter().map(|group| view.stack_source(group).map(StackSource::name)),
        ),
        lists(
            "allocations",
            groups.iter().map(|group| of(group).len()),
            structure("item", block, None),
        )?,
    ];
    View::new("leaks", "LeakGroup", columns, leaks.problems.clone())
}

/// The flame graph of outstanding allocations.
pub(crate) fn picture(found: &FilteredLeaks, weight: Weight) -> Result<Text, Failure> {
    let svg = found.view(GroupBy::Stack, None, |view| flame_graph(view, weight))?;
    Ok(Text::new("Picture", svg, &found.leaks.problems))
}

/// Outstanding allocations with the stacks that made them, in groups, the most bytes first.
#[pyclass(frozen, extends = Table, module = "verifier_py")]
pub(crate) struct Leaks {
    found: FilteredLeaks,
    by: GroupBy,
    omitted: (usize, Total),
}

impl Leaks {
    /// The table of the groups, and the rest.
    pub(crate) fn new(
        found: FilteredLeaks,
        by: GroupBy,
        top: Option<usize>,
        kernel: &Kernel,
    ) -> Result<(View, Self), Error> {
        let (view, omitted) = found.view(by, top, |view| {
            let (_, groups, total) = view.split();
            Ok::<_, Error>((leak_view(view, kernel)?, (groups, total)))
        })?;
        Ok((view, Self { found, by, omitted }))
    }

    fn text(
        &self,
        py: Python<'_>,
        by: GroupBy,
        top: Option<usize>,
        write: impl FnOnce(&mut dyn std::io::Write, &LeaksView<'_>) -> std::io::Result<()> + Send,
    ) -> PyResult<Text> {
        work::run(py, None, || {
            let mut out = Vec::new();
            self.found
                .view(by, top, |view| write(&mut out, view))
                .map_err(verifier_host::Error::from)?;
            Ok(Text::new("Text", out, &self.found.leaks.problems))
        })
    }
}

#[pymethods]
impl Leaks {
    /// What the allocations are grouped by.
    #[getter]
    fn by(&self) -> &'static str {
        self.by.name()
    }

    /// How many allocations have a stack, and why others have none.
    #[getter]
    fn coverage<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let leaks = &self.found.leaks;
        let coverage = leaks.coverage();
        let records = py.import("verifier_py._records")?;
        let without = coverage.without.iter().map(|&(why, Total { count, bytes })| {
            records.getattr("WithoutStack")?.call1((leaks.why(why), count, bytes))
        });
        records.getattr("Coverage")?.call1((
            coverage.all.count,
            coverage.with_stack.count,
            coverage.uncertain,
            coverage.all.bytes,
            coverage.with_stack.bytes,
            records.getattr("StackSources")?.call1((
                coverage.with_stack.count - coverage.from_tree.count,
                coverage.from_tree.count,
            ))?,
            PyTuple::new(py, without.collect::<PyResult<Vec<_>>>()?)?,
        ))
    }

    /// How far back the pool log reaches.
    #[getter]
    fn log<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let reach = self.found.leaks.reach;
        py.import("verifier_py._records")?.getattr("Reach")?.call1((
            reach.capacity,
            reach.written,
            reach.records,
            reach.missing,
        ))
    }

    /// How far the pool info tree was read; `None` where the kernel keeps none.
    #[getter]
    fn pool_info<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let class = py.import("verifier_py._records")?.getattr("TreeReach")?;
        let tree = self.found.leaks.tree;
        tree.map(|tree| class.call1((tree.blocks, tree.unread, tree.stacks))).transpose()
    }

    /// Groups that `top` left out.
    #[getter]
    fn omitted<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let (groups, Total { count, bytes }) = self.omitted;
        py.import("verifier_py._records")?.getattr("Omitted")?.call1((groups, count, bytes))
    }

    /// How many blocks the counters say that there are: more than were read where a damaged dump
    /// hides some. `None` where a filter but the driver is set.
    #[getter]
    fn counted(&self) -> Option<u64> {
        self.found.counted()
    }

    /// The groups as the command prints them; `top=None` has all.
    #[pyo3(signature = (*, top=20))]
    fn to_text(&self, py: Python<'_>, top: Option<usize>) -> PyResult<Text> {
        self.text(py, self.by, top, |out, view| write_leaks_text(out, view))
    }

    /// The groups as Markdown for a pull-request comment; `top=None` has all.
    #[pyo3(signature = (*, top=20))]
    fn to_markdown(&self, py: Python<'_>, top: Option<usize>) -> PyResult<Text> {
        self.text(py, self.by, top, |out, view| write_leaks_markdown(out, view))
    }

    /// Folded stacks, for flame graph viewers: one line a stack, weighing bytes or blocks.
    #[pyo3(signature = (*, weight="bytes"))]
    fn to_folded(&self, py: Python<'_>, weight: &str) -> PyResult<Text> {
        let weight = self::weight(weight)?;
        self.text(py, GroupBy::Stack, None, |out, view| write_leaks_folded(out, view, weight))
    }

    /// A flame graph as SVG: returned, or written to `path`.
    #[pyo3(signature = (path=None, *, weight="bytes"))]
    fn flamegraph(
        &self,
        py: Python<'_>,
        path: Option<PathBuf>,
        weight: &str,
    ) -> PyResult<Option<Text>> {
        let weight = self::weight(weight)?;
        if let Some(path) = &path {
            self.found.check_output(path).map_err(Failure::from)?;
        }
        let text = work::run(py, None, || picture(&self.found, weight))?;
        text::to_path(py, text, path)
    }
}

fn total(name: &str, totals: impl Iterator<Item = Total> + Clone) -> Column {
    let columns = vec![
        numbers("count", totals.clone().map(|total| total.count)),
        numbers("bytes", totals.map(|total| total.bytes)),
    ];
    structure(name, columns, None)
}

fn diff_view(view: &DiffView<'_>) -> Result<View, Error> {
    let groups = view.shown().0;
    let growth: Vec<(i64, i64)> = groups.iter().map(DiffGroup::clamped_growth).collect();
    let stacks = || groups.iter().map(|group| group.key.stack.as_deref());
    let block = |name, of: fn(&DiffGroup) -> &[Va]| {
        let items = groups.iter().flat_map(|group| of(group).iter().copied());
        lists(name, groups.iter().map(|group| of(group).len()), addresses("item", items))
    };
    let columns = vec![
        words("label", groups.iter().map(|group| &*group.label)),
        maybe_words("tag", groups.iter().map(|group| group.key.tag.map(|tag| tag.to_string()))),
        maybe_words("driver", groups.iter().map(|group| group.key.driver.as_deref())),
        maybe_lists(
            "stack",
            stacks().map(|stack| stack.map(<[_]>::len)),
            words("item", stacks().flatten().flatten()),
        )?,
        maybe_words("why_no_stack", groups.iter().map(|group| view.why(group))),
        numbers("merged", groups.iter().map(|group| group.merged as u64)),
        total("old", groups.iter().map(|group| group.old)),
        total("new", groups.iter().map(|group| group.new)),
        structure(
            "growth",
            vec![
                signed("count", growth.iter().map(|growth| growth.0)),
                signed("bytes", growth.iter().map(|growth| growth.1)),
            ],
            None,
        ),
        block("appeared", |group| &group.appeared)?,
        block("gone", |group| &group.gone)?,
    ];
    let both = [&view.old.problems, &view.new.problems];
    View::new("diff", "DiffGroup", columns, both.into_iter().flatten().cloned().collect())
}

/// What differs between two sessions: groups, the most growth first.
#[pyclass(frozen, extends = Table, module = "verifier_py")]
pub(crate) struct Diff {
    diff: CoreDiff,
    found: [FilteredLeaks; 2],
    omitted: usize,
}

impl Diff {
    /// The table of the groups, and the rest; `found` is of the earlier dump, and of the later one.
    pub(crate) fn new(
        diff: CoreDiff,
        found: [FilteredLeaks; 2],
        top: Option<usize>,
    ) -> Result<(View, Self), Error> {
        let this = Self { diff, found, omitted: 0 };
        let shown = this.view(top);
        let (table, omitted) = (diff_view(&shown)?, shown.shown().1);
        Ok((table, Self { omitted, ..this }))
    }

    fn view(&self, top: Option<usize>) -> DiffView<'_> {
        let [old, new] = &self.found;
        DiffView { diff: &self.diff, old: &old.leaks, new: &new.leaks, top }
    }

    fn text(
        &self,
        py: Python<'_>,
        top: Option<usize>,
        write: fn(&mut dyn std::io::Write, &DiffView<'_>) -> std::io::Result<()>,
    ) -> PyResult<Text> {
        work::run(py, None, || {
            let mut out = Vec::new();
            write(&mut out, &self.view(top)).map_err(verifier_host::Error::from)?;
            let found = self.found.iter().flat_map(|found| &found.leaks.problems);
            Ok(Text::new("Text", out, &found.cloned().collect::<Vec<Problem>>()))
        })
    }

    fn total<'py>(py: Python<'py>, total: Total) -> PyResult<Bound<'py, PyAny>> {
        py.import("verifier_py._records")?.getattr("Total")?.call1((total.count, total.bytes))
    }
}

#[pymethods]
impl Diff {
    /// What the allocations are grouped by.
    #[getter]
    fn by(&self) -> &'static str {
        self.diff.by.name()
    }

    /// True where both are of one boot: blocks are then matched by address, else groups by names.
    #[getter]
    fn same_boot(&self) -> bool {
        self.diff.boot.is_same
    }

    /// What says whether they are.
    #[getter]
    fn why(&self) -> &str {
        &self.diff.boot.why
    }

    /// All blocks of the earlier dump.
    #[getter]
    fn old<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Self::total(py, self.diff.old)
    }

    /// All blocks of the later dump.
    #[getter(new)]
    fn new_total<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Self::total(py, self.diff.new)
    }

    /// By how much the groups that grew did, together.
    #[getter]
    fn growth<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Self::total(py, self.diff.growth())
    }

    /// Groups that `top` left out.
    #[getter]
    fn omitted(&self) -> usize {
        self.omitted
    }

    /// Groups that hold what they held.
    #[getter]
    fn unchanged(&self) -> usize {
        self.diff.unchanged
    }

    /// Modules that both dumps have in different builds: their functions are matched, not the places in
    /// them.
    #[getter]
    fn rebuilt<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.diff.rebuilt.iter().map(|name| &**name))
    }

    /// What could not be read of the earlier dump; `problems` has both.
    #[getter]
    fn old_problems<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        problems(py, &self.found[0].leaks.problems)
    }

    /// What could not be read of the later dump; `problems` has both.
    #[getter]
    fn new_problems<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        problems(py, &self.found[1].leaks.problems)
    }

    /// The groups as the command prints them; `top=None` has all.
    #[pyo3(signature = (*, top=20))]
    fn to_text(&self, py: Python<'_>, top: Option<usize>) -> PyResult<Text> {
        self.text(py, top, |out, view| write_diff_text(out, view))
    }

    /// The groups as Markdown for a pull-request comment; `top=None` has all.
    #[pyo3(signature = (*, top=20))]
    fn to_markdown(&self, py: Python<'_>, top: Option<usize>) -> PyResult<Text> {
        self.text(py, top, |out, view| write_diff_markdown(out, view))
    }
}
