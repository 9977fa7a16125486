//! The description of a machine: loaded images, verified drivers, log records.

use crate::assembly::{Assembly, Sample};
use crate::build::Build;
use crate::driver::Driver;
use crate::dump::{BugCheck, DumpKind, MachineType};
use crate::image::{Image, PdbId};
use crate::kernel::{DebuggerKeys, GLOBALS, Kernel, ROUTINES, UnloadedDriver, since};
use crate::paging::{AddressSpace, Paging};
use crate::physical::{PhysicalMemory, Placement};
use crate::places::Places;
use crate::verifier::{
    Deadlock, Log, PoolInfo, Ring, RingRecord, SlistForm, StaticLog, Suspect, Unload, Verified,
    Verifier, WatchedIrp,
};

/// A driver of a [`Machine`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DriverId(usize);

/// A record of the pool log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PoolRecord {
    /// The block; 0 if the allocation failed.
    pub address: u64,
    /// The requested size, or the size of the block that was freed.
    pub size: u64,
    /// `_ETHREAD`.
    pub thread: u64,
    /// Return addresses, innermost first.
    pub frames: Vec<u64>,
    /// Frames after the terminator, left from an earlier lap.
    pub stale: Vec<u64>,
}

/// A machine: declare its contents, then [`Machine::build`] a dump of it.
#[derive(Debug, Clone)]
pub struct Machine {
    build: Build,
    paging: Paging,
    placement: Placement,
    images: Vec<Image>,
    next_driver: u64,
    pool: u64,
    pools: [u64; 4],
    pfn_database: u64,
    unloaded: Vec<UnloadedDriver>,
    unloaded_count: Option<u32>,
    keys: Option<DebuggerKeys>,
    tick_count: u64,
    verifier: Verifier,
    processors: u32,
    bug_check: BugCheck,
    system_time: u64,
    up_time: u64,
    neighbors: usize,
}

impl Machine {
    /// A machine with a kernel and a `hal.dll`; Verifier is off.
    pub fn new(build: Build) -> Self {
        let places = Places::of(build);
        let mut kernel = Image::new("ntoskrnl.exe", places.kernel, places.kernel_size);
        let wide = build.machine() != MachineType::X86;
        let mut pdb = PdbId::from_name(&format!("ntkrnl {build:?}"));
        pdb.name = if wide { "ntkrnlmp.pdb" } else { "ntkrpamp.pdb" }.to_owned();
        kernel.pdb = Some(pdb);
        let mut rva = kernel.data_rva() + 0x40;
        for (name, size) in GLOBALS {
            if build.number() < since(name) {
                continue;
            }
            kernel.symbols.push(((*name).to_owned(), rva));
            rva = (rva + size).next_multiple_of(16);
        }
        for (i, name) in ROUTINES.iter().enumerate() {
            kernel.symbols.push(((*name).to_owned(), 0x1_2c40 + 0x2350 * i as u32));
        }
        kernel.exports =
            vec![("ExAllocatePoolWithTag".to_owned(), 0), ("PsLoadedModuleList".to_owned(), 0)];
        let hal = Image::new("hal.dll", places.kernel + u64::from(places.kernel_size), 0x4_9000);
        let mut machine = Self {
            build,
            paging: places.paging,
            placement: Placement::Scattered { first: 0x1a0, window: 0x200, seed: 0x5eed },
            images: vec![kernel, hal],
            next_driver: places.drivers,
            pool: places.pool,
            pools: places.pools,
            pfn_database: places.pfn_database,
            unloaded: Vec::new(),
            unloaded_count: None,
            keys: None,
            tick_count: 0x1_2345,
            verifier: Verifier::default(),
            processors: 2,
            bug_check: BugCheck { code: 0xe2, parameters: [0; 4] },
            system_time: 0x01cc_7a9d_2f30_1400,
            up_time: 0x1_a2b3_c4d5,
            neighbors: 24,
        };
        machine.images[1].pdb = Some(PdbId::from_name("hal.pdb"));
        machine.images[1].symbols = vec![("HalMakeBeep".to_owned(), 0x1234)];
        machine
    }

    /// The build.
    pub fn build_of(&self) -> Build {
        self.build
    }

