//! A line on standard error for work that takes more than a second, if that is a terminal.

use std::io::IsTerminal as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::progress::Progress;

/// How long work may take in silence.
const PATIENCE: Duration = Duration::from_secs(1);
/// Between two looks of the line.
const TICK: Duration = Duration::from_millis(100);

/// Shows the stage that the work is in.
#[derive(Default)]
pub(super) struct Stages(Mutex<Option<Stage>>);

impl Stages {
    fn replace(&self, stage: Option<Stage>) {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // The old line is cleared before another one comes.
        *held = None;
        *held = stage;
    }
}

impl Progress for Stages {
    fn begin(&self, what: &str, _total: Option<u64>) {
        self.replace(Some(Stage::begin(what)));
    }

    fn advance(&self, done: u64) {
        if let Some(stage) = &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            stage.done.store(done, Ordering::Relaxed);
        }
    }

    fn end(&self) {
        self.replace(None);
    }
}

/// A stage of the work, until it is dropped.
struct Stage {
    done: Arc<AtomicU64>,
    watch: Option<(Sender<()>, JoinHandle<()>)>,
}

impl Stage {
    fn begin(what: &str) -> Self {
        let done = Arc::new(AtomicU64::new(0));
        let watch = std::io::stderr().is_terminal().then(|| {
            let (stop, stopped) = channel();
            let (done, what) = (done.clone(), what.to_owned());
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
                        0 => what.clone(),
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
