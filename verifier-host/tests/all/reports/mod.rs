//! The command on the sample in a folder, its report, and the report in a browser.

use std::path::{Path, PathBuf};

use crate::browser::Browser;
use crate::common::command;

pub(crate) fn verifier(folder: &Path, arguments: &[&str]) -> std::process::Output {
    command()
        .args(arguments)
        .arg(folder.join("memory.dmp"))
        .arg("--symbols")
        .arg(folder.join("symbols"))
        .output()
        .unwrap()
}

pub(crate) fn report(folder: &Path) -> PathBuf {
    let file = folder.join("report.html");
    let output = verifier(folder, &["report", "-o", file.to_str().unwrap()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    file
}

/// A page and the questions that the tests ask it.
pub(crate) struct Page(pub(crate) Browser);

impl Page {
    /// Opens a page in a browser that keeps its profile in `folder`; `None` without Chromium.
    pub(crate) fn open(folder: &Path, file: &Path) -> Option<Self> {
        let mut browser = Browser::open(folder)?;
        browser.go(file);
        Some(Self(browser))
    }

    pub(crate) fn text(&mut self, script: &str) -> String {
        self.0.evaluate(script).as_str().unwrap_or_else(|| panic!("{script}")).to_owned()
    }

    pub(crate) fn number(&mut self, script: &str) -> u64 {
        self.0.evaluate(script).as_u64().unwrap_or_else(|| panic!("{script}"))
    }

    pub(crate) fn count(&mut self, selector: &str) -> u64 {
        self.number(&format!("document.querySelectorAll({selector:?}).length"))
    }

    pub(crate) fn groups(&mut self) -> u64 {
        self.count("#leaks tr.row")
    }

    /// The texts of the cells of a column, from top to bottom.
    pub(crate) fn column(&mut self, name: &str) -> String {
        self.text(&format!(
            "[...document.querySelectorAll('#leaks tr.row td[data-label={name:?}] .label')].map((e) => e.textContent).join('|')"
        ))
    }

    /// Types into a field as a user does: each change is an event.
    pub(crate) fn fill(&mut self, id: &str, value: &str) {
        self.0.evaluate(&format!(
            "(() => {{ const f = document.getElementById({id:?}); f.value = {value:?}; \
             f.dispatchEvent(new Event(f.tagName === 'SELECT' ? 'change' : 'input')); }})()"
        ));
    }

    pub(crate) fn shown(&mut self) -> String {
        self.text("document.getElementById('shown').textContent")
    }

    /// The names of the frames of the flame graph, from the top left.
    pub(crate) fn frames(&mut self) -> String {
        self.text(
            "[...document.querySelectorAll('.frame')].map((e) => e.title.split(/ at |: /)[0]).join('|')",
        )
    }

    pub(crate) fn hash(&mut self) -> String {
        self.text("location.hash")
    }
}
