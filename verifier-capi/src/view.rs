//! What a view holds, and what all views can do. A kind of rows has a file of its own.

use std::any::Any;
use std::collections::HashMap;
use std::ffi::{CString, c_char};
use std::ptr;
use std::sync::{Mutex, PoisonError};

use verifier_core::describe::{self, Kind, Value};
use verifier_core::kernel::Kernel;
use verifier_core::symbols::SourceSite;
use verifier_core::verifier::is_kernel_or_verifier;
use verifier_core::verifier::log::Ring;
use verifier_core::{Completeness, Extent, Problem, Va};

use crate::handle::{Handle, Table, free, get, put_new};
use crate::last_error::guard;
use crate::pointer::{Record, c_string, put_record};
use crate::session::VerifierSession;
use crate::status::{Failure, VerifierPlace, VerifierStatus};

/// A list of records of one kind, read whole. The function that made it says which `_at` function reads
/// its records.
pub struct VerifierView {
    rows: Box<dyn Rows>,
    code: HashMap<Va, Code>,
    /// Text of fields that were asked for. A text that is here stays where it is, for C's pointers.
    texts: Mutex<HashMap<String, CString>>,
    problems: Vec<ProblemText>,
    extent: Extent,
}

/// What is known of an address of code.
struct Code {
    name: Option<CString>,
    source: Option<SourceSite>,
    /// True if it is in the kernel or in one of Verifier's images.
    is_kernel_or_verifier: bool,
}

/// A problem for C.
struct ProblemText {
    what: CString,
    why: CString,
    address: Option<Va>,
    leaves: Extent,
}

impl From<&Problem> for ProblemText {
    fn from(problem: &Problem) -> Self {
        let (what, why) = (c_string(&problem.what), c_string(&problem.why));
        Self { what, why, address: problem.address, leaves: problem.leaves }
    }
}

impl Handle for VerifierView {
    const KIND: &'static str = "view";

    fn table() -> &'static Table<Self> {
        static VIEWS: Table<VerifierView> = Table::new();
        &VIEWS
    }
}

/// The rows of a view: what a file adds to the interface with its records.
pub(crate) trait Rows: Held + Any + Send + Sync {
    /// The rows' name in messages, a plural.
    fn kind() -> &'static str
    where
        Self: Sized;

    fn count(&self) -> usize;

    /// The frames of a row, innermost first.
    fn frames(&self, _index: usize) -> Result<&[Va], Failure> {
        Err(self.is_not("records with stacks"))
    }

    /// The log that the rows come from or were joined with.
    fn reach(&self) -> Result<Reach<'_>, Failure> {
        Err(self.is_not("a log"))
    }

    /// Gives a field of a row to `take`, by its number in the description of the rows.
    fn field(&self, _index: usize, _field: usize, _take: Take<'_>) -> Result<(), Failure> {
        Err(self.is_not(FIELDS))
    }
}

const FIELDS: &str = "records with fields";

/// What [`Rows`] of any kind say of themselves.
pub(crate) trait Held {
    /// The failure of a caller that asks for something else.
    fn is_not(&self, wanted: &str) -> Failure;
}

impl<R: Rows> Held for R {
    fn is_not(&self, wanted: &str) -> Failure {
        other(R::kind(), wanted)
    }
}

fn other(held: &str, wanted: &str) -> Failure {
    Failure::argument(format!("the view holds {held}, not {wanted}"))
}

/// The receiver of a field.
pub(crate) type Take<'a> = &'a mut dyn FnMut(Field<'_>);

/// A field of a row: its name, its kind, its value.
pub(crate) struct Field<'a> {
    name: &'static str,
    kind: Kind,
    value: Value<'a>,
}

/// Gives the field of a row that has that number in the row's description.
pub(crate) fn field_of<R>(
    table: &describe::Table<'_, R>,
    row: &R,
    field: usize,
    take: Take<'_>,
) -> Result<(), Failure> {
    let column = table.documented().nth(field).ok_or_else(Failure::at_the_end)?;
    take(Field { name: column.name, kind: column.kind, value: column.value(row) });
    Ok(())
}

