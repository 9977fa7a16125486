//! Drivers of kernels before Windows 7: XP, Server 2003, Vista.
//!
//! One structure, `_MI_VERIFIER_DRIVER_ENTRY`, is both the configured name and the driver's data. It is in
//! the list `MiSuspectDriverList` (XP and 2003; Vista's name for the list is not established, so a symbol of
//! either name is taken). `StartAddress` and `EndAddress` are the image. It is not established whether the
//! end is the last byte or the one after it, so the size is given in whole pages.
//!
//! Layouts are from public type tables; no dump of these systems was available.

use std::sync::Arc;

use super::check::check_images;
use super::driver::{Driver, TargetDriver};
use super::join::name_unnamed;
use super::suspects::{SuspectLayout, suspect, suspects};
use super::targets::DATA_SIGNATURE;
use super::unload::Unload;
use crate::addr::{PAGE_SIZE, Va};
use crate::error::{Error, Problem};
use crate::kernel::Kernel;
use crate::types::{Field, Structure, TypeSource};
use crate::verifier::counters::{Counters, required};
use crate::verifier::tracking::ENTRY_BEFORE_WIN7;

/// The list, by the names that symbols may have for it.
const HEADS: [&str; 2] = ["MiSuspectDriverList", "VfSuspectDriversList"];

/// The drivers of the list with their images, and what could not be read or does not fit.
pub(super) fn read_drivers(kernel: &Kernel) -> Result<(Vec<Driver>, Vec<Problem>), Error> {
    let types = kernel.types()?;
    let layout = SuspectLayout::resolve(types, ENTRY_BEFORE_WIN7)?;
    let head = HEADS
        .iter()
        .find_map(|name| kernel.global(name).ok())
        .map_or_else(|| kernel.global("MiSuspectDriverList"), Ok);
    let unload = Unload::of(kernel);
    let mut problems = Vec::new();
    let mut drivers = match head {
        Ok(head) => suspects(kernel, &layout, head, &mut problems),
        Err(error) if unload.is_none() => return Err(error),
        Err(error) => {
            problems.push(Problem::from_error("list of configured drivers", &error));
            Vec::new()
        }
    };
    let images = Images::resolve(types)?;
    // The entry that bug check 0xC4/0x62 leads to may not be in the list, or Vista's list may be unknown.
    if let Some(unload) = unload
        && !drivers.iter().any(|driver| driver.suspect_entry == Some(unload.data))
        && images.is_signed(kernel, unload.data, &mut problems)
        && let Some(driver) = suspect(kernel, &layout, unload.data, &mut problems)
    {
        drivers.push(Driver { from_bug_check: true, ..driver });
    }
    for driver in &mut drivers {
        driver.images.extend(images.read(kernel, driver));
    }
    name_unnamed(kernel, &mut drivers);
    check_images(kernel, &drivers, &mut problems);
    Ok((drivers, problems))
}

/// Offsets of the image's fields in an entry.
struct Images {
    entry: Arc<Structure>,
    start: Field,
    end: Field,
    signature: Field,
    first_counter: u64,
}

impl Images {
    fn resolve(types: &dyn TypeSource) -> Result<Self, Error> {
        Ok(Self {
            entry: required(types, ENTRY_BEFORE_WIN7)?,
            start: types.field(ENTRY_BEFORE_WIN7, "StartAddress")?,
            end: types.field(ENTRY_BEFORE_WIN7, "EndAddress")?,
            signature: types.field(ENTRY_BEFORE_WIN7, "Signature")?,
            first_counter: types.field(ENTRY_BEFORE_WIN7, "CurrentPagedPoolAllocations")?.offset,
        })
    }

    /// True if there is an entry: only a parameter of the bug check says so.
    fn is_signed(&self, kernel: &Kernel, entry: Va, problems: &mut Vec<Problem>) -> bool {
        let mut bytes = vec![0u8; self.entry.size.min(0x1000) as usize];
        let why = match kernel.space().read(entry, &mut bytes) {
            Ok(_) => match self.signature.get(&bytes) {
                Some(DATA_SIGNATURE) => return true,
                other => format!(
                    "its signature is {:#x}, not {DATA_SIGNATURE:#x}",
                    other.unwrap_or_default()
                ),
            },
            Err(fault) => fault.to_string(),
        };
        problems.push(Problem::at("configured driver", entry, why));
        false
    }

    /// The image of a driver that is loaded, or that the bug check is about.
    fn read(&self, kernel: &Kernel, driver: &Driver) -> Option<TargetDriver> {
        let address = driver.suspect_entry?;
        let mut bytes = vec![0u8; self.entry.size.min(0x1000) as usize];
        // A read that fails is a problem of the list already.
        kernel.space().read(address, &mut bytes).ok()?;
        let base = Va(self.start.get(&bytes)?);
        let end = self.end.get(&bytes)?;
        let is_loaded = (driver.loads > driver.unloads || driver.from_bug_check) && !base.is_null();
        is_loaded.then(|| TargetDriver {
            address,
            base,
            size: end.saturating_sub(base.0).checked_next_multiple_of(PAGE_SIZE).unwrap_or(0),
            verified_data: address,
            counters: Counters::read(&self.entry, self.first_counter, &bytes),
            is_carved: false,
        })
    }
}
