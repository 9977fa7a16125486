//! A table for a notebook. All text out of a dump is escaped.

use std::fmt::Write as _;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type, UInt32Type, UInt64Type};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field};
use pyo3::prelude::*;
use verifier_core::render::escape_html;
use verifier_core::{Extent, Problem};

use crate::answer::note;
use crate::arrow::is_hex;

/// Rows that are shown.
const ROWS: usize = 20;
/// Items of a list that are shown.
const ITEMS: usize = 4;
/// Problems that are shown.
const PROBLEMS: usize = 5;

/// A table, its first rows, why it has none, whether it is complete, and its problems.
pub(crate) fn table(
    name: &str,
    batch: &RecordBatch,
    problems: &[Problem],
    empty_because: Option<&str>,
    extent: Extent,
) -> String {
    let mut out = String::new();
    let schema = batch.schema();
    out.push_str("<table><thead><tr>");
    for field in schema.fields() {
        let _ = write!(out, "<th>{}</th>", escape_html(field.name()));
    }
    out.push_str("</tr></thead><tbody>");
    for row in 0..batch.num_rows().min(ROWS) {
        out.push_str("<tr>");
        for (field, array) in schema.fields().iter().zip(batch.columns()) {
            let _ = write!(out, "<td>{}</td>", cell(field, array, row));
        }
        out.push_str("</tr>");
    }
    out.push_str("</tbody></table>");
    let rows = batch.num_rows();
    let shown = if rows > ROWS { format!(", the first {ROWS} shown") } else { String::new() };
    let _ = write!(
        out,
        "<p>{}: {rows} {}{shown}{}{}</p>",
        escape_html(name),
        if rows == 1 { "row" } else { "rows" },
        empty_because.map(|why| format!("; {}", escape_html(why))).unwrap_or_default(),
        note(extent)
    );
    if !problems.is_empty() {
        let _ = write!(out, "<details><summary>problems: {}</summary><ul>", problems.len());
        for problem in problems.iter().take(PROBLEMS) {
            let _ = write!(out, "<li>{}</li>", escape_html(&problem.to_string()));
        }
        if problems.len() > PROBLEMS {
            let _ = write!(out, "<li>and {} more</li>", problems.len() - PROBLEMS);
        }
        out.push_str("</ul></details>");
    }
    out
}

/// One value, as HTML.
fn cell(field: &Field, array: &ArrayRef, row: usize) -> String {
    if array.is_null(row) {
        return String::new();
    }
    match field.data_type() {
        DataType::UInt32 => number(field, array.as_primitive::<UInt32Type>().value(row).into()),
        DataType::UInt64 => number(field, array.as_primitive::<UInt64Type>().value(row)),
        DataType::Int64 => array.as_primitive::<Int64Type>().value(row).to_string(),
        DataType::Boolean => array.as_boolean().value(row).to_string(),
        DataType::Utf8 => escape_html(array.as_string::<i32>().value(row)),
        DataType::Dictionary(..) => {
            let dictionary = array.as_dictionary::<Int32Type>();
            let words = dictionary.values().as_string::<i32>();
            let key = usize::try_from(dictionary.keys().value(row)).unwrap_or(usize::MAX);
            if key < words.len() { escape_html(words.value(key)) } else { String::new() }
        }
        DataType::List(item) => {
            let items = array.as_list::<i32>().value(row);
            let mut lines: Vec<String> =
                (0..items.len().min(ITEMS)).map(|i| cell(item, &items, i)).collect();
            if items.len() > ITEMS {
                lines.push(format!("… {} more", items.len() - ITEMS));
            }
            lines.join("<br>")
        }
        DataType::Struct(fields) => {
            let columns = array.as_struct().columns();
            // A frame is its symbol, or its address where it has none.
            if let [address, symbol, ..] = columns
                && fields[1].name() == "symbol"
            {
                let (field, column) =
                    if is_null(symbol, row) { (&fields[0], address) } else { (&fields[1], symbol) };
                return cell(field, column, row);
            }
            // Of a block in a list the address is enough.
            if let [address, _, ..] = columns
                && fields[0].name() == "address"
            {
                return cell(&fields[0], address, row);
            }
            let values = fields.iter().zip(columns).filter(|(_, column)| {
                // Counters that are zero say little.
                column.as_primitive_opt::<UInt64Type>().is_none_or(|n| n.value(row) != 0)
            });
            let values: Vec<String> = values
                .map(|(field, column)| {
                    format!("{} {}", escape_html(field.name()), cell(field, column, row))
                })
                .collect();
            values.join("<br>")
        }
        _ => String::new(),
    }
}

fn is_null(array: &ArrayRef, row: usize) -> bool {
    array.is_null(row)
}

fn number(field: &Field, value: u64) -> String {
    if is_hex(field) { format!("{value:#x}") } else { value.to_string() }
}

/// Text from a dump, with its markup escaped.
#[pyfunction]
#[pyo3(name = "escape_html")]
pub(crate) fn escape(text: &str) -> String {
    escape_html(text)
}
