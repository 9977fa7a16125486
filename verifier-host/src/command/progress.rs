//! Progress of long work, on standard error if that is a terminal: a bar for a download, a line for work that
//! takes more than a second.

use std::io::IsTerminal as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use verifier_host::Progress;

/// A bar for downloads, if there is a terminal to show it and this build can download.
pub(super) fn on_stderr() -> Option<Box<dyn Progress + Send + Sync>> {
    let is_shown = cfg!(feature = "download") && std::io::stderr().is_terminal();
    is_shown.then(|| Box::<Bar>::default() as Box<dyn Progress + Send + Sync>)
}

const KNOWN: &str = "{msg} [{bar:30}] {bytes}/{total_bytes} {eta}";
const UNKNOWN: &str = "{msg} {spinner} {bytes}";

/// The bar of the current transfer.
#[derive(Default)]
struct Bar(Mutex<Option<ProgressBar>>);

impl Bar {
    fn replace(&self, bar: Option<ProgressBar>) {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(old) = std::mem::replace(&mut *held, bar) {
            old.finish_and_clear();
        }
    }
}

impl Progress for Bar {
    fn begin(&self, what: &str, total: Option<u64>) {
        let target = ProgressDrawTarget::stderr();
        let bar = ProgressBar::with_draw_target(total, target);
        let template = if total.is_some() { KNOWN } else { UNKNOWN };
        // If indicatif refuses a template, the bar looks plain and the download goes on.
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

/// How long work may take before a line appears.
const PATIENCE: Duration = Duration::from_secs(1);
/// The time between two updates of the line.
const TICK: Duration = Duration::from_millis(100);

/// Shows the current stage of the work.
#[derive(Default)]
pub(super) struct Stages(Mutex<Option<Stage>>);

impl Stages {
    fn replace(&self, stage: Option<Stage>) {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // This clears the old line before another one comes.
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
            // The thread clears its line before the results are written.
            let _ = thread.join();
        }
    }
}
