//! Types and globals written by hand: for tests, for examples, and for layouts that are in no PDB.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Member, Shape, Structure, TypeSource};
use crate::addr::Rva;
use crate::error::Error;

/// Types and globals that the caller defines.
///
/// ```
/// use verifier_core::types::{Literals, Shape, TypeSource};
///
/// let types = Literals::new()
///     .with_type("_LIST_ENTRY", 16, &[("Flink", 0, Shape::Pointer(8)), ("Blink", 8, Shape::Pointer(8))])
///     .with_symbol("PsLoadedModuleList", 0x1000);
/// assert_eq!(types.field("_LIST_ENTRY", "Blink").unwrap().offset, 8);
/// ```
#[derive(Debug, Clone, Default)]
pub struct Literals {
    types: BTreeMap<String, Arc<Structure>>,
    symbols: BTreeMap<String, Rva>,
}

impl Literals {
    /// An empty set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a structure: its name, its size in bytes, and its members' names, offsets and shapes.
    #[must_use]
    pub fn with_type(mut self, name: &str, size: u64, members: &[(&str, u64, Shape)]) -> Self {
        let members = members
            .iter()
            .map(|(name, offset, shape)| Member {
                name: (*name).into(),
                offset: *offset,
                shape: shape.clone(),
            })
            .collect();
        self.types.insert(name.into(), Arc::new(Structure { name: name.into(), size, members }));
        self
    }

    /// Adds a global at `rva`.
    #[must_use]
    pub fn with_symbol(mut self, name: &str, rva: u32) -> Self {
        self.symbols.insert(name.into(), Rva(rva));
        self
    }
}

impl TypeSource for Literals {
    fn structure(&self, name: &str) -> Result<Option<Arc<Structure>>, Error> {
        Ok(self.types.get(name).cloned())
    }
    fn symbol(&self, name: &str) -> Option<Rva> {
        self.symbols.get(name).copied()
    }
    fn describe(&self) -> String {
        "literals".into()
    }
}
