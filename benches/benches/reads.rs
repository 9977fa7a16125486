//! One thing at a time, for work on it: `cargo bench -p verifier-benches -- ring`.

use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use verifier_benches::inputs;
use verifier_core::Va;
use verifier_core::dump::Dump;
use verifier_core::kernel::{AddressSpace, Hints, Kernel};
use verifier_core::types::{Isf, Pdb};
use verifier_core::verifier::PoolReport;
use verifier_core::verifier::log::PoolLog;
use verifier_synth::DumpKind;

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

criterion_group!(benches, views, symbols);
criterion_main!(benches);
