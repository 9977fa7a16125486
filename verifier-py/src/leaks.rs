//! `leaks()`: groups as columns, and the class around them.

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use verifier_core::analysis::{GroupBy, LeakKey, PoolKind, Total};
use verifier_core::kernel::Kernel;
use verifier_core::render::rows::{BlockRow, LeakGroup};
use verifier_core::render::{
    LeaksView, Omitted, Weight, write_leaks_folded, write_leaks_github, write_leaks_junit,
    write_leaks_markdown, write_leaks_sarif, write_leaks_text,
};
use verifier_core::{Error, Va};
use verifier_host::{
    FilteredLeaks, IgnorePattern, LeakFilter, NamePattern, OutputKind, Session, flame_graph,
    read_baseline,
};

use crate::arrow::{columns, lists, structure};
use crate::errors::Failure;
use crate::table::{Table, View};
use crate::text::{self, Text};
use crate::work;

/// What the blocks are grouped by, by its name; `driver frame` is `frame`.
pub(crate) fn group_by(name: &str) -> Result<GroupBy, Failure> {
    let plain = name.to_ascii_lowercase().replace([' ', '_'], "-");
    let plain = if plain == "driver-frame" { "frame" } else { &plain };
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
    ignore: Option<Vec<String>>,
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
    let ignore = ignore.unwrap_or_default().into_iter().map(|text| {
        let pattern = text.parse::<IgnorePattern>();
        pattern.map_err(|why| Failure::usage(format!("ignore={text:?}: {why}")))
    });
    let ignore = ignore.collect::<Result<_, _>>()?;
    let (pool, skip) = (pool.transpose()?, skip.transpose()?);
    Ok(LeakFilter { driver, tag, min_size, max_size, pool, skip, ignore })
}

/// The groups that a view shows.
fn leak_view(view: &LeaksView<'_>, kernel: &Kernel) -> Result<View, Error> {
    let leaks = view.leaks;
    let groups: Vec<LeakGroup<'_>> = view.iter().collect();
    let blocks: Vec<BlockRow<'_>> = groups.iter().flat_map(LeakGroup::block_rows).collect();
    let block = structure("item", columns(&BlockRow::block_table(), &blocks, kernel)?, None);
    let mut columns = columns(&LeakGroup::TABLE, &groups, kernel)?;
    let lengths = groups.iter().map(|group| group.members().count());
    columns.push(lists("allocations", lengths, block)?);
    let table = View::new("leaks", LeakGroup::TABLE.name, columns, leaks.problems.clone())?;
    Ok(table.part_of(leaks.completeness()))
}

/// The allocations that `filter` leaves, whose problems say which symbols are missing.
pub(crate) fn find(host: &Session, filter: LeakFilter) -> Result<FilteredLeaks, Failure> {
    Ok(host.leaks(filter)?)
}

/// The same, with those marked that a baseline knows.
pub(crate) fn find_known(
    host: &Session,
    filter: LeakFilter,
    baseline: Option<text::Path>,
) -> Result<FilteredLeaks, Failure> {
    let known = baseline.as_ref().map(|text::Path(path)| read_baseline(path)).transpose()?;
    let mut found = find(host, filter)?;
    if let (Some(known), Some(text::Path(path))) = (known, baseline) {
        found.apply_baseline(&known, Some(path.display().to_string()));
    }
    Ok(found)
}

/// The flame graph of outstanding allocations.
pub(crate) fn picture(
    found: &FilteredLeaks,
    weight: Weight,
    inverted: bool,
) -> Result<Text, Failure> {
    let svg = flame_graph(&found.by(GroupBy::StackAndTag), weight, inverted)?;
    let picture = Text::new("Picture", svg, &found.leaks.problems);
    Ok(picture.part_of(found.leaks.completeness()))
}

/// Outstanding allocations with the stacks that made them, in groups, the most bytes first.
///
/// It keeps all blocks for its texts and its flame graph. A slice is a plain table of its groups, and so is
/// `Table(leaks)`, which can be pickled.
#[pyclass(frozen, extends = Table, module = "verifier_py")]
pub(crate) struct Leaks {
    found: FilteredLeaks,
    by: GroupBy,
    omitted: Omitted,
}

