//! Finds the images of a kernel: by its own list, by a small dump's list, or only the kernel's image, which
//! a search found.

use std::cell::LazyCell;
use std::fmt;

use super::modules::read_loaded;
use super::{AddressSpace, DebuggerData, Hints, Limits, Module};
use crate::addr::{Rva, Va};
use crate::error::{Error, Problem};
use crate::symbols::{ImageHeaders, SymbolTable};

/// The source of the list of images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ModuleSource {
    /// The kernel's own list, `PsLoadedModuleList`.
    List,
    /// [`Hints::modules`]: a small dump's driver list.
    Hints,
    /// No list: only the kernel's image is known, which a search found.
    KernelAlone,
}

impl fmt::Display for ModuleSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ModuleSource::List => "PsLoadedModuleList",
            ModuleSource::Hints => "the dump's own list of drivers",
            ModuleSource::KernelAlone => "the kernel's image alone",
        })
    }
}

/// The images that were found.
pub(super) struct Images {
    /// Never empty.
    pub(super) loaded: Vec<Module>,
    /// The base address of the kernel.
    pub(super) base: Va,
    /// The build number, if hints or exports give it.
    pub(super) build: Option<u32>,
    pub(super) source: ModuleSource,
    pub(super) problems: Vec<Problem>,
}

/// Finds the images and the debugger data, as far as that is possible without symbols.
pub(super) fn locate(
    space: &AddressSpace,
    hints: &Hints,
    limits: &Limits,
) -> Result<(Images, Option<DebuggerData>), Error> {
    let data = hints
        .kd_debugger_data_block
        .and_then(|address| DebuggerData::read(space, address, None).ok());
    let images = find(space, hints, data.as_ref(), limits)?;
    if images.source == ModuleSource::KernelAlone
        && data.is_none()
        && let Some(kernel) = images.loaded.first()
        // The block in the only known image leads to the other images.
        && let Some(data) = DebuggerData::search(space, kernel.base, kernel.size)
    {
        return Ok((find(space, hints, Some(&data), limits)?, Some(data)));
    }
    Ok((images, data))
}

/// Finds the images: by `PsLoadedModuleList`, whose address is in the hints, the debugger data or the
/// kernel's exports; else by the hints' own list; else only the kernel.
pub(super) fn find(
    space: &AddressSpace,
    hints: &Hints,
    data: Option<&DebuggerData>,
    limits: &Limits,
) -> Result<Images, Error> {
    let kernel_base = hints.kernel_base.or(data.map(|data| data.kernel_base));
    let headers = kernel_base.and_then(|base| ImageHeaders::read(space.memory(), base).ok());
    // The exports are read only if they are needed: a kernel has thousands.
    let exports = LazyCell::new(|| {
        let mut left = limits.exports;
        let headers = headers.as_ref()?;
        headers.exports(space.memory(), &mut left).ok()
    });
    let exported = |name| exported(exports.as_ref()?, kernel_base, name);
    let lab = data.and_then(|data| build_of_lab(&read_lab(space, data.nt_build_lab)?));
    let build = match (hints.build, lab) {
        (Some(told), Some(lab)) if !(lab..lab + FEATURE_UPDATES).contains(&told) => Some(lab),
        (told, lab) => told.or_else(|| read_build(space, exported("NtBuildNumber")?)).or(lab),
    };
    let block = data.map(|data| data.ps_loaded_module_list);
    let told = [
        hints.ps_loaded_module_list,
        block.filter(|&head| hints.ps_loaded_module_list != Some(head)),
    ];
    let read = |head| {
        let mut problems = Vec::new();
        let (mut loaded, broken) = read_loaded(space, head, limits, &mut problems);
        add_kernel(&mut loaded, hints, headers.as_ref(), &mut problems);
        List { loaded, broken, problems }
    };
    let mut list = best_list(told.into_iter().flatten().map(read));
    let is_somewhere = told.iter().any(Option::is_some);
    let exported = if list.loaded.is_empty() { exported("PsLoadedModuleList") } else { None };
    if let Some(head) = exported {
        list = read(head);
    }
    let List { mut loaded, broken, mut problems } = list;
    let mut source = ModuleSource::List;
    // A small dump may have some entries of the kernel's list by chance; its own list is complete.
    if loaded.len() < hints.modules.len() {
        // The kernel's list is expected to be absent, so there is no problem to report.
        problems.clear();
        loaded.clear();
        source = ModuleSource::Hints;
        for module in &hints.modules {
            if space.is_kernel(module.base) {
                loaded.push(module.clone());
            } else {
                let why = format!("its base {} is outside the kernel", module.base);
                problems.push(Problem::new("module", why));
            }
        }
    }
    if loaded.is_empty()
        && let (Some(base), Some(headers)) = (kernel_base, &headers)
    {
        source = ModuleSource::KernelAlone;
        if problems.is_empty() {
            problems.push(Problem::new(
                "list of loaded modules",
                "only the kernel's symbols say where it is: no other image is known",
            ));
        }
        if hints.is_uncertain {
            let why = "only their shape speaks for them: they map a kernel's image, but no list of \
                       loaded modules that has it reads through them";
            problems.push(Problem::at("page tables", base, why).unknown());
        }
        loaded.push(kernel_alone(base, headers));
    }
    let Some(first) = loaded.first() else {
        // A fault keeps its address in the error.
        if let Some(Error::Read { fault, .. }) = broken {
            return Err(Error::read("the list of loaded modules cannot be read", fault));
        }
        return Err(broken.unwrap_or_else(|| Error::Unsupported {
            what: match problems.first() {
                Some(problem) => {
                    format!("the list of loaded modules cannot be read: {problem}")
                }
                None if is_somewhere || exported.is_some() => {
                    "the list of loaded modules is empty".into()
                }
                None => "the address of the list of loaded modules is unknown".into(),
            },
        }));
    };
    // The debugger data's base, if there is an image; else the first entry of the list, where the loader
    // puts the kernel.
    let is_loaded = |base: &Va| loaded.iter().any(|module| module.base == *base);
    let told = [data.map(|data| data.kernel_base), hints.kernel_base];
    let base = told.into_iter().flatten().find(is_loaded).unwrap_or(first.base);
    for module in &mut loaded {
        if module.base == base {
            module.short_name = "nt".into();
        }
    }
    Ok(Images { loaded, base, build, source, problems })
}

