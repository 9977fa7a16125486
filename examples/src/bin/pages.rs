//! `pages DUMP` lists the page frames in a dump, `pages DUMP PFN...` writes their bytes.
//! `compare_peers.py` uses it.

use std::io::Write as _;

use verifier_core::dump::Dump;
use verifier_core::{Pa, memory::Memory as _};
use verifier_host::{FileMode, open_file};

fn main() -> verifier_examples::Result<()> {
    let mut args = std::env::args().skip(1);
    let path = args.next().ok_or("usage: pages DUMP [PFN...]")?;
    let physical = Dump::open(open_file(path.as_ref(), FileMode::Map)?)?.physical()?;
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let frames: Vec<String> = args.collect();
    if frames.is_empty() {
        let mut next = physical.map().next_frame(0);
        while let Some(frame) = next {
            writeln!(out, "{frame:#x}")?;
            next = frame.checked_add(1).and_then(|from| physical.map().next_frame(from));
        }
    }
    for frame in frames {
        let frame = u64::from_str_radix(frame.trim_start_matches("0x"), 16)?;
        let mut page = [0; 0x1000];
        physical.read(Pa(frame * 0x1000), &mut page)?;
        out.write_all(&page)?;
    }
    Ok(())
}