    /// Changes the kernel's load address. `hal.dll` stays directly after it.
    pub fn kernel_base(&mut self, base: u64) -> &mut Self {
        self.images[0].base = base;
        self.images[1].base = base + u64::from(self.images[0].size);
        self
    }

    /// The kernel's image, so that you can change its name, size, stamp or PDB.
    pub fn kernel_mut(&mut self) -> &mut Image {
        &mut self.images[0]
    }

    /// Puts a kernel symbol at an RVA, replacing the old one if there is one.
    pub fn kernel_symbol(&mut self, name: &str, rva: u32) -> &mut Self {
        let symbols = &mut self.images[0].symbols;
        symbols.retain(|(symbol, _)| symbol != name);
        symbols.push((name.to_owned(), rva));
        self
    }

    /// Removes a symbol from the kernel. You can remove only symbols that this crate does not write itself,
    /// because a global without a symbol is not laid out.
    pub fn without_kernel_symbol(&mut self, name: &str) -> &mut Self {
        self.images[0].symbols.retain(|(symbol, _)| symbol != name);
        self
    }

    /// Address of a kernel symbol.
    ///
    /// # Panics
    ///
    /// If the kernel does not have a symbol with this name.
    pub fn kernel_address(&self, symbol: &str) -> u64 {
        self.images[0].address(symbol)
    }

    /// Address of a symbol or export of a driver.
    ///
    /// # Panics
    ///
    /// If the driver does not have a symbol or export with this name.
    pub fn driver_address(&self, driver: DriverId, symbol: &str) -> u64 {
        self.image(driver).address(symbol)
    }

    /// Where the pool of a machine starts.
    pub(crate) fn pool_start(&self) -> u64 {
        self.pool
    }

    /// A driver's image.
    pub fn image(&self, driver: DriverId) -> &Image {
        &self.images[driver.0]
    }

    /// Loads a driver.
    ///
    /// # Panics
    ///
    /// If its size is not a whole number of pages, at least five.
    pub fn driver(&mut self, driver: Driver) -> DriverId {
        let base = driver.base.unwrap_or(self.next_driver);
        if driver.base.is_none() {
            // Leaves a gap, so that no driver begins at the end of another.
            self.next_driver += u64::from(driver.size) + 0x3000;
        }
        let mut image = Image::new(&driver.name, base, driver.size);
        image.pdb = driver.pdb;
        image.pdb_file = driver.pdb_file;
        image.exports = driver.exports;
        image.symbols = driver.symbols;
        if let Some(stamp) = driver.time_date_stamp {
            image.time_date_stamp = stamp;
        }
        self.images.push(image);
        DriverId(self.images.len() - 1)
    }

    /// Adds an unloaded driver after those already added.
    pub fn unloaded_driver(&mut self, driver: UnloadedDriver) -> &mut Self {
        self.unloaded.push(driver);
        self
    }

    /// The number of drivers unloaded since the machine started, if it is more than the number added: the
    /// slots in the array of 50 wrap.
    ///
    /// # Panics
    ///
    /// [`Machine::assemble`] panics if it is less than the number added.
    pub fn unloaded_count(&mut self, count: u32) -> &mut Self {
        self.unloaded_count = Some(count);
        self
    }

    /// `MmVerifierData.Level`.
    pub fn level(&mut self, level: u32) -> &mut Self {
        self.verifier.level = Some(level);
        self
    }

    /// Sets a field of `MmVerifierData` by its C name; otherwise its value follows from the drivers.
    pub fn statistic(&mut self, name: &str, value: u64) -> &mut Self {
        self.verifier.statistics.insert(name.to_owned(), value);
        self
    }

    /// Adds a configured driver that is not loaded and verified; [`Machine::verified`] adds its own entry.
    pub fn suspect(&mut self, suspect: Suspect) -> &mut Self {
        self.verifier.suspects.push(suspect);
        self
    }

    /// Verifies a driver that was loaded once. Add its blocks and counters to the returned value.
    pub fn verified(&mut self, driver: DriverId) -> &mut Verified {
        let name = self.image(driver).name.clone();
        self.verified_as(driver, Suspect { name, loads: 1, unloads: 0, address: None })
    }

