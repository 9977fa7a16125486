//! Lists, trees, strings, blocks and rings over memory that holds anything.

use std::sync::Arc;

use verifier_core::internals::{
    AvlLayout, SlistForm, first_entry, read_unicode_string, walk_avl, walk_list, walk_slist,
};
use verifier_core::kernel::{AddressSpace, DataBlockKeys, DebuggerData, Hints, Kernel};
use verifier_core::machine::Machine;
use verifier_core::memory::{FromFn, Memory, SparsePages};
use verifier_core::render::{Names, text, write_pool_log_csv, write_pool_log_json};
use verifier_core::symbols::ImageHeaders;
use verifier_core::types::{Literals, Shape};
use verifier_core::verifier::log::{PoolLog, Ring};
use verifier_core::{Va, symbols::SymbolKind, symbols::SymbolTable};

use crate::bytes::{Input, block, words};
use crate::machine::limits;

const BASE: u64 = 0xffff_8000_0010_0000;

fn pointer() -> Shape {
    Shape::Pointer(8)
}

/// Every walk, from anywhere in such memory.
pub fn kernel(data: &[u8]) {
    let mut input = Input(data);
    let (machine, base) = match input.u8() % 4 {
        0 => (Machine::X86, 0x8000_0000),
        1 => (Machine::Arm64, BASE),
        _ => (Machine::X64, BASE),
    };
    let what = input.u8();
    let start = Va(base + u64::from(input.u16() % 0x400));
    let memory = if what & 0x80 == 0 { words(input.0, base) } else { input.0.to_vec() };
    let end = memory.len() as u64;
    let reader = FromFn::new(move |at: Va, buf: &mut [u8]| block(&memory, base, at.0, buf));
    let space = AddressSpace::new(Arc::new(reader), machine);
    let limits = limits();
    let bounded = |count: usize| assert!(count as u64 <= end, "{count} elements in {end} bytes");
    match what & 0x7f {
        0..=15 => bounded(walk_list(&space, start, "list", &limits).entries.len()),
        16..=31 => {
            let links = [("LeftChild", 8, pointer()), ("RightChild", 16, pointer())];
            let table = [
                (
                    "BalancedRoot",
                    0,
                    Shape::Named { name: "_RTL_BALANCED_LINKS".into(), size: None },
                ),
                ("NumberGenericTableElements", 0x2c, Shape::Unsigned(4)),
            ];
            let types = Literals::new().with_type("_RTL_BALANCED_LINKS", 0x20, &links).with_type(
                "_RTL_AVL_TABLE",
                0x68,
                &table,
            );
            let Ok(layout) = AvlLayout::from_types(&types) else { return };
            bounded(walk_avl(&space, start, &layout, "tree", &limits).entries.len());
        }
        32..=63 => {
            for form in [
                SlistForm::Pointer32,
                SlistForm::Header8,
                SlistForm::ByHeaderType,
                SlistForm::Header16,
            ] {
                if let Ok(first) = first_entry(&space, start, form) {
                    bounded(walk_slist(&space, first, "slist", &limits).entries.len());
                }
            }
        }
        64..=71 => {
            let _ = read_unicode_string(&space, start, &limits);
        }
        72..=79 => {
            let keys =
                DataBlockKeys { wait_never: start.0, wait_always: end, encoded_flag: Va(base) };
            let _ = DebuggerData::read(&space, start, None);
            let _ = DebuggerData::read(&space, start, Some(&keys));
        }
        80..=103 => {
            if let Ok(headers) = ImageHeaders::read(space.memory(), Va(base)) {
                let _ = headers.pdb_id(space.memory());
                let _ = headers.exports(space.memory(), &mut 1024).map(|table| table.len());
            }
        }
        _ => {
            let hints = Hints {
                build: Some(u32::from(what)),
                ps_loaded_module_list: Some(start),
                kd_debugger_data_block: Some(start.add(0x40)),
                ..Hints::default()
            };
            let Ok(kernel) = Kernel::open_with(space, hints, limits) else { return };
            let _ = kernel.wanted_symbols().iter().map(ToString::to_string).count();
            let _ = text::write_modules(&mut std::io::sink(), &kernel);
            let _ = kernel.symbolize(start).map(|name| name.to_string());
        }
    }
}

/// A ring of any geometry over such memory, and the pool log as every renderer shows it.
pub fn ring(data: &[u8]) {
    let mut input = Input(data);
    let (index, length, array) = (input.u32(), input.u32(), BASE + u64::from(input.u16()));
    let stride = u64::from(input.u16());
    let frames = u64::from(input.u8() % 64);
    let globals =
        [array.to_le_bytes(), (u64::from(index) | u64::from(length) << 32).to_le_bytes()].concat();
    let memory = words(input.0, BASE);
    let list = BASE - 0x10_0000;
    // A kernel of one module whose globals are after its list entry.
    let head = SparsePages::new()
        .with(Va(list), &[(list + 0x100).to_le_bytes(); 2].concat())
        .with(Va(list + 0x100), &[[list.to_le_bytes(); 2].concat(), vec![0; 0x90]].concat())
        .with(Va(list + 0x130), &list.to_le_bytes())
        .with(Va(list + 0x140), &0x1000_u32.to_le_bytes())
        .with(Va(list + 0x200), &globals);
    let reader = FromFn::new(move |at: Va, buf: &mut [u8]| {
        if at.0 >= BASE {
            return block(&memory, BASE, at.0, buf).map_err(str::to_string);
        }
        head.read_in_page(at, buf).map(|_| ()).map_err(|fault| fault.to_string())
    });
    let space = AddressSpace::new(Arc::new(reader), Machine::X64);
    let hints = Hints { ps_loaded_module_list: Some(Va(list)), ..Hints::default() };
    let Ok(kernel) = Kernel::open_with(space, hints, limits()) else { return };
    let mut seen = 0u64;
    let told = Ring::new("ring", Va(array), index, length, stride).for_each(&kernel, |_, bytes| {
        assert_eq!(bytes.len() as u64, stride);
        seen += 1;
        true
    });
    assert!(seen + told.missing <= u64::from(length));
    let size = 24 + 8 * frames;
    let stack = Shape::Array { element: Box::new(pointer()), size: 8 * frames, count: frames };
    let trace = [
        ("Address", 0, pointer()),
        ("Size", 8, Shape::Unsigned(8)),
        ("Thread", 16, pointer()),
        ("StackTrace", 24, stack),
    ];
    let types = Literals::new()
        .with_type("_VF_POOL_TRACE", if stride == 0 { 0 } else { size }, &trace)
        .with_symbol("VfPoolTraces", 0x200)
        .with_symbol("VfPoolTracesIndex", 0x208)
        .with_symbol("VfPoolTracesLength", 0x20c);
    kernel.supply_types(Arc::new(types));
    let mut table = SymbolTable::builder(false);
    table.add(verifier_core::Rva(0x200), "VeAllocatePool", SymbolKind::Public);
    kernel.supply_table(0, verifier_core::kernel::SymbolSource::Table, Arc::new(table.finish()));
    let Ok(log) = PoolLog::read(&kernel, None) else { return };
    let names = Names::new(&kernel);
    let sink = &mut std::io::sink();
    let _ = text::write_pool_log(sink, &log, &names);
    let _ = write_pool_log_json(sink, &log, &names);
    let _ = write_pool_log_csv(sink, &log, &names);
}
