//! The list of configured drivers.

use super::Driver;
use crate::addr::Va;
use crate::error::{Error, Problem};
use crate::kernel::{Kernel, Limits, is_file_name, read_unicode_string, walk_list};
use crate::types::{Field, TypeSource};
use crate::verifier::lost::is_off;

/// Offsets of an entry in the list of configured drivers, resolved once.
pub(in crate::verifier) struct SuspectLayout {
    pub(in crate::verifier) links: u64,
    pub(in crate::verifier) loads: Field,
    pub(in crate::verifier) unloads: Field,
    pub(in crate::verifier) base_name: u64,
    pub(in crate::verifier) size: usize,
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
}

/// The entries of the list, without images.
pub(in crate::verifier) fn suspects(
    kernel: &Kernel,
    layout: &SuspectLayout,
    head: Va,
    problems: &mut Vec<Problem>,
) -> Vec<Driver> {
    let what = "list of configured drivers";
    let limits = kernel.limits();
    let mut walk = walk_list(kernel.space(), head, what, limits);
    if let Some(error) = walk.broken {
        // An empty list leads to itself. One that was never set up has zeros, but then Verifier is off.
        let is_null = walk.entries.is_empty() && kernel.space().read_pointer(head) == Ok(Va(0));
        if is_null && kernel.types().is_ok_and(|types| is_off(kernel, types)) {
            return Vec::new();
        }
        problems.push(Problem::from_error(what, &error));
    }
    Limits::cut(&mut walk.entries, limits.drivers, "Limits::drivers", what, problems);
    let entries = walk.entries.into_iter().map(|link| link.sub(layout.links));
    entries.filter_map(|entry| suspect(kernel, layout, entry, problems)).collect()
}

/// An entry that no list leads to, without images; `None` where it cannot be read or is none.
pub(in crate::verifier) fn sound_suspect(
    kernel: &Kernel,
    layout: &SuspectLayout,
    entry: Va,
) -> Option<Driver> {
    let mut problems = Vec::new();
    let driver = suspect(kernel, layout, entry, &mut problems)?;
    let is_sound = !driver.name.is_empty() && driver.unloads <= driver.loads;
    (is_sound && problems.is_empty()).then_some(driver)
}

/// One entry of the list, without images; its name is empty if it cannot be read or is not one. `None` if the
/// entry cannot be read.
pub(in crate::verifier) fn suspect(
    kernel: &Kernel,
    layout: &SuspectLayout,
    entry: Va,
    problems: &mut Vec<Problem>,
) -> Option<Driver> {
    let mut bytes = vec![0u8; layout.size];
    if let Err(fault) = kernel.space().read(entry, &mut bytes) {
        problems.push(Problem::at("configured driver", entry, fault));
        return None;
    }
    let name = read_unicode_string(kernel.space(), entry.add(layout.base_name), kernel.limits());
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
    Some(Driver {
        name,
        suspect_entry: Some(entry),
        loads: layout.loads.get(&bytes).unwrap_or(0) as u32,
        unloads: layout.unloads.get(&bytes).unwrap_or(0) as u32,
        images: Vec::new(),
        from_bug_check: false,
    })
}
