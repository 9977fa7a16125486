//! What was carved, as JSON and CSV: the documents of `pool --carve` and `log pool --carve`.

use std::io;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::csv::{Csv, inert, name, write_table};
use super::json::{Seq, Verdict, rows, write_json};
use super::names::Names;
use super::pool::AllocationDoc;
use crate::addr::{Pa, Va};
use crate::analysis::Comparison;
use crate::error::Problem;
use crate::verifier::log::{CarvedLog, CarvedRow};
use crate::verifier::{CarvedAllocation, CarvedOwner, CarvedPage, CarvedPool};

/// The word in `source`.
const SOURCE: &str = "carved";

fn physical(pa: Option<Pa>) -> Option<String> {
    pa.map(|pa| pa.to_string())
}

struct PageDoc(CarvedPage);

impl Serialize for PageDoc {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("physical", &physical(self.0.pa))?;
        map.serialize_entry("address", &self.0.va)?;
        map.end()
    }
}

struct CarvedDoc<'a>(&'a CarvedOwner, &'a CarvedAllocation, &'a Names<'a>);

impl Serialize for CarvedDoc<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(owner, allocation, names) = self;
        let page = owner.pages.get(allocation.page);
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("address", &allocation.address)?;
        map.serialize_entry("size", &allocation.size)?;
        map.serialize_entry("tag", &allocation.tag.to_string())?;
        map.serialize_entry("caller", &allocation.caller)?;
        map.serialize_entry("caller_symbol", &names.get(allocation.caller).as_deref())?;
        map.serialize_entry("source", SOURCE)?;
        map.serialize_entry("physical_page", &page.and_then(|page| physical(page.pa)))?;
        map.serialize_entry("slot", &allocation.slot)?;
        map.serialize_entry("entry", &allocation.entry)?;
        map.end()
    }
}

/// Writes the `pool --carve` document. `comparison` is the check against the lists, or why there is none.
///
/// # Errors
/// Those of the writer.
pub fn write_carved_pool_json(
    out: &mut dyn io::Write,
    carved: &CarvedPool,
    comparison: Result<&Comparison, &str>,
    names: &Names<'_>,
) -> io::Result<()> {
    #[derive(Serialize)]
    struct Doc<'a, T: Serialize, C: Serialize> {
        source: &'static str,
        pages_looked_at: u64,
        drivers: T,
        comparison: Option<C>,
        why_not_compared: Option<&'a str>,
        #[serde(flatten)]
        verdict: Verdict<Vec<&'a Problem>>,
    }
    #[derive(Serialize)]
    struct OwnerDoc<'a, P: Serialize, T: Serialize> {
        name: Option<&'a str>,
        owner: Va,
        is_signed: bool,
        pages: P,
        allocations: T,
    }
    #[derive(Serialize)]
    struct ComparisonDoc<L: Serialize, C: Serialize> {
        both: usize,
        only_listed: L,
        only_carved: C,
    }
    #[derive(Serialize)]
    struct ListedDoc<'a> {
        driver: &'a str,
        #[serde(flatten)]
        allocation: AllocationDoc<'a>,
    }
    let drivers = Seq(|| {
        carved.owners.iter().map(|owner| OwnerDoc {
            name: owner.name.as_deref(),
            owner: owner.address,
            is_signed: owner.is_signed,
            pages: Seq(|| owner.pages.iter().map(|&page| PageDoc(page))),
            allocations: Seq(|| owner.allocations.iter().map(|a| CarvedDoc(owner, a, names))),
        })
    });
    let compared = comparison.ok().map(|comparison| ComparisonDoc {
        both: comparison.both,
        only_listed: Seq(|| {
            comparison.only_listed.iter().map(|(driver, allocation)| ListedDoc {
                driver,
                allocation: AllocationDoc(allocation, names),
            })
        }),
        only_carved: Seq(|| {
            comparison.only_carved.iter().filter_map(|&(owner, allocation)| {
                let owner = carved.owners.get(owner)?;
                Some(CarvedDoc(owner, owner.allocations.get(allocation)?, names))
            })
        }),
    });
    write_json(
        out,
        &Doc {
            source: SOURCE,
            pages_looked_at: carved.pages_looked_at,
            drivers,
            comparison: compared,
            why_not_compared: comparison.err(),
            verdict: Verdict::of(&carved.problems),
        },
    )
}

/// Writes carved allocations, one a row.
///
/// # Errors
/// Those of the writer.
pub fn write_carved_pool_csv(
    out: &mut dyn io::Write,
    carved: &CarvedPool,
    names: &Names<'_>,
) -> io::Result<()> {
    let mut csv = Csv::new(
        out,
        &carved.problems,
        [
            "driver",
            "owner",
            "address",
            "size",
            "tag",
            "caller",
            "caller_symbol",
            "source",
            "entry",
            "physical_page",
            "slot",
        ],
    )?;
    for owner in &carved.owners {
        for allocation in &owner.allocations {
            let page = owner.pages.get(allocation.page);
            csv.row([
                &*inert(owner.name.as_deref().unwrap_or_default()),
                &owner.address.to_string(),
                &allocation.address.to_string(),
                &allocation.size.to_string(),
                &inert(&allocation.tag.to_string()),
                &allocation.caller.to_string(),
                &name(names, allocation.caller),
                SOURCE,
                &allocation.entry.map(|entry| entry.to_string()).unwrap_or_default(),
                &page.and_then(|page| physical(page.pa)).unwrap_or_default(),
                &allocation.slot.to_string(),
            ])?;
        }
    }
    csv.end()
}

/// Writes the `log pool --carve` document.
///
/// # Errors
/// Those of the writer.
pub fn write_carved_log_json(
    out: &mut dyn io::Write,
    log: &CarvedLog,
    names: &Names<'_>,
) -> io::Result<()> {
    #[derive(Serialize)]
    struct Doc<'a, T: Serialize> {
        kind: &'static str,
        source: &'static str,
        order: &'static str,
        pages_looked_at: u64,
        pages: usize,
        entries: T,
        #[serde(flatten)]
        verdict: Verdict<Vec<&'a Problem>>,
    }
    let table = CarvedRow::TABLE;
    let entries = rows(&table, log.rows(), names);
    write_json(
        out,
        &Doc {
            kind: "pool",
            source: SOURCE,
            order: "unknown",
            pages_looked_at: log.pages_looked_at,
            pages: log.pages,
            entries,
            verdict: Verdict::of(&log.problems),
        },
    )
}

/// Writes carved records, one a row, in no order of time.
///
/// # Errors
/// Those of the writer.
pub fn write_carved_log_csv(
    out: &mut dyn io::Write,
    log: &CarvedLog,
    names: &Names<'_>,
) -> io::Result<()> {
    write_table(out, &log.problems, &CarvedRow::TABLE, log.rows(), Some(names))
}
