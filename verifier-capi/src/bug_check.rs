//! What the machine stopped with.

use std::ffi::{CString, c_char};
use std::ptr;

use verifier_core::dump::BugCheck;
use verifier_core::kernel::Kernel;
use verifier_core::verifier::explain_bug_check;

use crate::pointer::{Record, c_string};
use crate::session::VerifierSession;
use crate::status::{Failure, VerifierStatus};
use crate::view::{Row, VerifierView, fill_from, view};

/// A bug check.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct VerifierBugCheck {
    /// Its code; 0 of a dump of a machine that did not crash.
    pub code: u32,
    /// 0.
    pub reserved: u32,
    /// Its parameters.
    pub parameters: [u64; 4],
    /// Its name, such as "DRIVER_VERIFIER_DETECTED_VIOLATION", NULL if it is not one of Verifier's.
    pub name: *const c_char,
    /// What happened; NULL in the same case.
    pub meaning: *const c_char,
    /// What each parameter is; NULL in the same case.
    pub parameter_names: [*const c_char; 4],
}

impl Record for VerifierBugCheck {}

/// A bug check with its text: name, meaning, parameters.
struct BugCheckRow {
    bug_check: BugCheck,
    text: Option<(CString, CString, [CString; 4])>,
}

impl Row for BugCheckRow {
    const KIND: &'static str = "a bug check";
}

/// The bug check: the one in the dump's header, else the one that the kernel noted in its own memory. One
/// record: VerifierBugCheck. VERIFIER_STATUS_UNSUPPORTED if there is neither a header nor a note.
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
        let unknown = || {
            Failure::unsupported(
                "bug check: there is no dump's header, and the kernel noted none in its memory",
            )
        };
        let bug_check = session.host.bug_check().ok_or_else(unknown)?;
        let text = explain_bug_check(&bug_check).map(|text| {
            (c_string(text.name), c_string(&text.meaning), text.labels().map(c_string))
        });
        Ok(VerifierView::new(vec![BugCheckRow { bug_check, text }], kernel, [], &[]))
    };
    // SAFETY: the caller guarantees what `view` requires.
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
    let make = |_: &VerifierView, row: &BugCheckRow| {
        let text = row.text.as_ref();
        VerifierBugCheck {
            code: row.bug_check.code,
            reserved: 0,
            parameters: row.bug_check.parameters,
            name: text.map_or(ptr::null(), |(name, ..)| name.as_ptr()),
            meaning: text.map_or(ptr::null(), |(_, meaning, _)| meaning.as_ptr()),
            parameter_names: text.map_or([ptr::null(); 4], |(_, _, names)| {
                names.each_ref().map(|name| name.as_ptr())
            }),
        }
    };
    // SAFETY: the caller guarantees what `fill` requires.
    unsafe { fill_from(view, index, record, size, make) }
}
