//! The search path: `_NT_SYMBOL_PATH` and `--symbols`.

use std::env;
use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};

use super::limits::SymbolLimits;

/// The variable that debuggers on Windows read.
const VARIABLE: &str = "_NT_SYMBOL_PATH";

/// Where symbol files are searched for, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SymbolPath {
    elements: Vec<Element>,
    default_cache: Option<PathBuf>,
    limits: SymbolLimits,
}

/// One element of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Element {
    /// A plain folder, or one file.
    Plain(PathBuf),
    /// A store that also keeps what the elements after it find.
    Cache(PathBuf),
    /// Stores and servers; a file that is found in one is kept in the stores before it.
    Chain {
        /// Stores in folders, the nearest first.
        stores: Vec<PathBuf>,
        /// Servers, asked in order if no store has the file.
        servers: Vec<String>,
    },
}

/// An element of a path that has no meaning.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("symbol path element {element:?}: {why}")]
#[non_exhaustive]
pub struct PathError {
    /// The element, as written.
    pub element: String,
    /// What is wrong with it.
    pub why: PathFault,
}

/// What is wrong with an element of a path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PathFault {
    /// The word before the `*` is not `srv`, `symsrv` or `cache`.
    #[error("{0:?} is not srv, symsrv or cache")]
    Keyword(String),
    /// Another symbol-server DLL.
    #[error("{0:?} is a Windows program, only symsrv.dll is built in")]
    Dll(String),
    /// Only the keyword.
    #[error("names no folder and no server")]
    Nothing,
    /// More than one folder after `cache*`.
    #[error("a cache is one folder")]
    Caches,
    /// A folder comes after a server, which cannot be its cache.
    #[error("a folder comes after a server")]
    FolderAfterServer,
    /// A URL that is neither `http` nor `https`.
    #[error("only http and https servers are supported")]
    Scheme,
    /// An empty cache, and the system does not name a folder for caches.
    #[error("no folder for the default cache is known; name one")]
    NoDefaultCache,
    /// The environment variable is not Unicode.
    #[error("is not Unicode")]
    NotUnicode,
}

impl Default for SymbolPath {
    fn default() -> SymbolPath {
        SymbolPath::new()
    }
}

impl SymbolPath {
    /// An empty path, with the system's [`default_cache`].
    pub fn new() -> SymbolPath {
        SymbolPath::with_default_cache(default_cache())
    }

    /// An empty path with another default cache, or without one.
    pub fn with_default_cache(default_cache: Option<PathBuf>) -> SymbolPath {
        let elements = Vec::new();
        SymbolPath { elements, default_cache, limits: SymbolLimits::default() }
    }

    /// How large files may be.
    pub fn limits(&self) -> &SymbolLimits {
        &self.limits
    }

    /// Sets how large files may be.
    pub fn set_limits(&mut self, limits: SymbolLimits) {
        self.limits = limits;
    }

    /// Reads a path; see the [module](crate::symbols) for the syntax.
    pub fn parse(text: &str) -> Result<SymbolPath, PathError> {
        let mut path = SymbolPath::new();
        path.push(text)?;
        Ok(path)
    }

    /// Reads `_NT_SYMBOL_PATH`; empty if that is not set.
    pub fn from_env() -> Result<SymbolPath, PathError> {
        match env::var(VARIABLE) {
            Ok(text) => SymbolPath::parse(&text),
            Err(env::VarError::NotPresent) => Ok(SymbolPath::new()),
            Err(env::VarError::NotUnicode(_)) => {
                Err(PathError { element: VARIABLE.to_owned(), why: PathFault::NotUnicode })
            }
        }
    }

    /// Adds one or more elements at the end, in the syntax of [`parse`](SymbolPath::parse).
    /// Nothing is added if one of them is wrong.
    pub fn push(&mut self, text: &str) -> Result<(), PathError> {
        let elements: Result<Vec<_>, _> = text
            .split(';')
            .map(str::trim)
            .filter(|element| !element.is_empty())
            .map(|element| {
                self.element(element).map_err(|why| PathError { element: element.to_owned(), why })
            })
            .collect();
        self.elements.append(&mut elements?);
        Ok(())
    }

    /// The same for text that need not be Unicode. Text that is not Unicode is one folder or file.
    pub fn push_os(&mut self, text: &OsStr) -> Result<(), PathError> {
        match text.to_str() {
            Some(text) => self.push(text),
            None => {
                self.push_plain(text);
                Ok(())
            }
        }
    }

