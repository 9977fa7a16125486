//! Outstanding allocations, as JSON and CSV.

use std::io;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::csv::{Csv, inert, name};
use super::json::{Seq, Verdict, write_json};
use super::names::Names;
use crate::error::Problem;
use crate::verifier::{Allocation, AttributedBy, Impossible, PoolInfo, PoolReport};

pub(super) struct AllocationDoc<'a>(pub(super) &'a Allocation, pub(super) &'a Names<'a>);

impl Serialize for AllocationDoc<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(allocation, names) = self;
        let mut map = serializer.serialize_map(Some(8))?;
        map.serialize_entry("address", &allocation.address)?;
        map.serialize_entry("size", &allocation.size)?;
        map.serialize_entry("tag", &allocation.pool_tag().map(|tag| tag.to_string()))?;
        map.serialize_entry("caller", &allocation.caller)?;
        map.serialize_entry("caller_symbol", &names.get(allocation.caller).as_deref())?;
        map.serialize_entry("source", allocation.source.name())?;
        map.serialize_entry(
            "attributed_by",
            &allocation.source.attributed_by().map(AttributedBy::name),
        )?;
        map.serialize_entry("impossible", &allocation.impossible.map(Impossible::name))?;
        map.end()
    }
}

struct ContiguousDoc<'a>(&'a Allocation, &'a Names<'a>);

impl Serialize for ContiguousDoc<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(memory, names) = self;
        let mut map = serializer.serialize_map(Some(5))?;
        map.serialize_entry("address", &memory.address)?;
        map.serialize_entry("size", &memory.size)?;
        map.serialize_entry("caller", &memory.caller)?;
        map.serialize_entry("caller_symbol", &names.get(memory.caller).as_deref())?;
        map.serialize_entry("impossible", &memory.impossible.map(Impossible::name))?;
        map.end()
    }
}

/// What the pool info trees are and hold, without their elements.
pub struct PoolInfoDocument<'a>(pub &'a PoolInfo);

impl Serialize for PoolInfoDocument<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let info = self.0;
        let tags = info.tags.iter().map(|tag| tag.to_string());
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("empty_because", &info.empty_because)?;
        map.serialize_entry("blocks", &info.blocks.len())?;
        map.serialize_entry("blocks_counted", &info.blocks_counted)?;
        map.serialize_entry("stacks", &info.stacks.len())?;
        map.serialize_entry("stacks_counted", &info.stacks_counted)?;
        map.serialize_entry("failed", &info.failed)?;
        map.serialize_entry("insertion_failures", &info.insertion_failures)?;
        map.serialize_entry("deletion_failures", &info.deletion_failures)?;
        map.serialize_entry("stack_failures", &info.stack_failures)?;
        map.serialize_entry("only_tags", &tags.collect::<Vec<_>>())?;
        map.end()
    }
}

/// Writes the `pool` document.
///
/// # Errors
/// Those of the writer.
pub fn write_pool_json(
    out: &mut dyn io::Write,
    report: &PoolReport,
    names: &Names<'_>,
) -> io::Result<()> {
    #[derive(Serialize)]
    struct Doc<'a, T: Serialize, U: Serialize> {
        drivers: T,
        unowned: U,
        pool_info: PoolInfoDocument<'a>,
        #[serde(flatten)]
        verdict: Verdict<Vec<&'a Problem>>,
    }
    #[derive(Serialize)]
    struct DriverDoc<'a, T: Serialize, C: Serialize> {
        name: &'a str,
        allocations: T,
        contiguous: C,
    }
    let drivers = Seq(|| {
        report.drivers.iter().map(|pool| DriverDoc {
            name: &pool.driver.name,
            allocations: Seq(|| pool.allocations.iter().map(|a| AllocationDoc(a, names))),
            contiguous: Seq(|| pool.contiguous.iter().map(|memory| ContiguousDoc(memory, names))),
        })
    });
    let unowned = Seq(|| report.unowned.iter().map(|a| AllocationDoc(a, names)));
    let pool_info = PoolInfoDocument(&report.pool_info);
    write_json(out, &Doc { drivers, unowned, pool_info, verdict: Verdict::of(&report.problems) })
}

/// Writes outstanding allocations, then contiguous memory, whose rows have no tag. The driver of a block
/// of no known driver is empty.
///
/// # Errors
/// Those of the writer.
pub fn write_pool_csv(
    out: &mut dyn io::Write,
    report: &PoolReport,
    names: &Names<'_>,
) -> io::Result<()> {
    let heading =
        ["driver", "address", "size", "tag", "caller", "caller_symbol", "source", "impossible"];
    let mut csv = Csv::new(out, &report.problems, heading)?;
    let contiguous = report.drivers.iter().flat_map(|pool| {
        pool.contiguous.iter().map(|memory| (Some(pool.driver.name.as_str()), memory))
    });
    for (driver, a) in report.allocations().chain(contiguous) {
        csv.row([
            &*inert(driver.unwrap_or_default()),
            &a.address.to_string(),
            &a.size.to_string(),
            &inert(&a.pool_tag().map(|tag| tag.to_string()).unwrap_or_default()),
            &a.caller.to_string(),
            &name(names, a.caller),
            a.source.name(),
            a.impossible.map_or("", Impossible::name),
        ])?;
    }
    csv.end()
}
