//! Decorated names.
//!
//! 32-bit C names carry their calling convention: `_Name` (cdecl), `_Name@8` (stdcall), `@Name@8`
//! (fastcall). C++ names start with `?` on every machine.

use std::borrow::Cow;

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

/// The longest C++ name that is demangled; longer ones are shown as they are.
const MAX_MANGLED: usize = 4096;

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
    if !name.starts_with('?') || name.len() > MAX_MANGLED {
        return Cow::Borrowed(name);
    }
    match msvc_demangler::demangle(name, msvc_demangler::DemangleFlags::NAME_ONLY) {
        Ok(text) => Cow::Owned(text),
        Err(_) => Cow::Borrowed(name),
    }
}
