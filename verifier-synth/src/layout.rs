//! Layouts of kernel structures by build, as data: type → size; field → offset and kind.
//!
//! The data are in `layouts/x64.txt` and `layouts/x86.txt`, which were made from public PDB type tables. Each
//! type line names the builds that it applies to. `hidden` structures are known from other sources and are
//! never written to a symbol table.

use std::collections::BTreeMap;

use crate::build::Build;
use crate::dump::MachineType;

/// The type of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// An integer.
    Int {
        /// Bytes.
        size: usize,
        /// Whether it is signed.
        signed: bool,
    },
    /// A UTF-16 unit.
    WideChar,
    /// A pointer to a structure of this name, or to `void`, `wchar` or `u8`. A trailing `*` means a pointer
    /// to a pointer.
    Pointer(String),
    /// A structure of this name.
    Struct(String),
    /// A structure or union without a name.
    Nested(Box<TypeLayout>),
    /// Bits of an integer.
    Bits {
        /// Bytes of the integer.
        size: usize,
        /// The lowest bit.
        start: u32,
        /// Number of bits.
        length: u32,
    },
}

/// A field of a structure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Its name in C.
    pub name: String,
    /// Bytes from the start of the enclosing structure.
    pub offset: usize,
    /// Its type, or the type of its elements.
    pub kind: Kind,
    /// Number of elements, if it is an array.
    pub count: Option<usize>,
}

/// A structure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TypeLayout {
    /// Size in bytes; 0 for a structure without a name (see [`Layouts::extent`]).
    pub size: usize,
    /// Its fields, by offset.
    pub fields: Vec<Field>,
    /// True if the build's public PDB does not have it.
    pub hidden: bool,
}

/// The structures of one build.
#[derive(Debug, Clone)]
pub struct Layouts {
    pointer_size: usize,
    types: BTreeMap<String, TypeLayout>,
}

impl Build {
    /// The build's layouts.
    pub fn layouts(self) -> Layouts {
        Layouts::parse(self)
    }
}

impl Layouts {
    fn parse(build: Build) -> Self {
        let pointer_size = build.machine().pointer_size();
        let text = if pointer_size == 8 {
            include_str!("../layouts/x64.txt")
        } else {
            include_str!("../layouts/x86.txt")
        };
        let number = build.number().to_string();
        let on_arm64 = format!("arm64:{number}");
        let is_ours = |listed: &str| {
            listed == number || (listed == on_arm64 && build.machine() == MachineType::Arm64)
        };
        let mut layouts = Self { pointer_size, types: BTreeMap::new() };
        let mut lines = text.lines().filter(|line| !line.starts_with('#')).peekable();
        while let Some(line) = lines.next() {
            let (head, builds) = line.split_once(" in ").expect("a type line names its builds");
            let words: Vec<&str> = head.split(' ').collect();
            let mut body = Vec::new();
            while let Some(field) = lines.next_if(|line| line.starts_with(' ')) {
                body.push(field);
            }
            if builds.split(' ').any(is_ours) {
                let fields = parse_fields(&mut body.into_iter().peekable(), 2, 0);
                let layout =
                    TypeLayout { size: hex(words[2]), fields, hidden: words[0] == "hidden" };
                layouts.types.insert(words[1].to_owned(), layout);
            }
        }
        layouts
    }

    /// Bytes in a pointer.
    pub fn pointer_size(&self) -> usize {
        self.pointer_size
    }

    /// All structures by name.
    pub fn types(&self) -> impl Iterator<Item = (&str, &TypeLayout)> {
        self.types.iter().map(|(name, layout)| (name.as_str(), layout))
    }

    /// True if the build has a structure with this name.
    pub fn has(&self, name: &str) -> bool {
        self.types.contains_key(name)
    }

    /// A structure.
    ///
    /// # Panics
    ///
    /// If the build does not have a structure with this name.
    pub fn get(&self, name: &str) -> &TypeLayout {
        self.types.get(name).unwrap_or_else(|| panic!("this build has no {name}"))
    }

    /// Size of a structure in bytes.
    ///
    /// # Panics
    ///
    /// If the build does not have a structure with this name.
    pub fn size(&self, name: &str) -> usize {
        self.get(name).size
    }

    /// A field by path, such as `u1.Flags.Spare`, with its offset from the start of the whole structure.
    pub fn find(&self, name: &str, path: &str) -> Option<(usize, &Field)> {
        let mut layout = self.types.get(name)?;
        let mut offset = 0;
        let mut parts = path.split('.').peekable();
        while let Some(part) = parts.next() {
            let field = layout.fields.iter().find(|field| field.name == part)?;
            offset += field.offset;
            if parts.peek().is_none() {
                return Some((offset, field));
            }
            layout = match &field.kind {
                Kind::Struct(inner) => self.types.get(inner)?,
                Kind::Nested(inner) => inner,
                _ => return None,
            };
        }
        None
    }

    /// Offset of a field by path.
    ///
    /// # Panics
    ///
    /// If the build has no such field.
    pub fn offset(&self, name: &str, path: &str) -> usize {
        self.find(name, path).unwrap_or_else(|| panic!("this build has no {name}.{path}")).0
    }

    /// Number of elements of an array field.
    ///
    /// # Panics
    ///
    /// If the build has no such array.
    pub fn count(&self, name: &str, path: &str) -> usize {
        self.find(name, path)
            .and_then(|(_, field)| field.count)
            .unwrap_or_else(|| panic!("this build has no array {name}.{path}"))
    }

