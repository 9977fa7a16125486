//! If the caller stops a long operation, it returns the data so far, and a problem says so.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use verifier_core::Problem;
use verifier_core::dump::{Dump, PhysicalPages};
use verifier_core::kernel::Kernel;
use verifier_core::machine::Machine as Cpu;
use verifier_core::types::Profile;
use verifier_core::verifier::deadlock::Deadlock;
use verifier_core::verifier::log::CarvedLog;
use verifier_core::verifier::{CarvedPool, Globals, PoolInfo, Scan};
use verifier_synth::{Allocation, Build, Driver, DumpKind, Machine, PoolRecord, PoolStack, Sample};

const POOL: u64 = 0xffff_9a8f_5000_0000;

/// A machine with some hundreds of each structure.
fn machine(build: Build) -> Machine {
    let mut m = Machine::new(build);
    let driver = m.driver(Driver::new("leaky.sys").symbol("Read", 0x1300));
    let caller = m.driver_address(driver, "Read") + 0x10;
    m.level(8);
    let verified = m.verified(driver);
    for i in 0..300 {
        verified.allocation(Allocation::nonpaged(POOL + i * 0x1000, 0x210, b"Leak", caller));
    }
    for i in 0..300 {
        let (address, thread) = (POOL + i * 0x1000, POOL - 0x40);
        let frames = vec![caller];
        m.pool_record(PoolRecord { address, size: 0x200, thread, frames, stale: vec![] });
    }
    for i in 0..300 {
        m.deadlock().free_lock(POOL + 0x100_0000 + i * 0x10, 5);
    }
    m
}

struct Subject {
    sample: Sample,
    pages: PhysicalPages,
}

impl Subject {
    fn new(m: &Machine) -> Self {
        let sample = m.build(DumpKind::BitmapFull);
        let pages = Dump::open(Arc::new(sample.dump.clone())).unwrap().physical().unwrap();
        Self { sample, pages }
    }

    /// A kernel whose caller stops after `most` checks, and the number of checks.
    fn kernel(&self, most: usize) -> (Kernel, Arc<AtomicUsize>) {
        let kernel = crate::common::kernel_of(self.sample.dump.clone());
        crate::common::supply(&kernel, &self.sample.files);
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        kernel.stop_when(Box::new(move || count.fetch_add(1, Ordering::Relaxed) >= most));
        (kernel, asked)
    }

    /// Compares a view that is stopped half-way with a complete one; `read` returns the number of read
    /// elements and the problems.
    fn is_stopped_half_way(&self, read: impl Fn(&Kernel) -> (usize, Vec<Problem>)) {
        let (kernel, asked) = self.kernel(usize::MAX);
        let (whole, problems) = read(&kernel);
        let is_told = |problems: &[Problem]| problems.iter().any(|p| p.why.contains("stopped"));
        assert!(!is_told(&problems), "{problems:?}");
        let all = asked.load(Ordering::Relaxed);
        assert!(all > 3, "asked {all} times");
        let (part, problems) = read(&self.kernel(all / 2).0);
        assert!(is_told(&problems), "{problems:?}");
        assert!((1..whole).contains(&part), "{part} of {whole}");
        let (none, problems) = read(&self.kernel(0).0);
        assert!(is_told(&problems), "{problems:?}");
        assert_eq!(none, 0);
    }
}

#[test]
fn carving() {
    let subject = Subject::new(&machine(Build::Win10Vb));
    let place = Scan::Physical(&subject.pages);
    subject.is_stopped_half_way(|kernel| {
        let carved = CarvedPool::read(kernel, &place).unwrap();
        (carved.pages_looked_at as usize, carved.problems)
    });
    subject.is_stopped_half_way(|kernel| {
        let carved = CarvedLog::read(kernel, &place, |_, _| true).unwrap();
        (carved.pages_looked_at as usize, carved.problems)
    });
}

#[test]
fn pool_info_trees() {
    let mut m = machine(Build::Win11);
    let stack = PoolStack { tag: *b"Leak", hash: 7, frames: vec![POOL], ..PoolStack::default() };
    let stack = m.pool_info().stack(stack);
    for i in 0..300 {
        m.pool_info().block(POOL + 0x100 * i, 0x80, stack);
    }
    Subject::new(&m).is_stopped_half_way(|kernel| {
        let info = PoolInfo::read(kernel).unwrap();
        (info.blocks.len() + info.stacks.len(), info.problems)
    });
}

#[test]
fn deadlock_detection() {
    Subject::new(&machine(Build::Win10Vb)).is_stopped_half_way(|kernel| {
        let deadlock = Deadlock::read(kernel).unwrap();
        let locks = deadlock.resources().len();
        (locks, deadlock.problems)
    });
}

#[test]
fn a_stopped_search_for_globals_finds_none_that_is_not_unique() {
    let subject = Subject::new(&machine(Build::Win10Vb));
    let profile = Profile::new(Cpu::X64, 19041).unwrap();
    let (kernel, asked) = subject.kernel(usize::MAX);
    let whole = Globals::find(&kernel, &profile);
    assert!(whole.found.len() > 4, "{whole:?}");
    let all = asked.load(Ordering::Relaxed);
    for most in [0, 1, all / 2, all - 1] {
        let (kernel, asked) = subject.kernel(most);
        let part = Globals::find(&kernel, &profile);
        assert_eq!(part.found, whole.found[..1], "what the debugger data say");
        assert_eq!(part.missing.len(), whole.found.len() + whole.missing.len() - 1);
        assert!(part.missing.iter().all(|m| m.why.contains("stopped")), "{:?}", part.missing);
        // The remaining work is short.
        assert!(asked.load(Ordering::Relaxed) <= most + 16, "{asked:?} of {most}");
    }
}
