//! The description of a record: its fields, each with its name, its kind, one sentence, and how to get it.
//!
//! A record is described once, beside its definition. JSON, CSV, text, Arrow and C walk the description, so
//! a new field appears in all of them. A [`Table`] describes records of one type `R`: its [`Column`]s each
//! take a [`Value`] out of a record. A value borrows from the record, so nothing is allocated for it. Names
//! of addresses and lines of source code are not part of a value: [`Value::Symbol`], [`Value::Frames`],
//! [`Value::SourceFile`] and [`Value::SourceLine`] hold addresses, and the walker looks up the rest.
//!
//! ```
//! use verifier_core::describe::{Table, Value, columns};
//! use verifier_core::Va;
//!
//! struct Block { address: Va, size: u64 }
//! const BLOCKS: Table<'static, Block> = Table::new("Block", "A block of pool.", columns!(|block: Block| {
//!     /// Where the block begins.
//!     address: Address => block.address,
//!     /// Its size in bytes.
//!     size: U64 => block.size,
//! }));
//!
//! let block = Block { address: Va(0x1000), size: 16 };
//! let values: Vec<Value<'_>> = BLOCKS.columns.iter().map(|column| column.value(&block)).collect();
//! assert!(matches!(values[..], [Value::Address(Va(0x1000)), Value::Unsigned(16)]));
//! ```

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use crate::addr::{Pa, Va};

/// What the values of a column are. Each kind says which [`Value`] the column gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// A virtual address: [`Value::Address`].
    Address,
    /// A physical address: [`Value::Physical`].
    Physical,
    /// A count of at most 32 bits: [`Value::Unsigned`].
    U32,
    /// A count or a size: [`Value::Unsigned`].
    U64,
    /// A number that may be negative: [`Value::Signed`].
    I64,
    /// At most 32 bits that people read in hexadecimal: [`Value::Unsigned`].
    Bits,
    /// True or false: [`Value::Bool`].
    Bool,
    /// Text that seldom repeats: [`Value::Text`].
    Text,
    /// Text that repeats, such as a driver's name: [`Value::Text`].
    Word,
    /// One of these words: [`Value::Text`].
    OneOf(&'static [&'static str]),
    /// A pool tag: [`Value::Tag`].
    Tag,
    /// The name of an address, which is null if no module holds the address: [`Value::Symbol`].
    Symbol,
    /// The path of the source file of a stack's line of code, which is null if no PDB has the line:
    /// [`Value::SourceFile`].
    SourceFile,
    /// The number of that line: [`Value::SourceLine`].
    SourceLine,
    /// A call stack, innermost frame first: [`Value::Frames`].
    Frames,
    /// A call stack by names, innermost frame first: [`Value::Trail`].
    Trail,
    /// Addresses: [`Value::Addresses`].
    Addresses,
    /// An object with fields of its own: [`Value::Object`].
    Object,
    /// Objects: [`Value::List`].
    List,
}

