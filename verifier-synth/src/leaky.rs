//! A driver that clang and lld-link made, with its PDB, and a machine on which it leaks.
//!
//! The sources, the files and the script that makes them are in the folder `leaky`. What the lines of the
//! code are is known from DWARF of the same code, by llvm-symbolizer.

use crate::assembly::Sample;
use crate::build::Build;
use crate::driver::Driver;
use crate::dump::{DumpKind, MachineType};
use crate::image::PdbId;
use crate::machine::{DriverId, Machine, PoolRecord};
use crate::verifier::Allocation;

/// An image and its PDB, by a linker.
#[derive(Debug, Clone, Copy)]
pub struct Linked {
    /// The image's file.
    pub image: &'static [u8],
    /// The PDB.
    pub pdb: &'static [u8],
    /// The return addresses of all calls.
    calls: &'static str,
    /// Ranges of addresses with the functions there.
    lines: &'static str,
}

/// A call in the code of a [`Linked`] image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// The return address, as an offset from the image's base.
    pub returns_to: u32,
    /// The functions that contain the call, each inlined into the next one; the last one is not inlined.
    pub lines: Vec<Line>,
}

/// A function and a line of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The function.
    pub function: String,
    /// The file as the compiler wrote it.
    pub file: String,
    /// The line; 0 if the compiler gave none.
    pub line: u32,
}

macro_rules! linked {
    ($folder:literal) => {
        Linked {
            image: include_bytes!(concat!("../leaky/", $folder, "/leaky.sys")),
            pdb: include_bytes!(concat!("../leaky/", $folder, "/leaky.pdb")),
            calls: include_str!(concat!("../leaky/", $folder, "/calls.txt")),
            lines: include_str!(concat!("../leaky/", $folder, "/dwarf.txt")),
        }
    };
}

impl Linked {
    /// The driver `leaky.sys` of that machine.
    pub fn leaky(machine: MachineType) -> Self {
        match machine {
            MachineType::X86 => linked!("x86"),
            MachineType::X64 => linked!("x64"),
            MachineType::Arm64 => linked!("arm64"),
        }
    }

    /// Every call in its code.
    pub fn calls(&self) -> Vec<Call> {
        let call = |address| Call { returns_to: address, lines: self.lines_at(address - 1) };
        self.calls.lines().map(|line| call(hex(line))).collect()
    }

    /// The return address of the `n`th call, from 0, whose functions are these, innermost first.
    ///
    /// # Panics
    ///
    /// If there is no such call.
    pub fn call(&self, functions: &[&str], n: usize) -> u32 {
        let calls = self.calls();
        let mut same = calls.iter().filter(|call| {
            call.lines.iter().map(|line| line.function.as_str()).eq(functions.iter().copied())
        });
        same.nth(n).unwrap_or_else(|| panic!("call {n} in {functions:?}: {calls:#?}")).returns_to
    }

    fn lines_at(&self, address: u32) -> Vec<Line> {
        for run in self.lines.lines() {
            let fields: Vec<&str> = run.split('\t').collect();
            if (hex(fields[0])..hex(fields[1])).contains(&address) {
                let line = |line: &[&str]| Line {
                    function: line[0].to_owned(),
                    file: line[1].to_owned(),
                    line: line[2].parse().expect("a number"),
                };
                return fields[2..].chunks(3).map(line).collect();
            }
        }
        Vec::new()
    }

    /// The offset of the image's `PE` signature.
    fn header(&self) -> usize {
        self.number(0x3c) as usize
    }

    pub(crate) fn time_date_stamp(&self) -> u32 {
        self.number(self.header() + 8)
    }

    /// `SizeOfImage`; at least the size that a [`Driver`] must have.
    pub(crate) fn size(&self) -> u32 {
        self.number(self.header() + 24 + 56).max(0x5000)
    }

