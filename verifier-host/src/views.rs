//! Views with the symbols of what they show: a view knows addresses, and which modules' symbols are
//! worth finding follows from them. Those that tell what a record of the pool log is about are found before
//! it is read.

use verifier_core::Va;
use verifier_core::analysis::History;
use verifier_core::verifier::deadlock::Deadlock;
use verifier_core::verifier::log::{EventKind, EventLog, PoolLog, WatchedIrps};
use verifier_core::verifier::{Drivers, Modes, PoolReport, PoolStacks, Settings};

use crate::error::Error;
use crate::session::Session;

impl Session {
    /// Verifier's level and statistics, and its modes.
    ///
    /// # Errors
    /// As [`Settings::read`].
    pub fn settings(&self) -> Result<(Settings, Modes), Error> {
        let kernel = self.kernel()?;
        let mut settings = Settings::read(kernel)?;
        settings.problems.extend(self.find_symbols_at(Vec::new));
        Ok((settings, Modes::read(kernel)))
    }

    /// The configured drivers.
    ///
    /// # Errors
    /// As [`Drivers::read`].
    pub fn drivers(&self) -> Result<Drivers, Error> {
        let mut drivers = Drivers::read(self.kernel()?)?;
        drivers.problems.extend(self.find_symbols_at(Vec::new));
        Ok(drivers)
    }

    /// Canceled IRPs that are watched, the first `last` of them or all, or the one at `address`.
    ///
    /// # Errors
    /// As [`WatchedIrps::read`].
    pub fn watched_irps(
        &self,
        last: Option<usize>,
        address: Option<Va>,
    ) -> Result<WatchedIrps, Error> {
        let mut watched = WatchedIrps::read(self.kernel()?, last, address)?;
        watched.problems.extend(self.find_symbols_at(Vec::new));
        Ok(watched)
    }

    /// Outstanding allocations, of all drivers or of the one that `driver` names (the file name, with
    /// or without extension); the callers' symbols are found.
    ///
    /// # Errors
    /// As [`PoolReport::read`]; [`Error::Usage`] where no such driver is configured.
    pub fn pool(&self, driver: Option<&str>) -> Result<PoolReport, Error> {
        let mut report =
            PoolReport::read(self.kernel()?, |one| driver.is_none_or(|name| one.is_named(name)))?;
        if let Some(name) = driver
            && report.drivers.is_empty()
        {
            return Err(not_configured(name));
        }
        let missing = self.find_symbols_at(|| report.callers());
        report.problems.extend(missing);
        Ok(report)
    }

    /// The stacks of the pool info tree, of all drivers or of the one that `driver` names; the frames'
    /// symbols are found.
    ///
    /// # Errors
    /// As [`PoolStacks::read`]; [`Error::Usage`] where no such driver is configured.
    pub fn pool_stacks(&self, driver: Option<&str>) -> Result<PoolStacks, Error> {
        let kernel = self.kernel()?;
        if let Some(name) = driver
            && !Drivers::read(kernel)?.drivers.iter().any(|one| one.is_named(name))
        {
            return Err(not_configured(name));
        }
        let mut stacks =
            PoolStacks::read(kernel, |one| driver.is_none_or(|name| one.is_named(name)))?;
        let missing = self.find_symbols_at(|| stacks.addresses());
        stacks.problems.extend(missing);
        Ok(stacks)
    }

    /// The newest `last` records of the pool log, or all, of which the block holds `address` where one
    /// is given; the frames' symbols are found.
    ///
    /// # Errors
    /// As [`PoolLog::read`].
    pub fn pool_log(&self, last: Option<usize>, address: Option<Va>) -> Result<PoolLog, Error> {
        self.load_verifier_symbols();
        let mut log = PoolLog::read_about(self.kernel()?, last, address)?;
        let missing = self.find_symbols_at(|| log.all_frames().iter().copied());
        log.problems.extend(missing);
        Ok(log)
    }

    /// The same of another log; `address` is an IRP, a thread.
    ///
    /// # Errors
    /// As [`EventLog::read`].
    pub fn event_log(
        &self,
        kind: EventKind,
        last: Option<usize>,
        address: Option<Va>,
    ) -> Result<EventLog, Error> {
        let mut log = EventLog::read(self.kernel()?, kind, last, address)?;
        let missing = self.find_symbols_at(|| log.all_frames().iter().copied());
        log.problems.extend(missing);
        Ok(log)
    }

    /// All that is known of one address; the symbols of frames and callers are found.
    ///
    /// # Errors
    /// As [`History::read`].
    pub fn history(&self, address: Va) -> Result<History, Error> {
        self.load_verifier_symbols();
        let mut history = History::read(self.kernel()?, address)?;
        let missing = self.find_symbols_at(|| history.addresses());
        history.problems.extend(missing);
        Ok(history)
    }

    /// What deadlock detection keeps; the symbols of locks and stacks are found.
    ///
    /// # Errors
    /// As [`Deadlock::read`].
    pub fn deadlock(&self) -> Result<Deadlock, Error> {
        let mut deadlock = Deadlock::read(self.kernel()?)?;
        let missing = self.find_symbols_at(|| deadlock.code_addresses());
        deadlock.problems.extend(missing);
        Ok(deadlock)
    }
}

/// What to say where a driver was asked for that is not there.
pub(crate) fn not_configured(name: &str) -> Error {
    Error::Usage(format!(
        "no driver {name} is configured for Verifier; the drivers view lists those that are"
    ))
}
