//! Verified images and tracking pages that neither tree nor list leads to.
//!
//! If the tree of target drivers is overwritten, or the list of a driver's pages is, the pages themselves are
//! still in memory. Each page that the kernel maps is checked for two things: is it a tracking page, and does
//! it hold data of a verified image, which has a signature too and leads to names and counters. That reads
//! all of the kernel's memory, so it is done only if something was found broken and Verifier is not off, and
//! once for all views of a [`Kernel`]. Pages of an owner without a signature may be left over and are not
//! taken.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use super::driver::TargetDriver;
use super::suspects::sound_suspect;
use super::targets::{DATA_SIGNATURE, Target, TargetLayout};
use crate::addr::{PAGE_SIZE, Va};
use crate::bytes::le32;
use crate::error::Problem;
use crate::kernel::Kernel;
use crate::types::TypeSource;
use crate::verifier::scan::Scan;
use crate::verifier::totals::is_off;
use crate::verifier::tracking::{PageBudget, PageLayout};

/// Signatures of owners on one page that are followed: an owner has at least 0x90 bytes.
const MAX_SIGNED: usize = 28;

/// Images and pages that a search finds. It searches when it is first asked.
pub(crate) struct Recovered<'a> {
    kernel: &'a Kernel,
    types: &'a dyn TypeSource,
    found: OnceCell<Arc<Found>>,
    images: OnceCell<Images>,
}

/// Tracking pages, and signatures of their owners. Their offsets in a page and in an owner are the same in
/// every build, so one search serves for all layouts that are tried.
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
    images: Vec<Target>,
    problems: Vec<Problem>,
}

impl<'a> Recovered<'a> {
    pub(crate) fn new(kernel: &'a Kernel, types: &'a dyn TypeSource) -> Self {
        Self { kernel, types, found: OnceCell::new(), images: OnceCell::new() }
    }

    /// The tracking pages of the owner at `data`.
    pub(in crate::verifier) fn pages_of(&self, data: Va) -> &[Va] {
        self.found().pages.get(&data).map_or(&[], Vec::as_slice)
    }

    /// Adds the images that are not among `images`.
    pub(in crate::verifier) fn add_to(
        &self,
        images: &mut Vec<Target>,
        problems: &mut Vec<Problem>,
    ) {
        problems.extend(self.found().problems.iter().cloned());
        let found = self.images.get_or_init(|| self.find_images());
        problems.extend(found.problems.iter().cloned());
        let before = images.len();
        for (entry, image) in &found.images {
            let is_known = |(_, one): &Target| one.verified_data == image.verified_data;
            if !images.iter().any(is_known) && images.len() < self.kernel.limits().drivers {
                images.push((*entry, image.clone()));
            }
        }
        let added = images.len() - before;
        if added > 0 {
            let why = format!(
                "it does not lead to {added} verified images, whose data was found by the signature"
            );
            problems.push(Problem::new("tree of target drivers", why));
        }
    }

    fn find_images(&self) -> Images {
        let mut found = Images::default();
        let Ok(layout) = TargetLayout::resolve(self.types) else { return found };
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
        let pages = PageLayout::resolve(types).ok()?;
        let data = TargetLayout::resolve(types).ok()?;
        Some(kernel.search_once(|| search(kernel, &pages, &data)))
    }

    /// The image of an owner that holds something. Data of an earlier load of a driver may be left over: a
    /// driver that is gone holds nothing.
    fn image(
        &self,
        layout: &TargetLayout,
        owner: Va,
        has_pages: bool,
        problems: &mut Vec<Problem>,
    ) -> Option<Target> {
        // Live memory may have changed since the search.
        let mut changed = Vec::new();
        let data = layout.verified(self.kernel, owner, &mut changed).ok()?;
        if !changed.is_empty() || data.counters.pool_allocations() == 0 {
            return None;
        }
        let Some(driver) = sound_suspect(self.kernel, &layout.suspect, data.entry) else {
            if has_pages {
                let why =
                    format!("it has tracking pages, but its entry {} has no name", data.entry);
                problems.push(Problem::at("verified data", owner, why));
            }
            return None;
        };
        let image = TargetDriver::off_tree(self.kernel, &driver.name, owner, data.counters);
        Some((data.entry, TargetDriver { is_carved: true, ..image }))
    }
}

/// Checks every page that the kernel maps, once. All pages of an owner may be overwritten, so the owners' own
/// signature is searched for as well.
fn search(kernel: &Kernel, layout: &PageLayout, data: &TargetLayout) -> Found {
    let mut found = Found::default();
    let mut owned: BTreeMap<Va, Vec<Va>> = BTreeMap::new();
    let mut budget = PageBudget::of(kernel);
    let mut bytes = vec![0u8; PAGE_SIZE as usize];
    let step = kernel.space().pointer_size();
    let what = "search for tracking pages";
    Scan::Mapped.for_each_page(kernel, what, &mut found.problems, |page| {
        let Some(at) = page.va else { return ControlFlow::Continue(()) };
        if !Scan::Mapped.read(kernel, page, 0, &mut bytes) {
            return ControlFlow::Continue(());
        }
        if let Some(owner) = layout.owner_of(kernel, &bytes) {
            if let Err(why) = budget.take(kernel) {
                return ControlFlow::Break(why);
            }
            owned.entry(owner).or_default().push(at);
        }
        let offsets = (0..bytes.len()).step_by(step).filter(|&offset| {
            le32(&bytes, offset).is_some_and(|word| u64::from(word) == DATA_SIGNATURE)
        });
        let owners = offsets.map(|offset| at.add(offset as u64).sub(data.signature.offset));
        found.signed.extend(owners.take(MAX_SIGNED));
        ControlFlow::Continue(())
    });
    found.pages.extend(owned.into_iter().filter(|&(owner, _)| data.is_signed(kernel, owner)));
    found
}
