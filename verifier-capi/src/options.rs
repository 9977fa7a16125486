//! How far the calls of a session go: limits, a deadline, cancellation by the caller.

use std::cell::Cell;
use std::ffi::c_void;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use verifier_core::kernel::Limits;
use verifier_host::Progress;
use verifier_host::symbols::SymbolPath;

use crate::pointer::Record;
use crate::status::Failure;

/// How far the calls of a session go. A field that is 0 or NULL has its default: `VerifierOptions options =
/// {.size = sizeof options, ...}`. When a limit is hit, a view has what was read until then, and a
/// problem that names the limit.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct VerifierOptions {
    /// Bytes of this struct: `sizeof`.
    pub size: u32,
    /// 0.
    pub reserved: u32,
    /// Milliseconds that each call may take that opens the session or makes a view of it; 0 for any
    /// time. After that the call ends: VERIFIER_STATUS_STOPPED, or a view that has what was read until
    /// then; a session is opened whole, with the kernel's symbols searched for, or not at all. The
    /// deadline is checked between pages, records and parts of a download; a read of the caller's callback, or
    /// an answer of a server, is not interrupted.
    pub deadline_ms: u64,
    /// Asked on the threads that use the session, as often and with the same effect as the deadline is
    /// looked at: anything but 0 ends the call. It also serves while the session is being opened, which
    /// `verifier_session_cancel` cannot. NULL for none.
    pub is_canceled: Option<unsafe extern "C" fn(context: *mut c_void) -> i32>,
    /// Passed to `is_canceled` unchanged. It must live until the session is freed.
    pub context: *mut c_void,
    /// Entries of a linked list.
    pub list_entries: u64,
    /// Loaded images.
    pub modules: u64,
    /// Configured drivers, and images that are verified.
    pub drivers: u64,
    /// Exported names that are read, over all images without symbols.
    pub exports: u64,
    /// Nodes of a tree.
    pub tree_nodes: u64,
    /// Nodes of each of the two pool info trees.
    pub pool_info_nodes: u64,
    /// Pages of pool tracking entries, over all drivers.
    pub tracker_pages: u64,
    /// Records of a log.
    pub ring_records: u64,
    /// Pages that a search for data looks at, if no list or tree leads to the data.
    pub carved_pages: u64,
    /// Page frames that are looked at in the search for page tables.
    pub search_frames: u64,
    /// Mapped pages that are looked at in the search for the kernel's image and its data.
    pub search_pages: u64,
    /// Bytes of a PDB or an image: on disk, in a download, expanded from a cabinet.
    pub symbol_file_bytes: u64,
    /// Bytes of an ISF table: on disk, expanded from `.xz`.
    pub isf_bytes: u64,
}

// Any bytes are one: integers, a pointer that is not followed here, a function's address or none.
impl Record for VerifierOptions {}

const _: () = assert!(size_of::<VerifierOptions>() == 16 + 13 * 8 + 2 * size_of::<usize>());

/// A limit that the caller sets; 0 is the default. A value that the number's type cannot hold means "unlimited".
fn set<T: TryFrom<u64>>(limit: &mut T, wanted: u64, most: T) {
    if wanted != 0 {
        *limit = T::try_from(wanted).unwrap_or(most);
    }
}

impl VerifierOptions {
    /// The options of a caller that has none.
    pub(crate) fn none() -> Self {
        Self {
            size: 0,
            reserved: 0,
            deadline_ms: 0,
            is_canceled: None,
            context: std::ptr::null_mut(),
            list_entries: 0,
            modules: 0,
            drivers: 0,
            exports: 0,
            tree_nodes: 0,
            pool_info_nodes: 0,
            tracker_pages: 0,
            ring_records: 0,
            carved_pages: 0,
            search_frames: 0,
            search_pages: 0,
            symbol_file_bytes: 0,
            isf_bytes: 0,
        }
    }

    /// Refuses what a later version may give a meaning.
    pub(crate) fn check(self) -> Result<Self, Failure> {
        if self.reserved != 0 {
            let text = format!("options->reserved is {:#x}, not 0", self.reserved);
            return Err(Failure::unsupported(text));
        }
        Ok(self)
    }

