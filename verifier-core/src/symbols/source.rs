//! Lines of source code.

use std::fmt;
use std::sync::Arc;

/// The line of source code of an address, and the functions that were inlined there.
///
/// A compiler may put the code of several functions at one address. The function that symbols name is the
/// outermost one: `file` and `line` are its line, which is a call if other functions were inlined there.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub struct SourceSite {
    /// The path of the source file, as the compiler wrote it into the PDB.
    pub file: Arc<str>,
    /// The line in that file; the first is 1.
    pub line: u32,
    /// The functions that were inlined there, the innermost first.
    pub inlined: Vec<InlinedFrame>,
}

/// A function that the compiler inlined into another.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub struct InlinedFrame {
    /// The function's name.
    pub function: Arc<str>,
    /// Distance of the address from the first instruction of the function here, in bytes.
    pub displacement: u32,
    /// The path of the source file.
    pub file: Arc<str>,
    /// The line in that file; the first is 1.
    pub line: u32,
}

impl SourceSite {
    /// A line in which no function was inlined.
    #[must_use]
    pub fn new(file: Arc<str>, line: u32) -> Self {
        Self { file, line, inlined: Vec::new() }
    }

    /// The same line with these functions inlined, the innermost first.
    #[must_use]
    pub fn with_inlined(self, inlined: Vec<InlinedFrame>) -> Self {
        Self { inlined, ..self }
    }

    /// The lines of the address: that of the innermost function, then those into which it was inlined.
    pub fn lines(&self) -> impl Iterator<Item = (&Arc<str>, u32)> + Clone {
        let inlined = self.inlined.iter().map(|frame| (&frame.file, frame.line));
        inlined.chain([(&self.file, self.line)])
    }

    /// `pool.h:22 ← cache.c:17`: the [`lines`](Self::lines) without folders.
    #[must_use]
    pub fn brief(&self) -> String {
        let lines = self.lines().map(|(file, line)| format!("{}:{line}", file_name(file)));
        lines.collect::<Vec<_>>().join(" ← ")
    }

    /// The file and line of the innermost function: the code that is at the address.
    #[must_use]
    pub fn innermost(&self) -> (&Arc<str>, u32) {
        match self.inlined.first() {
            Some(frame) => (&frame.file, frame.line),
            None => (&self.file, self.line),
        }
    }
}

/// `C:\src\pool.h:22 ← C:\src\cache.c:17`: the [`lines`](SourceSite::lines).
impl fmt::Display for SourceSite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (file, line)) in self.lines().enumerate() {
            let arrow = if i > 0 { " ← " } else { "" };
            write!(f, "{arrow}{file}:{line}")?;
        }
        Ok(())
    }
}

impl InlinedFrame {
    /// A function whose code at the address is of this line.
    #[must_use]
    pub fn new(function: Arc<str>, displacement: u32, file: Arc<str>, line: u32) -> Self {
        Self { function, displacement, file, line }
    }
}

/// Where source files are on this machine: prefixes of the paths in PDBs, and what replaces them.
///
/// The comparison is as Windows compares paths: without regard to case, and `/` equals `\`. The longest
/// prefix that matches whole parts of a path is replaced.
///
/// ```
/// use verifier_core::symbols::SourceRoots;
/// let roots = SourceRoots::new([("C:\\build\\src".to_string(), "/home/me/src".to_string())]);
/// assert_eq!(roots.place("c:\\Build\\src\\leaky\\pool.c"), "/home/me/src/leaky/pool.c");
/// assert_eq!(roots.place("c:\\build\\src2\\pool.c"), "c:\\build\\src2\\pool.c");
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SourceRoots {
    /// The longest prefix first.
    roots: Vec<(String, String)>,
}

impl SourceRoots {
    /// Pairs of a prefix and its replacement.
    #[must_use]
    pub fn new(pairs: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut roots: Vec<(String, String)> = pairs.into_iter().collect();
        roots.sort_by_key(|(old, _)| std::cmp::Reverse(old.len()));
        Self { roots }
    }

    /// The path on this machine. The rest of a path that is replaced gets the separators of its new prefix.
    #[must_use]
    pub fn place(&self, path: &str) -> String {
        for (old, new) in &self.roots {
            let Some(rest) = rest_of(path, old) else { continue };
            let separator = if new.contains('\\') && !new.contains('/') { '\\' } else { '/' };
            let mut placed = new.trim_end_matches(is_separator).to_string();
            for part in rest.split(is_separator).filter(|part| !part.is_empty()) {
                if !placed.is_empty() || new.starts_with(is_separator) {
                    placed.push(separator);
                }
                placed.push_str(part);
            }
            return placed;
        }
        path.to_string()
    }
}

/// True for what separates the parts of a path, on Windows and elsewhere.
fn is_separator(c: char) -> bool {
    matches!(c, '/' | '\\')
}

/// The last part of a path, with either separator.
#[must_use]
pub fn file_name(path: &str) -> &str {
    path.rsplit(is_separator).next().unwrap_or(path)
}

/// What follows a prefix that ends at the end of a part of the path.
fn rest_of<'p>(path: &'p str, prefix: &str) -> Option<&'p str> {
    let prefix = prefix.trim_end_matches(is_separator);
    let same = |(a, b): (char, char)| {
        a.to_lowercase().eq(b.to_lowercase()) || (is_separator(a) && is_separator(b))
    };
    let mut chars = path.chars();
    for of_prefix in prefix.chars() {
        if !same((chars.next()?, of_prefix)) {
            return None;
        }
    }
    let rest = chars.as_str();
    (rest.is_empty() || rest.starts_with(is_separator)).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(path: &str, roots: &[(&str, &str)]) -> String {
        let pairs = roots.iter().map(|(old, new)| (old.to_string(), new.to_string()));
        SourceRoots::new(pairs).place(path)
    }

    #[test]
    fn the_longest_prefix_is_replaced_whole_parts_only() {
        let roots = [("D:\\a", "x"), ("d:/a/b/", "/src/")];
        assert_eq!(place("d:\\A\\B\\c.c", &roots), "/src/c.c");
        assert_eq!(place("d:\\a\\bc\\c.c", &roots), "x/bc/c.c");
        assert_eq!(place("d:\\ab\\c.c", &roots), "d:\\ab\\c.c");
        assert_eq!(place("d:", &roots), "d:");
    }

    #[test]
    fn separators_are_those_of_the_new_prefix() {
        assert_eq!(place("/build/a/b.c", &[("/build", "C:\\src")]), "C:\\src\\a\\b.c");
        assert_eq!(place("C:\\build\\a\\b.c", &[("c:\\build", "")]), "a/b.c");
        assert_eq!(place("C:\\build\\a\\b.c", &[("c:\\build", "/")]), "/a/b.c");
    }

    #[test]
    fn the_last_part_of_a_path() {
        assert_eq!(file_name("C:\\src\\a.c"), "a.c");
        assert_eq!(file_name("/src/a.c"), "a.c");
        assert_eq!(file_name("a.c"), "a.c");
    }
}
