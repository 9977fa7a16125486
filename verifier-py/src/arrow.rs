//! Columns: Arrow arrays with honest types.

use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::ops::Range;
use std::sync::Arc;

use arrow_array::builder::{ArrayBuilder as _, StringBuilder};
use arrow_array::types::Int32Type;
use arrow_array::{
    Array, ArrayRef, BooleanArray, DictionaryArray, Int32Array, Int64Array, ListArray, NullArray,
    RecordBatch, RecordBatchOptions, StringArray, StructArray, UInt32Array, UInt64Array,
    make_array,
};
use arrow_buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_data::transform::MutableArrayData;
use arrow_schema::{ArrowError, DataType, Field, Fields, Schema};
use verifier_core::describe::{self, Kind, Table, Value};
use verifier_core::kernel::Kernel;
use verifier_core::symbols::{InlinedFrame, SourceSite};
use verifier_core::verifier::code_site;
use verifier_core::{Error, Va};

/// The most bytes of text in one dictionary: its offsets are 32 bits wide.
const MAX_TEXT: usize = 1 << 30;

/// A column and what it is called.
pub(crate) type Column = (Field, ArrayRef);

/// Marks a number that people read in hexadecimal.
const HEX: (&str, &str) = ("display", "hex");

/// True for a field whose numbers people read in hexadecimal.
pub(crate) fn is_hex(field: &Field) -> bool {
    field.metadata().get(HEX.0).is_some_and(|display| display == HEX.1)
}

/// The field of such numbers.
pub(crate) fn mark_hex(field: Field) -> Field {
    field.with_metadata(HashMap::from([(HEX.0.into(), HEX.1.into())]))
}

fn hex(name: &str, nullable: bool) -> Field {
    mark_hex(Field::new(name, DataType::UInt64, nullable))
}

/// Addresses.
pub(crate) fn addresses(name: &str, values: impl Iterator<Item = Va>) -> Column {
    (hex(name, false), Arc::new(UInt64Array::from_iter_values(values.map(|va| va.0))))
}

/// Bits, read in hexadecimal.
pub(crate) fn bits(name: &str, values: impl Iterator<Item = u32>) -> Column {
    let field = mark_hex(Field::new(name, DataType::UInt32, false));
    (field, Arc::new(UInt32Array::from_iter_values(values)))
}

/// Sizes and counts.
pub(crate) fn numbers(name: &str, values: impl Iterator<Item = u64>) -> Column {
    let field = Field::new(name, DataType::UInt64, false);
    (field, Arc::new(UInt64Array::from_iter_values(values)))
}

/// Numbers that may be negative.
pub(crate) fn signed(name: &str, values: impl Iterator<Item = i64>) -> Column {
    let field = Field::new(name, DataType::Int64, false);
    (field, Arc::new(Int64Array::from_iter_values(values)))
}

/// Texts that seldom repeat.
pub(crate) fn texts<'a>(name: &str, values: impl Iterator<Item = &'a str>) -> Column {
    let field = Field::new(name, DataType::Utf8, false);
    (field, Arc::new(StringArray::from_iter_values(values)))
}

/// Texts that repeat.
pub(crate) fn words<S: AsRef<str>>(name: &str, values: impl Iterator<Item = S>) -> Column {
    let values: Vec<S> = values.collect();
    dictionary(name, values.iter().map(|value| Some(value.as_ref())), false)
}

fn dictionary<'a>(
    name: &str,
    values: impl Iterator<Item = Option<&'a str>>,
    nullable: bool,
) -> Column {
    let mut known: HashMap<&str, i32, Seeded> = HashMap::with_hasher(Seeded::new());
    let mut texts = StringBuilder::new();
    let mut last = ("", None);
    let keys = values.map(|value| {
        let value = value?;
        // Most are what the one before was.
        if value != last.0 || last.1.is_none() {
            let next = i32::try_from(known.len()).ok();
            let key = known.get(value).copied().or(next)?;
            known.entry(value).or_insert_with(|| {
                texts.append_value(value);
                key
            });
            last = (value, Some(key));
        }
        last.1
    });
    let keys: Int32Array = keys.collect();
    let array = DictionaryArray::<Int32Type>::new(keys, Arc::new(texts.finish()));
    (Field::new(name, array.data_type().clone(), nullable), Arc::new(array))
}

