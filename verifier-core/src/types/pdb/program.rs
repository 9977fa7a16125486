//! The program that a PDB describes: from an address to its module, and from there to its line.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::contributions::{Contributions, Place};
use super::cross_module::is_local;
use super::debug_stream::{DEBUG, is_moved};
use super::ids::{Records, function_name};
use super::lines::Line;
use super::module::Module;
use super::source::{Content, Piece, guard, open};
use crate::addr::Rva;
use crate::bytes::le32;
use crate::symbols::{InlinedFrame, SourceSite};

/// The streams of types and of ids.
const TYPES: u16 = 2;
const IDS: u16 = 4;
/// The string table: a signature, a version and a size; then the texts.
const STRINGS: &[u8] = b"/names";
const STRINGS_SIGNATURE: u32 = 0xeffe_effe;
const STRINGS_HEADER: usize = 12;
/// The longest path of a file, in bytes. Windows has a limit of 32,767 characters, and compilers a lower one.
const MAX_PATH: usize = 4096;
/// Limit on the texts that are kept; after that the oldest are read again.
const MAX_TEXTS: usize = 1 << 14;

/// The sections, contributions and modules of a PDB. A module's stream is read when the first address of the
/// module is looked up.
pub(super) struct Program {
    file: Content,
    /// Virtual addresses of the image's sections, in order.
    sections: Vec<u32>,
    debug: Piece,
    contributions: Contributions,
    modules: Mutex<Modules>,
    strings: Piece,
    ids: OnceLock<Option<Records>>,
    types: OnceLock<Option<Records>>,
    texts: Texts,
    functions: Texts,
}

/// The names at and below an address, as far as its module knows them. Nothing of another module is from
/// `first` to the address.
pub(super) struct Nearest {
    /// The start of the code that the linker took from the module there.
    pub(super) first: Rva,
    /// The nearest procedure at or below the address, and its name without decoration.
    pub(super) procedure: Option<(Rva, String)>,
}

/// The modules that were read.
struct Modules {
    known: HashMap<u16, Option<Arc<Module>>>,
    /// The bytes of modules that the file has room for. Normally each module has its own stream, but a file
    /// can claim that all modules have the same one.
    room: usize,
}

impl Program {
    /// `None` if the file has no list of contributions, or if an optimizer moved code after linking: the
    /// addresses of lines are then those from before.
    pub(super) fn new(file: &Content) -> Option<Self> {
        let read = || -> pdb::Result<Option<Self>> {
            let mut pdb = open(file)?;
            let Some(debug) = pdb.raw_stream(DEBUG)? else { return Ok(None) };
            let debug = Piece::of(file, &debug);
            let bytes = debug.as_slice();
            let contributions = Contributions::new(bytes).filter(|_| !is_moved(bytes));
            let (Some(contributions), Some(sections)) = (contributions, pdb.sections()?) else {
                return Ok(None);
            };
            let strings = pdb.named_stream(STRINGS).map(|stream| Piece::of(file, &stream));
            let sections: Vec<u32> =
                sections.iter().map(|section| section.virtual_address).collect();
            if !sections.is_sorted() {
                return Ok(None);
            }
            Ok(Some(Self {
                file: file.clone(),
                sections,
                debug,
                contributions,
                modules: Mutex::new(Modules { known: HashMap::new(), room: file.len() }),
                strings: strings.unwrap_or_else(|_| Piece::whole(Vec::new())),
                ids: OnceLock::new(),
                types: OnceLock::new(),
                texts: Texts::default(),
                functions: Texts::default(),
            }))
        };
        guard(read).ok().flatten()
    }

    /// The line of an address, and the functions that were inlined there.
    pub(super) fn source_site(&self, rva: Rva) -> Option<SourceSite> {
        let place = self.place(rva)?;
        let (number, _) = self.contributions.at(place)?;
        let module = self.module(number)?;
        let site = module.site(place)?;
        let file = |line: Line| self.text(module.lines().name_of(line.file)?);
        let inlined = site.inlined.iter().rev().filter_map(|inlined| {
            let name = self.function_name(self.id(&module, inlined.function)?)?;
            let line = inlined.line;
            // Code without a line is that of the call.
            (line.line != 0).then_some(())?;
            Some(InlinedFrame::new(name, inlined.displacement, file(line)?, line.line))
        });
        Some(SourceSite::new(file(site.line)?, site.line.line).with_inlined(inlined.collect()))
    }

