//! What the caller is asked to bring.

use std::fmt;

use crate::addr::Va;
use crate::error::Error;
use crate::symbols::PdbId;

/// Symbols that would help, told so that a symbol store can be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedSymbols {
    /// Index of the module in [`Modules::loaded`](super::Modules::loaded).
    pub module: usize,
    /// The image's file name.
    pub image: String,
    /// Where it is loaded.
    pub base: Va,
    /// `SizeOfImage`.
    pub size_of_image: u32,
    /// `TimeDateStamp`, where the image's headers are in the dump.
    pub time_date_stamp: Option<u32>,
    /// The PDB, or why the image does not tell it.
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
                write!(f, " (its name and GUID are not known: {error})")
            }
        }
    }
}
