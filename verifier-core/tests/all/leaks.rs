//! Outstanding allocations joined with the pool log, grouped, compared and rendered, on machines built for
//! these tests.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::common::wrapper::{THREAD, Wrapper, leaks, rendered};
use verifier_core::Va;
use verifier_core::analysis::{
    Filter, Group, GroupBy, GroupKey, Grouping, History, Leaks, NoStack, PoolKind, Total,
};
use verifier_core::render::{
    LeaksView, Names, Weight, inverted_stacks, write_leaks_csv, write_leaks_folded,
    write_leaks_json, write_leaks_markdown, write_leaks_text,
};
use verifier_core::verifier::log::Operation;
use verifier_synth::{Allocation, Contiguous, Log, PoolRecord};

fn whys(leaks: &Leaks) -> Vec<Option<NoStack>> {
    leaks.blocks.iter().map(|block| block.stack.err()).collect()
}

#[test]
fn the_newest_record_of_the_address_decides() {
    let mut w = Wrapper::new();
    w.hold(0..5);
    w.allocate(0, "ReadRequest");
    w.free(0);
    w.allocate(0, "WriteRequest");
    w.allocate(1, "ReadRequest");
    w.free(1);
    // A record inside block 2, but not of block 2.
    w.machine.pool_record(PoolRecord {
        address: w.block(2) + 0x10,
        size: 0x10,
        thread: THREAD,
        frames: w.stack("ReadRequest"),
        stale: vec![],
    });
    w.record(3, vec![]);
    // A captured stack lacks the two innermost frames; here these are all frames in Verifier.
    w.record(4, w.stack("ReadRequest")[1..].to_vec());
    let kernel = w.kernel();
    let leaks = leaks(&kernel);
    assert_eq!(
        whys(&leaks),
        [None, Some(NoStack::Freed), Some(NoStack::NotLogged), Some(NoStack::NoFrames), None]
    );
    let stack = |index: usize| {
        let frames = leaks.stack(leaks.blocks[index].stack.unwrap());
        frames.iter().map(|va| va.0).collect::<Vec<_>>()
    };
    assert_eq!(stack(0), w.stack("WriteRequest"));
    assert_eq!(stack(4), w.stack("ReadRequest")[1..]);
    // Its operation is unknown, but it contains the caller of the entry.
    assert_eq!(leaks.blocks[4].record.unwrap().operation, Operation::Unknown);
    let coverage = leaks.coverage();
    assert_eq!((coverage.all.count, coverage.with_stack.count, coverage.uncertain), (5, 2, 0));
    assert_eq!(coverage.all.bytes, 5 * 0x110);
    assert_eq!(leaks.blocks[0].kind, PoolKind::NonPaged);
    assert!(leaks.problems.is_empty(), "{:?}", leaks.problems);
}

#[test]
fn a_record_without_a_link_to_the_block_is_reported() {
    let mut w = Wrapper::new();
    w.hold(0..1);
    w.record(0, vec![w.at("WriteRequest")]);
    let leaks = leaks(&w.kernel());
    assert_eq!(leaks.blocks[0].stack, Err(NoStack::Uncertain));
    assert_eq!(leaks.coverage().uncertain, 1);
}

