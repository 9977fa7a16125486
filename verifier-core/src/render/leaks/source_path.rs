//! Paths of source files, which mostly are of Windows, in the form that reports for machines need.

use std::fmt::Write as _;

/// A path with forward slashes, and without the parts `.` and `..` as far as they can be resolved.
pub(super) fn forward(path: &str) -> String {
    let path = path.replace('\\', "/");
    let rest = path.trim_start_matches('/');
    let root = path.get(..path.len() - rest.len()).unwrap_or_default();
    let mut parts: Vec<&str> = Vec::new();
    for part in rest.split('/') {
        match (part, parts.last()) {
            ("" | ".", _) => {}
            ("..", Some(&last)) if last != ".." && !last.ends_with(':') => {
                parts.pop();
            }
            (part, _) => parts.push(part),
        }
    }
    root.to_owned() + &parts.join("/")
}

/// A path as a URI, and whether it is relative: `C:\a b\c.c` is `file:///C:/a%20b/c.c`.
pub(super) fn uri(path: &str) -> (String, bool) {
    let path = forward(path);
    let is_letter = |c: u8| c.is_ascii_alphabetic();
    match path.as_bytes() {
        [drive, b':', b'/', ..] if is_letter(*drive) => {
            let rest = path.get(2..).unwrap_or_default();
            (format!("file:///{}:{}", char::from(*drive), percent(rest)), false)
        }
        [b'/', b'/', ..] => (format!("file:{}", percent(&path)), false),
        [b'/', ..] => (format!("file://{}", percent(&path)), false),
        _ => (percent(&path), true),
    }
}

/// Everything but slashes and what every URI may have as it is.
fn percent(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'/' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            byte if byte.is_ascii_alphanumeric() => out.push(char::from(byte)),
            byte => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_of_any_system_is_a_uri() {
        for (path, is, relative) in [
            ("C:\\a b\\c.c", "file:///C:/a%20b/c.c", false),
            ("\\\\server\\share\\c#.c", "file://server/share/c%23.c", false),
            ("/home/me/ü.c", "file:///home/me/%C3%BC.c", false),
            ("src\\pool.c", "src/pool.c", true),
            (".\\\\./src/pool.c", "src/pool.c", true),
            ("../pool.c", "../pool.c", true),
            ("a:b.c", "a%3Ab.c", true),
            ("", "", true),
        ] {
            assert_eq!(uri(path), (is.to_owned(), relative), "{path}");
        }
    }
}