/// A plain list is a view's rows if its element says what it is.
pub(crate) trait Row: Send + Sync + 'static {
    /// As [`Rows::kind`].
    const KIND: &'static str;

    /// As [`Rows::field`].
    fn field(&self, _field: usize, _take: Take<'_>) -> Result<(), Failure> {
        Err(other(Self::KIND, FIELDS))
    }
}

impl<R: Row> Rows for Vec<R> {
    fn kind() -> &'static str {
        R::KIND
    }

    fn count(&self) -> usize {
        self.len()
    }

    fn field(&self, index: usize, field: usize, take: Take<'_>) -> Result<(), Failure> {
        nth(self, index)?.field(field, take)
    }
}

/// How far back a log reaches.
pub(crate) struct Reach<'a> {
    pub(crate) capacity: u32,
    pub(crate) written: Option<u32>,
    pub(crate) missing: u64,
    pub(crate) empty_because: Option<&'a CString>,
}

impl VerifierView {
    /// A view of these rows, with the names of the addresses in them.
    pub(crate) fn new<R: Rows>(
        rows: R,
        kernel: &Kernel,
        addresses: impl IntoIterator<Item = Va>,
        problems: &[Problem],
    ) -> Self {
        let mut code = HashMap::new();
        for va in addresses {
            // The same few thousand addresses fill a log.
            code.entry(va).or_insert_with(|| Code {
                name: kernel.symbolize(va).map(|name| c_string(&name.to_string())),
                source: kernel.source_of_call(va),
                is_kernel_or_verifier: is_kernel_or_verifier(kernel, va),
            });
        }
        let extent = Completeness::of(problems).extent;
        let problems = problems.iter().map(ProblemText::from).collect();
        Self { rows: Box::new(rows), code, texts: Mutex::default(), problems, extent }
    }

    /// The same view of an answer that knows its own extent.
    pub(crate) fn of_extent(self, extent: Extent) -> Self {
        Self { extent, ..self }
    }

    /// The name of an address, NULL if no module holds it.
    pub(crate) fn name(&self, va: Va) -> *const c_char {
        let name = self.code.get(&va).and_then(|code| code.name.as_ref());
        name.map_or(ptr::null(), |name| name.as_ptr())
    }

    /// The source of the call that returns to an address.
    fn source(&self, va: Va) -> Option<&SourceSite> {
        self.code.get(&va)?.source.as_ref()
    }

    /// The source of the line of code of a stack, as `code_site` finds it.
    fn source_of_stack(&self, frames: &[Va]) -> Option<&SourceSite> {
        let is_outside =
            |va: &&Va| self.code.get(va).is_some_and(|code| !code.is_kernel_or_verifier);
        self.source(*frames.iter().find(is_outside).or(frames.first())?)
    }

    /// The rows, if they are of this kind.
    pub(crate) fn rows<R: Rows>(&self) -> Result<&R, Failure> {
        (&*self.rows as &dyn Any).downcast_ref().ok_or_else(|| self.rows.is_not(R::kind()))
    }

    /// A text for C that lives as long as the view.
    fn text(&self, text: &str) -> *const c_char {
        let mut texts = self.texts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = texts.get(text) {
            return known.as_ptr();
        }
        texts.entry(text.to_owned()).or_insert_with(|| c_string(text)).as_ptr()
    }
}

impl<'a> Reach<'a> {
    pub(crate) fn of_log(ring: &Ring, missing: u64, empty_because: Option<&'a CString>) -> Self {
        Self { capacity: ring.length, written: ring.index, missing, empty_because }
    }
}

/// Makes a view of a session.
///
/// # Safety
///
/// `view` is NULL or points at a pointer that may be written.
pub(crate) unsafe fn view(
    session: *const VerifierSession,
    view: *mut *mut VerifierView,
    read: impl FnOnce(&VerifierSession, &Kernel) -> Result<VerifierView, Failure>,
) -> VerifierStatus {
    guard(|| {
        let make = || {
            let session = get(session, "session")?;
            session.stop.during(|| {
                read(&session, session.host.kernel()?).map_err(|why| why.explained(&session.host))
            })
        };
        // SAFETY: the caller guarantees `view`.
        unsafe { put_new(view, "view", make) }
    })
}