#[test]
fn why_there_is_no_stack() {
    // Off.
    let mut w = Wrapper::new();
    w.hold(0..1);
    let off = leaks(&w.kernel_of(|m| {
        let at = m.address("nt!VfPoolTraces");
        m.patch_pointer(at, 0);
    }));
    assert_eq!(whys(&off), [Some(NoStack::LogOff)]);

    // Wrapped.
    let mut w = Wrapper::new();
    w.hold(0..1);
    w.machine.log(Log::Pool).length = 16;
    w.allocate(0, "ReadRequest");
    for number in 1..=16 {
        w.allocate(number, "ReadRequest");
    }
    let wrapped = leaks(&w.kernel());
    assert_eq!(whys(&wrapped), [Some(NoStack::Overwritten)]);
    assert_eq!(
        wrapped.why(NoStack::Overwritten),
        "overwritten: the log has wrapped and reaches back 16 records"
    );

    // A page of the log is absent: slots 0 to 31 of 64.
    let mut w = Wrapper::new();
    w.hold(0..2);
    w.machine.log(Log::Pool).length = 64;
    for number in 0..40 {
        w.allocate(number % 39, "ReadRequest");
    }
    let absent = leaks(&w.kernel_of(|m| {
        let ring = m.address("ring:VfPoolTraces");
        m.remove_page(ring);
    }));
    // Block 0 has a record in slot 40; the only record of block 1 was in slot 2.
    assert_eq!(whys(&absent), [None, Some(NoStack::PageAbsent)]);
    assert!(absent.why(NoStack::PageAbsent).contains("32 slots"), "{absent:?}");
    assert!(!absent.problems.is_empty());

    // Stopped after the blocks were read.
    let mut w = Wrapper::new();
    w.hold(0..1);
    w.allocate(0, "ReadRequest");
    let kernel = w.kernel();
    let asked = AtomicU32::new(0);
    kernel.stop_when(Box::new(move || asked.fetch_add(1, Ordering::Relaxed) >= 2));
    let stopped = leaks(&kernel);
    assert_eq!(whys(&stopped), [Some(NoStack::NotRead)]);
    assert!(stopped.why(NoStack::NotRead).contains("none of the 0 records"));
}

#[test]
fn skip_separates_the_callers_of_a_wrapper() {
    let mut w = Wrapper::new();
    w.hold(0..10);
    for number in 0..10 {
        w.allocate(number, if number < 7 { "ReadRequest" } else { "WriteRequest" });
    }
    let kernel = w.kernel();
    let leaks = leaks(&kernel);
    let names = Names::new(&kernel);
    let skip = |va: Va| names.get(va).is_some_and(|name| name.starts_with("wrap!WrapAlloc"));
    let plain = Grouping::new(&kernel, &leaks, None);
    let skipping = Grouping::new(&kernel, &leaks, Some(&skip));
    let counts =
        |groups: &[Group]| groups.iter().map(|group| group.blocks.len()).collect::<Vec<_>>();
    // One line and one caller for all; without the wrapper there are two.
    for by in [GroupBy::Frame, GroupBy::Caller] {
        assert_eq!(counts(&plain.groups(by)), [10], "{by:?}");
        assert_eq!(counts(&skipping.groups(by)), [7, 3], "{by:?}");
    }
    let groups = skipping.groups(GroupBy::Frame);
    assert_eq!(groups[0].key, GroupKey::Frame(Some(Va(w.at("ReadRequest")))));
    assert_eq!(groups[1].key, GroupKey::Frame(Some(Va(w.at("WriteRequest")))));
    let stacks = skipping.groups(GroupBy::Stack);
    let first: Vec<u64> = stacks[0].frames(&leaks).unwrap().iter().map(|va| va.0).collect();
    assert_eq!(first, w.stack("ReadRequest")[2..], "the kernel's frames go with the wrapper's");
    assert_eq!(stacks[0].bytes, 7 * 0x110);

    // If a pattern skips every frame, no frame is skipped.
    let all = |_: Va| true;
    let whole = Grouping::new(&kernel, &leaks, Some(&all)).groups(GroupBy::Stack);
    assert_eq!(whole[0].frames(&leaks).unwrap().len(), 5);
    // Sizes, tags, drivers.
    for by in [GroupBy::Size, GroupBy::Tag, GroupBy::Driver] {
        let groups = plain.groups(by);
        assert_eq!(counts(&groups), [10], "{by:?}");
        assert_eq!(groups[0].stack, None, "{by:?}: different stacks");
    }
}