    pub(crate) fn limits(&self) -> Limits {
        let mut limits = Limits::default();
        set(&mut limits.list_entries, self.list_entries, usize::MAX);
        set(&mut limits.modules, self.modules, usize::MAX);
        set(&mut limits.drivers, self.drivers, usize::MAX);
        set(&mut limits.exports, self.exports, u32::MAX);
        set(&mut limits.tree_nodes, self.tree_nodes, usize::MAX);
        set(&mut limits.pool_info_nodes, self.pool_info_nodes, usize::MAX);
        set(&mut limits.tracker_pages, self.tracker_pages, usize::MAX);
        set(&mut limits.ring_records, self.ring_records, u32::MAX);
        set(&mut limits.carved_pages, self.carved_pages, u64::MAX);
        set(&mut limits.search_frames, self.search_frames, u64::MAX);
        set(&mut limits.search_pages, self.search_pages, u64::MAX);
        limits
    }

    pub(crate) fn limit_symbols(&self, mut path: SymbolPath) -> SymbolPath {
        let mut limits = *path.limits();
        set(&mut limits.file_bytes, self.symbol_file_bytes, u64::MAX);
        set(&mut limits.isf_bytes, self.isf_bytes, u64::MAX);
        path.set_limits(limits);
        path
    }

    pub(crate) fn stop(&self) -> Arc<Stop> {
        let asked = self.is_canceled.map(|asked| Asked { asked, context: self.context });
        let deadline = (self.deadline_ms != 0).then(|| Duration::from_millis(self.deadline_ms));
        Arc::new(Stop { canceled: AtomicBool::new(false), asked, deadline })
    }
}

/// The caller's question and its context.
struct Asked {
    asked: unsafe extern "C" fn(*mut c_void) -> i32,
    context: *mut c_void,
}

// SAFETY: the context is only passed back to the function, and the interface says that any thread may call
// that function.
unsafe impl Send for Asked {}
// SAFETY: as above: the interface says that it is called on all threads that use the session.
unsafe impl Sync for Asked {}

/// What ends the calls of a session.
pub(crate) struct Stop {
    canceled: AtomicBool,
    asked: Option<Asked>,
    deadline: Option<Duration>,
}

/// Why a call was ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    Canceled,
    Asked,
    Deadline,
}

/// A call that this thread is in.
#[derive(Clone, Copy)]
struct Call {
    ends: Option<Instant>,
    /// Kept: once a call is to end, it must stay so until it is back.
    why: Option<Why>,
}

thread_local! {
    static CALL: Cell<Call> = const { Cell::new(Call { ends: None, why: None }) };
}

impl Stop {
    /// Ends the calls that are under way, and all later ones.
    pub(crate) fn cancel(&self) {
        self.canceled.store(true, Ordering::Relaxed);
    }

    /// Runs a call of this thread. A callback of one session may call another: the outer call's state
    /// comes back.
    pub(crate) fn during<T>(
        &self,
        work: impl FnOnce() -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        struct Outer(Call);
        impl Drop for Outer {
            fn drop(&mut self) {
                CALL.set(self.0);
            }
        }
        // A deadline beyond the clock's end is none.
        let ends = self.deadline.and_then(|deadline| Instant::now().checked_add(deadline));
        let call = Call { ends, why: None };
        let _outer = Outer(CALL.replace(call));
        if let Some(why) = self.look(call) {
            return Err(Failure::stopped(self.words(why)));
        }
        work().map_err(|failure| match CALL.get().why {
            Some(why) => failure.because_stopped(&self.words(why)),
            None => failure,
        })
    }

    /// The same of a call that is done whole or not at all.
    pub(crate) fn during_whole<T>(
        &self,
        work: impl FnOnce() -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        self.during(|| {
            let done = work()?;
            match CALL.get().why {
                Some(_) => Err(Failure::stopped("opening")),
                None => Ok(done),
            }
        })
    }

    fn words(&self, why: Why) -> String {
        match why {
            Why::Canceled => "the session was canceled".into(),
            Why::Asked => "options->is_canceled said so".into(),
            Why::Deadline => {
                let deadline = self.deadline.unwrap_or_default().as_millis();
                format!("the call took longer than its deadline of {deadline} ms")
            }
        }
    }

