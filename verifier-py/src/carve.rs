//! `pool(carve=True)` and `log("pool", carve=True)`: what was found without lists, as columns.

use std::ops::Range;

use pyo3::prelude::*;
use pyo3::types::PyDict;
use serde::Serialize;
use verifier_core::kernel::Kernel;
use verifier_core::verifier::log::CarvedRow;
use verifier_core::verifier::{Allocation, CarvedAllocation, CarvedOwner, CarvedPage};
use verifier_core::{Completeness, Error, Problem, Va};
use verifier_host::Session;

use crate::arrow::{addresses, bools, maybe_addresses, maybe_words, numbers, symbols, words};
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
                let listed: Vec<(&str, &Allocation)> =
                    found.only_listed.iter().map(|(name, one)| (name.as_str(), one)).collect();
                let answer = Completeness::of(&carved.problems);
                let only_listed = views::listed("only listed", &listed, kernel, Vec::new())?;
                let only = |&(owner, index): &(usize, usize)| {
                    let owner = carved.owners.get(owner)?;
                    Some((owner, owner.allocations.get(index)?))
                };
                let rows: Vec<_> = found.only_carved.iter().filter_map(only).collect();
                let only_carved = view("only carved", &rows, kernel, Vec::new())?;
                Ok((found.both, only_listed.part_of(answer.clone()), only_carved.part_of(answer)))
            }
        };
        let rows: Vec<_> = carved
            .owners
            .iter()
            .flat_map(|owner| owner.allocations.iter().map(move |one| (owner, one)))
            .collect();
        Ok(Self { view: view("carved pool", &rows, kernel, carved.problems)?, facts, comparison })
    }
}

fn view(
    name: &str,
    rows: &[(&CarvedOwner, &CarvedAllocation)],
    kernel: &Kernel,
    problems: Vec<Problem>,
) -> Result<View, Error> {
    let callers: Vec<Va> = rows.iter().map(|(_, one)| one.caller).collect();
    let page = |(owner, one): &(&CarvedOwner, &CarvedAllocation)| {
        owner.pages.get(one.page).and_then(|page| page.pa).map(|pa| Va(pa.0))
    };
    let columns = vec![
        maybe_words("driver", rows.iter().map(|(owner, _)| owner.name.as_deref())),
        addresses("owner", rows.iter().map(|(owner, _)| owner.address)),
        bools("is_signed", rows.iter().map(|(owner, _)| owner.is_signed)),
        addresses("address", rows.iter().map(|(_, one)| one.address)),
        numbers("size", rows.iter().map(|(_, one)| one.size)),
        words("tag", rows.iter().map(|(_, one)| one.tag.to_string())),
        addresses("caller", callers.iter().copied()),
        symbols("caller_symbol", &callers, kernel)?,
        words("source", rows.iter().map(|_| SOURCE)),
        // A physical address, and read in hexadecimal like any other.
        maybe_addresses("physical_page", rows.iter().map(page)),
        numbers("slot", rows.iter().map(|(_, one)| one.slot as u64)),
        maybe_addresses("entry", rows.iter().map(|(_, one)| one.entry)),
    ];
    View::new(name, "CarvedAllocation", columns, problems)
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