/// Several columns as one, `valid` saying where there is a value.
pub(crate) fn structure(name: &str, columns: Vec<Column>, valid: Option<Vec<bool>>) -> Column {
    let length = columns.first().map_or(0, |(_, array)| array.len());
    let (fields, arrays): (Vec<Field>, Vec<ArrayRef>) = columns.into_iter().unzip();
    let nullable = valid.is_some();
    let nulls = valid.map(NullBuffer::from);
    let array: ArrayRef = if fields.is_empty() {
        // Some consumers know no structure without fields.
        Arc::new(NullArray::new(nulls.as_ref().map_or(length, NullBuffer::len)))
    } else {
        Arc::new(StructArray::new(Fields::from(fields), arrays, nulls))
    };
    let nullable = nullable || array.data_type() == &DataType::Null;
    (Field::new(name, array.data_type().clone(), nullable), array)
}

/// A column of lists of these `lengths`, with the items of all lists one after another.
pub(crate) fn lists(
    name: &str,
    lengths: impl Iterator<Item = usize>,
    items: Column,
) -> Result<Column, Error> {
    make_lists(name, lengths, items, None)
}

/// The same, where a list may be absent.
pub(crate) fn maybe_lists(
    name: &str,
    lengths: impl Iterator<Item = Option<usize>>,
    items: Column,
) -> Result<Column, Error> {
    let lengths: Vec<Option<usize>> = lengths.collect();
    let valid = lengths.iter().map(Option::is_some).collect::<Vec<_>>();
    let lengths = lengths.iter().map(|length| length.unwrap_or(0));
    make_lists(name, lengths, items, Some(NullBuffer::from(valid)))
}

fn make_lists(
    name: &str,
    lengths: impl Iterator<Item = usize>,
    items: Column,
    valid: Option<NullBuffer>,
) -> Result<Column, Error> {
    let (item, array) = items;
    let item = Arc::new(item.with_name("item"));
    let nullable = valid.is_some();
    let offsets = OffsetBuffer::try_from_lengths(lengths).map_err(|_| Error::Limit {
        what: format!("items of the lists in {name}").into(),
        limit: i32::MAX as u64,
        name: "i32::MAX",
    })?;
    let array = ListArray::new(item, offsets, array, valid);
    Ok((Field::new(name, array.data_type().clone(), nullable), Arc::new(array)))
}

/// Frames as items of [`lists`]. They are not copied: a log has megabytes of them.
pub(crate) fn frames(frames: Vec<Va>, kernel: &Kernel) -> Result<Column, Error> {
    let distinct = Distinct::of(&frames);
    let [file, line, inlined] = sources(&distinct, kernel)?;
    let symbol = distinct.symbols("symbol", kernel)?;
    // In place: a `Va` is a number.
    let numbers: Vec<u64> = frames.into_iter().map(|va| va.0).collect();
    let address = (hex("address", false), Arc::new(UInt64Array::from(numbers)) as ArrayRef);
    Ok(structure("item", vec![address, symbol, file, line, inlined], None))
}

/// The names of addresses; null where no module holds the address.
pub(crate) fn symbols(name: &str, addresses: &[Va], kernel: &Kernel) -> Result<Column, Error> {
    Distinct::of(addresses).symbols(name, kernel)
}

/// Addresses, and which of them each row has: a log has millions of frames and a few thousand addresses.
struct Distinct {
    addresses: Vec<Va>,
    /// For each row an index of `addresses`.
    indexes: Vec<i32>,
}

