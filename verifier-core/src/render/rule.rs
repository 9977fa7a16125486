//! A rule that Verifier checks, as JSON and text.

use std::io;

use serde::Serialize;

use super::json::{RowDoc, write_json};
use crate::describe::{Table, columns};
use crate::dump::BugCheck;
use crate::verifier::{FLAGS, Rule, explain_bug_check};

/// The description of a rule.
pub static RULE: Table<'static, Rule> = Table::new(
    "Rule",
    "A rule that Verifier checks: parameter 1 of bug checks 0xC4 and 0x1C4.",
    columns!(|rule: Rule| {
        /// Its number.
        id: U32 => rule.id,
        /// Its name.
        name: Text => rule.name,
        /// What it demands.
        condition: Text => rule.condition,
        /// The options that check it.
        options: Text => rule.options,
        /// Where Microsoft documents it.
        page: Text, optional => rule.page(),
    }),
);

/// Writes the `rule` document.
///
/// # Errors
/// Those of the writer.
pub fn write_rule_json(out: &mut dyn io::Write, rule: Rule) -> io::Result<()> {
    #[derive(Serialize)]
    struct Doc<R> {
        rule: R,
        problems: [(); 0],
    }
    write_json(out, &Doc { rule: RowDoc::new(&RULE, rule, None), problems: [] })
}

/// Writes a rule: its name, what it demands, what checks it, where it is documented.
///
/// # Errors
/// Those of the writer.
pub fn write_rule_text(out: &mut dyn io::Write, rule: Rule) -> io::Result<()> {
    writeln!(out, "{} ({:#x}): {}", rule.name, rule.id, rule.condition)?;
    let option = |name: &str| match FLAGS.iter().find(|flag| flag.name == name) {
        Some(flag) => format!("{name} ({:#x})", flag.bit),
        None => name.to_owned(),
    };
    let options: Vec<String> = rule.options.split(", ").map(option).collect();
    writeln!(out, "Checked by      {}", options.join(", "))?;
    let page = rule.page().unwrap_or_else(|| "Microsoft does not document it".into());
    writeln!(out, "Documented at   {page}")?;
    writeln!(out, "Bug check       0xc4 or 0x1c4 with parameter 1 {:#x}", rule.id)
}

/// Why a rule cannot be shown: what the number is instead, and the rules whose numbers are nearest.
#[must_use]
pub fn unknown_rule(text: &str, id: Option<u64>) -> String {
    let Some(id) = id else { return format!("no rule is called {text:?}") };
    let nearest = Rule::nearest(id, 3);
    let nearest: Vec<_> = nearest.iter().map(|r| format!("{:#x} {}", r.id, r.name)).collect();
    let nearest = nearest.join(", ");
    let said = explain_bug_check(&BugCheck { code: 0xc4, parameters: [id, 0, 0, 0] });
    match said.filter(|said| said.is_known) {
        Some(said) => format!(
            "{id:#x} is not a rule, but a check of bug check 0xc4: {}; the first rule is {}",
            said.meaning,
            Rule::all().next().map(|r| format!("{:#x} {}", r.id, r.name)).unwrap_or_default()
        ),
        None => format!("no rule has the number {id:#x}; the nearest are {nearest}"),
    }
}
