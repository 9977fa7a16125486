//! Functions that link-time code generation inlined across modules: their ids are imports of the module.
//! No linker here makes such a PDB, so one is changed into it, and compared with pdb-addr2line.

use std::sync::Arc;

use pdb_addr2line::pdb;
use verifier_benches::large_pdb::{DEBUG, PAGE, file, streams};
use verifier_core::Rva;
use verifier_core::symbols::SymbolLookup as _;
use verifier_core::types::Pdb;
use verifier_synth::{Linked, MachineType};

/// Records of the debug information stream: after its header, 64 bytes, two texts, padding.
const RECORDS: usize = 64;
const STREAM: usize = 34;
const LINES: usize = 44;

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// Where each module's record is, and the module's name.
fn modules(debug: &[u8]) -> Vec<(usize, String)> {
    let end = RECORDS + word(debug, 24) as usize;
    let (mut at, mut modules) = (RECORDS, Vec::new());
    while at < end {
        let mut texts = debug[at + 64..].split(|&byte| byte == 0);
        let (name, archive) = (texts.next().unwrap(), texts.next().unwrap());
        modules.push((at, String::from_utf8(name.to_vec()).unwrap()));
        at = (at + 64 + name.len() + archive.len() + 2).next_multiple_of(4);
    }
    modules
}

/// Adds a subsection to the line information of the module whose record is at `at`.
fn add_subsection(streams: &mut [Vec<u8>], at: usize, kind: u32, data: &[u32]) {
    let debug = &mut streams[DEBUG];
    let stream = usize::from(u16::from_le_bytes([debug[at + STREAM], debug[at + STREAM + 1]]));
    let (symbols, older, lines) =
        (word(debug, at + 36), word(debug, at + 40), word(debug, at + LINES));
    let added = words(&[&[kind, 4 * data.len() as u32], data].concat());
    debug[at + LINES..at + LINES + 4].copy_from_slice(&(lines + added.len() as u32).to_le_bytes());
    let end = (symbols + older + lines) as usize;
    streams[stream].splice(end..end, added);
}

#[test]
fn a_function_that_was_inlined_across_modules_has_its_name() {
    let linked = Linked::leaky(MachineType::X64);
    let call = linked.call(&["PoolAllocate", "DriverEntry"], 0) - 1;
    let mut streams = streams(linked.pdb);
    let all = modules(&streams[DEBUG]);
    let (entry, queue) = (all[0].0, &all[1]);
    let debug = &streams[DEBUG];
    let module = usize::from(debug[entry + STREAM]);

    // The id of the inlined allocator: the operand of the first inline site.
    let site = streams[module].windows(2).position(|kind| kind == [0x4d, 0x11]).unwrap();
    let id = word(&streams[module], site + 10);
    let (old, new) = (id.to_le_bytes(), 0x8000_0000u32.to_le_bytes());
    let mut at = 0;
    while at + 4 <= streams[module].len() {
        if streams[module][at..at + 4] == old {
            streams[module][at..at + 4].copy_from_slice(&new);
        }
        at += 2;
    }

    // The name of the other module, in other case, at the end of the texts.
    let names = streams.iter().position(|stream| stream.starts_with(&words(&[0xeffe_effe])));
    let names = &mut streams[names.unwrap()];
    let offset = word(names, 8);
    let text = [queue.1.to_uppercase().as_bytes(), &[0]].concat();
    names[8..12].copy_from_slice(&(offset + text.len() as u32).to_le_bytes());
    names.splice(12 + offset as usize..12 + offset as usize, text);

    let queue = queue.0;
    add_subsection(&mut streams, entry, 0xf7, &[offset, 1, 0x8000_0007]);
    add_subsection(&mut streams, queue, 0xf8, &[0x8000_0007, id]);
    let bytes = file(&linked.pdb[..PAGE], &streams);

    let ours = Pdb::parse("", Arc::new(bytes.clone())).unwrap();
    let before = Pdb::parse("", Arc::new(linked.pdb)).unwrap();
    let site = ours.source_site(Rva(call)).unwrap();
    assert_eq!(&*site.inlined[0].function, "PoolAllocate");
    assert_eq!(Some(site), before.source_site(Rva(call)));

    let source = pdb::PDB::open(std::io::Cursor::new(bytes)).unwrap();
    let data = pdb_addr2line::ContextPdbData::try_from_pdb(source).unwrap();
    let context = data.make_context().unwrap();
    let theirs = context.find_frames(call).unwrap().unwrap();
    let name = theirs.frames[0].function.as_deref().unwrap();
    assert!(name.contains("PoolAllocate"), "{name}");
}