/// How many records a view has; 0 if the handle is not open.
#[unsafe(no_mangle)]
pub extern "C" fn verifier_view_count(view: *const VerifierView) -> usize {
    get(view, "view").map_or(0, |view| view.rows.count())
}

/// How far back a log reaches.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct VerifierReach {
    /// Records that the log has room for.
    pub capacity: u32,
    /// Records ever written, modulo 2^32; 0 if it is unknown.
    pub written: u32,
    /// Records whose pages could not be read.
    pub missing: u64,
    /// Why the log has nothing: it is off, nothing was written, its pages are absent. NULL if it has
    /// records, and in a view of leaks.
    pub empty_because: *const c_char,
    /// 1 if the log's index is known; 0 if not: then its records are not in the order of time.
    pub is_ordered: u32,
}

impl Record for VerifierReach {
    const LEAST: usize = std::mem::offset_of!(Self, is_ordered);
}

/// How far back the log reaches that a view of a log or of leaks was made from.
///
/// # Safety
///
/// `reach` is NULL or points at `size` bytes that may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn verifier_reach(
    view: *const VerifierView,
    reach: *mut VerifierReach,
    size: usize,
) -> VerifierStatus {
    let make = |view: &VerifierView| {
        let reach = view.rows.reach()?;
        Ok(VerifierReach {
            capacity: reach.capacity,
            written: reach.written.unwrap_or(0),
            missing: reach.missing,
            empty_because: reach.empty_because.map_or(ptr::null(), |why| why.as_ptr()),
            is_ordered: reach.written.is_some().into(),
        })
    };
    // SAFETY: the caller guarantees `reach`.
    unsafe { fill(view, reach, size, make) }
}

/// A frame of a stack.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct VerifierFrame {
    /// The return address.
    pub address: u64,
    /// `module!name+0x1f`, `module+0x1234` if no symbol is known, NULL if no module holds it.
    pub symbol: *const c_char,
    /// The path of the source file of the call, NULL if no PDB has its line.
    pub file: *const c_char,
    /// The line in that file; 0 if it is unknown.
    pub line: u32,
    /// How many functions were inlined there: `verifier_inlined_frame_at`.
    pub inlined: u32,
}

impl Record for VerifierFrame {
    const LEAST: usize = std::mem::offset_of!(Self, file);
}

/// A function that the compiler inlined at a frame.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct VerifierInlinedFrame {
    /// The function's name.
    pub function: *const c_char,
    /// The path of the source file.
    pub file: *const c_char,
    /// The line in that file.
    pub line: u32,
}

impl Record for VerifierInlinedFrame {}

/// A function that was inlined at a frame of `verifier_frame_at`, the innermost first.
///
/// # Safety
///
/// `record` is NULL or points at `size` bytes that may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn verifier_inlined_frame_at(
    view: *const VerifierView,
    index: usize,
    frame: usize,
    inlined: usize,
    record: *mut VerifierInlinedFrame,
    size: usize,
) -> VerifierStatus {
    let make = |view: &VerifierView| {
        let address = *nth(view.rows.frames(index)?, frame)?;
        let all = view.source(address).map_or(&[][..], |site| &site.inlined);
        let found = nth(all, inlined)?;
        let (function, file) = (view.text(&found.function), view.text(&found.file));
        Ok(VerifierInlinedFrame { function, file, line: found.line })
    };
    // SAFETY: the caller guarantees what `fill` requires.
    unsafe { fill(view, record, size, make) }
}

/// A frame of the stack of a record of a log, a history or leaks, innermost first.
///
/// # Safety
///
/// `record` is NULL or points at `size` bytes that may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn verifier_frame_at(
    view: *const VerifierView,
    index: usize,
    frame: usize,
    record: *mut VerifierFrame,
    size: usize,
) -> VerifierStatus {
    let make = |view: &VerifierView| {
        let address = *nth(view.rows.frames(index)?, frame)?;
        let site = view.source(address);
        Ok(VerifierFrame {
            address: address.0,
            symbol: view.name(address),
            file: site.map_or(ptr::null(), |site| view.text(&site.file)),
            line: site.map_or(0, |site| site.line),
            inlined: site.map_or(0, |site| u32::try_from(site.inlined.len()).unwrap_or(u32::MAX)),
        })
    };
    // SAFETY: the caller guarantees what `fill` requires.
    unsafe { fill(view, record, size, make) }
}

