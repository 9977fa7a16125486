//! Every host gives the same results as the library on the same dump, and reports absent bytes.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use memflow::connector::FileIoMemory;
use memflow::mem::MemoryMap;
use memflow::types::Address;
use verifier_core::analysis::Leaks;
use verifier_core::dump::Dump;
use verifier_core::kernel::{AddressSpace, Hints, Kernel};
use verifier_core::memory::{FromFn, Memory};
use verifier_core::verifier::log::{EventKind, EventLog, PoolLog};
use verifier_core::verifier::{Drivers, PoolReport, Settings};
use verifier_core::{Pa, Reason, Va};
use verifier_embed_rust as embed;
use verifier_host::symbols::SymbolPath;
use verifier_host::{FileMode, Session, open_file};
use verifier_synth::{
    Allocation, Build, Driver, DumpKind, Machine, MachineType, Paging, PoolRecord,
    walkthrough_machine,
};

/// All views of a kernel, as text.
fn told(kernel: Kernel, symbols: &Path) -> String {
    let mut path = SymbolPath::with_default_cache(None);
    path.push_plain(symbols);
    let session = Session::of_kernel(Arc::new(kernel), path);
    session.load_all_symbols();
    let kernel = session.kernel().unwrap();
    let log = PoolLog::read(kernel, None).unwrap();
    let names = log.all_frames().iter().map(|&frame| kernel.symbolize(frame));
    let names: Vec<_> = names.map(|name| name.map(|name| name.to_string())).collect();
    let events = EventKind::ALL.map(|kind| EventLog::read(kernel, kind, None, None));
    format!(
        "{:#?}",
        (
            kernel.modules().loaded(),
            Settings::read(kernel).unwrap(),
            Drivers::read(kernel).unwrap(),
            PoolReport::read(kernel, |_| true).unwrap(),
            &log,
            names,
            Leaks::read(kernel, |_| true).unwrap(),
            events,
        )
    )
}

/// A dump with what each host needs to find the kernel in it.
struct Sample {
    path: PathBuf,
    symbols: PathBuf,
    dump: Dump,
}

impl Sample {
    fn new(path: PathBuf, symbols: PathBuf) -> Self {
        let dump = Dump::open(open_file(&path, FileMode::Read).unwrap()).unwrap();
        Self { path, symbols, dump }
    }

    fn dtb(&self) -> u64 {
        self.dump.header().directory_table_base.0
    }

    fn machine(&self) -> u32 {
        self.dump.header().machine_image_type
    }

    fn hints(&self) -> Hints {
        Hints::from(self.dump.header())
    }

    /// The runs of page frames in the dump: physical address, offset in the file, bytes.
    fn runs(&self) -> Vec<(u64, u64, u64)> {
        let pages = self.dump.physical().unwrap();
        let (mut runs, mut from) = (Vec::<(u64, u64, u64)>::new(), 0);
        while let Some(pfn) = pages.map().next_frame(from) {
            let (start, offset) = (pfn << 12, pages.map().offset(pfn).unwrap());
            match runs.last_mut() {
                Some(run) if run.0 + run.2 == start && run.1 + run.2 == offset => run.2 += 0x1000,
                _ => runs.push((start, offset, 0x1000)),
            }
            from = pfn + 1;
        }
        runs
    }

    /// The first frame that is not in the dump.
    fn hole(&self) -> Pa {
        let map = self.dump.physical().unwrap();
        Pa((1..).find(|&pfn| map.map().offset(pfn).is_none()).unwrap() << 12)
    }

    fn memflow(&self) -> Kernel {
        let mut map = MemoryMap::new();
        for (start, offset, size) in self.runs() {
            map.push_remap(Address::from(start), size, Address::from(offset));
        }
        // memflow's connector needs a file that it may write to; this one is a copy.
        let file = OpenOptions::new().read(true).write(true).open(&self.path).unwrap();
        let connector = FileIoMemory::with_mem_map(file, map).unwrap();
        embed::memflow::open(connector, self.dtb(), self.machine(), self.hints()).unwrap()
    }

