//! Servers: which URLs are requested, and in which order.

use std::sync::Arc;

use super::outcome::Attempt;
use super::url::{escape, without_credentials};
use super::want::Want;
use crate::progress::Progress;

/// The wanted file from a server.
pub(super) struct Fetched {
    /// The URL without credentials.
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
            let file = super::file_bytes::FileBytes::Memory(Arc::clone(&bytes));
            let other_age = (want.check)(&file).map_err(Fault::File)?;
            Ok((bytes, other_age))
        });
        match checked {
            Ok((bytes, other_age)) => {
                return Some(Fetched { url: shown, bytes, other_age });
            }
            Err(Fault::File(why)) => attempts.push(Attempt::new(shown, why)),
            Err(Fault::Server(why)) => {
                // The other names would fail in the same way, each after all its tries.
                attempts.push(Attempt::new(shown, why));
                return None;
            }
        }
    }
    None
}

/// Notes for every URL that this build cannot request it.
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

/// The URLs of a file: plain, then in a cabinet, in the order of Microsoft's own client.
///
/// Tools write an age with a hexadecimal letter in upper or lower case, and servers on systems other than
/// Windows distinguish them. Only for such an age there is a second key.
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

/// The name of the transfer for a progress bar: the file and the host.
#[cfg(feature = "download")]
fn title(server: &str, name: &str) -> String {
    let server = without_credentials(server);
    let host = server.split('/').nth(2).unwrap_or(&server);
    format!("{name} from {host}")
}
