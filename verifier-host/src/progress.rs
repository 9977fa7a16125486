//! How far a download is.

/// Is told how far one transfer at a time is.
pub trait Progress {
    /// A transfer begins: of what, and of how many bytes if that is known.
    fn begin(&self, what: &str, total: Option<u64>);
    /// So many bytes, counted from the beginning of the transfer, have come.
    fn advance(&self, done: u64);
    /// The transfer has ended, well or not.
    fn end(&self);
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