#[test]
fn every_format() {
    let mut w = Wrapper::new();
    w.hold(0..4);
    w.allocate(0, "ReadRequest");
    w.allocate(1, "ReadRequest");
    w.allocate(2, "WriteRequest");
    let kernel = w.kernel();
    let leaks = leaks(&kernel);
    let view = LeaksView::new(&kernel, &leaks, GroupBy::Stack).with_top(Some(2));

    assert_eq!(
        rendered(|out| write_leaks_markdown(out, &view)),
        "### Driver Verifier: 4 blocks outstanding, 1,088 bytes

- wrap.sys holds 4 blocks, 1,088 bytes
- Most is from wrap!WrapAlloc, 4 blocks, 100 % of bytes

| # | Blocks | Bytes | Largest | Tag | Driver | Where |
|--:|--:|--:|--:|---|---|---|
| 1 | 2 | 544 | 272 | `Wrap` | `wrap.sys` | `wrap!WrapAlloc+0x20 ← ReadRequest+0x20` |
| 2 | 1 | 272 | 272 | `Wrap` | `wrap.sys` | `wrap!WrapAlloc+0x20 ← WriteRequest+0x20` |

1 more group is not shown: 1 block, 272 bytes.

<details><summary>Stack of group 1: 2 blocks, 544 bytes</summary>

```text
nt!VerifierExAllocatePoolWithTag+0x10
wrap!WrapAlloc+0x20
wrap!ReadRequest+0x20
nt!IofCallDriver+0x10
nt!NtDeviceIoControlFile+0x10
```

</details>

<details><summary>Stack of group 2: 1 block, 272 bytes</summary>

```text
nt!VerifierExAllocatePoolWithTag+0x10
wrap!WrapAlloc+0x20
wrap!WriteRequest+0x20
nt!IofCallDriver+0x10
nt!NtDeviceIoControlFile+0x10
```

</details>

3 of 4 blocks, 75.0 % of bytes, have a stack.
- 1 block, 272 bytes without a stack: not logged: none of the 3 records is of this block, and the log has not wrapped
"
    );
    assert_eq!(
        rendered(|out| write_leaks_csv(out, &view)),
        "count,bytes,largest,tag,driver,label,why_no_stack,stack,file,line,examples,stack_source,source,\
         impossible,known,extent
2,544,272,Wrap,wrap.sys,wrap!WrapAlloc+0x20 ← ReadRequest+0x20,,nt!VerifierExAllocatePoolWithTag+0x10 < \
         wrap!WrapAlloc+0x20 < wrap!ReadRequest+0x20 < nt!IofCallDriver+0x10 < \
         nt!NtDeviceIoControlFile+0x10,,,0xffff9a8f50000000 0xffff9a8f50001000,pool log,tracker,0,,complete
1,272,272,Wrap,wrap.sys,wrap!WrapAlloc+0x20 ← WriteRequest+0x20,,nt!VerifierExAllocatePoolWithTag+0x10 < \
         wrap!WrapAlloc+0x20 < wrap!WriteRequest+0x20 < nt!IofCallDriver+0x10 < \
         nt!NtDeviceIoControlFile+0x10,,,0xffff9a8f50002000,pool log,tracker,0,,complete
"
    );
    let all = LeaksView::new(&kernel, &leaks, GroupBy::StackAndTag);
    let folded =
        "wrap.sys;(no stack, not logged: none of the 3 records is of this block, and the log \
         has not wrapped);wrap!WrapAlloc+0x20;(tag Wrap) 1
wrap.sys;nt!NtDeviceIoControlFile+0x10;nt!IofCallDriver+0x10;wrap!ReadRequest+0x20;\
         wrap!WrapAlloc+0x20;nt!VerifierExAllocatePoolWithTag+0x10;(tag Wrap) 2
wrap.sys;nt!NtDeviceIoControlFile+0x10;nt!IofCallDriver+0x10;wrap!WriteRequest+0x20;\
         wrap!WrapAlloc+0x20;nt!VerifierExAllocatePoolWithTag+0x10;(tag Wrap) 1
";
    assert_eq!(rendered(|out| write_leaks_folded(out, &all, Weight::Count)), folded);
    // Bottom-up, without the kernel.
    let inverted: Vec<String> = inverted_stacks(&all, Weight::Count)
        .into_iter()
        .map(|(path, count)| format!("{path} {count}"))
        .collect();
    assert_eq!(
        inverted,
        [
            "wrap!WrapAlloc+0x20;(no stack, not logged: none of the 3 records is of this block, and the log \
             has not wrapped);wrap.sys;(tag Wrap) 1",
            "wrap!WrapAlloc+0x20;wrap!ReadRequest+0x20;wrap.sys;(tag Wrap) 2",
            "wrap!WrapAlloc+0x20;wrap!WriteRequest+0x20;wrap.sys;(tag Wrap) 1",
        ]
    );

    let text = rendered(|out| write_leaks_text(out, &all));
    let answer = "4 blocks are outstanding, 1,088 bytes (1.1 KiB).\nwrap.sys holds 4 blocks, 1,088 bytes.\n\
        Most is from wrap!WrapAlloc, 4 blocks, 100 % of bytes.\n\n#1  2 blocks, 544 bytes (50.0 %), \
        largest 272, tag Wrap, wrap.sys\n";
    assert!(text.starts_with(answer), "{text}");
    assert!(text.contains("3 of 4 blocks, 75.0 % of bytes, have a stack.\n"), "{text}");
    assert!(text.contains("    caller: wrap!WrapAlloc+0x20\n"), "{text}");
    let json: serde_json::Value =
        serde_json::from_str(&rendered(|out| write_leaks_json(out, &view))).unwrap();
    assert_eq!(json["coverage"]["allocations"], 4);
    assert_eq!(json["coverage"]["with_stack"], 3);
    assert_eq!(json["coverage"]["without_stack"][0]["count"], 1);
    assert_eq!(json["omitted"]["groups"], 1);
    let group = &json["groups"][0];
    assert_eq!((&group["count"], &group["bytes"]), (&2.into(), &544.into()));
    assert_eq!(group["stack"][1]["symbol"], "wrap!WrapAlloc+0x20");
    assert_eq!(group["allocations"][1]["address"], "0xffff9a8f50001000");
    assert_eq!(group["allocations"][1]["driver"], "wrap.sys");
    assert_eq!(group["allocations"][1]["requested"], 0x100);
}

