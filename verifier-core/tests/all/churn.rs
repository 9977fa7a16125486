//! Allocations and frees of the pool log, by the function that allocated.

use crate::common::wrapper::Wrapper;
use verifier_core::Va;
use verifier_core::analysis::Churn;
use verifier_core::verifier::log::PoolLog;

fn churn(w: &Wrapper) -> Churn {
    let kernel = w.kernel();
    let log = PoolLog::read(&kernel, None).unwrap();
    Churn::of_log(&kernel, &log).unwrap()
}

#[test]
fn a_free_belongs_to_the_newest_allocation_of_its_block() {
    let mut w = Wrapper::new();
    w.free(9);
    // Three lives of one block, of which the last is held, and one of another block.
    w.allocate(0, "ReadRequest");
    w.free(0);
    w.allocate(0, "WriteRequest");
    w.allocate(1, "ReadRequest");
    w.free(1);
    w.free(0);
    w.allocate(0, "ReadRequest");
    let churn = churn(&w);
    assert_eq!(churn.unmatched_frees, 1);
    let [wrapper] = churn.functions[..] else { panic!("{churn:?}") };
    // All of them go through the wrapper.
    assert_eq!(wrapper.function, Some(Va(w.at("WrapAlloc") - 0x20)));
    assert_eq!((wrapper.allocations, wrapper.freed, wrapper.failed), (4, 3, 0));
    assert_eq!(wrapper.bytes, 4 * 0x100);
    let lifetime = wrapper.lifetime.unwrap();
    assert_eq!((lifetime.shortest, lifetime.median, lifetime.longest), (1, 1, 3));
}

#[test]
fn functions_are_sorted_by_freed_blocks() {
    let mut w = Wrapper::new();
    let of = |w: &Wrapper, function: &str| {
        vec![w.nt("VerifierExAllocatePoolWithTag"), w.at(function), w.nt("IofCallDriver")]
    };
    for number in 0..3 {
        w.record(number, of(&w, "ReadRequest"));
    }
    w.record(3, of(&w, "WriteRequest"));
    w.free(3);
    // A stack in the kernel alone has no function.
    w.record(4, vec![w.nt("VerifierExAllocatePoolWithTag"), w.nt("IofCallDriver")]);
    let churn = churn(&w);
    let functions: Vec<_> = churn
        .functions
        .iter()
        .map(|of| (of.function, of.allocations, of.freed, of.lifetime.is_some()))
        .collect();
    let start = |name: &str| Some(Va(w.at(name) - 0x20));
    assert_eq!(
        functions,
        [
            (start("WriteRequest"), 1, 1, true),
            (start("ReadRequest"), 3, 0, false),
            (None, 1, 0, false)
        ]
    );
}

#[test]
fn records_in_an_unknown_order_make_no_pairs() {
    let mut w = Wrapper::new();
    w.allocate(0, "ReadRequest");
    w.free(0);
    let kernel = w.kernel();
    let mut log = PoolLog::read(&kernel, None).unwrap();
    log.ring.index = None;
    assert_eq!(Churn::of_log(&kernel, &log), None);
}
