//! Images of the kernel and its drivers.

use std::ffi::{CString, c_char};
use std::ptr;

use verifier_core::kernel::{Kernel, Module, UnloadedModule};

use crate::pointer::{Record, c_string};
use crate::session::VerifierSession;
use crate::status::VerifierStatus;
use crate::view::{Rows, VerifierView, fill, nth, view};

/// An image.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct VerifierModule {
    /// Its file name.
    pub name: *const c_char,
    /// Its path, NULL if the image is no longer loaded.
    pub path: *const c_char,
    /// Its module name in symbols, "nt" for the kernel; NULL if the image is no longer loaded.
    pub symbol_name: *const c_char,
    /// Its current or former base address.
    pub base: u64,
    /// Its size in bytes.
    pub size: u64,
    /// When it was unloaded, in units of 100 ns since 1601; 0 if that is unknown or the image is loaded.
    pub unloaded_at: u64,
    /// 1 if the image is loaded, 0 if it is no longer loaded.
    pub is_loaded: u32,
    /// 0.
    pub reserved: u32,
}

impl Record for VerifierModule {}

/// An image with its own text.
pub(crate) struct ModuleRow {
    name: CString,
    /// Path and symbol name, if the image is loaded.
    loaded: Option<(CString, CString)>,
    base: u64,
    size: u64,
    unloaded_at: u64,
}

impl From<&Module> for ModuleRow {
    fn from(module: &Module) -> Self {
        Self {
            name: c_string(&module.name),
            loaded: Some((c_string(&module.path), c_string(&module.short_name))),
            base: module.base.0,
            size: module.size.into(),
            unloaded_at: 0,
        }
    }
}

impl From<&UnloadedModule> for ModuleRow {
    fn from(module: &UnloadedModule) -> Self {
        Self {
            name: c_string(&module.name),
            loaded: None,
            base: module.start.0,
            size: module.end.0.saturating_sub(module.start.0),
            unloaded_at: module.unloaded_at,
        }
    }
}

/// The loaded images, then the unloaded images that the kernel remembers. Records:
/// VerifierModule.
///
/// # Safety
///
/// `view` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn verifier_modules(
    session: *const VerifierSession,
    view: *mut *mut VerifierView,
) -> VerifierStatus {
    let read = |_: &VerifierSession, kernel: &Kernel| {
        let modules = kernel.modules();
        let loaded = modules.loaded().iter().map(ModuleRow::from);
        let rows = loaded.chain(modules.unloaded().iter().map(ModuleRow::from)).collect();
        Ok(VerifierView::new(Rows::Modules(rows), kernel, [], kernel.problems()))
    };
    // SAFETY: the caller's guarantee is the one that `view` requires.
    unsafe { self::view(session, view, read) }
}

/// A record of `verifier_modules`.
///
/// # Safety
///
/// `record` is NULL or points at `size` bytes that may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn verifier_module_at(
    view: *const VerifierView,
    index: usize,
    record: *mut VerifierModule,
    size: usize,
) -> VerifierStatus {
    let make = |view: &VerifierView| {
        let Rows::Modules(rows) = &view.rows else { return Err(view.other("modules")) };
        let row = nth(rows, index)?;
        let text = |text: Option<&CString>| text.map_or(ptr::null(), |text| text.as_ptr());
        Ok(VerifierModule {
            name: row.name.as_ptr(),
            path: text(row.loaded.as_ref().map(|(path, _)| path)),
            symbol_name: text(row.loaded.as_ref().map(|(_, name)| name)),
            base: row.base,
            size: row.size,
            unloaded_at: row.unloaded_at,
            is_loaded: row.loaded.is_some().into(),
            reserved: 0,
        })
    };
    // SAFETY: the caller's guarantee is the one that `fill` requires.
    unsafe { fill(view, record, size, make) }
}
