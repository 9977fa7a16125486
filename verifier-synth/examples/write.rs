//! Writes the walk-through and one machine of every build and kind of dump into a folder, so that you can
//! open them with other tools: `cargo run -p verifier-synth --example write -- FOLDER`.

use std::path::Path;
use std::{env, fs, io};

use verifier_synth::{
    Allocation, Build, DebuggerKeys, Driver, DumpKind, Machine, MachineType, Paging, PoolRecord,
    Sample, walkthrough,
};

fn main() -> io::Result<()> {
    let folder = env::args().nth(1).ok_or_else(|| io::Error::other("usage: write FOLDER"))?;
    let folder = Path::new(&folder);
    save(folder, "walkthrough", &walkthrough())?;
    for build in Build::ALL {
        let machine = small(build);
        for kind in DumpKind::WITH_HEADER {
            if build.machine() != MachineType::X86
                || matches!(kind, DumpKind::Complete | DumpKind::Summary)
            {
                save(folder, &format!("{build:?}-{kind:?}"), &machine.build(kind))?;
            }
        }
    }
    save(
        folder,
        "Win10Vb-La57",
        &small(Build::Win10Vb).paging(Paging::X64La57).build(DumpKind::BitmapFull),
    )?;
    save(
        folder,
        "Win7Sp1X86-two-level",
        &small(Build::Win7Sp1X86).paging(Paging::X86).build(DumpKind::Complete),
    )?;
    let keys =
        DebuggerKeys { wait_never: 0x00c3_71a5_88f0_1923, wait_always: 0x8f17_2b00_41d2_6ee5 };
    save(
        folder,
        "Win10Vb-raw",
        &small(Build::Win10Vb).encode_debugger_data(keys).build(DumpKind::Raw),
    )
}

/// A driver with two blocks, one of which has a record.
fn small(build: Build) -> Machine {
    let mut m = Machine::new(build);
    let leaky = m.driver(
        Driver::new("leaky.sys")
            .pdb("leaky.pdb")
            .symbol("LeakyRead", 0x1200)
            .export("LeakyOpen", 0x1300),
    );
    let caller = m.driver_address(leaky, "LeakyRead") + 0x34;
    let block = if build.machine() == MachineType::X86 {
        0x8500_0000
    } else {
        m.kernel_address("VfPoolTraces") - 0x1_0000_0000
    };
    m.level(8);
    m.verified(leaky)
        .allocation(Allocation::nonpaged(block, 0x210, b"Leak", caller))
        .allocation(Allocation::paged(block + 0x1000, 0x50, b"Peak", caller));
    m.pool_record(PoolRecord {
        address: block,
        size: 0x200,
        thread: block + 0x40,
        frames: vec![caller],
        stale: vec![],
    });
    m
}

fn save(folder: &Path, name: &str, sample: &Sample) -> io::Result<()> {
    let folder = folder.join(name);
    for (path, bytes) in &sample.files {
        let path = folder.join("symbols").join(path);
        fs::create_dir_all(path.parent().unwrap_or(&folder))?;
        fs::write(path, bytes)?;
    }
    println!("{}: {} bytes", folder.display(), sample.dump.len());
    fs::write(folder.join("memory.dmp"), &sample.dump)
}
