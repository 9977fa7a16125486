//! The report in a browser. Without Chromium, these tests print a line and pass.

use std::collections::HashSet;
use std::fs;

use crate::browser::Browser;
use crate::common::save;
use crate::reports::{report, verifier};
use verifier_synth::{Allocation, Build, Driver, DumpKind, Machine, PoolRecord};

const EVIL: &str = "<img src=x onerror=alert(1)>";
const EVIL_END: &str = "</script><script>alert(2)</script>";
const BLOCK: u64 = 0xffff_9a8f_5000_0000;

/// A machine with two drivers: one has a symbol with markup in its name, the other has markup in its own
/// name.
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
    // Fewer records than the timeline has bars.
    for i in 0..401u64 {
        let (_, caller, _, size) = places[(i % 4) as usize];
        let frames = |first: u64| [&[first, caller][..], &outer].concat();
        // Blocks after the fortieth are freed at once; the last of the forty have no record.
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

    // All groups: four stacks, and four groups of blocks without a record.
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
    // The picture shows the same blocks, and says so.
    let flame = "[...document.querySelectorAll('.frame')].map((e) => e.title).join('|')";
    assert!(text(&mut page, flame).contains("<b>bold.sys:"));
    assert!(!text(&mut page, flame).contains("evil.sys:"));
    assert!(
        text(&mut page, "document.getElementById('flame-at').textContent")
            .starts_with("blocks that the filter leaves: 5,120 bytes, 10 blocks, 100.0 %")
    );
    // By an address in the format of WinDbg, a log or a C program.
    for address in ["0xffff9a8f50006000", "ffff9a8f`50006000", "FFFF9A8F50006000", "0x50006000"] {
        page.evaluate(&format!("(() => {{ const f = document.getElementById('filter'); f.value = {address:?}; f.dispatchEvent(new Event('input')); }})()"));
        assert_eq!(
            text(
                &mut page,
                "[...document.querySelectorAll('#leaks tr.row td:nth-child(5)')].map((e) => e.textContent).join()"
            ),
            "Writ",
            "{address}"
        );
    }
    // A filter without matches says so, and can be cleared.
    page.evaluate("(() => { const f = document.getElementById('filter'); f.value = 'nosuch'; f.dispatchEvent(new Event('input')); })()");
    assert_eq!(number(&mut page, "document.querySelectorAll('#leaks tr.row').length"), 0);
    assert!(
        text(&mut page, "document.querySelector('#leaks tr.none').textContent")
            .starts_with("No group matches.")
    );
    page.click("#clear");
    assert_eq!(number(&mut page, "document.querySelectorAll('#leaks tr.row').length"), 8);
    assert_eq!(text(&mut page, "document.activeElement.id"), "filter");
    assert!(text(&mut page, flame).contains("evil.sys:"));
    page.evaluate("(() => { const f = document.getElementById('driver-filter'); f.value = '=evil.sys'; f.dispatchEvent(new Event('change')); })()");
    assert_eq!(number(&mut page, "document.querySelectorAll('#leaks tr.row').length"), 4);
    page.evaluate("(() => { const f = document.getElementById('driver-filter'); f.value = ''; f.dispatchEvent(new Event('change')); })()");

    // Each button says which stack it opens.
    assert_eq!(
        number(
            &mut page,
            "new Set([...document.querySelectorAll('#leaks .expand')].map((e) => e.ariaLabel)).size"
        ),
        8
    );
    // A click on a row opens and closes it.
    page.click("#leaks tr.row td:nth-child(6)");
    assert_eq!(number(&mut page, "document.querySelectorAll('#leaks .detail').length"), 1);
    let controlled = "document.getElementById(document.querySelector('#leaks .expand').getAttribute('aria-controls')).className";
    assert_eq!(text(&mut page, controlled), "detail");
    page.click("#leaks tr.row td:nth-child(6)");
    assert_eq!(number(&mut page, "document.querySelectorAll('#leaks .detail').length"), 0);

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

    // Zoom: a click on a frame with siblings makes it fill the width, and Escape undoes this.
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

    // The drivers, by name and by blocks.
    let drivers = "[...document.querySelectorAll('#drivers tbody tr')].map((e) => e.cells[0].textContent).join()";
    page.click("#drivers th:first-child button");
    assert_eq!(text(&mut page, drivers), "<b>bold.sys,evil.sys");
    page.click("#drivers th:first-child button");
    assert_eq!(text(&mut page, drivers), "evil.sys,<b>bold.sys");
    assert_eq!(text(&mut page, "document.querySelector('#drivers th').ariaSort"), "descending");

    // Dark by the system's setting, and by the button.
    let back = "getComputedStyle(document.body).backgroundColor";
    let light = text(&mut page, back);
    page.emulate_dark();
    let dark = text(&mut page, back);
    assert_ne!(light, dark);
    page.evaluate("document.querySelector('#leaks tr.row .expand').click()");
    page.shot("dark");
    page.click("#theme");
    assert_eq!(text(&mut page, back), light);

    // On a phone, words are not broken, and only tables are wider than the screen.
    page.set_width(400);
    assert!(number(&mut page, "document.documentElement.scrollWidth") <= 400);
    assert!(
        number(
            &mut page,
            "Math.round(document.querySelector('td.where').getBoundingClientRect().width)"
        ) > 200
    );
    page.shot("narrow");

    page.assert_quiet(&file);
}

