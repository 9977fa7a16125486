//! What all views have in common.

use std::iter;

use verifier_core::analysis::{BugCheckReport, Comparison, History, Leaks};
use verifier_core::render::info::Info;
use verifier_core::verifier::deadlock::Deadlock;
use verifier_core::verifier::log::{CarvedLog, EventLog, PoolLog, WatchedIrps};
use verifier_core::verifier::{CarvedPool, Drivers, Modes, PoolReport, PoolStacks, Settings};
use verifier_core::{Problem, Va};

/// A view of Verifier's data: what could not be read of it, and the code addresses that it shows.
pub trait View {
    /// What could not be read or does not fit.
    fn problems(&self) -> Box<dyn Iterator<Item = &Problem> + '_>;

    /// Adds a problem.
    fn add_problem(&mut self, problem: Problem);

    /// The addresses whose names the view shows.
    fn code_addresses(&self) -> Box<dyn Iterator<Item = Va> + '_> {
        Box::new(iter::empty())
    }
}

/// Implements [`View`] for a type with a field `problems` and the given code addresses.
macro_rules! view {
    ($type:ty $(, |$view:ident| $addresses:expr)?) => {
        impl View for $type {
            fn problems(&self) -> Box<dyn Iterator<Item = &Problem> + '_> {
                Box::new(self.problems.iter())
            }

            fn add_problem(&mut self, problem: Problem) {
                self.problems.push(problem);
            }

            $(fn code_addresses(&self) -> Box<dyn Iterator<Item = Va> + '_> {
                let $view = self;
                Box::new($addresses)
            })?
        }
    };
}

view!(Info);
view!(BugCheckReport, |report| report.addresses());
view!(Drivers);
view!(WatchedIrps);
view!(PoolReport, |report| report.callers());
view!(PoolStacks, |stacks| stacks.addresses());
view!(PoolLog, |log| log.all_frames().iter().copied());
view!(EventLog, |log| log.all_frames().iter().copied());
view!(CarvedLog, |log| log.all_frames().iter().copied());
view!(CarvedPool, |carved| {
    carved.owners.iter().flat_map(|owner| &owner.allocations).map(|block| block.caller)
});
view!(History, |history| history.addresses());
view!(Deadlock, |deadlock| deadlock.code_addresses());
view!(Leaks, |leaks| leaks.addresses());

impl View for (CarvedPool, Result<Comparison, String>) {
    fn problems(&self) -> Box<dyn Iterator<Item = &Problem> + '_> {
        self.0.problems()
    }

    fn add_problem(&mut self, problem: Problem) {
        self.0.add_problem(problem);
    }

    fn code_addresses(&self) -> Box<dyn Iterator<Item = Va> + '_> {
        self.0.code_addresses()
    }
}

impl View for (Settings, Modes) {
    fn problems(&self) -> Box<dyn Iterator<Item = &Problem> + '_> {
        Box::new(self.0.problems.iter().chain(&self.1.problems))
    }

    fn add_problem(&mut self, problem: Problem) {
        self.0.problems.push(problem);
    }
}
