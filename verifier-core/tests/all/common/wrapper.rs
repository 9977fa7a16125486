//! A driver whose allocations all go through one function, and a log that may have lost some.

use super::session;
use verifier_core::analysis::Leaks;
use verifier_core::kernel::Kernel;
use verifier_synth::{
    Allocation, Assembly, Build, Driver, DriverId, DumpKind, Machine, PoolRecord,
};

pub(crate) const POOL: u64 = 0xffff_9a8f_5000_0000;
pub(crate) const THREAD: u64 = 0xffff_9a8f_4fff_0040;

/// A driver whose allocations all go through one function, for two callers.
pub(crate) struct Wrapper {
    pub(crate) machine: Machine,
    pub(crate) driver: DriverId,
}

impl Wrapper {
    pub(crate) fn new() -> Self {
        Self::built("wrap.pdb", 0x1200)
    }

    /// A build of the driver with this PDB, in which `ReadRequest` begins at this address.
    pub(crate) fn built(pdb: &str, read_request: u32) -> Self {
        let mut machine = Machine::new(Build::Win10Vb);
        let driver = Driver::new("wrap.sys")
            .pdb(pdb)
            .symbol("WrapAlloc", 0x1100)
            .symbol("ReadRequest", read_request)
            .symbol("WriteRequest", 0x1300);
        let driver = machine.driver(driver);
        machine.level(8);
        Self { machine, driver }
    }

    pub(crate) fn at(&self, name: &str) -> u64 {
        self.machine.driver_address(self.driver, name) + 0x20
    }

    pub(crate) fn nt(&self, name: &str) -> u64 {
        self.machine.kernel_address(name) + 0x10
    }

    pub(crate) fn stack(&self, request: &str) -> Vec<u64> {
        vec![
            self.nt("VerifierExAllocatePoolWithTag"),
            self.at("WrapAlloc"),
            self.at(request),
            self.nt("IofCallDriver"),
            self.nt("NtDeviceIoControlFile"),
        ]
    }

    pub(crate) fn block(&self, number: u64) -> u64 {
        POOL + number * 0x1000
    }

    pub(crate) fn hold(&mut self, blocks: impl IntoIterator<Item = u64>) {
        let caller = self.at("WrapAlloc");
        let blocks: Vec<u64> = blocks.into_iter().map(|number| self.block(number)).collect();
        let verified = self.machine.verified(self.driver);
        for address in blocks {
            verified.allocation(Allocation::nonpaged(address, 0x110, b"Wrap", caller));
        }
    }

    pub(crate) fn record(&mut self, number: u64, frames: Vec<u64>) {
        let address = self.block(number);
        let stale = Vec::new();
        self.machine.pool_record(PoolRecord {
            address,
            size: 0x100,
            thread: THREAD,
            frames,
            stale,
        });
    }

    pub(crate) fn allocate(&mut self, number: u64, request: &str) {
        self.record(number, self.stack(request));
    }

    pub(crate) fn free(&mut self, number: u64) {
        let frames = vec![self.nt("VerifierExFreePoolWithTag"), self.at("ReadRequest")];
        self.record(number, frames);
    }

    pub(crate) fn kernel(&self) -> Kernel {
        session(self.machine.build(DumpKind::BitmapKernel))
    }

    pub(crate) fn kernel_of(&self, damage: impl FnOnce(&mut Assembly)) -> Kernel {
        let mut assembly = self.machine.assemble();
        damage(&mut assembly);
        session(assembly.sample(DumpKind::BitmapKernel))
    }
}

pub(crate) fn leaks(kernel: &Kernel) -> Leaks {
    Leaks::read(kernel, |_| true).unwrap()
}

/// The output of a writer of text or JSON.
pub(crate) fn rendered(write: impl FnOnce(&mut Vec<u8>) -> std::io::Result<()>) -> String {
    let mut out = Vec::new();
    write(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}
