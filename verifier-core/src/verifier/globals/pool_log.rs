//! The pool log: its array, its length and its index.
//!
//! **The array** is a page-aligned block outside the images. One word of the kernel's data points at it, and
//! it holds records: a thread in the kernel, a size, a stack that starts in an image. The kernel uses slot 1
//! first, so a candidate is checked there first.
//!
//! **The length** is a power of two. If slot 0 is in use, the ring has wrapped, every slot is in use, and the
//! length is their number. Else it is above the highest slot in use: the length whose bytes end where the
//! mapped pages end, else the kernel's default, else the shortest. It must be in the kernel's data as a
//! number.
//!
//! **The index** is near the pointer (at most 0x37c bytes in the kernels of 7601 to 22000 that were checked).
//! In the first lap it is the number of the highest slot in use. Later any number could be it, and the number
//! is taken that clearly fewer blocks contradict than any other (see `log_order.rs`).

use std::collections::{BTreeMap, BTreeSet};

use super::data::ImageData;
use super::found::{GlobalEvidence, Globals};
use super::log_order::{Order, Outstanding, SLOTS_BETWEEN_LOOKS, judge};
use crate::addr::{PAGE_SIZE, Va};
use crate::kernel::Kernel;
use crate::types::TypeSource;
use crate::verifier::log::{Slot, Trace};

const ARRAY: &str = "VfPoolTraces";
const INDEX: &str = "VfPoolTracesIndex";
const LENGTH: &str = "VfPoolTracesLength";

/// How far the index may be from the pointer to the array.
const NEAR: u64 = 0x1000;
/// The longest ring that a kernel makes.
const MAX_LENGTH: u64 = 0x80_0000;
/// Slots that are read over all candidates.
const MOST_SLOTS: u64 = 2 * MAX_LENGTH;
/// The length that kernels up to 19041 choose by themselves, and the shortest one of later ones.
const DEFAULT_LENGTH: u64 = 0x1_0000;
/// The fewest records that make a candidate plausible.
const FEWEST_RECORDS: usize = 4;

/// A ring that a search recognized by its records.
struct Found {
    /// The address of the pointer to it.
    pointer: Va,
    array: Va,
    /// The content of each slot up to the last mapped one.
    slots: Vec<Slot>,
    /// Mapped bytes from `array` on, if their end was reached.
    mapped: Option<u64>,
}

impl Found {
    fn is_used(&self, slot: u64) -> bool {
        let slot = usize::try_from(slot).ok().and_then(|slot| self.slots.get(slot));
        matches!(slot, Some(Slot::Record | Slot::Bare | Slot::Absent))
    }

    fn records(&self) -> usize {
        self.slots.iter().filter(|&&slot| slot == Slot::Record).count()
    }

    fn last_record(&self) -> u64 {
        self.slots.iter().rposition(|&slot| slot == Slot::Record).unwrap_or(0) as u64
    }
}

pub(super) fn find(
    kernel: &Kernel,
    types: &dyn TypeSource,
    data: &ImageData,
    blocks: &Outstanding<'_>,
    globals: &mut Globals,
) {
    let none = |globals: &mut Globals, why: &str| {
        for name in [ARRAY, INDEX, LENGTH] {
            globals.missing(name, why.into());
        }
    };
    let trace = match Trace::resolve(types) {
        Ok(trace) => trace,
        Err(error) => return none(globals, &error.to_string()),
    };
    let mut rings = find_arrays(kernel, &trace, data);
    let ring = match (rings.pop(), rings.len()) {
        (Some(ring), 0) => ring,
        (Some(_), more) => {
            return none(
                globals,
                &format!("{} places in the kernel's data point at such records", more + 1),
            );
        }
        (None, _) => {
            return none(
                globals,
                "no place in the kernel's data points at records whose stacks start in images: the \
                 log is off or empty, or its pages are absent",
            );
        }
    };
    let known_by = format!("points at {} records whose stacks start in images", ring.records());
    globals.found(ARRAY, ring.pointer, GlobalEvidence::Strong, known_by);
    let length = match find_length(&trace, data, &ring) {
        Ok((length, at, evidence, known_by)) => {
            globals.found(LENGTH, at, evidence, known_by);
            length
        }
        Err(why) => {
            globals.missing(LENGTH, why);
            globals.missing(INDEX, "the length of the ring is unknown".into());
            return;
        }
    };
    match find_index(kernel, types, &trace, data, blocks, &ring, length) {
        Ok((at, evidence, known_by)) => globals.found(INDEX, at, evidence, known_by),
        Err(why) => globals.missing(INDEX, why),
    }
}