#[test]
fn nothing_outstanding() {
    let mut w = Wrapper::new();
    w.hold([]);
    w.allocate(0, "ReadRequest");
    let kernel = w.kernel();
    let leaks = leaks(&kernel);
    let view = LeaksView::new(&kernel, &leaks, GroupBy::Stack);
    assert_eq!(rendered(|out| write_leaks_text(out, &view)), "No outstanding allocation.\n");
    assert_eq!(
        rendered(|out| write_leaks_markdown(out, &view)),
        "### Driver Verifier: no outstanding allocation\n"
    );
    assert_eq!(rendered(|out| write_leaks_folded(out, &view, Weight::Bytes)), "");
}

#[test]
fn who_freed_it() {
    let mut w = Wrapper::new();
    let caller = w.at("WrapAlloc");
    let stale = Allocation::nonpaged(w.block(0), 0x110, b"Gone", caller);
    let other = Allocation::nonpaged(w.block(7), 0x9000, b"Othr", caller);
    let near = Allocation::nonpaged(w.block(1), 0x40, b"Near", caller);
    w.machine.verified(w.driver).freed(stale).freed(other).allocation(near);
    w.allocate(0, "WriteRequest");
    w.free(0);
    w.allocate(0, "ReadRequest");
    w.free(0);
    let kernel = w.kernel();
    let history = History::read(&kernel, Va(w.block(0) + 0x44)).unwrap();
    assert!(history.trackers.is_empty());
    assert_eq!(history.events.len(), 4);
    assert_eq!(history.freed_by().unwrap().record.operation, Operation::Free);
    let lives: Vec<_> = history.lifetimes.iter().map(|life| (life.allocated, life.freed)).collect();
    assert_eq!(lives, [(Some(1), Some(0)), (Some(3), Some(2))]);
    // The freed entry of about that size has the tag; its address is lost.
    let tags: Vec<_> =
        history.freed_entries.iter().map(|freed| freed.entry.allocation.tag.to_string()).collect();
    assert_eq!(tags, ["Gone"]);
    assert_eq!(history.freed_entries[0].entry.allocation.address, Va(0));
    assert_eq!(history.neighbors.len(), 1);
    assert_eq!(history.neighbors[0].address, Va(w.block(1)));
    assert_eq!(history.neighbors[0].driver.as_deref(), Some("wrap.sys"));

    let held = History::read(&kernel, Va(w.block(1))).unwrap();
    assert_eq!(held.trackers.len(), 1);
    assert!(held.freed_by().is_none());
    assert_eq!(held.neighbors[0].newest, Some(Operation::Free));
    // It has a lifetime although the log has no record of it.
    let [life] = held.lifetimes[..] else { panic!("{:?}", held.lifetimes) };
    assert_eq!((life.block, life.allocated, life.freed), (Va(w.block(1)), None, None));
    assert_eq!((life.is_held, life.why_unknown), (true, Some(NoStack::NotLogged)));
    assert_eq!((held.reach.records, held.unrecorded), (4, NoStack::NotLogged));
}

