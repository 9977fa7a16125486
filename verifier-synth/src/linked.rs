//! A driver that clang and lld-link made, with its PDB.
//!
//! The sources, the files and the script that makes them are in the folder `leaky`. What the lines of the
//! code are is known from DWARF of the same code, by llvm-symbolizer.

use crate::dump::MachineType;
use crate::image::PdbId;

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
