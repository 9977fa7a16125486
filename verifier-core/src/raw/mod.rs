//! File formats as they lie on disk: fixed structures, no logic.
//!
//! Every structure is `zerocopy`-readable at any alignment, little-endian, and its size is asserted
//! at compile time. Sources: public type definitions in `ntdddmp.h`-style headers, the structures of
//! kdmp-parser, rekall and volatility, the PE/COFF specification; offsets checked against real
//! dump headers written by Windows, LiveKD and DumpIt.

mod bitmap;
mod header32;
mod header64;
mod pe;
mod rdmp;

pub use bitmap::{BitmapHeader, SummaryHeader};
pub use header32::{Header32, Run32};
pub use header64::{Header64, Run64};
pub use pe::{
    CodeViewRsds, DataDirectory, DebugDirectory, DosHeader, ExportDirectory, FileHeader,
    SectionHeader,
};
pub use rdmp::{PfnRange, RdmpHeader};
