//! The search: elements in order, caches filled on the way back.

use std::path::{Path, PathBuf};

use super::file_bytes::FileBytes;
use super::identity::{ImageId, PdbId};
use super::image::image_identity;
use super::isf;
use super::keep::keep;
use super::name::FileName;
use super::outcome::{Attempt, FileKind, Found, Located, Miss, NotFound};
use super::path::{Element, SymbolPath};
use super::server;
use super::store;
use super::url::without_credentials;
use super::want::{Hit, Want};
use crate::progress::Progress;

/// Reads the GUID (as in the CodeView record) and the age of a PDB from its bytes; `None` if the
/// bytes are not a PDB. The closure may keep the bytes: they are shared, not copied.
pub type Verify<'a> = dyn Fn(&FileBytes) -> Option<([u8; 16], u32)> + 'a;

impl SymbolPath {
    /// Looks for a PDB. `verify` reads each candidate's identity: the GUID has to be equal; another age is
    /// accepted and reported.
    pub fn locate_pdb(&self, id: &PdbId, verify: &Verify<'_>, progress: &dyn Progress) -> Located {
        let check = |bytes: &FileBytes| match verify(bytes) {
            None => Err(Miss::NotThat("a PDB")),
            Some((guid, age)) if guid != id.guid => Err(Miss::OtherPdb { guid, age }),
            Some((_, age)) => Ok((age != id.age).then_some(age)),
        };
        self.locate(&id.name, &id.to_string(), FileKind::Pdb, progress, |name| Want {
            name,
            key: id.store_key(),
            guid: Some(id.guid_hex()),
            check: &check,
            in_parts: true,
            file_bytes: self.limits().file_bytes,
        })
    }

    /// Looks for an image. Its PE header has to give the same time stamp and size.
    pub fn locate_image(&self, id: &ImageId, progress: &dyn Progress) -> Located {
        let check = |bytes: &FileBytes| match image_identity(&bytes.read()?) {
            None => Err(Miss::NotThat("an image")),
            Some(found) if found == (id.time_date_stamp, id.size_of_image) => Ok(None),
            Some((time_date_stamp, size_of_image)) => {
                Err(Miss::OtherImage { time_date_stamp, size_of_image })
            }
        };
        let kind = FileKind::Image;
        self.locate(&id.name, &id.to_string(), kind, progress, |name| Want {
            name,
            key: id.store_key(),
            guid: None,
            check: &check,
            in_parts: false,
            file_bytes: self.limits().file_bytes,
        })
    }

    /// Looks for a Volatility 3 table made from a PDB, in the folders of the path. Servers do not have tables
    /// under the PDB's identity.
    pub fn locate_isf(&self, id: &PdbId) -> Located {
        let wanted = format!("ISF table of {id}");
        let limit = self.limits().isf_bytes;
        let mut attempts = Vec::new();
        let Some(name) = plain_name(&id.name, &mut attempts) else {
            return Located::NotFound(NotFound { wanted, attempts });
        };
        let mut seen: Vec<&Path> = Vec::new();
        for root in self.elements().iter().flat_map(folders) {
            if seen.contains(&root) {
                continue;
            }
            seen.push(root);
            if let Some(hit) = isf::search(root, &name, id, limit, &mut attempts) {
                return Located::Found(Got::on_disk(hit).found(FileKind::Isf, attempts));
            }
        }
        Located::NotFound(NotFound { wanted, attempts })
    }

    fn locate<'a>(
        &self,
        name: &str,
        wanted: &str,
        kind: FileKind,
        progress: &dyn Progress,
        want: impl FnOnce(FileName) -> Want<'a>,
    ) -> Located {
        let mut attempts = Vec::new();
        if let Some(name) = plain_name(name, &mut attempts) {
            let mut search = Search {
                want: want(name),
                default_cache: self.default_cache(),
                progress,
                seen: Vec::new(),
                caches: Vec::new(),
                attempts,
            };
            let hit = self.elements().iter().find_map(|e| search.element(e));
            attempts = search.attempts;
            if let Some(got) = hit {
                return Located::Found(got.found(kind, attempts));
            }
        }
        let wanted = wanted.to_owned();
        Located::NotFound(NotFound { wanted, attempts })
    }
}

