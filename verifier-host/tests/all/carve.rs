//! Carving on the shared dumps: without symbols it finds the same blocks as the lists, also if the lists are
//! cut.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::common::shared;
use verifier_core::addr::PAGE_SIZE;
use verifier_core::kernel::{AddressSpace, Hints, Kernel, Limits};
use verifier_core::memory::SparsePages;
use verifier_core::verifier::log::{CarvedLog, PoolLog};
use verifier_core::verifier::{CarvedPool, PoolReport, Scan};
use verifier_core::{Pa, Va};
use verifier_host::Session;
use verifier_host::symbols::SymbolPath;

const DUMPS: [&str; 8] = [
    "win7-leak",
    "win7-rich",
    "win81-rich",
    "win10-19041-rich",
    "win11-22000-rich",
    "arm64-22000-rich",
    "win7-x86-pae-rich",
    "win7-x86-leak",
];

fn folder(name: &str) -> Option<PathBuf> {
    Some(shared("dumps")?.join(name))
}

fn open(folder: &Path) -> Session {
    Session::open(&folder.join("memory.dmp"), SymbolPath::with_default_cache(None)).unwrap()
}

fn carve(session: &Session) -> CarvedPool {
    let pages = session.pages().unwrap();
    CarvedPool::read(session.kernel().unwrap(), &Scan::Physical(&*pages)).unwrap()
}

#[test]
fn carving_finds_the_same_blocks_as_the_lists() {
    for name in DUMPS {
        let Some(folder) = folder(name) else { return };
        let session = open(&folder);
        let carved = carve(&session);
        assert_eq!(carved.problems, [], "{name}");
        assert_eq!(
            carved.pages_looked_at,
            session.dump().unwrap().physical().unwrap().map().page_count()
        );
        let listed = PoolReport::read(session.kernel().unwrap(), |_| true).unwrap();
        let mut expected = BTreeMap::new();
        for pool in &listed.drivers {
            for a in &pool.allocations {
                let key = (pool.driver.name.clone(), a.entry);
                expected.insert(key, (a.address, a.size, a.tag, a.caller));
            }
        }
        let mut found = BTreeMap::new();
        for owner in &carved.owners {
            assert!(owner.is_signed, "{name}");
            for a in &owner.allocations {
                // Every page's virtual address was found, so every entry's is known.
                let key = (owner.name.clone().unwrap(), a.entry.unwrap());
                found.insert(key, (a.address, a.size, a.tag, a.caller));
            }
        }
        assert_eq!(found, expected, "{name}");
        let comparison = carved.compare(&listed);
        assert_eq!(comparison.both, expected.len());
        assert!(comparison.only_listed.is_empty() && comparison.only_carved.is_empty());
    }
}

#[test]
fn a_range_of_addresses() {
    let Some(folder) = folder("win7-rich") else { return };
    let session = open(&folder);
    let kernel = session.kernel().unwrap();
    let all = carve(&session);
    let leaky = all.owners.iter().find(|owner| owner.is_named("LEAKY")).unwrap();
    let pages: BTreeSet<Va> = leaky.pages.iter().map(|page| page.va.unwrap()).collect();
    let first = *pages.first().unwrap();
    let range = Scan::Virtual(first..first.add(PAGE_SIZE));
    let one = CarvedPool::read(kernel, &range).unwrap();
    assert_eq!((one.pages_looked_at, one.owners.len()), (1, 1));
    assert_eq!(one.owners[0].name.as_deref(), Some("leaky.sys"));
    assert_eq!(one.owners[0].pages[0].va, Some(first));
    assert!(!one.owners[0].allocations.is_empty());
    assert!(one.owners[0].allocations.len() < leaky.allocations.len());
}

/// The physical memory of a dump, to be changed.
fn copy(session: &Session) -> SparsePages<Pa> {
    let pages = session.pages().unwrap();
    let mut memory = SparsePages::new();
    let mut bytes = vec![0u8; PAGE_SIZE as usize];
    let mut next = pages.next_page(Pa(0));
    while let Some(page) = next {
        pages.read(page, &mut bytes).unwrap();
        memory.write(page, &bytes);
        next = pages.next_page(page.add(PAGE_SIZE));
    }
    memory
}

fn over(memory: &SparsePages<Pa>, session: &Session) -> Arc<Kernel> {
    let header = session.dump().unwrap().header();
    let machine = session.kernel().unwrap().space().machine();
    let space = AddressSpace::of_physical(Arc::new(memory.clone()), header, machine);
    Arc::new(Kernel::open(space, Hints::from(header)).unwrap())
}

