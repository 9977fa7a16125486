//! Text from a dump, made harmless for its destination.
//!
//! The maker of a dump can put any bytes into a name: it could move a terminal's cursor, rename its window,
//! reverse the direction of the line so that `gpj.sys` reads as another name, or be run by a spreadsheet.
//! Every renderer passes names through these functions:
//!
//! | output | function | what it does |
//! |---|---|---|
//! | a terminal, Markdown, SVG, DOT | [`sanitize`] | replaces control characters (C0, DEL, C1), line and paragraph separators, and characters that change the direction of text by U+FFFD |
//! | HTML | [`escape_html`] | the same, and writes `&<>"'` as entities |
//! | XML | [`escape_xml`] | the same, and replaces characters that XML 1.0 does not have |
//! | CSV | [`inert`] | the same, and puts an apostrophe before `=`, `+`, `-`, `@` at the beginning |
//! | JSON | [`JsonFormatter`] | writes the same characters as escapes such as `\u009b`: nothing is lost |
//!
//! The other formats escape their own markup and quotes after this: SVG `&<>"'`, DOT and CSV quotes and
//! backslashes.

use std::borrow::Cow;
use std::io;

use serde_json::ser::Formatter;

/// True for a character that a terminal, or another program that shows a line of text, would obey instead of show.
fn is_obeyed(c: char) -> bool {
    c.is_control()
        || matches!(c,
            // Line and paragraph separator.
            '\u{2028}' | '\u{2029}'
            // Arabic letter mark, left-to-right and right-to-left mark.
            | '\u{61c}' | '\u{200e}' | '\u{200f}'
            // Embeddings and overrides; isolates.
            | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// `text` in which control characters and characters that change its direction are replaced by U+FFFD.
///
/// ```
/// use verifier_core::render::text::sanitize;
/// assert_eq!(sanitize("evil\u{1b}[2J.sys"), "evil\u{fffd}[2J.sys");
/// assert_eq!(sanitize("a\u{202e}gpj.sys"), "a\u{fffd}gpj.sys");
/// ```
#[must_use]
pub fn sanitize(text: &str) -> Cow<'_, str> {
    if text.chars().any(is_obeyed) {
        Cow::Owned(text.chars().map(|c| if is_obeyed(c) { '\u{fffd}' } else { c }).collect())
    } else {
        Cow::Borrowed(text)
    }
}

/// The same for HTML, in which markup loses its meaning: in an element or in a quoted attribute.
///
/// ```
/// use verifier_core::render::escape_html;
/// assert_eq!(escape_html("<b>\u{202e}&\"'"), "&lt;b&gt;\u{fffd}&amp;&quot;&#39;");
/// ```
#[must_use]
pub fn escape_html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in sanitize(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// The same for XML 1.0, which does not have U+FFFE and U+FFFF.
pub(super) fn escape_xml(text: &str) -> String {
    escape_html(text).replace(['\u{fffe}', '\u{ffff}'], "\u{fffd}")
}

/// The same as [`sanitize`] for a cell that no spreadsheet runs. Blanks before a formula do not hide it, and neither
/// do the wide forms of the signs.
pub(super) fn inert(text: &str) -> Cow<'_, str> {
    // A tab or a line end at the beginning would also start a formula.
    let first = text.trim_start().chars().next();
    let text = sanitize(text);
    let after = text.trim_start_matches(['\u{fffd}', ' ']).chars().next();
    let is_sign =
        |c: Option<char>| matches!(c, Some('=' | '+' | '-' | '@' | '＝' | '＋' | '－' | '＠'));
    if is_sign(first) || is_sign(after) { Cow::Owned(format!("'{text}")) } else { text }
}

/// JSON on one line, with every character that would be obeyed written as an escape. `serde_json` does
/// that for C0 only.
pub(super) struct JsonFormatter;

impl Formatter for JsonFormatter {
    fn write_string_fragment<W: io::Write + ?Sized>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut rest = fragment;
        while let Some(at) = rest.find(is_obeyed) {
            let (plain, after) = rest.split_at(at);
            writer.write_all(plain.as_bytes())?;
            let Some(c) = after.chars().next() else { break };
            // All of them are in the basic plane.
            write!(writer, "\\u{:04x}", u32::from(c))?;
            rest = after.get(c.len_utf8()..).unwrap_or_default();
        }
        writer.write_all(rest.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::Serialize as _;

    use super::*;

    const OBEYED: [&str; 12] = [
        "\0",
        "\u{1b}[2J",
        "\u{7}",
        "\r",
        "\n",
        "\t",
        "\u{7f}",
        "\u{9b}2J",
        "\u{202e}",
        "\u{2066}",
        "\u{61c}",
        "\u{2028}",
    ];

    fn json(text: &str) -> String {
        let mut out = Vec::new();
        text.serialize(&mut serde_json::Serializer::with_formatter(&mut out, JsonFormatter))
            .unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn nothing_is_obeyed() {
        for bad in OBEYED {
            let name = format!("a{bad}b.sys");
            for shown in
                [sanitize(&name), inert(&name), json(&name).into(), escape_html(&name).into()]
            {
                assert!(!shown.chars().any(is_obeyed), "{shown:?}");
                assert!(shown.contains("b.sys"));
            }
        }
        for good in ["VerifierExt.sys", "é – ß 驱动.sys", "a\u{a0}b"] {
            assert_eq!(sanitize(good), good);
            assert_eq!(inert(good), good);
        }
    }

    #[test]
    fn no_cell_is_a_formula() {
        for sign in ["=", "+", "-", "@", "＝", "＋", "－", "＠"] {
            for before in ["", " ", "\t", "\r", "\n", "\u{1b}", " \t "] {
                let cell = format!("{before}{sign}cmd|'/C calc'!A0");
                assert!(inert(&cell).starts_with('\''), "{cell:?}");
            }
        }
        assert_eq!(inert("a=b"), "a=b");
    }

    proptest! {
        #[test]
        fn any_text(text in any::<String>()) {
            prop_assert!(!sanitize(&text).chars().any(is_obeyed));
            prop_assert_eq!(sanitize(&text).chars().count(), text.chars().count());
            let html = escape_html(&text);
            prop_assert!(!html.contains(['<', '>', '"', '\'']) && !html.chars().any(is_obeyed));
            let cell = inert(&text);
            prop_assert!(!cell.chars().any(is_obeyed));
            prop_assert!(!cell.starts_with(['=', '+', '-', '@']));
            let json = json(&text);
            prop_assert!(!json.chars().any(is_obeyed));
            prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
        }
    }
}
