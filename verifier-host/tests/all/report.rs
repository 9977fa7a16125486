//! The report in a browser. Without Chromium, these tests print a line and pass.

use std::collections::HashSet;
use std::fs;

use crate::browser::Browser;
use crate::common::save;
use crate::reports::{Page, report, verifier};
use verifier_synth::{Allocation, Build, Driver, DriverId, DumpKind, Machine, PoolRecord, Unload};

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
fn the_table_in_a_browser() {
    let folder = tempfile::tempdir().unwrap();
    save(folder.path(), &machine().build(DumpKind::BitmapKernel));
    let file = report(folder.path());
    let Some(mut page) = Page::open(folder.path(), &file) else { return };

    // The answer: how much, which function, and the drivers.
    let answer = page.text("document.getElementById('answer').textContent");
    assert!(answer.contains("40 blocks (46.9 KiB) are outstanding"), "{answer}");
    assert!(
        answer.contains(&format!("evil!{EVIL} allocated the most: 40.0 KiB in 10 blocks (85.3 %)")),
        "{answer}"
    );
    assert_eq!(
        page.text("document.querySelector('.total span').title"),
        "48,000 bytes",
        "the exact number"
    );

    // Groups: four paths of frames, and four callers of blocks without a record.
    assert_eq!(page.groups(), 8);
    assert!(page.column("Where").starts_with(&format!("evil!{EVIL}+0x10|")));
    let groupings =
        [("function", 4), ("line", 4), ("driver", 2), ("tag", 4), ("stack", 8), ("path", 8)];
    for (by, groups) in groupings {
        page.0.click(&format!("input[value={by}]"));
        assert_eq!(page.groups(), groups, "{by}");
    }
    let sort = |page: &mut Page, key: &str| {
        page.0.click(&format!("#leaks [data-sort={key}]"));
        page.text(&format!("document.querySelector('[data-sort={key}]').closest('th').ariaSort"))
    };
    assert_eq!(sort(&mut page, "tag"), "ascending");
    assert!(page.column("Tag").starts_with("<i>x|"));
    assert_eq!(sort(&mut page, "tag"), "descending");
    assert!(page.column("Tag").starts_with("Writ|"));
    assert_eq!(sort(&mut page, "bytes"), "descending");

    // Filter by a function's name. The pictures show the same blocks, and say so.
    page.0.click("#filter");
    page.0.type_text("bold!read");
    assert_eq!(page.groups(), 2);
    // One of the drivers has a name that no file has, so the answer is not complete.
    assert_eq!(page.shown(), "2 groups: at least 10 blocks, 5.0 KiB (5,120 bytes)");
    let at = page.text("document.getElementById('flame-at').textContent");
    assert!(
        at.starts_with("blocks that the filter leaves: at least 5.0 KiB (5,120 bytes), 10 blocks.")
    );
    assert!(page.frames().contains("<b>bold.sys") && !page.frames().contains("evil.sys"));
    assert_eq!(
        page.text("document.querySelector('#size-bars tbody').textContent"),
        "512 to 1023 bytes105.0 KiB"
    );
    // By an address in the format of WinDbg, a log or a C program.
    for address in ["0xffff9a8f50006000", "ffff9a8f`50006000", "FFFF9A8F50006000", "0x50006000"] {
        page.fill("filter", address);
        assert_eq!(page.column("Tag"), "Writ", "{address}");
    }
    // A filter without matches says so, and can be cleared.
    page.fill("filter", "nosuch");
    assert_eq!(page.groups(), 0);
    assert_eq!(
        page.text("document.querySelector('#leaks tr.none').textContent"),
        "No group matches of what could be read; more may exist."
    );
    page.0.click("#clear");
    assert_eq!(page.groups(), 8);
    assert_eq!(page.text("document.activeElement.id"), "filter");
    // The drivers at the top are a filter, and so is the list of tags.
    page.0.click("#by-driver button[data-driver='evil.sys']");
    assert_eq!(page.groups(), 4);
    assert_eq!(page.text("document.getElementById('driver-filter').value"), "=evil.sys");
    assert_eq!(page.count("#by-driver [aria-pressed=true]"), 1);
    page.fill("tag-filter", "=<i>x");
    assert_eq!(page.groups(), 2);
    page.fill("tag-filter", "");
    page.0.click("#by-driver button[data-driver='evil.sys']");
    assert_eq!(page.groups(), 8);

    // Each button says which group it opens. A click on a row opens and closes it, and so does Enter.
    let names =
        "new Set([...document.querySelectorAll('#leaks .expand')].map((e) => e.ariaLabel)).size";
    assert_eq!(page.number(names), 8);
    page.0.click("#leaks tr.row td[data-label=Driver]");
    assert_eq!(page.count("#leaks .detail"), 1);
    let controlled = "document.getElementById(document.querySelector('#leaks .expand').getAttribute('aria-controls')).className";
    assert_eq!(page.text(controlled), "detail");
    assert_eq!(page.count("#leaks .detail .stack li"), 5);
    let stack = page.text("document.querySelector('#leaks .detail .stack').textContent");
    assert!(stack.contains(EVIL), "{stack}");
    let first = "document.querySelector('#leaks .addresses button').textContent";
    assert_eq!(page.text(first), "0xffff9a8f50000000");
    page.0.shot("light");
    page.0.evaluate("document.querySelector('#leaks .expand').focus()");
    page.0.key("Enter");
    assert_eq!(page.count("#leaks .detail"), 0);

    // Tables of the page's markup sort, too.
    let drivers = "[...document.querySelectorAll('#drivers tbody tr')].map((e) => e.cells[0].textContent).join()";
    page.0.click("#drivers th:first-child button");
    assert_eq!(page.text(drivers), "<b>bold.sys,evil.sys");
    page.0.click("#drivers th:first-child button");
    assert_eq!(page.text(drivers), "evil.sys,<b>bold.sys");
    assert_eq!(page.text("document.querySelector('#drivers th').ariaSort"), "descending");

    // Dark by the system's setting, and by the button.
    let back = "getComputedStyle(document.body).backgroundColor";
    let light = page.text(back);
    page.0.emulate_dark();
    assert_ne!(page.text(back), light);
    page.0.shot("dark");
    page.0.click("#theme");
    assert_eq!(page.text(back), light);

    // On a phone the cells of a row are one below the other, each with its name, and nothing is wider than
    // the screen.
    page.0.set_width(390);
    page.0.evaluate("document.querySelector('#leaks .expand').click()");
    for of in ["documentElement", "body"] {
        assert!(page.number(&format!("document.{of}.scrollWidth")) <= 390, "{of}");
    }
    let outside = "[...document.querySelectorAll('main *')].filter((e) => !e.closest('.off, .segments input, .source') && e.getClientRects().length && e.getBoundingClientRect().right > 390.5).map((e) => e.outerHTML.slice(0, 80)).join()";
    assert_eq!(page.text(outside), "");
    let hidden = "[...document.querySelectorAll('#leaks tr.row td, #drivers td, #churn td')].filter((e) => !e.getClientRects().length).length";
    assert_eq!(page.number(hidden), 0);
    let name = "getComputedStyle(document.querySelector('#leaks td[data-label=Bytes]'), '::before').content";
    assert_eq!(page.text(name), "\"Bytes\"");
    page.0.shot("phone");
    page.0.assert_quiet(&file);
}

