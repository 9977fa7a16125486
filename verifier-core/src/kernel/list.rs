//! `LIST_ENTRY`: doubly linked rings with a head.

use std::collections::HashSet;

use super::{AddressSpace, Limits, Walk};
use crate::addr::Va;
use crate::error::Error;

/// The entries behind `head`, in order: addresses of their `LIST_ENTRY` fields.
///
/// A ring that is broken (an absent page, a torn live dump) is walked from its other end too, so
/// that only what lies in the gap is missing; [`Walk::broken`] says where.
#[must_use]
pub fn walk_list(space: &AddressSpace, head: Va, what: &'static str, limits: &Limits) -> Walk {
    let mut seen = HashSet::from([head]);
    let mut forward = Vec::new();
    let most = limits.list_entries;
    let broken = follow(space, head, 0, what, most, &mut seen, &mut forward).err();
    if broken.is_some() {
        let mut backward = Vec::new();
        let blink = space.pointer_size() as u64;
        // Whatever ends the way back, the gap has been told already.
        let left = most.saturating_sub(forward.len());
        let _ = follow(space, head, blink, what, left, &mut seen, &mut backward);
        backward.reverse();
        forward.append(&mut backward);
    }
    Walk { entries: forward, broken }
}

/// Follows the links at `link` bytes into each entry until the head comes round.
fn follow(
    space: &AddressSpace,
    head: Va,
    link: u64,
    what: &'static str,
    most: usize,
    seen: &mut HashSet<Va>,
    entries: &mut Vec<Va>,
) -> Result<(), Error> {
    let mut here = head;
    loop {
        let next = space.read_pointer(here.add(link)).map_err(|fault| Error::read(what, fault))?;
        if next == head {
            return Ok(());
        }
        if !space.is_kernel(next) {
            return Err(Error::Malformed {
                address: here,
                what: what.into(),
                why: format!("the link to {next} leads out of the kernel"),
            });
        }
        if !seen.insert(next) {
            return Err(Error::Malformed {
                address: here,
                what: what.into(),
                why: format!("the link to {next} closes a ring without the head"),
            });
        }
        if entries.len() >= most {
            return Err(Error::Limit {
                what: what.into(),
                limit: most as u64,
                name: "Limits::list_entries",
            });
        }
        // The entry itself must be readable, or its fields will not be either.
        space.read_pointer(next).map_err(|fault| Error::read(what, fault))?;
        entries.push(next);
        here = next;
    }
}
