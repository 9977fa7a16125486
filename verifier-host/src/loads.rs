//! Which modules' symbols were searched for, and which are being searched for.
//!
//! A search may be a download of an hour. It holds no lock: what is known of other modules can be told
//! meanwhile, and only who needs the same module waits for it.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::lookup::SymbolLoad;
use crate::progress::Progress;

/// How often a thread that waits for another's search asks whether its own caller wants no more of it.
const LOOK: Duration = Duration::from_millis(50);

/// The searches of a session.
#[derive(Debug, Default)]
pub(crate) struct SymbolLoads {
    state: Mutex<State>,
    ended: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// What became of each search; one for each module, so that none is searched for twice.
    done: Vec<SymbolLoad>,
    /// Modules that a thread is searching for.
    under_way: Vec<usize>,
}

impl State {
    fn is_done(&self, module: usize) -> bool {
        self.done.iter().any(|load| load.wanted.module == module)
    }
}

impl SymbolLoads {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The right to search for a module. `None` where that was done, by another thread too, for whose
    /// end this waits, or where the caller wants no more of it.
    pub(crate) fn claim(&self, module: usize, progress: &dyn Progress) -> Option<Claim<'_>> {
        loop {
            // Asked without the lock: it is the caller's code.
            if progress.is_canceled() {
                return None;
            }
            let mut state = self.state();
            if state.is_done(module) {
                return None;
            }
            if !state.under_way.contains(&module) {
                state.under_way.push(module);
                return Some(Claim { loads: self, module });
            }
            drop(self.ended.wait_timeout(state, LOOK));
        }
    }

    /// What became of each search so far.
    pub(crate) fn all(&self) -> Vec<SymbolLoad> {
        self.state().done.clone()
    }

    /// Takes the place of what was found before for the same module.
    pub(crate) fn replace(&self, load: SymbolLoad) {
        let mut state = self.state();
        state.done.retain(|old| old.wanted.module != load.wanted.module);
        state.done.push(load);
    }

    /// All that was searched for so far was for what is now `module`.
    pub(crate) fn move_to(&self, module: usize) {
        self.state().done.iter_mut().for_each(|load| load.wanted.module = module);
    }
}

/// A search that is under way, until it is dropped.
pub(crate) struct Claim<'a> {
    loads: &'a SymbolLoads,
    module: usize,
}

impl Claim<'_> {
    /// Keeps what became of it. Without this, whoever needs the module next searches again.
    pub(crate) fn keep(self, load: SymbolLoad) {
        let mut state = self.loads.state();
        // What the caller supplied meanwhile stays.
        if !state.is_done(self.module) {
            state.done.push(load);
        }
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        self.loads.state().under_way.retain(|&module| module != self.module);
        self.loads.ended.notify_all();
    }
}
