//! Outstanding allocations of a session: filters, the symbols of their stacks, their groups, and the
//! difference of two dumps.
//!
//! ```no_run
//! use verifier_host::{GroupBy, LeakFilter, Session, symbols::SymbolPath};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let session = Session::open("memory.dmp".as_ref(), SymbolPath::parse("symbols")?)?;
//! let filter = LeakFilter { min_size: Some(0x1000), ..LeakFilter::default() };
//! for group in &session.leaks(filter)?.by(GroupBy::Function) {
//!     println!("{} bytes: {}", group.bytes, group.label());
//! }
//! # Ok(())
//! # }
//! ```

use std::path::Path;
use std::sync::Arc;

use verifier_core::analysis::{
    Block, Boot, Diff, Filter, GroupBy, Grouping, Leaks, PoolKind, Side, Total, boot_time,
};
use verifier_core::kernel::Kernel;
use verifier_core::render::{LeaksView, Names};
use verifier_core::verifier::PoolTag;
use verifier_core::{Problem, Va};

use crate::error::Error;
use crate::glob::glob_matches;
use crate::ignore::{IgnorePattern, ignored};
use crate::overwrite::{Inputs, OutputKind, is_same_file};
use crate::pattern::NamePattern;
use crate::progress::{Progress, Stage};
use crate::session::{Session, not_configured};

/// Which outstanding allocations are wanted, and which frames are wrappers. By default all allocations are
/// wanted and no frame is a wrapper.
#[derive(Debug, Clone, Default)]
pub struct LeakFilter {
    /// Only this driver, by file name with or without extension.
    pub driver: Option<String>,
    /// Only this pool tag; `?` matches any character, `*` any number of them.
    pub tag: Option<String>,
    /// Only allocations of at least so many bytes.
    pub min_size: Option<u64>,
    /// Only allocations of at most so many bytes.
    pub max_size: Option<u64>,
    /// Only this pool; blocks of an unknown pool are left out, and counted in a problem.
    pub pool: Option<PoolKind>,
    /// Wrapper functions: matching frames are dropped from the front of each stack, with the kernel's
    /// before them.
    pub skip: Option<NamePattern>,
    /// Leaks that are left out. The result lists what each pattern took.
    pub ignore: Vec<IgnorePattern>,
}

impl LeakFilter {
    /// Leaves out the blocks that patterns name, by the names of their frames.
    fn apply_ignore(&self, found: &mut FilteredLeaks) {
        if self.ignore.is_empty() {
            return;
        }
        let (is_ignored, ignored) =
            found.grouped(|grouping, names| ignored(&self.ignore, &found.leaks, grouping, names));
        let mut is_ignored = is_ignored.into_iter();
        found.leaks.retain(|_| !is_ignored.next().unwrap_or(false));
        if let Some(filter) = &mut found.leaks.filter {
            filter.ignored = ignored;
        }
    }

    /// Refuses a filter that no block can match: a mistyped filter must not pass for a clean run.
    fn check(&self) -> Result<(), Error> {
        if let Some(tag) = &self.tag {
            let letters = tag.trim_end().chars().filter(|&c| c != '*').count();
            if tag.is_empty() || letters > 4 {
                let text = format!("tag {tag:?}: a pool tag has one to four characters");
                return Err(Error::Usage(text));
            }
        }
        if let (Some(min), Some(max)) = (self.min_size, self.max_size)
            && min > max
        {
            let text = format!("no size is at least {min:#x} and at most {max:#x}");
            return Err(Error::Usage(text));
        }
        Ok(())
    }

    fn accepts(&self, block: &Block) -> bool {
        let size = block.allocation.size;
        let tag = block.allocation.pool_tag();
        self.tag.as_deref().is_none_or(|want| tag.is_some_and(|tag| tag_matches(want, tag)))
            // Contiguous memory is not pool.
            && !(self.pool.is_some() && block.is_contiguous())
            && self.min_size.is_none_or(|min| size >= min)
            && self.max_size.is_none_or(|max| size <= max)
    }

