//! How far work that takes long is: a download, the reading of a log.

/// Is told how far work is: one piece of it at a time in each thread.
///
/// Threads that share a session may each be at a piece of their own; each tells of it, and asks whether
/// it is wanted, itself.
pub trait Progress {
    /// Work begins: on what, and of how many bytes or records if that is known.
    fn begin(&self, what: &str, total: Option<u64>);
    /// So many bytes of a download or records of a log, counted from the beginning, are done.
    fn advance(&self, done: u64);
    /// The work has ended, well or not.
    fn end(&self);
    /// True where the caller wants no more of it: downloads ask between the parts of a file, searches
    /// between files, the search for a kernel and the views as
    /// [`Kernel::stop_when`](verifier_core::kernel::Kernel::stop_when) says. Once true it must stay true
    /// until the work is back.
    fn is_canceled(&self) -> bool {
        false
    }
}

/// One piece of work: it ends however it is left.
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
