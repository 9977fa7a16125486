//! Drivers that Verifier is configured for, joined with the images that it verifies.
//!
//! `VfSuspectDriversList` is a list of `_VF_SUSPECT_DRIVER_ENTRY`: names that were configured, with
//! counts of loads and unloads. `ViTargetDriversAvl` is a `_VF_AVL_TREE` of `_VF_TARGET_DRIVER`: every
//! image in memory; those that are verified have `VerifiedData`, whose `SuspectDriverEntry` points
//! back at the name. Several images may belong to one name (a wildcard, a reload), so the join goes
//! from the images to the names and counters are summed, as the kernel's own query does it
//! (`VfSuspectDriversGetVerifierInformation`). Windows 7 to 11; checked on 7601, 9600, 19041, 22000.
//! Kernels before 7 have one structure for both: see `old.rs`.
//!
//! A driver that was unloaded while it held pool (bug check 0xC4/0x62) may be off the tree, and off the
//! list: the bug check's parameters lead to its data all the same.

use super::counters::{Counters, required};
use super::old;
use super::unload::Unload;
use crate::addr::Va;
use crate::error::{Error, Problem};
use crate::kernel::{AvlLayout, Kernel, Limits, read_unicode_string, walk_avl, walk_list};
use crate::types::{Field, TypeSource};

/// `_VF_TARGET_VERIFIED_DRIVER_DATA.Signature`.
pub(super) const DATA_SIGNATURE: u64 = 0x9876_1940;
/// Tables of a `_VF_AVL_TREE`: the kernel makes 1, 16, 32 or 64.
const MAX_TABLES: u64 = 64;

/// What became of a configured driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DriverState {
    /// Loaded more often than unloaded.
    Loaded,
    /// Unloaded as often as loaded.
    Unloaded,
    /// Not loaded since it was configured.
    NeverLoaded,
}

impl DriverState {
    /// The word in tables and JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            DriverState::Loaded => "loaded",
            DriverState::Unloaded => "unloaded",
            DriverState::NeverLoaded => "never loaded",
        }
    }
}

/// A configured driver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Driver {
    /// `BaseName`: the file name that was configured.
    pub name: String,
    /// Its `_VF_SUSPECT_DRIVER_ENTRY`; `None` for an image whose entry is no longer in the list.
    pub suspect_entry: Option<Va>,
    /// `Loads`.
    pub loads: u32,
    /// `Unloads`.
    pub unloads: u32,
    /// Its images in memory that are verified, in order of their addresses.
    pub images: Vec<TargetDriver>,
    /// True where the tree no longer has it, and bug check 0xC4/0x62 led to its data.
    pub from_bug_check: bool,
}

impl Driver {
    /// What stands for no driver at all: without name, entry and images.
    #[must_use]
    pub fn none() -> Self {
        Self {
            name: String::new(),
            suspect_entry: None,
            loads: 0,
            unloads: 0,
            images: Vec::new(),
            from_bug_check: false,
        }
    }

    /// What became of it, by the counts.
    #[must_use]
    pub fn state(&self) -> DriverState {
        // Counts are unknown where the entry is not in the list; an image is there, or was.
        let is_there = self.loads == 0 && !self.images.is_empty();
        if self.loads > self.unloads || (is_there && !self.from_bug_check) {
            DriverState::Loaded
        } else if self.loads > 0 || is_there {
            DriverState::Unloaded
        } else {
            DriverState::NeverLoaded
        }
    }

    /// The counters of all its images.
    #[must_use]
    pub fn counters(&self) -> Counters {
        let mut images = self.images.iter();
        let mut sum = images.next().map(|image| image.counters.clone()).unwrap_or_default();
        for image in images {
            sum.add(&image.counters);
        }
        sum
    }

    /// True where `pattern` names this driver: its file name without regard to case, with or
    /// without the extension.
    #[must_use]
    pub fn is_named(&self, pattern: &str) -> bool {
        is_named(&self.name, pattern)
    }
}

/// True where `pattern` is the file name `name`, with or without the extension.
pub(super) fn is_named(name: &str, pattern: &str) -> bool {
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    name.eq_ignore_ascii_case(pattern) || stem.eq_ignore_ascii_case(pattern)
}

