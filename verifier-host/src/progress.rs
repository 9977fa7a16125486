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
    /// between files.
    fn is_cancelled(&self) -> bool {
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

/// A bar on standard error if that is a terminal and this build can download; else [`Silent`].
pub fn on_stderr() -> Box<dyn Progress + Send + Sync> {
    #[cfg(feature = "download")]
    if std::io::IsTerminal::is_terminal(&std::io::stderr()) {
        return Box::new(bar::Bar::default());
    }
    Box::new(Silent)
}

#[cfg(feature = "download")]
mod bar {
    use std::sync::{Mutex, PoisonError};

    use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

    const KNOWN: &str = "{msg} [{bar:30}] {bytes}/{total_bytes} {eta}";
    const UNKNOWN: &str = "{msg} {spinner} {bytes}";

    /// The bar of the transfer at hand.
    #[derive(Default)]
    pub(super) struct Bar(Mutex<Option<ProgressBar>>);

    impl Bar {
        fn replace(&self, bar: Option<ProgressBar>) {
            let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(old) = std::mem::replace(&mut *held, bar) {
                old.finish_and_clear();
            }
        }
    }

    impl super::Progress for Bar {
        fn begin(&self, what: &str, total: Option<u64>) {
            let target = ProgressDrawTarget::stderr();
            let bar = ProgressBar::with_draw_target(total, target);
            let template = if total.is_some() { KNOWN } else { UNKNOWN };
            // A template that indicatif refuses costs the looks of the bar, not the download.
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style);
            }
            bar.set_message(what.to_owned());
            self.replace(Some(bar));
        }

        fn advance(&self, done: u64) {
            let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(bar) = held.as_ref() {
                bar.set_position(done);
            }
        }

        fn end(&self) {
            self.replace(None);
        }
    }
}
