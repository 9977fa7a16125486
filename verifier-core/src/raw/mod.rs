//! File formats as they are on disk: fixed structures without logic.
//!
//! `zerocopy` can read every structure at any alignment. All numbers are little-endian, and each size is
//! asserted at compile time. Sources: public type definitions in `ntdddmp.h`-style headers, the structures of
//! kdmp-parser, rekall and volatility, and the PE/COFF specification. Offsets were checked against real dump
//! headers written by Windows, LiveKD and DumpIt.

mod bitmap;
mod header32;
mod header64;
mod pe;
mod qemu;
mod rdmp;
mod triage;

pub(crate) use bitmap::{BitmapHeader, SummaryHeader};
pub(crate) use header32::Header32;
pub(crate) use header64::Header64;
pub(crate) use pe::{
    CodeViewRsds, DataDirectory, DebugDirectory, DosHeader, ExportDirectory, FileHeader,
    SectionHeader,
};
pub(crate) use qemu::QemuCpuState;
pub(crate) use rdmp::{PfnRange, RdmpHeader};
pub(crate) use triage::{
    Triage32, Triage64, TriageBlock, TriageData, TriageDriver32, TriageDriver64, TriageParts,
    TriageUnloaded32, TriageUnloaded64,
};
