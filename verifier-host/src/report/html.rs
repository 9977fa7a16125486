//! Text in markup.

use std::fmt::Write as _;

use verifier_core::render::{Size, Thousands};

/// JSON that is safe in a `script` element: characters that could end the element, or begin a comment or an
/// entity, are written as escapes. JSON has these characters only in strings.
pub(super) fn inert_json(json: &str) -> String {
    let mut out = String::with_capacity(json.len() + 64);
    for c in json.chars() {
        match c {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                // Writing to a string does not fail.
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out
}

/// A number with commas between thousands.
pub(super) fn number(value: u64) -> String {
    Thousands(value).to_string()
}

/// "1 block", "1,234 blocks".
pub(super) fn counted(count: u64, what: &str) -> String {
    format!("{} {what}{}", number(count), if count == 1 { "" } else { "s" })
}

/// The same size, with its exact number in the title.
pub(super) fn size(bytes: u64) -> String {
    format!("<span title=\"{}\">{}</span>", counted(bytes, "byte"), Size(bytes))
}

/// Writes a table of markup. Each cell also names its column, because on a phone the cells of a row are one
/// below the other.
pub(super) fn write_table(
    out: &mut String,
    class: &str,
    heads: &[(&str, &str)],
    rows: impl Iterator<Item = Vec<String>>,
) {
    let _ = write!(
        out,
        "<table class=\"stacking {class}\" role=\"table\"><thead role=\"rowgroup\"><tr role=\"row\">"
    );
    for (text, class) in heads {
        let _ =
            write!(out, "<th scope=\"col\" role=\"columnheader\" class=\"{class}\">{text}</th>");
    }
    out.push_str("</tr></thead><tbody role=\"rowgroup\">\n");
    for row in rows {
        out.push_str("<tr role=\"row\">");
        for (cell, (name, class)) in row.iter().zip(heads) {
            let _ = write!(
                out,
                "<td role=\"cell\" class=\"{class}\" data-label=\"{name}\">{cell}</td>"
            );
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody></table>\n");
}

/// Base64, for the hash in the content security policy.
pub(super) fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().fold(0u32, |word, &byte| word << 8 | u32::from(byte))
            << (8 * (3 - chunk.len()));
        for i in 0..4 {
            if i > chunk.len() {
                out.push('=');
            } else {
                out.push(char::from(DIGITS[(word >> (18 - 6 * i) & 0x3f) as usize]));
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_stay_data() {
        let json = inert_json(r#"["</script><!--&"]"#);
        assert_eq!(json, r#"["\u003c/script\u003e\u003c!--\u0026"]"#);
        assert_eq!(serde_json::from_str::<Vec<String>>(&json).unwrap(), ["</script><!--&"]);
    }

    #[test]
    fn base64_of_every_length() {
        for (text, expected) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg==")]
        {
            assert_eq!(base64(text.as_bytes()), expected);
        }
    }

    #[test]
    fn numbers() {
        assert_eq!(size(2048), "<span title=\"2,048 bytes\">2.0 KiB</span>");
        assert_eq!(
            (counted(1, "block"), counted(1234, "block")),
            ("1 block".into(), "1,234 blocks".into())
        );
    }
}