    /// Verifies a driver with your own configuration entry.
    pub fn verified_as(&mut self, driver: DriverId, suspect: Suspect) -> &mut Verified {
        self.verifier.suspects.push(suspect);
        let suspect = self.verifier.suspects.len() - 1;
        let image = &self.images[driver.0];
        let verified = Verified { suspect, ..Verified::default() };
        self.verifier.targets.push((
            image.base,
            image.size.into(),
            image.name.clone(),
            Some(verified),
        ));
        self.verifier.targets.last_mut().and_then(|target| target.3.as_mut()).expect("just pushed")
    }

    /// Adds a loaded image to the tree of target drivers, without verifying it.
    pub fn unverified_target(&mut self, driver: DriverId) -> &mut Self {
        let image = &self.images[driver.0];
        self.verifier.targets.push((image.base, image.size.into(), image.name.clone(), None));
        self
    }

    /// Selects the form of SLIST headers, for builds that have two.
    pub fn slist_form(&mut self, form: SlistForm) -> &mut Self {
        self.verifier.slist = form;
        self
    }

    /// Turns a log on and returns it, so that you can set its length and index and add records.
    pub fn log(&mut self, log: Log) -> &mut Ring {
        let rings = &mut self.verifier.rings;
        let at = rings.iter().position(|(kind, _)| *kind == log).unwrap_or_else(|| {
            rings.push((log, Ring::new(log)));
            rings.len() - 1
        });
        &mut rings[at].1
    }

    /// Adds a record to the pool log.
    pub fn pool_record(&mut self, record: PoolRecord) -> &mut Self {
        let PoolRecord { address, size, thread, frames, stale } = record;
        let fields = vec![("Address", address), ("Size", size), ("Thread", thread)];
        self.log(Log::Pool).push(RingRecord { fields, frames, stale });
        self
    }

    /// Turns deadlock detection on and returns it, so that you can add locks, threads and nodes.
    pub fn deadlock(&mut self) -> &mut Deadlock {
        self.verifier.deadlock.get_or_insert_default()
    }

    /// Turns the trees of live blocks and their stacks on and returns them. The kernel then keeps blocks in
    /// the trees and not in its drivers' pages.
    pub fn pool_info(&mut self) -> &mut PoolInfo {
        self.verifier.pool_info.get_or_insert_default()
    }

    /// Adds a driver that is excluded when all drivers are verified.
    pub fn excluded(&mut self, name: &str) -> &mut Self {
        self.verifier.excluded.push(name.to_owned());
        self
    }

    /// Adds a driver to the second list of excluded drivers, which kernels have since 8.1.
    pub fn xdv_excluded(&mut self, name: &str) -> &mut Self {
        self.verifier.xdv_excluded.push(name.to_owned());
        self
    }

    /// Adds a canceled IRP that the watchdog watches.
    pub fn watched_irp(&mut self, irp: WatchedIrp) -> &mut Self {
        self.verifier.watched.push(irp);
        self
    }

    /// The log of suppressed bug checks: records of a code and four parameters.
    pub fn suppressed_bug_checks(&mut self) -> &mut StaticLog {
        &mut self.verifier.suppressed
    }

    /// The log of bug checks with a workaround: records of type, caller and pointer.
    pub fn workarounds(&mut self) -> &mut StaticLog {
        &mut self.verifier.workarounds
    }

    /// The bug check in the header.
    pub fn bug_check(&mut self, bug_check: BugCheck) -> &mut Self {
        self.bug_check = bug_check;
        self
    }

    /// Sets the bug check to 0xC4/0x62 for a verified driver: it was unloaded while it held blocks.
    pub fn unloaded_with_allocations(&mut self, driver: DriverId, unload: Unload) -> &mut Self {
        self.verifier.unload = Some((self.image(driver).name.clone(), unload));
        self
    }

    /// Number of processors, in the header and in `KeNumberProcessors`.
    pub fn processors(&mut self, processors: u32) -> &mut Self {
        self.processors = processors;
        self
    }

    /// System time and up time in the header, in units of 100 ns.
    pub fn times(&mut self, system_time: u64, up_time: u64) -> &mut Self {
        (self.system_time, self.up_time) = (system_time, up_time);
        self
    }

