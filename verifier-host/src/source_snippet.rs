//! Lines of source files on this machine.
//!
//! The paths come from PDBs, which may be anybody's, and what is read may be in a report that is sent to
//! others. So only plain files with the name of a source file are read, and nothing over the network.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::rc::Rc;

use verifier_core::render::Snippets;

/// The largest file that is read.
const MAX_FILE: u64 = 4 << 20;
/// The most bytes that are read of all files together.
const MAX_ALL: u64 = 64 << 20;
/// The most characters of a line.
const MAX_LINE: usize = 240;

/// The lines before and after a line that texts show.
const CONTEXT: u32 = 3;

/// The ends of names of source files.
const EXTENSIONS: [&str; 20] = [
    "c", "cc", "cpp", "cxx", "c++", "h", "hh", "hpp", "hxx", "h++", "inl", "inc", "ipp", "tpp",
    "rs", "asm", "s", "m", "mm", "swift",
];

/// Source files on this machine, each read once.
#[derive(Debug, Default)]
pub struct SourceFiles {
    files: RefCell<HashMap<String, Option<Rc<[String]>>>>,
    bytes: Cell<u64>,
}

impl SourceFiles {
    /// No file is read yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A line and up to `context` lines before and after it, each with its number; the first line of a file
    /// is 1. Tabs are kept. `path` is the path on this machine
    /// ([`Kernel::source_site`](verifier_core::kernel::Kernel::source_site) gives it). `None` if no plain
    /// source file is there, if it is larger than 4 MiB, or if it does not have the line.
    #[must_use]
    pub fn snippet(&self, path: &str, line: u32, context: u32) -> Option<Vec<(u32, String)>> {
        let lines = self.lines(path)?;
        let first = line.saturating_sub(context).max(1);
        let last = line.saturating_add(context).min(u32::try_from(lines.len()).ok()?);
        if line == 0 || line > last {
            return None;
        }
        let numbered = (first..).zip(&lines[first as usize - 1..last as usize]);
        Some(numbered.map(|(number, text)| (number, text.clone())).collect())
    }

    fn lines(&self, path: &str) -> Option<Rc<[String]>> {
        if let Some(known) = self.files.borrow().get(path) {
            return known.clone();
        }
        let bytes = read(path, MAX_ALL.saturating_sub(self.bytes.get()));
        self.bytes.set(self.bytes.get() + bytes.as_ref().map_or(0, |bytes| bytes.len() as u64));
        let lines: Option<Rc<[String]>> = bytes.map(|bytes| lines_of(&decode(&bytes)).into());
        self.files.borrow_mut().insert(path.into(), lines.clone());
        lines
    }
}

impl Snippets for SourceFiles {
    fn around(&self, file: &str, line: u32) -> Option<Vec<(u32, String)>> {
        self.snippet(file, line, CONTEXT)
    }
}

/// The bytes of a plain source file that is not larger than `room` and the limit.
fn read(path: &str, room: u64) -> Option<Vec<u8>> {
    let file = Path::new(path);
    let extension = file.extension()?.to_str()?.to_ascii_lowercase();
    let is_source = EXTENSIONS.contains(&&*extension);
    // Two separators begin the path of another machine or of a device.
    let is_remote = path.bytes().take(2).filter(|byte| matches!(byte, b'/' | b'\\')).count() == 2;
    if !is_source || is_remote || !file.is_absolute() {
        return None;
    }
    // Asked before it is opened: opening a pipe would wait for its writer.
    let is_small = |length: u64| length <= MAX_FILE.min(room);
    let meta = std::fs::metadata(file).ok()?;
    if !meta.is_file() || !is_small(meta.len()) {
        return None;
    }
    let mut bytes = Vec::new();
    File::open(file).ok()?.take(MAX_FILE + 1).read_to_end(&mut bytes).ok()?;
    is_small(bytes.len() as u64).then_some(bytes)
}