impl Distinct {
    /// Each address is looked up once, and most not even in the table of those that were: stacks share
    /// their ends, so where one address stood before, the address that followed it there comes next.
    fn of(rows: &[Va]) -> Self {
        let mut addresses = Vec::new();
        let mut indexes: Vec<i32> = Vec::with_capacity(rows.len());
        // The index of each address, and where it was last looked up.
        let mut known: HashMap<u64, (i32, usize), Seeded> = HashMap::with_hasher(Seeded::new());
        let mut guess = 0;
        for (place, &va) in rows.iter().enumerate() {
            if let (Some(&before), Some(&index)) = (rows.get(guess), indexes.get(guess))
                && before == va
            {
                indexes.push(index);
                guess += 1;
                continue;
            }
            let (index, last) = known.entry(va.0).or_insert_with(|| {
                addresses.push(va);
                // Rows are counted in 32 bits, so their addresses are, too: see `make_lists`.
                (i32::try_from(addresses.len() - 1).unwrap_or(i32::MAX), place)
            });
            indexes.push(*index);
            guess = std::mem::replace(last, place) + 1;
        }
        Self { addresses, indexes }
    }

    /// For each row the key that its address has; `None` is null.
    fn keys(&self, key_of: &[Option<i32>]) -> Int32Array {
        if key_of.iter().all(Option::is_none) {
            return Int32Array::new_null(self.indexes.len());
        }
        let at = |&index: &i32| usize::try_from(index).ok().and_then(|at| *key_of.get(at)?);
        if key_of.iter().all(Option::is_some) {
            let keys = self.indexes.iter().map(|index| at(index).unwrap_or(0));
            return Int32Array::from_iter_values(keys);
        }
        self.indexes.iter().map(at).collect()
    }

    fn symbols(self, name: &str, kernel: &Kernel) -> Result<Column, Error> {
        let mut names = SymbolNames::default();
        let key_of: Vec<Option<i32>> =
            self.addresses.iter().map(|&va| names.key(va, kernel)).collect();
        let is_same = key_of.iter().zip(0..).all(|(&key, index)| key == Some(index));
        let keys = match is_same {
            true => Int32Array::new(ScalarBuffer::from(self.indexes), None),
            false => self.keys(&key_of),
        };
        let array = DictionaryArray::<Int32Type>::new(keys, names.finish()?);
        Ok((Field::new(name, array.data_type().clone(), true), Arc::new(array)))
    }
}

/// The names that a column of symbols has so far.
#[derive(Default)]
struct SymbolNames {
    /// Two modules may have one name.
    keys: HashMap<String, i32>,
    names: StringBuilder,
    is_full: bool,
}

impl SymbolNames {
    /// The key of an address's name; `None` if no module holds the address.
    fn key(&mut self, va: Va, kernel: &Kernel) -> Option<i32> {
        let name = kernel.symbolize(va)?.to_string();
        if let Some(&key) = self.keys.get(&name) {
            return Some(key);
        }
        let next = i32::try_from(self.names.len()).ok();
        let room = MAX_TEXT.checked_sub(self.names.values_slice().len());
        let Some(key) = next.filter(|_| room.is_some_and(|room| name.len() <= room)) else {
            self.is_full = true;
            return None;
        };
        self.names.append_value(&name);
        self.keys.insert(name, key);
        Some(key)
    }

    fn finish(mut self) -> Result<ArrayRef, Error> {
        if self.is_full {
            return Err(Error::Limit {
                what: "text of all symbols".into(),
                limit: MAX_TEXT as u64,
                name: "MAX_TEXT",
            });
        }
        Ok(Arc::new(self.names.finish()))
    }
}

/// The source file, the line and the inlined functions of each frame.
fn sources(frames: &Distinct, kernel: &Kernel) -> Result<[Column; 3], Error> {
    let sites: Vec<Option<SourceSite>> =
        frames.addresses.iter().map(|&va| kernel.source_of_call(va)).collect();
    let mut known: HashMap<&str, i32> = HashMap::new();
    let mut files = StringBuilder::new();
    let key_of = sites.iter().map(|site| {
        let file = &*site.as_ref()?.file;
        let next = i32::try_from(known.len()).ok()?;
        Some(*known.entry(file).or_insert_with(|| {
            files.append_value(file);
            next
        }))
    });
    let keys = frames.keys(&key_of.collect::<Vec<_>>());
    let file = DictionaryArray::<Int32Type>::new(keys, Arc::new(files.finish()));
    let file = (Field::new("file", file.data_type().clone(), true), Arc::new(file) as ArrayRef);
    let line_of = sites.iter().map(|site| i32::try_from(site.as_ref()?.line).ok());
    let (_, lines, nulls) = frames.keys(&line_of.collect::<Vec<_>>()).into_parts();
    // In place: a line has fewer than 31 bits.
    let lines = UInt32Array::new(ScalarBuffer::from(lines.into_inner()), nulls);
    let line = (Field::new("line", DataType::UInt32, true), Arc::new(lines) as ArrayRef);
    Ok([file, line, inlined(frames, &sites)?])
}

