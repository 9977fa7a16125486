//! Patterns with `?` and `*`.

/// True if the whole text matches: `?` is any character, `*` any number of characters. The time is at most the
/// product of both lengths.
pub(crate) fn glob_matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), text.chars().collect());
    let (mut at, mut from) = (0, 0);
    // The last star, and how much of the text it takes: a longer share is tried if the rest does not match.
    let mut star = None;
    while from < text.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, from));
                at += 1;
            }
            Some(&c) if c == '?' || c == text[from] => (at, from) = (at + 1, from + 1),
            _ => {
                let Some((of_star, taken)) = star else { return false };
                star = Some((of_star, taken + 1));
                (at, from) = (of_star + 1, taken + 1);
            }
        }
    }
    pattern[at..].iter().all(|&c| c == '*')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn stars_and_question_marks() {
        for (pattern, text) in [
            ("", ""),
            ("*", ""),
            ("**", "a"),
            ("a*b*c", "a__b_b_c"),
            ("?*", "é"),
            ("*!Read*", "a!Read"),
        ] {
            assert!(glob_matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [("", "a"), ("?", ""), ("a*b", "a"), ("a*b*c", "acb"), ("a", "A")] {
            assert!(!glob_matches(pattern, text), "{pattern} {text}");
        }
        let stars = "*a".repeat(500);
        assert!(!glob_matches(&stars, &"a".repeat(499)), "and it ends soon");
    }

    proptest! {
        #[test]
        fn it_agrees_with_a_regular_expression(pattern in "[ab*?]{0,8}", text in "[ab]{0,10}") {
            let regex = pattern.replace('*', ".*").replace('?', ".");
            let regex = regex::Regex::new(&format!("^{regex}$")).unwrap();
            prop_assert_eq!(glob_matches(&pattern, &text), regex.is_match(&text));
        }
    }
}
