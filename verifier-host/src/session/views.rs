//! Every view of a session. A view gives addresses; the symbols of the modules at these addresses are found
//! after it was read, and problems say which of them are missing. Symbols that decide what a record of the
//! pool log is about are found before it is read.

use std::ops::Range;

use verifier_core::Va;
use verifier_core::analysis::{BugCheckReport, Comparison, History};
use verifier_core::render::info::{Info, InfoSources, ModuleSymbols};
use verifier_core::verifier::deadlock::Deadlock;
use verifier_core::verifier::log::{CarvedLog, EventKind, EventLog, PoolLog, WatchedIrps};
use verifier_core::verifier::{CarvedPool, Drivers, Modes, PoolReport, PoolStacks, Scan, Settings};

use super::{Session, View};
use crate::error::Error;
use crate::module_symbols::SymbolLoad;

impl Session {
    /// What is read, and what can be read of it. The symbols of all modules are found, and each module says
    /// whether its symbols are missing.
    #[must_use]
    pub fn info(&self) -> Info {
        self.load_all_symbols();
        self.info_so_far()
    }

    /// The same without a search for symbols.
    pub(crate) fn info_so_far(&self) -> Info {
        let loads = self.symbol_loads();
        let symbols = |module| {
            let load = loads.iter().find(|load| load.wanted.module == module);
            ModuleSymbols {
                found: load.and_then(|load| load.found.clone()),
                missing: load.and_then(SymbolLoad::missing),
            }
        };
        let file = self.file.as_ref();
        let mut info = Info::gather(InfoSources {
            file: file.map(|(path, file)| (path.as_path(), file)),
            kernel: self.kernel.as_deref(),
            bug_check: self.bug_check(),
            page_tables: self.tables.as_ref().map(|tables| (tables.base, tables.from.clone())),
            symbols: &symbols,
            problems: self.image_problems(),
        });
        self.add_problems(&mut info, self.kernel_symbol_problem());
        info
    }

    /// What the bug check is about and which driver is to blame; `None` if there is neither a header nor a
    /// note of the kernel's ([`bug_check`](Self::bug_check)).
    #[must_use]
    pub fn bug_check_report(&self) -> Option<BugCheckReport> {
        self.load_verifier_symbols();
        let machine = self.dump().and_then(|dump| dump.header().machine());
        let report = BugCheckReport::of(self.bug_check()?, self.kernel.as_deref(), machine);
        Some(self.with_symbols(report))
    }

    /// Verifier's level and statistics, and its modes.
    ///
    /// # Errors
    /// As [`Settings::read`].
    pub fn settings(&self) -> Result<(Settings, Modes), Error> {
        let kernel = self.kernel()?;
        let settings = Settings::read(kernel)?;
        Ok(self.with_symbols((settings, Modes::read(kernel))))
    }

    /// The configured drivers.
    ///
    /// # Errors
    /// As [`Drivers::read`].
    pub fn drivers(&self) -> Result<Drivers, Error> {
        Ok(self.with_symbols(Drivers::read(self.kernel()?)?))
    }

    /// Outstanding allocations, of all drivers or of the one that `driver` names (the file name, with
    /// or without extension).
    ///
    /// # Errors
    /// As [`PoolReport::read`]; [`Error::Usage`] if no such driver is configured.
    pub fn pool(&self, driver: Option<&str>) -> Result<PoolReport, Error> {
        let report = self.pool_of(driver)?;
        match driver {
            Some(name) if report.drivers.is_empty() => Err(not_configured(name)),
            _ => Ok(report),
        }
    }

    /// The same; without drivers if none of that name is configured.
    pub(crate) fn pool_of(&self, driver: Option<&str>) -> Result<PoolReport, Error> {
        let wanted = |one: &_| is_named(one, driver);
        Ok(self.with_symbols(PoolReport::read(self.kernel()?, wanted)?))
    }

    /// The stacks of the pool info tree, of all drivers or of the one that `driver` names.
    ///
    /// # Errors
    /// As [`PoolStacks::read`]; [`Error::Usage`] if no such driver is configured.
    pub fn pool_stacks(&self, driver: Option<&str>) -> Result<PoolStacks, Error> {
        let kernel = self.kernel()?;
        if let Some(name) = driver
            && !Drivers::read(kernel)?.drivers.iter().any(|one| one.is_named(name))
        {
            return Err(not_configured(name));
        }
        Ok(self.with_symbols(PoolStacks::read(kernel, |one| is_named(one, driver))?))
    }

    /// The newest `last` records of the pool log, or all; only those whose block holds `address`, if it is
    /// given.
    ///
    /// # Errors
    /// As [`PoolLog::read`].
    pub fn pool_log(&self, last: Option<usize>, address: Option<Va>) -> Result<PoolLog, Error> {
        Ok(self.with_symbols(self.pool_log_without_names(last, address)?))
    }

