//! For which modules symbols were searched, and for which a search is under way.
//!
//! A search may be a download that takes an hour. It does not hold the lock: other threads can ask about
//! other modules meanwhile, and only a thread that needs the same module waits.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::module_symbols::SymbolLoad;
use crate::progress::Progress;

/// How often a thread that waits for another's search asks whether its own caller canceled.
const LOOK: Duration = Duration::from_millis(50);

/// The searches of a session.
#[derive(Debug, Default)]
pub(crate) struct SymbolSearches {
    state: Mutex<State>,
    ended: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// The results, one for each module, so that no module is searched for twice.
    done: Vec<SymbolLoad>,
    /// Modules that a thread is searching for.
    under_way: Vec<usize>,
}

impl State {
    fn is_done(&self, module: usize) -> bool {
        self.done.iter().any(|load| load.wanted.module == module)
    }
}

impl SymbolSearches {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The right to search for a module. `None` if this or another thread has searched for it, or if the
    /// caller canceled. Waits while another thread searches.
    pub(crate) fn claim(&self, module: usize, progress: &dyn Progress) -> Option<Claim<'_>> {
        loop {
            // The caller's code runs without the lock.
            if progress.is_canceled() {
                return None;
            }
            let mut state = self.state();
            if state.is_done(module) {
                return None;
            }
            if !state.under_way.contains(&module) {
                state.under_way.push(module);
                return Some(Claim { searches: self, module });
            }
            drop(self.ended.wait_timeout(state, LOOK));
        }
    }

    /// Waits until no search is under way, or the caller cancels. A module has its symbols a moment before
    /// their search ends, so a thread that finds nothing left to search for may still lack a result.
    pub(crate) fn wait(&self, progress: &dyn Progress) {
        while !progress.is_canceled() {
            let state = self.state();
            if state.under_way.is_empty() {
                return;
            }
            drop(self.ended.wait_timeout(state, LOOK));
        }
    }

    /// The result of each search that has ended.
    pub(crate) fn all(&self) -> Vec<SymbolLoad> {
        self.state().done.clone()
    }

    /// Replaces the earlier result for the same module.
    pub(crate) fn replace(&self, load: SymbolLoad) {
        let mut state = self.state();
        state.done.retain(|old| old.wanted.module != load.wanted.module);
        state.done.push(load);
    }

    /// Says that each search so far was for the module that is now `module`.
    pub(crate) fn move_to(&self, module: usize) {
        self.state().done.iter_mut().for_each(|load| load.wanted.module = module);
    }
}

/// A search that is under way, until it is dropped.
pub(crate) struct Claim<'a> {
    searches: &'a SymbolSearches,
    module: usize,
}

impl Claim<'_> {
    /// Keeps the result. Without this, the next caller that needs the module searches again.
    pub(crate) fn keep(self, load: SymbolLoad) {
        let mut state = self.searches.state();
        // Symbols that the caller supplied meanwhile stay.
        if !state.is_done(self.module) {
            state.done.push(load);
        }
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        self.searches.state().under_way.retain(|&module| module != self.module);
        self.searches.ended.notify_all();
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::sync::mpsc;
    use std::thread;

    use verifier_core::kernel::WantedSymbols;
    use verifier_core::{Error, Va};

    use super::*;
    use crate::progress::Silent;

    #[test]
    fn a_thread_that_waits_sees_the_result_of_every_search() {
        let searches = SymbolSearches::default();
        let (waits, hears) = mpsc::channel();
        thread::scope(|scope| {
            let claim = searches.claim(0, &Silent).unwrap();
            let waiting = scope.spawn(|| {
                waits.send(()).unwrap();
                searches.wait(&Silent);
                searches.all().len()
            });
            hears.recv().unwrap();
            // Time for the thread to look: it must not be satisfied yet.
            thread::sleep(LOOK);
            assert!(!waiting.is_finished());
            claim.keep(SymbolLoad::new(WantedSymbols {
                module: 0,
                image: "myfault.sys".into(),
                base: Va(0),
                size_of_image: 0,
                time_date_stamp: None,
                pdb: Err(Error::Unsupported { what: "no image".into() }),
            }));
            assert_eq!(waiting.join().unwrap(), 1);
        });
    }
}
