//! Dumps that `verifier-synth` made, and changes to them.
//!
//! A change names a structure by the label that the builder gave it, a distance from there and what to
//! write: a number at the edge of something, a pointer to another label, any bytes. So a list closes
//! into a ring and a count grows to its maximum in a few bytes of input.

use std::sync::{Arc, OnceLock};

use arbitrary::{Arbitrary, Unstructured};
use verifier_core::Pa;
use verifier_core::dump::{Dump, FileError, ReadAt};
use verifier_core::kernel::{AddressSpace, Hints, Kernel, Limits};
use verifier_core::types::Isf;
use verifier_synth::{
    Allocation, Build, Contiguous, Driver, DumpKind, LockNode, Log, Machine, MachineType,
    PoolRecord, PoolStack, RingRecord, Suspect,
};

use crate::bytes::Input;

/// Limits under which a run takes milliseconds.
pub(crate) fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.list_entries = 1 << 10;
    limits.tree_nodes = 1 << 10;
    limits.pool_info_nodes = 1 << 10;
    limits.tracker_pages = 1 << 6;
    limits.ring_records = 1 << 10;
    limits.deadlock_records = 1 << 10;
    limits
}

/// A dump, its table, and the offsets of its labels in the file.
pub(crate) struct Sample {
    file: Vec<u8>,
    isf: Arc<Isf>,
    labels: Vec<Label>,
}

struct Label {
    va: u64,
    /// Offsets in the file of the page and of the one after it.
    pages: [Option<u64>; 2],
    is_pool: bool,
}

/// How labels of what outstanding allocations are read from begin.
const POOL: [&str; 5] = ["trackers:", "verified:", "contiguous:", "pool ", "nt!ViPool"];

/// A machine that has something for every view: two verified drivers with blocks, one that never
/// loaded, and records in each log whose layout the build has.
pub fn rich_machine(build: Build) -> Machine {
    let mut m = Machine::new(build);
    let leaky = m.driver(
        Driver::new("leaky.sys")
            .pdb("leaky.pdb")
            .symbol("LeakyRead", 0x1200)
            .export("Open", 0x1300),
    );
    let rich = m.driver(Driver::new("rich.sys"));
    let caller = m.driver_address(leaky, "LeakyRead") + 0x34;
    let wide = build.machine() != MachineType::X86;
    let block = if wide { m.kernel_address("VfPoolTraces") - 0x1_0000_0000 } else { 0x8500_0000 };
    m.level(0x9bb);
    let verified = m.verified(leaky);
    for i in 0..6 {
        verified.allocation(Allocation::nonpaged(block + i * 0x1000, 0x210, b"Leak", caller));
    }
    for i in 0..3 {
        let address = block + 0x4_0000 + i * 0x1000;
        verified.contiguous(Contiguous { address, size: 0x1000, caller });
    }
    // On x86 the bounds of the pools are known, and the blocks are where nonpaged pool is.
    let make = if wide { Allocation::paged } else { Allocation::nonpaged };
    m.verified(rich).allocation(make(block + 0x8000, 0x50, b"Rich", caller));
    if build == Build::Server2022 {
        let frames = vec![m.kernel_address("VfPoolTraces"), caller];
        let info = m.pool_info();
        for hash in 0..3 {
            let frames = frames.clone();
            info.stack(PoolStack { tag: *b"Tree", hash, frames, ..PoolStack::default() });
        }
        for i in 0..9 {
            info.block(block + 0x1_0000 + i * 0x1000, 0x80, (i < 8).then_some(i as usize % 3));
        }
    }
    m.suspect(Suspect { name: "never.sys".into(), loads: 0, unloads: 0, address: None });
    for i in 0..20 {
        let frames = vec![m.kernel_address("VfPoolTraces") - 0x1000 * i, caller];
        m.pool_record(PoolRecord {
            address: block + i % 7 * 0x1000,
            size: 0x200,
            thread: block + 0x40,
            frames,
            stale: Vec::new(),
        });
    }
    m.log(Log::Pool).length = 0x20;
    for (log, fields) in [
        (Log::Irql, vec![("Thread", block + 0x40), ("OldIrql", 0), ("NewIrql", 2)]),
        (Log::Fault, vec![("Thread", block + 0x40)]),
        (Log::CriticalRegion, vec![("Thread", block + 0x40)]),
    ] {
        let ring = m.log(log);
        ring.length = 0x10;
        for _ in 0..20 {
            let frames = vec![caller, caller + 0x10];
            ring.push(RingRecord { fields: fields.clone(), frames, stale: Vec::new() });
        }
    }
    let deadlock = m.deadlock();
    let (a, b) = (deadlock.free_lock(block, 5), deadlock.free_lock(block + 8, 1));
    let thread = deadlock.thread(block + 0x40);
    let root = deadlock.node(LockNode::new(a).stack(&[caller]));
    let child = deadlock.node(LockNode::new(b).below(root).stack(&[caller]));
    let held = deadlock.node(LockNode::new(b).held_by(thread));
    deadlock.own(b, thread).found(a, &[root, child, held]);
    m
}

