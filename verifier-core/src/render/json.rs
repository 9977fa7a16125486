//! JSON as `docs/json.md` describes it: snake_case names of the C fields, addresses as `"0x…"`,
//! counts and sizes as numbers, `problems` in every document. Documents are streamed; nothing is built in memory.

use std::borrow::Borrow;
use std::fmt::{self, Write as _};
use std::io;
use std::rc::Rc;
use std::sync::Arc;

use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};

use super::escape::JsonFormatter;
use super::names::Names;
use crate::addr::Va;
use crate::analysis::Total;
use crate::completeness::Completeness;
use crate::describe::{Object, Table, Value};
use crate::error::Problem;
use crate::symbols::InlinedFrame;
use crate::verifier::Counters;

/// A C name in snake_case: `PeakNonPagedBytes` is `peak_non_paged_bytes`, `IATInExecutableSection`
/// is `iat_in_executable_section`.
#[must_use]
pub fn to_snake_case(name: &str) -> String {
    let chars: Vec<char> = name.chars().collect();
    let mut out = String::with_capacity(name.len() + 8);
    let mut previous: Option<char> = None;
    for (i, &c) in chars.iter().enumerate() {
        if c.is_uppercase()
            && let Some(before) = previous
            && before != '_'
        {
            let next_lower = chars.get(i + 1).is_some_and(|next| next.is_lowercase());
            if !before.is_uppercase() || next_lower {
                out.push('_');
            }
        }
        out.extend(c.to_lowercase());
        previous = Some(c);
    }
    out
}

/// Writes any document as one line of JSON. Characters that a terminal would obey are escapes.
///
/// # Errors
/// Those of the writer.
pub fn write_json(out: &mut dyn io::Write, document: &impl Serialize) -> io::Result<()> {
    let mut serializer = serde_json::Serializer::with_formatter(&mut *out, JsonFormatter);
    document.serialize(&mut serializer).map_err(io::Error::from)?;
    out.write_all(b"\n")
}

/// A string in JSON; a number in formats that people do not read.
impl Serialize for Va {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            serializer.serialize_u64(self.0)
        }
    }
}

impl Serialize for Problem {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(4))?;
        map.serialize_entry("what", &self.what)?;
        map.serialize_entry("address", &self.address)?;
        map.serialize_entry("why", &self.why)?;
        map.serialize_entry("leaves", self.leaves.name())?;
        map.end()
    }
}

/// The end of every document: whether its answer is complete, and its problems.
#[derive(Serialize)]
pub struct Verdict<P> {
    complete: bool,
    extent: &'static str,
    incomplete_because: Vec<String>,
    problems: P,
}

impl<'a> Verdict<Vec<&'a Problem>> {
    /// The verdict on an answer with these problems.
    #[must_use]
    pub fn of(problems: impl IntoIterator<Item = &'a Problem>) -> Self {
        let problems: Vec<&Problem> = problems.into_iter().collect();
        Self::new(Completeness::of(problems.iter().copied()), problems)
    }
}

impl<P> Verdict<P> {
    /// The same for a document that shows its problems in another form.
    #[must_use]
    pub fn new(answer: Completeness, problems: P) -> Self {
        Self {
            complete: answer.is_complete(),
            extent: answer.extent.name(),
            incomplete_because: answer.because,
            problems,
        }
    }
}

impl Serialize for Counters {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer
            .collect_map(self.0.iter().map(|counter| (to_snake_case(&counter.name), counter.value)))
    }
}

/// A sequence made by a closure, so that no list is built first.
pub(super) struct Seq<F>(pub(super) F);

impl<F, I> Serialize for Seq<F>
where
    F: Fn() -> I,
    I: Iterator,
    I::Item: Serialize,
{
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut seq = serializer.serialize_seq(None)?;
        for item in (self.0)() {
            seq.serialize_element(&item)?;
        }
        seq.end()
    }
}

/// A record as an object: its description's fields, in order.
pub(super) struct RowDoc<'a, R, B> {
    table: &'a Table<'a, R>,
    row: B,
    /// Names of addresses, if the record shows any by name.
    names: Option<&'a Names<'a>>,
}

impl<'a, R, B: Borrow<R>> RowDoc<'a, R, B> {
    pub(super) fn new(
        table: &'a Table<'a, R>,
        row: B,
        names: impl Into<Option<&'a Names<'a>>>,
    ) -> Self {
        Self { table, row, names: names.into() }
    }
}

impl<R, B: Borrow<R>> Serialize for RowDoc<'_, R, B> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let columns = self.table.documented();
        let mut map = serializer.serialize_map(Some(columns.clone().count()))?;
        for column in columns {
            let value = column.value(self.row.borrow());
            map.serialize_entry(column.name, &ValueDoc(value, self.names))?;
        }
        map.end()
    }
}

