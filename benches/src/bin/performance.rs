//! Measures this library and its peers in the same run, and writes the tables of docs/performance.md: `cargo
//! run --release -p verifier-benches --bin performance -- docs/performance.md`.
//!
//! If `ntoseye` is on the PATH (or named by NTOSEYE), whole processes are compared too. The `verifier`
//! program must be in the same folder as this one (`cargo build --release -p verifier-host` builds it).

use std::fmt::Write as _;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use kdmp_parser::gxa::Gva;
use kdmp_parser::parse::KernelDumpParser;
use pdb_addr2line::pdb;
use peak_alloc::PeakAlloc;
use verifier_benches::inputs::{self, Spread, mix};
use verifier_benches::large_pdb::enlarged;
use verifier_benches::measure::{Times, cold, duel, show, time};
use verifier_core::dump::Dump;
use verifier_core::kernel::{AddressSpace, Hints, Kernel};
use verifier_core::memory::Memory;
use verifier_core::render::Names;
use verifier_core::symbols::SymbolLookup as _;
use verifier_core::types::{Isf, Pdb};
use verifier_core::verifier::PoolReport;
use verifier_core::verifier::log::PoolLog;
use verifier_core::{Pa, Rva, Va};
use verifier_host::{FileMode, open_file};
use verifier_synth::{Assembly, DumpKind, Linked, MachineType};

/// Counts allocated bytes, to show how much memory opening a dump takes.
#[global_allocator]
static ALLOCATED: PeakAlloc = PeakAlloc;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// The rows of the table of targets, and of the table without targets.
struct Table {
    targets: String,
    figures: String,
}

impl Table {
    fn target(
        &mut self,
        what: &str,
        ours: &str,
        theirs: &str,
        ratio: &str,
        target: &str,
        met: bool,
    ) {
        let met = if met { "met" } else { "**missed**" };
        eprintln!("{what}: {ours}, {theirs}: {ratio} ({target}: {met})");
        let _ =
            writeln!(self.targets, "| {what} | {ours} | {theirs} | {ratio} | {target} | {met} |");
    }

    fn figure(&mut self, what: &str, ours: &str, peer: &str) {
        eprintln!("{what}: {ours} {peer}");
        let _ = writeln!(self.figures, "| {what} | {ours} | {peer} |");
    }
}

fn shown(times: &Times) -> String {
    show(times.median())
}

/// Formats a ratio as 1/n or n×.
fn ratio(value: f64) -> String {
    match value {
        ..0.01 => format!("1/{:.0}", 1.0 / value),
        ..0.67 => format!("1/{:.1}", 1.0 / value),
        _ => format!("{value:.2}×"),
    }
}

fn main() -> Result<()> {
    let out = std::env::args().nth(1).ok_or("usage: performance OUTPUT.md")?;
    let folder = tempfile::tempdir()?;
    let mut table = Table { targets: String::new(), figures: String::new() };
    let small = inputs::small().assemble();
    open(&mut table, folder.path(), &small)?;
    kinds(&mut table, folder.path(), &small)?;
    reads(&mut table, folder.path())?;
    ring(&mut table, folder.path())?;
    symbols(&mut table)?;
    lines(&mut table, folder.path())?;
    processes(&mut table)?;
    std::fs::write(&out, document(&table))?;
    Ok(())
}

fn open_kernel(path: &Path) -> Result<Kernel> {
    let dump = Dump::open(open_file(path, FileMode::Map)?)?;
    let space = AddressSpace::of_dump(&dump)?;
    Ok(Kernel::open(space, Hints::from(dump.header()))?)
}

/// The kernel with its types.
fn kernel_with_types(path: &Path, assembly: &Assembly) -> Result<Kernel> {
    let kernel = open_kernel(path)?;
    let isf = assembly.files.iter().find(|(path, _)| path.starts_with("ntkr"));
    let isf = Isf::parse(&isf.ok_or("no table")?.1)?;
    kernel.supply_isf(kernel.kernel_module().ok_or("no kernel")?, Arc::new(isf));
    Ok(kernel)
}