    /// Drops the blocks that do not match. Gives how many were dropped because their pool is unknown.
    fn apply(&self, leaks: &mut Leaks) -> u64 {
        let mut undetermined = 0u64;
        leaks.retain(|block| {
            self.accepts(block)
                && self.pool.is_none_or(|wanted| {
                    let is_unknown = block.kind == PoolKind::Unknown && wanted != block.kind;
                    undetermined += u64::from(is_unknown);
                    block.kind == wanted
                })
        });
        if undetermined > 0 {
            let problem = Problem::new(
                "pool type",
                format!("blocks left out, since their pool type is unknown: {undetermined}"),
            );
            // A remark: the limit of --fail-on counts these blocks, so they do not make it uncertain.
            leaks.problems.push(problem.remark());
        }
        undetermined
    }

    /// What results say about it; `None` if it does not filter.
    fn reported(&self, all: Total) -> Option<Filter> {
        let filter = Filter {
            driver: self.driver.clone(),
            tag: self.tag.clone(),
            min_size: self.min_size,
            max_size: self.max_size,
            pool: self.pool,
            skip: self.skip.as_ref().map(|pattern| pattern.as_str().to_owned()),
            all,
            ..Filter::default()
        };
        let says = filter.is_narrow()
            || filter.driver.is_some()
            || filter.skip.is_some()
            || !self.ignore.is_empty();
        says.then_some(filter)
    }
}

/// Outstanding allocations that passed a filter, with their kernel.
#[derive(Debug)]
pub struct FilteredLeaks {
    /// The allocations.
    pub leaks: Leaks,
    filter: LeakFilter,
    kernel: Arc<Kernel>,
    pub(crate) inputs: Inputs,
}

impl Session {
    /// Reads the outstanding allocations that pass `filter`, joined with the pool log, and finds the
    /// symbols of their stacks.
    ///
    /// # Errors
    /// As [`Leaks::read`]; [`Error::Usage`] if the driver is not configured, or no block can match the
    /// filter.
    pub fn leaks(&self, filter: LeakFilter) -> Result<FilteredLeaks, Error> {
        self.leaks_with(filter, self.progress())
    }

    /// The same with a receiver of progress for this view alone.
    ///
    /// # Errors
    /// As [`leaks`](Self::leaks).
    pub fn leaks_with(
        &self,
        filter: LeakFilter,
        progress: &dyn Progress,
    ) -> Result<FilteredLeaks, Error> {
        filter.check()?;
        let kernel = self.kernel()?;
        self.load_verifier_symbols();
        let stage = Stage::begin(progress, "reading the pool log", None);
        let mut leaks = Leaks::read_with(
            kernel,
            |driver| filter.driver.as_deref().is_none_or(|name| driver.is_named(name)),
            &|records| progress.advance(records),
        )?;
        drop(stage);
        if let Some(name) = &filter.driver
            && leaks.drivers.is_empty()
        {
            return Err(not_configured(name));
        }
        leaks.dump = self.describe();
        leaks.filter = filter.reported(leaks.coverage().all).map(Box::new);
        let undetermined = filter.apply(&mut leaks);
        let stage = Stage::begin(progress, "finding symbols", None);
        let leaks = self.with_symbols(leaks);
        drop(stage);
        let kernel = Arc::clone(kernel);
        let mut found =
            FilteredLeaks { leaks, filter: filter.clone(), kernel, inputs: self.inputs() };
        filter.apply_ignore(&mut found);
        // Names of frames show which are wrappers, so this is after the search for symbols.
        let (skipped, stacks) = found.grouped(|grouping, _| grouping.skipped());
        if let Some(filter) = &mut found.leaks.filter {
            (filter.undetermined, filter.stacks_skipped, filter.stacks) =
                (undetermined, skipped, stacks);
        }
        Ok(found)
    }
}

impl FilteredLeaks {
    /// The filter.
    #[must_use]
    pub fn filter(&self) -> &LeakFilter {
        &self.filter
    }