    /// Size of one element of a field, in bytes.
    ///
    /// # Panics
    ///
    /// If the field is a structure that the build does not have.
    pub fn element_size(&self, field: &Field) -> usize {
        match &field.kind {
            Kind::Int { size, .. } | Kind::Bits { size, .. } => *size,
            Kind::WideChar => 2,
            Kind::Pointer(_) => self.pointer_size,
            Kind::Struct(name) => self.size(name),
            Kind::Nested(layout) => self.extent(layout),
        }
    }

    /// Size of a structure in bytes; for one without a name, the end of its last field.
    pub fn extent(&self, layout: &TypeLayout) -> usize {
        let end =
            |field: &Field| field.offset + self.element_size(field) * field.count.unwrap_or(1);
        if layout.size != 0 {
            layout.size
        } else {
            layout.fields.iter().map(end).max().unwrap_or(0)
        }
    }

    /// The bytes of a pointer.
    pub fn pointer(&self, value: u64) -> Vec<u8> {
        value.to_le_bytes()[..self.pointer_size].to_vec()
    }
}

fn hex(text: &str) -> usize {
    usize::from_str_radix(text.trim_start_matches("0x"), 16).expect("a hexadecimal number")
}

/// Reads the fields indented by `indent`; offsets in the text count from the outermost structure.
fn parse_fields<'a>(
    lines: &mut std::iter::Peekable<impl Iterator<Item = &'a str>>,
    indent: usize,
    base: usize,
) -> Vec<Field> {
    let mut fields = Vec::new();
    while let Some(line) = lines.next_if(|line| line.len() - line.trim_start().len() == indent) {
        let mut words = line.trim_start().split(' ');
        let offset = hex(words.next().expect("an offset").trim_start_matches('+'));
        let name = words.next().expect("a name").to_owned();
        let (text, count) = match words.next().expect("a type").split_once('[') {
            Some((text, count)) => {
                (text, Some(count.trim_end_matches(']').parse().expect("a count")))
            }
            None => (line.rsplit(' ').next().expect("a type"), None),
        };
        let kind = if text == "{}" {
            let inner = parse_fields(&mut *lines, indent + 2, offset);
            Kind::Nested(Box::new(TypeLayout { size: 0, fields: inner, hidden: false }))
        } else {
            parse_kind(text)
        };
        fields.push(Field { name, offset: offset - base, kind, count });
    }
    fields
}

fn parse_kind(text: &str) -> Kind {
    let int = |text: &str| match text {
        "u8" => Some((1, false)),
        "u16" => Some((2, false)),
        "u32" => Some((4, false)),
        "u64" => Some((8, false)),
        "i16" => Some((2, true)),
        "i32" => Some((4, true)),
        "i64" => Some((8, true)),
        _ => None,
    };
    if let Some(target) = text.strip_suffix('*') {
        return Kind::Pointer(target.to_owned());
    }
    if let Some((base, bits)) = text.split_once(':') {
        let (start, length) = bits.split_once('+').expect("start+length");
        let (size, _) = int(base).expect("an integer below a bit field");
        return Kind::Bits {
            size,
            start: start.parse().expect("a bit"),
            length: length.parse().expect("bits"),
        };
    }
    match int(text) {
        Some((size, signed)) => Kind::Int { size, signed },
        None if text == "wchar" => Kind::WideChar,
        None => Kind::Struct(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_build_resolves_every_embedded_structure() {
        for build in Build::ALL {
            let layouts = build.layouts();
            for (name, layout) in layouts.types() {
                for field in &layout.fields {
                    let end = field.offset + layouts.element_size(field) * field.count.unwrap_or(1);
                    assert!(
                        end <= layout.size,
                        "{build:?}: {name}.{} ends at {end:#x} of {:#x}",
                        field.name,
                        layout.size
                    );
                }
            }
        }
    }

    #[test]
    fn layouts_drift_between_builds() {
        let verified = |build: Build| build.layouts().offset("_VF_TARGET_DRIVER", "VerifiedData");
        assert_eq!(verified(Build::Win7Sp1), 0x28);
        assert_eq!(verified(Build::Win10Vb), 0x38);
        assert_eq!(verified(Build::Server2022), 0x30);
        assert_eq!(verified(Build::Win7Sp1X86), 0x14);
        assert_eq!(verified(Build::Win11Ge), 0x40);
        let name = |build: Build| build.layouts().offset("_VF_SUSPECT_DRIVER_ENTRY", "BaseName");
        assert_eq!((name(Build::Win11), name(Build::Win11Ge)), (0x18, 0x28));
        let table = |build: Build| build.layouts().size("_VF_AVL_TABLE");
        assert_eq!((table(Build::Win11), table(Build::Win11Arm64)), (0xc0, 0x100));
        assert_eq!(Build::Win11.layouts().count("_VF_POOL_TRACE", "StackTrace"), 50);
        assert_eq!(Build::Win10Vb.layouts().offset("_VF_TARGET_DRIVER", "TreeNode.Base.p"), 0);
    }

    #[test]
    fn bits_are_set_in_place() {
        let layouts = Build::Win7Sp1.layouts();
        let bytes = layouts
            .record("_SLIST_HEADER")
            .set("HeaderX64.HeaderType", 1)
            .set("HeaderX64.NextEntry", 0x123)
            .bytes();
        assert_eq!(bytes[8..], 0x1231u64.to_le_bytes());
    }
}
