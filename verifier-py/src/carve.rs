//! `pool(carve=True)` and `log("pool", carve=True)`: what was found without lists, as columns.

use std::ops::Range;

use pyo3::prelude::*;
use pyo3::types::PyDict;
use serde::Serialize;
use verifier_core::kernel::Kernel;
use verifier_core::render::rows::{
    AllocationRow, CarvedAllocationRow, CarvedRow, carved_allocation_rows,
};
use verifier_core::verifier::CarvedPage;
use verifier_core::{Completeness, Va};
use verifier_host::Session;

use crate::document::Value;
use crate::errors::Failure;
use crate::table::{Described, Table, View};
use crate::views;

/// The word in `source`.
const SOURCE: &str = "carved";

/// The range that was asked for.
pub(crate) fn range(range: Option<(u64, u64)>) -> Result<Option<Range<Va>>, Failure> {
    match range {
        Some((start, end)) if start >= end => {
            Err(Failure::usage(format!("range=({start:#x}, {end:#x}) holds nothing")))
        }
        range => Ok(range.map(|(start, end)| Va(start)..Va(end))),
    }
}

/// What carving the pool gives, on its way to Python.
pub(crate) struct Pool {
    view: View,
    facts: Value,
    /// Tables of what one way finds and the other does not, and how many allocations both have.
    comparison: Result<(usize, View, View), String>,
}

#[derive(Serialize)]
struct OwnerFacts<'a> {
    name: Option<&'a str>,
    owner: Va,
    is_signed: bool,
    pages: Vec<PageFacts>,
}

#[derive(Serialize)]
struct PageFacts {
    physical: Option<u64>,
    address: Option<Va>,
}

#[derive(Serialize)]
struct PoolFacts<'a> {
    source: &'static str,
    pages_looked_at: u64,
    owners: Vec<OwnerFacts<'a>>,
    why_not_compared: Option<&'a str>,
}

#[derive(Serialize)]
struct LogFacts {
    kind: &'static str,
    source: &'static str,
    order: &'static str,
    pages_looked_at: u64,
    pages: usize,
}

impl Pool {
    pub(crate) fn read(
        host: &Session,
        kernel: &Kernel,
        range: Option<&Range<Va>>,
        driver: Option<&str>,
    ) -> Result<Self, Failure> {
        let (carved, comparison) = host.carve_pool(range, driver)?;
        let pages =
            |page: &CarvedPage| PageFacts { physical: page.pa.map(|pa| pa.0), address: page.va };
        let owners = carved.owners.iter().map(|owner| OwnerFacts {
            name: owner.name.as_deref(),
            owner: owner.address,
            is_signed: owner.is_signed,
            pages: owner.pages.iter().map(pages).collect(),
        });
        let facts = Value::of(&PoolFacts {
            source: SOURCE,
            pages_looked_at: carved.pages_looked_at,
            owners: owners.collect(),
            why_not_compared: comparison.as_ref().err().map(String::as_str),
        })?;
        let comparison = match comparison {
            Err(why) => Err(why),
            Ok(found) => {
                let answer = Completeness::of(&carved.problems);
                let listed = found.only_listed.iter().map(|(driver, allocation)| AllocationRow {
                    allocation,
                    of: Some(driver.as_str()),
                });
                let only_listed = views::described(
                    "only listed",
                    &AllocationRow::table(),
                    listed,
                    kernel,
                    Vec::new(),
                )?;
                let only = |&(owner, index): &(usize, usize)| {
                    let owner = carved.owners.get(owner)?;
                    Some(CarvedAllocationRow { owner, allocation: owner.allocations.get(index)? })
                };
                let rows = found.only_carved.iter().filter_map(only);
                let table = CarvedAllocationRow::TABLE;
                let only_carved =
                    views::described("only carved", &table, rows, kernel, Vec::new())?;
                Ok((found.both, only_listed.part_of(answer.clone()), only_carved.part_of(answer)))
            }
        };
        let (table, rows) = (CarvedAllocationRow::TABLE, carved_allocation_rows(&carved));
        let problems = carved.problems.clone();
        let view = views::described("carved pool", &table, rows, kernel, problems)?;
        Ok(Self { view, facts, comparison })
    }
}

impl<'py> IntoPyObject<'py> for Pool {
    type Target = PyAny;
    type Output = Bound<'py, PyAny>;
    type Error = PyErr;

    fn into_pyobject(self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let facts = self.facts.into_pyobject(py)?.cast_into::<PyDict>()?;
        let comparison = match self.comparison {
            Ok((both, listed, carved)) => {
                let class = py.import("verifier_py._records")?.getattr("Comparison")?;
                let (listed, carved) =
                    (Py::new(py, Table::from(listed))?, Py::new(py, Table::from(carved))?);
                Some(class.call1((both, listed, carved))?)
            }
            Err(_) => None,
        };
        facts.set_item("comparison", comparison)?;
        let class = py.import("verifier_py._tables")?.getattr("CarvedPool")?;
        class.call((Py::new(py, Table::from(self.view))?,), Some(&facts))
    }
}

/// `log("pool", carve=True)`
pub(crate) fn log(
    host: &Session,
    kernel: &Kernel,
    range: Option<&Range<Va>>,
    address: Option<Va>,
) -> Result<Described, Failure> {
    let mut log = host.carve_pool_log(range, address)?;
    let facts = LogFacts {
        kind: "pool",
        source: SOURCE,
        order: "unknown",
        pages_looked_at: log.pages_looked_at,
        pages: log.pages,
    };
    let problems = std::mem::take(&mut log.problems);
    let view =
        views::described("carved pool log", &CarvedRow::TABLE, log.rows(), kernel, problems)?;
    Ok(Described::new(view, "CarvedLog", &facts)?)
}
