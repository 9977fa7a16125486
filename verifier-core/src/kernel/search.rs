//! Searches for the kernel in memory without a useful header: a virtual machine's core file, a raw image,
//! a dump whose header was never filled in.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;

use super::images::{self, ModuleSource};
use super::{AddressSpace, Hints, Limits, MAX_IMAGE, limit};
use crate::addr::{PAGE_SIZE, Pa, Pfn, Va};
use crate::bytes::{le32, le64};
use crate::dump::Unlabeled;
use crate::error::Error;
use crate::machine::Machine;
use crate::memory::{Memory, PageTables, PagingMode};
use crate::symbols::ImageHeaders;

/// The names of kernel PDBs.
pub const KERNEL_PDBS: [&str; 5] =
    ["ntkrnlmp.pdb", "ntoskrnl.pdb", "ntkrnlpa.pdb", "ntkrpamp.pdb", "ntkrla57.pdb"];
/// The name in a kernel's export directory.
const IMAGE_NAME: &str = "ntoskrnl.exe";
/// The most look-ups of pages for one candidate of page tables: the kernel is among the first images.
const MAX_STEPS: u64 = 1 << 20;
/// The same limit for a candidate without the mark: there are many candidates, and on 32-bit machines and
/// ARM64 the kernel is also among the first images.
const MAX_SHAPE_STEPS: u64 = 1 << 16;
/// The most tables with the mark that are tried: every process has one.
const MAX_TABLES: usize = 64;
/// Page frames between two checks of `stop`.
const FRAMES_BETWEEN_LOOKS: u64 = 8;

/// The source of a directory table base.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TableSource {
    /// The caller gave it.
    Given,
    /// The CR3 of the processor with this number.
    Processor(usize),
    /// The entry by which the table maps itself.
    SelfMap,
    /// The shape of a table that leads to a kernel.
    Shape,
}

impl std::fmt::Display for TableSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            TableSource::Given => f.write_str("given"),
            TableSource::Processor(number) => write!(f, "CR3 of processor {number}"),
            TableSource::SelfMap => f.write_str("found by the entry that maps the tables"),
            TableSource::Shape => f.write_str("found by leading to the kernel's image"),
        }
    }
}

/// A kernel that was found in memory without a header.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct FoundKernel {
    /// Its virtual memory. Each read translates its address anew, because the memory may be that of a running
    /// machine; see [`AddressSpace::cached`] for memory that does not change, such as a file's.
    pub space: AddressSpace,
    /// The base of its image.
    pub hints: Hints,
    /// Its page tables.
    pub directory_table_base: Pa,
    /// How they were found.
    pub tables_from: TableSource,
}

/// Finds the kernel in memory without a header. If you give a `directory_table_base`, only this one is
/// tried; else the processors' tables, then tables with the mark, then tables by their shape.
///
/// The search has three steps, and each confirms the one before: page tables, the kernel's image through
/// them, and the PDB that the image names.
///
/// *Page tables.* Windows maps its own tables with an entry of the top table that points at the table
/// itself. On x64 this is any entry of the kernel's half (since 14393 its number is random at each boot),
/// and on x86 it is entry 0x300. Under PAE, entries 0 to 3 of the directory that maps 0xc0000000 point at
/// the four directories. (The top table has the same four entries, so this directory can be used as one.)
/// If no page has this mark, and on ARM64, for which no mark is known, every page is tried that has the
/// shape of a top table: all present entries of the kernel's part point at memory that is there. Many pages
/// have that shape; the kernel's image confirms the right one.
///
/// *The image.* Loaders put kernels in the 512 GiB from 0xfffff800`00000000 on, on x86 anywhere in the
/// kernel's half. Every mapped page that begins with `MZ` is checked; the kernel is the image whose PDB or
/// export directory has a kernel's name. Tables that are known by their shape alone are accepted if the list
/// of loaded modules can be read through them and contains that image. If there are none, the first tables
/// that map a kernel's image are used until symbols lead to the list ([`Hints::is_uncertain`]).
///
/// # Errors
/// [`Error::Unsupported`] says what was tried.
pub fn find_kernel(
    memory: &Unlabeled,
    directory_table_base: Option<Pa>,
    limits: &Limits,
) -> Result<FoundKernel, Error> {
    find_kernel_until(memory, directory_table_base, limits, &|| false)
}