impl Leaks {
    /// The table of the groups, and the rest.
    pub(crate) fn new(
        found: FilteredLeaks,
        by: GroupBy,
        top: Option<usize>,
        kernel: &Kernel,
    ) -> Result<(View, Self), Error> {
        let shown = found.by(by).with_top(top);
        let (view, omitted) = (leak_view(&shown, kernel)?, shown.omitted());
        drop(shown);
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
            let text = Text::write("Text", |out| {
                write(out, &self.found.by(by).with_top(top)).map_err(verifier_host::Error::from)?;
                Ok(self.found.leaks.problems.clone())
            })?;
            Ok(text.part_of(self.found.leaks.completeness()))
        })
    }
}

/// The filter of allocations, as Python's record.
pub(crate) fn filter_of<'py>(
    py: Python<'py>,
    found: &FilteredLeaks,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    let Some(filter) = &found.leaks.filter else { return Ok(None) };
    let class = py.import("verifier_py._records")?.getattr("Ignored")?;
    let ignored = filter
        .ignored
        .iter()
        .map(|one| class.call1((&one.pattern, one.total.count, one.total.bytes)));
    let ignored = PyTuple::new(py, ignored.collect::<PyResult<Vec<_>>>()?)?;
    let fields = (
        filter.driver.as_deref(),
        filter.tag.as_deref(),
        filter.min_size,
        filter.max_size,
        filter.pool.and_then(PoolKind::name),
        filter.skip.as_deref(),
        filter.all.count,
        filter.all.bytes,
        filter.undetermined,
        filter.stacks_skipped,
        filter.stacks,
        ignored,
    );
    py.import("verifier_py._records")?.getattr("Filter")?.call1(fields).map(Some)
}

/// The error for pickling a result that keeps more than its rows.
pub(crate) fn no_pickle(class: &str) -> PyErr {
    PyTypeError::new_err(format!(
        "{class} keep the blocks of a session and cannot be pickled or copied; a slice of it, or \
         Table() of it, can"
    ))
}

#[pymethods]
impl Leaks {
    fn __reduce__(&self) -> PyResult<()> {
        Err(no_pickle("leaks"))
    }