    /// Adds a folder or file as it is, whatever characters its name has.
    pub fn push_plain(&mut self, path: impl Into<PathBuf>) {
        self.elements.push(Element::Plain(path.into()));
    }

    /// The elements, in order.
    pub fn elements(&self) -> &[Element] {
        &self.elements
    }

    /// Whether there is nowhere to look.
    pub fn is_empty(&self) -> bool {
        self.elements.is_empty()
    }

    /// Where downloads go that no element names a cache for.
    pub fn default_cache(&self) -> Option<&Path> {
        self.default_cache.as_deref()
    }

    fn element(&self, text: &str) -> Result<Element, PathFault> {
        let mut parts = text.split('*').map(str::trim);
        let first = parts.next().unwrap_or_default();
        if !text.contains('*') {
            return Ok(match server(first)? {
                Some(url) => Element::Chain { stores: Vec::new(), servers: vec![url] },
                None => Element::Plain(PathBuf::from(first)),
            });
        }
        match first.to_ascii_lowercase().as_str() {
            "srv" => self.chain(parts),
            "symsrv" => match parts.next() {
                Some(dll) if dll.eq_ignore_ascii_case("symsrv.dll") => self.chain(parts),
                Some("") | None => Err(PathFault::Nothing),
                Some(dll) => Err(PathFault::Dll(dll.to_owned())),
            },
            "cache" => {
                let folder = self.store(parts.next().unwrap_or_default())?;
                match parts.next() {
                    None => Ok(Element::Cache(folder)),
                    Some(_) => Err(PathFault::Caches),
                }
            }
            _ => Err(PathFault::Keyword(first.to_owned())),
        }
    }

    fn chain<'a>(&self, parts: impl Iterator<Item = &'a str>) -> Result<Element, PathFault> {
        let (mut stores, mut servers) = (Vec::new(), Vec::new());
        let parts: Vec<&str> = parts.collect();
        if parts.iter().all(|part| part.is_empty()) {
            return Err(PathFault::Nothing);
        }
        for part in parts {
            match server(part)? {
                Some(url) => servers.push(url),
                None if servers.is_empty() => stores.push(self.store(part)?),
                None => return Err(PathFault::FolderAfterServer),
            }
        }
        Ok(Element::Chain { stores, servers })
    }

    fn store(&self, part: &str) -> Result<PathBuf, PathFault> {
        match part {
            "" => self.default_cache.clone().ok_or(PathFault::NoDefaultCache),
            folder => Ok(PathBuf::from(folder)),
        }
    }
}

/// A server's URL without the slashes at its end; `None` if it is not a URL.
fn server(part: &str) -> Result<Option<String>, PathFault> {
    let Some((scheme, rest)) = part.split_once("://") else {
        return Ok(None);
    };
    let known = ["http", "https"];
    if !known.iter().any(|known| scheme.eq_ignore_ascii_case(known)) || rest.is_empty() {
        return Err(PathFault::Scheme);
    }
    let rest = rest.trim_end_matches('/');
    Ok(Some(format!("{}://{rest}", scheme.to_ascii_lowercase())))
}

/// The folder for downloads for which no element names a cache: `verifier/symbols` in
/// `%LOCALAPPDATA%`, or in `$XDG_CACHE_HOME` or `~/.cache` on other systems.
pub fn default_cache() -> Option<PathBuf> {
    // With a relative base, the place of the cache would depend on the current folder.
    let absolute = |name: &str| {
        let folder = PathBuf::from(env::var_os(name)?);
        folder.is_absolute().then_some(folder)
    };
    let base = if cfg!(windows) {
        absolute("LOCALAPPDATA")?
    } else {
        absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")))?
    };
    Some(base.join("verifier").join("symbols"))
}

impl fmt::Display for SymbolPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, element) in self.elements.iter().enumerate() {
            if index != 0 {
                f.write_str(";")?;
            }
            match element {
                Element::Plain(folder) => write!(f, "{}", folder.display())?,
                Element::Cache(folder) => write!(f, "cache*{}", folder.display())?,
                Element::Chain { stores, servers } => {
                    f.write_str("srv")?;
                    for store in stores {
                        write!(f, "*{}", store.display())?;
                    }
                    for server in servers {
                        write!(f, "*{server}")?;
                    }
                }
            }
        }
        Ok(())
    }
}
