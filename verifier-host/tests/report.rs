//! The report in a browser. Where no Chromium is installed the tests in it say so and pass.

#![cfg(feature = "cli")]

mod common;

mod browser;

use std::fs;
use std::path::{Path, PathBuf};

use browser::Browser;
use common::{command, save};
use verifier_synth::{Allocation, Build, Driver, DumpKind, Machine, PoolRecord};

const EVIL: &str = "<img src=x onerror=alert(1)>";
const EVIL_END: &str = "</script><script>alert(2)</script>";
const BLOCK: u64 = 0xffff_9a8f_5000_0000;

/// A machine with two drivers: one has a symbol that is markup, the other is called markup.
fn machine() -> Machine {
    let mut m = Machine::new(Build::Win10Vb);
    let evil = m.driver(
        Driver::new("evil.sys").pdb("evil.pdb").symbol(EVIL, 0x1200).symbol(EVIL_END, 0x1400),
    );
    let other = m.driver(
        Driver::new("<b>bold.sys").pdb("bold.pdb").symbol("Read", 0x1200).symbol("Write", 0x1300),
    );
    m.level(0x9bb);
    let allocate = m.kernel_address("VerifierExAllocatePoolWithTag") + 0x1d;
    let free = m.kernel_address("VerifierExFreePoolWithTag") + 0x1d;
    let outer = [
        m.kernel_address("IofCallDriver") + 0x23,
        m.kernel_address("NtDeviceIoControlFile") + 0x56,
        m.kernel_address("KiSystemServiceCopyEnd") + 0x13,
    ];
    let places = [
        (evil, m.driver_address(evil, EVIL) + 0x10, b"Evil", 0x1000),
        (evil, m.driver_address(evil, EVIL_END) + 0x10, b"<i>x", 0x40),
        (other, m.driver_address(other, "Read") + 0x10, b"Read", 0x200),
        (other, m.driver_address(other, "Write") + 0x10, b"Writ", 0x80),
    ];
    for driver in [evil, other] {
        let blocks: Vec<_> = (0..40u64)
            .map(|i| (i, places[(i % 4) as usize]))
            .filter(|(_, place)| place.0 == driver)
            .map(|(i, (_, caller, tag, size))| {
                Allocation::nonpaged(BLOCK + i * 0x2000, size, tag, caller)
            })
            .collect();
        let verified = m.verified(driver);
        for block in blocks {
            verified.allocation(block);
        }
    }
    for i in 0..400u64 {
        let (_, caller, _, size) = places[(i % 4) as usize];
        let frames = |first: u64| [&[first, caller][..], &outer].concat();
        // Blocks above the fortieth live for a moment; the last of the forty have no record.
        let address = BLOCK + i * 0x2000;
        let record = |frames| PoolRecord {
            address,
            size,
            thread: 0xffff_9a8f_4fff_0040,
            frames,
            stale: vec![],
        };
        if (36..40).contains(&i) {
            continue;
        }
        m.pool_record(record(frames(allocate)));
        if i >= 40 {
            m.pool_record(record(frames(free)));
        }
    }
    m
}

fn verifier(folder: &Path, arguments: &[&str]) -> std::process::Output {
    command()
        .args(arguments)
        .arg(folder.join("memory.dmp"))
        .arg("--symbols")
        .arg(folder.join("symbols"))
        .output()
        .unwrap()
}

