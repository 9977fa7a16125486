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
///
/// A view needs memory, types and symbols, so three literals are enough for one:
///
/// ```
/// use std::sync::Arc;
/// use verifier_core::kernel::{AddressSpace, Hints, Kernel};
/// use verifier_core::machine::Machine;
/// use verifier_core::memory::SparsePages;
/// use verifier_core::types::{Literals, Shape};
/// use verifier_core::verifier::Settings;
/// use verifier_core::Va;
///
/// // A module list of one image, and the structure that MmVerifierData names.
/// let (list, entry, base) = (0xffff_f800_0020_0000u64, 0xffff_fa80_0010_0000u64, 0xffff_f800_0000_0000u64);
/// let mut module = vec![0u8; 0x70];
/// module[..8].copy_from_slice(&list.to_le_bytes());                 // InLoadOrderLinks
/// module[8..16].copy_from_slice(&list.to_le_bytes());
/// module[0x30..0x38].copy_from_slice(&base.to_le_bytes());          // DllBase
/// module[0x40..0x44].copy_from_slice(&0x60_0000u32.to_le_bytes());  // SizeOfImage
/// let memory = SparsePages::new()
///     .with(Va(list), &[entry.to_le_bytes(), entry.to_le_bytes()].concat())
///     .with(Va(entry), &module)
///     .with(Va(base + 0x1000), &[0xbb, 0x09, 0, 0, 7, 0, 0, 0]);
/// let types = Literals::new()
///     .with_type("_MM_DRIVER_VERIFIER_DATA", 8,
///         &[("Level", 0, Shape::Unsigned(4)), ("RaiseIrqls", 4, Shape::Unsigned(4))])
///     .with_symbol("MmVerifierData", 0x1000);
///
/// let space = AddressSpace::new(Arc::new(memory), Machine::X64);
/// let hints = Hints { ps_loaded_module_list: Some(Va(list)), ..Hints::default() };
/// let kernel = Kernel::open(space, hints)?;
/// kernel.supply_types(Arc::new(types));
///
/// let settings = Settings::read(&kernel)?;
/// assert_eq!(settings.level.0, 0x9bb);
/// assert_eq!(settings.statistics.get("RaiseIrqls"), Some(7));
/// # Ok::<(), verifier_core::Error>(())
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