fn find_arrays(kernel: &Kernel, trace: &Trace, data: &ImageData) -> Vec<Found> {
    let space = kernel.space();
    let mut seen = BTreeSet::new();
    let mut rings = Vec::new();
    let mut left = MOST_SLOTS;
    let mut record = vec![0u8; trace.stride];
    for (pointer, array) in data.words() {
        let array = Va(array);
        if array.page_offset() != 0
            || !space.is_kernel(array)
            || kernel.modules().find(array).is_some()
            || !seen.insert(array)
        {
            continue;
        }
        if kernel.is_stopped() {
            return Vec::new();
        }
        // Slot 1 is used first. It may be torn, or its page may be absent.
        let mut slot = |slot: u64| {
            let at = array.add(slot * trace.stride as u64);
            match space.read(at, &mut record) {
                Ok(_) => trace.slot(kernel, &record),
                Err(fault) if fault.reason.is_absent() => Slot::Absent,
                Err(_) => Slot::Other,
            }
        };
        let looks_like = match slot(1) {
            Slot::Record => true,
            Slot::Absent => slot(0x41) == Slot::Record || slot(0x101) == Slot::Record,
            _ => slot(2) == Slot::Record && slot(3) == Slot::Record,
        };
        if !looks_like {
            continue;
        }
        let ring = read_slots(kernel, trace, pointer, array, left);
        left -= ring.slots.len() as u64;
        let used = ring.slots.get(..=ring.last_record() as usize).unwrap_or_default();
        let other = used.iter().filter(|&&slot| slot == Slot::Other).count();
        // Records are torn when the machine stops, and a slot may be left half-written.
        if ring.records() >= FEWEST_RECORDS && other * 20 <= ring.records() {
            rings.push(ring);
        }
    }
    rings
}

/// The content of each slot, as far as pages are mapped and a ring can reach.
fn read_slots(kernel: &Kernel, trace: &Trace, pointer: Va, array: Va, most: u64) -> Found {
    let space = kernel.space();
    let stride = trace.stride as u64;
    let mut found = Found { pointer, array, slots: Vec::new(), mapped: None };
    let most = most.min(MAX_LENGTH).min(kernel.limits().ring_records.into());
    let mut last = 0u64;
    let mut record = vec![0u8; trace.stride];
    for slot in 0..most {
        if slot.is_multiple_of(SLOTS_BETWEEN_LOOKS) && kernel.is_stopped() {
            break;
        }
        let offset = slot * stride;
        let state = match space.read(array.add(offset), &mut record) {
            Ok(_) => trace.slot(kernel, &record),
            Err(fault) if fault.reason.is_absent() => Slot::Absent,
            Err(fault) => {
                found.mapped = Some((offset + fault.done as u64).next_multiple_of(PAGE_SIZE));
                break;
            }
        };
        if state == Slot::Record {
            last = slot;
        }
        found.slots.push(state);
        // Far past the last record is other memory.
        if slot > 4 * last.max(DEFAULT_LENGTH) {
            break;
        }
    }
    found
}

type Length = (u64, Va, GlobalEvidence, String);