fn report(folder: &Path) -> PathBuf {
    let file = folder.join("report.html");
    let output = verifier(folder, &["report", "-o", file.to_str().unwrap()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    file
}

#[test]
fn text_of_the_dump_is_never_markup() {
    let folder = tempfile::tempdir().unwrap();
    save(folder.path(), &machine().build(DumpKind::BitmapKernel));
    let page = fs::read_to_string(report(folder.path())).unwrap();
    assert!(!page.contains("<img"));
    assert!(!page.contains("<b>bold"));
    assert!(!page.contains("<i>x"));
    assert_eq!(page.matches("<script").count(), 2, "the data and the page's own");
    assert_eq!(page.matches("</script>").count(), 2);
    assert!(page.contains(r"\u003cimg src=x onerror=alert(1)\u003e"));
    for scheme in ["http://", "https://", "@import", "url("] {
        assert!(!page.contains(scheme), "{scheme}");
    }
    let file = folder.path().join("graph.svg");
    let output = verifier(folder.path(), &["flamegraph", "-o", file.to_str().unwrap()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let svg = fs::read_to_string(file).unwrap();
    assert!(svg.contains("&lt;img src=x onerror=alert(1)&gt;"));
    assert!(!svg.contains("<img"));
    // No half-written or temporary file is left.
    let mut left: Vec<_> = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    left.sort();
    assert_eq!(left, ["graph.svg", "memory.dmp", "report.html", "symbols"]);
}

#[test]
fn the_report_in_a_browser() {
    let folder = tempfile::tempdir().unwrap();
    save(folder.path(), &machine().build(DumpKind::BitmapKernel));
    let file = report(folder.path());
    let Some(mut page) = Browser::open(folder.path()) else { return };
    page.go(&file);
    let text =
        |page: &mut Browser, script: &str| page.evaluate(script).as_str().unwrap().to_owned();
    let number = |page: &mut Browser, script: &str| page.evaluate(script).as_u64().unwrap();

    // All groups: four stacks and, of the blocks without a record, four more.
    assert_eq!(number(&mut page, "document.querySelectorAll('#leaks tr.row').length"), 8);
    let first = "document.querySelector('#leaks tr.row td:nth-child(7) .label').textContent";
    assert_eq!(text(&mut page, first), format!("evil!{EVIL}+0x10"));
    let sort = |page: &mut Browser, key: &str| {
        page.click(&format!("[data-sort={key}]"));
        text(page, &format!("document.querySelector('[data-sort={key}]').closest('th').ariaSort"))
    };
    assert_eq!(sort(&mut page, "tag"), "ascending");
    assert_eq!(
        text(&mut page, "document.querySelector('#leaks tr.row td:nth-child(5)').textContent"),
        "<i>x"
    );
    assert_eq!(sort(&mut page, "tag"), "descending");
    assert_eq!(
        text(&mut page, "document.querySelector('#leaks tr.row td:nth-child(5)').textContent"),
        "Writ"
    );
    assert_eq!(sort(&mut page, "bytes"), "descending");

    // Filter by a function's name, and by a driver.
    page.click("#filter");
    page.type_text("bold!read");
    assert_eq!(number(&mut page, "document.querySelectorAll('#leaks tr.row').length"), 2);
    assert!(text(&mut page, "document.getElementById('shown').textContent").starts_with("2 of 8"));
    page.evaluate("(() => { const f = document.getElementById('filter'); f.value = ''; f.dispatchEvent(new Event('input')); })()");
    page.evaluate("(() => { const f = document.getElementById('driver-filter'); f.value = '=evil.sys'; f.dispatchEvent(new Event('change')); })()");
    assert_eq!(number(&mut page, "document.querySelectorAll('#leaks tr.row').length"), 4);
    page.evaluate("(() => { const f = document.getElementById('driver-filter'); f.value = ''; f.dispatchEvent(new Event('change')); })()");

    // Expand with the mouse, close with the keyboard.
    page.click("#leaks tr.row .expand");
    assert_eq!(
        number(&mut page, "document.querySelectorAll('#leaks .detail .stack li').length"),
        5
    );
    assert!(
        text(&mut page, "document.querySelector('#leaks .detail .stack').textContent")
            .contains(EVIL)
    );
    assert_eq!(
        text(&mut page, "document.querySelector('#leaks .addresses button').textContent"),
        "0xffff9a8f50000000"
    );
    page.shot("light");
    page.key("Enter");
    assert_eq!(number(&mut page, "document.querySelectorAll('#leaks .detail').length"), 0);

    // Zoom: a frame with siblings fills the width when it is clicked, and Escape undoes that.
    let wide = "[...document.querySelectorAll('.frame')].find((e) => e.textContent === 'evil.sys').getBoundingClientRect().width / document.getElementById('flame-graph').clientWidth";
    assert!(page.evaluate(wide).as_f64().unwrap() < 0.95);
    page.evaluate("[...document.querySelectorAll('.frame')].find((e) => e.textContent === 'evil.sys').setAttribute('id', 'aim')");
    page.click("#aim");
    assert!(page.evaluate(wide).as_f64().unwrap() > 0.99);
    assert!(
        text(&mut page, "document.getElementById('flame-at').textContent").starts_with("evil.sys:")
    );
    assert_eq!(text(&mut page, "document.activeElement.textContent"), "evil.sys");
    page.key("ArrowDown");
    assert_ne!(text(&mut page, "document.activeElement.textContent"), "evil.sys");
    page.key("Escape");
    assert!(page.evaluate(wide).as_f64().unwrap() < 0.95);
    page.click("input[value=count]");
    assert!(page.evaluate(wide).as_f64().unwrap() > 0.0);

    // Dark by what the system says, and by the button.
    let back = "getComputedStyle(document.body).backgroundColor";
    let light = text(&mut page, back);
    page.emulate_dark();
    let dark = text(&mut page, back);
    assert_ne!(light, dark);
    page.evaluate("document.querySelector('#leaks tr.row .expand').click()");
    page.shot("dark");
    page.click("#theme");
    assert_eq!(text(&mut page, back), light);
    page.print("print");

    page.assert_quiet(&file);
}

#[test]
fn flame_graph_in_a_browser() {
    let folder = tempfile::tempdir().unwrap();
    save(folder.path(), &machine().build(DumpKind::BitmapKernel));
    let file = folder.path().join("graph.svg");
    let output = verifier(folder.path(), &["flamegraph", "-o", file.to_str().unwrap()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let Some(mut page) = Browser::open(folder.path()) else { return };
    page.go(&file);
    assert!(page.evaluate("document.querySelectorAll('#frames g').length").as_u64().unwrap() > 10);
    page.shot("flamegraph");
    page.assert_quiet(&file);
}

#[test]
fn a_hundred_thousand_allocations() {
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
    for i in 0..100_000u64 {
        verified.allocation(Allocation::nonpaged(block(i), 0x40 + i % 3000, b"Many", caller(i)));
    }
    let allocate = m.kernel_address("VerifierExAllocatePoolWithTag") + 0x1d;
    for i in 40_000..100_000u64 {
        m.pool_record(PoolRecord {
            address: block(i),
            size: 0x40,
            thread: 0xffff_9a8f_4fff_0040,
            frames: vec![allocate, caller(i), caller(i + 1), caller(i + 2)],
            stale: vec![],
        });
    }
    let folder = tempfile::tempdir().unwrap();
    save(folder.path(), &m.build(DumpKind::BitmapKernel));
    let file = report(folder.path());
    let page = fs::read_to_string(&file).unwrap();
    assert!(page.len() < 4 << 20, "{} bytes", page.len());
    assert!(page.contains("smaller groups"), "it says what it folds");
    let Some(mut browser) = Browser::open(folder.path()) else { return };
    browser.go(&file);
    assert_eq!(
        browser.evaluate("document.querySelectorAll('#leaks tr.row').length").as_u64(),
        Some(100)
    );
    browser.click("#more");
    assert_eq!(
        browser.evaluate("document.querySelectorAll('#leaks tr.row').length").as_u64(),
        Some(200)
    );
    let started = browser.evaluate("performance.now()").as_f64().unwrap();
    browser.evaluate("(() => { const f = document.getElementById('filter'); f.value = 'allocate2999'; f.dispatchEvent(new Event('input')); })()");
    let took = browser.evaluate("performance.now()").as_f64().unwrap() - started;
    assert!(took < 2000.0, "a filter takes {took} ms");
    browser.shot("many");
    browser.assert_quiet(&file);
}
