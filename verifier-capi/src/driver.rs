//! The drivers that are configured for Verifier.

use std::ffi::{CString, c_char};

use verifier_core::kernel::Kernel;
use verifier_core::render::rows;
use verifier_core::verifier::{Driver, DriverState, Drivers};

use crate::handle::get;
use crate::last_error::guard;
use crate::pointer::{Record, c_string, put, text};
use crate::session::VerifierSession;
use crate::status::{Failure, VerifierStatus};
use crate::view::{Row, Take, VerifierView, field_of, fill_from, nth, view};

/// What became of a configured driver.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VerifierDriverState {
    /// Loaded more often than unloaded.
    Loaded = 0,
    /// Unloaded as often as loaded.
    Unloaded = 1,
    /// Not loaded since it was configured.
    NeverLoaded = 2,
}

/// A driver that is configured for Verifier. Its counters: `verifier_driver_counter`.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct VerifierDriver {
    /// Its file name.
    pub name: *const c_char,
    /// What became of it.
    pub state: VerifierDriverState,
    /// How often it was loaded.
    pub loads: u32,
    /// How often it was unloaded.
    pub unloads: u32,
    /// How many images of it are verified; the next two are the first one's.
    pub images: u32,
    /// The base of its loaded image; 0 if no image is loaded.
    pub base: u64,
    /// Bytes of its image.
    pub size: u64,
}

impl Record for VerifierDriver {}

/// A driver, with its name for C.
struct DriverRow {
    name: CString,
    driver: Driver,
}

impl Row for DriverRow {
    const KIND: &'static str = "drivers";

    fn field(&self, field: usize, take: Take<'_>) -> Result<(), Failure> {
        let row = rows::DriverRow::from(&self.driver);
        field_of(&rows::DriverRow::TABLE, &row, field, take)
    }
}

/// The drivers that are configured for Verifier. Records: VerifierDriver.
///
/// # Safety
///
/// `view` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn verifier_drivers(
    session: *const VerifierSession,
    view: *mut *mut VerifierView,
) -> VerifierStatus {
    let read = |session: &VerifierSession, kernel: &Kernel| {
        let Drivers { drivers, problems, .. } = session.host.drivers()?;
        let rows = drivers.into_iter();
        let rows = rows.map(|driver| DriverRow { name: c_string(&driver.name), driver });
        Ok(VerifierView::new(rows.collect::<Vec<_>>(), kernel, [], &problems))
    };
    // SAFETY: the caller guarantees what `view` requires.
    unsafe { self::view(session, view, read) }
}

/// A record of `verifier_drivers`.
///
/// # Safety
///
/// `record` is NULL or points at `size` bytes that may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn verifier_driver_at(
    view: *const VerifierView,
    index: usize,
    record: *mut VerifierDriver,
    size: usize,
) -> VerifierStatus {
    let make = |_: &VerifierView, DriverRow { name, driver }: &DriverRow| {
        let first = driver.images.first();
        VerifierDriver {
            name: name.as_ptr(),
            state: match driver.state() {
                DriverState::Loaded => VerifierDriverState::Loaded,
                DriverState::Unloaded => VerifierDriverState::Unloaded,
                DriverState::NeverLoaded => VerifierDriverState::NeverLoaded,
            },
            loads: driver.loads,
            unloads: driver.unloads,
            images: u32::try_from(driver.images.len()).unwrap_or(u32::MAX),
            base: first.map_or(0, |image| image.base.0),
            size: first.map_or(0, |image| image.size),
        }
    };
    // SAFETY: the caller guarantees what `fill` requires.
    unsafe { fill_from(view, index, record, size, make) }
}

/// A counter of a driver by its C name, such as "CurrentPagedPoolAllocations"
/// (_VF_TARGET_VERIFIED_DRIVER_DATA), summed over the driver's images; not found if the build does not
/// have it.
///
/// # Safety
///
/// `name` is NULL or a string that ends with NUL; `value` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn verifier_driver_counter(
    view: *const VerifierView,
    index: usize,
    name: *const c_char,
    value: *mut u64,
) -> VerifierStatus {
    let make = |view: &VerifierView| {
        // SAFETY: the caller guarantees this for the time of the call.
        let name = unsafe { text(name, "name") }?;
        let name = name.ok_or_else(|| Failure::argument("name is NULL"))?;
        let DriverRow { name: driver_name, driver } = nth(view.rows::<Vec<DriverRow>>()?, index)?;
        driver.counters().get(name).ok_or_else(|| {
            let driver = driver_name.to_string_lossy();
            Failure::not_found(format!("{driver} has no counter {name} in this build"))
        })
    };
    guard(|| {
        let found = make(&*get(view, "view")?)?;
        // SAFETY: the caller guarantees `value`.
        unsafe { put(value, found, "value") }
    })
}