/// Like [`find_kernel`], until `stop` returns true. `stop` is called every few pages.
///
/// # Errors
/// As [`find_kernel`]; [`Error::Stopped`].
pub fn find_kernel_until(
    memory: &Unlabeled,
    directory_table_base: Option<Pa>,
    limits: &Limits,
    stop: &dyn Fn() -> bool,
) -> Result<FoundKernel, Error> {
    let steps = Cell::new(limits.search_pages);
    let (struck, uncertain) = Default::default();
    let search = Search { memory, limits, stop, steps, struck, uncertain };
    let found = search.find(directory_table_base);
    found.map_err(|error| match stop() {
        true => Error::Stopped { what: "search for the kernel".into() },
        false => error,
    })
}

/// How much was searched.
#[derive(Default)]
struct Looked {
    frames: u64,
    /// Pages that may contain a top table.
    tables: usize,
}

struct Search<'a> {
    memory: &'a Unlabeled,
    limits: &'a Limits,
    stop: &'a dyn Fn() -> bool,
    /// The remaining look-ups of pages, over all candidates.
    steps: Cell<u64>,
    /// Limits that cut the search short.
    struck: RefCell<BTreeSet<&'static str>>,
    /// The first kernel whose page tables are known only by their shape.
    uncertain: RefCell<Option<FoundKernel>>,
}

