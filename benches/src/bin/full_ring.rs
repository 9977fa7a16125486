//! The log that `verifier-py/bench/log_stream.py` measures, and the Rust side of that measurement.
//!
//! `full_ring write FOLDER` writes a dump with a pool log of 65,536 records with 50 frames each, and its
//! symbols. `full_ring serve FOLDER` decodes that log once for each line of standard input, and prints two
//! times in nanoseconds: for decoding, and for decoding with the name of every frame.

use std::hint::black_box;
use std::io::{self, BufRead as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Instant;

use verifier_benches::inputs;
use verifier_core::render::Names;
use verifier_host::Session;
use verifier_host::symbols::SymbolPath;
use verifier_synth::DumpKind;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let usage = "usage: full_ring write|serve FOLDER";
    let [what, folder] = arguments.as_slice() else { return Err(usage.into()) };
    let folder = PathBuf::from(folder);
    match what.as_str() {
        "write" => {
            std::fs::create_dir_all(&folder)?;
            inputs::save(&folder, &inputs::full_ring().assemble().sample(DumpKind::BitmapKernel))?;
            Ok(())
        }
        "serve" => serve(&folder),
        _ => Err(usage.into()),
    }
}

fn serve(folder: &Path) -> Result<()> {
    let mut symbols = SymbolPath::new();
    symbols.push_plain(folder.join("symbols"));
    let session = Session::open(&folder.join("memory.dmp"), symbols)?;
    for line in io::stdin().lock().lines() {
        line?;
        let start = Instant::now();
        let log = black_box(session.pool_log(None, None)?);
        let decoded = start.elapsed();
        let names = Names::new(session.kernel()?);
        for &frame in log.all_frames() {
            black_box(names.get(frame));
        }
        let named = start.elapsed();
        let mut out = io::stdout();
        writeln!(out, "{} {}", decoded.as_nanos(), named.as_nanos())?;
        out.flush()?;
    }
    Ok(())
}
