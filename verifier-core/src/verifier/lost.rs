//! Verified images and tracking pages that neither tree nor list leads to.
//!
//! Where the tree of target drivers is overwritten, or the list of a driver's pages is, the pages
//! themselves are still there: they are looked for in every page that the kernel maps
//! ([`CarvedPool`]). So are their owners, the data of verified images, which have a signature too and
//! lead to names and counters. That reads all of the kernel's memory, so it is done when something
//! was found broken, once, and not where Verifier is off. Pages of an owner without a signature may be
//! left over and are not taken.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::rc::Rc;

use super::carve::CarvedPool;
use super::drivers::{DATA_SIGNATURE, Layout, TargetDriver, sound_suspect, verified};
use super::place::Place;
use super::settings::Settings;
use crate::addr::{PAGE_SIZE, Va};
use crate::bytes::le32;
use crate::error::Problem;
use crate::kernel::Kernel;
use crate::types::TypeSource;

/// Signatures of owners on one page that are followed: an owner has 0x90 bytes at least.
const MAX_SIGNED: usize = 28;

/// What tracking pages lead to, looked for when it is first asked for.
pub(crate) struct Lost<'a> {
    kernel: &'a Kernel,
    types: &'a dyn TypeSource,
    places: Places,
    images: OnceCell<Vec<(Va, TargetDriver)>>,
}

/// What a search found. Pages, and where signature and entry stand in an owner, are the same in every
/// build, so one search serves whatever layouts are tried.
pub(crate) type Places = Rc<OnceCell<Found>>;

/// Tracking pages and their owners.
#[derive(Default)]
pub(crate) struct Found {
    /// The pages of every signed owner.
    pages: BTreeMap<Va, Vec<Va>>,
    /// Wherever else an owner's signature stands.
    signed: Vec<Va>,
    problems: Vec<Problem>,
}

impl<'a> Lost<'a> {
    pub(crate) fn new(kernel: &'a Kernel, types: &'a dyn TypeSource) -> Self {
        Self::sharing(kernel, types, Places::default())
    }

    /// The same with places that others have looked for, or will.
    pub(super) fn sharing(kernel: &'a Kernel, types: &'a dyn TypeSource, places: Places) -> Self {
        Self { kernel, types, places, images: OnceCell::new() }
    }

    /// The tracking pages of the owner at `data`.
    pub(super) fn pages_of(&self, data: Va) -> &[Va] {
        self.found().pages.get(&data).map_or(&[], Vec::as_slice)
    }

    /// Adds the images that are not among `images`.
    pub(super) fn add_to(&self, images: &mut Vec<(Va, TargetDriver)>, problems: &mut Vec<Problem>) {
        problems.extend(self.found().problems.iter().cloned());
        let before = images.len();
        for (entry, image) in self.images.get_or_init(|| self.find_images()) {
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

    fn find_images(&self) -> Vec<(Va, TargetDriver)> {
        let Ok(layout) = Layout::resolve(self.types) else { return Vec::new() };
        let Found { pages, signed, .. } = self.found();
        let owners: BTreeSet<Va> = pages.keys().chain(signed).copied().collect();
        owners.into_iter().filter_map(|owner| self.image(&layout, owner)).collect()
    }

    fn found(&self) -> &Found {
        self.places.get_or_init(|| self.find().unwrap_or_default())
    }

    fn find(&self) -> Option<Found> {
        let Self { kernel, types, .. } = *self;
        if is_off(kernel, types) {
            return None;
        }
        let layout = Layout::resolve(types).ok()?;
        let carved = CarvedPool::read_with(kernel, types, &Place::Mapped).ok()?;
        let mut found = Found { problems: carved.problems, ..Found::default() };
        for owner in carved.owners.into_iter().filter(|owner| owner.is_signed) {
            let pages = owner.pages.iter().filter_map(|page| page.va).collect();
            found.pages.insert(owner.address, pages);
        }
        found.signed = self.signed(&layout, &mut found.problems);
        Some(found)
    }

    /// The image of an owner that holds something. Data of an earlier load of a driver may be left
    /// over: a driver that is gone holds nothing.
    fn image(&self, layout: &Layout, owner: Va) -> Option<(Va, TargetDriver)> {
        let data = verified(self.kernel, layout, owner, &mut Vec::new()).ok()?;
        if data.counters.pool_allocations() == 0 {
            return None;
        }
        let driver = sound_suspect(self.kernel, &layout.suspect, data.entry)?;
        let image = TargetDriver::off_tree(self.kernel, &driver.name, owner, data.counters);
        Some((data.entry, TargetDriver { is_carved: true, ..image }))
    }

    /// Wherever the owners' signature stands: pages of an owner may all be overwritten.
    fn signed(&self, layout: &Layout, problems: &mut Vec<Problem>) -> Vec<Va> {
        let mut signed = Vec::new();
        let mut bytes = vec![0u8; PAGE_SIZE as usize];
        let step = self.kernel.space().pointer_size();
        let what = "search for verified data";
        Place::Mapped.for_each_page(self.kernel, what, problems, |page| {
            if Place::Mapped.read(self.kernel, page, 0, &mut bytes)
                && let Some(at) = page.va
            {
                let places = (0..bytes.len()).step_by(step);
                let marked = places.filter(|&place| {
                    le32(&bytes, place).is_some_and(|word| u64::from(word) == DATA_SIGNATURE)
                });
                let owners = marked.map(|place| at.add(place as u64).sub(layout.signature.offset));
                signed.extend(owners.take(MAX_SIGNED));
            }
            ControlFlow::Continue(())
        });
        signed
    }
}

/// True where Verifier says itself that it is off and that it counted nothing.
pub(super) fn is_off(kernel: &Kernel, types: &dyn TypeSource) -> bool {
    Settings::read_by(kernel, types).is_ok_and(|settings| {
        settings.level.0 == 0 && settings.statistics.0.iter().all(|counter| counter.value == 0)
    })
}
