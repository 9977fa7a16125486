//! A file that holds a kernel's memory, whatever its format.

use std::sync::Arc;

use super::elf::ElfCore;
use super::source::ReadAt;
use super::spans::FileSpans;
use super::{Dump, DumpKind, Truncation};
use crate::addr::{PAGE_SIZE, Pa};
use crate::error::{Error, Problem};
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

    /// What is missing at the end of the file, if it was cut short: by a crash dump's page map and count of
    /// pages, by the segments of an ELF core. A raw image does not say how long it must be.
    #[must_use]
    pub fn truncation(&self) -> Option<Truncation> {
        match self {
            MemoryFile::Dump(dump) => dump.truncation(),
            MemoryFile::Elf(core) => core.memory.truncation(),
            MemoryFile::Raw(_) => None,
        }
    }

    /// What is wrong with the file as such, whatever is in its memory.
    #[must_use]
    pub fn problems(&self) -> Vec<Problem> {
        match self {
            MemoryFile::Dump(dump) => dump.problems(),
            MemoryFile::Elf(core) => {
                let truncation = core.memory.truncation().map(|truncation| truncation.problem());
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

    /// The physical memory that the file holds, for a search for the kernel in it
    /// ([`find_kernel`](crate::kernel::find_kernel)). Of a crash dump that is what is left where its
    /// header does not lead to the kernel.
    ///
    /// # Errors
    /// As [`Dump::physical`]: a small dump holds none.
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

/// Physical memory of which nothing says where the kernel is.
#[derive(Clone)]
pub struct Unlabeled {
    /// The memory.
    pub memory: Arc<dyn Pages>,
    /// The machine's architecture, where it is known.
    pub machine: Option<Machine>,
    /// The CR3 of processors, where they are known.
    pub processors: Vec<Pa>,
}

impl Unlabeled {
    pub(crate) fn physical(&self) -> Arc<dyn Memory<Pa>> {
        Arc::<dyn Pages>::clone(&self.memory)
    }
}