impl Search<'_> {
    fn find(&self, directory_table_base: Option<Pa>) -> Result<FoundKernel, Error> {
        if let Some(base) = directory_table_base {
            let found = self.kernel_through(base, TableSource::Given, MAX_STEPS, &|_| true);
            return found.ok_or_else(|| Error::Unsupported {
                what: format!(
                    "no kernel's image is mapped by page tables at {base}{}",
                    self.cut_short()
                ),
            });
        }
        for (number, &base) in self.memory.processors.iter().enumerate() {
            let from = TableSource::Processor(number);
            if let Some(found) = self.kernel_through(base, from, MAX_STEPS, &|_| true) {
                return Ok(found);
            }
        }
        let mut looked = Looked::default();
        for source in [TableSource::SelfMap, TableSource::Shape] {
            if let Some(found) = self.by_look(source, &mut looked)? {
                return Ok(found);
            }
        }
        if let Some(found) = self.uncertain.take() {
            return Ok(found);
        }
        let Looked { frames, tables } = looked;
        Err(Error::Unsupported {
            what: format!(
                "no kernel was found: of {frames:#x} page frames {tables} look like top page tables, \
                 and none of these maps a kernel's image; give the directory table base if it is \
                 known{}",
                self.cut_short()
            ),
        })
    }

    /// The limits that cut the search short, as the end of the message.
    fn cut_short(&self) -> String {
        let struck: Vec<&str> = self.struck.borrow().iter().copied().collect();
        match struck.len() {
            0 => String::new(),
            _ => format!("; the search was cut short: limit reached ({})", struck.join(", ")),
        }
    }

    fn modes(&self) -> &'static [(PagingMode, Machine)] {
        const X86: [(PagingMode, Machine); 2] =
            [(PagingMode::X86Pae, Machine::X86), (PagingMode::X86, Machine::X86)];
        const ARM64: [(PagingMode, Machine); 1] = [(PagingMode::Arm64, Machine::Arm64)];
        const ALL: [(PagingMode, Machine); 5] = [
            (PagingMode::X64, Machine::X64),
            (PagingMode::X64La57, Machine::X64),
            (PagingMode::X86Pae, Machine::X86),
            (PagingMode::X86, Machine::X86),
            (PagingMode::Arm64, Machine::Arm64),
        ];
        match self.memory.machine {
            // A 64-bit machine may run a 32-bit kernel.
            Some(Machine::X64) => ALL.split_at(4).0,
            Some(Machine::X86) => &X86,
            Some(Machine::Arm64) => &ARM64,
            None => &ALL,
        }
    }

    /// The kernel that tables at `base` map, in any of the machine's modes that `fits` accepts.
    fn kernel_through(
        &self,
        base: Pa,
        tables_from: TableSource,
        steps: u64,
        fits: &dyn Fn(PagingMode) -> bool,
    ) -> Option<FoundKernel> {
        self.modes().iter().filter(|(mode, _)| fits(*mode)).find_map(|&(mode, machine)| {
            let tables = PageTables::new(self.memory.physical(), base, mode);
            let kernel_base = self.kernel_image(&tables, machine, steps)?;
            Some(FoundKernel {
                space: AddressSpace::paged(tables, machine),
                hints: Hints { kernel_base: Some(kernel_base), ..Hints::default() },
                directory_table_base: base,
                tables_from,
            })
        })
    }

    fn kernel_image(&self, tables: &PageTables, machine: Machine, steps: u64) -> Option<Va> {
        let (first, last) = match machine {
            Machine::X86 => (0x8000_0000, 0xffff_ffff),
            Machine::X64 | Machine::Arm64 => (0xffff_f800_0000_0000, 0xffff_f87f_ffff_ffff),
        };
        let granted = self.steps.get().min(steps);
        let mut pages = tables.mapped_pages(Va(first), Va(last), granted);
        let found = pages.by_ref().take_while(|_| !(self.stop)()).find(|&(at, page)| {
            let magic = self.memory.memory.read_u16(page.pa);
            magic.is_ok_and(|magic| magic == 0x5a4d) && is_kernel(tables, at, machine)
        });
        let left = pages.steps_left();
        self.steps.set(self.steps.get() - (granted - left));
        if found.is_none() && left == 0 {
            let name = match granted {
                MAX_STEPS => "MAX_STEPS",
                MAX_SHAPE_STEPS => "MAX_SHAPE_STEPS",
                _ => limit!(self.limits, search_pages).name,
            };
            self.struck.borrow_mut().insert(name);
        }
        found.map(|(at, _)| at)
    }

    /// The kernel through the first page with a top table by this `source`.
    fn by_look(
        &self,
        source: TableSource,
        looked: &mut Looked,
    ) -> Result<Option<FoundKernel>, Error> {
        let by_mark = source == TableSource::SelfMap;
        let has = |mode| by_mark || !matches!(mode, PagingMode::X64 | PagingMode::X64La57);
        if !self.modes().iter().any(|&(mode, _)| has(mode)) {
            return Ok(None);
        }
        let mut page = vec![0u8; PAGE_SIZE as usize];
        let (mut frames, mut tables) = (0u64, 0usize);
        let mut next = self.memory.memory.next_page(Pa(0));
        while let Some(at) = next {
            if frames >= self.limits.search_frames {
                return Err(limit!(self.limits, search_frames).error("search for page tables"));
            }
            if frames.is_multiple_of(FRAMES_BETWEEN_LOOKS) && (self.stop)() {
                break;
            }
            frames += 1;
            next = at.0.checked_add(PAGE_SIZE).and_then(|at| self.memory.memory.next_page(Pa(at)));
            if self.memory.memory.read(at, &mut page).is_err() {
                continue;
            }
            let bases = self.top_tables(&page, at, by_mark);
            tables += usize::from(!bases.is_empty());
            let steps = if by_mark { MAX_STEPS } else { MAX_SHAPE_STEPS };
            for (base, mode) in bases {
                let found = self.kernel_through(base, source, steps, &|other| other == mode);
                let found =
                    found.and_then(|found| if by_mark { Some(found) } else { self.certain(found) });
                if found.is_some() {
                    return Ok(found);
                }
            }
            // Without look-ups left, no image can be found.
            if self.steps.get() == 0 {
                break;
            }
            if by_mark && tables == MAX_TABLES {
                self.struck.borrow_mut().insert("MAX_TABLES");
                break;
            }
        }
        looked.frames = looked.frames.max(frames);
        looked.tables += tables;
        Ok(None)
    }

    /// The kernel, if the list of loaded modules confirms page tables that were found by their shape alone.
    /// If not, the first such kernel is kept in `uncertain`.
    fn certain(&self, mut found: FoundKernel) -> Option<FoundKernel> {
        found.hints.is_uncertain = true;
        // `locate` may search the image for the debugger data block, so count its pages.
        let pages = MAX_IMAGE / PAGE_SIZE;
        self.steps.set(self.steps.get().saturating_sub(pages));
        let located = images::locate(&found.space, &found.hints, self.limits);
        if located.is_ok_and(|(images, _)| images.source == ModuleSource::List) {
            return Some(found);
        }
        self.uncertain.borrow_mut().get_or_insert(found);
        None
    }

    /// The top tables that the page may contain.
    fn top_tables(&self, page: &[u8], at: Pa, by_mark: bool) -> Vec<(Pa, PagingMode)> {
        let modes = self.modes().iter().map(|&(mode, _)| mode);
        if by_mark {
            let marked = modes.filter(|&mode| maps_itself(page, at.pfn(), mode));
            return marked.map(|mode| (at, mode)).collect();
        }
        let is_held = |frame: u64| self.memory.memory.read_u8(Pa(frame)).is_ok();
        let found = modes.flat_map(|mode| {
            // A PAE machine's table has 32 bytes, at any multiple of 32.
            let size = if mode == PagingMode::X86Pae { 32 } else { PAGE_SIZE };
            let starts = (0..PAGE_SIZE).step_by(size as usize);
            starts.map(move |start| (start as usize..(start + size) as usize, mode))
        });
        found
            .filter(|(range, mode)| {
                page.get(range.clone()).is_some_and(|table| is_shaped(table, *mode, &is_held))
            })
            .map(|(range, mode)| (at.add(range.start as u64), mode))
            // On 32-bit machines they are below 4 GiB.
            .filter(|(base, mode)| *mode == PagingMode::Arm64 || base.0 >> 32 == 0)
            .collect()
    }
}