/// The value of a column, borrowed from its record.
#[derive(Clone)]
#[non_exhaustive]
pub enum Value<'a> {
    /// The record does not have the value.
    None,
    /// A virtual address.
    Address(Va),
    /// A physical address.
    Physical(Pa),
    /// A count, a size, or bits.
    Unsigned(u64),
    /// A number that may be negative.
    Signed(i64),
    /// True or false.
    Bool(bool),
    /// Text.
    Text(Cow<'a, str>),
    /// The characters of a pool tag.
    Tag([char; 4]),
    /// An address whose name is the value.
    Symbol(Va),
    /// Return addresses of a call stack; the value is the source file of its first frame outside the kernel
    /// and Verifier ([`code_site`](crate::verifier::code_site)).
    SourceFile(&'a [Va]),
    /// The same; the value is the line in that file.
    SourceLine(&'a [Va]),
    /// Return addresses of a call stack, innermost first.
    Frames(&'a [Va]),
    /// Names of the frames of a call stack, innermost first.
    Trail(&'a [Arc<str>]),
    /// Addresses.
    Addresses(&'a [Va]),
    /// An object with fields of its own.
    Object(&'a dyn Object),
    /// Objects.
    List(&'a dyn List),
}

/// A value that has fields of its own.
pub trait Object {
    /// Calls `each` with the name and the value of every field, in order.
    fn for_each(&self, each: &mut dyn FnMut(&str, Value<'_>));
}

/// A list of objects.
pub trait List {
    /// Calls `each` with every object, in order.
    fn for_each(&self, each: &mut dyn FnMut(&dyn Object));
}

/// A record as an object of its table's fields.
#[derive(Debug)]
pub struct Described<'t, R> {
    /// The description.
    pub table: &'t Table<'t, R>,
    /// The record.
    pub row: &'t R,
}

impl<R> Object for Described<'_, R> {
    fn for_each(&self, each: &mut dyn FnMut(&str, Value<'_>)) {
        for column in self.table.documented() {
            each(column.name, column.value(self.row));
        }
    }
}

impl fmt::Debug for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::None => f.write_str("None"),
            Value::Address(va) => write!(f, "Address({va})"),
            Value::Physical(pa) => write!(f, "Physical({pa})"),
            Value::Unsigned(value) => write!(f, "Unsigned({value})"),
            Value::Signed(value) => write!(f, "Signed({value})"),
            Value::Bool(value) => write!(f, "Bool({value})"),
            Value::Text(text) => write!(f, "Text({text:?})"),
            Value::Tag(tag) => write!(f, "Tag({tag:?})"),
            Value::Symbol(va) => write!(f, "Symbol({va})"),
            Value::SourceFile(frames) => write!(f, "SourceFile({frames:?})"),
            Value::SourceLine(frames) => write!(f, "SourceLine({frames:?})"),
            Value::Frames(frames) => write!(f, "Frames({frames:?})"),
            Value::Trail(names) => write!(f, "Trail({names:?})"),
            Value::Addresses(all) => write!(f, "Addresses({all:?})"),
            Value::Object(object) => {
                let mut map = f.debug_map();
                object.for_each(&mut |name, value| {
                    map.entry(&name, &value);
                });
                map.finish()
            }
            Value::List(list) => {
                let mut all = f.debug_list();
                list.for_each(&mut |object| {
                    all.entry(&Value::Object(object));
                });
                all.finish()
            }
        }
    }
}

impl Value<'_> {
    /// True if a column of this kind may give this value; [`Value::None`] is a value of every kind.
    #[must_use]
    pub fn is_of(&self, kind: Kind) -> bool {
        match (self, kind) {
            (Value::None, _)
            | (Value::Address(_), Kind::Address)
            | (Value::Physical(_), Kind::Physical)
            | (Value::Unsigned(_), Kind::U64)
            | (Value::Signed(_), Kind::I64)
            | (Value::Bool(_), Kind::Bool)
            | (Value::Text(_), Kind::Text | Kind::Word)
            | (Value::Tag(_), Kind::Tag)
            | (Value::Symbol(_), Kind::Symbol)
            | (Value::SourceFile(_), Kind::SourceFile)
            | (Value::SourceLine(_), Kind::SourceLine)
            | (Value::Frames(_), Kind::Frames)
            | (Value::Trail(_), Kind::Trail)
            | (Value::Addresses(_), Kind::Addresses)
            | (Value::Object(_), Kind::Object)
            | (Value::List(_), Kind::List) => true,
            (Value::Unsigned(value), Kind::U32 | Kind::Bits) => u32::try_from(*value).is_ok(),
            (Value::Text(text), Kind::OneOf(words)) => words.contains(&&**text),
            _ => false,
        }
    }
}

impl<'a, T: Into<Value<'a>>> From<Option<T>> for Value<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Value::None, Into::into)
    }
}

macro_rules! from {
    ($($type:ty => |$value:ident| $made:expr),+ $(,)?) => {
        $(impl<'a> From<$type> for Value<'a> {
            fn from($value: $type) -> Self {
                $made
            }
        })+
    };
}

from!(
    Va => |va| Value::Address(va),
    Pa => |pa| Value::Physical(pa),
    u8 => |value| Value::Unsigned(value.into()),
    u16 => |value| Value::Unsigned(value.into()),
    u32 => |value| Value::Unsigned(value.into()),
    u64 => |value| Value::Unsigned(value),
    usize => |value| Value::Unsigned(value as u64),
    i8 => |value| Value::Signed(value.into()),
    i32 => |value| Value::Signed(value.into()),
    i64 => |value| Value::Signed(value),
    bool => |value| Value::Bool(value),
    &'a str => |text| Value::Text(Cow::Borrowed(text)),
    String => |text| Value::Text(Cow::Owned(text)),
);

/// Which outputs have a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Every output, in the order of the description.
    Everywhere,
    /// Every output; in CSV after the columns that are [`Everywhere`](Place::Everywhere).
    LastInCsv,
    /// Every output but CSV.
    NotInCsv,
    /// CSV alone.
    OnlyInCsv,
    /// Tables, which are CSV and Python: what a document says beside its list of records.
    OnlyInTables,
}

