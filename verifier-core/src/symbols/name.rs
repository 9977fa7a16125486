//! Decorated names.
//!
//! 32-bit C names carry their calling convention: `_Name` (cdecl), `_Name@8` (stdcall), `@Name@8`
//! (fastcall). C++ names start with `?` on every machine.

use std::borrow::Cow;

use super::guard::guard;

/// A 32-bit C name without its decoration; any other name as it is.
///
/// ```
/// use verifier_core::symbols::undecorate;
/// assert_eq!(undecorate("_IopXxxControlFile@44"), "IopXxxControlFile");
/// assert_eq!(undecorate("@IofCallDriver@8"), "IofCallDriver");
/// assert_eq!(undecorate("_VfPoolTraces"), "VfPoolTraces");
/// assert_eq!(undecorate("KiSystemServiceExit"), "KiSystemServiceExit");
/// ```
#[must_use]
pub fn undecorate(name: &str) -> &str {
    let without_size = |name: &'_ str| -> Option<usize> {
        let (head, size) = name.rsplit_once('@')?;
        (!head.is_empty() && !size.is_empty() && size.bytes().all(|b| b.is_ascii_digit()))
            .then_some(head.len())
    };
    if let Some(rest) = name.strip_prefix('@') {
        return without_size(rest).and_then(|end| rest.get(..end)).unwrap_or(name);
    }
    if let Some(rest) = name.strip_prefix('_') {
        return without_size(rest).and_then(|end| rest.get(..end)).unwrap_or(rest);
    }
    name
}

/// The longest name that is shown, in bytes, whichever source it is from.
pub(super) const MAX_NAME: usize = 512;

/// A name as it is shown: [`demangle`]d, and cut if it is longer than any that people write.
pub(crate) fn shown(name: &str) -> Cow<'_, str> {
    match demangle(name) {
        Cow::Borrowed(name) => Cow::Borrowed(cut(name, MAX_NAME)),
        Cow::Owned(mut name) => {
            name.truncate(cut(&name, MAX_NAME).len());
            Cow::Owned(name)
        }
    }
}

/// At most so many bytes of a text, whole characters.
pub(crate) fn cut(text: &str, bytes: usize) -> &str {
    let end = (0..=bytes.min(text.len())).rev().find(|&end| text.is_char_boundary(end));
    end.and_then(|end| text.get(..end)).unwrap_or(text)
}

/// The longest part of a C++ name that is demangled, in bytes: the reader calls itself for each type
/// within a type, and 3,400 bytes overflow the stack of a thread (500 without optimization).
const MAX_MANGLED: usize = 256;
/// How much a C++ name may unfold to while it is demangled; others are shown as they are.
///
/// A digit may stand for a name or type that came before, and what it stands for may hold digits
/// too: 115 bytes take 10 seconds, and twice that more memory than there is. With `d` digits a name of
/// `n` bytes unfolds to no more than `n` times `e^(d/e)` parts; that is held against this.
const MAX_DEMANGLED_PARTS: u64 = 1 << 13;
/// Places at which the end of a name is looked for.
const MAX_ENDS: usize = 16;

/// A C++ name as people write it, without parameters; any other name as it is.
///
/// ```
/// use verifier_core::symbols::demangle;
/// assert_eq!(demangle("?InvokeClient@FxPnpDevicePrepareHardware@@MEAAJXZ"),
///            "FxPnpDevicePrepareHardware::InvokeClient");
/// assert_eq!(demangle("IofCallDriver"), "IofCallDriver");
/// ```
#[must_use]
pub fn demangle(name: &str) -> Cow<'_, str> {
    if !name.starts_with('?') {
        return Cow::Borrowed(name);
    }
    if name.starts_with("??_C@") {
        // A string, whose first characters are the rest.
        return Cow::Borrowed("`string'");
    }
    let parse = |mangled: &str| {
        let flags = msvc_demangler::DemangleFlags::NAME_ONLY;
        // Its arithmetic overflows on some malformed names, which builds that check it answer with a
        // panic.
        let parse = || msvc_demangler::demangle(mangled, flags).ok();
        unfolds_little(mangled).then(|| guard("C++ name", parse).ok().flatten()).flatten()
    };
    // The type behind the name is not shown, and most digits are in it: the first end of a name at
    // which an `int` will do for it is the right one, since any other leaves the name open. Not so
    // for conversions, whose type is their name, and for what the compiler made of types.
    let ends = if name.starts_with("??B") || name.starts_with("??_") { 0 } else { MAX_ENDS };
    let pairs = name.as_bytes().windows(2).enumerate().filter(|(_, pair)| pair == b"@@");
    let short = pairs.take(ends).find_map(|(end, _)| parse(&format!("{}@@3HA", name.get(..end)?)));
    short.or_else(|| parse(name)).map_or(Cow::Borrowed(name), Cow::Owned)
}