fn build(build: Build, kind: DumpKind) -> Sample {
    let assembly = rich_machine(build).assemble();
    let file = assembly.dump(kind);
    let table = assembly.files.iter().find(|(path, _)| path.starts_with("ntkr"));
    let isf = table.and_then(|(_, json)| Isf::parse(json).ok()).expect("a table of the kernel");
    let map = Dump::open(Arc::new(file.clone()))
        .and_then(|dump| dump.physical())
        .expect("the builder's own dump opens");
    let place = |va: u64| {
        let pa = assembly.space().translate(va)?;
        map.map().offset(Pa(pa).pfn().0)
    };
    let labels = assembly
        .labels()
        .map(|(name, va)| Label {
            va,
            pages: [place(va), place((va | 0xfff) + 1)],
            is_pool: POOL.iter().any(|start| name.starts_with(start)),
        })
        .collect();
    Sample { file, isf: Arc::new(isf), labels }
}

fn samples() -> &'static [Sample] {
    static SAMPLES: OnceLock<Vec<Sample>> = OnceLock::new();
    SAMPLES.get_or_init(|| {
        vec![
            build(Build::Win7Sp1, DumpKind::Summary),
            build(Build::Win7Sp1, DumpKind::Complete),
            build(Build::Win81, DumpKind::BitmapKernel),
            build(Build::Win10Vb, DumpKind::BitmapFull),
            build(Build::Win10Vb, DumpKind::RangesKernel),
            build(Build::Win11, DumpKind::RangesComplete),
            build(Build::Win11Arm64, DumpKind::BitmapFull),
            build(Build::Win7Sp1X86, DumpKind::Complete),
            build(Build::Win7Sp1X86, DumpKind::Summary),
            build(Build::Server2022, DumpKind::BitmapKernel),
        ]
    })
}

pub(crate) fn count() -> u8 {
    samples().len() as u8
}

/// The first bytes of each sample, for a target that takes files.
pub(crate) fn headers() -> Vec<Vec<u8>> {
    let whole = samples().iter().map(|sample| {
        let mut seed = vec![0];
        seed.extend(&sample.file[..0x2800.min(sample.file.len())]);
        seed
    });
    let changed = (0..count()).map(|i| vec![1, i, 0, 0, 0, 0]);
    whole.chain(changed).collect()
}

/// Small ISF tables.
pub(crate) fn tables() -> Vec<Vec<u8>> {
    let drivers = Machine::new(Build::Win7Sp1).assemble().files;
    let small = br#"{"metadata":{"windows":{"pdb":{"GUID":"00112233445566778899AABBCCDDEEFF","age":1,
"database":"a.pdb","machine_type":34404}}},"base_types":{"pointer":{"size":8,"signed":false,"kind":"int"},
"unsigned long":{"size":4,"signed":false,"kind":"int"}},"user_types":{"_LIST_ENTRY":{"size":16,"kind":"struct",
"fields":{"Flink":{"offset":0,"type":{"kind":"pointer","subtype":{"kind":"struct","name":"_LIST_ENTRY"}}}}},
"_VF_POOL_TRACE":{"size":32,"fields":{"StackTrace":{"offset":24,"type":{"kind":"array","count":3,"subtype":
{"kind":"bitfield","bit_length":3,"bit_position":1,"type":{"kind":"base","name":"unsigned long"}}}}}}},
"enums":{"e":{"size":4}},"symbols":{"MmVerifierData":{"address":4096}}}"#;
    let short = drivers.into_iter().map(|(_, json)| json).filter(|json| json.len() < 0x4000);
    short.chain([small.to_vec()]).collect()
}

/// What to write.
#[derive(Debug, Arbitrary)]
enum Value {
    Byte(u8),
    Word(u32),
    Pointer(u64),
    /// A pointer to a label, and a distance from it.
    Label(u8, i8),
    Zeros(u8),
    Ones(u8),
    Flip(u8),
    Bytes([u8; 12]),
}