/// A field of a record, or a column of a table.
pub struct Column<R: ?Sized> {
    /// The name in JSON, CSV and Python.
    pub name: &'static str,
    /// The field of the C structure, if there is one.
    pub c_name: Option<&'static str>,
    /// What the value is.
    pub kind: Kind,
    /// True if some records of the kernel that was read may not have the value.
    pub is_optional: bool,
    /// Which outputs have it.
    pub place: Place,
    /// One sentence that says what it is, with its unit.
    pub doc: &'static str,
    get: for<'r> fn(&'r R) -> Value<'r>,
}

impl<R: ?Sized> Clone for Column<R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<R: ?Sized> Copy for Column<R> {}

impl<R: ?Sized> fmt::Debug for Column<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Column({}: {:?})", self.name, self.kind)
    }
}

impl<R: ?Sized> Column<R> {
    /// A column that every record and every output has.
    #[must_use]
    pub const fn new(
        name: &'static str,
        kind: Kind,
        doc: &'static str,
        get: for<'r> fn(&'r R) -> Value<'r>,
    ) -> Self {
        let (c_name, is_optional, place) = (None, false, Place::Everywhere);
        Self { name, c_name, kind, is_optional, place, doc, get }
    }

    /// The same column, which is this field of the C structure.
    #[must_use]
    pub const fn c(self, c_name: &'static str) -> Self {
        Self { c_name: Some(c_name), ..self }
    }

    /// The same column, whose value a record may lack.
    #[must_use]
    pub const fn optional(self) -> Self {
        Self { is_optional: true, ..self }
    }

    /// The same column, the last one in CSV.
    #[must_use]
    pub const fn last_in_csv(self) -> Self {
        Self { place: Place::LastInCsv, ..self }
    }

    /// The same column, which CSV does not have.
    #[must_use]
    pub const fn not_in_csv(self) -> Self {
        Self { place: Place::NotInCsv, ..self }
    }

    /// The same column, which only CSV has.
    #[must_use]
    pub const fn only_in_csv(self) -> Self {
        Self { place: Place::OnlyInCsv, ..self }
    }

    /// The same column, which only CSV and Python have.
    #[must_use]
    pub const fn only_in_tables(self) -> Self {
        Self { place: Place::OnlyInTables, ..self }
    }

    /// Its value in a record.
    #[must_use]
    pub fn value<'r>(&self, record: &'r R) -> Value<'r> {
        (self.get)(record)
    }

    /// Its name in CSV, where a call stack is one cell.
    #[must_use]
    pub fn csv_name(&self) -> &'static str {
        match self.kind {
            Kind::Frames if self.name == "frames" => "stack",
            _ => self.name,
        }
    }

    /// True if documents and C have it.
    #[must_use]
    pub fn is_in_documents(&self) -> bool {
        !matches!(self.place, Place::OnlyInCsv | Place::OnlyInTables)
    }
}

