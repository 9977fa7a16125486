//! `LIST_ENTRY`: doubly linked rings with a head.

use std::collections::{HashMap, HashSet};

use super::{AddressSpace, Limit, Limits, Walk, limit};
use crate::addr::Va;
use crate::bytes::le;
use crate::error::{Error, Fault};

/// The entries after `head`, in order: addresses of their `LIST_ENTRY` fields.
///
/// Each entry's `Blink` is compared with the entry before it. If a link is broken (an absent page, a torn
/// live dump, an overwritten pointer), the ring is also walked backward from its end. Entries that only the
/// backward walk reaches are added, and [`Walk::broken`] says where the first break is.
#[must_use]
pub fn walk_list(space: &AddressSpace, head: Va, what: &'static str, limits: &Limits) -> Walk {
    let limit = limit!(limits, list_entries);
    let walker = Walker { space, head, what, limit };
    let mut forward = walker.follow(Way::Forward);
    let Some(broken) = forward.broken.take().or(forward.end.take()) else {
        return Walk { entries: forward.entries, broken: None };
    };
    // If the walk never came back to the head, entries after an unconfirmed link may belong to another ring.
    if !forward.is_closed {
        forward.entries.truncate(forward.confirmed);
    }
    let mut backward = walker.follow(Way::Backward);
    // Entries that the backward walk does not confirm are not added.
    backward.entries.truncate(backward.confirmed);
    backward.entries.reverse();
    let mut entries = merge(forward.entries, backward.entries);
    entries.truncate(limits.list_entries);
    Walk { entries, broken: Some(broken) }
}

/// Which of an entry's two links is followed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Forward,
    Backward,
}

/// The result of a walk in one direction.
#[derive(Default)]
struct Followed {
    /// The entries, in the order of the walk.
    entries: Vec<Va>,
    /// The number of entries before the first link that the next entry does not confirm.
    confirmed: usize,
    /// The first link that the next entry does not confirm.
    broken: Option<Error>,
    /// Why the walk ended before the head.
    end: Option<Error>,
    /// True if the walk came back to the head.
    is_closed: bool,
}

struct Walker<'a> {
    space: &'a AddressSpace,
    head: Va,
    what: &'static str,
    limit: Limit,
}

impl Walker<'_> {
    /// `Flink` and `Blink` at `at`.
    fn links(&self, at: Va) -> Result<(Va, Va), Fault> {
        let size = self.space.pointer_size();
        let mut bytes = [0u8; 16];
        let bytes = bytes.get_mut(..2 * size).unwrap_or_default();
        self.space.read(at, bytes)?;
        let link = |offset| Va(le(bytes, offset, size).unwrap_or(0));
        Ok((link(0), link(size)))
    }

    fn malformed(&self, address: Va, why: String) -> Error {
        Error::Malformed { address, what: self.what.into(), why }
    }

    /// Follows one of the links until it comes back to the head.
    fn follow(&self, way: Way) -> Followed {
        let mut followed = Followed::default();
        followed.end = self.follow_into(way, &mut followed).err();
        if followed.broken.is_none() {
            followed.confirmed = followed.entries.len();
        }
        followed
    }

    fn follow_into(&self, way: Way, followed: &mut Followed) -> Result<(), Error> {
        let ahead = |(next, previous)| match way {
            Way::Forward => (next, previous),
            Way::Backward => (previous, next),
        };
        let read = |at| self.links(at).map_err(|fault| Error::read(self.what, fault));
        let mut seen = HashSet::from([self.head]);
        let mut here = self.head;
        let first = read(self.head).map(ahead)?;
        let (mut next, _) = first;
        loop {
            let is_head = next == self.head;
            if !is_head && !self.space.is_kernel(next) {
                let why = format!("the link to {next} leads out of the kernel");
                return Err(self.malformed(here, why));
            }
            if !is_head && !seen.insert(next) {
                let why = format!("the link to {next} closes a ring without the head");
                return Err(self.malformed(here, why));
            }
            if !is_head && self.limit.is_reached(followed.entries.len()) {
                return Err(self.limit.error(self.what));
            }
            // If the entry's links cannot be read, its fields cannot either.
            let (after, back) = if is_head { first } else { read(next).map(ahead)? };
            if back != here && followed.broken.is_none() {
                followed.confirmed = followed.entries.len();
                let why = format!("the link to {next} is not confirmed: its other link is {back}");
                followed.broken = Some(self.malformed(here, why));
            }
            if is_head {
                followed.is_closed = true;
                return Ok(());
            }
            followed.entries.push(next);
            (here, next) = (next, after);
        }
    }
}

/// The entries of both directions, each once and in the order of the list: entries that only the backward
/// walk reached come before the entry that follows them in that walk.
fn merge(forward: Vec<Va>, backward: Vec<Va>) -> Vec<Va> {
    let known: HashSet<Va> = forward.iter().copied().collect();
    let mut before: HashMap<Va, Vec<Va>> = HashMap::new();
    let mut added = Vec::new();
    for entry in backward {
        if known.contains(&entry) {
            before.insert(entry, std::mem::take(&mut added));
        } else {
            added.push(entry);
        }
    }
    let mut merged = Vec::new();
    for entry in forward {
        merged.append(&mut before.remove(&entry).unwrap_or_default());
        merged.push(entry);
    }
    merged.append(&mut added);
    merged
}