/// True if `table` may be a top table: the kernel's part has entries, and all of them lead to memory that is
/// there.
fn is_shaped(table: &[u8], mode: PagingMode, is_held: &dyn Fn(u64) -> bool) -> bool {
    // The present entries of the kernel's part: the frame of a table, `None` if it cannot be one.
    let entries: Vec<Option<u64>> = match mode {
        PagingMode::X86 => (512..1024)
            .filter_map(|index| le32(table, index * 4).map(u64::from))
            .filter(|entry| entry & 1 != 0)
            // A large page does not show whether this is a table.
            .filter(|entry| entry & 0x80 == 0)
            .map(|entry| Some(entry & 0xffff_f000))
            .collect(),
        // In a directory pointer, all bits but three are address bits or reserved.
        PagingMode::X86Pae => (0..4)
            .filter_map(|index| le64(table, index * 8).map(|entry| (index, entry)))
            .filter(|(index, entry)| entry & 1 != 0 || (*index >= 2 && *entry != 0))
            .map(|(_, entry)| (entry & 0xfff0_0000_0000_01e7 == 1).then_some(entry & !0xfff))
            .collect(),
        PagingMode::Arm64 => (256..512)
            .filter_map(|index| le64(table, index * 8))
            .filter(|entry| entry & 1 != 0)
            .map(|entry| (entry & 3 == 3).then_some(entry & 0x0000_ffff_ffff_f000))
            .collect(),
        // These are known by their mark.
        PagingMode::X64 | PagingMode::X64La57 => return false,
    };
    !entries.is_empty() && entries.into_iter().all(|frame| frame.is_some_and(is_held))
}

/// True if the page has the mark of a top table of this mode.
fn maps_itself(page: &[u8], own: Pfn, mode: PagingMode) -> bool {
    // Present, and not a large page.
    let is_table = |entry: u64| entry & 0x81 == 1;
    let frame = |entry: u64| Pfn((entry & 0x000f_ffff_ffff_f000) / PAGE_SIZE);
    let wide = |index: usize| le64(page, index * 8).unwrap_or(0);
    let to_itself = |entry: u64| is_table(entry) && frame(entry) == own;
    match mode {
        // Exactly one such entry.
        PagingMode::X64 | PagingMode::X64La57 => {
            (256..512).filter(|&index| to_itself(wide(index))).count() == 1
        }
        PagingMode::X86Pae => to_itself(wide(3)) && (0..3).all(|index| is_table(wide(index))),
        PagingMode::X86 => le32(page, 0x300 * 4).is_some_and(|entry| to_itself(entry.into())),
        PagingMode::Arm64 => false,
    }
}

/// True if the image at `at` is a kernel of the machine.
fn is_kernel(tables: &PageTables, at: Va, machine: Machine) -> bool {
    let Ok(headers) = ImageHeaders::read(tables, at) else { return false };
    if Machine::from_image_type(headers.machine.into()) != Some(machine) {
        return false;
    }
    let is_kernels = |name: &str| {
        KERNEL_PDBS.iter().chain([&IMAGE_NAME]).any(|kernel| kernel.eq_ignore_ascii_case(name))
    };
    // Either of the two may be absent.
    headers.pdb_id(tables).is_ok_and(|id| is_kernels(&id.name))
        || headers.export_name(tables).is_ok_and(|name| is_kernels(&name))
}