#[derive(Debug, Arbitrary)]
struct Change {
    label: u8,
    distance: u16,
    value: Value,
}

/// Which labels a change may name.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Where {
    Anywhere,
    Pool,
}

/// A dump with changes; and what is left of the input.
pub(crate) fn changed(data: &[u8], place: Where) -> (&'static Sample, Overlay) {
    let (&first, rest) = data.split_first().unwrap_or((&0, &[]));
    let sample = &samples()[usize::from(first) % samples().len()];
    let mut overlay = Overlay { base: &sample.file, len: sample.file.len(), patches: Vec::new() };
    let mut input = Unstructured::new(rest);
    if input.arbitrary().unwrap_or(0u8) == 0xff {
        overlay.len = usize::from(input.arbitrary().unwrap_or(0u16)) * 0x100 % (overlay.len + 1);
    }
    let labels: Vec<&Label> =
        sample.labels.iter().filter(|label| place == Where::Anywhere || label.is_pool).collect();
    for _ in 0..32 {
        if input.is_empty() || labels.is_empty() {
            break;
        }
        let Ok(change) = Change::arbitrary(&mut input) else { break };
        let label = labels[usize::from(change.label) % labels.len()];
        let at = (label.va & 0xfff) + u64::from(change.distance % 0x1000);
        let Some(page) = label.pages[(at >> 12) as usize & 1] else { continue };
        let at = (page + (at & 0xfff)) as usize;
        let bytes = match change.value {
            Value::Byte(byte) => vec![byte],
            Value::Word(word) => word.to_le_bytes().to_vec(),
            Value::Pointer(pointer) => pointer.to_le_bytes().to_vec(),
            Value::Label(to, distance) => {
                let to = sample.labels[usize::from(to) % sample.labels.len()].va;
                to.wrapping_add_signed(distance.into()).to_le_bytes().to_vec()
            }
            Value::Zeros(count) => vec![0; count.into()],
            Value::Ones(count) => vec![0xff; count.into()],
            Value::Flip(bit) => {
                vec![sample.file.get(at).copied().unwrap_or(0) ^ 1u8.rotate_left(bit.into())]
            }
            Value::Bytes(bytes) => bytes.to_vec(),
        };
        overlay.patches.push((at, bytes));
    }
    (sample, overlay)
}

/// A dump whose first pages are changed, and which may be cut short.
pub(crate) fn with_changed_head(input: &mut Input<'_>) -> Arc<dyn ReadAt> {
    let sample = &samples()[usize::from(input.u8()) % samples().len()];
    let cut = u64::from(input.u16()) * 0x40;
    let len = sample.file.len();
    let len = if cut == 0 { len } else { len.min(cut as usize) };
    let mut overlay = Overlay { base: &sample.file, len, patches: Vec::new() };
    while !input.is_empty() {
        let at = usize::from(input.u16() % 0x3000);
        let count = usize::from(input.u8() % 16) + 1;
        overlay.patches.push((at, input.take(count).to_vec()));
    }
    Arc::new(overlay)
}

/// The kernel of a changed dump, with its table.
pub(crate) fn open(sample: &Sample, file: Overlay) -> Option<Kernel> {
    let dump = Dump::open(Arc::new(file)).ok()?;
    let space = AddressSpace::of_dump(&dump).ok()?;
    let kernel = Kernel::open_with(space, Hints::from(dump.header()), limits()).ok()?;
    kernel.supply_isf(kernel.kernel_module()?, Arc::clone(&sample.isf));
    Some(kernel)
}

/// A file with some bytes changed, without a copy of it.
pub(crate) struct Overlay {
    base: &'static [u8],
    len: usize,
    patches: Vec<(usize, Vec<u8>)>,
}

impl ReadAt for Overlay {
    fn len(&self) -> u64 {
        self.len as u64
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), FileError> {
        let start = usize::try_from(offset).map_err(|_| FileError::PastEnd)?;
        let end = start.checked_add(buf.len()).filter(|&end| end <= self.len);
        let end = end.ok_or(FileError::PastEnd)?;
        buf.copy_from_slice(self.base.get(start..end).ok_or(FileError::PastEnd)?);
        for (at, bytes) in &self.patches {
            for (i, &byte) in bytes.iter().enumerate() {
                if (start..end).contains(&(at + i)) {
                    buf[at + i - start] = byte;
                }
            }
        }
        Ok(())
    }
}