/// Sparse dumps of 1, 16 and 64 GiB.
fn open(table: &mut Table, folder: &Path, small: &Assembly) -> Result<()> {
    for spread in [Spread::Contiguous, Spread::Random] {
        for gib in [1, 16, 64] {
            let path = folder.join("sparse.dmp");
            inputs::write_sparse(&path, small, gib, spread)?;
            let before = ALLOCATED.current_usage();
            ALLOCATED.reset_peak_usage();
            let kernel = open_kernel(&path)?;
            let heap = (ALLOCATED.peak_usage() - before) as f64 / (1 << 20) as f64;
            drop(kernel);
            let ours = time(21, || open_kernel(&path).map(|_| ()).is_ok());
            let theirs =
                cold(if gib == 64 { 3 } else { 5 }, || KernelDumpParser::new(&path).is_ok());
            let name = format!("open, {gib} GiB, {spread:?} bitmap").to_lowercase();
            let peer = format!("kdmp-parser {}, {}", shown(&theirs), ratio(ours.over(&theirs)));
            table.figure(&name, &format!("{}, {heap:.1} MiB", shown(&ours)), &peer);
            if gib == 64 && spread == Spread::Random {
                let millis = ours.median().as_secs_f64() * 1e3;
                let own = format!("{}, {heap:.1} MiB", shown(&ours));
                table.target(
                    "open a 64 GiB dump, random bitmap",
                    &own,
                    "-",
                    "-",
                    "≤ 50 ms, ≤ 8 MiB besides the mapping",
                    millis <= 50.0 && heap <= 8.0,
                );
                let (times, against) = (ours.over(&theirs), shown(&theirs));
                table.target(
                    "the same",
                    &shown(&ours),
                    &format!("kdmp-parser {against}"),
                    &ratio(times),
                    "≤ 1/200",
                    times <= 1.0 / 200.0,
                );
            }
            // The cost depends on the question, not on the size of the dump.
            let kernel = kernel_with_types(&path, small)?;
            let pool = time(21, || PoolReport::read(&kernel, |_| true).is_ok());
            let name = format!("`pool`, {gib} GiB, {spread:?} bitmap").to_lowercase();
            table.figure(&name, &shown(&pool), "40 blocks, symbols loaded");
        }
    }
    Ok(())
}

/// The same small machine in every kind of dump.
fn kinds(table: &mut Table, folder: &Path, small: &Assembly) -> Result<()> {
    for kind in DumpKind::WITH_HEADER {
        let path = folder.join("kind.dmp");
        std::fs::write(&path, small.dump(kind))?;
        let ours = time(51, || open_kernel(&path).is_ok());
        let peer = if KernelDumpParser::new(&path).is_ok() {
            let theirs = time(51, || KernelDumpParser::new(&path).is_ok());
            format!("kdmp-parser {}, {}", shown(&theirs), ratio(ours.over(&theirs)))
        } else {
            "kdmp-parser does not open it".into()
        };
        table.figure(&format!("open, small machine, {kind:?}"), &shown(&ours), &peer);
    }
    Ok(())
}