/// One search on its way through the elements.
struct Search<'a> {
    want: Want<'a>,
    default_cache: Option<&'a Path>,
    progress: &'a dyn Progress,
    /// Stores that were searched: several elements often have the same cache.
    seen: Vec<PathBuf>,
    /// The `cache*` folders so far: they keep what later elements find.
    caches: Vec<PathBuf>,
    attempts: Vec<Attempt>,
}

impl Search<'_> {
    fn element(&mut self, element: &Element) -> Option<Got> {
        match element {
            Element::Plain(root) => {
                let hit = store::search(root, true, &self.want, &mut self.attempts)?;
                Some(self.keep_hit(hit, &self.caches.clone()))
            }
            Element::Cache(root) => {
                if let Some(hit) = self.store(root) {
                    return Some(self.keep_hit(hit, &self.caches.clone()));
                }
                self.caches.push(root.clone());
                None
            }
            Element::Chain { stores, servers } => self.chain(stores, servers),
        }
    }

    fn chain(&mut self, stores: &[PathBuf], servers: &[String]) -> Option<Got> {
        let mut nearer = self.caches.clone();
        for root in stores {
            if let Some(hit) = self.store(root) {
                return Some(self.keep_hit(hit, &nearer));
            }
            if !nearer.contains(root) {
                nearer.push(root.clone());
            }
        }
        if !servers.is_empty() && nearer.is_empty() {
            match self.default_cache.map(Path::to_owned) {
                Some(root) => {
                    if let Some(hit) = self.store(&root) {
                        return Some(Got::on_disk(hit));
                    }
                    nearer.push(root);
                }
                None => {
                    let shown: Vec<_> =
                        servers.iter().map(|url| without_credentials(url)).collect();
                    let at = shown.join("*");
                    self.attempts.push(Attempt::new(at, Miss::NoDefaultCache));
                }
            }
        }
        let fetched = servers.iter().find_map(|server| {
            server::fetch(server, &self.want, self.progress, &mut self.attempts)
        })?;
        let path = keep(&nearer, &self.want, &fetched.bytes, &mut self.attempts);
        let (origin, bytes) = (fetched.url, FileBytes::Memory(fetched.bytes));
        Some(Got { path, origin, bytes, other_age: fetched.other_age })
    }

    fn store(&mut self, root: &Path) -> Option<Hit> {
        if self.seen.iter().any(|seen| seen == root) {
            return None;
        }
        self.seen.push(root.to_owned());
        store::search(root, false, &self.want, &mut self.attempts)
    }

    /// Copies a hit to the caches before it.
    fn keep_hit(&mut self, hit: Hit, caches: &[PathBuf]) -> Got {
        if !caches.is_empty() {
            match hit.bytes.read() {
                Ok(bytes) => {
                    keep(caches, &self.want, &bytes, &mut self.attempts);
                }
                Err(why) => self.attempts.push(Attempt::new(hit.path.display(), why.into())),
            }
        }
        Got::on_disk(hit)
    }
}

/// A file that was found, without the account of the search.
struct Got {
    path: Option<PathBuf>,
    origin: String,
    bytes: FileBytes,
    other_age: Option<u32>,
}

impl Got {
    fn on_disk(hit: Hit) -> Got {
        Got {
            origin: hit.path.display().to_string(),
            path: Some(hit.path),
            bytes: hit.bytes,
            other_age: hit.other_age,
        }
    }

    fn found(self, kind: FileKind, attempts: Vec<Attempt>) -> Found {
        Found {
            kind,
            path: self.path,
            origin: self.origin,
            bytes: self.bytes,
            other_age: self.other_age,
            attempts,
        }
    }
}

/// The folders of an element, the nearest first.
pub(crate) fn folders(element: &Element) -> Vec<&Path> {
    match element {
        Element::Plain(root) | Element::Cache(root) => vec![root],
        Element::Chain { stores, .. } => stores.iter().map(PathBuf::as_path).collect(),
    }
}

/// The last component of a given name. Notes in `attempts` if the name had more components, or why it is
/// refused.
fn plain_name(given: &str, attempts: &mut Vec<Attempt>) -> Option<FileName> {
    let at = given.escape_debug();
    match FileName::last_component(given) {
        Ok(name) => {
            if name.as_str() != given {
                let used = name.as_str().to_owned();
                attempts.push(Attempt::new(at, Miss::LastComponent(used)));
            }
            Some(name)
        }
        Err(fault) => {
            attempts.push(Attempt::new(at, Miss::Name(fault)));
            None
        }
    }
}
