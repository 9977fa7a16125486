//! The page about the difference of two dumps.

use std::fs;

use crate::common::{command, save};
use crate::reports::Page;
use verifier_synth::{Allocation, Build, Driver, DumpKind, Machine, PoolRecord};

/// A driver whose functions hold so many blocks of 4 KiB each. Blocks of one number are at one address.
fn machine(held: &[(&str, std::ops::Range<u64>)]) -> Machine {
    let mut m = Machine::new(Build::Win10Vb);
    let driver = Driver::new("diff.sys").pdb("diff.pdb");
    let driver = driver.symbol("Grows", 0x1100).symbol("Shrinks", 0x1200).symbol("Stays", 0x1300);
    let driver = m.driver(driver.symbol("Dispatch", 0x1400));
    m.level(8);
    let outer = m.driver_address(driver, "Dispatch") + 0x20;
    let allocate = m.kernel_address("VerifierExAllocatePoolWithTag") + 0x1d;
    for (function, blocks) in held {
        let caller = m.driver_address(driver, function) + 0x10;
        for number in blocks.clone() {
            let address = 0xffff_9a8f_5000_0000 + number * 0x2000;
            let block = Allocation::nonpaged(address, 0x1000, b"Diff", caller);
            m.verified(driver).allocation(block);
            m.pool_record(PoolRecord {
                address,
                size: 0x1000,
                thread: 0xffff_9a8f_4fff_0040,
                frames: vec![allocate, caller, outer],
                stale: vec![],
            });
        }
    }
    m
}

#[test]
fn growth_is_red_and_shrinkage_is_blue() {
    let folder = tempfile::tempdir().unwrap();
    let sample = |held: &[_]| machine(held).build(DumpKind::BitmapKernel);
    let old = save(
        &folder.path().join("old"),
        &sample(&[("Grows", 0..2), ("Shrinks", 10..13), ("Stays", 20..21)]),
    );
    let new = save(
        &folder.path().join("new"),
        &sample(&[("Grows", 0..5), ("Shrinks", 10..11), ("Stays", 20..21)]),
    );
    let file = folder.path().join("diff.html");
    let run = |output: &std::path::Path| {
        let mut command = command();
        command.args(["diff".as_ref(), old.as_os_str(), new.as_os_str()]);
        command.arg("--symbols").arg(new.parent().unwrap().join("symbols"));
        command.args(["--format", "csv", "-o"]).arg(output).output().unwrap()
    };
    // Neither dump is replaced, and no file of another kind.
    for input in [&old, &new] {
        assert_eq!(run(input).status.code(), Some(2), "{}", input.display());
    }
    let result = run(&file);
    assert!(result.status.success(), "{}", String::from_utf8_lossy(&result.stderr));
    // The difference itself is on standard output, and the page alone if that is asked for.
    assert!(String::from_utf8_lossy(&result.stdout).contains("diff!Grows+0x10"));
    assert_eq!(run("-".as_ref()).stdout, fs::read(&file).unwrap());

    let Some(mut page) = Page::open(folder.path(), &file) else { return };
    let answer = page.text("document.getElementById('answer').textContent");
    assert!(answer.starts_with("3 blocks (12.0 KiB) more in groups that grew."), "{answer}");
    assert!(answer.contains("diff!Grows grew the most: +12.0 KiB, +3 blocks."), "{answer}");
    // What did not change is in the picture alone.
    assert_eq!(page.groups(), 2);
    assert_eq!(page.shown(), "2 changed groups: +4.0 KiB (+4,096 bytes)");
    let changes = "[...document.querySelectorAll('#leaks td[data-label=Change]')].map((e) => e.textContent).join()";
    assert_eq!(page.text(changes), "+12.0 KiB+3 blocks,-8.0 KiB-2 blocks");
    assert!(page.frames().contains("diff!Stays"));
    let color = |page: &mut Page, name: &str| {
        let of = format!(
            "[...document.querySelectorAll('.frame')].find((e) => e.title.startsWith('diff!{name}:')).style.backgroundColor"
        );
        let color = page.text(&of);
        let parts = color.trim_start_matches("rgb(").trim_end_matches(')').split(", ");
        parts.map(|part| part.parse().unwrap()).collect::<Vec<u8>>()
    };
    let red = color(&mut page, "Grows");
    assert!(red[0] > red[2] + 60, "{red:?}");
    let blue = color(&mut page, "Shrinks");
    assert!(blue[2] > blue[0] + 60, "{blue:?}");
    let gray = color(&mut page, "Stays");
    assert!(gray[0].abs_diff(gray[2]) < 10, "{gray:?}");
    // Widths are bytes of the later dump, or of the earlier one.
    let width = "(() => { const f = [...document.querySelectorAll('.frame')]; const w = (name) => f.find((e) => e.title.startsWith('diff!' + name + ':')).offsetWidth; return Math.round(10 * w('Grows') / w('Shrinks')); })()";
    assert_eq!(page.number(width), 50);
    page.0.click("input[value=oldBytes]");
    assert_eq!(page.number(width), 7);
    // A zoom selects the rows of the table.
    page.0.evaluate("[...document.querySelectorAll('.frame')].find((e) => e.title.startsWith('diff!Grows:')).click()");
    assert_eq!(page.column("Where"), "diff!Grows+0x10 ← Dispatch+0x20");
    page.0.click("#leaks .expand");
    assert_eq!(page.count("#leaks .addresses button"), 3, "the new blocks");
    page.0.shot("diff");
    page.0.set_width(390);
    assert!(page.number("document.documentElement.scrollWidth") <= 390);
    page.0.assert_quiet(&file);
}
