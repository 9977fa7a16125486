//! PDB files: types, public symbols, procedures and lines. Only this module uses the `pdb` crate.

mod contributions;
mod cross_module;
mod debug_stream;
mod ids;
mod inlined;
mod lines;
mod module;
mod names;
mod program;
mod publics;
mod source;
mod types;

use std::fmt;
use std::sync::atomic::AtomicU32;
use std::sync::{Arc, OnceLock};

use self::program::Program;
use self::publics::PublicIndex;
pub use self::source::Bytes;
use self::source::{Content, guard, open};
use self::types::Types;
use super::{Structure, TypeSource};
use crate::addr::Rva;
use crate::dump::ReadAt;
use crate::error::Error;
use crate::symbols::{PdbId, SymbolLookup as _, SymbolTable};

/// A PDB.
///
/// Each part of a PDB is read when it is first requested: the identity on opening; a name or an address
/// through the file's own indexes, if it has them; a procedure or a line of source code from the stream of the
/// module that the address comes from; a structure through the hash of types. A
/// [`SymbolTable`](crate::symbols::SymbolTable) of all symbols is made if a name is looked up in a PDB with
/// procedures, if the indexes differ from the linkers' format, and after many look-ups. Unnamed
/// structures and unions (`<unnamed-tag>`, `__unnamed`, clang's `X::<unnamed-type-u>`) share their names, so
/// each is stored inside the member that has it.
///
/// A PDB is untrusted input. The crate asserts some of what it parses, and its views allocate the length that
/// a stream claims. So every call goes through a guard that turns a panic into an error, the source refuses
/// views longer than the file, and counts for which the crate would allocate memory are first checked against
/// the length of the stream.
pub struct Pdb {
    content: Content,
    name: String,
    guid: [u8; 16],
    age: u32,
    machine: Option<u32>,
    types: OnceLock<Result<Types, Error>>,
    publics: OnceLock<Option<PublicIndex>>,
    symbols: OnceLock<Result<Arc<SymbolTable>, Error>>,
    program: OnceLock<Option<Program>>,
    has_procedures: OnceLock<bool>,
    /// The number of addresses looked up so far.
    resolved: AtomicU32,
}

impl Pdb {
    /// Opens a PDB; `name` is for messages.
    ///
    /// # Errors
    /// [`Error::Symbols`] if the bytes are not a PDB.
    pub fn parse(name: &str, bytes: Bytes) -> Result<Self, Error> {
        Self::of(name, Content::Memory(bytes))
    }

    /// Opens a PDB in a file, of which only the streams that are used are read, when they are first used. The
    /// file should not change; a change can give wrong names, or errors.
    ///
    /// # Errors
    /// As [`parse`](Self::parse), and if the file cannot be read.
    pub fn open(name: &str, file: Arc<dyn ReadAt>) -> Result<Self, Error> {
        Self::of(name, Content::of_file(file))
    }

    fn of(name: &str, content: Content) -> Result<Self, Error> {
        let (guid, age, machine) = guard(|| {
            let mut pdb = open(&content)?;
            let info = pdb.pdb_information()?;
            let guid = info.guid.to_bytes_le();
            // Images carry the age of the debug information, not that of the PDB stream, which grows with
            // every write.
            let debug = pdb.debug_information().ok();
            let age = debug.as_ref().and_then(pdb::DebugInformation::age).unwrap_or(info.age);
            let machine = debug.and_then(|debug| debug.machine_type().ok()).and_then(machine);
            Ok((guid, age, machine))
        })?;
        Ok(Self {
            content,
            name: name.into(),
            guid,
            age,
            machine,
            types: OnceLock::new(),
            publics: OnceLock::new(),
            symbols: OnceLock::new(),
            program: OnceLock::new(),
            has_procedures: OnceLock::new(),
            resolved: AtomicU32::new(0),
        })
    }

    /// Its identity.
    #[must_use]
    pub fn id(&self) -> PdbId {
        PdbId { name: self.name.clone(), guid: self.guid, age: self.age }
    }

    /// The PE machine number that the PDB was made for, if it has one.
    #[must_use]
    pub fn machine_image_type(&self) -> Option<u32> {
        self.machine
    }

    fn program(&self) -> Option<&Program> {
        self.program.get_or_init(|| Program::new(&self.content)).as_ref()
    }

    /// True if C names carry decoration.
    fn is_decorated(&self) -> bool {
        self.machine == Some(0x14c)
    }
}

impl TypeSource for Pdb {
    fn structure(&self, name: &str) -> Result<Option<Arc<Structure>>, Error> {
        match self.types.get_or_init(|| Types::new(&self.content)) {
            Ok(types) => types.structure(&self.content, name),
            Err(error) => Err(error.clone()),
        }
    }

    fn symbol(&self, name: &str) -> Option<Rva> {
        self.find(name)
    }

    fn describe(&self) -> String {
        format!("PDB {}", self.id())
    }
}

impl fmt::Debug for Pdb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pdb").field("id", &self.id()).finish_non_exhaustive()
    }
}

fn machine(kind: pdb::MachineType) -> Option<u32> {
    match kind {
        pdb::MachineType::X86 => Some(0x14c),
        pdb::MachineType::Amd64 => Some(0x8664),
        pdb::MachineType::Arm64 => Some(0xaa64),
        _ => None,
    }
}
