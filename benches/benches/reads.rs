//! Measures one operation at a time, for work on it: `cargo bench -p verifier-benches -- ring`.

use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use verifier_benches::inputs;
use verifier_benches::large_pdb::enlarged;
use verifier_core::analysis::GroupBy;
use verifier_core::dump::Dump;
use verifier_core::kernel::{AddressSpace, Hints, Kernel};
use verifier_core::render::write_leaks_text;
use verifier_core::symbols::SymbolLookup as _;
use verifier_core::types::{Isf, Pdb};
use verifier_core::verifier::PoolReport;
use verifier_core::verifier::log::PoolLog;
use verifier_core::{Rva, Va};
use verifier_host::symbols::SymbolPath;
use verifier_host::{FileMode, LeakFilter, Session, open_file};
use verifier_synth::{DumpKind, Linked, MachineType};

fn views(c: &mut Criterion) {
    let machine = inputs::full_ring().assemble();
    let file = Arc::new(machine.dump(DumpKind::BitmapFull));
    let open = || {
        let dump = Dump::open(file.clone())?;
        Kernel::open(AddressSpace::of_dump(&dump)?, Hints::from(dump.header()))
    };
    c.bench_function("open", |b| b.iter(|| open().is_ok()));
    let kernel = open().expect("the builder's dump opens");
    let isf = machine.files.iter().find(|(path, _)| path.starts_with("ntkr")).expect("a table");
    let isf = Arc::new(Isf::parse(&isf.1).expect("the builder's table reads"));
    kernel.supply_isf(kernel.kernel_module().expect("a kernel"), isf);
    let ring = machine.address("ring:VfPoolTraces");
    let mut i = 0;
    c.bench_function("virtual read", |b| {
        b.iter(|| {
            i += 1;
            let at = Va(ring + inputs::mix(i) % (u64::from(inputs::RING_SLOTS) * 424 - 8));
            kernel.space().memory().read_u64(at)
        });
    });
    c.bench_function("ring", |b| b.iter(|| PoolLog::read(&kernel, None)));
    c.bench_function("pool", |b| b.iter(|| PoolReport::read(&kernel, |_| true)));
}

fn symbols(c: &mut Criterion) {
    let Some(bytes) = inputs::kernel_pdb().and_then(|path| std::fs::read(path).ok()) else {
        return;
    };
    let bytes = Arc::new(bytes);
    c.bench_function("pdb symbols", |b| {
        b.iter(|| Pdb::parse("nt", bytes.clone()).and_then(|pdb| pdb.symbol_table()));
    });
}

/// A PDB of 20 MiB, from its path to the first line of source code.
fn lines(c: &mut Criterion) {
    let small = Linked::leaky(MachineType::X64);
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), enlarged(small.pdb, 20 << 20)).expect("room for a PDB");
    let call = Rva(small.call(&["PoolAllocate", "NodeCreate", "CacheInsert"], 0) - 1);
    c.bench_function("pdb first line", |b| {
        b.iter(|| {
            let file = open_file(file.path(), FileMode::Read).expect("the file is there");
            Pdb::open("large.pdb", file).map(|pdb| pdb.source_site(call))
        });
    });
}

/// `verifier leaks`, from the file to the text: 20,000 blocks, a full log of deep stacks, and symbols for
/// every frame.
fn leaks(c: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a folder");
    let sample = inputs::leaking_ring().assemble().sample(DumpKind::BitmapKernel);
    let (dump, symbols) = inputs::save(folder.path(), &sample).expect("room for the sample");
    let mut path = SymbolPath::with_default_cache(None);
    path.push_plain(symbols);
    let run = || -> Result<Vec<u8>, verifier_host::Error> {
        let session = Session::open(&dump, path.clone())?;
        let found = session.leaks(LeakFilter::default())?;
        let mut text = Vec::new();
        write_leaks_text(&mut text, &found.by(GroupBy::Stack).with_top(Some(20)))?;
        Ok(text)
    };
    let text = run().expect("the sample reads");
    assert!(text.starts_with(b"20,000 blocks are outstanding, "));
    let mut group = c.benchmark_group("leaks");
    group.sample_size(10).bench_function("full ring of deep stacks", |b| b.iter(run));
    group.finish();
}

criterion_group!(benches, views, symbols, lines, leaks);
criterion_main!(benches);
