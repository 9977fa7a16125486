//! When a name is a driver's.

/// True if `pattern` is the file name `name`, with or without the extension.
pub(in crate::verifier) fn is_named(name: &str, pattern: &str) -> bool {
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    name.eq_ignore_ascii_case(pattern) || stem.eq_ignore_ascii_case(pattern)
}

/// True if the configured name `pattern` (which may hold `*` and `?`) matches the file name `name`, without
/// regard to case.
pub(super) fn is_named_by(pattern: &str, name: &str) -> bool {
    let lower = |text: &str| text.chars().flat_map(char::to_lowercase).collect::<Vec<char>>();
    let (pattern, name) = (lower(pattern), lower(name));
    // The place of the last `*`, and how much of the name it takes: nothing else has to be tried again.
    let (mut p, mut n, mut star) = (0, 0, None);
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(&c) if c == '?' || Some(&c) == name.get(n) => {
                p += 1;
                n += 1;
            }
            _ => {
                let Some((at, taken)) = star else { return false };
                star = Some((at, taken + 1));
                (p, n) = (at + 1, taken + 1);
            }
        }
    }
    pattern.iter().skip(p).all(|&c| c == '*')
}

#[cfg(test)]
mod tests {
    use super::is_named_by;

    #[test]
    fn a_configured_name_matches_file_names() {
        for (pattern, name) in [
            ("leaky.sys", "LEAKY.SYS"),
            ("*", "any.sys"),
            ("lea*.sys", "leaky.sys"),
            ("*ky*", "leaky.sys"),
            ("l?aky.sys", "leaky.sys"),
            ("*a*a*.sys", "banana.sys"),
        ] {
            assert!(is_named_by(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("leaky.sys", "quiet.sys"),
            ("leaky", "leaky.sys"),
            ("", "a"),
            ("*b", "banana"),
            ("?", ""),
        ] {
            assert!(!is_named_by(pattern, name), "{pattern} {name}");
        }
    }
}
