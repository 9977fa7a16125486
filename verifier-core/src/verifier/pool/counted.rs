//! Allocations that were read, checked against the driver's own counters.

use crate::error::Problem;
use crate::verifier::allocation::Allocation;
use crate::verifier::counters::Counters;
use crate::verifier::drivers::{Driver, TargetDriver};

/// The sum of sizes.
pub(super) fn bytes_of(allocations: &[Allocation]) -> u64 {
    allocations.iter().fold(0, |sum, one| sum.saturating_add(one.size))
}

/// Bytes that are outstanding, if the build counts them.
fn counted_bytes(counters: &Counters) -> Option<u64> {
    Some(counters.get("PagedBytes")?.saturating_add(counters.get("NonPagedBytes")?))
}

/// Checks the allocations on an image's pages against its counters.
pub(super) fn check_pages(
    driver: &Driver,
    image: &TargetDriver,
    held: &[Allocation],
) -> Option<Problem> {
    let (found, counted) = (held.len() as u64, image.counters.pool_allocations());
    let why = if found != counted {
        format!("its counters say {counted}, its pages hold {found}")
    } else {
        // The kernel adds up what it writes into the entries.
        let found = bytes_of(held);
        let counted = counted_bytes(&image.counters).filter(|&counted| counted != found)?;
        format!("its counters say {counted:#x} bytes, its pages hold {found:#x}")
    };
    Some(Problem::at(format!("allocations of {}", driver.name), image.verified_data, why))
}

/// The same if the kernel keeps blocks in the pool info tree. A driver's counters may or may not include its
/// blocks in the tree, and each block without a known driver may belong to it.
pub(super) fn check_tree(
    driver: &Driver,
    on_pages: u64,
    in_tree: u64,
    unowned: u64,
) -> Option<Problem> {
    let counted = driver.counters().pool_allocations();
    let both = on_pages.saturating_add(in_tree);
    if counted == on_pages || (both..=both.saturating_add(unowned)).contains(&counted) {
        return None;
    }
    let why = format!(
        "its counters say {counted}, its pages hold {on_pages}, and the pool info tree has {in_tree} of it"
    );
    let what = format!("allocations of {}", driver.name);
    Some(match driver.images.first() {
        Some(image) => Problem::at(what, image.verified_data, why),
        None => Problem::new(what, why),
    })
}
