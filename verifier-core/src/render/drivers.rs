//! Drivers, as JSON and CSV.

use std::io;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::csv::{Csv, inert};
use super::json::{Seq, Verdict, to_snake_case, write_json};
use crate::addr::Va;
use crate::error::Problem;
use crate::verifier::{Driver, Drivers, TargetDriver};

struct DriverDoc<'a>(&'a Driver);

impl Serialize for DriverDoc<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let driver = self.0;
        let first = driver.images.first();
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("name", &driver.name)?;
        map.serialize_entry("state", driver.state().name())?;
        map.serialize_entry("loads", &driver.loads)?;
        map.serialize_entry("unloads", &driver.unloads)?;
        map.serialize_entry("base", &first.and_then(|image| known(image.base)))?;
        map.serialize_entry("size", &first.map(|image| image.size))?;
        map.serialize_entry("suspect_entry", &driver.suspect_entry)?;
        map.serialize_entry("target_driver", &first.and_then(|image| known(image.address)))?;
        map.serialize_entry("verified_data", &first.map(|image| image.verified_data))?;
        map.serialize_entry("counters", &first.map(|_| driver.counters()))?;
        map.serialize_entry("images", &Seq(|| driver.images.iter().map(ImageDoc)))?;
        map.serialize_entry("from_bug_check", &driver.from_bug_check)?;
        map.end()
    }
}

/// An address that is null where it is not known.
fn known(address: Va) -> Option<Va> {
    Some(address).filter(|address| !address.is_null())
}

struct ImageDoc<'a>(&'a TargetDriver);

impl Serialize for ImageDoc<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(6))?;
        map.serialize_entry("base", &known(self.0.base))?;
        map.serialize_entry("size", &self.0.size)?;
        map.serialize_entry("target_driver", &known(self.0.address))?;
        map.serialize_entry("is_carved", &self.0.is_carved)?;
        map.serialize_entry("verified_data", &self.0.verified_data)?;
        map.serialize_entry("counters", &self.0.counters)?;
        map.end()
    }
}

/// Writes the `drivers` document.
///
/// # Errors
/// Those of the writer.
pub fn write_drivers_json(out: &mut dyn io::Write, drivers: &Drivers) -> io::Result<()> {
    #[derive(Serialize)]
    struct Doc<'a, T: Serialize> {
        drivers: T,
        #[serde(flatten)]
        verdict: Verdict<Vec<&'a Problem>>,
    }
    write_json(
        out,
        &Doc {
            drivers: Seq(|| drivers.drivers.iter().map(DriverDoc)),
            verdict: Verdict::of(&drivers.problems),
        },
    )
}

/// Writes drivers, their state and their counters of pool and of other memory.
///
/// # Errors
/// Those of the writer.
pub fn write_drivers_csv(out: &mut dyn io::Write, drivers: &Drivers) -> io::Result<()> {
    const COUNTERS: [&str; 18] = [
        "CurrentPagedPoolAllocations",
        "CurrentNonPagedPoolAllocations",
        "PeakPagedPoolAllocations",
        "PeakNonPagedPoolAllocations",
        "PagedBytes",
        "NonPagedBytes",
        "PeakPagedBytes",
        "PeakNonPagedBytes",
        "LockedBytes",
        "PeakLockedBytes",
        "MappedLockedBytes",
        "PeakMappedLockedBytes",
        "MappedIoSpaceBytes",
        "PeakMappedIoSpaceBytes",
        "PagesForMdlBytes",
        "PeakPagesForMdlBytes",
        "ContiguousMemoryBytes",
        "PeakContiguousMemoryBytes",
    ];
    let mut header: Vec<String> =
        ["name", "state", "loads", "unloads", "base", "size"].map(String::from).to_vec();
    header.extend(COUNTERS.map(to_snake_case));
    let mut csv = Csv::new(out, &drivers.problems, &header)?;
    for driver in &drivers.drivers {
        let image = driver.images.first();
        let counters = driver.counters();
        let mut row = vec![
            inert(&driver.name).into_owned(),
            driver.state().name().to_string(),
            driver.loads.to_string(),
            driver.unloads.to_string(),
            image.map(|image| image.base.to_string()).unwrap_or_default(),
            image.map(|image| image.size.to_string()).unwrap_or_default(),
        ];
        row.extend(COUNTERS.map(|c| counters.get(c).map(|v| v.to_string()).unwrap_or_default()));
        csv.row(&row)?;
    }
    csv.end()
}
