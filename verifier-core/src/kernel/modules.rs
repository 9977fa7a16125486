//! Loaded and unloaded images.

use std::sync::OnceLock;

use super::string::{is_file_name, read_unicode_string, read_utf16};
use super::{AddressSpace, Limits, limit, walk_list};
use crate::addr::Va;
use crate::bytes::{le, le32, le64};
use crate::dump::{TriageDriver, TriageUnloaded};
use crate::error::{Error, Problem};
use crate::machine::Machine;

/// Slots in the array of `MmUnloadedDrivers` (`MI_UNLOADED_DRIVERS`).
const UNLOADED_SLOTS: usize = 50;

/// A loaded image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Module {
    /// Its `_KLDR_DATA_TABLE_ENTRY`; null if the image is not from the kernel's list.
    pub entry: Va,
    /// `DllBase`.
    pub base: Va,
    /// `SizeOfImage`.
    pub size: u32,
    /// `BaseDllName`: the file name.
    pub name: String,
    /// `FullDllName`.
    pub path: String,
    /// The module name in symbols: `nt` for the kernel, else the file name without its extension.
    pub short_name: String,
    /// `TimeDateStamp` from a small dump's driver list; other dumps have it in the image's headers.
    pub time_date_stamp: Option<u32>,
    /// `CheckSum`, likewise.
    pub check_sum: Option<u32>,
}

impl From<&TriageDriver> for Module {
    fn from(driver: &TriageDriver) -> Self {
        let name = match file_name(&driver.path) {
            "" => format!("module_{}", driver.base),
            name => name.to_string(),
        };
        Self {
            entry: Va(0),
            base: driver.base,
            size: driver.size,
            path: driver.path.clone(),
            short_name: stem(&name).to_string(),
            name,
            time_date_stamp: Some(driver.time_date_stamp),
            check_sum: Some(driver.check_sum),
        }
    }
}

impl Module {
    /// True if `va` is in the image.
    #[must_use]
    pub fn contains(&self, va: Va) -> bool {
        self.size != 0 && va.is_in(self.base, self.size.into())
    }
}

/// An image that is no longer loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnloadedModule {
    /// The part of the file name that the kernel kept.
    pub name: String,
    /// Its first address.
    pub start: Va,
    /// The first address after it.
    pub end: Va,
    /// When it was unloaded, in units of 100 ns since 1601; 0 if that is unknown, as in a small dump.
    pub unloaded_at: u64,
}

impl From<&TriageUnloaded> for UnloadedModule {
    fn from(driver: &TriageUnloaded) -> Self {
        let TriageUnloaded { name, start, end } = driver.clone();
        Self { name, start, end, unloaded_at: 0 }
    }
}

/// The images of a kernel.
///
/// `PsLoadedModuleList` is a list of `_KLDR_DATA_TABLE_ENTRY`. Its first fields have the same offsets in
/// every version (XP to 22000, both widths), and they are needed before symbols are available, so they are
/// constants here. `MmUnloadedDrivers` points at 50 slots of `_UNLOADED_DRIVERS`, which is in few public
/// PDBs: name, start, end and time of the images that were unloaded last.
#[derive(Debug, Clone, Default)]
pub struct Modules {
    loaded: Vec<Module>,
    /// Indexes of `loaded`, sorted by base.
    by_base: Vec<usize>,
    /// Set when the debugger data block has been read.
    unloaded: OnceLock<Vec<UnloadedModule>>,
}

impl Modules {
    pub(super) fn new(loaded: Vec<Module>) -> Self {
        let mut by_base: Vec<usize> = (0..loaded.len()).collect();
        by_base.sort_by_key(|&i| loaded.get(i).map(|module| module.base));
        Self { loaded, by_base, unloaded: OnceLock::new() }
    }

    pub(super) fn set_unloaded(&self, unloaded: Vec<UnloadedModule>) {
        let _ = self.unloaded.set(unloaded);
    }

    /// Loaded images, in load order.
    #[must_use]
    pub fn loaded(&self) -> &[Module] {
        &self.loaded
    }

    /// Unloaded images, the most recent first.
    #[must_use]
    pub fn unloaded(&self) -> &[UnloadedModule] {
        self.unloaded.get().map_or(&[], Vec::as_slice)
    }