    /// The kernel.
    #[must_use]
    pub fn kernel(&self) -> &Arc<Kernel> {
        &self.kernel
    }

    /// As [`Session::check_output`].
    ///
    /// # Errors
    /// [`Error::Usage`].
    pub fn check_output(&self, path: &Path, kind: OutputKind, force: bool) -> Result<(), Error> {
        self.inputs.check_output(path, kind, force)
    }

    /// How many blocks there are by the counters: more than were read if damage hides some. Blocks of the
    /// pool info tree that were not reached count too, because they may belong to any driver. `None` if a
    /// filter other than the driver left blocks out.
    #[must_use]
    pub fn counted(&self) -> Option<u64> {
        let unread = self.leaks.tree.map_or(0, |tree| tree.unread);
        let counted = self.leaks.drivers.iter().map(|driver| driver.counted);
        let is_narrow = self.leaks.filter.as_ref().is_some_and(|filter| filter.is_narrow());
        (!is_narrow).then(|| counted.fold(unread, u64::saturating_add))
    }

    /// The groups, the most bytes first. [`LeaksView::with_top`] limits how many are shown.
    #[must_use]
    pub fn by(&self, by: GroupBy) -> LeaksView<'_> {
        self.grouped(|grouping, names| LeaksView::grouped(&self.leaks, by, grouping, names.clone()))
    }

    /// What differs from `old`, which should have the same filter; [`compare_boots`] says whether both are
    /// of one boot.
    #[must_use]
    pub fn since(&self, old: &FilteredLeaks, by: GroupBy, boot: Boot) -> Diff {
        old.grouped(|old_grouping, _| {
            self.grouped(|new_grouping, _| {
                Diff::new(boot, old.side(old_grouping), self.side(new_grouping), by)
            })
        })
    }

    fn side<'a>(&'a self, grouping: &'a Grouping<'a>) -> Side<'a> {
        Side { kernel: &self.kernel, leaks: &self.leaks, grouping }
    }

    pub(crate) fn grouped<'a, T>(&'a self, work: impl FnOnce(&Grouping<'_>, &Names<'a>) -> T) -> T {
        let names = Names::new(&self.kernel);
        let wrapper = self.filter.skip.as_ref();
        let is_wrapper = |va: Va| wrapper.is_some_and(|pattern| pattern.matches(&names, va));
        let skip: Option<&dyn Fn(Va) -> bool> = wrapper.is_some().then_some(&is_wrapper);
        work(&Grouping::new(&self.kernel, &self.leaks, skip), &names)
    }
}

/// Whether two sessions are of one boot, by the times in the dumps' headers and the addresses of modules. Two
/// sessions of one file are.
///
/// # Errors
/// If a session has no kernel.
pub fn compare_boots(old: &Session, new: &Session) -> Result<Boot, Error> {
    if let (Some(old), Some(new)) = (old.path(), new.path())
        && is_same_file(old, new)
    {
        return Ok(Boot { is_same: true, why: "both are one file".into() });
    }
    let time = |session: &Session| session.dump().and_then(|dump| boot_time(dump.header()));
    Ok(Boot::compare((old.kernel()?, time(old)), (new.kernel()?, time(new))))
}

/// True if `tag` matches the pattern; blanks at the end do not count.
fn tag_matches(pattern: &str, tag: PoolTag) -> bool {
    glob_matches(pattern.trim_end(), tag.to_string().trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags() {
        let tag = |text: &[u8; 4]| PoolTag(u32::from_le_bytes(*text));
        assert!(tag_matches("Leak", tag(b"Leak")));
        assert!(tag_matches("Le*", tag(b"Leak")));
        assert!(tag_matches("?eak", tag(b"Leak")));
        assert!(tag_matches("Irp", tag(b"Irp ")));
        assert!(!tag_matches("leak", tag(b"Leak")));
        assert!(!tag_matches("Le", tag(b"Leak")));
    }
}