    fn look(&self, call: Call) -> Option<Why> {
        if self.canceled.load(Ordering::Relaxed) {
            return Some(Why::Canceled);
        }
        // SAFETY: the caller that made the session guarantees the function and its context.
        let is_asked_to = |it: &Asked| unsafe { (it.asked)(it.context) } != 0;
        if self.asked.as_ref().is_some_and(is_asked_to) {
            return Some(Why::Asked);
        }
        call.ends.is_some_and(|ends| Instant::now() >= ends).then_some(Why::Deadline)
    }
}

/// A session's [`Stop`] as what the host asks.
pub(crate) struct Watch(pub(crate) Arc<Stop>);

impl Progress for Watch {
    fn begin(&self, _what: &str, _total: Option<u64>) {}
    fn advance(&self, _done: u64) {}
    fn end(&self) {}

    fn is_canceled(&self) -> bool {
        let mut call = CALL.get();
        if call.why.is_none() {
            call.why = self.0.look(call);
            if call.why.is_some() {
                CALL.set(call);
            }
        }
        call.why.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::VerifierStatus;

    fn stop(options: &VerifierOptions) -> (Arc<Stop>, Watch) {
        let stop = options.stop();
        (Arc::clone(&stop), Watch(stop))
    }

    #[test]
    fn a_call_ends_when_its_deadline_has_passed_and_the_next_has_a_deadline_of_its_own() {
        let (stop, watch) = stop(&VerifierOptions { deadline_ms: 1, ..VerifierOptions::none() });
        for _ in 0..2 {
            let done: Result<(), Failure> = stop.during(|| {
                while !watch.is_canceled() {
                    std::thread::yield_now();
                }
                Err(Failure::unsupported("no answer"))
            });
            assert_eq!(done.err().map(|why| why.status()), Some(VerifierStatus::Stopped));
        }
        assert!(!watch.is_canceled(), "a deadline belongs to a call");
        let done = stop.during(|| Err::<(), _>(Failure::unsupported("no answer")));
        assert_eq!(done.err().map(|why| why.status()), Some(VerifierStatus::Unsupported));
    }

    #[test]
    fn a_session_that_is_canceled_stays_so() {
        let (stop, watch) = stop(&VerifierOptions::none());
        let asked = stop.during(|| {
            let before = watch.is_canceled();
            stop.cancel();
            Ok((before, watch.is_canceled()))
        });
        assert_eq!(asked.ok(), Some((false, true)));
        assert!(stop.during(|| Ok(())).is_err());
    }

    #[test]
    fn a_call_within_a_call_leaves_the_outer_one_as_it_was() {
        let (outer, watch) = stop(&VerifierOptions::none());
        let (inner, ended) = stop(&VerifierOptions { deadline_ms: 1, ..VerifierOptions::none() });
        let done = outer.during(|| {
            inner.during(|| {
                while !ended.is_canceled() {
                    std::thread::yield_now();
                }
                Ok(())
            })?;
            Ok(watch.is_canceled())
        });
        assert_eq!(done.ok(), Some(false));
    }

    /// Asked again, such a caller would say something else.
    unsafe extern "C" fn once(context: *mut c_void) -> i32 {
        // SAFETY: the test hands over a number of its own, which only this thread uses.
        let left = unsafe { &mut *context.cast::<i32>() };
        *left -= 1;
        (*left == 0).into()
    }

    #[test]
    fn an_answer_of_the_callers_stays_until_the_call_is_back() {
        let mut left = 3;
        let context = (&raw mut left).cast::<c_void>();
        let options =
            VerifierOptions { is_canceled: Some(once), context, ..VerifierOptions::none() };
        let (stop, watch) = stop(&options);
        let asked =
            stop.during(|| Ok([watch.is_canceled(), watch.is_canceled(), watch.is_canceled()]));
        assert_eq!(asked.ok(), Some([false, true, true]));
        assert_eq!(stop.during(|| Ok(watch.is_canceled())).ok(), Some(false));
    }

    #[test]
    fn a_limit_of_zero_is_the_default_and_one_above_its_type_is_the_most() {
        let options =
            VerifierOptions { tracker_pages: 7, ring_records: u64::MAX, ..VerifierOptions::none() };
        let (limits, default) = (options.limits(), Limits::default());
        assert_eq!((limits.tracker_pages, limits.ring_records), (7, u32::MAX));
        assert_eq!(limits.modules, default.modules);
    }
}