    /// The loaded image that contains `va`, with its index in [`loaded`](Self::loaded).
    #[must_use]
    pub fn find(&self, va: Va) -> Option<(usize, &Module)> {
        let after = self
            .by_base
            .partition_point(|&i| self.loaded.get(i).is_some_and(|module| module.base <= va));
        let &index = self.by_base.get(after.checked_sub(1)?)?;
        let module = self.loaded.get(index)?;
        module.contains(va).then_some((index, module))
    }

    /// The loaded image that begins at `base`.
    pub(crate) fn starting_at(&self, base: Va) -> Option<&Module> {
        let base_of = |i: &usize| self.loaded.get(*i).map(|module| module.base);
        let found = self.by_base.binary_search_by_key(&Some(base), base_of).ok()?;
        self.loaded.get(*self.by_base.get(found)?)
    }

    /// The unloaded image that contained `va`; if there are several, the one that was unloaded last.
    #[must_use]
    pub fn find_unloaded(&self, va: Va) -> Option<&UnloadedModule> {
        self.unloaded().iter().find(|module| module.start <= va && va < module.end)
    }

    /// The loaded image with this file name, ignoring case.
    #[must_use]
    pub fn by_name(&self, name: &str) -> Option<&Module> {
        self.loaded.iter().find(|module| module.name.eq_ignore_ascii_case(name))
    }
}

/// Reads the list of loaded images. Also returns the first reason why the list is incomplete.
pub(super) fn read_loaded(
    space: &AddressSpace,
    head: Va,
    limits: &Limits,
    problems: &mut Vec<Problem>,
) -> (Vec<Module>, Option<Error>) {
    let mut walk = walk_list(space, head, "list of loaded modules", limits);
    let mut first = walk.broken.clone();
    if let Some(error) = &walk.broken {
        problems.push(Problem::from_error("list of loaded modules", error));
    }
    let what = "list of loaded modules";
    limit!(limits, modules).cut(&mut walk.entries, what, problems);
    let mut modules = Vec::new();
    for entry in walk.entries {
        match read_entry(space, entry, limits, problems) {
            Ok(module) => modules.push(module),
            Err(error) => {
                problems.push(Problem::from_error("module", &error));
                first.get_or_insert(error);
            }
        }
    }
    check_ranges(&modules, problems);
    (modules, first)
}

/// Every image has a size and begins on a page boundary, and images do not overlap.
fn check_ranges(modules: &[Module], problems: &mut Vec<Problem>) {
    let mut sorted: Vec<&Module> = modules.iter().collect();
    sorted.sort_by_key(|module| module.base);
    for (i, module) in sorted.iter().enumerate() {
        let mut wrong = |why: String| {
            problems.push(Problem::at(format!("module {}", module.name), module.entry, why));
        };
        if module.size == 0 {
            wrong("its size is 0".into());
        }
        if module.base.page_offset() != 0 {
            wrong(format!("its base {} is not the beginning of a page", module.base));
        }
        let after = sorted.get(i + 1..).unwrap_or_default();
        let covered = after.partition_point(|other| module.contains(other.base));
        if let Some(first) = after.first().filter(|_| covered > 0) {
            let more =
                if covered > 1 { format!(" and {} more", covered - 1) } else { String::new() };
            let (base, size) = (module.base, module.size);
            wrong(format!("its {size:#x} bytes at {base} overlap {}{more}", first.name));
        }
    }
}

