//! Over vmi-core: any driver that reads pages (`VmiRead`), for example of Xen or of a dump.

use std::path::Path;

use verifier_core::kernel::{Hints, Kernel};
use verifier_core::memory::OnThread;
use verifier_core::{Error, Pa, Va};
use vmi_arch_amd64::Amd64;
use vmi_core::{Gfn, VmiError, driver::VmiRead};
use vmi_driver_kdmp::VmiKdmpDriver;

/// Memory that a driver reads. The driver is created on the thread that reads, because it returns pages in
/// an `Rc`.
///
/// # Errors
/// If the driver cannot be created.
pub fn memory<D: VmiRead>(
    driver: impl FnOnce() -> Result<D, VmiError> + Send + 'static,
) -> Result<OnThread<Pa>, Error> {
    OnThread::new(move || {
        let driver = driver()?;
        Ok::<_, VmiError>(move |at: Pa, buf: &mut [u8]| {
            let page = driver.read_page(Gfn(at.pfn().0))?;
            let start = at.page_offset() as usize;
            buf.copy_from_slice(&page[start..start + buf.len()]);
            Ok::<_, VmiError>(())
        })
    })
}

/// The kernel in a dump that vmi-driver-kdmp opens.
///
/// # Errors
/// If the driver does not open the dump, or the kernel is not found.
pub fn open(dump: &Path) -> Result<Kernel, Error> {
    let path = dump.to_owned();
    let (sender, header) = std::sync::mpsc::channel();
    let memory = memory(move || {
        let driver = VmiKdmpDriver::<Amd64>::new(path)?;
        let _ = sender.send(driver.header());
        Ok(driver)
    })?;
    let Ok(header) = header.recv() else { return crate::kernel(memory, 0, 0, Hints::default()) };
    let hints = Hints {
        build: Some(header.minor_version()),
        ps_loaded_module_list: Some(Va(header.ps_loaded_module_list())),
        kd_debugger_data_block: Some(Va(header.kd_debugger_data_block())),
        ..Hints::default()
    };
    crate::kernel(memory, header.directory_table_base(), header.machine_image_type(), hints)
}