fn inlined(frames: &Distinct, sites: &[Option<SourceSite>]) -> Result<Column, Error> {
    let none: &[InlinedFrame] = &[];
    let of_address: Vec<&[InlinedFrame]> =
        sites.iter().map(|site| site.as_ref().map_or(none, |site| &site.inlined)).collect();
    let has_none = of_address.iter().all(|all| all.is_empty());
    let at = |&index: &i32| {
        usize::try_from(index).ok().and_then(|at| of_address.get(at).copied()).unwrap_or(none)
    };
    let all = || frames.indexes.iter().filter(|_| !has_none).flat_map(at);
    let line = UInt32Array::from_iter_values(all().map(|frame| frame.line));
    let items = vec![
        words("function", all().map(|frame| &frame.function)),
        words("file", all().map(|frame| &frame.file)),
        (Field::new("line", DataType::UInt32, false), Arc::new(line) as ArrayRef),
    ];
    let items = structure("item", items, None);
    if has_none {
        return lists("inlined", frames.indexes.iter().map(|_| 0), items);
    }
    lists("inlined", frames.indexes.iter().map(|index| at(index).len()), items)
}

/// The columns of records, out of their description.
pub(crate) fn columns<R>(
    table: &Table<'_, R>,
    rows: &[R],
    kernel: &Kernel,
) -> Result<Vec<Column>, Error> {
    table.in_tables().map(|column| described(column, rows, kernel)).collect()
}

/// The same of records that have records in them: `list` gives the column of that name.
pub(crate) fn columns_with<R>(
    table: &Table<'_, R>,
    rows: &[R],
    kernel: &Kernel,
    list: impl Fn(&str) -> Result<Column, Error>,
) -> Result<Vec<Column>, Error> {
    let column = |column: &describe::Column<R>| match column.kind {
        Kind::List => list(column.name),
        _ => described(column, rows, kernel),
    };
    table.in_tables().map(column).collect()
}

fn described<R>(
    column: &describe::Column<R>,
    rows: &[R],
    kernel: &Kernel,
) -> Result<Column, Error> {
    let (name, values) = (column.name, || rows.iter().map(|row| column.value(row)));
    let unsigned = || values().map(as_unsigned);
    // A description that gives another kind of value is a fault that core's own tests find.
    let small = || unsigned().map(|value| u32::try_from(value?).ok());
    let addresses_of = || {
        values().map(|value| match value {
            Value::Symbol(va) => va,
            _ => Va(0),
        })
    };
    let sites = || values().map(|value| site(value, kernel));
    let array: ArrayRef = match column.kind {
        Kind::SourceFile => {
            let files: Vec<Option<Arc<str>>> =
                sites().map(|site| site.map(|site| site.innermost().0.clone())).collect();
            return Ok(dictionary(name, files.iter().map(Option::as_deref), column.is_optional));
        }
        Kind::SourceLine => Arc::new(
            sites().map(|site| site.map(|site| site.innermost().1)).collect::<UInt32Array>(),
        ),
        Kind::Address | Kind::Physical => {
            let field = hex(name, column.is_optional);
            return Ok((field, Arc::new(unsigned().collect::<UInt64Array>())));
        }
        Kind::Bits => {
            let field = mark_hex(Field::new(name, DataType::UInt32, column.is_optional));
            return Ok((field, Arc::new(small().collect::<UInt32Array>())));
        }
        Kind::U32 => Arc::new(small().collect::<UInt32Array>()),
        Kind::U64 => Arc::new(unsigned().collect::<UInt64Array>()),
        Kind::I64 => Arc::new(values().map(as_signed).collect::<Int64Array>()),
        Kind::Bool => Arc::new(values().map(as_bool).collect::<BooleanArray>()),
        Kind::Text => Arc::new(values().map(as_text).collect::<StringArray>()),
        Kind::Symbol => return symbols(name, &addresses_of().collect::<Vec<_>>(), kernel),
        Kind::Frames => return stacks(column, rows, kernel),
        Kind::Trail => return trails(column, rows),
        Kind::Addresses => return address_lists(column, rows),
        Kind::Object => return Ok(objects(column, rows)),
        // Words, and whatever else is text.
        _ => {
            let words: Vec<Option<Cow<'_, str>>> = values().map(as_text).collect();
            return Ok(dictionary(name, words.iter().map(Option::as_deref), column.is_optional));
        }
    };
    Ok((Field::new(name, array.data_type().clone(), column.is_optional), array))
}

