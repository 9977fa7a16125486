//! The Python package's classes of rows, made from the descriptions in `verifier-core`: this test fails if
//! they are not fresh. `BLESS=1 cargo test -p verifier-py` writes them.
#![allow(clippy::unwrap_used)]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use verifier_core::describe::{Column, Kind, Table};
use verifier_core::render::rows::{
    AllocationRow, BlockRow, CarvedAllocationRow, CarvedRow, DiffRow, DriverRow, IMAGE, LeakGroup,
    LifetimeRow, NEIGHBOR, POOL_STACK, PoolRow,
};
use verifier_core::verifier::log::{LogKind, WatchedIrp};

/// The classes of all tables' rows.
fn classes() -> Vec<(String, String)> {
    let mut classes = vec![
        class(&AllocationRow::table()),
        class(&AllocationRow::contiguous_table()),
        class(&AllocationRow::outstanding_table()),
        class(&BlockRow::block_table()),
        class(&BlockRow::flat_table()),
        class(&CarvedAllocationRow::TABLE),
        class(&CarvedRow::TABLE),
        class(&DiffRow::TABLE),
        class(&DriverRow::TABLE),
        class(&IMAGE),
        class(&LeakGroup::TABLE),
        class(&LifetimeRow::TABLE),
        class(&NEIGHBOR),
        class(&POOL_STACK),
        class(&PoolRow::TABLE),
        class(&WatchedIrp::TABLE),
    ];
    classes.extend(LogKind::all().filter_map(|kind| match kind {
        LogKind::Event(kind) => Some(class(&kind.table())),
        _ => None,
    }));
    classes.sort();
    classes
}

/// A class by its name, and its text.
fn class<R>(table: &Table<'_, R>) -> (String, String) {
    let mut text =
        format!("class {}(NamedTuple):\n    \"\"\"{}\"\"\"\n\n", table.name, rst(table.doc));
    for column in table.in_tables() {
        // Tuples have a method of that name.
        let note = if column.name == "count" { "  # type: ignore[assignment]" } else { "" };
        let _ = writeln!(text, "    {}: {}{note}", column.name, kind(column));
        for line in wrapped(&format!("\"\"\"{}{}\"\"\"", rst(column.doc), words(column.kind))) {
            let _ = writeln!(text, "    {line}");
        }
    }
    if table.name == LeakGroup::TABLE.name {
        text.push_str("    allocations: tuple[LeakedBlock, ...]\n    \"\"\"Its blocks.\"\"\"\n");
    }
    let _ =
        write!(text, "\n    def __repr__(self) -> str:\n        return {}\n", shown(table.name));
    (table.name.to_owned(), text)
}

/// What the text of a record shows: of a group not all, because a group may have thousands of blocks.
fn shown(name: &str) -> &'static str {
    match name {
        "LeakGroup" => "_repr(self, \"label\", \"tag\", \"driver\", \"count\", \"bytes\")",
        "DiffGroup" => "_repr(self, \"label\", \"tag\", \"growth\")",
        _ => "_repr(self)",
    }
}

/// The Python type of a column.
fn kind<R>(column: &Column<R>) -> String {
    let kind = match column.kind {
        Kind::Address | Kind::Physical | Kind::Bits => "Address",
        Kind::U32 | Kind::U64 | Kind::I64 => "int",
        Kind::Bool => "bool",
        Kind::Frames => "tuple[Frame, ...]",
        Kind::Trail => "tuple[str, ...]",
        Kind::Addresses => "tuple[Address, ...]",
        Kind::List => "tuple[Image, ...]",
        Kind::Object if column.name == "counters" => "Mapping[str, int]",
        Kind::Object => "Total",
        Kind::Symbol => return "str | None".into(),
        Kind::SourceLine => "int",
        _ => "str",
    };
    if column.is_optional { format!("{kind} | None") } else { kind.to_owned() }
}