fn read_entry(
    space: &AddressSpace,
    entry: Va,
    limits: &Limits,
    problems: &mut Vec<Problem>,
) -> Result<Module, Error> {
    // Offsets, and the end of the last of these fields: later fields may be on a page that is absent.
    let (base, size, path, name, end) = match space.machine() {
        Machine::X86 => (0x18, 0x20, 0x24, 0x2c, 0x34),
        Machine::X64 | Machine::Arm64 => (0x30, 0x40, 0x48, 0x58, 0x68),
    };
    let mut bytes = vec![0u8; end];
    space.read(entry, &mut bytes).map_err(|fault| Error::read("module", fault))?;
    let base = Va(le(&bytes, base, space.pointer_size()).unwrap_or(0));
    let size = le32(&bytes, size).unwrap_or(0);
    let mut broken = Vec::new();
    let mut text = |offset: u64| {
        read_unicode_string(space, entry.add(offset), limits).unwrap_or_else(|error| {
            broken.push(Problem::from_error("name of a module", &error));
            String::new()
        })
    };
    let (name, path) = (text(name), text(path));
    let name = name_of(entry, base, name, &path, &mut broken);
    if !space.is_kernel(base) {
        return Err(Error::Malformed {
            address: entry,
            what: "module".into(),
            why: format!("{name}: its base {base} is outside the kernel"),
        });
    }
    problems.append(&mut broken);
    let short_name = stem(&name).to_string();
    let (time_date_stamp, check_sum) = (None, None);
    Ok(Module { entry, base, size, name, path, short_name, time_date_stamp, check_sum })
}

/// A module's name: `BaseDllName`, else the end of `FullDllName`.
///
/// The two differ for images that the boot loader loads under the name of another file (`hal.dll` from
/// `halmacpi.dll`), but never for drivers (`.sys`).
fn name_of(entry: Va, base: Va, name: String, path: &str, problems: &mut Vec<Problem>) -> String {
    let of_path = file_name(path);
    let mut wrong = |why: String| problems.push(Problem::at("name of a module", entry, why));
    if !is_file_name(&name) {
        if !name.is_empty() {
            wrong(format!("BaseDllName {name:?} is not a file name; FullDllName is {path:?}"));
        }
        return match (is_file_name(of_path), name.is_empty()) {
            (true, _) => of_path.to_string(),
            (false, true) => format!("module_{base}"),
            (false, false) => name,
        };
    }
    let is_driver = of_path.to_ascii_lowercase().ends_with(".sys");
    if is_driver && !name.eq_ignore_ascii_case(of_path) {
        wrong(format!("BaseDllName is {name:?}, but FullDllName is {path:?}"));
    }
    name
}

/// The last part of a path.
fn file_name(path: &str) -> &str {
    path.rsplit(['\\', '/']).next().unwrap_or("")
}

/// A file name without its extension.
pub(super) fn stem(name: &str) -> &str {
    match name.rsplit_once('.') {
        Some((stem, _)) if !stem.is_empty() => stem,
        _ => name,
    }
}

/// Reads the slots of unloaded images. `array` is the address of `MmUnloadedDrivers`, `last` the address of
/// `MmLastUnloadedDriver`, the index of the next slot that the kernel will use.
pub(super) fn read_unloaded(
    space: &AddressSpace,
    array: Va,
    last: Va,
) -> Result<Vec<UnloadedModule>, Error> {
    let what = "list of unloaded modules";
    let slots = space.read_pointer(array).map_err(|fault| Error::read(what, fault))?;
    if slots.is_null() {
        return Ok(Vec::new());
    }
    let next = space.memory().read_u32(last).map_err(|fault| Error::read(what, fault))? as usize;
    let pointer = space.pointer_size();
    // UNICODE_STRING Name; PVOID StartAddress, EndAddress; LARGE_INTEGER CurrentTime.
    let stride = 4 * pointer + 8;
    let mut bytes = vec![0u8; stride];
    let mut unloaded = Vec::new();
    for back in 1..=UNLOADED_SLOTS {
        let slot = (next % UNLOADED_SLOTS + UNLOADED_SLOTS - back) % UNLOADED_SLOTS;
        let at = slots.add((slot * stride) as u64);
        space.read(at, &mut bytes).map_err(|fault| Error::read(what, fault))?;
        let length = le(&bytes, 0, 2).unwrap_or(0) as usize;
        let buffer = Va(le(&bytes, pointer, pointer).unwrap_or(0));
        let start = Va(le(&bytes, 2 * pointer, pointer).unwrap_or(0));
        let end = Va(le(&bytes, 3 * pointer, pointer).unwrap_or(0));
        if start.is_null() || start >= end {
            continue;
        }
        unloaded.push(UnloadedModule {
            name: read_utf16(space, buffer, length & !1).unwrap_or_default(),
            start,
            end,
            unloaded_at: le64(&bytes, 4 * pointer).unwrap_or(0),
        });
    }
    Ok(unloaded)
}
