//! The symbols of all kernels that the path has on disk, for a kernel whose image does not name its PDB.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use verifier_core::kernel::KERNEL_PDBS;

use super::bounded_file::{expanded, names, read};
use super::locate::folders;
use super::path::{Element, SymbolPath};

/// The folder of kernels in a two-tier store.
const TIER: &str = "nt";
/// Folders of tables, in addition to those of a PDB's name.
const TABLES: [&str; 2] = ["windows", "symbols/windows"];
/// The most files: each is read, and the addresses of two symbols are compared.
const MOST_FILES: usize = 64;

/// A symbol file on disk.
pub(crate) struct SymbolFile {
    pub(crate) path: PathBuf,
    /// True if the user named this file.
    pub(crate) is_named: bool,
}

impl SymbolFile {
    /// Its bytes, out of their cabinet if they are in one; `None` if they cannot be read, or are too many.
    pub(crate) fn read(&self, limit: u64) -> Option<Vec<u8>> {
        expanded(read(&self.path, limit).ok()?, limit).ok()
    }
}

impl SymbolPath {
    /// The files that the path names one by one, then PDBs of kernels and ISF tables in its folders.
    pub(crate) fn kernel_files(&self) -> Vec<SymbolFile> {
        let named = self.elements().iter().filter_map(|element| match element {
            Element::Plain(path) if path.is_file() => Some(path.clone()),
            _ => None,
        });
        let mut files: Vec<SymbolFile> =
            named.map(|path| SymbolFile { path, is_named: true }).collect();
        let mut seen = BTreeSet::new();
        for root in self.elements().iter().flat_map(folders).filter(|root| root.is_dir()) {
            let found = kernels_in(root).into_iter().filter(|path| seen.insert(path.clone()));
            files.extend(found.map(|path| SymbolFile { path, is_named: false }));
        }
        files.truncate(MOST_FILES);
        files
    }
}

fn kernels_in(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for place in [root.to_owned(), root.join(TIER)] {
        for path in entries(&place) {
            if is_kernel(&path) {
                // A file beside others, or the folder of a store.
                found.extend(files_of(&path, 2));
            } else if place == root && is_table(&path) && path.is_file() {
                found.push(path);
            }
        }
    }
    for tables in TABLES {
        for path in entries(&root.join(tables)).into_iter().filter(|path| is_kernel(path)) {
            found.extend(files_of(&path, 1));
        }
    }
    found
}

/// The symbol file, or the files in a folder, so many levels down.
fn files_of(path: &Path, levels: usize) -> Vec<PathBuf> {
    if path.is_file() {
        return if is_kernel(path) || is_table(path) { vec![path.to_owned()] } else { Vec::new() };
    }
    if levels == 0 {
        return Vec::new();
    }
    let below = entries(path).into_iter().take(MOST_FILES);
    below.flat_map(|path| files_of(&path, levels - 1)).collect()
}

fn is_kernel(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase());
    name.is_some_and(|name| {
        // A compressed file ends with `_`.
        KERNEL_PDBS
            .iter()
            .any(|pdb| name == *pdb || name.strip_suffix('_') == pdb.strip_suffix('b'))
    })
}

fn is_table(path: &Path) -> bool {
    let name = path.to_string_lossy().to_lowercase();
    name.ends_with(".json") || name.ends_with(".json.xz")
}

/// The entries of a folder, by name; empty if it cannot be read.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut names = names(folder).unwrap_or_default();
    names.sort();
    names.into_iter().map(|name| folder.join(name)).collect()
}