/// Records as a list of objects.
pub(super) fn rows<'a, R: 'a, I>(
    table: &'a Table<'a, R>,
    rows: I,
    names: impl Into<Option<&'a Names<'a>>>,
) -> impl Serialize + 'a
where
    I: Iterator<Item: Borrow<R>> + Clone + 'a,
{
    let names = names.into();
    Seq(move || rows.clone().map(move |row| RowDoc { table, row, names }))
}

/// A value that has fields of its own.
struct ObjectDoc<'a>(&'a dyn Object, Option<&'a Names<'a>>);

impl Serialize for ObjectDoc<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        let mut result = Ok(());
        self.0.for_each(&mut |name, value| {
            if result.is_ok() {
                result = map.serialize_entry(name, &ValueDoc(value, self.1));
            }
        });
        result?;
        map.end()
    }
}

/// A value of a record.
struct ValueDoc<'a>(Value<'a>, Option<&'a Names<'a>>);

impl Serialize for ValueDoc<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(value, names) = self;
        match value {
            Value::None => serializer.serialize_none(),
            Value::Address(va) => va.serialize(serializer),
            Value::Physical(pa) => serializer.collect_str(pa),
            Value::Unsigned(value) => serializer.serialize_u64(*value),
            Value::Signed(value) => serializer.serialize_i64(*value),
            Value::Bool(value) => serializer.serialize_bool(*value),
            Value::Text(text) => serializer.serialize_str(text),
            Value::Tag(tag) => serializer.collect_str(&TagText(*tag)),
            Value::Symbol(va) => name(*names, *va).as_deref().serialize(serializer),
            Value::SourceFile(frames) => {
                let site = names.and_then(|names| names.source_of_stack(frames));
                site.as_ref().map(|site| &**site.innermost().0).serialize(serializer)
            }
            Value::SourceLine(frames) => {
                let site = names.and_then(|names| names.source_of_stack(frames));
                site.map(|site| site.innermost().1).serialize(serializer)
            }
            Value::Frames(frames) => {
                Seq(|| frames.iter().map(|&va| FrameDoc(va, *names))).serialize(serializer)
            }
            Value::Trail(trail) => serializer.collect_seq(trail.iter().map(Arc::as_ref)),
            Value::Addresses(all) => all.serialize(serializer),
            Value::Object(object) => ObjectDoc(*object, *names).serialize(serializer),
            Value::List(list) => {
                let mut seq = serializer.serialize_seq(None)?;
                let mut result = Ok(());
                list.for_each(&mut |object| {
                    if result.is_ok() {
                        result = seq.serialize_element(&ObjectDoc(object, *names));
                    }
                });
                result?;
                seq.end()
            }
        }
    }
}

fn name(names: Option<&Names<'_>>, va: Va) -> Option<Rc<str>> {
    names.and_then(|names| names.get(va))
}

/// The characters of a pool tag as text.
pub(super) struct TagText(pub(super) [char; 4]);

impl fmt::Display for TagText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|&c| f.write_char(c))
    }
}

struct FrameDoc<'a>(Va, Option<&'a Names<'a>>);

impl Serialize for FrameDoc<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("address", &self.0)?;
        map.serialize_entry("symbol", &name(self.1, self.0).as_deref())?;
        // Most frames are in modules without lines.
        if let Some(site) = self.1.and_then(|names| names.source(self.0)) {
            map.serialize_entry("file", &*site.file)?;
            map.serialize_entry("line", &site.line)?;
            if !site.inlined.is_empty() {
                let inlined = site.inlined.iter().map(InlinedDoc::from);
                map.serialize_entry("inlined", &inlined.collect::<Vec<_>>())?;
            }
        }
        map.end()
    }
}

/// A function that was inlined at a frame.
#[derive(Serialize)]
struct InlinedDoc<'a> {
    function: &'a str,
    file: &'a str,
    line: u32,
}

impl<'a> From<&'a InlinedFrame> for InlinedDoc<'a> {
    fn from(frame: &'a InlinedFrame) -> Self {
        Self { function: &frame.function, file: &frame.file, line: frame.line }
    }
}

/// A number of blocks and their bytes.
#[derive(Serialize)]
pub(super) struct TotalDoc {
    count: u64,
    bytes: u64,
}

impl From<Total> for TotalDoc {
    fn from(Total { count, bytes }: Total) -> Self {
        Self { count, bytes }
    }
}

#[cfg(test)]
mod tests {
    use super::to_snake_case;

    #[test]
    fn c_names() {
        for (c, snake) in [
            ("CurrentNonPagedPoolAllocations", "current_non_paged_pool_allocations"),
            ("UnTrackedPool", "un_tracked_pool"),
            ("IATInExecutableSection", "iat_in_executable_section"),
            ("Level", "level"),
            ("RaiseIrqls", "raise_irqls"),
        ] {
            assert_eq!(to_snake_case(c), snake);
        }
    }
}