#[test]
fn the_flame_graph_and_the_address_of_a_view() {
    let folder = tempfile::tempdir().unwrap();
    save(folder.path(), &machine().build(DumpKind::BitmapKernel));
    let file = report(folder.path());
    let Some(mut page) = Page::open(folder.path(), &file) else { return };
    let at = "document.getElementById('flame-at').textContent";

    // The keyboard alone: the first link skips the head.
    page.0.key("Tab");
    assert_eq!(page.text("document.activeElement.textContent"), "To the content");
    page.0.key("Enter");
    assert_eq!(page.text("document.activeElement.id"), "main");
    assert_eq!(page.hash(), "", "a link to a section is not a view");

    // Zoom: a frame fills the width, the table shows its blocks, and Escape undoes this.
    let wide = "[...document.querySelectorAll('.frame')].find((e) => e.textContent === 'evil.sys').getBoundingClientRect().width / document.getElementById('flame-graph').clientWidth";
    assert!(page.0.evaluate(wide).as_f64().unwrap() < 0.95);
    page.0.evaluate("[...document.querySelectorAll('.frame')].find((e) => e.textContent === 'evil.sys').setAttribute('id', 'aim')");
    page.0.click("#aim");
    assert!(page.0.evaluate(wide).as_f64().unwrap() > 0.99);
    assert!(page.text(at).starts_with("evil.sys: 40.6 KiB (41,600 bytes), 20 blocks, 86.7 %"));
    assert_eq!(page.groups(), 4);
    assert_eq!(
        page.text("document.getElementById('zoomed').textContent"),
        "Only blocks under evil.sys."
    );
    assert_eq!(page.text("document.activeElement.textContent"), "evil.sys");
    assert_eq!(page.hash(), "#zoom=evil.sys");
    assert!(page.frames().starts_with("all blocks|"), "a zoom is not a filter of the picture");
    page.0.key("ArrowDown");
    assert_eq!(page.text("document.activeElement.textContent"), format!("evil!{EVIL}"));
    page.0.key("Enter");
    assert_eq!(page.groups(), 1);
    page.0.key("Escape");
    assert_eq!(page.groups(), 8);
    assert_eq!(page.hash(), "");

    // Frames of the kernel are hidden until they are asked for.
    assert!(!page.frames().contains("nt!"));
    page.0.click("#kernel");
    assert!(page.frames().contains("nt!KiSystemServiceCopyEnd"));
    page.0.click("#kernel");
    // Bottom-up: the function that allocates is first.
    page.0.click("#flip");
    assert!(page.frames().starts_with(&format!("all blocks|evil!{EVIL}|")), "{}", page.frames());
    // A search marks frames and says how much they hold.
    page.fill("find", "BOLD!");
    assert_eq!(page.count(".frame.hit"), 2);
    assert!(page.text(at).contains(". “BOLD!” matches 13.3 % of the bytes."), "{}", page.text(at));
    page.0.click("input[value=count]");
    assert!(page.text(at).contains(". “BOLD!” matches 50.0 % of the blocks."), "{}", page.text(at));
    page.0.shot("flame");

    // A view is in the address, and the address gives it back.
    page.fill("filter", "evil 0x10");
    page.fill("driver-filter", "=evil.sys");
    page.0.click("input[value=function]");
    page.0.click("#leaks [data-sort=count]");
    page.0.evaluate(
        "[...document.querySelectorAll('.frame')].find((e) => e.ariaLevel === '2').click()",
    );
    let view = page.hash();
    assert!(view.contains("by=function") && view.contains("flip=1"), "{view}");
    let seen = |page: &mut Page| (page.shown(), page.frames(), page.column("Where"), page.text(at));
    let first = seen(&mut page);
    page.0.evaluate("location.hash = 'by=tag'");
    page.0.wait("document.querySelector('input[value=tag]').checked");
    assert_eq!(page.groups(), 4);
    page.0.evaluate(&format!("location.hash = {view:?}"));
    page.0.wait("document.querySelector('input[value=function]').checked");
    assert_eq!(seen(&mut page), first);
    page.0.go_to(&file, &view);
    assert_eq!(seen(&mut page), first);
    assert_eq!(page.hash(), view);
    // Nonsense is as nothing.
    for fragment in ["#by=%00&w=x&sort=--&zoom=%zz&zoom=&flip=2", "#=&&==&by", "#nosuch", "#%"] {
        page.0.go_to(&file, fragment);
        assert_eq!(page.groups(), 8, "{fragment}");
    }
    page.0.assert_quiet(&file);
}

