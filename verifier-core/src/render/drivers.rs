//! Drivers, as JSON and CSV.

use std::io;

use serde::Serialize;

use super::csv::write_table;
use super::json::{Verdict, rows, to_snake_case, write_json};
use crate::addr::Va;
use crate::describe::{Described, List, Object, Table, Value, columns};
use crate::error::Problem;
use crate::verifier::{Counters, Driver, DriverState, Drivers, TargetDriver};

impl Object for Counters {
    fn for_each(&self, each: &mut dyn FnMut(&str, Value<'_>)) {
        for counter in &self.0 {
            each(&to_snake_case(&counter.name), counter.value.into());
        }
    }
}

/// A configured driver as a row.
#[derive(Debug, Clone)]
pub struct DriverRow<'a> {
    /// The driver.
    pub driver: &'a Driver,
    /// The sums of the counters of its images, if it has an image.
    pub counters: Option<Counters>,
    images: Images<'a>,
}

impl<'a> From<&'a Driver> for DriverRow<'a> {
    fn from(driver: &'a Driver) -> Self {
        let counters = (!driver.images.is_empty()).then(|| driver.counters());
        Self { driver, counters, images: Images(&driver.images) }
    }
}

impl<'a> DriverRow<'a> {
    /// The description. Addresses are those of the first image.
    pub const TABLE: Table<'a, Self> = Table::new(
        "Driver",
        "A driver that is configured for Driver Verifier.",
        columns!(|row: Self| {
            /// The file name that was configured.
            name as "BaseName": Text => row.driver.name.as_str(),
            /// What became of the driver, by its loads and unloads.
            state: OneOf(&DriverState::NAMES) => row.driver.state().name(),
            /// How often the driver was loaded.
            loads as "Loads": U32 => row.driver.loads,
            /// How often the driver was unloaded.
            unloads as "Unloads": U32 => row.driver.unloads,
            /// The base of its image; null if no image is loaded.
            base: Address, optional => row.image().and_then(|image| known(image.base)),
            /// The size of its image in bytes.
            size: U64, optional => row.image().map(|image| image.size),
            /// Its `_VF_SUSPECT_DRIVER_ENTRY`; null if the list does not have the entry anymore.
            suspect_entry: Address, optional, not_in_csv => row.driver.suspect_entry,
            /// Its `_VF_TARGET_DRIVER`; null if the tree does not have the image.
            target_driver: Address, optional, not_in_csv
                => row.image().and_then(|image| known(image.address)),
            /// Its `_VF_TARGET_VERIFIED_DRIVER_DATA`.
            verified_data: Address, optional, not_in_csv
                => row.image().map(|image| image.verified_data),
            /// The sums of the counters of its images: every integer that the structure of the build has.
            counters: Object, optional, not_in_csv
                => row.counters.as_ref().map(|counters| Value::Object(counters)),
            /// Its verified images.
            images: List, not_in_csv => Value::List(&row.images),
            /// True if only the parameters of bug check 0xC4/0x62 lead to the data of the driver.
            from_bug_check: Bool, not_in_csv => row.driver.from_bug_check,
            /// Blocks of paged pool that the driver holds.
            current_paged_pool_allocations as "CurrentPagedPoolAllocations": U64, optional, only_in_csv
                => row.counter("CurrentPagedPoolAllocations"),
            /// Blocks of nonpaged pool that the driver holds.
            current_non_paged_pool_allocations as "CurrentNonPagedPoolAllocations": U64, optional, only_in_csv
                => row.counter("CurrentNonPagedPoolAllocations"),
            /// The most blocks of paged pool that it held.
            peak_paged_pool_allocations as "PeakPagedPoolAllocations": U64, optional, only_in_csv
                => row.counter("PeakPagedPoolAllocations"),
            /// The most blocks of nonpaged pool that it held.
            peak_non_paged_pool_allocations as "PeakNonPagedPoolAllocations": U64, optional, only_in_csv
                => row.counter("PeakNonPagedPoolAllocations"),
            /// Bytes of paged pool that the driver holds.
            paged_bytes as "PagedBytes": U64, optional, only_in_csv
                => row.counter("PagedBytes"),
            /// Bytes of nonpaged pool that the driver holds.
            non_paged_bytes as "NonPagedBytes": U64, optional, only_in_csv
                => row.counter("NonPagedBytes"),
            /// The most bytes of paged pool that it held.
            peak_paged_bytes as "PeakPagedBytes": U64, optional, only_in_csv
                => row.counter("PeakPagedBytes"),
            /// The most bytes of nonpaged pool that it held.
            peak_non_paged_bytes as "PeakNonPagedBytes": U64, optional, only_in_csv
                => row.counter("PeakNonPagedBytes"),
            /// Bytes that the driver locked.
            locked_bytes as "LockedBytes": U64, optional, only_in_csv
                => row.counter("LockedBytes"),
            /// The most bytes that it locked.
            peak_locked_bytes as "PeakLockedBytes": U64, optional, only_in_csv
                => row.counter("PeakLockedBytes"),
            /// Bytes of locked pages that the driver mapped.
            mapped_locked_bytes as "MappedLockedBytes": U64, optional, only_in_csv
                => row.counter("MappedLockedBytes"),
            /// The most bytes of locked pages that it mapped.
            peak_mapped_locked_bytes as "PeakMappedLockedBytes": U64, optional, only_in_csv
                => row.counter("PeakMappedLockedBytes"),
            /// Bytes of I/O space that the driver mapped.
            mapped_io_space_bytes as "MappedIoSpaceBytes": U64, optional, only_in_csv
                => row.counter("MappedIoSpaceBytes"),
            /// The most bytes of I/O space that it mapped.
            peak_mapped_io_space_bytes as "PeakMappedIoSpaceBytes": U64, optional, only_in_csv
                => row.counter("PeakMappedIoSpaceBytes"),
            /// Bytes of pages that the driver allocated for MDLs.
            pages_for_mdl_bytes as "PagesForMdlBytes": U64, optional, only_in_csv
                => row.counter("PagesForMdlBytes"),
            /// The most bytes of pages that it allocated for MDLs.
            peak_pages_for_mdl_bytes as "PeakPagesForMdlBytes": U64, optional, only_in_csv
                => row.counter("PeakPagesForMdlBytes"),
            /// Bytes of contiguous memory that the driver holds.
            contiguous_memory_bytes as "ContiguousMemoryBytes": U64, optional, only_in_csv
                => row.counter("ContiguousMemoryBytes"),
            /// The most bytes of contiguous memory that it held.
            peak_contiguous_memory_bytes as "PeakContiguousMemoryBytes": U64, optional, only_in_csv
                => row.counter("PeakContiguousMemoryBytes"),
        }),
    );

    fn image(&self) -> Option<&'a TargetDriver> {
        self.driver.images.first()
    }

    fn counter(&self, name: &str) -> Option<u64> {
        self.counters.as_ref()?.get(name)
    }
}