/// The source of the line of code of a value.
fn site(value: Value<'_>, kernel: &Kernel) -> Option<SourceSite> {
    match value {
        Value::SourceFile(frames) | Value::SourceLine(frames) => {
            kernel.source_of_call(code_site(kernel, frames)?)
        }
        _ => None,
    }
}

/// A column of call stacks.
fn stacks<R>(column: &describe::Column<R>, rows: &[R], kernel: &Kernel) -> Result<Column, Error> {
    let (mut all, mut lengths) = (Vec::new(), Vec::with_capacity(rows.len()));
    for row in rows {
        lengths.push(match column.value(row) {
            Value::Frames(frames) => {
                all.extend_from_slice(frames);
                Some(frames.len())
            }
            _ => None,
        });
    }
    let frames = frames(all, kernel)?;
    if column.is_optional {
        return maybe_lists(column.name, lengths.into_iter(), frames);
    }
    lists(column.name, lengths.into_iter().map(|length| length.unwrap_or(0)), frames)
}

/// A column of call stacks by names.
fn trails<R>(column: &describe::Column<R>, rows: &[R]) -> Result<Column, Error> {
    let (mut all, mut lengths) = (Vec::new(), Vec::with_capacity(rows.len()));
    for row in rows {
        lengths.push(match column.value(row) {
            Value::Trail(names) => {
                all.extend(names.iter().cloned());
                Some(names.len())
            }
            _ => None,
        });
    }
    maybe_lists(column.name, lengths.into_iter(), words("item", all.into_iter()))
}

/// A column of lists of addresses.
fn address_lists<R>(column: &describe::Column<R>, rows: &[R]) -> Result<Column, Error> {
    let (mut all, mut lengths) = (Vec::new(), Vec::with_capacity(rows.len()));
    for row in rows {
        let before = all.len();
        if let Value::Addresses(addresses) = column.value(row) {
            all.extend_from_slice(addresses);
        }
        lengths.push(all.len() - before);
    }
    lists(column.name, lengths.into_iter(), addresses("item", all.into_iter()))
}

/// The numbers of an object's field, one for each record.
enum Numbers {
    Unsigned(Vec<u64>),
    Signed(Vec<i64>),
}

/// A column of objects whose fields are numbers; 0 for a field that only other objects have.
fn objects<R>(column: &describe::Column<R>, rows: &[R]) -> Column {
    let mut fields: Vec<(String, Numbers)> = Vec::new();
    let mut valid = Vec::with_capacity(rows.len());
    for (at, row) in rows.iter().enumerate() {
        let Value::Object(object) = column.value(row) else {
            valid.push(false);
            continue;
        };
        valid.push(true);
        // The fields of most objects are those of the one before, in that order.
        let mut next = 0;
        object.for_each(&mut |name, value| {
            if fields.get(next).is_none_or(|(known, _)| known != name) {
                next = fields.iter().position(|(known, _)| known == name).unwrap_or_else(|| {
                    let numbers = match value {
                        Value::Signed(_) => Numbers::Signed(Vec::new()),
                        _ => Numbers::Unsigned(Vec::new()),
                    };
                    fields.push((name.to_owned(), numbers));
                    fields.len() - 1
                });
            }
            match &mut fields[next].1 {
                Numbers::Unsigned(all) => {
                    all.resize(at, 0);
                    all.push(as_unsigned(value).unwrap_or(0));
                }
                Numbers::Signed(all) => {
                    all.resize(at, 0);
                    all.push(as_signed(value).unwrap_or(0));
                }
            }
            next += 1;
        });
    }
    let as_column = |(name, all): (String, Numbers)| match all {
        Numbers::Unsigned(mut all) => {
            all.resize(rows.len(), 0);
            numbers(&name, all.into_iter())
        }
        Numbers::Signed(mut all) => {
            all.resize(rows.len(), 0);
            signed(&name, all.into_iter())
        }
    };
    let columns: Vec<Column> = fields.into_iter().map(as_column).collect();
    let valid = (column.is_optional || columns.is_empty()).then_some(valid);
    structure(column.name, columns, valid)
}

