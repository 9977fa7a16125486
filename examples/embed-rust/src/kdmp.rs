//! Over kdmp-parser: its parser reads the file, and this library reads pages through it.
//!
//! A read of `Memory` never crosses a 4 KiB page. This matters here: `phys::Reader` of 0.8.2 returns wrong
//! bytes, with `Ok`, for a read that begins inside a page and continues over two more.

use std::path::Path;

use kdmp_parser::{gxa::Gpa, parse::KernelDumpParser, phys::Reader};
use verifier_core::kernel::{Hints, Kernel};
use verifier_core::memory::OnThread;
use verifier_core::{Error, Pa, Va};

/// The kernel in a dump that kdmp-parser opens.
///
/// # Errors
/// If kdmp-parser does not open the dump, or the kernel is not found.
pub fn open(dump: &Path) -> Result<Kernel, Error> {
    let path = dump.to_owned();
    let (sender, header) = std::sync::mpsc::channel();
    let memory = OnThread::new(move || {
        let parser = KernelDumpParser::new(path)?;
        let header = parser.headers();
        let hints = Hints {
            build: Some(header.minor_version),
            ps_loaded_module_list: Some(Va(header.ps_loaded_module_list)),
            kd_debugger_data_block: Some(Va(header.kd_debugger_data_block)),
            ..Hints::default()
        };
        let _ = sender.send((header.directory_table_base, header.machine_image_type, hints));
        Ok::<_, kdmp_parser::error::Error>(move |at: Pa, buf: &mut [u8]| {
            Reader::new(&parser).read_exact(Gpa::new(at.0), buf)
        })
    })?;
    // The header was sent before the reader was created, so it is there.
    let (dtb, machine, hints) = header.recv().unwrap_or_default();
    crate::kernel(memory, dtb, machine, hints)
}
