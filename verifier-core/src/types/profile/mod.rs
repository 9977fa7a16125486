//! Layouts that are built into the library, for kernels whose PDB is not available.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Member, Shape, Structure, TypeSource};
use crate::addr::Rva;
use crate::error::Error;
use crate::machine::Machine;

/// The layouts; the file explains its format.
const LAYOUTS: &str = include_str!("layouts.txt");

/// Builds whose type tables the layouts were read from, and builds that share them: the updates of 19041 and
/// of 26100, and 22621 and 22631, whose types are those of 22000.
const KNOWN: [(u32, u32); 19] = [
    (3790, 3790),
    (6000, 6002),
    (7600, 7601),
    (9200, 9200),
    (9600, 9600),
    (10240, 10240),
    (10586, 10586),
    (14393, 14393),
    (15063, 15063),
    (16299, 16299),
    (17134, 17134),
    (17763, 17763),
    (18362, 18363),
    (19041, 19045),
    (20348, 20348),
    (22000, 22000),
    (22621, 22621),
    (22631, 22631),
    (26100, 26200),
];

/// Built-in layouts of one build.
///
/// A [`Profile`] has the structures that the views read, by pointer width and build. They come from
/// a table that names its sources (`layouts.txt` in the crate's sources). A profile has no globals, because their addresses
/// change with every update of a kernel. A caller that finds a global in another way adds it with the reason
/// ([`Profile::with_symbol`]); `verifier::Globals` does so from the kernel's data.
///
/// A build without its own table gets the layouts of the nearest build below, and [`Profile::describe`] says
/// so; the layouts of 26100 serve later builds. ARM64 kernels get the 64-bit layouts with their own
/// `_VF_AVL_TABLE`: the table of an ARM64 kernel of build 19569 is otherwise the same as x64's of 20348, and
/// headers of 16299 and 17134 have the same fields in the same order.
#[derive(Debug, Clone)]
pub struct Profile {
    machine: Machine,
    build: u32,
    types: BTreeMap<&'static str, Arc<Structure>>,
    symbols: BTreeMap<String, Rva>,
    remarks: BTreeMap<String, String>,
    /// Why these layouts were chosen, if the build was not simply given.
    chosen_by: Option<String>,
    /// Why these layouts may belong to another build.
    doubt: Option<String>,
}

impl Profile {
    /// The layouts for a kernel; `None` if there are none (builds before XP SP2, an unknown build number).
    #[must_use]
    pub fn new(machine: Machine, build: u32) -> Option<Self> {
        let types = read(LAYOUTS, machine, build);
        // A profile without Verifier's own structures would be useless.
        types.contains_key("_MM_DRIVER_VERIFIER_DATA").then(|| Self {
            machine,
            build,
            types,
            symbols: BTreeMap::new(),
            remarks: BTreeMap::new(),
            chosen_by: None,
            doubt: None,
        })
    }

    /// Adds a global with the reason for its address.
    #[must_use]
    pub fn with_symbol(mut self, name: &str, rva: Rva, known_by: impl Into<String>) -> Self {
        self.symbols.insert(name.into(), rva);
        self.remarks.insert(name.into(), known_by.into());
        self
    }

    /// Adds the reason why a global is missing.
    #[must_use]
    pub fn without_symbol(mut self, name: &str, why: impl Into<String>) -> Self {
        self.symbols.remove(name);
        self.remarks.insert(name.into(), why.into());
        self
    }

    /// Adds the reason for these layouts, which [`describe`](TypeSource::describe) shows.
    #[must_use]
    pub fn chosen_by(mut self, why: String) -> Self {
        self.chosen_by = Some(why);
        self
    }

    /// Adds the reason why these layouts may be another build's, which [`doubt`](TypeSource::doubt) shows.
    #[must_use]
    pub fn in_doubt(mut self, why: String) -> Self {
        self.doubt = Some(why);
        self
    }

