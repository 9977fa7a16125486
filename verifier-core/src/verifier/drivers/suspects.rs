//! The list of configured drivers.

use super::driver::Driver;
use crate::addr::Va;
use crate::error::{Error, Fault, Problem};
use crate::kernel::{Kernel, is_file_name, limit, read_unicode_string, walk_list};
use crate::types::{Field, TypeSource};
use crate::verifier::totals::is_off;

/// Offsets of an entry in the list of configured drivers, resolved once.
pub(in crate::verifier) struct SuspectLayout {
    pub(in crate::verifier) links: u64,
    loads: Field,
    unloads: Field,
    base_name: u64,
    size: usize,
}

/// An entry of the list, as it is in memory.
pub(in crate::verifier) struct Suspect {
    pub(in crate::verifier) name: Result<String, Error>,
    pub(in crate::verifier) loads: u32,
    pub(in crate::verifier) unloads: u32,
}

impl SuspectLayout {
    /// `name` is the type that the build's list is made of.
    pub(in crate::verifier) fn resolve(types: &dyn TypeSource, name: &str) -> Result<Self, Error> {
        Ok(Self {
            links: types.field(name, "Links")?.offset,
            loads: types.field(name, "Loads")?,
            unloads: types.field(name, "Unloads")?,
            base_name: types.field(name, "BaseName")?.offset,
            size: types.size_of(name)?.min(0x1000) as usize,
        })
    }

    /// The name in the entry at `entry`.
    pub(in crate::verifier) fn name(&self, kernel: &Kernel, entry: Va) -> Result<String, Error> {
        read_unicode_string(kernel.space(), entry.add(self.base_name), kernel.limits())
    }

    /// Decodes the entry at `entry`.
    pub(in crate::verifier) fn decode(&self, kernel: &Kernel, entry: Va) -> Result<Suspect, Fault> {
        let mut bytes = vec![0u8; self.size];
        kernel.space().read(entry, &mut bytes)?;
        Ok(Suspect {
            name: self.name(kernel, entry),
            loads: self.loads.get(&bytes).unwrap_or(0) as u32,
            unloads: self.unloads.get(&bytes).unwrap_or(0) as u32,
        })
    }
}

/// The entries of the list, without images.
pub(super) fn suspects(
    kernel: &Kernel,
    layout: &SuspectLayout,
    head: Va,
    problems: &mut Vec<Problem>,
) -> Vec<Driver> {
    let what = "list of configured drivers";
    let limits = kernel.limits();
    let mut walk = walk_list(kernel.space(), head, what, limits);
    if let Some(error) = walk.broken {
        // An empty list leads to itself. A list that was never set up has zeros, but then Verifier is off.
        let is_null = walk.entries.is_empty() && kernel.space().read_pointer(head) == Ok(Va(0));
        if is_null && kernel.types().is_ok_and(|types| is_off(kernel, types)) {
            return Vec::new();
        }
        problems.push(Problem::from_error(what, &error));
    }
    limit!(limits, drivers).cut(&mut walk.entries, what, problems);
    let entries = walk.entries.into_iter().map(|link| link.sub(layout.links));
    entries.filter_map(|entry| suspect(kernel, layout, entry, problems)).collect()
}

/// An entry that no list leads to, without images; `None` if it cannot be read or is not an entry.
pub(super) fn sound_suspect(kernel: &Kernel, layout: &SuspectLayout, entry: Va) -> Option<Driver> {
    let mut problems = Vec::new();
    let driver = suspect(kernel, layout, entry, &mut problems)?;
    let is_sound = !driver.name.is_empty() && driver.unloads <= driver.loads;
    (is_sound && problems.is_empty()).then_some(driver)
}

/// One entry of the list, without images; its name is empty if it cannot be read or is not a file name.
/// `None` if the entry cannot be read.
pub(super) fn suspect(
    kernel: &Kernel,
    layout: &SuspectLayout,
    entry: Va,
    problems: &mut Vec<Problem>,
) -> Option<Driver> {
    let Suspect { name, loads, unloads } = match layout.decode(kernel, entry) {
        Ok(suspect) => suspect,
        Err(fault) => {
            problems.push(Problem::at("configured driver", entry, fault));
            return None;
        }
    };
    let what = "name of a configured driver";
    let name = match name {
        Ok(name) if is_file_name(&name) => name,
        Ok(name) => {
            problems.push(Problem::at(what, entry, format!("{name:?} is not a file name")));
            String::new()
        }
        Err(error) => {
            problems.push(Problem::from_error(what, &error));
            String::new()
        }
    };
    Some(Driver { name, suspect_entry: Some(entry), loads, unloads, ..Driver::none() })
}