/// Latency and bandwidth of physical and virtual reads, on the largest sparse dump.
fn reads(table: &mut Table, folder: &Path) -> Result<()> {
    const COUNT: usize = 20_000;
    let path = folder.join("sparse.dmp");
    let machine = inputs::full_ring().assemble();
    inputs::write_sparse(&path, &machine, 64, Spread::Random)?;
    let kernel = open_kernel(&path)?;
    let dump = Dump::open(open_file(&path, FileMode::Map)?)?;
    let physical = dump.physical()?;
    let theirs = KernelDumpParser::new(&path)?;
    let virt = kdmp_parser::virt::Reader::new(&theirs);
    let phys = kdmp_parser::phys::Reader::new(&theirs);
    let ring = machine.address("ring:VfPoolTraces");
    let size = u64::from(inputs::RING_SLOTS) * 424;

    let addresses: Vec<u64> = (0..COUNT as u64).map(|i| ring + mix(i) % (size - 8)).collect();
    let memory = kernel.space().memory();
    for &at in &addresses {
        let mut buf = [0; 8];
        virt.read_exact(Gva::new(at), &mut buf)?;
        assert_eq!(memory.read_u64(Va(at))?, u64::from_le_bytes(buf));
    }
    let (ours, other) = duel(
        9,
        || addresses.iter().fold(0, |sum, &at| sum ^ memory.read_u64(Va(at)).unwrap_or(0)),
        || {
            let mut buf = [0; 8];
            for &at in &addresses {
                let _ = virt.read_exact(Gva::new(at), &mut buf);
            }
            buf
        },
    );
    let times = ours.over(&other);
    table.target(
        "random 8-byte virtual read, warm (64 GiB, random bitmap)",
        &shown(&ours.per(COUNT)),
        &format!("kdmp-parser {}", shown(&other.per(COUNT))),
        &ratio(times),
        "≤ 1/20",
        times <= 1.0 / 20.0,
    );
    let frames: Vec<u64> = (0..COUNT as u64)
        .filter_map(|i| machine.space().translate(ring + (mix(i) % (size / 0x1000)) * 0x1000))
        .collect();
    let (ours, other) = duel(
        9,
        || frames.iter().fold(0, |sum, &at| sum ^ physical.read_u64(Pa(at)).unwrap_or(0)),
        || {
            let mut buf = [0; 8];
            for &at in &frames {
                let _ = phys.read_exact(kdmp_parser::gxa::Gpa::new(at), &mut buf);
            }
            buf
        },
    );
    table.figure(
        "random 8-byte physical read, warm",
        &shown(&ours.per(frames.len())),
        &format!("kdmp-parser {}, {}", shown(&other.per(frames.len())), ratio(ours.over(&other))),
    );
    let mut buf = vec![0; size as usize];
    let mut other_buf = vec![0; size as usize];
    let (ours, other) = duel(
        9,
        || memory.read(Va(ring), &mut buf).is_ok(),
        || virt.read_exact(Gva::new(ring), &mut other_buf).is_ok(),
    );
    let rate =
        |times: &Times| format!("{:.1} GB/s", size as f64 / times.median().as_secs_f64() / 1e9);
    table.figure(
        "virtual read of 27 MB",
        &rate(&ours),
        &format!("kdmp-parser {}, {}", rate(&other), ratio(ours.over(&other))),
    );
    Ok(())
}

/// A full ring, decoded.
fn ring(table: &mut Table, folder: &Path) -> Result<()> {
    let machine = inputs::full_ring().assemble();
    let path = folder.join("ring.dmp");
    std::fs::write(&path, machine.dump(DumpKind::BitmapFull))?;
    let kernel = kernel_with_types(&path, &machine)?;
    let log = PoolLog::read(&kernel, None)?;
    assert_eq!((log.records.len(), log.problems.len()), (inputs::RING_SLOTS as usize, 0));
    let file = File::open(&path)?;
    let size = log.ring.stride as usize * log.records.len();
    let map = map(&file)?;
    let (ours, copy) =
        duel(21, || PoolLog::read(&kernel, None), || map[map.len() - size..].to_vec());
    let times = ours.over(&copy);
    table.target(
        &format!("decode a full ring of {} MB through page tables", size / 1_000_000),
        &shown(&ours),
        &format!("copy of the same number of bytes from the mapped file {}", shown(&copy)),
        &ratio(times),
        "≤ 2×",
        times <= 2.0,
    );
    let mut bytes = vec![0; size];
    let (again, read) = duel(
        21,
        || PoolLog::read(&kernel, None),
        || kernel.space().read(log.ring.array, &mut bytes).is_ok(),
    );
    let ratio = ratio(again.over(&read));
    table.figure(
        "decode it, compared with reading its bytes through the same page tables",
        &shown(&again),
        &format!("read {}, {ratio}", shown(&read)),
    );
    let newest = time(21, || PoolLog::read(&kernel, Some(1024)).map(|log| log.records.len()));
    table.figure("decode its newest 1,024 records", &shown(&newest), "1/64 of the records");
    let names = time(5, || {
        let names = Names::new(&kernel);
        log.all_frames().iter().filter(|frame| names.get(**frame).is_some()).count()
    });
    let frames = log.all_frames().len();
    table.figure(
        "name all frames of the full ring",
        &shown(&names),
        &format!("{frames} frames, {} each", show(names.median().div_f64(frames as f64))),
    );
    Ok(())
}

