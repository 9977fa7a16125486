//! Many similar cases as one problem: a damaged page must not make a thousand problems.

use crate::addr::Va;
use crate::error::Problem;

/// Cases of one kind: the first is kept, the others are counted.
#[derive(Default)]
pub(super) struct Tally {
    first: Option<(Va, String)>,
    count: u64,
}

impl Tally {
    pub(super) fn add(&mut self, at: Va, why: impl FnOnce() -> String) {
        self.first.get_or_insert_with(|| (at, why()));
        self.count += 1;
    }

    /// The problem; `None` if there is no case.
    pub(super) fn problem(self, what: &str) -> Option<Problem> {
        let (at, why) = self.first?;
        let why = match self.count {
            1 => why,
            count => format!("{why}; {count} are like this, the first is shown"),
        };
        Some(Problem::at(what, at, why))
    }
}
