//! Growth between two dumps, on machines built for these tests.

use crate::common::wrapper::{POOL, Wrapper, leaks, rendered};
use verifier_core::Va;
use verifier_core::analysis::{Boot, Diff, GroupBy, Grouping, NoStack, Side};
use verifier_core::kernel::Kernel;
use verifier_core::render::{
    DiffView, write_diff_csv, write_diff_json, write_diff_markdown, write_diff_text,
};
use verifier_synth::Allocation;

/// The numbers of the blocks that reads and writes hold.
fn boot(base: Option<u64>, reads: &[u64], writes: &[u64]) -> Kernel {
    let mut w = Wrapper::new();
    if let Some(base) = base {
        w.machine.kernel_base(base);
    }
    w.hold(reads.iter().chain(writes).copied());
    for &number in reads {
        w.allocate(number, "ReadRequest");
    }
    for &number in writes {
        w.allocate(number, "WriteRequest");
    }
    w.kernel()
}

fn diff<R>(
    old: &Kernel,
    new: &Kernel,
    times: (u64, u64),
    look: impl FnOnce(&Diff, DiffView<'_>) -> R,
) -> R {
    diff_by(old, new, times, GroupBy::StackAndTag, look)
}

fn diff_by<R>(
    old: &Kernel,
    new: &Kernel,
    times: (u64, u64),
    by: GroupBy,
    look: impl FnOnce(&Diff, DiffView<'_>) -> R,
) -> R {
    let boot = Boot::compare((old, Some(times.0)), (new, Some(times.1)));
    let (old_leaks, new_leaks) = (leaks(old), leaks(new));
    let old_grouping = Grouping::new(old, &old_leaks, None);
    let new_grouping = Grouping::new(new, &new_leaks, None);
    let diff = Diff::new(
        boot,
        Side { kernel: old, leaks: &old_leaks, grouping: &old_grouping },
        Side { kernel: new, leaks: &new_leaks, grouping: &new_grouping },
        by,
    );
    look(&diff, DiffView { diff: &diff, old: &old_leaks, new: &new_leaks, top: None })
}

const SECOND: u64 = 10_000_000;

#[test]
fn growth_within_one_boot() {
    let old = boot(None, &[0, 1, 2], &[10, 11]);
    // Two more reads. One write was freed and another one allocated, which is not growth.
    let new = boot(None, &[0, 1, 2, 3, 4], &[10, 12]);
    diff(&old, &new, (1000 * SECOND, 1001 * SECOND), |diff, view| {
        assert!(diff.boot.is_same, "{:?}", diff.boot);
        assert_eq!((diff.groups.len(), diff.unchanged.len()), (1, 1));
        let group = &diff.groups[0];
        assert_eq!(group.growth(), (2, 2 * 0x110));
        assert_eq!(group.appeared, [Va(POOL + 0x3000), Va(POOL + 0x4000)]);
        assert!(group.gone.is_empty());
        assert_eq!(&*group.key.stack.as_ref().unwrap()[2], "wrap!ReadRequest+0x20");
        assert_eq!(diff.growth().count, 2);
        let markdown = rendered(|out| write_diff_markdown(out, &view));
        assert!(markdown.contains("| +2 | +544 | 1,360 | `Wrap` | `wrap.sys` |"), "{markdown}");
        let csv = rendered(|out| write_diff_csv(out, &view));
        assert!(csv.contains("\n2,544,3,816,5,1360,Wrap,wrap.sys,"), "{csv}");
        let text = rendered(|out| write_diff_text(out, &view));
        assert!(text.contains("+2 blocks, +544 bytes (now 5 blocks, 1,360 bytes)"), "{text}");
        let json: serde_json::Value =
            serde_json::from_str(&rendered(|out| write_diff_json(out, &view))).unwrap();
        assert_eq!(json["same_boot"], true);
        assert_eq!(json["groups"][0]["growth"]["count"], 2);
    });
}

#[test]
fn a_block_keeps_its_stack_if_the_later_log_has_lost_it() {
    let old = boot(None, &[0, 1], &[]);
    let mut later = Wrapper::new();
    later.hold([0, 1, 2]);
    later.allocate(2, "ReadRequest");
    let new = later.kernel();
    diff(&old, &new, (1000 * SECOND, 1000 * SECOND), |diff, _| {
        assert_eq!((diff.groups.len(), diff.unchanged.len()), (1, 0), "{:?}", diff.groups);
        let group = &diff.groups[0];
        assert_eq!((group.old.count, group.new.count), (2, 3));
        assert_eq!(group.appeared, [Va(POOL + 0x2000)]);
    });
}

#[test]
fn growth_across_boots() {
    let old = boot(None, &[0, 1, 2], &[10, 11]);
    let new = boot(Some(0xffff_f803_5540_0000), &[100, 101, 102], &[110, 111, 112, 113]);
    diff(&old, &new, (1000 * SECOND, 9000 * SECOND), |diff, _| {
        assert!(!diff.boot.is_same);
        assert_eq!((diff.groups.len(), diff.unchanged.len()), (1, 1), "{:?}", diff.groups);
        assert_eq!(diff.groups[0].growth(), (2, 2 * 0x110));
        assert_eq!(&*diff.groups[0].key.stack.as_ref().unwrap()[2], "wrap!WriteRequest+0x20");
    });
    // The same base but other times: a different boot.
    let again = boot(None, &[0, 1, 2], &[10, 11]);
    diff(&old, &again, (1000 * SECOND, 1003 * SECOND), |diff, _| {
        assert!(!diff.boot.is_same);
        assert!(diff.groups.is_empty());
        assert_eq!(diff.unchanged.len(), 2);
    });
}

const OTHER_BOOT: (u64, u64) = (1000 * SECOND, 9000 * SECOND);

/// Blocks numbered from `first` on: a number of reads and writes in the log, and a number that are not.
fn reach(first: u64, reads: u64, writes: u64, forgotten: u64) -> Kernel {
    let mut w = Wrapper::new();
    w.hold(first..first + reads + writes + forgotten);
    for number in first..first + reads {
        w.allocate(number, "ReadRequest");
    }
    for number in first + reads..first + reads + writes {
        w.allocate(number, "WriteRequest");
    }
    w.kernel()
}

#[test]
fn a_log_that_reaches_less_far_is_not_growth() {
    let old = reach(0, 10, 5, 2);
    // The same number of blocks; the later log lacks some of both kinds.
    let same = reach(100, 4, 2, 11);
    diff(&old, &same, OTHER_BOOT, |diff, view| {
        assert_eq!(diff.old, diff.new);
        assert!(diff.groups.is_empty(), "{:?}", diff.groups);
        assert_eq!(diff.growth().count, 0);
        let text = rendered(|out| write_diff_text(out, &view));
        assert!(
            text.contains(
                "Before, 15 of 17 blocks, 88.2 % of bytes, have a stack; after, 6 of 17 blocks"
            ),
            "{text}"
        );
        assert!(text.contains("The logs reach back differently far"), "{text}");
        let json: serde_json::Value =
            serde_json::from_str(&rendered(|out| write_diff_json(out, &view))).unwrap();
        assert_eq!(
            (&json["old"]["with_stack"], &json["new"]["with_stack"]),
            (&15.into(), &6.into())
        );
    });
    // Three more in total, counted once; the stack of the only kind in the group stays.
    let more = reach(100, 4, 5, 11);
    diff(&old, &more, OTHER_BOOT, |diff, view| {
        assert_eq!(diff.groups.len(), 1, "{:?}", diff.groups);
        let group = &diff.groups[0];
        assert_eq!((group.growth().0, group.merged), (3, 2));
        assert_eq!(&*group.key.stack.as_ref().unwrap()[2], "wrap!ReadRequest+0x20");
        assert_eq!(diff.growth().count, 3);
        let text = rendered(|out| write_diff_text(out, &view));
        assert!(text.contains("+3 blocks, +816 bytes (now 15 blocks"), "{text}");
        assert!(text.contains("2 groups of one caller, with and without stack, as one"), "{text}");
        // After another boot every block is new, so addresses cannot match.
        assert!(!text.contains("new:") && !text.contains("gone:"), "{text}");
    });
    // Two kinds have only the caller in common.
    let fewer = reach(100, 4, 2, 12);
    diff(&old, &fewer, OTHER_BOOT, |diff, _| {
        assert_eq!(diff.groups.len(), 1, "{:?}", diff.groups);
        let group = &diff.groups[0];
        assert_eq!((group.growth().0, group.merged, &group.key.stack), (1, 3, &None));
        assert_eq!(&*group.label, "wrap!WrapAlloc+0x20");
    });
    // If all groups grow, with a stack and without, none is added up.
    let all = reach(100, 11, 6, 3);
    diff(&old, &all, OTHER_BOOT, |diff, _| {
        assert_eq!(diff.groups.len(), 3, "{:?}", diff.groups);
        assert!(diff.groups.iter().all(|group| group.growth().0 == 1 && group.merged == 0));
    });
    // The other direction: a log that reaches further is not a decrease.
    diff(&same, &old, OTHER_BOOT, |diff, _| assert!(diff.groups.is_empty(), "{:?}", diff.groups));
    // The same within one boot, if the blocks differ because they were allocated and freed in between.
    diff(&old, &same, (1000 * SECOND, 1000 * SECOND), |diff, _| {
        assert!(diff.boot.is_same);
        assert_eq!(diff.growth().count, 0, "{:?}", diff.groups);
    });
}

#[test]
fn another_reason_for_a_missing_stack_is_not_growth() {
    let of = |freed: u64| {
        let mut w = Wrapper::new();
        w.hold(0..4);
        for number in 0..freed {
            w.free(number);
        }
        w.kernel()
    };
    diff(&of(1), &of(1), OTHER_BOOT, |diff, _| {
        // Grouped by reason, as in `leaks`.
        assert_eq!((diff.groups.len(), diff.unchanged.len()), (0, 2));
    });
    diff(&of(1), &of(3), OTHER_BOOT, |diff, _| {
        assert!(diff.groups.is_empty(), "{:?}", diff.groups);
    });
    let mut more = Wrapper::new();
    more.hold(0..6);
    let off = more.kernel_of(|m| m.patch_pointer(m.address("nt!VfPoolTraces"), 0));
    diff(&of(0), &off, OTHER_BOOT, |diff, view| {
        assert_eq!(diff.groups[0].key.why_no_stack, Some(NoStack::LogOff));
        let text = rendered(|out| write_diff_text(out, &view));
        assert!(text.contains("    no stack: the pool log is off"), "{text}");
    });
}

#[test]
fn another_build_is_matched_by_function() {
    let of = |pdb: &str, read_request: u32, line: u64, writes: u64| {
        let mut w = Wrapper::built(pdb, read_request);
        w.hold(0..3 + writes);
        for number in 0..3 {
            let mut stack = w.stack("ReadRequest");
            stack[2] += line;
            w.record(number, stack);
        }
        for number in 3..3 + writes {
            w.allocate(number, "WriteRequest");
        }
        w.kernel()
    };
    let old = of("wrap.pdb", 0x1200, 0, 1);
    let rebuilt = of("newer.pdb", 0x1240, 8, 2);
    diff(&old, &rebuilt, OTHER_BOOT, |diff, view| {
        assert_eq!(diff.rebuilt.iter().map(|name| &**name).collect::<Vec<_>>(), ["wrap"]);
        assert_eq!((diff.groups.len(), diff.unchanged.len()), (1, 1), "{:?}", diff.groups);
        let stack = diff.groups[0].key.stack.as_ref().unwrap();
        // The kernel is the same build, so its offsets match.
        assert_eq!([&*stack[2], &*stack[3]], ["wrap!WriteRequest", "nt!IofCallDriver+0x10"]);
        assert_eq!(diff.growth().count, 1);
        let text = rendered(|out| write_diff_text(out, &view));
        assert!(
            text.contains(
                "The dumps have different builds of these modules, which are compared by function: wrap.\n"
            ),
            "{text}"
        );
        let json: serde_json::Value =
            serde_json::from_str(&rendered(|out| write_diff_json(out, &view))).unwrap();
        assert_eq!(json["rebuilt"], serde_json::json!(["wrap"]));
    });
    // One build and another line: two groups.
    let moved = of("wrap.pdb", 0x1200, 8, 1);
    diff(&old, &moved, OTHER_BOOT, |diff, _| {
        assert!(diff.rebuilt.is_empty());
        assert_eq!((diff.groups.len(), diff.unchanged.len()), (2, 1), "{:?}", diff.groups);
    });
    diff_by(&old, &moved, OTHER_BOOT, GroupBy::Function, |diff, _| {
        assert_eq!((diff.groups.len(), diff.unchanged.len()), (0, 1), "{:?}", diff.groups);
    });
}

#[test]
fn one_tag_is_not_netted_against_another() {
    let of = |ours: u64, others: u64| {
        let mut w = Wrapper::new();
        w.hold(0..ours);
        let (caller, blocks) = (w.at("WrapAlloc"), (100..100 + others).map(|n| w.block(n)));
        let blocks: Vec<u64> = blocks.collect();
        for address in blocks {
            let block = Allocation::nonpaged(address, 0x110, b"Othr", caller);
            w.machine.verified(w.driver).allocation(block);
        }
        w.kernel()
    };
    // Neither log has any of them.
    let (old, new) = (of(5, 1), of(1, 4));
    for by in [GroupBy::Tag, GroupBy::StackAndTag] {
        diff_by(&old, &new, OTHER_BOOT, by, |diff, _| {
            let grown: Vec<_> = diff
                .groups
                .iter()
                .map(|group| (group.key.tag.unwrap().to_string(), group.growth().0))
                .collect();
            assert_eq!(grown, [("Othr".to_string(), 3), ("Wrap".into(), -4)], "{by:?}");
        });
    }
}

#[test]
fn tag_and_driver_are_shown_once() {
    let (old, new) = (boot(None, &[0], &[]), boot(None, &[0, 1], &[]));
    for by in [GroupBy::Tag, GroupBy::Driver] {
        diff_by(&old, &new, (0, 0), by, |_, view| {
            let text = rendered(|out| write_diff_text(out, &view));
            assert!(text.contains("\n+1 block, +272 bytes (now 2 blocks, 544 bytes)"), "{text}");
            let name = if by == GroupBy::Tag { "Wrap" } else { "wrap.sys" };
            assert_eq!(text.matches(name).count(), 1, "{text}");
        });
    }
}