    /// Selects another paging scheme for the same machine type.
    ///
    /// # Panics
    ///
    /// If the scheme belongs to another machine type.
    pub fn paging(&mut self, paging: Paging) -> &mut Self {
        let machine = match paging {
            Paging::X64 | Paging::X64La57 => MachineType::X64,
            Paging::X86 | Paging::X86Pae => MachineType::X86,
            Paging::Arm64 => MachineType::Arm64,
        };
        assert!(machine == self.build.machine(), "{paging:?} on {:?}", self.build);
        self.paging = paging;
        self
    }

    /// Selects how physical pages are allocated.
    pub fn placement(&mut self, placement: Placement) -> &mut Self {
        self.placement = placement;
        self
    }

    /// Number of present pages of physical memory that nothing maps.
    pub fn neighbors(&mut self, pages: usize) -> &mut Self {
        self.neighbors = pages;
        self
    }

    /// Encodes the debugger's data block, as in a raw memory image of 8 and later; the kernel decodes it
    /// before it writes a dump.
    pub fn encode_debugger_data(&mut self, keys: DebuggerKeys) -> &mut Self {
        self.keys = Some(keys);
        self
    }

    /// Lays the machine out in memory.
    ///
    /// # Panics
    ///
    /// If the declarations contradict each other or the build: a field that the build does not have, more
    /// frames than a stack holds, a log length that is not a power of two, a global without a symbol.
    pub fn assemble(&self) -> Assembly {
        let mut images = self.images.clone();
        let symbols = images[0].symbols.clone();
        for (name, rva) in &mut images[0].exports {
            if let Some((_, at)) = symbols.iter().find(|(symbol, _)| symbol == name) {
                *rva = *at;
            }
        }
        let mut memory = PhysicalMemory::new(self.placement);
        // Places the root table near the frame that Windows uses, before any other allocation takes it.
        let root = if self.build.number() < 9600 { 0x187 } else { 0x1ad };
        memory.write(root * 4096, &[0]);
        for _ in 0..self.neighbors {
            let pfn = memory.allocate();
            memory.write(pfn * 4096, &(pfn * 0x9e37_79b9).to_le_bytes().repeat(512));
        }
        let mut space = AddressSpace::with_root(self.paging, memory, root);
        match self.paging {
            Paging::X64 | Paging::X64La57 => {
                space.self_map(if self.build.number() < 14393 { 0x1ed } else { 0x1b6 })
            }
            Paging::X86 | Paging::X86Pae => space.self_map(0x300),
            Paging::Arm64 => {}
        }
        let mut m = Assembly::new(self.build, space, self.pool);
        let count = self.unloaded.len() as u32;
        let unloaded_count = self.unloaded_count.unwrap_or(count);
        assert!(unloaded_count >= count, "{count} drivers were unloaded, not {unloaded_count}");
        let kernel = Kernel {
            images: &images,
            unloaded: &self.unloaded,
            unloaded_count,
            keys: self.keys,
            tick_count: self.tick_count,
            pools: self.pools,
            pfn_database: self.pfn_database,
        };
        kernel.lay_out(&mut m);
        self.verifier.lay_out(&mut m);
        if m.has_global("KeNumberProcessors") {
            m.set_u32("KeNumberProcessors", self.processors);
        }
        let bug_check = self.verifier.bug_check(&mut m).unwrap_or(self.bug_check);
        let words = std::iter::once(u64::from(bug_check.code)).chain(bug_check.parameters);
        let words: Vec<u8> = words.flat_map(|word| m.layouts.pointer(word)).collect();
        m.patch(m.global("KiBugCheckData"), &words);
        let end = m.space.memory().end().next_multiple_of(0x100);
        m.header.processors = self.processors;
        m.header.bug_check = Some(bug_check);
        m.header.system_time = Some(self.system_time);
        m.header.up_time = Some(self.up_time);
        m.header.pae = self.paging == Paging::X86Pae;
        m.header.physical_memory = Some(vec![(1, 0x9e), (0x100, end - 0x100)]);
        m
    }

    /// Lays the machine out and writes a dump, with its symbol tables.
    ///
    /// # Panics
    ///
    /// See [`Machine::assemble`] and [`write_dump`](crate::dump::write_dump).
    pub fn build(&self, kind: DumpKind) -> Sample {
        self.assemble().sample(kind)
    }
}