/// The list that one head leads to.
#[derive(Default)]
struct List {
    loaded: Vec<Module>,
    /// The first reason why it is incomplete.
    broken: Option<Error>,
    problems: Vec<Problem>,
}

/// The first complete list, else the one with the most modules.
fn best_list(lists: impl Iterator<Item = List>) -> List {
    let mut best = List::default();
    for list in lists {
        let is_whole = !list.loaded.is_empty() && list.broken.is_none();
        if is_whole || best.broken.is_none() || list.loaded.len() > best.loaded.len() {
            best = list;
        }
        if is_whole {
            break;
        }
    }
    best
}

/// The most by which an update's build exceeds the build in its lab string: 19045 belongs to 19041, 26200
/// to 26100.
const FEATURE_UPDATES: u32 = 0x100;
/// The most bytes of a lab string that are read: kernels have up to 40.
const MAX_LAB: usize = 64;

/// `NtBuildLab`.
pub(super) fn read_lab(space: &AddressSpace, at: Va) -> Option<String> {
    let mut text = [0u8; MAX_LAB];
    let read = space.read(at, &mut text);
    // The memory after the string may be absent.
    let text = text.get(..read.map_or_else(|fault| fault.done, |_| MAX_LAB))?;
    let end = text.iter().position(|&byte| byte == 0)?;
    let text = std::str::from_utf8(text.get(..end)?).ok()?;
    (!text.is_empty()).then(|| text.to_string())
}

/// The build number at the start of a lab string.
pub(super) fn build_of_lab(lab: &str) -> Option<u32> {
    let (number, _) = lab.split_once('.')?;
    number.parse().ok().filter(|build| (2600..100_000).contains(build))
}

/// The build number in `NtBuildNumber`, whose upper bits say whether the build is free or checked.
pub(super) fn read_build(space: &AddressSpace, at: Va) -> Option<u32> {
    space.memory().read_u32(at).ok().map(|raw| raw & 0xffff).filter(|&build| build != 0)
}

fn exported(exports: &SymbolTable, base: Option<Va>, name: &str) -> Option<Va> {
    let Rva(rva) = exports.find(name)?;
    Some(base?.add(rva.into()))
}

/// Compares a list of images with the kernel's image that a search found. The list may have lost its first
/// entries; but if the page tables are uncertain, it is another list.
fn add_kernel(
    loaded: &mut Vec<Module>,
    hints: &Hints,
    headers: Option<&ImageHeaders>,
    problems: &mut Vec<Problem>,
) {
    let (Some(base), Some(headers)) = (hints.kernel_base, headers) else { return };
    if loaded.is_empty() || loaded.iter().any(|module| module.base == base) {
        return;
    }
    let why = "the kernel's image, which a search found here, is not in it";
    problems.push(Problem::at("list of loaded modules", base, why));
    match hints.is_uncertain {
        true => loaded.clear(),
        false => loaded.insert(0, kernel_alone(base, headers)),
    }
}

fn kernel_alone(base: Va, headers: &ImageHeaders) -> Module {
    let name = "ntoskrnl.exe".to_string();
    Module {
        entry: Va(0),
        base,
        size: headers.size_of_image,
        path: name.clone(),
        name,
        short_name: "nt".into(),
        time_date_stamp: Some(headers.time_date_stamp),
        check_sum: None,
    }
}
