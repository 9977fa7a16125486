//! The symbols that the caller should supply.

use std::fmt;

use crate::addr::Va;
use crate::error::Error;
use crate::symbols::PdbId;

/// Missing symbols of a module, with all that a symbol store needs to find them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedSymbols {
    /// Index of the module in [`Modules::loaded`](super::Modules::loaded).
    pub module: usize,
    /// The image's file name.
    pub image: String,
    /// Its base address.
    pub base: Va,
    /// `SizeOfImage`.
    pub size_of_image: u32,
    /// `TimeDateStamp`, if the image's headers are in the dump.
    pub time_date_stamp: Option<u32>,
    /// The PDB, or why the image does not name it.
    pub pdb: Result<PdbId, Error>,
}

impl fmt::Display for WantedSymbols {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.pdb {
            Ok(pdb) => write!(f, "{pdb} (for {} at {})", self.image, self.base),
            Err(error) => {
                write!(f, "the PDB of {} at {}", self.image, self.base)?;
                if let Some(stamp) = self.time_date_stamp {
                    write!(f, ", image {stamp:08X}{:x}", self.size_of_image)?;
                }
                write!(f, " (its name and GUID are unknown: {error})")
            }
        }
    }
}
