//! Verified drivers before Windows 7: one `_MI_VERIFIER_DRIVER_ENTRY` for each is name, image and
//! counters at once.
//!
//! `MiSuspectDriverList` is a list of them. That name is known of Server 2003; of Vista it is not, but
//! bug check 0xC4/0x62 leads to an entry there too. XP keeps blocks in a hash table (`PoolHash`), which
//! is not read. The layout is from the build's own types; checked on literals only.

use super::counters::{Counters, required};
use super::drivers::{DATA_SIGNATURE, Driver, Drivers, TargetDriver};
use super::unload::Unload;
use crate::addr::Va;
use crate::error::{Error, Problem};
use crate::kernel::{Kernel, read_unicode_string, walk_list};
use crate::types::{Structure, TypeSource};

/// The type that holds a driver's blocks, in builds before Windows 7.
pub(super) const ENTRY: &str = "_MI_VERIFIER_DRIVER_ENTRY";

/// True where the types are those of a build before Windows 7.
pub(super) fn is_before_7(types: &dyn TypeSource) -> Result<bool, Error> {
    Ok(types.structure("_VF_TARGET_VERIFIED_DRIVER_DATA")?.is_none()
        && types.structure(ENTRY)?.is_some())
}

/// Reads the list, and the entry that the bug check is about.
pub(super) fn read(kernel: &Kernel) -> Result<Drivers, Error> {
    let what = "list of configured drivers";
    let types = kernel.types()?;
    let layout = required(types, ENTRY)?;
    let links = types.field(ENTRY, "Links")?.offset;
    let unload = Unload::of(kernel);
    let mut problems = Vec::new();
    let mut entries = Vec::new();
    match kernel.global("MiSuspectDriverList") {
        Ok(head) => {
            let walk = walk_list(kernel.space(), head, what, kernel.limits());
            // Zeros where the head is: the list was never set up, Verifier is off.
            let is_off = kernel.space().read_pointer(head) == Ok(Va(0));
            if let Some(error) = walk.broken.filter(|_| !is_off) {
                problems.push(Problem::from_error(what, &error));
            }
            entries.extend(walk.entries.into_iter().map(|link| (link.sub(links), false)));
        }
        Err(error) if unload.is_none() => return Err(error),
        Err(error) => problems.push(Problem::from_error(what, &error)),
    }
    if let Some(unload) = unload
        && !entries.iter().any(|(entry, _)| *entry == unload.data)
    {
        entries.push((unload.data, true));
    }
    let mut drivers = Vec::new();
    for (entry, from_bug_check) in entries {
        match driver(kernel, &layout, entry, &mut problems) {
            Ok(driver) => drivers.push(Driver { from_bug_check, ..driver }),
            Err(error) => problems.push(Problem::at("configured driver", entry, error)),
        }
    }
    Ok(Drivers { drivers, problems })
}

fn driver(
    kernel: &Kernel,
    layout: &Structure,
    entry: Va,
    problems: &mut Vec<Problem>,
) -> Result<Driver, Error> {
    let types = kernel.types()?;
    let mut bytes = vec![0u8; layout.size.min(0x1000) as usize];
    kernel.space().read(entry, &mut bytes).map_err(|fault| Error::read(ENTRY, fault))?;
    let value = |name: &str| -> Result<u64, Error> {
        Ok(types.field(ENTRY, name)?.get(&bytes).unwrap_or(0))
    };
    let signature = value("Signature")?;
    if signature != DATA_SIGNATURE {
        return Err(Error::Malformed {
            address: entry,
            what: ENTRY.into(),
            why: format!("its signature is {signature:#x}, not {DATA_SIGNATURE:#x}"),
        });
    }
    let name = entry.add(types.field(ENTRY, "BaseName")?.offset);
    let name = read_unicode_string(kernel.space(), name).unwrap_or_else(|error| {
        problems.push(Problem::from_error("name of a configured driver", &error));
        format!("driver_{entry}")
    });
    let (start, end) = (value("StartAddress")?, value("EndAddress")?);
    let first = types.field(ENTRY, "CurrentPagedPoolAllocations")?.offset;
    let image = TargetDriver {
        address: Va(0),
        base: Va(start),
        size: end.saturating_sub(start),
        verified_data: entry,
        counters: Counters::read(layout, first, &bytes),
    };
    Ok(Driver {
        name,
        suspect_entry: Some(entry),
        loads: value("Loads")? as u32,
        unloads: value("Unloads")? as u32,
        // An entry whose driver was never loaded has no image.
        images: if start == 0 { Vec::new() } else { vec![image] },
        from_bug_check: false,
    })
}
