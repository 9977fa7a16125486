//! Where symbol files are found: folders, symbol stores, symbol servers.
//!
//! You give a [`SymbolPath`] a [`PdbId`] or an [`ImageId`], and it finds the bytes, or says where it looked.
//! It does not read types or names from a PDB. The caller gives a closure that reads the GUID and age of a
//! PDB, and every PDB is checked with it, whatever its source.
//!
//! # The path
//!
//! The syntax of `_NT_SYMBOL_PATH`: elements separated by `;`, tried in order.
//!
//! | element | is |
//! |---|---|
//! | `FOLDER` or `FILE` | a plain folder (all layouts below), or one PDB, image or ISF table |
//! | `srv*URL` or `URL` | a server; what it gives is kept in the `cache*` folders before it, else in the default cache |
//! | `srv*CACHE*URL`, `srv*CACHE1*CACHE2*URL` | a server behind caches, the nearest first; an empty cache is the default one |
//! | `srv*STORE` | a symbol store in a folder |
//! | `symsrv*symsrv.dll*…` | the same as `srv*…` |
//! | `cache*FOLDER` | a store that is searched, and keeps what elements after it find |
//!
//! # The layouts
//!
//! For a file `N` and the key of its identity (GUID and age of a PDB, TimeDateStamp and SizeOfImage
//! of an image), under a root folder:
//!
//! ```text
//! N/KEY/N                        symbol store
//! N/KEY/N with the last letter _ the same, in a cabinet ("ntkrnlmp.pd_")
//! N/KEY/file.ptr                 "PATH:<where it is>" or "MSG:<why it is not>"
//! nt/N/KEY/…                     two-tier store, marked by index2.txt in the root
//! N                              flat (plain folders only)
//! GUID-AGE.json, .json.xz        Volatility 3 ISF; also in N/, windows/N/, symbols/windows/N/
//! ```
//!
//! Sources: Microsoft, "Using a symbol server", "Advanced SymSrv use" and "SymStore"; Volatility 3,
//! `framework/symbols/windows/pdbutil.py`. Folder and file names are compared without regard to case,
//! because stores are made on systems that ignore case.
//!
//! # Limits
//!
//! A `file.ptr` or `index2.txt` is read only from folders: a server could send one that makes this program
//! open any path or share. Symbol-server DLLs other than `symsrv.dll` are refused, because they are Windows
//! programs. The contents of an ISF table are not compared with its file's name.

mod bounded_file;
mod cabinet;
#[cfg(feature = "download")]
mod download;
mod file_bytes;
mod identity;
mod image;
mod isf;
mod keep;
mod kernels;
mod limits;
mod locate;
mod name;
mod outcome;
mod path;
mod server;
mod store;
mod url;
mod want;
mod xz;

pub use file_bytes::FileBytes;
pub use identity::{ImageId, PdbId, guid_hex};
pub use image::{image_identity, pdb_of_image};
pub use limits::SymbolLimits;
pub use locate::Verify;
pub(crate) use locate::folders;
pub use name::NameFault;
pub use outcome::{Attempt, FileKind, Found, Located, Miss, NotFound};
pub use path::{Element, PathError, PathFault, SymbolPath, default_cache};
pub(crate) use xz::expand as expand_xz;