/// A verified image.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TargetDriver {
    /// Its `_VF_TARGET_DRIVER`; null where the tree no longer has it, and before Windows 7.
    pub address: Va,
    /// `TreeNode.p`: the image's base. Of an image that is off the tree the module's of its name, null
    /// where there is none.
    pub base: Va,
    /// `TreeNode.RangeSize`: the image's size.
    pub size: u64,
    /// `VerifiedData`: its `_VF_TARGET_VERIFIED_DRIVER_DATA`; before Windows 7 its
    /// `_MI_VERIFIER_DRIVER_ENTRY`.
    pub verified_data: Va,
    /// The integers of that structure from `CurrentPagedPoolAllocations` on.
    pub counters: Counters,
}

/// Configured drivers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Drivers {
    /// In the order of the list.
    pub drivers: Vec<Driver>,
    /// What could not be read or does not fit.
    pub problems: Vec<Problem>,
}

/// Offsets of this view, resolved once.
pub(super) struct Layout {
    pub(super) suspect: SuspectLayout,
    pub(super) tables: u64,
    pub(super) tables_no: u64,
    table_size: u64,
    pub(super) rtl_table: u64,
    pub(super) avl: AvlLayout,
    p: Field,
    range_size: Field,
    verified_data: Field,
    target_size: usize,
    suspect_entry: Field,
    pub(super) signature: Field,
    data: std::sync::Arc<crate::types::Structure>,
    first_counter: u64,
}

impl Layout {
    pub(super) fn resolve(types: &dyn TypeSource) -> Result<Self, Error> {
        let target = "_VF_TARGET_DRIVER";
        let data = "_VF_TARGET_VERIFIED_DRIVER_DATA";
        // From 14393 on the node has a session beside it and its own fields one step deeper.
        let node = |field: &str| {
            types
                .field(target, &format!("TreeNode.{field}"))
                .or_else(|_| types.field(target, &format!("TreeNode.Base.{field}")))
        };
        let size = |name: &str| types.size_of(name).map(|size| size.min(0x1000) as usize);
        Ok(Self {
            suspect: SuspectLayout::resolve(types, "_VF_SUSPECT_DRIVER_ENTRY")?,
            tables: types.field("_VF_AVL_TREE", "Tables")?.offset,
            tables_no: types.field("_VF_AVL_TREE", "TablesNo")?.offset,
            table_size: types.size_of("_VF_AVL_TABLE")?,
            rtl_table: types.field("_VF_AVL_TABLE", "RtlTable")?.offset,
            avl: AvlLayout::from_types(types)?,
            p: node("p")?,
            range_size: node("RangeSize")?,
            verified_data: types.field(target, "VerifiedData")?,
            target_size: size(target)?,
            suspect_entry: types.field(data, "SuspectDriverEntry")?,
            signature: types.field(data, "Signature")?,
            data: required(types, data)?,
            first_counter: types.field(data, "CurrentPagedPoolAllocations")?.offset,
        })
    }
}

impl Drivers {
    /// Reads the list and the tree, and joins them.
    ///
    /// # Errors
    /// Where the kernel's symbols are missing or do not have the list.
    pub fn read(kernel: &Kernel) -> Result<Self, Error> {
        if old::is_old(kernel.types()?)? {
            return old::read_drivers(kernel);
        }
        let layout = Layout::resolve(kernel.types()?)?;
        let mut problems = Vec::new();
        let head = kernel.global("VfSuspectDriversList")?;
        let mut drivers = suspects(kernel, &layout.suspect, head, &mut problems);
        let images = match kernel.global("ViTargetDriversAvl") {
            Ok(tree) => targets(kernel, &layout, tree, kernel.limits(), &mut problems),
            Err(error) => {
                problems.push(Problem::from_error("tree of target drivers", &error));
                Vec::new()
            }
        };
        for (entry, image) in images {
            let driver = drivers.iter_mut().find(|driver| driver.suspect_entry == Some(entry));
            if let Some(driver) = driver {
                driver.images.push(image);
                continue;
            }
            // The name is gone from the list (a torn dump, a driver being removed); the image's own
            // name serves.
            problems.push(Problem::at(
                "target driver",
                image.address,
                format!("its entry {entry} is not in the list of configured drivers"),
            ));
            let name = kernel
                .modules()
                .find(image.base)
                .map(|(_, module)| module.name.clone())
                .or_else(|| Some(kernel.modules().find_unloaded(image.base)?.name.clone()))
                .unwrap_or_else(|| format!("image_{}", image.base));
            drivers.push(Driver {
                name,
                suspect_entry: None,
                loads: 0,
                unloads: 0,
                images: vec![image],
                from_bug_check: false,
            });
        }
        if let Some(unload) = Unload::of(kernel) {
            add_unloaded(kernel, &layout, unload, &mut drivers, &mut problems);
        }
        Ok(Self { drivers, problems })
    }
}