    /// The same memory as an ELF core, 32-bit if the machine is.
    fn elf(&self) -> Kernel {
        let (file, runs) = (fs::read(&self.path).unwrap(), self.runs());
        let (is_wide, machine): (bool, u16) = match self.machine() {
            0x14c => (false, 3),
            0x8664 => (true, 62),
            _ => (true, 183),
        };
        let (ehdr, phdr) = if is_wide { (64, 56) } else { (52, 32) };
        let mut core = vec![0x7f, b'E', b'L', b'F', 1 + u8::from(is_wide), 1, 1];
        core.resize(16, 0);
        let put = |core: &mut Vec<u8>, value: u64, size: usize| {
            core.extend(&value.to_le_bytes()[..size]);
        };
        let word = if is_wide { 8 } else { 4 };
        for (value, size) in [
            (4, 2),
            (machine.into(), 2),
            (1, 4),
            (0, word),
            (ehdr, word),
            (0, word),
            (0, 4),
            (ehdr, 2),
            (phdr, 2),
            (runs.len() as u64, 2),
            (0, 6),
        ] {
            put(&mut core, value, size);
        }
        let mut data = ehdr + phdr * runs.len() as u64;
        for &(start, _, size) in &runs {
            put(&mut core, 1, 4);
            // Only the offset of the flags differs.
            if is_wide {
                put(&mut core, 6, 4);
            }
            [data, 0, start, size, size].into_iter().for_each(|one| put(&mut core, one, word));
            if !is_wide {
                put(&mut core, 6, 4);
            }
            put(&mut core, 0, word);
            data += size;
        }
        for (_, offset, size) in runs {
            core.extend(&file[offset as usize..][..size as usize]);
        }
        embed::elf::open(core, self.dtb(), self.hints()).unwrap()
    }

    /// A plain closure over physical memory.
    fn closure(&self) -> Kernel {
        let (file, runs) = (fs::read(&self.path).unwrap(), self.runs());
        let read = FromFn::new(move |at: Pa, buf: &mut [u8]| {
            let held =
                |&&(start, _, size): &&(u64, u64, u64)| (start..start + size).contains(&at.0);
            let (start, offset, _) = runs.iter().find(held).ok_or("absent")?;
            buf.copy_from_slice(&file[(offset + at.0 - start) as usize..][..buf.len()]);
            Ok::<_, &str>(())
        });
        embed::kernel(read, self.dtb(), self.machine(), self.hints()).unwrap()
    }

    fn check(&self) {
        let ours = Kernel::open(AddressSpace::of_dump(&self.dump).unwrap(), self.hints()).unwrap();
        let want = told(ours, &self.symbols);
        assert!(want.contains("PoolRecord"), "something to compare: {want}");
        let mut hosts =
            vec![("memflow", self.memflow()), ("object", self.elf()), ("closure", self.closure())];
        // These two read only dumps of x64.
        if self.machine() == 0x8664 {
            hosts.push(("kdmp-parser", embed::kdmp::open(&self.path).unwrap()));
            hosts.push(("vmi", embed::vmi::open(&self.path).unwrap()));
        }
        for (name, kernel) in hosts {
            let got = told(kernel, &self.symbols);
            // Not assert_eq, which would print megabytes of text.
            let differs = want.lines().zip(got.lines()).find(|(ours, theirs)| ours != theirs);
            assert!(got == want, "{name} on {}: {differs:?}", self.path.display());
            println!("{name}: {} lines are equal on {}", want.lines().count(), self.path.display());
        }
    }
}

/// A sample of the walk-through's machine, in a temporary folder.
fn synthetic() -> (tempfile::TempDir, Sample) {
    save(&walkthrough_machine().build(DumpKind::BitmapKernel))
}

fn save(made: &verifier_synth::Sample) -> (tempfile::TempDir, Sample) {
    let folder = tempfile::tempdir().unwrap();
    let (path, symbols) = (folder.path().join("memory.dmp"), folder.path().join("symbols"));
    fs::write(&path, &made.dump).unwrap();
    for (name, bytes) in &made.files {
        let file = symbols.join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, bytes).unwrap();
    }
    (folder, Sample::new(path, symbols))
}

#[test]
fn every_host_tells_the_same_of_a_synthetic_dump() {
    synthetic().1.check();
}

