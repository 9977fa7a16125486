//! Python's door to `verifier-host`: conversions, and nothing that a Rust user would miss.
//!
//! | file | is |
//! |---|---|
//! | `errors` | the one way from an error to an exception |
//! | `work` | runs Rust without the GIL, and brings back what a callback raised |
//! | `memory` | a Python object with `read` as the memory of a kernel |
//! | `symbols` | what `symbols=` may be, and who is told of downloads |
//! | `session` | `Session` and `Dump`, the classes with the views |
//! | `info` | `info()`, `settings()`, `flags()`: documents |
//! | `views` | records of each view as Arrow columns: one function for each table |
//! | `arrow` | columns, and the dictionary of symbols |
//! | `table` | `Table`, its subclasses, and the Arrow capsules |
//! | `rows` | Arrow columns as Python records and dicts |
//! | `html` | a table for a notebook |
//!
//! To add a view: a function in `views` that makes columns, a `NamedTuple` in
//! `python/verifier_py/_records.py` for its rows, a method in `session`, and its line in the stub.

mod arrow;
mod errors;
mod html;
mod info;
mod memory;
mod rows;
mod session;
mod symbols;
mod table;
mod views;
mod work;

use pyo3::prelude::*;

#[pymodule]
mod _verifier_py {
    #[pymodule_export]
    use crate::info::flags;
    #[pymodule_export]
    use crate::session::{Dump, Session, demo, open};
    #[pymodule_export]
    use crate::table::{Flags, Log, Table};
}