/// Adds the driver that the bug check is about, unless the tree has it.
fn add_unloaded(
    kernel: &Kernel,
    layout: &Layout,
    unload: Unload,
    drivers: &mut Vec<Driver>,
    problems: &mut Vec<Problem>,
) {
    let mut images = drivers.iter().flat_map(|driver| &driver.images);
    if images.any(|image| image.verified_data == unload.data) {
        return;
    }
    let what = "driver that bug check 0xc4/0x62 is about";
    let (entry, counters) = match verified(kernel, layout, unload.data, problems) {
        Ok(Verified { signature: DATA_SIGNATURE, entry, counters }) => (entry, counters),
        // Nothing else says that there is anything of Verifier's.
        Ok(_) => return,
        Err(error) => {
            problems.push(Problem::at(what, unload.data, error));
            return;
        }
    };
    let listed = drivers.iter().position(|driver| driver.suspect_entry == Some(entry));
    let name = match listed.and_then(|index| drivers.get(index)) {
        Some(driver) => driver.name.clone(),
        None => unload.name(kernel).unwrap_or_else(|error| {
            problems.push(Problem::from_error(format!("name of the {what}"), &error));
            format!("driver_{}", unload.data)
        }),
    };
    let modules = kernel.modules();
    let is_it = |other: &str| other.eq_ignore_ascii_case(&name);
    let loaded = modules.loaded().iter().find(|module| is_it(&module.name));
    let (base, size) = match loaded {
        Some(module) => (module.base, module.size.into()),
        None => match modules.unloaded().iter().find(|module| is_it(&module.name)) {
            Some(module) => (module.start, module.end.0.saturating_sub(module.start.0)),
            None => (Va(0), 0),
        },
    };
    let image = TargetDriver { address: Va(0), base, size, verified_data: unload.data, counters };
    match listed.and_then(|index| drivers.get_mut(index)) {
        Some(driver) => {
            driver.images.push(image);
            driver.from_bug_check = true;
        }
        None => drivers.push(Driver {
            name,
            suspect_entry: None,
            loads: 0,
            unloads: 0,
            images: vec![image],
            from_bug_check: true,
        }),
    }
}

/// Offsets of an entry in the list of configured drivers, resolved once.
pub(super) struct SuspectLayout {
    pub(super) links: u64,
    pub(super) loads: Field,
    pub(super) unloads: Field,
    pub(super) base_name: u64,
    pub(super) size: usize,
}

impl SuspectLayout {
    /// `name` is the type that the build's list is made of.
    pub(super) fn resolve(types: &dyn TypeSource, name: &str) -> Result<Self, Error> {
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
        // Zeros where the head is: the list was never set up, Verifier is off.
        if walk.entries.is_empty() && kernel.space().read_pointer(head) == Ok(Va(0)) {
            return Vec::new();
        }
        problems.push(Problem::from_error(what, &error));
    }
    Limits::cut(&mut walk.entries, limits.drivers, "Limits::drivers", what, problems);
    let entries = walk.entries.into_iter().map(|link| link.sub(layout.links));
    entries.filter_map(|entry| suspect(kernel, layout, entry, problems)).collect()
}