    /// True if the layouts were read from exactly this build (or one known to share them), false if they come
    /// from the nearest build below.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        match self.machine {
            Machine::X64 => is_known(self.build),
            // The last x86 kernel is 19041 with its updates.
            Machine::X86 => self.build == 2600 || (self.build <= 19045 && is_known(self.build)),
            Machine::Arm64 => self.build == 19569,
        }
    }

    /// Every structure in the profile.
    pub fn structures(&self) -> impl Iterator<Item = &Structure> {
        self.types.values().map(|structure| &**structure)
    }
}

fn is_known(build: u32) -> bool {
    KNOWN.iter().any(|&(first, last)| (first..=last).contains(&build))
}

impl TypeSource for Profile {
    fn structure(&self, name: &str) -> Result<Option<Arc<Structure>>, Error> {
        Ok(self.types.get(name).cloned())
    }

    fn symbol(&self, name: &str) -> Option<Rva> {
        self.symbols.get(name).copied()
    }

    fn describe(&self) -> String {
        let Self { machine, build, .. } = self;
        if let Some(why) = &self.chosen_by {
            return format!("built-in layouts of {machine} kernels as of build {build} ({why})");
        }
        match (machine, self.is_exact()) {
            (_, true) => format!("built-in layouts of {machine} build {build}"),
            (Machine::Arm64, false) => {
                format!(
                    "built-in layouts of x64 kernels for arm64 build {build}, presumed the same \
                     except for _VF_AVL_TABLE"
                )
            }
            (_, false) => {
                format!(
                    "built-in layouts for {machine} build {build}, from the nearest build below"
                )
            }
        }
    }

    fn doubt(&self) -> Option<&str> {
        self.doubt.as_deref()
    }

    fn remark(&self, symbol: &str) -> Option<String> {
        let unknown = || "only the kernel's symbols have its address".to_string();
        Some(self.remarks.get(symbol).cloned().unwrap_or_else(unknown))
    }
}

/// The structures in `text` for a machine and a build.
fn read(
    text: &'static str,
    machine: Machine,
    build: u32,
) -> BTreeMap<&'static str, Arc<Structure>> {
    let bits = (machine.pointer_size() * 8) as u32;
    let mut types = BTreeMap::new();
    let mut name = "";
    // Members of the previous line of the same width, whatever its build: "^" refers to it.
    let mut members: Vec<Member> = Vec::new();
    // The line that is being read: its size, and whether its build and width apply.
    let mut here: Option<(u64, bool)> = None;
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        if let Some(listed) = line.strip_prefix("  ") {
            if here.is_some() {
                members.extend(listed.split_whitespace().filter_map(|text| member(text, bits)));
            }
            continue;
        }
        finish(&mut types, name, here.take(), &members);
        let Some(head) = line.strip_prefix(' ') else {
            (name, members) = (line, Vec::new());
            continue;
        };
        let mut words = head.split_whitespace();
        let is_ours = match words.next() {
            Some("arm64") => machine == Machine::Arm64,
            width => width.and_then(number) == Some(u64::from(bits)),
        };
        let mut number = || words.next().and_then(number);
        let (true, Some(since)) = (is_ours, number()) else { continue };
        let size = number();
        let reached = since <= u64::from(build);
        let kept = words.next().and_then(|word| word.strip_prefix('^'));
        let keep = kept.and_then(|last| members.iter().position(|member| member.name == last));
        members.truncate(keep.map_or(0, |index| index + 1));
        match size {
            Some(size) => here = Some((size, reached)),
            // Removed from this build on.
            None if reached => {
                types.remove(name);
            }
            None => {}
        }
    }
    finish(&mut types, name, here, &members);
    types.into_iter().map(|(name, structure)| (name, Arc::new(structure))).collect()
}

/// Keeps the structure that has been read, if the build has reached it.
fn finish(
    types: &mut BTreeMap<&'static str, Structure>,
    name: &'static str,
    here: Option<(u64, bool)>,
    members: &[Member],
) {
    if let Some((size, true)) = here {
        types.insert(name, Structure { name: name.into(), size, members: members.to_vec() });
    }
}

