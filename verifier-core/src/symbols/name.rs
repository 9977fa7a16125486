//! Decorated names.
//!
//! 32-bit C names carry their calling convention: `_Name` (cdecl), `_Name@8` (stdcall), `@Name@8`
//! (fastcall). C++ names start with `?` on every machine.

use std::borrow::Cow;

use super::guard::guard;

/// A 32-bit C name without its decoration; any other name unchanged.
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

/// The longest name that is shown, in bytes, for every source.
pub(super) const MAX_SHOWN_NAME: usize = 512;

/// The name in its displayed form: [`demangle`]d, and cut if it is longer than [`MAX_SHOWN_NAME`].
pub(crate) fn shown(name: &str) -> Cow<'_, str> {
    match demangle(name) {
        Cow::Borrowed(name) => Cow::Borrowed(cut(name, MAX_SHOWN_NAME)),
        Cow::Owned(mut name) => {
            name.truncate(cut(&name, MAX_SHOWN_NAME).len());
            Cow::Owned(name)
        }
    }
}

/// The start of a text, at most `bytes` bytes, cut at a character boundary.
pub(crate) fn cut(text: &str, bytes: usize) -> &str {
    let end = (0..=bytes.min(text.len())).rev().find(|&end| text.is_char_boundary(end));
    end.and_then(|end| text.get(..end)).unwrap_or(text)
}

/// The longest part of a C++ name that is demangled, in bytes. The demangler recurses for each type within a
/// type, and 3,400 bytes overflow a thread's stack (500 bytes in a build without optimization).
const MAX_MANGLED: usize = 256;
/// Limit on the parts that a C++ name may expand to; a name above it is shown mangled.
///
/// A digit can refer to an earlier name or type, which can contain digits too: demangling 115 bytes can take
/// 10 seconds, and twice as many bytes can exhaust the memory. With `d` digits, a name of `n` bytes expands
/// to at most `n` times `e^(d/e)` parts; that bound is compared with this limit.
const MAX_DEMANGLED_PARTS: u64 = 1 << 13;
/// Limit on the positions that are tried as the end of a name.
const MAX_ENDS: usize = 16;

/// A C++ name in readable form, without parameters; any other name unchanged.
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
        // A string; the rest of the name is its first characters.
        return Cow::Borrowed("`string'");
    }
    let parse = |mangled: &str| {
        let flags = msvc_demangler::DemangleFlags::NAME_ONLY;
        // The demangler's arithmetic overflows on some malformed names, which panics in builds with overflow
        // checks.
        let parse = || msvc_demangler::demangle(mangled, flags).ok();
        unfolds_little(mangled).then(|| guard("C++ name", parse).ok().flatten()).flatten()
    };
    // The type after the name is not shown, and it holds most of the digits. The name ends at the first `@@`
    // after which an `int` parses as the type, because any other `@@` leaves the name incomplete. This does
    // not work for conversions, whose type is their name, and for names that the compiler made from types.
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
            // A number that overflows the demangler's arithmetic.
            ("?f?($E@??B\u{b}\u{2}(@@_01@?$@Y/V@Y/", "?f?($E@??B\u{b}\u{2}(@@_01@?$@Y/V@Y/"),
        ] {
            assert_eq!(demangle(mangled), name);
        }
    }

    #[test]
    fn a_long_name_is_cut_between_characters() {
        let long = format!("{}é", "a".repeat(MAX_SHOWN_NAME - 1));
        assert_eq!(shown(&long), long[..MAX_SHOWN_NAME - 1]);
        assert_eq!(shown(&long[1..]), long[1..]);
        let mangled = format!("?f@{}", "a".repeat(2 * MAX_SHOWN_NAME));
        assert_eq!(shown(&mangled).len(), MAX_SHOWN_NAME);
    }

    /// Each type in the list is a function of eight arguments of the type before it.
    fn bomb(levels: usize) -> String {
        let levels = (0..levels).map(|i| format!("P6AX{}@Z", i.to_string().repeat(8)));
        format!("P6AXHH@Z{}", levels.collect::<String>())
    }

    #[test]
    fn the_expansion_of_a_name_is_limited() {
        // Digits after the name do not matter; if they are in the name, it is shown mangled.
        assert_eq!(demangle(&format!("?f@@YAX{}@Z", bomb(9))), "f");
        let inside = format!("?f@?$C@{}@@QEAAXXZ", bomb(9));
        assert_eq!(demangle(&inside), inside);
        let conversion = format!("??BFoo@@QEBA{}XZ", bomb(9));
        assert_eq!(demangle(&conversion), conversion);
        let long = format!("?{}@@3HA", "a".repeat(10_000));
        assert_eq!(demangle(&long), long);
    }

    #[test]
    fn a_deeply_nested_name_does_not_overflow_the_stack() {
        for unit in ["PEA", "QEAP8a@@", "V?$a@", "?$a@", "?a@?1??", "$$BY_", "P_E", "$1?", "A"] {
            for head in ["?f@@3", "??BFoo@@QEBA", "?f@?$C@", "??$C@", "??_R0", "?f@?1??"] {
                for count in [10, 100, (MAX_MANGLED - head.len()) / unit.len()] {
                    let _ = demangle(&format!("{head}{}", unit.repeat(count)));
                }
            }
        }
    }
}
