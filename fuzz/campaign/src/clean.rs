//! A writer that keeps nothing and watches for what an output must not hold.

use std::io;

/// What kind of output is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// For a terminal: no control character but the line end, no bidirectional override.
    Text,
    /// JSON, CSV, HTML, Markdown: the same; JSON's own escapes are text.
    Document,
}

/// Counts bytes, and remembers the first character that must not be there.
pub(crate) struct Clean {
    form: Form,
    what: &'static str,
    bytes: u64,
    last: [u8; 2],
    found: Option<String>,
}

impl Clean {
    pub(crate) fn new(form: Form, what: &'static str) -> Self {
        Self { form, what, bytes: 0, last: [0; 2], found: None }
    }

    /// What was found, if anything.
    pub(crate) fn finish(self) -> Option<String> {
        self.found
    }

    fn is_wrong(&self, byte: u8) -> bool {
        match (self.last, byte) {
            (_, b'\n') => false,
            // CSV can end its lines so, and HTML's style sheet, too.
            (_, b'\r') => self.form == Form::Text,
            (_, 0..0x20 | 0x7f) => true,
            // C1 in UTF-8.
            ([_, 0xc2], 0x80..0xa0) => true,
            // U+200E, U+200F, U+202A to U+202E, U+2066 to U+2069, U+061C.
            ([0xe2, 0x80], 0x8e | 0x8f | 0xaa..=0xae) => true,
            ([0xe2, 0x81], 0xa6..=0xa9) => true,
            ([_, 0xd8], 0x9c) => true,
            _ => false,
        }
    }
}

impl io::Write for Clean {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        for &byte in buf {
            if self.found.is_none() && self.is_wrong(byte) {
                let [a, b] = self.last;
                self.found = Some(format!(
                    "{} holds {a:02x} {b:02x} {byte:02x} at byte {:#x}",
                    self.what, self.bytes
                ));
            }
            self.last = [self.last[1], byte];
            self.bytes += 1;
        }
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn finds_what_a_terminal_obeys() {
        for (text, wrong) in [
            ("plain\n", false),
            ("a\u{1b}[2J", true),
            ("a\u{9b}2J", true),
            ("a\u{202e}b", true),
            ("a\u{2066}b", true),
            ("a\u{61c}b", true),
            ("\u{2019}\u{fffd}\u{a0}é", false),
            ("a\tb", true),
        ] {
            let mut clean = Clean::new(Form::Text, "it");
            // One byte at a time: what it looks for may come in pieces.
            for byte in text.bytes() {
                clean.write_all(&[byte]).unwrap();
            }
            assert_eq!(clean.finish().is_some(), wrong, "{text:?}");
        }
    }
}