#[test]
fn the_current_lifetime_comes_first() {
    let mut w = Wrapper::new();
    w.hold([0, 1]);
    w.allocate(0, "ReadRequest");
    w.free(0);
    w.allocate(1, "ReadRequest");
    let kernel = w.kernel();
    // The log has the earlier lifetime with its end.
    let again = History::read(&kernel, Va(w.block(0))).unwrap();
    let lives: Vec<_> = again
        .lifetimes
        .iter()
        .map(|life| (life.allocated, life.freed, life.is_held, life.why_unknown))
        .collect();
    assert_eq!(lives, [(None, None, true, Some(NoStack::Freed)), (Some(1), Some(0), false, None)]);
    let logged = History::read(&kernel, Va(w.block(1))).unwrap();
    let [life] = logged.lifetimes[..] else { panic!("{:?}", logged.lifetimes) };
    assert_eq!((life.allocated, life.is_held, life.why_unknown), (Some(0), true, None));
}

#[test]
fn functions_and_callers_that_are_skipped() {
    let mut w = Wrapper::new();
    w.hold(0..5);
    w.allocate(0, "ReadRequest");
    w.allocate(1, "WriteRequest");
    // Another line of the same function.
    let mut other = w.stack("ReadRequest");
    other[2] += 0x8;
    w.record(2, other);
    let kernel = w.kernel();
    let leaks = leaks(&kernel);
    let names = Names::new(&kernel);
    let skip = |va: Va| names.get(va).is_some_and(|name| name.starts_with("wrap!WrapAlloc"));
    let grouping = Grouping::new(&kernel, &leaks, Some(&skip));
    assert_eq!(grouping.skipped(), (3, 3));
    let labels = |by| {
        let view = LeaksView::grouped(&leaks, by, &grouping, names.clone());
        let mut all: Vec<_> =
            view.iter().map(|group| (group.label(), group.blocks.len())).collect();
        all.sort();
        all
    };
    let skipped = "(no stack; caller is the skipped wrap!WrapAlloc+0x20)".to_string();
    let write = |by: &str| (format!("wrap!WriteRequest{by}"), 1);
    assert_eq!(
        labels(GroupBy::Frame),
        [
            (skipped.clone(), 2),
            ("wrap!ReadRequest+0x20".into(), 1),
            ("wrap!ReadRequest+0x28".into(), 1),
            write("+0x20"),
        ]
    );
    assert_eq!(
        labels(GroupBy::Function),
        [(skipped, 2), ("wrap!ReadRequest".into(), 2), write("")]
    );
    let none = Grouping::new(&kernel, &leaks, Some(&|_| false));
    assert_eq!(none.skipped(), (0, 3));
}

