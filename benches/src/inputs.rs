//! The inputs of the benches: sparse dumps of any size, a full ring, a PDB of a kernel's size.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use verifier_synth::dump::write_bitmap_dump_sparse;
use verifier_synth::{
    Allocation, Assembly, Build, Driver, DumpKind, Log, Machine, PoolRecord, Sample,
};

/// Frames of 4 KiB in a GiB.
pub const FRAMES_PER_GIB: u64 = 1 << 18;
/// Slots of the full ring.
pub const RING_SLOTS: u32 = 0x1_0000;

/// The frames that a sparse dump holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spread {
    /// All.
    Contiguous,
    /// Each frame with a probability of one half.
    Random,
}

/// A pseudo-random number that is the same in every run.
pub fn mix(x: u64) -> u64 {
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// Writes `assembly` as the dump of a machine with `gib` of memory. The file takes little space if the file
/// system supports sparse files.
pub fn write_sparse(path: &Path, assembly: &Assembly, gib: u64, spread: Spread) -> io::Result<()> {
    let mut file = io::BufWriter::new(File::create(path)?);
    let memory = assembly.space().memory();
    let present = |pfn: u64| spread == Spread::Contiguous || mix(pfn) & 1 == 1;
    let frames = gib * FRAMES_PER_GIB;
    let kind = DumpKind::BitmapFull;
    write_bitmap_dump_sparse(&mut file, kind, &assembly.header, frames, present, memory)?;
    Ok(())
}

/// A small machine: two drivers, a few blocks.
pub fn small() -> Machine {
    let mut m = Machine::new(Build::Win11);
    let leaky = m.driver(Driver::new("leaky.sys").pdb("leaky.pdb").symbol("LeakyRead", 0x1200));
    let caller = m.driver_address(leaky, "LeakyRead") + 0x34;
    m.level(8);
    let verified = m.verified(leaky);
    for i in 0..40 {
        let block = 0xffff_9a8f_5000_0000 + i * 0x1000;
        verified.allocation(Allocation::nonpaged(block, 0x210, b"Leak", caller));
    }
    m
}

/// Windows 11 with a pool log whose 65,536 slots are all in use, 50 frames each: 27 MB.
pub fn full_ring() -> Machine {
    let mut m = small();
    let kernel = m.kernel_address("VfPoolTraces") - 0x20_0000;
    let top = m.kernel_address("ExAllocatePoolWithTag");
    for i in 0..u64::from(RING_SLOTS) {
        // A few common paths lead into the allocator; their callers differ.
        let mut frames = vec![top + 0x10 + mix(i) % 4 * 8, top + 0x100 + mix(i) % 16];
        frames.extend((2..50).map(|depth| kernel + mix(mix(i % 977) + depth) % 0x10_0000));
        m.pool_record(PoolRecord {
            address: 0xffff_9a8f_0000_0000 + i * 0x40,
            size: 0x40,
            thread: 0xffff_9a8f_4000_0080,
            frames,
            stale: Vec::new(),
        });
    }
    m.log(Log::Pool).length = RING_SLOTS;
    m
}

/// Windows 11 with a driver of 4,000 functions that holds 20,000 blocks, and a pool log of 65,536 records
/// with 50 frames each: the allocations of the blocks, and other allocations with their frees.
pub fn leaking_ring() -> Machine {
    const BLOCKS: u64 = 20_000;
    let mut m = Machine::new(Build::Win11);
    let mut driver = Driver::new("deep.sys").pdb("deep.pdb").size(0x8_0000);
    for i in 0..4000u32 {
        driver = driver.symbol(&format!("Function{i}"), 0x1000 + i * 0x40);
    }
    let deep = m.driver(driver);
    m.level(8);
    let base = m.image(deep).base + 0x1000;
    let allocate = m.kernel_address("VerifierExAllocatePoolWithTag") + 0x1d;
    let free = m.kernel_address("VerifierExFreePoolWithTag") + 0x1d;
    let block = |i: u64| 0xffff_9a8f_5000_0000 + i * 0x1000;
    let caller = |i: u64| base + (i % 500) * 0x40 + 0x10;
    for slot in 0..u64::from(RING_SLOTS) {
        let (i, first) = match slot.checked_sub(BLOCKS) {
            None => (slot, allocate),
            Some(more) => (BLOCKS + more / 2, if more % 2 == 0 { allocate } else { free }),
        };
        let outer = (1..49).map(|depth| base + ((i % 2000) + depth * 41) % 4000 * 0x40 + 0x18);
        m.pool_record(PoolRecord {
            address: block(i),
            size: 0x100,
            thread: 0xffff_9a8f_4fff_0040,
            frames: [first, caller(i)].into_iter().chain(outer).collect(),
            stale: Vec::new(),
        });
    }
    let verified = m.verified(deep);
    for i in 0..BLOCKS {
        verified.allocation(Allocation::nonpaged(block(i), 0x110, b"Deep", caller(i)));
    }
    m
}

/// Writes a sample into a folder; returns the paths of the dump and of the symbols.
pub fn save(folder: &Path, sample: &Sample) -> io::Result<(PathBuf, PathBuf)> {
    let symbols = folder.join("symbols");
    for (path, bytes) in &sample.files {
        let path = symbols.join(path);
        std::fs::create_dir_all(path.parent().unwrap_or(folder))?;
        std::fs::write(path, bytes)?;
    }
    let dump = folder.join("memory.dmp");
    std::fs::write(&dump, &sample.dump)?;
    Ok((dump, symbols))
}

/// The folder of dumps beside the project, if it is present.
pub fn shared_dumps() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/dumps");
    path.is_dir().then_some(path)
}

/// The PDB of a kernel with 40,000 public symbols, from the shared dumps.
pub fn kernel_pdb() -> Option<PathBuf> {
    let folder = shared_dumps()?.join("win10-19041-rich/symbols/ntkrnlmp.pdb");
    let key = std::fs::read_dir(folder).ok()?.next()?.ok()?;
    Some(key.path().join("ntkrnlmp.pdb"))
}
