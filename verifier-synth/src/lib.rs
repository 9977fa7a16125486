//! Builds synthetic Windows kernel crash dumps with Driver Verifier data, and their symbol tables: for tests,
//! benches, fuzzing, docs and the `demo` command.
//!
//! You give it a [`Machine`]: a [`Build`], drivers, the blocks that each verified driver holds, records of
//! Verifier's logs. You get a [`Sample`]: the bytes of a dump file of the [`DumpKind`] that you choose, and a
//! Volatility 3 ISF table for each image with a PDB. If you want to damage the machine first, use the step
//! between: an [`Assembly`] is the machine laid out in memory.
//!
//! The reader of such dumps is `verifier-core`; with files and symbol servers, `verifier-host`.
//!
//! This crate does not share a structure, constant or offset with the parser that it tests. Its knowledge
//! comes from public descriptions of the formats, kept as data in `layouts/`. It panics if you ask for
//! something that it cannot build: it is a tool for tests and never reads a file.
//!
//! ```
//! use verifier_synth::{Allocation, Build, Driver, DumpKind, Machine, PoolRecord};
//!
//! let mut m = Machine::new(Build::Win10Vb);
//! let leaky = m.driver(Driver::new("leaky.sys").pdb("leaky.pdb").symbol("LeakyRead", 0x1200));
//! let caller = m.driver_address(leaky, "LeakyRead") + 0x34;
//! let block = 0xffff_9a8f_5000_0000;
//! m.level(8);
//! m.verified(leaky).allocation(Allocation::nonpaged(block, 0x210, b"Leak", caller));
//! m.pool_record(PoolRecord { address: block, size: 0x200, frames: vec![caller], ..PoolRecord::default() });
//!
//! let sample = m.build(DumpKind::BitmapKernel);
//! assert_eq!(&sample.dump[..8], b"PAGEDU64");
//! assert!(sample.files.iter().any(|(path, _)| path.starts_with("leaky.pdb/")));
//! ```
//!
//! The modules, each of which uses only those before it: [`physical`], [`dump`], [`layout`], [`paging`],
//! [`image`], [`isf`], then the machine.

#![forbid(unsafe_code)]

pub mod dump;
pub mod image;
pub mod isf;
pub mod layout;
pub mod paging;
pub mod physical;

mod assembly;
mod build;
mod driver;
mod kernel;
mod leaky;
mod linked;
mod machine;
mod places;
mod record;
mod verifier;
mod walkthrough;

pub use assembly::{Assembly, Sample};
pub use build::Build;
pub use driver::Driver;
pub use dump::{BugCheck, DumpKind, HeaderInfo, MachineType, SmallDump, SmallDumpDriver};
pub use image::{Image, PdbId};
pub use kernel::{DebuggerKeys, UnloadedDriver};
pub use layout::Layouts;
pub use leaky::{leaky, leaky_machine};
pub use linked::{Call, Line, Linked};
pub use machine::{DriverId, Machine, PoolRecord};
pub use paging::{AddressSpace, PageSize, PageState, Paging};
pub use physical::{PhysicalMemory, Placement};
pub use record::Record;
pub use verifier::{
    Allocation, Contiguous, Deadlock, Lock, LockId, LockNode, LockNodeId, LockThreadId, Log,
    PoolBlock, PoolInfo, PoolStack, Ring, RingRecord, SlistForm, StaticLog, Suspect, Tracker,
    Unload, Verified, WatchedIrp,
};
pub use walkthrough::{walkthrough, walkthrough_machine};

/// Compiles the README's example too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