#[test]
fn filters_are_shown() {
    let mut w = Wrapper::new();
    w.hold(0..4);
    let kernel = w.kernel();
    let mut found = leaks(&kernel);
    found.dump = Some("memory.dmp · Windows 19041 x64".into());
    found.filter = Some(Box::new(Filter {
        driver: Some("wrap.sys".into()),
        tag: Some("Wr*".into()),
        min_size: Some(0x1000),
        skip: Some("wrap!WrapAlloc".into()),
        all: found.coverage().all,
        stacks: 3,
        ..Filter::default()
    }));
    let line = "Filtered: driver wrap.sys, tag Wr*, at least 4,096 bytes; wrappers skipped: \
                wrap!WrapAlloc, which matched no frame of 3 stacks; ";
    for kept in [4, 0] {
        found.blocks.truncate(kept);
        let view = LeaksView::new(&kernel, &found, GroupBy::Stack);
        let line = format!("{line}{kept} of the driver's 4 blocks");
        let text = rendered(|out| write_leaks_text(out, &view));
        assert!(text.contains(&format!("{line}.\n")), "{text}");
        let markdown = rendered(|out| write_leaks_markdown(out, &view));
        // An asterisk in the user's filter is not emphasis.
        assert!(markdown.contains(&format!("\n`{line}`.\n")), "{markdown}");
        assert!(markdown.contains("\n`memory.dmp · Windows 19041 x64`\n"), "{markdown}");
        let json: serde_json::Value =
            serde_json::from_str(&rendered(|out| write_leaks_json(out, &view))).unwrap();
        assert_eq!(json["filter"]["tag"], "Wr*");
        assert_eq!(json["filter"]["max_size"], serde_json::Value::Null);
        assert_eq!(
            (&json["filter"]["allocations"], &json["filter"]["bytes"]),
            (&4.into(), &1088.into())
        );
        if kept == 0 {
            let none = "o outstanding allocation matches driver wrap.sys, tag Wr*, at least 4,096 \
                        bytes (4 of the driver without other filters)";
            assert!(text.starts_with(&format!("N{none}.\n")), "{text}");
            assert!(markdown.contains(&format!("n{none}")), "{markdown}");
        }
    }
    // Without a driver all blocks are counted; a filter that is not set is not shown.
    let filter = found.filter.as_mut().unwrap();
    **filter = Filter {
        tag: Some("lk01".into()),
        all: Total { count: 342, bytes: 1 },
        ..Filter::default()
    };
    let view = LeaksView::new(&kernel, &found, GroupBy::Stack);
    assert_eq!(
        rendered(|out| write_leaks_text(out, &view)),
        "No outstanding allocation matches tag lk01 (342 without filters).\n\
         Filtered: tag lk01; 0 of 342 blocks.\n"
    );
}

/// Contiguous memory of the wrapper's driver: two pieces; the first is in the log.
fn with_contiguous() -> Wrapper {
    let mut w = Wrapper::new();
    let (of_pool, caller) = (w.at("WrapAlloc"), w.at("WriteRequest"));
    let (blocks, pieces) = ([0, 1].map(|i| w.block(i)), [8, 16].map(|i| w.block(i)));
    let verified = w.machine.verified(w.driver);
    for address in blocks {
        verified.allocation(Allocation::nonpaged(address, 0x110, b"Wrap", of_pool));
    }
    for address in pieces {
        verified.contiguous(Contiguous { address, size: 0x3000, caller });
    }
    w.allocate(0, "ReadRequest");
    let frames = vec![w.nt("VerifierExAllocatePoolWithTag"), caller, w.nt("IofCallDriver")];
    w.record(8, frames);
    w
}