/// A number in decimal, or in hexadecimal after 0x.
fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    }
}

/// `Name@offset:shape`.
fn member(text: &str, bits: u32) -> Option<Member> {
    let (name, place) = text.split_once('@')?;
    let (offset, kind) = place.split_once(':')?;
    Some(Member { name: name.into(), offset: number(offset)?, shape: shape(kind, bits)? })
}

fn shape(text: &str, bits: u32) -> Option<Shape> {
    if let Some((element, count)) = text.rsplit_once('*') {
        let element = shape(element, bits)?;
        let count = number(count)?;
        let size = element.size()?.checked_mul(count)?;
        return Some(Shape::Array { element: Box::new(element), size, count });
    }
    let (kind, rest) = text.split_at_checked(1)?;
    match kind {
        "p" => Some(Shape::Pointer(u8::try_from(bits / 8).ok()?)),
        "u" => Some(Shape::Unsigned(rest.parse().ok()?)),
        "i" => Some(Shape::Signed(rest.parse().ok()?)),
        "o" => Some(Shape::Opaque),
        "_" => Some(Shape::Named { name: text.into(), size: None }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every word of the text is used: a typing error would otherwise silently lose a member.
    #[test]
    fn the_whole_text_is_read() {
        let mut members = 0;
        for line in LAYOUTS.lines().filter(|line| !line.starts_with('#')) {
            match (line.strip_prefix("  "), line.strip_prefix(' ')) {
                (Some(listed), _) => {
                    for word in listed.split_whitespace() {
                        assert!(member(word, 64).is_some(), "{word:?}");
                        members += 1;
                    }
                }
                (None, Some(head)) => {
                    let words: Vec<&str> = head.split_whitespace().collect();
                    assert!(matches!(words.first(), Some(&"32" | &"64" | &"arm64")), "{line:?}");
                    assert!(number(words[1]).is_some(), "{line:?}");
                    assert!(words[2] == "-" || number(words[2]).is_some(), "{line:?}");
                    assert!(words.get(3).is_none_or(|word| word.starts_with('^')), "{line:?}");
                }
                (None, None) => assert!(line.starts_with('_'), "{line:?}"),
            }
        }
        assert!(members > 300, "{members} members");
    }

    /// Members are inside their structure and in order, and each "^" found its field.
    #[test]
    fn members_fit() {
        for (machine, builds) in [
            (
                Machine::X64,
                vec![
                    3790, 6000, 6002, 7601, 9200, 9600, 10586, 14393, 15063, 17134, 19041, 20348,
                    22000, 26100,
                ],
            ),
            (
                Machine::X86,
                vec![2600, 3790, 6000, 6002, 7601, 9200, 9600, 10586, 14393, 17134, 19041],
            ),
            (Machine::Arm64, vec![16299, 17134, 19041, 19569, 20348, 22000, 26100]),
        ] {
            for build in builds {
                let profile = Profile::new(machine, build).unwrap();
                for structure in profile.structures() {
                    let name = &structure.name;
                    assert!(!structure.members.is_empty(), "{name} of {build}");
                    assert_eq!(structure.members[0].offset, 0, "{name} of {build}");
                    let mut last = 0;
                    for member in &structure.members {
                        let end = member.offset + member.shape.size().unwrap_or(0);
                        assert!(end <= structure.size, "{name}.{} of {build}", member.name);
                        assert!(member.offset >= last, "{name}.{} of {build}", member.name);
                        last = member.offset;
                    }
                }
            }
        }
    }

    #[test]
    fn eras() {
        let has = |machine, build, name: &str| {
            Profile::new(machine, build).unwrap().structure(name).unwrap().is_some()
        };
        assert!(has(Machine::X86, 2600, "_MI_VERIFIER_DRIVER_ENTRY"));
        assert!(!has(Machine::X86, 2600, "_VI_POOL_PAGE_HEADER"), "XP has a hash array");
        assert!(has(Machine::X86, 6002, "_MI_VERIFIER_DRIVER_ENTRY"));
        assert!(!has(Machine::X64, 7601, "_MI_VERIFIER_DRIVER_ENTRY"), "removed in 7");
        assert!(has(Machine::X64, 7601, "_VF_TARGET_DRIVER"));
        assert!(Profile::new(Machine::X64, 2600).is_none(), "XP x64 is 3790");
        assert!(Profile::new(Machine::X64, 0).is_none());
        let stride = |build| Profile::new(Machine::X64, build).unwrap().size_of("_VF_POOL_TRACE");
        assert_eq!((stride(20348), stride(22000), stride(22631)), (Ok(0x80), Ok(0x1a8), Ok(0x1a8)));
    }

    #[test]
    fn builds_between_two_tables_use_the_lower_one() {
        let types = |build| Profile::new(Machine::X64, build).unwrap().types;
        assert_eq!(types(22621), types(22000));
        assert_eq!(types(22631), types(22000));
        assert_eq!(types(26200), types(26100));
        assert_eq!(types(27774), types(26100));
        assert_ne!(types(26100), types(22631));
    }

    #[test]
    fn arm64_has_the_tables_of_x64_except_those_padded_to_cache_lines() {
        let types = |machine, build| Profile::new(machine, build).unwrap().types;
        for build in [17134, 20348, 22000, 26100] {
            let (mut ours, mut theirs) = (types(Machine::Arm64, build), types(Machine::X64, build));
            let (table, x64) = (ours.remove("_VF_AVL_TABLE"), theirs.remove("_VF_AVL_TABLE"));
            assert_eq!(ours, theirs, "{build}");
            let (table, x64) = (table.unwrap(), x64.unwrap());
            assert_eq!((table.size, x64.size), (0x100, 0xc0), "{build}");
            assert_eq!(table.members, x64.members, "{build}");
        }
        let profile = Profile::new(Machine::Arm64, 19569).unwrap();
        let offset = |name: &str, path| profile.field(name, path).map(|field| field.offset);
        assert_eq!(profile.size_of("_VF_POOL_TRACE"), Ok(0x80));
        assert_eq!(profile.size_of("_VF_TARGET_DRIVER"), Ok(0x40));
        assert_eq!(offset("_VF_TARGET_DRIVER", "VerifiedData"), Ok(0x38));
        assert_eq!(profile.size_of("_VF_TARGET_VERIFIED_DRIVER_DATA"), Ok(0x130));
        assert_eq!(offset("_VF_TARGET_VERIFIED_DRIVER_DATA", "PagedBytes"), Ok(0x80));
    }

    #[test]
    fn the_description_names_machine_and_build() {
        let says = |machine, build| Profile::new(machine, build).unwrap().describe();
        assert_eq!(says(Machine::X64, 19045), "built-in layouts of x64 build 19045");
        assert_eq!(says(Machine::X64, 26200), "built-in layouts of x64 build 26200");
        assert_eq!(says(Machine::X86, 19041), "built-in layouts of x86 build 19041");
        assert!(says(Machine::X64, 18000).contains("nearest build below"));
        assert!(says(Machine::Arm64, 22000).contains("presumed"));
        let profile = Profile::new(Machine::X64, 7601).unwrap();
        let profile = profile
            .with_symbol("A", Rva(8), "found in the data")
            .without_symbol("B", "not found in the data");
        assert_eq!(profile.symbol("A"), Some(Rva(8)));
        assert_eq!(profile.symbol("B"), None);
        assert_eq!(profile.remark("A").as_deref(), Some("found in the data"));
        assert_eq!(profile.remark("B").as_deref(), Some("not found in the data"));
        assert!(profile.remark("C").unwrap().contains("symbols"));
    }
}