    pub(crate) fn pdb_id(&self) -> PdbId {
        let record = self.image.windows(4).position(|bytes| bytes == b"RSDS").expect("a record");
        let record = &self.image[record..];
        let mut guid: [u8; 16] = record[4..20].try_into().expect("16 bytes");
        guid[..4].reverse();
        guid[4..6].reverse();
        guid[6..8].reverse();
        let name = record[24..].split(|&byte| byte == 0).next().expect("a part");
        PdbId {
            name: String::from_utf8(name.to_vec()).expect("text"),
            guid: u128::from_be_bytes(guid),
            age: u32::from_le_bytes(record[20..24].try_into().expect("4 bytes")),
        }
    }

    fn number(&self, at: usize) -> u32 {
        u32::from_le_bytes(self.image[at..at + 4].try_into().expect("4 bytes"))
    }
}

fn hex(text: &str) -> u32 {
    u32::from_str_radix(text, 16).expect("a hexadecimal number")
}

/// The blocks of [`leaky_machine`]: the functions of the call, which of such calls, the call of that function
/// in `DriverEntry`, how many blocks of how many bytes.
const LEAKS: [(&[&str], usize, usize, u64, u64); 5] = [
    // A node and its data: the allocator is inlined into a function that is inlined too.
    (&["PoolAllocate", "NodeCreate", "CacheInsert"], 0, 1, 12, 0x18),
    (&["PoolAllocate", "NodeCreate", "CacheInsert"], 1, 1, 30, 0x200),
    // A macro allocates.
    (&["QueuePush"], 0, 0, 3, 0x10),
    // A member function is inlined.
    (&["PoolAllocate", "wire::Session::Open", "SessionOpen"], 0, 2, 1, 0x1000),
    (&["PoolAllocate", "DriverEntry"], 0, 0, 1, 0x40),
];

/// A machine with the driver [`Linked::leaky`], which holds 47 blocks: 42 of a cache (30 of them the data of
/// its nodes), 3 of a queue, 1 of a session and 1 of its entry. Each block has a record in the pool log.
pub fn leaky_machine(build: Build) -> (Machine, DriverId) {
    let linked = Linked::leaky(build.machine());
    let mut m = Machine::new(build);
    let leaky = m.driver(Driver::new("leaky.sys").linked(&linked));
    let base = m.image(leaky).base;
    m.level(8);
    let hooks = [
        m.kernel_address("VeAllocatePoolWithTagPriority") + 0x2b6,
        m.kernel_address("VerifierExAllocatePoolEx") + 0x1d,
    ];
    let thread_start = m.kernel_address("KiStartSystemThread") + 0x16;
    let mut blocks = Vec::new();
    for (functions, nth, entry, count, size) in LEAKS {
        let caller = base + u64::from(linked.call(functions, nth));
        let mut frames = [&hooks[..], &[caller]].concat();
        if !functions.contains(&"DriverEntry") {
            frames.push(base + u64::from(linked.call(&["DriverEntry"], entry)));
        }
        frames.push(thread_start);
        for _ in 0..count {
            // Past the structures that a machine lays out.
            let address = m.pool_start() + 0x100_0000 + 0x2000 * blocks.len() as u64;
            blocks.push(Allocation::nonpaged(address, size, b"Leak", caller));
            let (frames, thread) = (frames.clone(), m.pool_start() + 0x80_0040);
            m.pool_record(PoolRecord { address, size, thread, frames, stale: Vec::new() });
        }
    }
    let verified = m.verified(leaky);
    for block in blocks {
        verified.allocation(block);
    }
    (m, leaky)
}

/// The dump of [`leaky_machine`] with its symbols: a PDB with lines for the driver, tables for the others.
pub fn leaky(build: Build) -> Sample {
    let kind = match build.machine() {
        MachineType::X86 => DumpKind::Complete,
        _ if build == Build::Win7Sp1 => DumpKind::Summary,
        _ => DumpKind::BitmapKernel,
    };
    leaky_machine(build).0.build(kind)
}