#[test]
fn lists_that_are_cut() {
    for name in ["win7-rich", "win11-22000-rich", "win7-x86-leak"] {
        let Some(folder) = folder(name) else { return };
        let session = open(&folder);
        let kernel = session.kernel().unwrap();
        let before = PoolReport::read(kernel, |_| true).unwrap();
        let leaky = before.drivers.iter().find(|pool| pool.driver.is_named("leaky")).unwrap();
        let data = leaky.driver.images[0].verified_data;
        let head = kernel
            .types()
            .unwrap()
            .field("_VF_TARGET_VERIFIED_DRIVER_DATA", "PoolPageHeaders")
            .unwrap();
        let mut memory = copy(&session);
        let at = kernel.space().translate(data.add(head.offset)).unwrap();
        memory.write(at, &[0; 16]);
        let cut = over(&memory, &session);
        let cut = Session::of_kernel(cut, SymbolPath::with_default_cache(None));
        let cut = cut.kernel().unwrap();
        let listed = PoolReport::read(cut, |_| true).unwrap();
        let lost = leaky.allocations.len();
        let carved = CarvedPool::read(cut, &Scan::Physical(&memory)).unwrap();
        let comparison = carved.compare(&listed);
        assert_eq!(comparison.only_carved.len(), lost, "{name}");
        assert!(comparison.only_listed.is_empty());
        for (owner, _) in comparison.only_carved {
            assert_eq!(carved.owners[owner].name.as_deref(), Some("leaky.sys"));
        }
        // If the owner's page is lost, the pages are still found, without a name.
        let page = kernel.space().translate(data).unwrap().page();
        memory.write(page, &[0; PAGE_SIZE as usize]);
        let gone = over(&memory, &session);
        let carved = CarvedPool::read(&gone, &Scan::Physical(&memory)).unwrap();
        let owner = carved.owners.iter().find(|owner| owner.address == data).unwrap();
        assert_eq!((owner.name.as_deref(), owner.is_signed), (None, false));
        assert_eq!(owner.allocations.len(), lost, "{name}");
    }
}

#[test]
fn limits_are_kept_and_said() {
    let Some(folder) = folder("win7-rich") else { return };
    let session = open(&folder);
    let header = session.dump().unwrap().header();
    let pages = session.pages().unwrap();
    let with = |change: &dyn Fn(&mut Limits)| {
        let mut limits = Limits::default();
        change(&mut limits);
        let space = AddressSpace::of_dump(session.dump().unwrap()).unwrap();
        let kernel = Kernel::open_with(space, Hints::from(header), limits).unwrap();
        let carved = CarvedPool::read(&kernel, &Scan::Physical(&*pages)).unwrap();
        assert_eq!(carved.problems.len(), 1);
        (carved.pages_looked_at, carved.problems[0].why.clone())
    };
    let (looked_at, why) = with(&|limits| limits.carved_pages = 10);
    assert_eq!(looked_at, 10);
    assert!(why.contains("Limits::carved_pages"), "{why}");
    let (_, why) = with(&|limits| limits.tracker_pages = 2);
    assert!(why.contains("Limits::tracker_pages"), "{why}");
}

#[test]
fn records_of_the_pool_log() {
    for name in DUMPS {
        let Some(folder) = folder(name) else { return };
        let session = open(&folder);
        let kernel = session.kernel().unwrap();
        let pages = session.pages().unwrap();
        let carved = CarvedLog::read(kernel, &Scan::Physical(&*pages), |_, _| true).unwrap();
        assert_eq!(carved.problems, [], "{name}");
        let listed = PoolLog::read(kernel, None).unwrap();
        type Key<'a> = (Va, u64, Va, &'a [Va]);
        let mut left: BTreeMap<Key<'_>, usize> = BTreeMap::new();
        for r in &listed.records {
            *left.entry((r.address, r.size, r.thread, listed.frames(r))).or_default() += 1;
        }
        // Also if records cross pages that are not adjacent in physical memory.
        for r in &carved.records {
            assert!(!r.is_cut, "{name}: {r:?}");
            let count = left.get_mut(&(r.address, r.size, r.thread, carved.frames(r)));
            let count = count.unwrap_or_else(|| panic!("{name}: {r:?} is in no list"));
            *count = count.checked_sub(1).unwrap_or_else(|| panic!("{name}: {r:?} once too often"));
        }
        assert_eq!(carved.records.len(), listed.records.len(), "{name}");
    }
}
