//! The data block of the page: columns of numbers, and each text, frame and stack once. The page groups the
//! rows itself.

mod diff;
mod frames;
mod leaks;
mod rest;
mod rows;
mod strings;

use std::collections::HashSet;

use serde::Serialize;
use verifier_core::Va;
use verifier_core::render::Names;

use self::frames::{Frames, Side, Stacks};
use self::rows::Rows;
use self::strings::{Index, NONE, Strings, next_index};
use super::{MAX_SNIPPETS, MAX_STACK_NODES, MAX_STACKS};
use crate::source_snippet::SourceFiles;

pub(super) use self::diff::of_diff;
pub(super) use self::leaks::of_leaks;

/// Lines before and after the line of a snippet.
const CONTEXT: u32 = 3;

/// What the page's script reads.
#[derive(Default, Serialize)]
pub(super) struct Data {
    /// True if the rows compare two dumps.
    is_diff: bool,
    /// Whether the rows are all that there is: "complete", "at least" or "unknown".
    extent: &'static str,
    /// The driver that the page shows first, if it is about one.
    preset_driver: Index,
    texts: Strings,
    frames: Frames,
    stacks: Stacks,
    rows: Rows,
    snippets: Vec<Snippet>,
}

/// Lines of a source file.
#[derive(Serialize)]
struct Snippet {
    file: Index,
    line: u32,
    /// The number of the first line.
    first: u32,
    lines: Vec<String>,
}

impl Data {
    /// The node of a stack, given with its innermost frame first; `None` if the page has no room for it.
    fn stack(&mut self, side: Side, names: &Names<'_>, frames: &[Va]) -> Option<Index> {
        if !self.has_room() {
            return None;
        }
        let mut all = Vec::new();
        for &va in frames.iter().rev() {
            let (first, count) = self.frames.of((side, va), names, &mut self.texts);
            all.extend((0..count).rev().map(|inner| first + next_index(inner)));
        }
        Some(self.stacks.of(all.into_iter()))
    }

    /// False if the page has enough stacks.
    fn has_room(&self) -> bool {
        self.stacks.len() < MAX_STACK_NODES && self.rows.len() < MAX_STACKS
    }

    /// Adds the lines of source files that are on this machine, those of the largest rows first.
    fn add_snippets(&mut self, files: &SourceFiles) {
        let mut seen = HashSet::new();
        for (file, line) in self.frames.lines() {
            if self.snippets.len() >= MAX_SNIPPETS || !seen.insert((file, line)) {
                continue;
            }
            let found = self.texts.get(file).and_then(|path| files.snippet(path, line, CONTEXT));
            let Some(found) = found else { continue };
            let Some(&(first, _)) = found.first() else { continue };
            let lines = found.into_iter().map(|(_, text)| text).collect();
            self.snippets.push(Snippet { file, line, first, lines });
        }
    }

    /// The data as JSON.
    pub(super) fn json(&self) -> serde_json::Result<String> {
        serde_json::to_string(self)
    }
}
