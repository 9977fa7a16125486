//! Servers: what is asked of one, and in which order.

use std::sync::Arc;

use super::outcome::Attempt;
use super::url::{escape, without_credentials};
use super::want::Want;
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
    attempts: &mut Vec<Attempt>,
) -> Option<Fetched> {
    use super::download::{self, Fault};

    let title = title(server, want.name.as_str());
    for url in urls(server, want) {
        let shown = without_credentials(&url);
        let answer = download::get(server, &url, &title, want.file_bytes, progress);
        let checked = answer.and_then(|bytes| {
            let bytes = Arc::new(
                super::bounded_file::expanded(bytes, want.file_bytes).map_err(Fault::File)?,
            );
            let other_age = (want.check)(&bytes).map_err(Fault::File)?;
            Ok((bytes, other_age))
        });
        match checked {
            Ok((bytes, other_age)) => {
                return Some(Fetched { url: shown, bytes, other_age });
            }
            Err(Fault::File(why)) => attempts.push(Attempt::new(shown, why)),
            Err(Fault::Server(why)) => {
                // The other names would fail alike, each after all its tries.
                attempts.push(Attempt::new(shown, why));
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
    attempts: &mut Vec<Attempt>,
) -> Option<Fetched> {
    for url in urls(server, want) {
        attempts.push(Attempt::new(without_credentials(&url), super::outcome::Miss::NoDownloader));
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
