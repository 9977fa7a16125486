//! Reports of many groups in a browser: on paper, in the picture, and folded groups. Without Chromium, these
//! tests print a line and pass.

use std::fs;

use crate::browser::Browser;
use crate::common::save;
use crate::reports::report;
use verifier_synth::{Allocation, Build, Driver, DumpKind, Log, Machine, PoolRecord};

const BLOCK: u64 = 0xffff_9a8f_5000_0000;
const BLOCKS: u64 = 200_000;
const RECORDS: u64 = 1 << 19;

/// A driver that holds one block for each of a number of functions, each smaller than the one before.
fn many(functions: u64) -> Machine {
    let mut m = Machine::new(Build::Win10Vb);
    let mut driver = Driver::new("many.sys").pdb("many.pdb").size(0x10_0000);
    for i in 0..functions as u32 {
        driver = driver.symbol(&format!("Allocate{i}"), 0x1000 + i * 0x40);
    }
    let many = m.driver(driver);
    m.level(8);
    let base = m.image(many).base;
    let block =
        |i: u64| (BLOCK + i * 0x10_0000, 0x4_0000 / (i + 1), base + 0x1000 + i * 0x40 + 0x10);
    let allocate = m.kernel_address("VerifierExAllocatePoolWithTag") + 0x1d;
    let verified = m.verified(many);
    for (address, size, from) in (0..functions).map(block) {
        verified.allocation(Allocation::nonpaged(address, size, b"Many", from));
    }
    for (address, size, from) in (0..functions).map(block) {
        m.pool_record(PoolRecord {
            address,
            size,
            thread: 0xffff_9a8f_4fff_0040,
            frames: vec![allocate, from],
            stale: vec![],
        });
    }
    m
}

#[test]
fn a_report_on_paper() {
    let folder = tempfile::tempdir().unwrap();
    save(folder.path(), &many(150).build(DumpKind::BitmapKernel));
    let file = report(folder.path());
    let Some(mut page) = Browser::open(folder.path()) else { return };
    page.go(&file);
    let count = |page: &mut Browser, what: &str| {
        page.evaluate(&format!("document.querySelectorAll('#leaks {what}').length"))
            .as_u64()
            .unwrap()
    };
    page.evaluate("(() => { const f = document.getElementById('tag-filter'); f.value = '=Many'; f.dispatchEvent(new Event('change')); })()");
    assert_eq!((count(&mut page, "tr.row"), count(&mut page, ".stack")), (100, 0));
    let line = "document.getElementById('printed').textContent";
    assert_eq!(page.evaluate(line), "100 of 150 groups; filter: tag Many.");
    let is_shown = "getComputedStyle(document.getElementById('printed')).display";
    assert_eq!(page.evaluate(is_shown), "none");
    page.evaluate("dispatchEvent(new Event('beforeprint'))");
    assert_eq!((count(&mut page, "tr.row"), count(&mut page, ".stack")), (150, 20));
    assert_eq!(page.evaluate(line), "150 of 150 groups; filter: tag Many.");
    page.evaluate("dispatchEvent(new Event('afterprint'))");
    assert_eq!((count(&mut page, "tr.row"), count(&mut page, ".stack")), (100, 0));
    page.print("print");
    page.emulate_print();
    assert_eq!(page.evaluate(is_shown), "block");
    page.assert_quiet(&file);
}

