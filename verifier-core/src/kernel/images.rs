//! Finds the images of a kernel: by its own list, by a small dump's list, or only the kernel's image, which
//! a search found.

use std::cell::OnceCell;
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
    let finder = Finder::new(space, hints, data, limits);
    let build = finder.build();
    let (mut list, has_head) = finder.kernels_list();
    let mut source = ModuleSource::List;
    // A small dump may have some entries of the kernel's list by chance; its own list is complete.
    if list.loaded.len() < hints.modules.len() {
        // The kernel's list is expected to be absent, so there is no problem to report.
        list = List { broken: list.broken, ..finder.hinted_list() };
        source = ModuleSource::Hints;
    }
    if list.loaded.is_empty()
        && let Some(kernel) = finder.kernel_alone(&mut list.problems)
    {
        source = ModuleSource::KernelAlone;
        list.loaded.push(kernel);
    }
    let Some(first) = list.loaded.first() else { return Err(list.into_error(has_head)) };
    // The debugger data's base, if there is an image; else the first entry of the list, where the loader
    // puts the kernel.
    let is_loaded = |base: &Va| list.loaded.iter().any(|module| module.base == *base);
    let bases = [data.map(|data| data.kernel_base), hints.kernel_base];
    let base = bases.into_iter().flatten().find(is_loaded).unwrap_or(first.base);
    for module in &mut list.loaded {
        if module.base == base {
            module.short_name = "nt".into();
        }
    }
    let List { loaded, problems, .. } = list;
    Ok(Images { loaded, base, build, source, problems })
}

/// The sources of the images.
struct Finder<'a> {
    space: &'a AddressSpace,
    hints: &'a Hints,
    data: Option<&'a DebuggerData>,
    limits: &'a Limits,
    kernel_base: Option<Va>,
    headers: Option<ImageHeaders>,
    /// Read only if they are needed: a kernel has thousands.
    exports: OnceCell<Option<SymbolTable>>,
}

impl<'a> Finder<'a> {
    fn new(
        space: &'a AddressSpace,
        hints: &'a Hints,
        data: Option<&'a DebuggerData>,
        limits: &'a Limits,
    ) -> Self {
        let kernel_base = hints.kernel_base.or(data.map(|data| data.kernel_base));
        let headers = kernel_base.and_then(|base| ImageHeaders::read(space.memory(), base).ok());
        Self { space, hints, data, limits, kernel_base, headers, exports: OnceCell::new() }
    }

    /// The address of a symbol that the kernel exports.
    fn exported(&self, name: &str) -> Option<Va> {
        let exports = self.exports.get_or_init(|| {
            let mut left = self.limits.exports;
            self.headers.as_ref()?.exports(self.space.memory(), &mut left).ok()
        });
        let Rva(rva) = exports.as_ref()?.find(name)?;
        Some(self.kernel_base?.add(rva.into()))
    }

    /// The build number. `NtBuildLab` corrects a hint that it contradicts.
    fn build(&self) -> Option<u32> {
        let lab = self.data.and_then(|data| read_lab(self.space, data.nt_build_lab));
        let lab = lab.and_then(|lab| build_of_lab(&lab));
        match (self.hints.build, lab) {
            (Some(hint), Some(lab)) if !(lab..lab + FEATURE_UPDATES).contains(&hint) => Some(lab),
            (Some(hint), _) => Some(hint),
            (None, lab) => {
                let number = self.exported("NtBuildNumber");
                number.and_then(|at| read_build(self.space, at)).or(lab)
            }
        }
    }

    /// The kernel's own list, and whether anything says where it is.
    fn kernels_list(&self) -> (List, bool) {
        let hint = self.hints.ps_loaded_module_list;
        let block = self.data.map(|data| data.ps_loaded_module_list);
        let heads = [hint, block.filter(|&head| hint != Some(head))];
        let list = best_list(heads.into_iter().flatten().map(|head| self.list_at(head)));
        let has_head = heads.iter().any(Option::is_some);
        if list.loaded.is_empty()
            && let Some(head) = self.exported("PsLoadedModuleList")
        {
            return (self.list_at(head), true);
        }
        (list, has_head)
    }

    fn list_at(&self, head: Va) -> List {
        let mut problems = Vec::new();
        let (mut loaded, broken) = read_loaded(self.space, head, self.limits, &mut problems);
        add_kernel(&mut loaded, self.hints, self.headers.as_ref(), &mut problems);
        List { loaded, broken, problems }
    }

    /// The list in the hints.
    fn hinted_list(&self) -> List {
        let mut list = List::default();
        for module in &self.hints.modules {
            if self.space.is_kernel(module.base) {
                list.loaded.push(module.clone());
            } else {
                let why = format!("its base {} is outside the kernel", module.base);
                list.problems.push(Problem::new("module", why));
            }
        }
        list
    }

    /// The kernel's image, if no list has it.
    fn kernel_alone(&self, problems: &mut Vec<Problem>) -> Option<Module> {
        let (base, headers) = (self.kernel_base?, self.headers.as_ref()?);
        if problems.is_empty() {
            problems.push(Problem::new(
                "list of loaded modules",
                "only the kernel's symbols say where it is: no other image is known",
            ));
        }
        if self.hints.is_uncertain {
            let why = "only their shape speaks for them: they map a kernel's image, but no list of \
                       loaded modules that has it reads through them";
            problems.push(Problem::at("page tables", base, why).unknown());
        }
        Some(kernel_alone(base, headers))
    }
}

/// The list that one head leads to.
#[derive(Default)]
struct List {
    loaded: Vec<Module>,
    /// The first reason why it is incomplete.
    broken: Option<Error>,
    problems: Vec<Problem>,
}

impl List {
    /// Why no image was found. `has_head`: something says where the list is.
    fn into_error(self, has_head: bool) -> Error {
        match (self.broken, self.problems.first()) {
            // A fault keeps its address in the error.
            (Some(Error::Read { fault, .. }), _) => {
                Error::read("the list of loaded modules cannot be read", fault)
            }
            (Some(error), _) => error,
            (None, Some(problem)) => Error::Unsupported {
                what: format!("the list of loaded modules cannot be read: {problem}"),
            },
            (None, None) if has_head => {
                Error::Unsupported { what: "the list of loaded modules is empty".into() }
            }
            (None, None) => Error::Unsupported {
                what: "the address of the list of loaded modules is unknown".into(),
            },
        }
    }
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
