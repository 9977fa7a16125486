//! A driver whose PDB has lines, found in a folder of symbols.

use crate::common::saved;
use verifier_core::Va;
use verifier_host::Session;
use verifier_host::symbols::SymbolPath;
use verifier_synth::{Build, Linked, leaky, leaky_machine};

#[test]
fn every_call_of_a_driver_has_a_line_in_a_session() {
    for build in [Build::Win10Vb, Build::Win11Arm64, Build::Win7Sp1X86] {
        let folder = saved(&leaky(build));
        let symbols = SymbolPath::parse(folder.path().join("symbols").to_str().unwrap()).unwrap();
        let session = Session::open(&folder.path().join("memory.dmp"), symbols).unwrap();
        let (machine, driver) = leaky_machine(build);
        let kernel = session.kernel().unwrap();
        for call in Linked::leaky(build.machine()).calls() {
            let address = Va(machine.image(driver).base).add(call.returns_to.into());
            session.load_symbols_at([address]);
            let site = kernel.source_of_call(address).unwrap();
            let inlined: Vec<&str> = site.inlined.iter().map(|frame| &*frame.function).collect();
            let functions: Vec<&str> =
                call.lines.iter().map(|line| line.function.as_str()).collect();
            assert_eq!(inlined, functions[..functions.len() - 1], "{build:?} {address}");
        }
    }
}

#[cfg(feature = "cli")]
#[test]
fn the_driver_with_lines_holds_the_blocks_of_its_sources() {
    let files = crate::common::Files::with_lines(Build::Win10Vb);
    assert!(files.clean(&["leaks"], &[]).contains("47 blocks"));
}
