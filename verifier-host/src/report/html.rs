//! Text in markup.

use std::fmt::Write as _;

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
    let digits = value.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A number of bytes as people read it: `346.4 KiB`.
pub(super) fn size_text(bytes: u64) -> String {
    let mut value = bytes as f64;
    let mut unit = "bytes";
    for next in ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"] {
        if value < 1024.0 {
            break;
        }
        (value, unit) = (value / 1024.0, next);
    }
    match bytes {
        1 => "1 byte".into(),
        0..1024 => format!("{bytes} bytes"),
        _ => format!("{value:.1} {unit}"),
    }
}

/// "1 block", "1,234 blocks".
pub(super) fn counted(count: u64, what: &str) -> String {
    format!("{} {what}{}", number(count), if count == 1 { "" } else { "s" })
}

/// The same size, with its exact number in the title.
pub(super) fn size(bytes: u64) -> String {
    format!("<span title=\"{}\">{}</span>", counted(bytes, "byte"), size_text(bytes))
}

/// A share in percent; "100 %" and "0 %" only if it is exactly that.
pub(super) fn percent(part: u64, whole: u64) -> String {
    match (part, whole) {
        (0, _) | (_, 0) => "0 %".to_string(),
        (part, whole) if part >= whole => "100 %".to_string(),
        (part, whole) => format!("{:.1} %", (part as f64 / whole as f64 * 100.0).clamp(0.1, 99.9)),
    }
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
        assert_eq!(number(0), "0");
        assert_eq!(number(1_234_567), "1,234,567");
        let sizes = [0, 1, 1023, 1024, 354_689, 1 << 30, u64::MAX].map(size_text);
        let texts =
            ["0 bytes", "1 byte", "1023 bytes", "1.0 KiB", "346.4 KiB", "1.0 GiB", "16.0 EiB"];
        assert_eq!(sizes, texts);
        assert_eq!(size(2048), "<span title=\"2,048 bytes\">2.0 KiB</span>");
        let shares = [percent(1, 3), percent(1, 100_000), percent(99_999, 100_000), percent(3, 3)];
        assert_eq!(shares, ["33.3 %", "0.1 %", "99.9 %", "100 %"]);
    }
}