/// Five levels, with and without PAE, ARM64: the caller need not say which page tables a machine has.
#[test]
fn every_host_opens_every_kind_of_page_tables() {
    for (build, paging, name) in [
        (Build::Win11, Paging::X64La57, "x64, 5 levels"),
        (Build::Win7Sp1X86, Paging::X86, "x86, 2 levels"),
        (Build::Win7Sp1X86, Paging::X86Pae, "x86 PAE, 3 levels"),
        (Build::Win11Arm64, Paging::Arm64, "arm64, 4 levels of 4 KiB granule"),
    ] {
        let mut machine = Machine::new(build);
        machine.paging(paging).level(8);
        let leaky =
            machine.driver(Driver::new("leaky.sys").pdb("leaky.pdb").symbol("Leak", 0x1200));
        let caller = machine.driver_address(leaky, "Leak") + 0x34;
        let block =
            if build.machine() == MachineType::X86 { 0x8500_0000 } else { 0xffff_9a8f_5000_0000 };
        machine.verified(leaky).allocation(Allocation::nonpaged(block, 0x210, b"Leak", caller));
        let (thread, frames) = (block + 0x1000, vec![caller]);
        let record = PoolRecord { address: block, size: 0x200, thread, frames, stale: vec![] };
        machine.pool_record(record);
        let kind = match build.machine() {
            MachineType::X86 => DumpKind::Complete,
            _ => DumpKind::BitmapKernel,
        };
        let (_folder, sample) = save(&machine.build(kind));
        assert_eq!(sample.closure().space().paging().unwrap().to_string(), name);
        sample.check();
    }
}

#[test]
fn every_host_tells_the_same_of_a_shared_dump() {
    let folder = "../../../shared/dumps/win11-22000-rich";
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let Ok(dump) = fs::read(shared.join("memory.dmp")) else {
        println!("skipped: no {}", shared.display());
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("memory.dmp");
    fs::write(&path, dump).unwrap();
    Sample::new(path, shared.join("symbols")).check();
}

#[test]
fn absent_bytes_are_a_fault_at_every_host() {
    let (_folder, sample) = synthetic();
    let hole = sample.hole();
    // This address space has an absent top table, so any address leads to the hole.
    let hints =
        Hints { ps_loaded_module_list: Some(Va(0xffff_f800_0000_0000)), ..Hints::default() };
    let file = OpenOptions::new().read(true).write(true).open(&sample.path).unwrap();
    let mut map = MemoryMap::new();
    for (start, offset, size) in sample.runs() {
        map.push_remap(Address::from(start), size, Address::from(offset));
    }
    let connector = FileIoMemory::with_mem_map(file, map).unwrap();
    let refused =
        embed::memflow::open(connector, hole.0, sample.machine(), hints).unwrap_err().to_string();
    assert!(refused.contains("page table entry"), "not zeros, but a fault: {refused}");

    let path = sample.path.clone();
    let driver = move || vmi_driver_kdmp::VmiKdmpDriver::<vmi_arch_amd64::Amd64>::new(path);
    let fault = embed::vmi::memory(driver).unwrap().read_u8(hole).unwrap_err();
    assert!(matches!(fault.reason, Reason::Reader(_)), "{fault}");
    assert_eq!((fault.address, fault.done), (hole.0, 0));

    let absent = embed::kdmp::open(Path::new("/nowhere")).unwrap_err().to_string();
    assert!(absent.contains("the reader cannot be created"), "{absent}");
    assert!(embed::elf::open(b"no ELF".to_vec(), 0, Hints::default()).is_err());
}

/// The code of an embedder is short, and docs/embedding.md states its length.
#[test]
fn the_lines_of_glue_are_what_the_docs_say() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let docs = fs::read_to_string(examples.join("../docs/embedding.md")).unwrap();
    let rows = docs.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| ")?.split(" | ").skip(2);
        Some((cells.next()?.strip_prefix('`')?.strip_suffix('`')?, cells.next()?))
    });
    let mut files = 0;
    for (file, stated) in rows {
        let text = fs::read_to_string(examples.join(file)).unwrap();
        let comment = if file.ends_with(".py") { "#" } else { "//" };
        let is_code = |line: &&str| {
            let line = line.trim();
            let in_c = file.ends_with(".c") && (line.starts_with("/*") || line.starts_with('*'));
            !line.is_empty() && !line.starts_with(comment) && !in_c
        };
        let code = text.lines().filter(is_code).count();
        assert_eq!(stated, code.to_string(), "{file}");
        assert!(!file.starts_with("embed-rust") || code <= 60 && !text.contains("unsafe"));
        files += 1;
    }
    assert_eq!(files, 9);
}
