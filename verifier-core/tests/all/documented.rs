//! `docs/json.md` lists the fields of every record as they are described. If a description changed, this writes the
//! list anew: `BLESS=1 cargo test -p verifier-core --test all documented`.

use std::fmt::Write as _;
use std::path::Path;

use verifier_core::describe::{Kind, Table};
use verifier_core::render::rows::*;
use verifier_core::verifier::log::{EventKind, WatchedIrp};

const BEGIN: &str = "<!-- records: made out of the descriptions -->\n";
const END: &str = "<!-- end of records -->\n";

fn value(kind: Kind) -> String {
    match kind {
        Kind::Address => "address".into(),
        Kind::Physical => "physical address".into(),
        Kind::U32 | Kind::U64 | Kind::Bits => "number".into(),
        Kind::I64 => "number, may be negative".into(),
        Kind::Bool => "true or false".into(),
        Kind::Text | Kind::Word => "text".into(),
        Kind::OneOf(words) => {
            let words: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
            words.join(", ")
        }
        Kind::Tag => "pool tag".into(),
        Kind::Symbol => "symbol".into(),
        Kind::SourceFile => "path".into(),
        Kind::SourceLine => "number".into(),
        Kind::Frames => "[frame]".into(),
        Kind::Trail => "[text]".into(),
        Kind::Addresses => "[address]".into(),
        Kind::Object => "{…}".into(),
        Kind::List => "[{…}]".into(),
        other => panic!("{other:?} has no words in docs/json.md"),
    }
}

fn section<R>(out: &mut String, table: &Table<'_, R>) {
    writeln!(
        out,
        "### {}\n{}\n\n| field | value | meaning |\n|---|---|---|",
        table.name, table.doc
    )
    .unwrap();
    for column in table.documented() {
        let null = if column.is_optional { ", or null" } else { "" };
        let value = value(column.kind);
        writeln!(out, "| `{}` | {value}{null} | {} |", column.name, column.doc).unwrap();
    }
    out.push('\n');
}

fn records() -> String {
    let mut out = String::new();
    section(&mut out, &ParameterRow::TABLE);
    section(&mut out, &CulpritRow::TABLE);
    section(&mut out, &RULE);
    section(&mut out, &DriverRow::TABLE);
    section(&mut out, &IMAGE);
    section(&mut out, &AllocationRow::TABLE);
    section(&mut out, &CarvedAllocationRow::TABLE);
    section(&mut out, &POOL_STACK);
    section(&mut out, &PoolRow::TABLE);
    section(&mut out, &CarvedRow::TABLE);
    for kind in EventKind::ALL {
        section(&mut out, &kind.table());
    }
    section(&mut out, &WatchedIrp::TABLE);
    section(&mut out, &AllocationRow::outstanding_table());
    section(&mut out, &LifetimeRow::TABLE);
    section(&mut out, &NEIGHBOR);
    section(&mut out, &LeakGroup::TABLE);
    section(&mut out, &AllocationRow::block_table());
    section(&mut out, &AllocationRow::flat_table());
    section(&mut out, &DiffRow::TABLE);
    section(&mut out, &ResourceRow::TABLE);
    section(&mut out, &THREAD);
    section(&mut out, &NodeRow::TABLE);
    section(&mut out, &EDGE);
    section(&mut out, &STEP);
    out
}

#[test]
fn every_field_is_documented() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/json.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(BEGIN).expect("docs/json.md has the begin of the records");
    let (listed, after) = rest.split_once(END).expect("docs/json.md has the end of the records");
    let records = records();
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&path, format!("{before}{BEGIN}{records}{END}{after}")).unwrap();
    } else {
        assert!(listed == records, "docs/json.md is not fresh; BLESS=1 makes it so");
    }
}
