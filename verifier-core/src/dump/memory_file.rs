//! A file that holds a kernel's memory, whatever its format.

use std::sync::Arc;

use super::elf::ElfCore;
use super::source::ReadAt;
use super::spans::FileSpans;
use super::{Dump, DumpKind};
use crate::addr::Pa;
use crate::error::Error;
use crate::machine::Machine;
use crate::memory::{Memory, Pages};

/// A file that holds a kernel's memory.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum MemoryFile {
    /// A crash dump of Windows' own format.
    Dump(Dump),
    /// A core file of a virtual machine.
    Elf(ElfCore),
    /// Physical memory from address 0 on, without any header.
    Raw(FileSpans<Pa>),
}

impl MemoryFile {
    /// Tells the format by the file's first bytes. A raw image has none: see [`raw`](Self::raw).
    ///
    /// # Errors
    /// As [`Dump::open`] and [`ElfCore::open`].
    pub fn open(file: Arc<dyn ReadAt>) -> Result<Self, Error> {
        if ElfCore::is_one(&*file) {
            return ElfCore::open(file).map(MemoryFile::Elf);
        }
        Dump::open(file).map(MemoryFile::Dump)
    }

    /// Takes the file as physical memory from address 0 on.
    pub fn raw(file: Arc<dyn ReadAt>) -> Self {
        MemoryFile::Raw(FileSpans::raw(file))
    }

    /// The crash dump, where it is one.
    #[must_use]
    pub fn dump(&self) -> Option<&Dump> {
        match self {
            MemoryFile::Dump(dump) => Some(dump),
            MemoryFile::Elf(_) | MemoryFile::Raw(_) => None,
        }
    }

    /// What kind of file this is, in words.
    #[must_use]
    pub fn kind_name(&self) -> String {
        match self {
            MemoryFile::Dump(dump) => dump.header().kind.to_string(),
            MemoryFile::Elf(core) if core.processors.is_empty() => {
                "ELF core of a virtual machine".into()
            }
            MemoryFile::Elf(_) => "ELF core of a virtual machine, by QEMU".into(),
            MemoryFile::Raw(_) => "raw physical memory".into(),
        }
    }

    /// The length of the file in bytes.
    #[must_use]
    pub fn file_len(&self) -> u64 {
        match self {
            MemoryFile::Dump(dump) => dump.file_len(),
            MemoryFile::Elf(core) => core.file_len(),
            MemoryFile::Raw(memory) => memory.bytes(),
        }
    }

    /// The machine's architecture, where the file tells it.
    #[must_use]
    pub fn machine(&self) -> Option<Machine> {
        match self {
            MemoryFile::Dump(dump) => dump.header().machine(),
            MemoryFile::Elf(core) => core.machine(),
            MemoryFile::Raw(_) => None,
        }
    }

    /// The physical memory that the file holds, page by page.
    ///
    /// # Errors
    /// As [`Dump::physical`]: a small dump holds none.
    pub fn pages(&self) -> Result<Box<dyn Pages>, Error> {
        Ok(match self {
            MemoryFile::Dump(dump) => Box::new(dump.physical()?),
            MemoryFile::Elf(core) => Box::new(core.memory.clone()),
            MemoryFile::Raw(memory) => Box::new(memory.clone()),
        })
    }

    /// The physical memory that the file holds, and its stretches where the kernel has to be searched
    /// for in it; `None` for a crash dump, whose header tells where the kernel is.
    #[must_use]
    pub fn unlabeled(&self) -> Option<Unlabeled> {
        let (memory, machine, processors) = match self {
            MemoryFile::Dump(_) => return None,
            MemoryFile::Elf(core) => (&core.memory, core.machine(), core.processors.clone()),
            MemoryFile::Raw(memory) => (memory, None, Vec::new()),
        };
        Some(Unlabeled {
            stretches: memory.stretches().collect(),
            memory: Arc::new(memory.clone()),
            machine,
            processors,
        })
    }

    /// True for a small dump.
    #[must_use]
    pub fn is_small(&self) -> bool {
        self.dump().is_some_and(|dump| dump.header().kind == DumpKind::Triage)
    }
}

/// Physical memory without a header that says where the kernel is.
#[derive(Clone)]
pub struct Unlabeled {
    /// The memory.
    pub memory: Arc<dyn Memory<Pa>>,
    /// First address and bytes of each stretch of it.
    pub stretches: Vec<(Pa, u64)>,
    /// The machine's architecture, where it is known.
    pub machine: Option<Machine>,
    /// The CR3 of processors, where they are known.
    pub processors: Vec<Pa>,
}