/// The text of a file: UTF-16 if a byte order mark says so, else UTF-8. Bytes that are neither become
/// replacement characters.
fn decode(bytes: &[u8]) -> String {
    let utf16 = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let units: Vec<u16> = bytes.chunks_exact(2).map(|pair| unit([pair[0], pair[1]])).collect();
        String::from_utf16_lossy(&units)
    };
    match bytes {
        [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8_lossy(rest).into_owned(),
        bytes => String::from_utf8_lossy(bytes).into_owned(),
    }
}

/// Lines without their ends, which are those of Windows, Unix or old Macs. Long lines are cut.
fn lines_of(text: &str) -> Vec<String> {
    let text = text.replace("\r\n", "\n");
    text.split_terminator(['\n', '\r']).map(|line| line.chars().take(MAX_LINE).collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snippet(name: &str, bytes: &[u8], line: u32, context: u32) -> Option<Vec<(u32, String)>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        SourceFiles::new().snippet(path.to_str().unwrap(), line, context)
    }

    fn numbered(lines: &[(u32, &str)]) -> Option<Vec<(u32, String)>> {
        Some(lines.iter().map(|&(number, text)| (number, text.to_owned())).collect())
    }

    #[test]
    fn a_snippet_ends_where_the_file_ends() {
        let text = b"one\n\ttwo\nthree\nfour\n";
        assert_eq!(snippet("a.c", text, 1, 1), numbered(&[(1, "one"), (2, "\ttwo")]));
        assert_eq!(snippet("a.c", text, 4, 1), numbered(&[(3, "three"), (4, "four")]));
        assert_eq!(snippet("a.c", text, 2, 0), numbered(&[(2, "\ttwo")]));
        assert_eq!(snippet("a.c", text, 3, u32::MAX).unwrap().len(), 4);
        assert_eq!(snippet("a.c", text, 5, 3), None);
        assert_eq!(snippet("a.c", text, 0, 3), None);
        assert_eq!(snippet("a.c", b"", 1, 3), None);
    }

    #[test]
    fn every_encoding_and_line_end_is_read() {
        assert_eq!(snippet("a.CPP", b"a\r\nb\rc\xff", 3, 0), numbered(&[(3, "c\u{fffd}")]));
        assert_eq!(snippet("a.h", b"\xef\xbb\xbfa\n", 1, 0), numbered(&[(1, "a")]));
        let text = |unit: fn(u16) -> [u8; 2]| -> Vec<u8> {
            "\u{feff}α\r\nβ".encode_utf16().flat_map(unit).collect()
        };
        for bytes in [text(u16::to_le_bytes), text(u16::to_be_bytes)] {
            assert_eq!(snippet("a.c", &bytes, 2, 1), numbered(&[(1, "α"), (2, "β")]));
        }
        let long = "x".repeat(5000);
        assert_eq!(snippet("a.c", long.as_bytes(), 1, 0).unwrap()[0].1.len(), MAX_LINE);
    }

    #[test]
    fn only_plain_source_files_of_this_machine_are_read() {
        assert_eq!(snippet("passwords.txt", b"secret", 1, 0), None);
        assert_eq!(snippet("c", b"secret", 1, 0), None);
        assert!(snippet("large.c", &vec![b'\n'; MAX_FILE as usize], 1, 0).is_some());
        assert_eq!(snippet("large.c", &vec![b'\n'; MAX_FILE as usize + 1], 1, 0), None);
        let folder = tempfile::tempdir().unwrap();
        let files = SourceFiles::new();
        std::fs::create_dir(folder.path().join("folder.c")).unwrap();
        let paths = [folder.path().join("folder.c"), folder.path().join("absent.c")];
        let paths = paths.iter().map(|path| path.to_str().unwrap());
        for path in paths.chain(["src/lib.rs", "\\\\server\\share\\a.c", "//server/a.c", ""]) {
            assert_eq!(files.snippet(path, 1, 0), None, "{path}");
        }
    }
}