/// The words that a column may have, as a sentence.
fn words(kind: Kind) -> String {
    let Kind::OneOf(words) = kind else { return String::new() };
    let quoted: Vec<String> = words.iter().map(|word| format!("``{word}``")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => {
            format!(" One of {} and {last}.", rest.join(", "))
        }
        Some((only, _)) => format!(" Always {only}."),
        None => String::new(),
    }
}

/// A sentence of Rust's documentation in that of Python.
fn rst(doc: &str) -> String {
    doc.replace('`', "``").replace(" null ", " ``None`` ").replace("; null", "; ``None``")
}

/// Lines of at most 100 characters.
fn wrapped(text: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last_mut().unwrap();
        if !line.is_empty() && line.len() + 1 + word.len() > 100 {
            lines.push(word.to_owned());
        } else {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}

fn rows_py() -> String {
    let classes = classes();
    let mut text = String::from(
        "\"\"\"Named tuples for the rows of tables.\n\n\
         Made from the descriptions in verifier-core by ``BLESS=1 cargo test -p verifier-py``; do not edit.\n\
         \"\"\"\n\n\
         from __future__ import annotations\n\n\
         from collections.abc import Mapping\nfrom typing import NamedTuple\n\n\
         from ._values import Address, Frame, Total, _repr\n\n\
         __all__ = [\n",
    );
    for (name, _) in &classes {
        let _ = writeln!(text, "    \"{name}\",");
    }
    text.push_str("]\n");
    for (_, class) in &classes {
        let _ = write!(text, "\n\n{class}");
    }
    text
}

/// The overloads of `Session.log`, one for each log.
fn log_overloads() -> String {
    let mut text = String::new();
    for kind in LogKind::all() {
        let (note, result) = match kind {
            LogKind::Pool => ("", format!("Log[_rows.{}]", PoolRow::TABLE.name)),
            LogKind::Event(kind) => ("", format!("Log[_rows.{}]", kind.record_name())),
            _ => (
                "  # type: ignore[overload-overlap]  # any other word is a log's",
                "WatchedIrps".into(),
            ),
        };
        let _ = write!(
            text,
            "    @overload\n    def log({note}\n        self,\n        kind: Literal[\"{}\"],\n        *,\n        \
             last: int | None = None,\n        address: int | None = None,\n        \
             carve: Literal[False] = False,\n        range: None = None,\n    ) -> {result}: ...\n",
            kind.name(),
        );
    }
    text
}

fn package(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("python/verifier_py").join(name)
}

/// Compares a file with what it should be, or writes it.
fn check(path: &Path, wanted: &str) {
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(path, wanted).unwrap();
    }
    let found = std::fs::read_to_string(path).unwrap_or_default();
    assert!(found == wanted, "{} is not fresh: BLESS=1 cargo test -p verifier-py", path.display());
}

#[test]
fn the_classes_of_rows_are_fresh() {
    check(&package("_rows.py"), &rows_py());
}

/// Compares what is made within a file with what it should be, or writes it.
fn check_part(path: &Path, made: &str, wanted: &str) {
    let start = format!("    # Made by `BLESS=1 cargo test -p verifier-py`: {made}.\n");
    let end = "    # The end of what is made.\n";
    let text = std::fs::read_to_string(path).unwrap();
    let (before, rest) = text.split_once(&start).unwrap();
    let (_, after) = rest.split_once(end).unwrap();
    check(path, &format!("{before}{start}{wanted}{end}{after}"));
}

#[test]
fn the_package_exports_every_class() {
    let names = classes().into_iter().map(|(name, _)| format!("    \"{name}\",\n"));
    check_part(&package("__init__.py"), "the classes of rows", &names.collect::<String>());
}

#[test]
fn the_stub_has_an_overload_for_each_log() {
    let path = package("_verifier_py.pyi");
    check_part(&path, "one overload for each log", &log_overloads());
}
