//! A line on standard error for work that takes more than a second, if that is a terminal.

use std::io::IsTerminal as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// How long work may take in silence.
const PATIENCE: Duration = Duration::from_secs(1);
/// Between two looks of the line.
const TICK: Duration = Duration::from_millis(100);

/// A stage of the work, until it is dropped.
pub(super) struct Stage {
    done: Arc<AtomicU64>,
    watch: Option<(Sender<()>, JoinHandle<()>)>,
}

impl Stage {
    /// Begins a stage.
    pub(super) fn begin(what: &'static str) -> Self {
        let done = Arc::new(AtomicU64::new(0));
        let watch = std::io::stderr().is_terminal().then(|| {
            let (stop, stopped) = channel();
            let done = done.clone();
            let thread = std::thread::spawn(move || {
                if !matches!(stopped.recv_timeout(PATIENCE), Err(RecvTimeoutError::Timeout)) {
                    return;
                }
                let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
                if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed}") {
                    bar.set_style(style);
                }
                while matches!(stopped.recv_timeout(TICK), Err(RecvTimeoutError::Timeout)) {
                    bar.set_message(match done.load(Ordering::Relaxed) {
                        0 => what.to_string(),
                        done => format!("{what}, {done} records"),
                    });
                    bar.tick();
                }
                bar.finish_and_clear();
            });
            (stop, thread)
        });
        Self { done, watch }
    }

    /// So much is done.
    pub(super) fn advance(&self, done: u64) {
        self.done.store(done, Ordering::Relaxed);
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.watch.take() {
            drop(stop);
            // It clears its line before the results are written.
            let _ = thread.join();
        }
    }
}