/// Two drivers with 2 and 3 blocks.
fn two_drivers() -> (Machine, DriverId) {
    let mut m = Machine::new(Build::Win10Vb);
    let drivers = ["leaky", "other"].map(|name| {
        let driver = Driver::new(&format!("{name}.sys")).pdb(&format!("{name}.pdb"));
        m.driver(driver.symbol("Open", 0x1200))
    });
    m.level(8);
    for (driver, blocks) in drivers.into_iter().zip([0..2u64, 2..5]) {
        let caller = m.driver_address(driver, "Open") + 0x34;
        let verified = m.verified(driver);
        for number in blocks {
            let address = BLOCK + number * 0x1000;
            verified.allocation(Allocation::nonpaged(address, 0x40, b"Leak", caller));
        }
    }
    (m, drivers[0])
}

#[test]
fn the_driver_that_was_unloaded_with_its_blocks_is_shown_first() {
    let folder = tempfile::tempdir().unwrap();
    let (mut machine, leaky) = two_drivers();
    machine.unloaded_with_allocations(leaky, Unload::Listed);
    save(folder.path(), &machine.build(DumpKind::BitmapKernel));
    let file = report(folder.path());
    let Some(mut page) = Page::open(folder.path(), &file) else { return };
    assert_eq!(
        page.text("document.querySelector('#answer > :first-child').textContent"),
        "Bug check 0xc4/0x62: leaky.sys was unloaded before it freed 2 blocks, 128 bytes."
    );
    assert_eq!(page.shown(), "1 group: 2 blocks, 128 bytes (128 bytes)");
    assert_eq!(page.text("document.getElementById('driver-filter').value"), "=leaky.sys");
    assert_eq!(page.hash(), "");
    // The others are one click away, and that view has an address of its own.
    page.0.click("#clear");
    assert_eq!(page.groups(), 2);
    assert_eq!(page.hash(), "#driver=");
    page.0.go_to(&file, "#driver=");
    assert_eq!(page.groups(), 2);
    page.0.assert_quiet(&file);
}

