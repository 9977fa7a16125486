//! Writes a dump of a machine whose driver leaks, with the driver's PDB, which has lines of source code:
//! `cargo run -p verifier-synth --example leaky -- FOLDER [BUILD]`. A build is a name such as `Win11Ge`.

use std::path::Path;
use std::{env, fs, io};

use verifier_synth::{Build, leaky};

fn main() -> io::Result<()> {
    let usage = || io::Error::other("usage: leaky FOLDER [BUILD]");
    let folder = env::args().nth(1).ok_or_else(usage)?;
    let name = env::args().nth(2).unwrap_or_else(|| "Win10Vb".to_owned());
    let mut builds = Build::ALL.into_iter();
    let build = builds.find(|build| format!("{build:?}") == name).ok_or_else(usage)?;
    let folder = Path::new(&folder);
    let sample = leaky(build);
    for (path, bytes) in &sample.files {
        let path = folder.join("symbols").join(path);
        fs::create_dir_all(path.parent().unwrap_or(folder))?;
        fs::write(path, bytes)?;
    }
    fs::write(folder.join("memory.dmp"), &sample.dump)
}