fn unfolds_little(mangled: &str) -> bool {
    if mangled.len() > MAX_MANGLED {
        return false;
    }
    let digits = mangled.bytes().filter(u8::is_ascii_digit).count() as u32;
    // e^(1/e) is a little less than 2^(7/13).
    let growth = 1u64.checked_shl(digits.saturating_mul(7) / 13);
    growth
        .and_then(|growth| growth.checked_mul(mangled.len() as u64))
        .is_some_and(|parts| parts <= MAX_DEMANGLED_PARTS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_every_kind() {
        for (mangled, name) in [
            ("??0Foo@@QEAA@XZ", "Foo::Foo"),
            ("??1Foo@ns@@UEAA@XZ", "ns::Foo::~Foo"),
            ("??BFoo@@QEBAHXZ", "Foo::operator int"),
            ("??2@YAPEAX_K@Z", "operator new"),
            ("??_7Foo@@6B@", "Foo::`vftable'"),
            ("?x@?1??f@@YAXXZ@4HA", "`f'::`2'::x"),
            ("?f@?A0x1234@@YAXXZ", "`anonymous namespace'::f"),
            ("?f@?$C@H@ns@@QEAAXXZ", "ns::C<int>::f"),
            (
                "?f@?$v@V?$s@DU?$t@D@std@@V?$a@D@2@@std@@@std@@QEAAPEAV?$s@DU?$t@D@std@@V?$a@D@2@@\
                 2@AEBV32@1234@Z",
                "std::v<class std::s<char,struct std::t<char>,class std::a<char> > >::f",
            ),
            ("?\u{1b}[2J", "?\u{1b}[2J"),
            // A number that overflows the demangler's own arithmetic.
            ("?f?($E@??B\u{b}\u{2}(@@_01@?$@Y/V@Y/", "?f?($E@??B\u{b}\u{2}(@@_01@?$@Y/V@Y/"),
        ] {
            assert_eq!(demangle(mangled), name);
        }
    }

    #[test]
    fn a_long_name_is_cut_between_characters() {
        let long = format!("{}é", "a".repeat(MAX_NAME - 1));
        assert_eq!(shown(&long), long[..MAX_NAME - 1]);
        assert_eq!(shown(&long[1..]), long[1..]);
        let mangled = format!("?f@{}", "a".repeat(2 * MAX_NAME));
        assert_eq!(shown(&mangled).len(), MAX_NAME);
    }

    /// Each type of the list is a function of eight of the one before.
    fn bomb(levels: usize) -> String {
        let levels = (0..levels).map(|i| format!("P6AX{}@Z", i.to_string().repeat(8)));
        format!("P6AXHH@Z{}", levels.collect::<String>())
    }

    #[test]
    fn no_name_unfolds_without_end() {
        // Behind the name nothing matters; in it, it is shown as it stands.
        assert_eq!(demangle(&format!("?f@@YAX{}@Z", bomb(9))), "f");
        let inside = format!("?f@?$C@{}@@QEAAXXZ", bomb(9));
        assert_eq!(demangle(&inside), inside);
        let conversion = format!("??BFoo@@QEBA{}XZ", bomb(9));
        assert_eq!(demangle(&conversion), conversion);
        let long = format!("?{}@@3HA", "a".repeat(10_000));
        assert_eq!(demangle(&long), long);
    }

    #[test]
    fn no_name_is_too_deep() {
        for unit in ["PEA", "QEAP8a@@", "V?$a@", "?$a@", "?a@?1??", "$$BY_", "P_E", "$1?", "A"] {
            for head in ["?f@@3", "??BFoo@@QEBA", "?f@?$C@", "??$C@", "??_R0", "?f@?1??"] {
                for count in [10, 100, (MAX_MANGLED - head.len()) / unit.len()] {
                    let _ = demangle(&format!("{head}{}", unit.repeat(count)));
                }
            }
        }
    }
}