    /// The same for a view that shows no names of frames.
    pub(crate) fn pool_log_without_names(
        &self,
        last: Option<usize>,
        address: Option<Va>,
    ) -> Result<PoolLog, Error> {
        self.load_verifier_symbols();
        Ok(PoolLog::read_about(self.kernel()?, last, address)?)
    }

    /// The same of another log; `address` is an IRP or a thread.
    ///
    /// # Errors
    /// As [`EventLog::read`].
    pub fn event_log(
        &self,
        kind: EventKind,
        last: Option<usize>,
        address: Option<Va>,
    ) -> Result<EventLog, Error> {
        Ok(self.with_symbols(EventLog::read(self.kernel()?, kind, last, address)?))
    }

    /// Canceled IRPs that are watched: the first `last` of them or all, or the one at `address`.
    ///
    /// # Errors
    /// As [`WatchedIrps::read`].
    pub fn watched_irps(
        &self,
        last: Option<usize>,
        address: Option<Va>,
    ) -> Result<WatchedIrps, Error> {
        Ok(self.with_symbols(WatchedIrps::read(self.kernel()?, last, address)?))
    }

    /// All that is known of one address.
    ///
    /// # Errors
    /// As [`History::read`].
    pub fn history(&self, address: Va) -> Result<History, Error> {
        self.load_verifier_symbols();
        Ok(self.with_symbols(History::read(self.kernel()?, address)?))
    }

    /// The data of deadlock detection.
    ///
    /// # Errors
    /// As [`Deadlock::read`].
    pub fn deadlock(&self) -> Result<Deadlock, Error> {
        Ok(self.with_symbols(Deadlock::read(self.kernel()?)?))
    }

    /// Tracking pages, found without lists in the physical memory of the file or in a range of virtual
    /// memory, and their comparison with the lists, or why there is none. With `driver` only the pages of
    /// that driver are kept.
    ///
    /// # Errors
    /// As [`CarvedPool::read`] and [`pages`](Self::pages).
    pub fn carve_pool(
        &self,
        range: Option<&Range<Va>>,
        driver: Option<&str>,
    ) -> Result<(CarvedPool, Result<Comparison, String>), Error> {
        let kernel = self.kernel()?;
        let mut carved = self.in_place(range, |place| Ok(CarvedPool::read(kernel, place)?))?;
        let comparison = match (range, driver) {
            (_, Some(_)) => Err("only one driver was asked for".to_string()),
            // A range holds only a part of what the lists lead to.
            (Some(_), None) => Err("only a range was looked at".to_string()),
            _ => PoolReport::read(kernel, |_| true)
                .map(|listed| carved.compare(&listed))
                .map_err(|error| format!("the lists cannot be read: {error}")),
        };
        if let Some(name) = driver {
            carved.owners.retain(|owner| owner.is_named(name));
        }
        Ok((self.with_symbols(self.with_file_problems(carved)), comparison))
    }

    /// Records of the pool log, found in the same way; only those whose block holds `address`, if it is
    /// given.
    ///
    /// # Errors
    /// As [`CarvedLog::read`] and [`pages`](Self::pages).
    pub fn carve_pool_log(
        &self,
        range: Option<&Range<Va>>,
        address: Option<Va>,
    ) -> Result<CarvedLog, Error> {
        let kernel = self.kernel()?;
        let log = self.in_place(range, |place| {
            let wanted = |start, size| address.is_none_or(|address: Va| address.is_in(start, size));
            Ok(CarvedLog::read(kernel, place, wanted)?)
        })?;
        Ok(self.with_symbols(self.with_file_problems(log)))
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

    /// Finds the symbols of what `view` shows and adds which of them are missing: the one way in which a
    /// view gets its symbols.
    pub(crate) fn with_symbols<V: View>(&self, mut view: V) -> V {
        let missing = self.find_symbols_at(|| view.code_addresses());
        self.add_problems(&mut view, missing);
        view
    }

    /// Adds the problems of the file as a whole to a view that was not read through the kernel.
    fn with_file_problems<V: View>(&self, mut view: V) -> V {
        let problems = self.memory_file().map(|file| file.problems()).unwrap_or_default();
        self.add_problems(&mut view, problems);
        view
    }

    fn add_problems(
        &self,
        view: &mut impl View,
        problems: impl IntoIterator<Item = verifier_core::Problem>,
    ) {
        for problem in problems {
            if !view.problems().any(|one| *one == problem) {
                view.add_problem(problem);
            }
        }
    }
}

fn is_named(driver: &verifier_core::verifier::Driver, name: Option<&str>) -> bool {
    name.is_none_or(|name| driver.is_named(name))
}

/// The error for a driver that was asked for and is not configured.
pub(crate) fn not_configured(name: &str) -> Error {
    Error::Usage(format!(
        "no driver {name} is configured for Verifier; the drivers view lists those that are"
    ))
}
