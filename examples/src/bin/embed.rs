//! `embed` on a raw image of the sample machine.
use verifier_core::{Pa, Va, kernel::Hints, machine::Machine};
use verifier_synth::{DumpKind, walkthrough_machine};

fn main() -> verifier_examples::Result<()> {
    let machine = walkthrough_machine().assemble();
    let raw = machine.dump(DumpKind::Raw);
    let hints = Hints {
        build: Some(7601),
        ps_loaded_module_list: Some(Va(machine.address("nt!PsLoadedModuleList"))),
        ..Hints::default()
    };
    let read = move |at: u64, buf: &mut [u8]| {
        let bytes = raw.get(at as usize..).and_then(|rest| rest.get(..buf.len()));
        buf.copy_from_slice(bytes.ok_or("past the end")?);
        Ok(())
    };
    let isf = machine.files.iter().find(|(path, _)| path.starts_with("ntkrnlmp.pdb/"));
    let isf = &isf.ok_or("the sample has no table of the kernel")?.1;
    let dtb = Pa(machine.space().dtb());
    let known = (dtb, Machine::X64, hints);
    verifier_examples::embed::print(&mut std::io::stdout(), Box::new(read), known, isf)
}