#[test]
fn every_frame_of_the_picture_can_be_clicked() {
    let folder = tempfile::tempdir().unwrap();
    save(folder.path(), &many(150).build(DumpKind::BitmapKernel));
    let file = report(folder.path());
    let Some(mut page) = Browser::open(folder.path()) else { return };
    page.go(&file);
    page.evaluate("document.getElementById('flame-graph').scrollIntoView({ block: 'center' })");
    let frames = "[...document.querySelectorAll('.frame')]";
    assert!(page.evaluate(&format!("{frames}.length")).as_u64().unwrap() > 60);
    let hidden = format!(
        "{frames}.filter((e) => {{ const r = e.getBoundingClientRect(); \
         return document.elementFromPoint(r.x + r.width / 2, r.y + r.height / 2) !== e; }}).length"
    );
    assert_eq!(page.evaluate(&hidden), 0);
    page.set_width(390);
    page.evaluate("document.getElementById('flame-graph').scrollIntoView({ block: 'center' })");
    assert_eq!(page.evaluate(&hidden), 0, "on a phone");
    page.set_width(1280);
    // A frame without room for its name has no text, and no frame is too narrow to be clicked.
    let narrow = format!("Math.min(...{frames}.map((e) => e.getBoundingClientRect().width))");
    assert!(page.evaluate(&narrow).as_f64().unwrap() >= 2.9);
    let named = format!(
        "{frames}.filter((e) => e.textContent && e.getBoundingClientRect().width < 20).length"
    );
    assert_eq!(page.evaluate(&named), 0);
    page.shot("frames");
    page.assert_quiet(&file);
}

/// A full ring of 524,288 records, and 200,000 blocks from 3,000 functions with tens of thousands of stacks.
fn largest() -> Machine {
    let mut m = Machine::new(Build::Win10Vb);
    let mut driver = Driver::new("many.sys").pdb("many.pdb").size(0x10_0000);
    for i in 0..3000u32 {
        driver = driver.symbol(&format!("Allocate{i}"), 0x1000 + i * 0x40);
    }
    let many = m.driver(driver);
    m.level(8);
    let base = m.image(many).base;
    let caller = |i: u64| base + 0x1000 + (i % 3000) * 0x40 + 0x10;
    let block = |i: u64| BLOCK + i * 0x1000;
    let verified = m.verified(many);
    for i in 0..BLOCKS {
        verified.allocation(Allocation::nonpaged(block(i), 0x40 + i % 3000, b"Many", caller(i)));
    }
    let allocate = m.kernel_address("VerifierExAllocatePoolWithTag") + 0x1d;
    let free = m.kernel_address("VerifierExFreePoolWithTag") + 0x1d;
    let outer = m.kernel_address("IofCallDriver") + 0x23;
    m.log(Log::Pool).length = RECORDS as u32;
    let mut record = |number: u64, first: u64| {
        m.pool_record(PoolRecord {
            address: block(number),
            size: 0x40,
            thread: 0xffff_9a8f_4fff_0040,
            frames: vec![first, caller(number), caller(number / 7), caller(number / 3), outer],
            stale: vec![],
        });
    };
    // Blocks that are freed at once, then those that are held.
    for i in 0..(RECORDS - BLOCKS) / 2 {
        record(BLOCKS + i, allocate);
        record(BLOCKS + i, free);
    }
    (0..BLOCKS).for_each(|i| record(i, allocate));
    m
}

#[test]
fn the_largest_report_is_small_and_quick() {
    let folder = tempfile::tempdir().unwrap();
    save(folder.path(), &largest().build(DumpKind::BitmapKernel));
    let file = report(folder.path());
    let page = fs::read_to_string(&file).unwrap();
    assert!(page.len() < 3 << 20, "{} bytes", page.len());
    assert!(page.contains("524,288 records"), "the whole log");
    let Some(mut browser) = Browser::open(folder.path()) else { return };
    browser.go(&file);
    let rows = "document.querySelectorAll('#leaks tr.row').length";
    let shown = "document.getElementById('shown').textContent";
    assert_eq!(browser.evaluate(rows), 100);
    browser.click("#more");
    assert_eq!(browser.evaluate(rows), 200);
    // Stacks are left out, but no block is: each counts for its function.
    let text = browser.evaluate(shown);
    assert!(text.as_str().unwrap().contains(": 200,000 blocks, 297.3 MiB"), "{text}");
    browser.click("input[value=function]");
    let text = browser.evaluate(shown);
    assert!(text.as_str().unwrap().starts_with("3,000 groups: 200,000 blocks"), "{text}");
    browser.evaluate("(() => { const f = document.getElementById('filter'); f.value = 'allocate2999'; f.dispatchEvent(new Event('input')); })()");
    assert!(browser.evaluate(rows).as_u64().unwrap() > 0);
    browser.shot("large");
    browser.assert_quiet(&file);
}