fn find_length(trace: &Trace, data: &ImageData, ring: &Found) -> Result<Length, String> {
    let last = ring.last_record();
    // For each power of two in the kernel's data, the address that is nearest to the pointer.
    let mut places: BTreeMap<u64, Va> = BTreeMap::new();
    for (at, number) in data.numbers(4) {
        if number.is_power_of_two() && number > last && number <= ring.slots.len() as u64 {
            let distance = |at: Va| at.0.abs_diff(ring.pointer.0);
            let place = places.entry(number).or_insert(at);
            if distance(at) < distance(*place) {
                *place = at;
            }
        }
    }
    let place = |length: u64| places.get(&length).map(|&at| (length, at));
    // The ring has wrapped: every slot is in use, except the last few, which may be torn.
    let round = (last + 1).next_power_of_two();
    if ring.is_used(0) && round - (last + 1) <= round / 64 {
        let (length, at) = place(round).ok_or_else(|| {
            format!("slots up to {last:#x} are in use, and no number says {round:#x}")
        })?;
        let known_by = format!("every slot up to {last:#x} is in use, and a number says so");
        return Ok((length, at, GlobalEvidence::Strong, known_by));
    }
    let bytes = |length: u64| (length * trace.stride as u64).next_multiple_of(PAGE_SIZE);
    let ends = places.keys().copied().find(|&length| ring.mapped == Some(bytes(length)));
    if let Some((length, at)) = ends.and_then(place) {
        let known_by = format!("{length:#x} records end where the mapped pages end");
        return Ok((length, at, GlobalEvidence::Strong, known_by));
    }
    let presumed =
        place(DEFAULT_LENGTH).or_else(|| places.first_key_value().map(|(&l, &at)| (l, at)));
    match presumed {
        Some((length, at)) => {
            let known_by = format!(
                "presumed: {} lengths above slot {last:#x}, the last in use, are in the kernel's data",
                places.len()
            );
            Ok((length, at, GlobalEvidence::Fair, known_by))
        }
        None => Err(format!(
            "no power of two above slot {last:#x}, the last in use, is in the kernel's data"
        )),
    }
}

fn find_index(
    kernel: &Kernel,
    types: &dyn TypeSource,
    trace: &Trace,
    data: &ImageData,
    blocks: &Outstanding<'_>,
    ring: &Found,
    length: u64,
) -> Result<(Va, GlobalEvidence, String), String> {
    let near = |at: Va| at.0.abs_diff(ring.pointer.0) <= NEAR;
    let word = kernel.space().pointer_size() as u64;
    // Halves of pointers are not candidates.
    let pointers: BTreeSet<Va> = data
        .words()
        .filter(|&(at, value)| near(at) && kernel.space().is_kernel(Va(value)))
        .map(|(at, _)| at)
        .collect();
    let is_half = |at: Va| word == 8 && pointers.contains(&Va(at.0 & !7));
    let numbers = data.numbers(4).filter(|&(at, _)| near(at) && !is_half(at));
    let newest = |value: u64| value & (length - 1);
    if !ring.is_used(0) {
        let last = ring.last_record();
        // After the last record there may be one or two torn ones.
        let is_torn = |slot: u64| {
            let slot = usize::try_from(slot).ok().and_then(|slot| ring.slots.get(slot));
            matches!(slot, Some(Slot::Bare | Slot::Other | Slot::Absent))
        };
        let fits = |value: u64| {
            value.checked_sub(last).is_some_and(|more| more <= 2) && (last + 1..=value).all(is_torn)
        };
        let places = numbers.filter(|&(_, value)| fits(value));
        let place = places.min_by_key(|&(at, value)| (value, at.0.abs_diff(ring.pointer.0)));
        return match place {
            Some((at, _)) => Ok((
                at,
                GlobalEvidence::Strong,
                format!("the last slot in use is {last:#x}, as it says"),
            )),
            None => Err(format!("no number near the pointer says {last:#x}, the last slot in use")),
        };
    }
    // The index may have wrapped its 32 bits too, so any number is a candidate; several may name one slot.
    let mut candidates: BTreeMap<u64, Va> = BTreeMap::new();
    for (at, value) in numbers.filter(|&(_, value)| value != 0 && value != length) {
        // A 32-bit word that is a valid address is a pointer.
        if word == 4 && kernel.space().memory().read_u8(Va(value)).is_ok() {
            continue;
        }
        candidates.entry(newest(value)).or_insert(at);
    }
    let used = (0..length).filter(|&slot| ring.is_used(slot));
    let order =
        Order::read(kernel, trace, &blocks.callers(kernel, types), ring.array, used, length);
    let mut why = String::new();
    for (what, statements) in
        [("outstanding blocks", &order.outstanding), ("freed blocks", &order.freed)]
    {
        match judge(&candidates, statements, length - 1, &|| kernel.is_stopped()) {
            Ok((at, agree, against)) => {
                let known_by = format!(
                    "of {} numbers near the pointer the one under which the newest record is the right \
                     one for {agree} {what}, and is not for {against}",
                    candidates.len()
                );
                return Ok((at, GlobalEvidence::Strong, known_by));
            }
            Err(text) => why.push_str(&format!("; {what}: {text}")),
        }
    }
    Err(format!(
        "{} numbers near the pointer may be it, and the records do not decide which{why}",
        candidates.len()
    ))
}
