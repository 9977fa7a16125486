//! Bug check 0xC4/0x62: a driver was unloaded while it held pool.
//!
//! Parameters: 0x62, the driver's name (UTF-16, ends with a null), its `_VF_TARGET_VERIFIED_DRIVER_DATA`, the
//! number of blocks. Source: the structures' facts, section 2.5, and published outputs of `!verifier`.

use super::trackers::Tracker;
use super::{Verified, Verifier};
use crate::assembly::Assembly;
use crate::dump::BugCheck;

/// How much of a driver the kernel had taken down when it found blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unload {
    /// Nothing.
    Listed,
    /// Its node of `ViTargetDriversAvl`.
    OffTree,
    /// Its node, and its entry of `VfSuspectDriversList`.
    OffTreeAndList,
}

impl Verifier {
    /// The driver that was unloaded, by name, and how far.
    pub(super) fn unload_of(&self, name: &str) -> Option<Unload> {
        self.unload.as_ref().filter(|(driver, _)| driver == name).map(|(_, unload)| *unload)
    }

    /// The bug check about the driver that was unloaded.
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
