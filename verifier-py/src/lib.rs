//! Python's door to `verifier-host`: conversions, and nothing that a Rust user would miss.
//!
//! | file | is |
//! |---|---|
//! | `errors` | the one way from an error to an exception |
//! | `work` | runs Rust without the GIL, and brings back what a callback raised |
//! | `memory` | a Python object with `read` as the memory of a kernel |
//! | `source` | what a session is over, and the search for the kernel in it |
//! | `symbols` | what `symbols=` may be, and who is told of downloads |
//! | `session` | `Session`, the class with the views |
//! | `open` | `Dump`, a session over a file |
//! | `document` | what Rust describes with serde as dicts and lists |
//! | `info` | `info()`, `settings()`, `flags()`: documents |
//! | `views` | records of each view as Arrow columns: one function for each table |
//! | `facts` | what is known of all rows of a table |
//! | `carve` | what was found without lists, likewise |
//! | `leaks`, `diff` | `Leaks` and `Diff`: tables of groups, and their texts |
//! | `text` | results that are text: the debugger's, Markdown, SVG, HTML |
//! | `arrow` | columns, and the dictionary of symbols |
//! | `table` | `Table`, and the Arrow capsules |
//! | `pickle` | Arrow columns as plain values, and back |
//! | `rows` | Arrow columns as Python records and dicts |
//! | `html` | a table for a notebook |
//!
//! To add a view: a function in `views` that makes columns, a `NamedTuple` in
//! `python/verifier_py/_records.py` for its rows, a class in `_tables.py` where there are facts about all
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

    /// The names of the logs stand in the module, so that a program can go through them.
    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))?;
        module.add("LOGS", PyTuple::new(module.py(), crate::logs::kinds())?)
    }
}