#[test]
fn contiguous_memory_is_outstanding_too_and_the_log_has_its_stack() {
    let w = with_contiguous();
    let leaks = leaks(&w.kernel());
    assert!(leaks.problems.is_empty(), "{:?}", leaks.problems);
    let sources: Vec<_> = leaks.blocks.iter().map(|block| block.allocation.source.name()).collect();
    assert_eq!(sources, ["tracker", "tracker", "contiguous", "contiguous"]);
    assert_eq!(
        whys(&leaks),
        [None, Some(NoStack::NotLogged), None, Some(NoStack::NotLogged)],
        "the kernel logs it with the pool"
    );
    let coverage = leaks.coverage();
    assert_eq!((coverage.all.count, coverage.all.bytes), (4, 2 * 0x110 + 2 * 0x3000));
    assert_eq!(leaks.drivers[0].counted, 4);
    let contiguous = &leaks.blocks[2];
    assert!(contiguous.is_contiguous());
    assert_eq!((contiguous.allocation.pool_tag(), contiguous.kind), (None, PoolKind::Unknown));
    assert_eq!(contiguous.requested(), Some(0x3000));
}

#[test]
fn contiguous_memory_that_its_list_has_lost_counts_as_a_block() {
    let w = with_contiguous();
    let kernel = w.kernel_of(|m| {
        let data = m.address("verified:wrap.sys");
        let head =
            m.layouts().offset("_VF_TARGET_VERIFIED_DRIVER_DATA", "ContiguousMemoryListHead");
        let head = data + head as u64;
        let link = m.layouts().pointer_size() as u64;
        m.patch_pointer(head, head);
        m.patch_pointer(head + link, head);
    });
    let leaks = leaks(&kernel);
    assert_eq!((leaks.blocks.len(), leaks.drivers[0].counted), (2, 3));
    assert!(leaks.problems.iter().any(|one| one.why.contains("its list holds 0x0")));
}

#[test]
fn contiguous_memory_has_groups_of_its_own_whatever_they_are_by() {
    let kernel = with_contiguous().kernel();
    let leaks = leaks(&kernel);
    for by in GroupBy::ALL {
        let groups = Grouping::new(&kernel, &leaks, None).groups(by);
        let of = |is_contiguous: bool| {
            let some = groups.iter().filter(|group| group.is_contiguous == is_contiguous);
            some.map(|group| group.blocks.len()).sum::<usize>()
        };
        assert_eq!((of(false), of(true)), (2, 2), "{by:?}");
        assert!(groups.iter().all(|group| group.tag.is_some() != group.is_contiguous), "{by:?}");
        let view = LeaksView::new(&kernel, &leaks, by);
        let json: serde_json::Value =
            serde_json::from_str(&rendered(|out| write_leaks_json(out, &view))).unwrap();
        let blocks = |list: &str| {
            let groups = json[list].as_array().unwrap().iter();
            let blocks = groups.flat_map(|group| group["allocations"].as_array().unwrap());
            blocks.map(|block| block["source"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(blocks("groups"), ["tracker"; 2], "{by:?}");
        assert_eq!(blocks("contiguous"), ["contiguous"; 2], "{by:?}");
        assert_eq!(json["coverage"]["allocations"], 4);
        assert_eq!(json["contiguous"][0]["allocations"][0]["tag"], serde_json::Value::Null);
    }
    let view = LeaksView::new(&kernel, &leaks, GroupBy::Tag);
    let text = rendered(|out| write_leaks_text(out, &view));
    assert!(
        text.contains(
            "#1  2 blocks, 24,576 bytes (97.8 %), largest 12,288, contiguous memory, wrap.sys"
        ),
        "{text}"
    );
    let view = LeaksView::new(&kernel, &leaks, GroupBy::Stack);
    let folded = rendered(|out| write_leaks_folded(out, &view, Weight::Bytes));
    assert!(folded.contains("wrap!WriteRequest+0x20;(contiguous memory) 12288\n"), "{folded}");
    let markdown = rendered(|out| write_leaks_markdown(out, &view));
    assert!(markdown.contains("contiguous memory"), "{markdown}");
    let csv = rendered(|out| write_leaks_csv(out, &view));
    assert_eq!(csv.lines().filter(|line| line.ends_with(",contiguous,0,,complete")).count(), 2);
}
