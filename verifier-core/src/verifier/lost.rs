//! Verified images and tracking pages that neither tree nor list leads to.
//!
//! If the tree of target drivers is overwritten, or the list of a driver's pages is, the pages themselves
//! are still there: each page that the kernel maps is looked at for them, and for their owners, the data
//! of verified images, which have a signature too and lead to names and counters. That reads all of the
//! kernel's memory, so it is done when something was found broken, once for all views of a [`Kernel`],
//! and not if Verifier is off. Pages of an owner without a signature may be left over and are not taken.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use super::carve::Layout as PageLayout;
use super::drivers::{DATA_SIGNATURE, Layout, TargetDriver, sound_suspect, verified};
use super::place::Place;
use super::settings::Settings;
use super::trackers::PageBudget;
use crate::addr::{PAGE_SIZE, Va};
use crate::bytes::le32;
use crate::error::Problem;
use crate::kernel::Kernel;
use crate::types::TypeSource;

/// Signatures of owners on one page that are followed: an owner has 0x90 bytes at least.
const MAX_SIGNED: usize = 28;

/// What tracking pages lead to, searched for when it is first asked for.
pub(crate) struct Lost<'a> {
    kernel: &'a Kernel,
    types: &'a dyn TypeSource,
    found: OnceCell<Arc<Found>>,
    images: OnceCell<Images>,
}

/// Tracking pages and signatures of their owners. Where both are in a page and in an owner is the same in
/// every build, so one search serves whatever layouts are tried.
#[derive(Default)]
struct Found {
    /// The pages of every signed owner.
    pages: BTreeMap<Va, Vec<Va>>,
    /// Owners by the signature in their own data.
    signed: Vec<Va>,
    problems: Vec<Problem>,
}

/// Images with the entries that they belong to, and owners that lead to none.
#[derive(Default)]
struct Images {
    images: Vec<(Va, TargetDriver)>,
    problems: Vec<Problem>,
}

impl<'a> Lost<'a> {
    pub(crate) fn new(kernel: &'a Kernel, types: &'a dyn TypeSource) -> Self {
        Self { kernel, types, found: OnceCell::new(), images: OnceCell::new() }
    }

    /// The tracking pages of the owner at `data`.
    pub(super) fn pages_of(&self, data: Va) -> &[Va] {
        self.found().pages.get(&data).map_or(&[], Vec::as_slice)
    }

    /// Adds the images that are not among `images`.
    pub(super) fn add_to(&self, images: &mut Vec<(Va, TargetDriver)>, problems: &mut Vec<Problem>) {
        problems.extend(self.found().problems.iter().cloned());
        let found = self.images.get_or_init(|| self.find_images());
        problems.extend(found.problems.iter().cloned());
        let before = images.len();
        for (entry, image) in &found.images {
            let is_known = |(_, one): &(Va, TargetDriver)| one.verified_data == image.verified_data;
            if !images.iter().any(is_known) && images.len() < self.kernel.limits().drivers {
                images.push((*entry, image.clone()));
            }
        }
        let added = images.len() - before;
        if added > 0 {
            let why = format!(
                "it does not lead to {added} verified images, whose data were found by their signature"
            );
            problems.push(Problem::new("tree of target drivers", why));
        }
    }

    fn find_images(&self) -> Images {
        let mut found = Images::default();
        let Ok(layout) = Layout::resolve(self.types) else { return found };
        let Found { pages, signed, .. } = self.found();
        let owners: BTreeSet<Va> = pages.keys().chain(signed).copied().collect();
        for owner in owners {
            let image = self.image(&layout, owner, pages.contains_key(&owner), &mut found.problems);
            found.images.extend(image);
        }
        found
    }

    fn found(&self) -> &Found {
        self.found.get_or_init(|| self.find().unwrap_or_default())
    }

    fn find(&self) -> Option<Arc<Found>> {
        let Self { kernel, types, .. } = *self;
        if is_off(kernel, types) {
            return None;
        }
        let pages = PageLayout::resolve(kernel, types, true).ok()?;
        let signature = Layout::resolve(types).ok()?.signature.offset;
        Some(kernel.search_once(|| search(kernel, &pages, signature)))
    }

    /// The image of an owner that holds something. Data of an earlier load of a driver may be left
    /// over: a driver that is gone holds nothing.
    fn image(
        &self,
        layout: &Layout,
        owner: Va,
        has_pages: bool,
        problems: &mut Vec<Problem>,
    ) -> Option<(Va, TargetDriver)> {
        // Live memory may have changed since the search.
        let mut changed = Vec::new();
        let data = verified(self.kernel, layout, owner, &mut changed).ok()?;
        if !changed.is_empty() || data.counters.pool_allocations() == 0 {
            return None;
        }
        let Some(driver) = sound_suspect(self.kernel, &layout.suspect, data.entry) else {
            if has_pages {
                let why =
                    format!("they have tracking pages, but their entry {} has no name", data.entry);
                problems.push(Problem::at("verified data", owner, why));
            }
            return None;
        };
        let image = TargetDriver::off_tree(self.kernel, &driver.name, owner, data.counters);
        Some((data.entry, TargetDriver { is_carved: true, ..image }))
    }
}

/// Looks at every page that the kernel maps, once. Pages of an owner may all be overwritten, so the
/// owners' own signature is looked for as well.
fn search(kernel: &Kernel, layout: &PageLayout, signature: u64) -> Found {
    let mut found = Found::default();
    let mut owned: BTreeMap<Va, Vec<Va>> = BTreeMap::new();
    let mut budget = PageBudget::of(kernel);
    let mut bytes = vec![0u8; PAGE_SIZE as usize];
    let step = kernel.space().pointer_size();
    let what = "search for tracking pages";
    Place::Mapped.for_each_page(kernel, what, &mut found.problems, |page| {
        let Some(at) = page.va else { return ControlFlow::Continue(()) };
        if !Place::Mapped.read(kernel, page, 0, &mut bytes) {
            return ControlFlow::Continue(());
        }
        if let Some(owner) = layout.owner_of_page(kernel, &bytes) {
            if let Err(why) = budget.take(kernel) {
                return ControlFlow::Break(why);
            }
            owned.entry(owner).or_default().push(at);
        }
        let places = (0..bytes.len()).step_by(step).filter(|&place| {
            le32(&bytes, place).is_some_and(|word| u64::from(word) == DATA_SIGNATURE)
        });
        let owners = places.map(|place| at.add(place as u64).sub(signature));
        found.signed.extend(owners.take(MAX_SIGNED));
        ControlFlow::Continue(())
    });
    let is_signed = |owner: Va| {
        let word = kernel.space().memory().read_u32(owner.add(signature));
        word.is_ok_and(|word| u64::from(word) == DATA_SIGNATURE)
    };
    found.pages.extend(owned.into_iter().filter(|&(owner, _)| is_signed(owner)));
    found
}

/// True if Verifier says itself that it is off and that it counted nothing.
pub(super) fn is_off(kernel: &Kernel, types: &dyn TypeSource) -> bool {
    let Ok(settings) = Settings::read_by(kernel, types) else { return false };
    let counts = &settings.statistics.0;
    settings.level.0 == 0
        && counts.iter().all(|counter| counter.value == 0)
        && !is_blank(kernel, settings.address.page())
}

/// True if a page holds zeros alone: it may have been lost.
fn is_blank(kernel: &Kernel, page: Va) -> bool {
    let mut bytes = vec![0u8; PAGE_SIZE as usize];
    kernel.space().read(page, &mut bytes).is_ok() && bytes.iter().all(|&byte| byte == 0)
}