#[allow(unsafe_code)]
fn map(file: &File) -> Result<memmap2::Mmap> {
    // SAFETY: the file belongs to this program, is in its own temporary folder, and does not change.
    Ok(unsafe { memmap2::Mmap::map(file) }?)
}

/// The kernel's PDB, cold: from bytes to the first name.
fn symbols(table: &mut Table) -> Result<()> {
    let Some(path) = inputs::kernel_pdb() else {
        table.figure("first name from a PDB", "not measured", "the shared dumps are not present");
        return Ok(());
    };
    let bytes: Arc<Vec<u8>> = Arc::new(std::fs::read(path)?);
    let full = Pdb::parse("", bytes.clone())?.symbol_table()?;
    let count = full.len();
    let rva = full.iter().nth(count / 2).ok_or("empty")?.0;
    let (ours, other) = duel(
        15,
        || {
            let pdb = Pdb::parse("nt", bytes.clone()).ok()?;
            pdb.resolve(rva).map(|(name, _)| name.into_owned())
        },
        || {
            let source = std::io::Cursor::new(&bytes[..]);
            let data =
                pdb_addr2line::ContextPdbData::try_from_pdb(pdb::PDB::open(source).ok()?).ok()?;
            let context = data.make_context().ok()?;
            Some(context.function_count())
        },
    );
    let times = ours.over(&other);
    table.target(
        &format!("first name from a PDB of {count} symbols, from its bytes on"),
        &shown(&ours),
        &format!("pdb-addr2line, context only {}", shown(&other)),
        &ratio(times),
        "≤ 1/5",
        times <= 0.2,
    );
    let global = time(15, || {
        let pdb = Pdb::parse("nt", bytes.clone()).ok()?;
        pdb.find("MmVerifierData")
    });
    table.figure("first global by name, from its bytes on", &shown(&global), "");
    let types = time(9, || {
        use verifier_core::types::TypeSource as _;
        let pdb = Pdb::parse("nt", bytes.clone()).ok()?;
        pdb.field("_VF_POOL_TRACE", "StackTrace").ok()
    });
    table.figure("first type, from its bytes on", &shown(&types), "");
    let each = time(9, || (0..10_000).filter_map(|i| full.resolve(Rva(rva.0 + i))).count());
    table.figure("name by address, table made", &shown(&each.per(10_000)), "");
    Ok(())
}

/// A large PDB on disk: from its path to the first line of source code, and to the first name.
fn lines(table: &mut Table, folder: &Path) -> Result<()> {
    let small = Linked::leaky(MachineType::X64);
    let path = folder.join("large.pdb");
    std::fs::write(&path, enlarged(small.pdb, 20 << 20))?;
    let call = small.call(&["PoolAllocate", "NodeCreate", "CacheInsert"], 0) - 1;
    let open = || Pdb::open("large.pdb", open_file(&path, FileMode::Read).ok()?).ok();
    let (ours, whole) = duel(15, || open()?.source_site(Rva(call)), || std::fs::read(&path).ok());
    let times = ours.over(&whole);
    table.target(
        "first line of source code out of a PDB of 20 MiB on disk",
        &shown(&ours),
        &format!("reading the file {}", shown(&whole)),
        &ratio(times),
        "≤ 1/2",
        times <= 0.5,
    );
    let (ours, other) = duel(
        15,
        || open()?.resolve(Rva(call)).map(|(name, _)| name.into_owned()),
        || {
            let source = File::open(&path).ok()?;
            let data =
                pdb_addr2line::ContextPdbData::try_from_pdb(pdb::PDB::open(source).ok()?).ok()?;
            let context = data.make_context().ok()?;
            context.find_frames(call).ok()?.map(|found| found.frames.len())
        },
    );
    let peer = format!("pdb-addr2line, first line {}", shown(&other));
    table.figure("first name out of the same PDB", &shown(&ours), &peer);
    Ok(())
}

