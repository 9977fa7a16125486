//! A file with a kernel's memory, in any format.

use std::sync::Arc;

use super::elf::ElfCore;
use super::source::ReadAt;
use super::spans::FileSpans;
use super::{Dump, DumpKind, Truncation};
use crate::addr::{PAGE_SIZE, Pa};
use crate::error::{Error, Problem};
use crate::machine::Machine;
use crate::memory::{Memory, Pages};

/// A file with a kernel's memory.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum MemoryFile {
    /// A crash dump in Windows' own format.
    Dump(Dump),
    /// A core file of a virtual machine.
    Elf(ElfCore),
    /// Physical memory from address 0 on, without any header.
    Raw(FileSpans<Pa>),
}

impl MemoryFile {
    /// Opens a file; its first bytes identify the format. A raw image has no header: see [`raw`](Self::raw).
    ///
    /// # Errors
    /// As [`Dump::open`] and [`ElfCore::open`].
    pub fn open(file: Arc<dyn ReadAt>) -> Result<Self, Error> {
        if ElfCore::is_one(&*file) {
            return ElfCore::open(file).map(MemoryFile::Elf);
        }
        Dump::open(file).map(MemoryFile::Dump)
    }

    /// Opens the file as physical memory from address 0 on.
    pub fn raw(file: Arc<dyn ReadAt>) -> Self {
        MemoryFile::Raw(FileSpans::raw(file))
    }

    /// The crash dump, if the file is one.
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

    /// What is missing at the end of the file, if it was cut short. The expected length follows from a crash
    /// dump's page map and count of pages, or from an ELF core's segments; a raw image does not state it.
    #[must_use]
    pub fn truncation(&self) -> Option<Truncation> {
        match self {
            MemoryFile::Dump(dump) => dump.truncation(),
            MemoryFile::Elf(core) => core.memory.truncation(),
            MemoryFile::Raw(_) => None,
        }
    }

    /// Problems of the file as a whole, independent of the contents of its memory.
    #[must_use]
    pub fn problems(&self) -> Vec<Problem> {
        match self {
            MemoryFile::Dump(dump) => dump.problems(),
            MemoryFile::Elf(core) => {
                let truncation = core.memory.truncation();
                let truncation = truncation.map(|found| found.problem(core.memory.file()));
                truncation.into_iter().chain(core.problems.iter().cloned()).collect()
            }
            MemoryFile::Raw(memory) if memory.bytes().is_multiple_of(PAGE_SIZE) => Vec::new(),
            MemoryFile::Raw(memory) => {
                let end = memory.bytes();
                let why = format!("it ends inside a page, at offset {end:#x}: it may be cut short");
                vec![Problem::new("file", why)]
            }
        }
    }

    /// The machine's architecture, if the file states it.
    #[must_use]
    pub fn machine(&self) -> Option<Machine> {
        match self {
            MemoryFile::Dump(dump) => dump.header().machine(),
            MemoryFile::Elf(core) => core.machine(),
            MemoryFile::Raw(_) => None,
        }
    }

    /// The file's physical memory, page by page.
    ///
    /// # Errors
    /// As [`Dump::physical`]: a small dump has no physical memory.
    pub fn pages(&self) -> Result<Box<dyn Pages>, Error> {
        Ok(match self {
            MemoryFile::Dump(dump) => Box::new(dump.physical()?),
            MemoryFile::Elf(core) => Box::new(core.memory.clone()),
            MemoryFile::Raw(memory) => Box::new(memory.clone()),
        })
    }

    /// The file's physical memory, in which [`find_kernel`](crate::kernel::find_kernel) can search for the
    /// kernel. Use it for a crash dump only if the dump's header does not lead to the kernel.
    ///
    /// # Errors
    /// As [`Dump::physical`]: a small dump has no physical memory.
    pub fn unlabeled(&self) -> Result<Unlabeled, Error> {
        Ok(match self {
            MemoryFile::Dump(dump) => Unlabeled {
                memory: Arc::new(dump.physical()?),
                machine: dump.header().machine(),
                processors: Vec::new(),
            },
            MemoryFile::Elf(core) => Unlabeled {
                memory: Arc::new(core.memory.clone()),
                machine: core.machine(),
                processors: core.processors.clone(),
            },
            MemoryFile::Raw(memory) => Unlabeled {
                memory: Arc::new(memory.clone()),
                machine: None,
                processors: Vec::new(),
            },
        })
    }

    /// True for a small dump.
    #[must_use]
    pub fn is_small(&self) -> bool {
        self.dump().is_some_and(|dump| dump.header().kind == DumpKind::Triage)
    }
}

/// Physical memory in which the place of the kernel is unknown.
#[derive(Clone)]
pub struct Unlabeled {
    /// The memory.
    pub memory: Arc<dyn Pages>,
    /// The machine's architecture, if it is known.
    pub machine: Option<Machine>,
    /// The CR3 of each processor, if the file has them.
    pub processors: Vec<Pa>,
}

impl Unlabeled {
    pub(crate) fn physical(&self) -> Arc<dyn Memory<Pa>> {
        Arc::<dyn Pages>::clone(&self.memory)
    }
}
