//! Bug check 0xC4/0x62: a driver was unloaded while it held pool.
//!
//! Parameters: 0x62, the driver's name (UTF-16, null-terminated), its `_VF_TARGET_VERIFIED_DRIVER_DATA`, the
//! number of blocks. Source: published output of `!verifier`.

use super::trackers::Tracker;
use super::{Verified, Verifier};
use crate::assembly::Assembly;
use crate::dump::BugCheck;

/// The parts of a driver's data that the kernel had removed when it found blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unload {
    /// Nothing was removed.
    Listed,
    /// Its node in `ViTargetDriversAvl`.
    OffTree,
    /// Its node, and its entry in `VfSuspectDriversList`.
    OffTreeAndList,
}

impl Verifier {
    /// How much was removed, if the driver of this name was unloaded.
    pub(super) fn unload_of(&self, name: &str) -> Option<Unload> {
        self.unload.as_ref().filter(|(driver, _)| driver == name).map(|(_, unload)| *unload)
    }

    /// The bug check for the driver that was unloaded.
    pub(crate) fn bug_check(&self, m: &mut Assembly) -> Option<BugCheck> {
        let (driver, _) = self.unload.as_ref()?;
        let blocks = |verified: &Verified| {
            let held = verified.trackers.iter().filter(|slot| matches!(slot, Tracker::InUse(_)));
            held.count() as u64
        };
        let (_, _, _, verified) = self.targets.iter().find(|target| target.2 == *driver)?;
        let name: Vec<u8> = driver.encode_utf16().chain([0]).flat_map(u16::to_le_bytes).collect();
        let name = m.place(&name);
        m.label(format!("unloaded:{driver}"), name);
        let data = m.address(&format!("verified:{driver}"));
        Some(BugCheck {
            code: 0xc4,
            parameters: [0x62, name, data, verified.as_ref().map_or(0, blocks)],
        })
    }
}