/// The description of records of one type.
#[derive(Debug)]
pub struct Table<'t, R> {
    /// What a record is called in Python: `PoolEvent`.
    pub name: &'static str,
    /// One sentence that says what a record is.
    pub doc: &'static str,
    /// The columns, in the order of JSON and Python.
    pub columns: Cow<'t, [Column<R>]>,
}

impl<'t, R> Table<'t, R> {
    /// A table with these columns.
    #[must_use]
    pub const fn new(name: &'static str, doc: &'static str, columns: &'t [Column<R>]) -> Self {
        Self { name, doc, columns: Cow::Borrowed(columns) }
    }

    /// A table with the columns of several lists, one after the other.
    #[must_use]
    pub fn joined(name: &'static str, doc: &'static str, lists: &[&[Column<R>]]) -> Self {
        Self { name, doc, columns: Cow::Owned(lists.concat()) }
    }

    /// The columns of JSON and C.
    pub fn documented(&self) -> impl Iterator<Item = &Column<R>> + Clone {
        self.columns.iter().filter(|column| column.is_in_documents())
    }

    /// The columns of Python's tables.
    pub fn in_tables(&self) -> impl Iterator<Item = &Column<R>> + Clone {
        self.columns.iter().filter(|column| column.place != Place::OnlyInCsv)
    }

    /// The columns of CSV, in its order.
    pub fn csv(&self) -> impl Iterator<Item = &Column<R>> + Clone {
        let at = |place: fn(Place) -> bool| {
            self.columns.iter().filter(move |column| place(column.place))
        };
        at(|place| matches!(place, Place::Everywhere | Place::OnlyInCsv | Place::OnlyInTables))
            .chain(at(|place| place == Place::LastInCsv))
    }
}

/// Columns of a table. Each has its sentence as a doc comment, then
/// `name as "CField": Kind, marks => value,` where the C field and the marks (`optional`, `last_in_csv`,
/// `not_in_csv`, `only_in_csv`, `only_in_tables`) may be absent, and the value is anything that [`Value`] is `From`.
#[doc(hidden)]
#[macro_export]
macro_rules! describe_columns {
    (|$row:ident: $record:ty| {
        $($(#[doc = $doc:literal])+
        $name:ident $(as $c_name:literal)?: $kind:ident $(($of:expr))? $(, $mark:ident)*
        => $value:expr),+ $(,)?
    }) => {
        &[$($crate::describe::Column::<$record>::new(
            stringify!($name),
            $crate::describe::Kind::$kind $(($of))?,
            concat!($($doc),+).trim_ascii(),
            |$row: &$record| {
                // A value may be the same for every record.
                let _ = $row;
                $crate::describe::Value::from($value)
            },
        )
        $(.c($c_name))?
        $(.$mark())*),+]
    };
}
#[doc(inline)]
pub use describe_columns as columns;

/// Names of an enum's variants: `ALL`, `NAMES` and `name()` out of one list.
macro_rules! names {
    ($(#[$doc:meta])* $type:ident { $($variant:ident => $name:literal),+ $(,)? }) => {
        impl $type {
            /// Every one.
            pub const ALL: [$type; [$($name),+].len()] = [$($type::$variant),+];
            /// Every name, in the order of [`ALL`](Self::ALL).
            pub const NAMES: [&'static str; [$($name),+].len()] = [$($name),+];

            $(#[$doc])*
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $($type::$variant => $name),+
                }
            }
        }
    };
}
pub(crate) use names;