/// The description of a verified image of a driver.
pub static IMAGE: Table<'static, TargetDriver> = Table::new(
    "Image",
    "A verified image of a driver.",
    columns!(|image: TargetDriver| {
        /// The base of the image; null if it is unknown.
        base: Address, optional => known(image.base),
        /// The size of the image in bytes.
        size: U64 => image.size,
        /// Its `_VF_TARGET_DRIVER`; null if the tree does not have the image.
        target_driver: Address, optional => known(image.address),
        /// True if the tree does not lead to the image, and a search found its data.
        is_carved: Bool => image.is_carved,
        /// Its `_VF_TARGET_VERIFIED_DRIVER_DATA`.
        verified_data: Address => image.verified_data,
        /// Its counters: every integer that the structure of the build has.
        counters: Object => Value::Object(&image.counters),
    }),
);

/// The images of a driver.
#[derive(Debug, Clone, Copy)]
struct Images<'a>(&'a [TargetDriver]);

impl List for Images<'_> {
    fn for_each(&self, each: &mut dyn FnMut(&dyn Object)) {
        for row in self.0 {
            each(&Described { table: &IMAGE, row });
        }
    }
}

/// An address; `None` for null, which means that it is unknown.
fn known(address: Va) -> Option<Va> {
    Some(address).filter(|address| !address.is_null())
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
    let table = DriverRow::TABLE;
    let list = rows(&table, drivers.drivers.iter().map(DriverRow::from), None);
    write_json(out, &Doc { drivers: list, verdict: Verdict::of(&drivers.problems) })
}

/// Writes drivers, their state and their counters of pool and of other memory.
///
/// # Errors
/// Those of the writer.
pub fn write_drivers_csv(out: &mut dyn io::Write, drivers: &Drivers) -> io::Result<()> {
    let rows = drivers.drivers.iter().map(DriverRow::from);
    write_table(out, &drivers.problems, &DriverRow::TABLE, rows, None)
}
