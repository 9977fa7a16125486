//! Columns: Arrow arrays with honest types.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;

use arrow_array::builder::StringBuilder;
use arrow_array::types::Int32Type;
use arrow_array::{
    Array, ArrayRef, DictionaryArray, Int32Array, ListArray, NullArray, RecordBatch, StringArray,
    StructArray, UInt32Array, UInt64Array,
};
use arrow_buffer::{NullBuffer, OffsetBuffer};
use arrow_schema::{DataType, Field, Fields, Schema};
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

fn hex(name: &str, nullable: bool) -> Field {
    Field::new(name, DataType::UInt64, nullable)
        .with_metadata(HashMap::from([(HEX.0.into(), HEX.1.into())]))
}

/// Addresses.
pub(crate) fn addresses(name: &str, values: impl Iterator<Item = Va>) -> Column {
    (hex(name, false), Arc::new(UInt64Array::from_iter_values(values.map(|va| va.0))))
}

/// Addresses that may be absent.
pub(crate) fn maybe_addresses(name: &str, values: impl Iterator<Item = Option<Va>>) -> Column {
    let values: UInt64Array = values.map(|va| va.map(|va| va.0)).collect();
    (hex(name, true), Arc::new(values))
}

/// Bits, read in hexadecimal.
pub(crate) fn bits(name: &str, values: impl Iterator<Item = u32>) -> Column {
    let field = Field::new(name, DataType::UInt32, false)
        .with_metadata(HashMap::from([(HEX.0.into(), HEX.1.into())]));
    (field, Arc::new(UInt32Array::from_iter_values(values)))
}

/// Sizes and counts.
pub(crate) fn numbers(name: &str, values: impl Iterator<Item = u64>) -> Column {
    let field = Field::new(name, DataType::UInt64, false);
    (field, Arc::new(UInt64Array::from_iter_values(values)))
}

/// Sizes and counts that may be absent.
pub(crate) fn maybe_numbers(name: &str, values: impl Iterator<Item = Option<u64>>) -> Column {
    let field = Field::new(name, DataType::UInt64, true);
    (field, Arc::new(values.collect::<UInt64Array>()))
}

/// Small numbers.
pub(crate) fn small_numbers(name: &str, values: impl Iterator<Item = u32>) -> Column {
    let field = Field::new(name, DataType::UInt32, false);
    (field, Arc::new(UInt32Array::from_iter_values(values)))
}

/// Texts that seldom repeat.
pub(crate) fn texts<'a>(name: &str, values: impl Iterator<Item = &'a str>) -> Column {
    let field = Field::new(name, DataType::Utf8, false);
    (field, Arc::new(StringArray::from_iter_values(values)))
}

/// Texts that repeat.
pub(crate) fn words<S: AsRef<str>>(name: &str, values: impl Iterator<Item = S>) -> Column {
    let values: Vec<S> = values.collect();
    let words: DictionaryArray<Int32Type> = values.iter().map(AsRef::as_ref).collect();
    (Field::new(name, words.data_type().clone(), false), Arc::new(words))
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

/// A column of lists, `lengths` of them out of the items one behind the other.
pub(crate) fn lists(name: &str, lengths: impl Iterator<Item = usize>, items: Column) -> Column {
    let (item, array) = items;
    let item = Arc::new(item.with_name("item"));
    let array = ListArray::new(item, OffsetBuffer::from_lengths(lengths), array, None);
    (Field::new(name, array.data_type().clone(), false), Arc::new(array))
}

/// Frames of stacks: `frames` are those of all rows, `lengths` tells how many each has.
pub(crate) fn stacks(
    name: &str,
    lengths: impl Iterator<Item = usize>,
    frames: &[Va],
    kernel: &Kernel,
) -> Result<Column, Error> {
    let address = addresses("address", frames.iter().copied());
    let symbol = symbols("symbol", frames.iter().copied(), kernel)?;
    Ok(lists(name, lengths, structure("item", vec![address, symbol], None)))
}

/// The names of addresses; null where no module holds the address.
///
/// Each address is looked up once: the same few thousand fill a log of millions of frames.
pub(crate) fn symbols(
    name: &str,
    addresses: impl Iterator<Item = Va>,
    kernel: &Kernel,
) -> Result<Column, Error> {
    let mut known: HashMap<u64, Option<i32>, Seeded> =
        HashMap::with_hasher(Seeded(RandomState::new().hash_one(0) | 1));
    let mut by_name: HashMap<String, i32> = HashMap::new();
    let mut names = StringBuilder::new();
    let mut bytes = 0usize;
    let mut full = false;
    let mut last = (u64::MAX, None);
    let keys: Int32Array = addresses
        .map(|va| {
            if va.0 == last.0 {
                return last.1;
            }
            let key = *known.entry(va.0).or_insert_with(|| {
                let text = kernel.symbolize(va)?.to_string();
                bytes = bytes.saturating_add(text.len());
                if bytes > MAX_TEXT {
                    full = true;
                    return None;
                }
                let next = i32::try_from(by_name.len()).ok()?;
                Some(*by_name.entry(text).or_insert_with_key(|text| {
                    names.append_value(text);
                    next
                }))
            });
            last = (va.0, key);
            key
        })
        .collect();
    if full {
        return Err(Error::Limit {
            what: "text of all symbols".into(),
            limit: MAX_TEXT as u64,
            name: "MAX_TEXT",
        });
    }
    let array = DictionaryArray::<Int32Type>::new(keys, Arc::new(names.finish()));
    Ok((Field::new(name, array.data_type().clone(), true), Arc::new(array)))
}

/// Columns as one batch.
pub(crate) fn batch(columns: Vec<Column>) -> Result<RecordBatch, Error> {
    let (fields, arrays): (Vec<Field>, Vec<ArrayRef>) = columns.into_iter().unzip();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)
        .map_err(|error| Error::Unsupported { what: format!("columns of a table: {error}") })
}

/// One multiplication for an address: the default hasher would cost more than all else. The factor is
/// drawn at random, so that no dump can hold addresses that collide on purpose.
#[derive(Clone, Copy)]
struct Seeded(u64);

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
        for &byte in bytes {
            self.write_u64(byte.into());
        }
    }

    fn write_u64(&mut self, value: u64) {
        let product = u128::from(value ^ self.factor.rotate_left(32)) * u128::from(self.factor);
        self.state = (product as u64) ^ ((product >> 64) as u64);
    }
}