/// What could not be read may hold more.
#[test]
fn a_page_that_is_not_complete_says_so_at_every_sum() {
    let folder = tempfile::tempdir().unwrap();
    let mut assembly = two_drivers().0.assemble();
    assembly.remove_page(assembly.address("trackers:leaky.sys:0"));
    save(folder.path(), &assembly.sample(DumpKind::BitmapKernel));
    let file = report(folder.path());
    let Some(mut page) = Page::open(folder.path(), &file) else { return };
    let total = page.text("document.querySelector('.total').textContent");
    assert_eq!(total, "At least 3 blocks (192 bytes) are outstanding.");
    assert!(
        page.text("document.querySelector('.extent').textContent").starts_with("Not complete: ")
    );
    assert!(page.shown().contains("group: at least 3 blocks"), "{}", page.shown());
    let at = page.text("document.getElementById('flame-at').textContent");
    assert!(at.starts_with("all blocks: at least "), "{at}");
    page.fill("filter", "nosuch");
    assert_eq!(page.shown(), "0 groups: unknown, since not all could be read");
    assert_eq!(
        page.text("document.querySelector('#leaks tr.none').textContent"),
        "No group matches of what could be read; more may exist."
    );
    page.0.assert_quiet(&file);
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
    for row in table.split("<tr").skip(2) {
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

    // The heading counts the problems of the list below: missing symbols, and a name that a file cannot have, in
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
    assert!(page.contains(&format!("Problems <span class=\"badge\">{listed}</span>")));

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
