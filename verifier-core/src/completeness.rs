//! Whether an answer is complete.

use crate::error::Problem;
use crate::extent::Extent;

/// Reasons that are listed one by one; the others are counted.
const MAX_REASONS: usize = 16;

/// Whether an answer is complete, and if not, why.
///
/// A user acts on "nothing leaked", so a view must know when it cannot know. Each [`Problem`] of a view
/// says what it leaves of the answer ([`Problem::leaves`]), and the weakest of them decides
/// ([`Completeness::of`]). An answer is [`Complete`](Extent::Complete) if Verifier's data was located,
/// each list that leads to the answer was read to its end, and what was read agrees with the kernel's own
/// counters.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Completeness {
    /// How much of the answer is there.
    pub extent: Extent,
    /// Why it is not complete: the problems that leave least come first. Empty if it is complete.
    pub because: Vec<String>,
    /// Reasons that a text says in lines of their own.
    pub(crate) headlines: Vec<Headline>,
}

/// A reason that a text says in a line of its own ([`Problem::headline`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Headline {
    /// Its index in [`Completeness::because`]; `None` if it is only counted there.
    pub(crate) reason: Option<usize>,
    pub(crate) line: String,
}

impl Completeness {
    /// The completeness of an answer with these problems.
    ///
    /// ```
    /// use verifier_core::{Completeness, Extent, Problem};
    ///
    /// let remark = Problem::new("VfVerifyMode", "its page is not in the dump").remark();
    /// let lost = Problem::new("list of configured drivers", "its head is null");
    /// assert_eq!(Completeness::of([&remark]).extent, Extent::Complete);
    /// let answer = Completeness::of([&remark, &lost]);
    /// assert_eq!(answer.extent, Extent::AtLeast);
    /// assert_eq!(answer.because, ["list of configured drivers: its head is null"]);
    /// ```
    #[must_use]
    pub fn of<'a>(problems: impl IntoIterator<Item = &'a Problem>) -> Self {
        let mut problems: Vec<&Problem> =
            problems.into_iter().filter(|problem| problem.leaves > Extent::Complete).collect();
        // A stable sort: problems of one kind stay in the order in which they were found.
        problems.sort_by_key(|problem| std::cmp::Reverse(problem.leaves));
        let mut because: Vec<String> =
            problems.iter().take(MAX_REASONS).map(ToString::to_string).collect();
        if problems.len() > MAX_REASONS {
            because.push(format!("{} more problems", problems.len() - MAX_REASONS));
        }
        let headlines = problems.iter().enumerate().filter_map(|(index, problem)| {
            let reason = Some(index).filter(|&index| index < MAX_REASONS);
            Some(Headline { reason, line: problem.headline.clone()? })
        });
        let extent = problems.first().map_or(Extent::Complete, |first| first.leaves);
        Self { extent, because, headlines: headlines.collect() }
    }

    /// True if the answer is complete.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.extent == Extent::Complete
    }
}
