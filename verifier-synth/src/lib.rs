//! Builds Windows kernel crash dumps with Driver Verifier data that no Windows ever wrote, and the symbol
//! tables that go with them: for tests, benches, fuzzing, docs and the `demo` command.
//!
//! **In** goes a [`Machine`]: a [`Build`], drivers, the blocks that each verified driver holds, records of
//! Verifier's logs. **Out** comes a [`Sample`]: the bytes of a dump file of the [`DumpKind`] that you want,
//! and a Volatility 3 ISF table for each image with a PDB. Between the two stands an [`Assembly`], the machine
//! laid out in memory, for those who want to damage it first.
//!
//! This crate shares no structure, constant or offset with the parser that it tests: all that it knows it has
//! from public descriptions of the formats, kept as data in `layouts/`. What you ask of it and it can't do,
//! it refuses by a panic; it is a tool for tests and never reads a file.
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
//! The rooms, each of which knows only those before it: [`physical`], [`dump`], [`layout`], [`paging`],
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

/// The README's example compiles too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
