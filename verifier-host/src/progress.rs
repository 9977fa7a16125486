//! Progress of long work: a download, the reading of a log.

/// Receives the progress of work: one piece of work at a time in each thread.
///
/// Threads that share a session may each work on a piece of their own. Each thread reports its own piece, and
/// asks whether it is canceled.
pub trait Progress {
    /// Work begins: on what, and of how many bytes or records, if that is known.
    fn begin(&self, what: &str, total: Option<u64>);
    /// So many bytes of a download or records of a log are done, counted from the beginning.
    fn advance(&self, done: u64);
    /// The work has ended, with success or without.
    fn end(&self);
    /// True if the caller cancels. Downloads ask between the parts of a file, searches between files, the
    /// search for a kernel and the views as
    /// [`Kernel::stop_when`](verifier_core::kernel::Kernel::stop_when) says. Once true it must stay true
    /// until the work returns.
    fn is_canceled(&self) -> bool {
        false
    }
}

/// One piece of work, which ends when this is dropped.
pub(crate) struct Stage<'a>(&'a dyn Progress);

impl<'a> Stage<'a> {
    pub(crate) fn begin(progress: &'a dyn Progress, what: &str, total: Option<u64>) -> Self {
        progress.begin(what, total);
        Self(progress)
    }
}

impl Drop for Stage<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// Shows nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn begin(&self, _what: &str, _total: Option<u64>) {}
    fn advance(&self, _done: u64) {}
    fn end(&self) {}
}
