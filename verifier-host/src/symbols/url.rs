//! URLs of servers: as a message shows them, and names as parts of them.

/// A URL without the user's name and password, for messages, reports and logs.
pub(super) fn without_credentials(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let host = authority.rsplit('@').next().unwrap_or(authority);
    format!("{scheme}://{host}{path}")
}

/// Writes each byte as `%XX`, except the unreserved characters of RFC 3986.
pub(super) fn escape(name: &str) -> String {
    let mut text = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::without_credentials;

    #[test]
    fn credentials() {
        for (url, shown) in [
            ("https://me:secret@host:80/a/b@c", "https://host:80/a/b@c"),
            ("https://me:sec@ret@host", "https://host"),
            ("https://token@host/a", "https://host/a"),
            ("http://host/x@y", "http://host/x@y"),
        ] {
            assert_eq!(without_credentials(url), shown);
        }
    }
}
