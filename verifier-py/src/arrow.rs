//! Columns: Arrow arrays with honest types.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::Write as _;
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
    let symbol = symbols("symbol", &frames, kernel)?;
    // In place: a `Va` is a number.
    let numbers: Vec<u64> = frames.into_iter().map(|va| va.0).collect();
    let address = (hex("address", false), Arc::new(UInt64Array::from(numbers)) as ArrayRef);
    Ok(structure("item", vec![address, symbol], None))
}

/// The names of addresses; null where no module holds the address.
///
/// Each address is looked up once, and most not even in the table of those that were: stacks share
/// their ends, so where one address stood before, the address that followed it there comes next.
pub(crate) fn symbols(name: &str, addresses: &[Va], kernel: &Kernel) -> Result<Column, Error> {
    let mut names = Dictionary::new(kernel);
    let mut keys: Vec<i32> = Vec::with_capacity(addresses.len());
    let mut guess = 0;
    for (place, &va) in addresses.iter().enumerate() {
        match (addresses.get(guess), keys.get(guess)) {
            (Some(&before), Some(&key)) if before == va => {
                keys.push(key);
                guess += 1;
            }
            _ => {
                let (key, before) = names.key(va, place);
                keys.push(key);
                guess = before + 1;
            }
        }
    }
    let mut valid = None;
    if names.has_unnamed {
        valid = Some(keys.iter().map(|&key| key != UNNAMED).collect());
        keys.iter_mut().for_each(|key| *key = (*key).max(0));
    }
    let keys = Int32Array::new(ScalarBuffer::from(keys), valid);
    let array = DictionaryArray::<Int32Type>::new(keys, names.finish()?);
    Ok((Field::new(name, array.data_type().clone(), true), Arc::new(array)))
}

/// The key of addresses without a name, until it is null in the column.
const UNNAMED: i32 = -1;

/// The names that a column of symbols has so far.
struct Dictionary<'k> {
    kernel: &'k Kernel,
    /// The key of each address, and where it was last looked up.
    known: HashMap<u64, (i32, usize), Seeded>,
    /// The key of a name by its hash: two modules may have one name.
    by_hash: HashMap<u64, i32, Seeded>,
    names: StringBuilder,
    /// The name at hand.
    name: String,
    seed: Seeded,
    is_full: bool,
    has_unnamed: bool,
}

impl<'k> Dictionary<'k> {
    fn new(kernel: &'k Kernel) -> Self {
        let seed = Seeded::new();
        Self {
            kernel,
            known: HashMap::with_hasher(seed),
            by_hash: HashMap::with_hasher(seed),
            names: StringBuilder::new(),
            name: String::new(),
            seed,
            is_full: false,
            has_unnamed: false,
        }
    }

    /// The key of an address at `place`, and the place where it was looked up before.
    fn key(&mut self, va: Va, place: usize) -> (i32, usize) {
        if let Some((key, last)) = self.known.get_mut(&va.0) {
            return (*key, std::mem::replace(last, place));
        }
        let key = self.new_key(va);
        self.known.insert(va.0, (key, place));
        (key, place)
    }

    fn new_key(&mut self, va: Va) -> i32 {
        let Some(name) = self.kernel.symbolize(va) else {
            self.has_unnamed = true;
            return UNNAMED;
        };
        self.name.clear();
        let _ = write!(self.name, "{name}");
        let hash = self.seed.hash_one(self.name.as_str());
        if let Some(&key) = self.by_hash.get(&hash)
            && self.text(key) == Some(self.name.as_bytes())
        {
            return key;
        }
        let next = i32::try_from(self.names.len()).ok();
        let room = MAX_TEXT.checked_sub(self.names.values_slice().len());
        let Some(key) = next.filter(|_| room.is_some_and(|room| self.name.len() <= room)) else {
            self.is_full = true;
            return UNNAMED;
        };
        self.names.append_value(&self.name);
        self.by_hash.insert(hash, key);
        key
    }

    fn text(&self, key: i32) -> Option<&[u8]> {
        let key = usize::try_from(key).ok()?;
        let [start, end] = *self.names.offsets_slice().get(key..key + 2)? else { return None };
        self.names.values_slice().get(usize::try_from(start).ok()?..usize::try_from(end).ok()?)
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
    let array: ArrayRef = match column.kind {
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