    /// What is known of the names at and below an address, from its module alone.
    pub(super) fn nearest(&self, rva: Rva, plain: fn(&str) -> &str) -> Option<Nearest> {
        let place = self.place(rva)?;
        let (module, first) = self.contributions.at(place)?;
        let at = |before: Place| {
            Some(Rva(rva.0.checked_sub(place.offset.checked_sub(before.offset)?)?))
        };
        let procedure =
            self.module(module).and_then(|module| module.procedure(first, place, plain));
        Some(Nearest {
            first: at(first)?,
            procedure: match procedure {
                Some((start, name)) => Some((at(start)?, name)),
                None => None,
            },
        })
    }

    /// False for a procedure in code that the linker took from another module: it was merged with a procedure
    /// of that module, or it is not where the file says.
    pub(super) fn is_own(&self, module: usize, place: Place, rva: Rva) -> bool {
        self.place(rva) == Some(place)
            && self.contributions.at(place).is_none_or(|(owner, _)| usize::from(owner) == module)
    }

    fn place(&self, rva: Rva) -> Option<Place> {
        let section = self.sections.partition_point(|start| *start <= rva.0);
        let start = self.sections.get(section.checked_sub(1)?)?;
        let (section, offset) = (u16::try_from(section).ok()?, rva.0.checked_sub(*start)?);
        Some(Place { section, offset })
    }

    fn module(&self, number: u16) -> Option<Arc<Module>> {
        let mut modules = self.modules.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(module) = modules.known.get(&number) {
            return module.clone();
        }
        let module = self.read_module(number, &mut modules.room).map(Arc::new);
        modules.known.insert(number, module.clone());
        module
    }

    fn read_module(&self, number: u16, room: &mut usize) -> Option<Module> {
        let parts = self.contributions.stream(number)?;
        let stream = self.stream(parts.number)?;
        *room = room.checked_sub(stream.as_slice().len())?;
        Some(Module::new(&stream, parts))
    }

    fn stream(&self, number: u16) -> Option<Piece> {
        let stream = guard(|| open(&self.file)?.raw_stream(pdb::StreamIndex(number)));
        Some(Piece::of(&self.file, &stream.ok().flatten()?))
    }

    /// The text at an offset of the string table: the path of a file, or the name of a module.
    fn text(&self, offset: u32) -> Option<Arc<str>> {
        self.texts.get(offset, || {
            let strings = self.strings.as_slice();
            if le32(strings, 0)? != STRINGS_SIGNATURE {
                return None;
            }
            let start = usize::try_from(offset).ok()?.checked_add(STRINGS_HEADER)?;
            let path = strings.get(start..)?;
            let path = path.get(..memchr::memchr(0, path.get(..MAX_PATH).unwrap_or(path))?)?;
            (!path.is_empty()).then(|| String::from_utf8_lossy(path).into_owned())
        })
    }

    /// The id in the file, for one that may be local to a module.
    fn id(&self, module: &Module, id: u32) -> Option<u32> {
        if !is_local(id) {
            return Some(id);
        }
        let (name, local) = module.lines().imports.get(id)?;
        let name = self.text(name)?;
        let other = self.contributions.module_named(self.debug.as_slice(), &name)?;
        self.module(other)?.lines().exports.get(local)
    }

    /// The name of the function with that id.
    fn function_name(&self, id: u32) -> Option<Arc<str>> {
        let records = |number| {
            let stream = self.stream(number)?;
            let hashes = Records::hashes_of(&stream).and_then(|number| self.stream(number));
            Some(Records::new(stream, hashes.as_ref()))
        };
        self.functions.get(id, || {
            let ids = self.ids.get_or_init(|| records(IDS)).as_ref()?;
            let types = || self.types.get_or_init(|| records(TYPES)).as_ref();
            function_name(ids, types, id)
        })
    }
}

/// Texts by number, each read once.
#[derive(Default)]
struct Texts(Mutex<HashMap<u32, Option<Arc<str>>>>);

impl Texts {
    fn get(&self, number: u32, read: impl FnOnce() -> Option<String>) -> Option<Arc<str>> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(text) = known.get(&number) {
            return text.clone();
        }
        if known.len() >= MAX_TEXTS {
            known.clear();
        }
        let text = read().map(Arc::from);
        known.insert(number, text.clone());
        text
    }
}
