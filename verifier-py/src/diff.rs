//! `diff()`: what differs between two sessions, as columns, and the class around them.

use pyo3::prelude::*;
use pyo3::types::PyTuple;
use verifier_core::analysis::{Boot, Diff as CoreDiff, Total};
use verifier_core::kernel::Kernel;
use verifier_core::render::rows::DiffRow;
use verifier_core::render::{DiffView, write_diff_markdown, write_diff_text};
use verifier_core::{Error, Problem};
use verifier_host::{FilteredLeaks, compare_boots};

use crate::answer::problems;
use crate::arrow::columns;
use crate::errors::Failure;
use crate::leaks::{self, no_pickle};
use crate::session::Session;
use crate::table::{Table, View};
use crate::text::Text;
use crate::work;

fn diff_view(view: &DiffView<'_>, kernel: &Kernel) -> Result<View, Error> {
    let rows: Vec<DiffRow<'_>> = view.rows().collect();
    let columns = columns(&DiffRow::TABLE, &rows, kernel)?;
    let both = [&view.old.problems, &view.new.problems];
    let problems = both.into_iter().flatten().cloned().collect();
    // Its reasons say of which dump they are.
    Ok(View::new("diff", DiffRow::TABLE.name, columns, problems)?.part_of(view.completeness()))
}

/// The differences between two sessions: groups, those with the most growth first.
///
/// It keeps the blocks of both for its texts. A slice is a plain table of its groups, and so is
/// `Table(diff)`, which can be pickled.
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
        kernel: &Kernel,
    ) -> Result<(View, Self), Error> {
        let this = Self { diff, found, omitted: 0 };
        let shown = this.view(top);
        let (table, omitted) = (diff_view(&shown, kernel)?, shown.shown().1);
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
            let view = self.view(top);
            let text = Text::write("Text", |out| {
                write(out, &view).map_err(verifier_host::Error::from)?;
                let found = self.found.iter().flat_map(|found| &found.leaks.problems);
                Ok(found.cloned().collect::<Vec<Problem>>())
            })?;
            Ok(text.part_of(view.completeness()))
        })
    }

    fn total<'py>(py: Python<'py>, total: Total) -> PyResult<Bound<'py, PyAny>> {
        py.import("verifier_py._records")?.getattr("Total")?.call1((total.count, total.bytes))
    }
}

#[pymethods]
impl Diff {
    fn __reduce__(&self) -> PyResult<()> {
        Err(no_pickle("the groups of a diff"))
    }

    /// How the allocations are grouped.
    #[getter]
    fn by(&self) -> &'static str {
        self.diff.by.name()
    }

    /// True if both are of one boot: blocks are then matched by address, else groups by names.
    #[getter]
    fn same_boot(&self) -> bool {
        self.diff.boot.is_same
    }

    /// The reason for `same_boot`.
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

    /// The total growth of the groups that grew.
    #[getter]
    fn growth<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        Self::total(py, self.diff.growth())
    }

    /// Groups that `top` left out.
    #[getter]
    fn omitted(&self) -> usize {
        self.omitted
    }

    /// Groups that did not change.
    #[getter]
    fn unchanged(&self) -> usize {
        self.diff.unchanged.len()
    }

    /// Modules of which the dumps have different builds: their functions are matched without offsets.
    #[getter]
    fn rebuilt<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        PyTuple::new(py, self.diff.rebuilt.iter().map(|name| &**name))
    }

    /// The number of blocks of the earlier dump that have a stack.
    #[getter]
    fn old_with_stack(&self) -> u64 {
        self.found[0].leaks.coverage().with_stack.count
    }

    /// The number of blocks of the later dump that have a stack.
    #[getter]
    fn new_with_stack(&self) -> u64 {
        self.found[1].leaks.coverage().with_stack.count
    }

    /// The filter of the earlier dump; `None` if there is none.
    #[getter]
    fn old_filter<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        leaks::filter_of(py, &self.found[0])
    }

    /// The filter of the later dump; `None` if there is none.
    #[getter]
    fn new_filter<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        leaks::filter_of(py, &self.found[1])
    }

    /// The problems of the earlier dump; `problems` has those of both dumps.
    #[getter]
    fn old_problems<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        problems(py, &self.found[0].leaks.problems)
    }

    /// The problems of the later dump; `problems` has those of both dumps.
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

/// Compares two sessions: groups of outstanding allocations, those with the most growth first.
///
/// old, new: the earlier and the later session.
/// by: how the blocks are grouped: `stack`, `frame`, `function`, `caller`, `tag`, `driver` or `size`.
/// boot: whether both are of one boot: `same`, `other`, or `auto`, which compares their headers and module
///     addresses. Blocks of one boot are matched by address, else groups by names.
/// driver, tag, min_size, max_size, pool_type, skip, ignore: as in `Session.leaks`.
/// top: the number of groups; default: all.
#[pyfunction]
#[pyo3(signature = (
    old,
    new,
    by="stack-and-tag",
    *,
    boot="auto",
    driver=None,
    tag=None,
    min_size=None,
    max_size=None,
    pool_type=None,
    skip=None,
    ignore=None,
    top=None,
))]
#[allow(clippy::too_many_arguments)]
pub(crate) fn diff(
    py: Python<'_>,
    old: &Bound<'_, Session>,
    new: &Bound<'_, Session>,
    by: &str,
    boot: &str,
    driver: Option<String>,
    tag: Option<String>,
    min_size: Option<u64>,
    max_size: Option<u64>,
    pool_type: Option<&str>,
    skip: Option<&str>,
    ignore: Option<Vec<String>>,
    top: Option<usize>,
) -> PyResult<Py<Diff>> {
    let by = leaks::group_by(by)?;
    let filter = leaks::filter(driver, tag, min_size, max_size, pool_type, skip, ignore)?;
    let given = |is_same| Some(Boot { is_same, why: format!("boot={boot:?}") });
    let boot = match boot {
        "auto" => None,
        "same" => given(true),
        "other" => given(false),
        _ => {
            let text = format!("boot={boot:?} is none of \"auto\", \"same\", \"other\"");
            return Err(Failure::usage(text).into());
        }
    };
    let find = |session: &Session| {
        let filter = filter.clone();
        session.view(py, |host, _| leaks::find(host, filter))
    };
    let (old, new) = (old.get(), new.get());
    let found = [find(old)?, find(new)?];
    let (view, diff) = new.view(py, |host, kernel| {
        let boot = match boot {
            Some(boot) => boot,
            None => compare_boots(old.host(), host)?,
        };
        let diff = found[1].since(&found[0], by, boot);
        Ok(Diff::new(diff, found, top, kernel)?)
    })?;
    Py::new(py, PyClassInitializer::from(Table::from(view)).add_subclass(diff))
}