#[test]
fn the_reports_counts() {
    let folder = tempfile::tempdir().unwrap();
    let dump = save(folder.path(), &machine().build(DumpKind::BitmapKernel));
    let page = fs::read_to_string(report(folder.path())).unwrap();
    let cells = |row: &str| -> Vec<String> {
        let cells = row.split("<td").skip(1);
        cells
            .map(|cell| cell[cell.find('>').unwrap() + 1..cell.find('<').unwrap()].into())
            .collect()
    };
    let (_, table) = page.split_once("The numbers as a table").unwrap();
    let (table, _) = table.split_once("</table>").unwrap();
    let mut next = 1u64;
    let mut bars = HashSet::new();
    for row in table.split("<tr>").skip(2) {
        let cells = cells(row);
        let (first, last) = cells[0].split_once('–').unwrap();
        let (first, last): (u64, u64) = (first.parse().unwrap(), last.parse().unwrap());
        // Allocations, frees, failed, unknown; blocks that are still held are among the allocations.
        let all: u64 = [1, 3, 4, 5].map(|i: usize| cells[i].parse::<u64>().unwrap()).iter().sum();
        assert_eq!((first, last + 1 - first), (next, all), "{cells:?}");
        assert!(page.contains(&format!("<title>records {first} to {last}:")), "{cells:?}");
        bars.insert(all);
        next = last + 1;
    }
    assert_eq!((next, bars.len()), (36 + 2 * 361 + 1, 2), "one bar is short");

    // One tile counts the problems of the list below: missing symbols, and a name that a file cannot have, in
    // the module list and in the list of configured drivers.
    let symbols = folder.path().join("symbols");
    for module in ["evil.pdb", "bold.pdb"] {
        fs::remove_dir_all(symbols.join(module)).ok();
        for entry in fs::read_dir(&symbols).unwrap() {
            let path = entry.unwrap().path();
            if path.file_name().unwrap().to_str().unwrap().starts_with(module) {
                fs::remove_file(&path).or_else(|_| fs::remove_dir_all(&path)).unwrap();
            }
        }
    }
    let page = fs::read_to_string(report(folder.path())).unwrap();
    let (_, list) = page.split_once("<section id=\"problems\">").unwrap();
    let listed = list.matches("<li>").count();
    assert_eq!(listed, 4, "{list}");
    assert!(page.contains(&format!("<dt>Problems</dt><dd>{listed}</dd>")));

    // The dump's description is at the top; the filter is next to the numbers.
    let name = dump.file_name().unwrap().to_str().unwrap();
    let head = format!("<h1>{name}</h1><p>Driver Verifier report · Windows 19041 x64 · ");
    assert!(page.contains(&head) && page.contains(" · level 0x9bb</p>"), "{head}");
    assert!(!page.contains("Filtered:"));
    let file = folder.path().join("filtered.html");
    let arguments = ["report", "--tag", "Read", "--skip", "nosuch", "-o", file.to_str().unwrap()];
    assert!(verifier(folder.path(), &arguments).status.success());
    let page = fs::read_to_string(file).unwrap();
    assert!(page.contains(
        "<p class=\"filtered\">Filtered: tag Read; wrappers skipped: nosuch, which matched no \
             frame of 1 stack; 10 of 40 blocks.</p>"
    ));
    assert!(page.contains("(9 of them of blocks that are still held and match the filter)"));
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
