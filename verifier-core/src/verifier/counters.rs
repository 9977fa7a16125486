//! Counters by their C names: all integers that a structure has in this build.

use crate::error::Error;
use crate::types::{Structure, TypeSource};

/// A counter.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counter {
    /// The C field's name.
    pub name: String,
    /// Its value.
    pub value: u64,
}

/// Counters of one structure, in the order of their offsets.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Counters(pub Vec<Counter>);

impl Counters {
    /// The counter of that C name; `None` if this build does not have it.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<u64> {
        self.0.iter().find(|counter| counter.name == name).map(|counter| counter.value)
    }

    /// Adds another structure's counters of the same names, as the kernel sums the images of one
    /// driver.
    pub(crate) fn add(&mut self, other: &Counters) {
        for counter in &mut self.0 {
            if let Some(value) = other.get(&counter.name) {
                // A damaged dump may hold any value, so a sum must not overflow.
                counter.value = counter.value.saturating_add(value);
            }
        }
    }

    /// Outstanding blocks: `CurrentPagedPoolAllocations` and
    /// `CurrentNonPagedPoolAllocations` together.
    #[must_use]
    pub fn pool_allocations(&self) -> u64 {
        let count = |name| self.get(name).unwrap_or(0);
        count("CurrentPagedPoolAllocations").saturating_add(count("CurrentNonPagedPoolAllocations"))
    }

    /// The counters that are above their own peak (`PeakPagedBytes` of `PagedBytes`,
    /// `PeakPagedPoolAllocations` of `CurrentPagedPoolAllocations`): the peak's name, the peak, the value.
    pub(crate) fn above_peak(&self) -> impl Iterator<Item = (&str, u64, u64)> {
        self.0.iter().filter_map(|peak| {
            let name = peak.name.strip_prefix("Peak")?;
            let now = self.get(name).or_else(|| self.get(&format!("Current{name}")))?;
            (now > peak.value).then_some((peak.name.as_str(), peak.value, now))
        })
    }

    /// Every integer member of `structure` whose offset is at least `first`, decoded from `bytes`.
    pub(crate) fn read(structure: &Structure, first: u64, bytes: &[u8]) -> Self {
        let counters = structure
            .members
            .iter()
            .filter(|member| member.offset >= first && member.shape.is_integer())
            .filter_map(|member| {
                let field =
                    crate::types::Field { offset: member.offset, shape: member.shape.clone() };
                Some(Counter { name: member.name.clone(), value: field.get(bytes)? })
            })
            .collect();
        Counters(counters)
    }
}

/// A structure that the types must have.
pub(crate) fn required(
    types: &dyn TypeSource,
    name: &str,
) -> Result<std::sync::Arc<Structure>, Error> {
    types.structure(name)?.ok_or_else(|| Error::MissingType { name: name.into() })
}
