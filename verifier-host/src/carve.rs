//! What can be found without lists: carving of a session's memory.

use std::ops::Range;

use verifier_core::Va;
use verifier_core::analysis::Comparison;
use verifier_core::verifier::log::CarvedLog;
use verifier_core::verifier::{CarvedPool, PoolReport, Scan};

use crate::error::Error;
use crate::session::Session;

impl Session {
    /// Tracking pages, found in the physical memory of the file or in a range of virtual memory, and
    /// their comparison with the lists, or why there is none. No symbols of callers are found yet.
    ///
    /// # Errors
    /// As [`CarvedPool::read`] and [`pages`](Self::pages).
    pub fn carve_pool(
        &self,
        range: Option<&Range<Va>>,
    ) -> Result<(CarvedPool, Result<Comparison, String>), Error> {
        let kernel = self.kernel()?;
        let carved = self.in_place(range, |place| Ok(CarvedPool::read(kernel, place)?))?;
        // A range holds but a part of what the lists lead to.
        let comparison = if range.is_some() {
            Err("only a range was looked at".to_string())
        } else {
            PoolReport::read(kernel, |_| true)
                .map(|listed| carved.compare(&listed))
                .map_err(|error| format!("the lists cannot be read: {error}"))
        };
        Ok((carved, comparison))
    }

    /// Records of the pool log, found in the same way, of which the block holds `address` where one is
    /// given; the frames' symbols are found.
    ///
    /// # Errors
    /// As [`CarvedLog::read`] and [`pages`](Self::pages).
    pub fn carve_pool_log(
        &self,
        range: Option<&Range<Va>>,
        address: Option<Va>,
    ) -> Result<CarvedLog, Error> {
        let kernel = self.kernel()?;
        let mut log = self.in_place(range, |place| {
            let wanted = |start: Va, size: u64| {
                address.is_none_or(|address| {
                    address.0.checked_sub(start.0).is_some_and(|offset| offset < size.max(1))
                })
            };
            Ok(CarvedLog::read(kernel, place, wanted)?)
        })?;
        let missing = self.find_symbols_at(|| log.all_frames().iter().copied());
        log.problems.extend(missing);
        Ok(log)
    }

    fn in_place<T>(
        &self,
        range: Option<&Range<Va>>,
        each: impl FnOnce(&Scan<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        match range {
            Some(range) => each(&Scan::Virtual(range.clone())),
            None => each(&Scan::Physical(&*self.pages()?)),
        }
    }
}