/// Whole processes on a shared dump.
fn processes(table: &mut Table) -> Result<()> {
    let Some(dumps) = inputs::shared_dumps() else { return Ok(()) };
    let folder = dumps.join("win10-19041-rich");
    let (dump, symbols) = (folder.join("memory.dmp"), folder.join("symbols"));
    let ours: PathBuf = std::env::current_exe()?.parent().ok_or("no folder")?.join("verifier");
    let run = |command: &mut Command| {
        command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
    };
    let pool = || run(Command::new(&ours).arg("pool").arg(&dump).arg("--symbols").arg(&symbols));
    if !ours.is_file() {
        table.figure("`verifier pool`, whole process", "not measured", "the program is not built");
        return Ok(());
    }
    let ntoseye = std::env::var_os("NTOSEYE").unwrap_or_else(|| "ntoseye".into());
    let theirs = || {
        let mut command = Command::new(&ntoseye);
        command.arg("--dump").arg(&dump).arg("--sympath-append").arg(&symbols);
        run(command.args(["--batch", "-c", "!verifier"]).stdin(Stdio::null()))
    };
    if !theirs() {
        let alone = time(15, pool);
        table.figure("`verifier pool`, whole process", &shown(&alone), "ntoseye is not present");
        return Ok(());
    }
    let (ours, other) = duel(15, pool, theirs);
    let times = ours.over(&other);
    table.target(
        "`verifier pool`, whole process",
        &shown(&ours),
        &format!("ntoseye `!verifier` {}", shown(&other)),
        &ratio(times),
        "≤ 1/3",
        times <= 1.0 / 3.0,
    );
    Ok(())
}

fn document(table: &Table) -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let cpu = info.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("");
    let cpu = cpu.trim_start_matches([' ', '\t', ':']);
    let cores = std::thread::available_parallelism().map_or(1, |n| n.get());
    let rustc = Command::new("rustc").arg("--version").output();
    let rustc = rustc.map(|out| String::from_utf8_lossy(&out.stdout).trim().to_string());
    let ntoseye = std::env::var_os("NTOSEYE").unwrap_or_else(|| "ntoseye".into());
    let ntoseye = Command::new(ntoseye).arg("--version").output();
    let ntoseye = ntoseye.map(|out| String::from_utf8_lossy(&out.stdout).trim().to_string());
    format!(
        "# Performance

This page is written by the bench:
`cargo build --release -p verifier-host && cargo run --release -p verifier-benches --bin performance -- \
docs/performance.md`. Figures are medians. Peers run in the same process run, alternating with ours, so the \
ratios stay meaningful on other machines even if the times differ.

Machine: {} ({}, {cpu}, {cores} cores), files in the page cache. {}; kdmp-parser 0.8.2, pdb-addr2line 0.12.1, \
{}.

## Targets

| what | ours | compared with | ratio | target | |
|---|---|---|---|---|---|
{}
## All figures

| what | ours | compared with |
|---|---|---|
{}
Memory is the peak growth of the heap while opening; the mapping is not counted. \"Random\" means that each \
frame is present with a probability of one half, \"contiguous\" that all frames are. The ring is compared \
with a copy of the same number of bytes of the mapped file into fresh memory in one call; decoding looks up \
6,600 pages through page tables and writes the same number of bytes of frames, one stack at a time. The PDB \
is a kernel's from the shared dumps, in memory at the start. The PDB of 20 MiB is a small driver's with many \
copies of one of its modules.

The first names from a PDB, by address or by name, and its types come through the file's own indexes; the \
records that the indexes lead to are compared, and in doubt everything is read. Cost depends on the question, \
not on the size of the dump: `pool` takes the same time from 1 to 64 GiB above, opening reads only header and \
bitmap, and the newest 1,024 records of a ring take their share of the whole.
",
        std::env::consts::OS,
        std::env::consts::ARCH,
        rustc.unwrap_or_default(),
        ntoseye.unwrap_or_else(|_| "no ntoseye".into()),
        table.targets,
        table.figures,
    )
}