fn as_unsigned(value: Value<'_>) -> Option<u64> {
    match value {
        Value::Unsigned(value) => Some(value),
        Value::Address(va) => Some(va.0),
        Value::Physical(pa) => Some(pa.0),
        _ => None,
    }
}

fn as_signed(value: Value<'_>) -> Option<i64> {
    match value {
        Value::Signed(value) => Some(value),
        _ => None,
    }
}

fn as_bool(value: Value<'_>) -> Option<bool> {
    match value {
        Value::Bool(value) => Some(value),
        _ => None,
    }
}

fn as_text(value: Value<'_>) -> Option<Cow<'_, str>> {
    match value {
        Value::Text(text) => Some(text),
        Value::Tag(tag) => Some(Cow::Owned(tag.iter().collect())),
        _ => None,
    }
}

/// Columns as one batch.
pub(crate) fn batch(columns: Vec<Column>) -> Result<RecordBatch, Error> {
    let (fields, arrays): (Vec<Field>, Vec<ArrayRef>) = columns.into_iter().unzip();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)
        .map_err(|error| Error::Unsupported { what: format!("columns of a table: {error}") })
}

/// Rows of a batch as a batch of their own, which shares nothing with it but dictionaries.
pub(crate) fn gather(
    batch: &RecordBatch,
    rows: impl ExactSizeIterator<Item = usize> + Clone,
) -> Result<RecordBatch, ArrowError> {
    let columns = batch.columns().iter().map(|column| {
        let data = column.to_data();
        let mut part = MutableArrayData::new(vec![&data], false, rows.len());
        // Rows that stand side by side are copied at once.
        let mut stretch: Range<usize> = 0..0;
        for row in rows.clone() {
            if row != stretch.end {
                part.try_extend(0, stretch.start, stretch.end)?;
                stretch.start = row;
            }
            stretch.end = row + 1;
        }
        part.try_extend(0, stretch.start, stretch.end)?;
        Ok(make_array(part.freeze()))
    });
    let options = RecordBatchOptions::new().with_row_count(Some(rows.len()));
    let columns = columns.collect::<Result<_, ArrowError>>()?;
    RecordBatch::try_new_with_options(batch.schema(), columns, &options)
}

/// One multiplication for an address or eight bytes of text: the default hasher would cost more than all
/// else. The factor is drawn at random, so that no dump can hold what collides on purpose.
#[derive(Clone, Copy)]
struct Seeded(u64);

impl Seeded {
    fn new() -> Self {
        Self(RandomState::new().hash_one(0) | 1)
    }
}

impl BuildHasher for Seeded {
    type Hasher = Folded;
    fn build_hasher(&self) -> Folded {
        Folded { factor: self.0, state: 0 }
    }
}

struct Folded {
    factor: u64,
    state: u64,
}

impl Hasher for Folded {
    fn finish(&self) -> u64 {
        self.state
    }

    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.write_u64(u64::from_le_bytes(*word) ^ self.state);
        }
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        self.write_u64(u64::from_le_bytes(last) ^ self.state.rotate_left(8));
    }

    fn write_u8(&mut self, value: u8) {
        self.write_u64(self.state ^ u64::from(value));
    }

    fn write_u64(&mut self, value: u64) {
        let product = u128::from(value ^ self.factor.rotate_left(32)) * u128::from(self.factor);
        self.state = (product as u64) ^ ((product >> 64) as u64);
    }
}