/// What the value of a field is.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VerifierFieldKind {
    /// A virtual or physical address: `value`.
    Address = 0,
    /// A count or a size: `value`.
    Number = 1,
    /// A number that may be negative: `value`, sign-extended.
    Signed = 2,
    /// Bits that people read in hexadecimal: `value`.
    Bits = 3,
    /// 1 or 0: `value`.
    Bool = 4,
    /// Text: `text`.
    Text = 5,
    /// An address, `value`, and its name, `text`, which is NULL if no module holds the address.
    Symbol = 6,
    /// A call stack: `value` is the number of its frames, which `verifier_frame_at` gives.
    Stack = 7,
    /// A kind that this interface does not name yet.
    SomethingElse = 8,
}

impl VerifierFieldKind {
    fn of(kind: Kind) -> Self {
        match kind {
            Kind::Address | Kind::Physical => Self::Address,
            Kind::U32 | Kind::U64 | Kind::SourceLine => Self::Number,
            Kind::I64 => Self::Signed,
            Kind::Bits => Self::Bits,
            Kind::Bool => Self::Bool,
            Kind::Text | Kind::Word | Kind::OneOf(_) | Kind::Tag | Kind::SourceFile => Self::Text,
            Kind::Symbol => Self::Symbol,
            Kind::Frames => Self::Stack,
            _ => Self::SomethingElse,
        }
    }
}

/// A field of a record.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct VerifierField {
    /// Its name in JSON, such as "old_irql".
    pub name: *const c_char,
    /// What its value is.
    pub kind: VerifierFieldKind,
    /// 0 if the record does not have it: then `value` is 0 and `text` is NULL.
    pub is_present: u32,
    /// Its value, if it is a number.
    pub value: u64,
    /// Its text, if it is one; else NULL.
    pub text: *const c_char,
}

impl Record for VerifierField {}

impl VerifierField {
    fn of(view: &VerifierView, Field { name, kind, value }: &Field<'_>) -> Self {
        let innermost = |frames| view.source_of_stack(frames).map(SourceSite::innermost);
        let (number, text) = match value {
            Value::SourceFile(frames) => {
                (0, innermost(frames).map_or(ptr::null(), |(file, _)| view.text(file)))
            }
            Value::SourceLine(frames) => {
                (innermost(frames).map_or(0, |(_, line)| line.into()), ptr::null())
            }
            Value::Address(va) => (va.0, ptr::null()),
            Value::Physical(pa) => (pa.0, ptr::null()),
            Value::Unsigned(value) => (*value, ptr::null()),
            Value::Signed(value) => (value.cast_unsigned(), ptr::null()),
            Value::Bool(value) => (u64::from(*value), ptr::null()),
            Value::Text(text) => (0, view.text(text)),
            Value::Tag(tag) => (0, view.text(&tag.iter().collect::<String>())),
            Value::Symbol(va) => (va.0, view.name(*va)),
            Value::Frames(frames) => (frames.len() as u64, ptr::null()),
            _ => (0, ptr::null()),
        };
        Self {
            name: view.text(name),
            kind: VerifierFieldKind::of(*kind),
            is_present: match value {
                Value::SourceFile(frames) | Value::SourceLine(frames) => {
                    innermost(frames).is_some()
                }
                value => !matches!(value, Value::None),
            }
            .into(),
            value: number,
            text,
        }
    }
}

/// A field of a record by its number, in the order of the JSON document: of the records of logs, of watched
/// IRPs, of drivers and of allocations, with the fields that have no place in a struct. A number past the last
/// field is not found.
///
/// # Safety
///
/// `record` is NULL or points at `size` bytes that may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn verifier_field_at(
    view: *const VerifierView,
    index: usize,
    field: usize,
    record: *mut VerifierField,
    size: usize,
) -> VerifierStatus {
    let make = |view: &VerifierView| {
        let mut made = None;
        let mut take = |field: Field<'_>| made = Some(VerifierField::of(view, &field));
        view.rows.field(index, field, &mut take)?;
        made.ok_or_else(Failure::at_the_end)
    };
    // SAFETY: the caller guarantees `record`.
    unsafe { fill(view, record, size, make) }
}