    /// How the allocations are grouped.
    #[getter]
    fn by(&self) -> &'static str {
        self.by.name()
    }

    /// The filter; `None` if there is none.
    #[getter]
    fn filter<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        filter_of(py, &self.found)
    }

    /// What the baseline says about the blocks; `None` if there is none.
    #[getter]
    fn baseline<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let Some(found) = &self.found.leaks.baseline else { return Ok(None) };
        let records = py.import("verifier_py._records")?;
        let total = |total: Total| records.getattr("Total")?.call1((total.count, total.bytes));
        let known = |(key, total): &(LeakKey, Total)| {
            let LeakKey { driver, function, tag } = key;
            let names = (&**driver, function.as_deref(), tag.as_deref());
            records.getattr("KnownLeak")?.call1((
                names.0,
                names.1,
                names.2,
                total.count,
                total.bytes,
            ))
        };
        let gone = found
            .gone
            .as_ref()
            .map(|gone| PyTuple::new(py, gone.iter().map(known).collect::<PyResult<Vec<_>>>()?));
        let fields =
            (found.file.as_deref(), total(found.known)?, total(found.new)?, gone.transpose()?);
        records.getattr("KnownLeaks")?.call1(fields).map(Some)
    }

    /// Writes the leaks to a file, as known ones for the `baseline` of a later dump.
    fn write_baseline(&self, py: Python<'_>, path: text::Path) -> PyResult<()> {
        work::run(py, None, || Ok(self.found.write_baseline(&path.0)?))
    }

    /// How much is outstanding, who holds it, and which function made most of it.
    #[getter]
    fn summary<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let view = self.found.by(self.by);
        let records = py.import("verifier_py._records")?;
        let class = |name: &str| records.getattr(name);
        let all = view.summary.all;
        let drivers = view.summary.drivers.iter().map(|&(driver, Total { count, bytes })| {
            let name = view.leaks.drivers.get(driver).map_or("", |driver| &driver.name);
            class("DriverTotal")?.call1((name, count, bytes))
        });
        let drivers = PyTuple::new(py, drivers.collect::<PyResult<Vec<_>>>()?)?;
        let name =
            |va: Va| view.names.get(va).map_or_else(|| va.to_string(), |name| name.to_string());
        let worst = view.summary.worst.map(|worst| {
            let site = view.names.source(worst.site);
            let place = site.as_ref().map(|site| site.innermost());
            let Total { count, bytes } = worst.at_site;
            let (file, line) =
                (place.map(|(file, _)| file.to_string()), place.map(|(_, line)| line));
            let line = class("LineOfCode")?.call1((name(worst.site), file, line, count, bytes))?;
            let Total { count, bytes } = worst.total;
            class("Worst")?.call1((name(worst.function), count, bytes, line))
        });
        let total = class("Total")?.call1((all.count, all.bytes))?;
        class("Summary")?.call1((total, drivers, worst.transpose()?))
    }

    /// The number of allocations with a stack, and why others have none.
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
            records
                .getattr("StackSources")?
                .call1((coverage.from_log(), coverage.from_tree.count))?,
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

    /// How far the pool info tree was read; `None` if the kernel does not keep one.
    #[getter]
    fn pool_info<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let class = py.import("verifier_py._records")?.getattr("TreeReach")?;
        let tree = self.found.leaks.tree;
        tree.map(|tree| class.call1((tree.blocks, tree.unread, tree.stacks))).transpose()
    }

    /// The driver that was unloaded before it freed its memory, if bug check 0xC4/0x62 says so.
    #[getter]
    fn unload_leak<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let Some(leak) = &self.found.leaks.unload_leak else { return Ok(None) };
        let class = py.import("verifier_py._records")?.getattr("UnloadLeak")?;
        let count = leak.allocations.len();
        class
            .call1((&leak.driver, leak.verified_data.0, leak.counted, count, leak.bytes()))
            .map(Some)
    }

    /// Groups that `top` left out.
    #[getter]
    fn omitted<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let Omitted { groups, total: Total { count, bytes }, .. } = self.omitted;
        py.import("verifier_py._records")?.getattr("Omitted")?.call1((groups, count, bytes))
    }

    /// The number of blocks by the counters: larger than the number of blocks that were read, if damage hides
    /// some. `None` if a filter other than the driver is set.
    #[getter]
    fn counted(&self) -> Option<u64> {
        self.found.counted()
    }

    /// All blocks as one flat table, each with its own stack, file and line; `top` does not limit it.
    fn blocks(&self, py: Python<'_>) -> PyResult<Table> {
        let view = work::run(py, None, || {
            let (view, leaks) = (self.found.by(GroupBy::Driver), &self.found.leaks);
            let rows: Vec<BlockRow<'_>> = view.block_rows().collect();
            let table = BlockRow::flat_table();
            let columns = columns(&table, &rows, self.found.kernel())?;
            let blocks = View::new("blocks", table.name, columns, leaks.problems.clone())?;
            Ok(blocks.part_of(leaks.completeness()))
        })?;
        Ok(Table::from(view))
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

    /// The groups as SARIF 2.1.0, for code hosts; `top=None` has all.
    #[pyo3(signature = (*, top=None))]
    fn to_sarif(&self, py: Python<'_>, top: Option<usize>) -> PyResult<Text> {
        self.text(py, self.by, top, |out, view| write_leaks_sarif(out, view))
    }

    /// The groups as a JUnit report, for build servers; `top=None` has all.
    #[pyo3(signature = (*, top=None))]
    fn to_junit(&self, py: Python<'_>, top: Option<usize>) -> PyResult<Text> {
        self.text(py, self.by, top, |out, view| write_leaks_junit(out, view))
    }

    /// The groups as annotations of a GitHub workflow, one line each; `top=None` has all.
    #[pyo3(signature = (*, top=10))]
    fn to_github(&self, py: Python<'_>, top: Option<usize>) -> PyResult<Text> {
        self.text(py, self.by, top, |out, view| write_leaks_github(out, view))
    }

    /// Folded stacks, for flame graph viewers: one line for each stack, weighted by bytes or blocks.
    #[pyo3(signature = (*, weight="bytes"))]
    fn to_folded(&self, py: Python<'_>, weight: &str) -> PyResult<Text> {
        let weight = self::weight(weight)?;
        self.text(py, GroupBy::StackAndTag, None, |out, view| write_leaks_folded(out, view, weight))
    }

    /// A flame graph as SVG; inverted, it is merged from the frames that allocated. With `path` it is written
    /// there, and the problems are returned.
    #[pyo3(signature = (path=None, *, weight="bytes", inverted=false, force=false))]
    fn flamegraph<'py>(
        &self,
        py: Python<'py>,
        path: Option<text::Path>,
        weight: &str,
        inverted: bool,
        force: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        let weight = self::weight(weight)?;
        if let Some(text::Path(path)) = &path {
            let kind = OutputKind::FlameGraph;
            self.found.check_output(path, kind, force).map_err(Failure::from)?;
        }
        let text = work::run(py, None, || picture(&self.found, weight, inverted))?;
        text::to_path(py, text, path)
    }
}
