//! Images of the kernel and its drivers.

use std::ffi::{CString, c_char};
use std::ptr;

use verifier_core::kernel::{Kernel, Module, UnloadedModule};

use crate::pointer::{Record, c_string};
use crate::session::VerifierSession;
use crate::status::VerifierStatus;
use crate::view::{Row, VerifierView, fill_from, view};

/// An image.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct VerifierModule {
    /// Its file name.
    pub name: *const c_char,
    /// Its path, NULL if it is no longer loaded.
    pub path: *const c_char,
    /// The name that it has in symbols, "nt" for the kernel; NULL if it is no longer loaded.
    pub symbol_name: *const c_char,
    /// Its base address, or what that was.
    pub base: u64,
    /// Its bytes.
    pub size: u64,
    /// When it was unloaded, in units of 100 ns since 1601; 0 if the build does not keep it or the image is
    /// loaded.
    pub unloaded_at: u64,
    /// 0 if it is no longer loaded.
    pub is_loaded: u32,
    /// 0.
    pub reserved: u32,
}

impl Record for VerifierModule {}

/// An image with its own text.
struct ModuleRow {
    name: CString,
    /// Path and name in symbols of one that is loaded.
    loaded: Option<(CString, CString)>,
    base: u64,
    size: u64,
    unloaded_at: u64,
}

impl Row for ModuleRow {
    const KIND: &'static str = "modules";
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

/// The images that are loaded, then those that the kernel remembers to have unloaded. Records:
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
        let rows = loaded.chain(modules.unloaded().iter().map(ModuleRow::from));
        Ok(VerifierView::new(rows.collect::<Vec<_>>(), kernel, [], kernel.problems()))
    };
    // SAFETY: the caller guarantees what `view` requires.
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
    let make = |_: &VerifierView, row: &ModuleRow| {
        let text = |text: Option<&CString>| text.map_or(ptr::null(), |text| text.as_ptr());
        VerifierModule {
            name: row.name.as_ptr(),
            path: text(row.loaded.as_ref().map(|(path, _)| path)),
            symbol_name: text(row.loaded.as_ref().map(|(_, name)| name)),
            base: row.base,
            size: row.size,
            unloaded_at: row.unloaded_at,
            is_loaded: row.loaded.is_some().into(),
            reserved: 0,
        }
    };
    // SAFETY: the caller guarantees what `fill` requires.
    unsafe { fill_from(view, index, record, size, make) }
}
