//! The Python interface of `verifier-host`. It only converts; all functions are in the Rust crates.
//!
//! | file | is |
//! |---|---|
//! | `errors` | converts errors to exceptions |
//! | `work` | runs Rust without the GIL, and returns the exception of a callback |
//! | `memory` | a Python object with `read` as the memory of a kernel |
//! | `source` | the memory of a session, and the search for the kernel in it |
//! | `symbols` | the values of `symbols=`, and the progress of downloads |
//! | `session` | `Session`, the class with the views |
//! | `open` | `Dump`, a session over a file |
//! | `document` | converts values that Rust serializes with serde to dicts and lists |
//! | `info` | `info()`, `settings()`, `flags()`: documents |
//! | `views` | records of each view as Arrow columns: one function for each table |
//! | `facts` | facts about all rows of a table |
//! | `carve` | data that were found without lists, as columns |
//! | `leaks`, `diff` | `Leaks` and `Diff`: tables of groups, and their texts |
//! | `text` | results that are text: the debugger's, Markdown, SVG, HTML |
//! | `arrow` | columns, and the dictionary of symbols |
//! | `table` | `Table`, and the Arrow capsules |
//! | `pickle` | Arrow columns as plain values, and back |
//! | `rows` | Arrow columns as Python records and dicts |
//! | `html` | a table for a notebook |
//!
//! To add a view: a function in `views` that makes columns, a `NamedTuple` in
//! `python/verifier_py/_records.py` for its rows, a class in `_tables.py` if there are facts about all
//! of them, a method in `session`, and its line in the stub.

mod answer;
mod arrow;
mod carve;
mod deadlock;
mod diff;
mod document;
mod errors;
mod facts;
mod html;
mod info;
mod leaks;
mod logs;
mod memory;
mod open;
mod pickle;
mod rows;
mod session;
mod source;
mod symbols;
mod table;
mod text;
mod views;
mod work;

use pyo3::prelude::*;

#[pymodule]
mod _verifier_py {
    use pyo3::prelude::*;
    use pyo3::types::PyTuple;

    #[pymodule_export]
    use crate::answer::{_completeness, _note, _require_complete};
    #[pymodule_export]
    use crate::diff::{Diff, diff};
    #[pymodule_export]
    use crate::html::escape;
    #[pymodule_export]
    use crate::info::flags;
    #[pymodule_export]
    use crate::leaks::Leaks;
    #[pymodule_export]
    use crate::open::{Dump, demo, open};
    #[pymodule_export]
    use crate::session::Session;
    #[pymodule_export]
    use crate::table::{_restore, Table};

    /// The names of the logs are in the module, so that a program can iterate over them.
    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))?;
        module.add("LOGS", PyTuple::new(module.py(), crate::logs::kinds())?)
    }
}
