//! Whether a file is whole.

use std::fmt;

use super::source::ReadAt;
use crate::addr::PAGE_SIZE;
use crate::error::{Error, Problem};
use crate::number::Thousands;

/// The signature of secondary data, which may follow the last page.
const SECONDARY_DATA: [u8; 8] = *b"DumpBlob";

/// What is missing at the end of a file.
///
/// As text: `12,345,678 bytes (3,014 of 9,000 pages) are missing`.
///
/// Three facts must agree: how many pages the page map has, how many the header counts, and how long the
/// file is. A file that is too short for both counts was cut short. If the counts differ, one of them is
/// damaged; if it is the page map, pages after the damage are read from wrong places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Truncation {
    /// The length of the file in bytes.
    pub file_len: u64,
    /// The length that the file must have.
    pub expected_len: u64,
    /// True if the file must be even longer: it ends before the number of its pages.
    pub is_minimum: bool,
    /// Pages that are not in the file, or only partly.
    pub missing_pages: u64,
    /// Pages that should be in the file; 0 if that is unknown, and for a small dump, which has no pages.
    pub pages: u64,
}

impl Truncation {
    /// `None` if the file is as long as it must be.
    pub(super) fn new(file_len: u64, expected_len: u64) -> Option<Self> {
        (file_len < expected_len).then_some(Self {
            file_len,
            expected_len,
            is_minimum: false,
            missing_pages: 0,
            pages: 0,
        })
    }

    /// The bytes that are missing.
    #[must_use]
    pub fn missing_bytes(&self) -> u64 {
        self.expected_len.saturating_sub(self.file_len)
    }

    /// The text with the name of the file, and advice.
    #[must_use]
    pub fn describe(&self, file: impl fmt::Display) -> String {
        format!("{self} at the end of {file}; copy the file again")
    }

    /// The text as a problem of `file`.
    pub(super) fn problem(&self, file: &dyn ReadAt) -> Problem {
        let end = self.file_len;
        let why = format!("it ends at offset {end:#x}: {}", self.describe("the file"));
        let name = file.name().unwrap_or_else(|| "the file".into());
        let headline = Some(format!("Truncated: {}", self.describe(name)));
        Problem { headline, ..Problem::new("file", why) }
    }
}

impl fmt::Display for Truncation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.missing_bytes();
        if self.is_minimum {
            f.write_str("at least ")?;
        }
        write!(f, "{} byte{}", Thousands(bytes), if bytes == 1 { "" } else { "s" })?;
        if self.pages > 0 {
            let (missing, pages) = (Thousands(self.missing_pages), Thousands(self.pages));
            write!(f, " ({missing} of {pages} pages)")?;
        }
        f.write_str(if bytes == 1 { " is missing" } else { " are missing" })
    }
}

/// A header's own count of pages, apart from the page map, and its file offset.
#[derive(Debug, Clone, Copy)]
pub(super) struct Declared {
    pub(super) pages: u64,
    pub(super) at: u64,
}

/// The pages of a dump, which are stored one after another.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stored {
    /// The file offset of the first page.
    pub(super) first_page: u64,
    /// Pages in the page map; `None` if the file ends inside the map.
    pub(super) pages: Option<u64>,
    /// `None` if this kind of dump does not have the count, or its writer did not set it.
    pub(super) declared: Option<Declared>,
}

impl Stored {
    /// What the file lacks by the smaller of the page map's and the header's count.
    pub(super) fn truncation(&self, file_len: u64) -> Option<Truncation> {
        let counts = self.pages.into_iter().chain(self.declared.map(|declared| declared.pages));
        let count = counts.min();
        let pages = count.unwrap_or(0);
        let held = file_len.saturating_sub(self.first_page) / PAGE_SIZE;
        let found = Truncation::new(file_len, self.end(pages))?;
        let missing_pages = pages.saturating_sub(held);
        Some(Truncation { is_minimum: count.is_none(), missing_pages, pages, ..found })
    }

    /// A problem if the header's count of pages differs from the page map's.
    pub(super) fn contradiction(&self, file: &dyn ReadAt) -> Option<Problem> {
        let (pages, declared) = (self.pages?, self.declared?);
        if declared.pages == pages {
            return None;
        }
        let room = file.len().saturating_sub(self.first_page) / PAGE_SIZE;
        let text = format!(
            "it has {} pages, but the header's count at file offset {:#x} is {}, and the file has room \
             for {}",
            Thousands(pages),
            declared.at,
            Thousands(declared.pages),
            Thousands(room),
        );
        let problem = |what: &str| Problem::new("page map", format!("{text}: {what}"));
        if ends_there(file, self.end(pages)) {
            return Some(problem("the count is damaged").remark());
        }
        Some(problem("pages may be read from wrong places; copy the file again"))
    }

    /// The file offset at which this number of pages ends.
    fn end(&self, pages: u64) -> u64 {
        self.first_page.saturating_add(pages.saturating_mul(PAGE_SIZE))
    }
}

/// True if the file ends at `end` or secondary data begin there.
fn ends_there(file: &dyn ReadAt, end: u64) -> bool {
    let mut mark = [0u8; SECONDARY_DATA.len()];
    file.len() == end || (file.read_at(end, &mut mark).is_ok() && mark == SECONDARY_DATA)
}

/// The error of a file that ends before the end of a header.
pub(super) fn ends_before(file: &dyn ReadAt, what: &'static str) -> Error {
    let why = "the file ends before it: it was cut short; copy the file again".into();
    Error::Format { offset: file.len(), what, why }
}
