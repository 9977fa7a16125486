//! Text from a dump on a terminal.

use std::borrow::Cow;

/// The row between records, as the walk-through has it for `!verifier 80`; other publications lost it.
pub(super) const SEPARATOR: &str =
    "======================================================================";

/// `text` without control characters: a driver's name could otherwise move the cursor, rename the
/// window or hide what comes before it. Each becomes U+FFFD.
#[must_use]
pub fn sanitize(text: &str) -> Cow<'_, str> {
    if text.chars().any(char::is_control) {
        Cow::Owned(text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect())
    } else {
        Cow::Borrowed(text)
    }
}
