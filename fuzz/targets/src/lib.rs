//! What each fuzz target does, as a plain function of bytes.
//!
//! `fuzz/fuzz_targets` hands these to libFuzzer on nightly; `tests/replay.rs` hands them the files of
//! `fuzz/regressions` on stable, so that what was once found is tested for good. A target holds if it
//! returns: a panic, a time-out or memory beyond the limit is what the fuzzer looks for.
//!
//! Half of the targets take their bytes as they are. The others read them as a list of changes
//! (`machine`) to a dump that `verifier-synth` made: random bytes would not get past the header.

mod bytes;
mod kernel;
mod machine;
mod physical;
mod symbols;
mod views;

pub use kernel::{kernel, ring};
pub use machine::rich_machine;
pub use physical::{dump_header, paging};
pub use symbols::{isf, names, pdb};
pub use views::{pool_pages, render, session};

/// A target: takes any bytes, and returns.
pub type Target = fn(&[u8]);

/// Every target by name.
pub const TARGETS: [(&str, Target); 10] = [
    ("dump_header", dump_header),
    ("paging", paging),
    ("pdb", pdb),
    ("isf", isf),
    ("names", names),
    ("kernel", kernel),
    ("ring", ring),
    ("pool_pages", pool_pages),
    ("render", render),
    ("session", session),
];

/// Inputs to begin with, for targets whose grammar random bytes seldom meet.
pub fn seeds(target: &str) -> Vec<Vec<u8>> {
    match target {
        "dump_header" => machine::headers(),
        "isf" => machine::tables(),
        "names" => [
            "?f@?$v@V?$s@DU?$t@D@std@@V?$a@D@2@@std@@@std@@QEAAPEAV?$s@DU?$t@D@std@@@2@AEBV32@@Z",
            "??BFoo@@QEBAP6AXHH@ZP6AX00@ZP6AX11@ZXZ",
            "?x@?1??f@@YAXXZ@4HA",
            "_Name@8",
        ]
        .map(|name| name.as_bytes().to_vec())
        .to_vec(),
        "pdb" => vec![symbols::SMALL_PDB.to_vec(), vec![1], vec![3], vec![5]],
        // Every machine unchanged.
        "pool_pages" | "render" | "session" => {
            (0..machine::count()).map(|i| vec![i, 0, 0, 0]).collect()
        }
        _ => Vec::new(),
    }
}

/// Keeps libFuzzer's own panic hook from ending the process where the library catches a foreign crate's
/// panic; one that nobody catches still does.
pub fn quiet_caught_panics() {
    std::panic::set_hook(Box::new(|info| {
        // Caught in `verifier_core::types` and `verifier_core::symbols`.
        let caught = ["/pdb-", "/msvc-demangler-"];
        let is_caught =
            info.location().is_some_and(|at| caught.iter().any(|name| at.file().contains(name)));
        if !is_caught {
            eprintln!("{info}");
        }
    }));
}
