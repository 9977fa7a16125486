//! Servers: what is asked of one, and in which order.

use std::sync::Arc;

use super::locate::Want;
use super::place::Place;
use crate::progress::Progress;

/// A file that a server gave and that is what was looked for.
pub(super) struct Fetched {
    /// As it may be shown.
    pub(super) url: String,
    pub(super) bytes: Arc<Vec<u8>>,
    pub(super) other_age: Option<u32>,
}

/// Asks one server for the file, plain and in a cabinet.
#[cfg(feature = "download")]
pub(super) fn fetch(
    server: &str,
    want: &Want<'_>,
    progress: &dyn Progress,
    looked: &mut Vec<Place>,
) -> Option<Fetched> {
    use super::download::{self, Fault};

    let title = title(server, want.name.as_str());
    for url in urls(server, want) {
        let shown = without_credentials(&url);
        let answer = download::get(server, &url, &title, want.file_bytes, progress);
        let checked = answer.and_then(|bytes| {
            let bytes =
                Arc::new(super::file::expanded(bytes, want.file_bytes).map_err(Fault::File)?);
            let other_age = (want.check)(&bytes).map_err(Fault::File)?;
            Ok((bytes, other_age))
        });
        match checked {
            Ok((bytes, other_age)) => {
                return Some(Fetched { url: shown, bytes, other_age });
            }
            Err(Fault::File(why)) => looked.push(Place::new(shown, why)),
            Err(Fault::Server(why)) => {
                // The other names would fail alike, each after all its tries.
                looked.push(Place::new(shown, why));
                return None;
            }
        }
    }
    None
}

/// Says for every name that would be asked that nobody can ask.
#[cfg(not(feature = "download"))]
pub(super) fn fetch(
    server: &str,
    want: &Want<'_>,
    _progress: &dyn Progress,
    looked: &mut Vec<Place>,
) -> Option<Fetched> {
    for url in urls(server, want) {
        looked.push(Place::new(without_credentials(&url), super::place::Miss::NoDownloader));
    }
    None
}

/// The URLs of a file: plain, then in a cabinet, as Microsoft's own client asks.
///
/// An age with a letter in hex is written in either case by different tools, and servers on other
/// systems than Windows do mind: the second key is asked for only then.
fn urls(server: &str, want: &Want<'_>) -> Vec<String> {
    let mut keys = vec![want.key.clone()];
    if let Some(guid) = &want.guid {
        let age = want.key.strip_prefix(guid.as_str()).unwrap_or_default();
        let lower = format!("{guid}{}", age.to_lowercase());
        if lower != want.key {
            keys.push(lower);
        }
    }
    let name = escape(want.name.as_str());
    let packed = escape(&want.name.compressed());
    keys.iter()
        .flat_map(|key| [&name, &packed].map(|file| format!("{server}/{name}/{key}/{file}")))
        .collect()
}

/// What a progress bar calls the transfer: the file and the host.
#[cfg(feature = "download")]
fn title(server: &str, name: &str) -> String {
    let server = without_credentials(server);
    let host = server.split('/').nth(2).unwrap_or(&server);
    format!("{name} from {host}")
}

/// A URL without the user's name and password, as it may be shown, written to a report or logged.
pub(super) fn without_credentials(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let host = authority.rsplit('@').next().unwrap_or(authority);
    format!("{scheme}://{host}{path}")
}

/// Everything but the unreserved characters of RFC 3986 as `%XX`.
fn escape(name: &str) -> String {
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
