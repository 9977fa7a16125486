//! The bug check that stopped the machine.

use std::ffi::{CString, c_char};
use std::ptr;

use verifier_core::dump::BugCheck;
use verifier_core::kernel::Kernel;
use verifier_core::verifier::explain_bug_check;

use crate::pointer::{Record, c_string};
use crate::session::VerifierSession;
use crate::status::{Failure, VerifierStatus};
use crate::view::{Rows, VerifierView, fill, view};

/// A bug check.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct VerifierBugCheck {
    /// Its code; 0 if the machine did not crash.
    pub code: u32,
    /// 0.
    pub reserved: u32,
    /// Its parameters.
    pub parameters: [u64; 4],
    /// Its name, such as "DRIVER_VERIFIER_DETECTED_VIOLATION", NULL if it is not one of Verifier's.
    pub name: *const c_char,
    /// Its meaning, NULL as for the name.
    pub meaning: *const c_char,
    /// The meaning of each parameter, NULL as for the name.
    pub parameter_names: [*const c_char; 4],
}

impl Record for VerifierBugCheck {}

/// A bug check with its text: name, meaning, parameters.
pub(crate) struct BugCheckRow {
    found: BugCheck,
    said: Option<(CString, CString, [CString; 4])>,
}

/// The bug check in the dump's header. One record: VerifierBugCheck. Unsupported if the memory is a
/// callback's, which has no header.
///
/// # Safety
///
/// `view` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn verifier_bug_check(
    session: *const VerifierSession,
    view: *mut *mut VerifierView,
) -> VerifierStatus {
    let read = |session: &VerifierSession, kernel: &Kernel| {
        let no_dump = || {
            Failure::unsupported(
                "bug check: only a dump's header has it, and this memory is not a dump",
            )
        };
        let found = session.host.dump().ok_or_else(no_dump)?.header().bug_check;
        let said = explain_bug_check(&found).map(|said| {
            (c_string(said.name), c_string(&said.meaning), said.parameters.map(c_string))
        });
        let rows = Rows::BugCheck(BugCheckRow { found, said });
        Ok(VerifierView::new(rows, kernel, [], &[]))
    };
    // SAFETY: the caller's guarantee is the one that `view` requires.
    unsafe { self::view(session, view, read) }
}

/// The record of `verifier_bug_check`, number 0.
///
/// # Safety
///
/// `record` is NULL or points at `size` bytes that may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn verifier_bug_check_at(
    view: *const VerifierView,
    index: usize,
    record: *mut VerifierBugCheck,
    size: usize,
) -> VerifierStatus {
    let make = |view: &VerifierView| {
        let Rows::BugCheck(row) = &view.rows else { return Err(view.other("a bug check")) };
        if index > 0 {
            return Err(Failure::at_the_end());
        }
        let said = row.said.as_ref();
        Ok(VerifierBugCheck {
            code: row.found.code,
            reserved: 0,
            parameters: row.found.parameters,
            name: said.map_or(ptr::null(), |(name, ..)| name.as_ptr()),
            meaning: said.map_or(ptr::null(), |(_, meaning, _)| meaning.as_ptr()),
            parameter_names: said.map_or([ptr::null(); 4], |(_, _, names)| {
                names.each_ref().map(|name| name.as_ptr())
            }),
        })
    };
    // SAFETY: the caller's guarantee is the one that `fill` requires.
    unsafe { fill(view, record, size, make) }
}
