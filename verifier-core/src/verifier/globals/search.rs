//! The search for all globals.

use super::data::ImageData;
use super::found::{GlobalEvidence, Globals};
use super::log_order::Outstanding;
use super::plausible::Plausibility;
use super::{drivers, pool_log, trees};
use crate::kernel::Kernel;
use crate::types::TypeSource;
use crate::verifier::drivers::Recovered;

impl Globals {
    /// Searches the memory of `kernel` for Verifier's globals with the layouts of `types`. A search that is
    /// stopped finds nothing ([`Kernel::stop_when`]).
    #[must_use]
    pub fn find(kernel: &Kernel, types: &dyn TypeSource) -> Self {
        Self::find_in(kernel, types, &ImageData::read(kernel)).0
    }

    /// The globals, and how plausible `types` are by what they lead to.
    pub(super) fn find_in(
        kernel: &Kernel,
        types: &dyn TypeSource,
        data: &ImageData,
    ) -> (Self, Plausibility) {
        let mut globals = Self::default();
        match kernel.debugger_data() {
            Ok(data) if kernel.space().is_kernel(data.mm_verifier_data) => {
                globals.found(
                    "MmVerifierData",
                    data.mm_verifier_data,
                    GlobalEvidence::Stated,
                    "the debugger data block names it".into(),
                );
            }
            Ok(_) => {
                globals.missing("MmVerifierData", "the debugger data block does not name it".into())
            }
            Err(error) => globals.missing(
                "MmVerifierData",
                format!("the debugger data block would name it: {error}"),
            ),
        }
        let recovered = Recovered::new(kernel, types);
        let mut searched = Self::default();
        let images = drivers::find(kernel, types, data, &recovered, &mut searched);
        let tree = trees::find(kernel, types, data, &mut searched);
        let (images, tree) = (&*images, tree.as_ref());
        let blocks = Outstanding { images, recovered: &recovered, tree };
        pool_log::find(kernel, types, data, &blocks, &mut searched);
        let plausibility = Plausibility::of(kernel, types, &searched, images, tree.is_some());
        if kernel.is_stopped() {
            searched.forget();
        }
        globals.found.append(&mut searched.found);
        globals.missing.append(&mut searched.missing);
        (globals, plausibility)
    }
}