/// One entry of the list, without images; `None` where it cannot be read.
pub(super) fn suspect(
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
    let name = name.unwrap_or_else(|error| {
        problems.push(Problem::from_error("name of a configured driver", &error));
        format!("driver_{entry}")
    });
    Some(Driver {
        name,
        suspect_entry: Some(entry),
        loads: layout.loads.get(&bytes).unwrap_or(0) as u32,
        unloads: layout.unloads.get(&bytes).unwrap_or(0) as u32,
        images: Vec::new(),
        from_bug_check: false,
    })
}

/// The verified images with the entries that they belong to.
pub(super) fn targets(
    kernel: &Kernel,
    layout: &Layout,
    tree: Va,
    limits: &Limits,
    problems: &mut Vec<Problem>,
) -> Vec<(Va, TargetDriver)> {
    let what = "tree of target drivers";
    let space = kernel.space();
    let head = space
        .read_pointer(tree.add(layout.tables))
        .and_then(|tables| Ok((tables, space.memory().read_u32(tree.add(layout.tables_no))?)));
    let (tables, count) = match head {
        Ok((tables, count)) => (tables, u64::from(count)),
        Err(fault) => {
            problems.push(Problem::at(what, tree, fault));
            return Vec::new();
        }
    };
    if tables.is_null() {
        return Vec::new();
    }
    if count > MAX_TABLES {
        problems.push(Problem::at(
            what,
            tree,
            format!("{count} tables, at most {MAX_TABLES} exist"),
        ));
    }
    let mut images = Vec::new();
    let mut target = vec![0u8; layout.target_size];
    let mut limits = limits.clone();
    for i in 0..count.min(MAX_TABLES) {
        let table = tables.add(i.wrapping_mul(layout.table_size)).add(layout.rtl_table);
        let walk = walk_avl(space, table, &layout.avl, what, &limits);
        limits.tree_nodes = limits.tree_nodes.saturating_sub(walk.entries.len());
        if let Some(error) = walk.broken {
            problems.push(Problem::from_error(what, &error));
        }
        for address in walk.entries {
            if let Err(fault) = space.read(address, &mut target) {
                problems.push(Problem::at("target driver", address, fault));
                continue;
            }
            let data = Va(layout.verified_data.get(&target).unwrap_or(0));
            if data.is_null() {
                // Loaded, not verified.
                continue;
            }
            if images.len() >= limits.drivers {
                let (limit, name) = (limits.drivers as u64, "Limits::drivers");
                let error = Error::Limit { what: "verified images".into(), limit, name };
                problems.push(Problem::from_error(what, &error));
                return images;
            }
            let base = Va(layout.p.get(&target).unwrap_or(0));
            match verified(kernel, layout, data, problems) {
                Ok(Verified { entry, counters, .. }) => images.push((
                    entry,
                    TargetDriver {
                        address,
                        base,
                        size: layout.range_size.get(&target).unwrap_or(0),
                        verified_data: data,
                        counters,
                    },
                )),
                Err(error) => problems.push(Problem::from_error(
                    format!("verified data of the image at {base}"),
                    &error,
                )),
            }
        }
    }
    images
}

/// What a `_VF_TARGET_VERIFIED_DRIVER_DATA` says.
struct Verified {
    signature: u64,
    entry: Va,
    counters: Counters,
}

/// Reads a `_VF_TARGET_VERIFIED_DRIVER_DATA`.
fn verified(
    kernel: &Kernel,
    layout: &Layout,
    data: Va,
    problems: &mut Vec<Problem>,
) -> Result<Verified, Error> {
    let mut bytes = vec![0u8; layout.data.size.min(0x1000) as usize];
    kernel
        .space()
        .read(data, &mut bytes)
        .map_err(|fault| Error::read("_VF_TARGET_VERIFIED_DRIVER_DATA", fault))?;
    let signature = layout.signature.get(&bytes).unwrap_or(0);
    if signature != DATA_SIGNATURE {
        problems.push(Problem::at(
            "verified data",
            data,
            format!("its signature is {signature:#x}, not {DATA_SIGNATURE:#x}"),
        ));
    }
    Ok(Verified {
        signature,
        entry: Va(layout.suspect_entry.get(&bytes).unwrap_or(0)),
        counters: Counters::read(&layout.data, layout.first_counter, &bytes),
    })
}