/// What a view could not read, or what contradicts it.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct VerifierProblem {
    /// What is affected.
    pub what: *const c_char,
    /// What is wrong.
    pub why: *const c_char,
    /// What `address` is: virtual, or nothing.
    pub place: VerifierPlace,
    /// The address that it is about; 0 if there is none.
    pub address: u64,
    /// What it leaves of the answer; a remark leaves it complete. Those that leave less are why the view
    /// is not complete.
    pub leaves: VerifierExtent,
}

impl Record for VerifierProblem {
    const LEAST: usize = std::mem::offset_of!(Self, leaves);
}

/// How much of an answer was read.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VerifierExtent {
    /// All that was asked for was read, and nothing contradicts it: a view without records means that
    /// there is nothing.
    Complete = 0,
    /// What is shown was read; more may exist, and a part of what is shown may be wrong.
    AtLeast = 1,
    /// Nothing supports the answer: a view without records means nothing.
    Unknown = 2,
}

impl From<Extent> for VerifierExtent {
    fn from(extent: Extent) -> Self {
        match extent {
            Extent::Complete => Self::Complete,
            Extent::AtLeast => Self::AtLeast,
            Extent::Unknown => Self::Unknown,
        }
    }
}

/// How much of the answer a view has; VERIFIER_EXTENT_UNKNOWN if the handle is not open. Why it is not
/// complete: its problems whose `leaves` is not VERIFIER_EXTENT_COMPLETE.
#[unsafe(no_mangle)]
pub extern "C" fn verifier_view_extent(view: *const VerifierView) -> VerifierExtent {
    get(view, "view").map_or(Extent::Unknown, |view| view.extent).into()
}

/// How many problems a view has; 0 if the handle is not open.
#[unsafe(no_mangle)]
pub extern "C" fn verifier_view_problem_count(view: *const VerifierView) -> usize {
    get(view, "view").map_or(0, |view| view.problems.len())
}

/// A problem of a view.
///
/// # Safety
///
/// `problem` is NULL or points at `size` bytes that may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn verifier_view_problem_at(
    view: *const VerifierView,
    index: usize,
    problem: *mut VerifierProblem,
    size: usize,
) -> VerifierStatus {
    let make = |view: &VerifierView| {
        let problem = nth(&view.problems, index)?;
        let (place, address) = VerifierPlace::of(problem.address);
        Ok(VerifierProblem {
            what: problem.what.as_ptr(),
            why: problem.why.as_ptr(),
            place,
            address,
            leaves: problem.leaves.into(),
        })
    };
    // SAFETY: the caller guarantees what `fill` requires.
    unsafe { fill(view, problem, size, make) }
}

/// Frees a view, and with it the strings of its records. Nothing for NULL.
#[unsafe(no_mangle)]
pub extern "C" fn verifier_view_free(view: *mut VerifierView) {
    guard(|| free(view, "view"));
}

/// An element by its number.
pub(crate) fn nth<T>(all: &[T], index: usize) -> Result<&T, Failure> {
    all.get(index).ok_or_else(Failure::at_the_end)
}

/// Fills a struct from a view.
///
/// # Safety
///
/// `record` is NULL or points at `size` bytes that may be written.
pub(crate) unsafe fn fill<T: Record>(
    view: *const VerifierView,
    record: *mut T,
    size: usize,
    make: impl FnOnce(&VerifierView) -> Result<T, Failure>,
) -> VerifierStatus {
    guard(|| {
        let made = make(&*get(view, "view")?)?;
        // SAFETY: the caller guarantees `record`.
        unsafe { put_record(record, size, &made, "record") }
    })
}

/// Fills a struct from a row of a plain list.
///
/// # Safety
///
/// As [`fill`].
pub(crate) unsafe fn fill_from<R: Row, T: Record>(
    view: *const VerifierView,
    index: usize,
    record: *mut T,
    size: usize,
    make: impl FnOnce(&VerifierView, &R) -> T,
) -> VerifierStatus {
    let make = |view: &VerifierView| Ok(make(view, nth(view.rows::<Vec<R>>()?, index)?));
    // SAFETY: the caller guarantees `record`.
    unsafe { fill(view, record, size, make) }
}
