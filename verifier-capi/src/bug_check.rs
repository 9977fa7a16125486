//! What the machine stopped with, and the driver to blame.

use std::ffi::{CString, c_char};
use std::ptr;

use verifier_core::kernel::Kernel;
use verifier_core::render::info::BugCheckInfo;
use verifier_core::render::rows::ParameterRow;
use verifier_core::{Problem, Va};

use crate::pointer::{Record, c_string};
use crate::session::VerifierSession;
use crate::status::{Failure, VerifierStatus};
use crate::view::{Row, Take, VerifierView, field_of, fill_from, view};

/// A bug check. For what is known of each parameter: `verifier_bug_check_parameters`.
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
    /// Who is to blame and why, or why that is unknown; NULL if the machine did not crash.
    pub sentence: *const c_char,
    /// The file name of the driver to blame; NULL if it is unknown.
    pub culprit: *const c_char,
    /// Its code that the bug check is about, as "leaky!LeakAllocate+0x2b"; NULL if it is unknown.
    pub culprit_symbol: *const c_char,
    /// The source file of that code; NULL if it is unknown.
    pub culprit_file: *const c_char,
    /// The line in that file; 0 if it is unknown.
    pub culprit_line: u32,
    /// 1 if the driver is to blame, 0 if that is only likely or the driver is unknown.
    pub culprit_is_certain: u32,
}

impl Record for VerifierBugCheck {}

/// A bug check with its texts.
struct BugCheckRow {
    code: u32,
    parameters: [u64; 4],
    text: Option<(CString, CString, [CString; 4])>,
    sentence: Option<CString>,
    culprit: Option<CString>,
    symbol: Option<CString>,
    file: Option<CString>,
    line: u32,
    is_certain: bool,
}

impl BugCheckRow {
    fn of(info: &BugCheckInfo) -> Self {
        let text = |text: &str| c_string(text);
        let said = info.name.zip(info.meaning.as_deref()).zip(info.parameter_names);
        let culprit = info.culprit.as_ref();
        Self {
            code: info.code,
            parameters: info.parameters.map(|Va(value)| value),
            text: said
                .map(|((name, meaning), names)| (text(name), text(meaning), names.map(c_string))),
            sentence: info.sentence.as_deref().map(text),
            culprit: culprit.map(|culprit| text(culprit.driver())),
            symbol: culprit.and_then(|culprit| culprit.symbol()).map(text),
            file: culprit.and_then(|culprit| culprit.source()).map(|(file, _)| text(file)),
            line: culprit.and_then(|culprit| culprit.source()).map_or(0, |(_, line)| line),
            is_certain: culprit.is_some_and(|culprit| culprit.is_certain()),
        }
    }
}

impl Row for BugCheckRow {
    const KIND: &'static str = "a bug check";
}

/// A parameter of the bug check.
impl Row for ParameterRow {
    const KIND: &'static str = "parameters of a bug check";

    fn field(&self, field: usize, take: Take<'_>) -> Result<(), Failure> {
        field_of(&ParameterRow::TABLE, self, field, take)
    }
}

/// The bug check with what is known of it.
fn read(
    session: &VerifierSession,
    kernel: &Kernel,
) -> Result<(BugCheckInfo, Vec<Problem>), Failure> {
    let report = session.host.bug_check_report().ok_or_else(|| {
        Failure::unsupported(
            "bug check: there is no dump's header, and the kernel noted none in its memory",
        )
    })?;
    Ok((BugCheckInfo::of(&report, Some(kernel)), report.problems))
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
        let (info, problems) = read(session, kernel)?;
        Ok(VerifierView::new(vec![BugCheckRow::of(&info)], kernel, [], &problems))
    };
    // SAFETY: the caller guarantees what `view` requires.
    unsafe { self::view(session, view, read) }
}

/// The four parameters of the bug check: what each is, and the code, block or object that it leads to. The fields
/// of a record: `verifier_field_at`. Fails as `verifier_bug_check` does.
///
/// # Safety
///
/// `view` is NULL or may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn verifier_bug_check_parameters(
    session: *const VerifierSession,
    view: *mut *mut VerifierView,
) -> VerifierStatus {
    let read = |session: &VerifierSession, kernel: &Kernel| {
        let (info, problems) = read(session, kernel)?;
        Ok(VerifierView::new(info.facts, kernel, [], &problems))
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
        let pointer =
            |text: &Option<CString>| text.as_ref().map_or(ptr::null(), |text| text.as_ptr());
        VerifierBugCheck {
            code: row.code,
            reserved: 0,
            parameters: row.parameters,
            name: text.map_or(ptr::null(), |(name, ..)| name.as_ptr()),
            meaning: text.map_or(ptr::null(), |(_, meaning, _)| meaning.as_ptr()),
            parameter_names: text.map_or([ptr::null(); 4], |(_, _, names)| {
                names.each_ref().map(|name| name.as_ptr())
            }),
            sentence: pointer(&row.sentence),
            culprit: pointer(&row.culprit),
            culprit_symbol: pointer(&row.symbol),
            culprit_file: pointer(&row.file),
            culprit_line: row.line,
            culprit_is_certain: row.is_certain.into(),
        }
    };
    // SAFETY: the caller guarantees what `fill` requires.
    unsafe { fill_from(view, index, record, size, make) }
}
