//! `deadlock()`: the document of the command, with its texts.

use std::io;

use pyo3::prelude::*;
use verifier_core::Problem;
use verifier_core::analysis::LockGraph;
use verifier_core::kernel::Kernel;
use verifier_core::render::{DeadlockDocument, Names, write_deadlock_dot, write_deadlock_text};
use verifier_core::verifier::deadlock::Deadlock;
use verifier_host::Session;

use crate::answer::conclude;
use crate::document::Value;
use crate::errors::Failure;
use crate::text::Text;

/// What deadlock detection keeps, on its way to Python.
pub(crate) struct Document {
    document: Value,
    problems: Vec<Problem>,
    text: Text,
    dot: Text,
}

/// One of the two texts.
type Write = fn(&mut dyn io::Write, &Deadlock, &LockGraph, &Names<'_>) -> io::Result<()>;

pub(crate) fn read(host: &Session, kernel: &Kernel) -> Result<Document, Failure> {
    let deadlock = host.deadlock()?;
    let (graph, names) = (LockGraph::of(&deadlock), Names::new(kernel));
    let text = |write: Write| {
        Text::write("Text", |out| {
            write(out, &deadlock, &graph, &names).map_err(verifier_host::Error::from)?;
            Ok(deadlock.problems.clone())
        })
    };
    let (text, dot) = (text(write_deadlock_text)?, text(write_deadlock_dot)?);
    let document = DeadlockDocument { deadlock: &deadlock, graph: &graph, names: &names };
    let document = Value::of(&document)?;
    Ok(Document { document, problems: deadlock.problems, text, dot })
}

impl<'py> IntoPyObject<'py> for Document {
    type Target = PyAny;
    type Output = Bound<'py, PyAny>;
    type Error = PyErr;

    fn into_pyobject(self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let document = self.document.into_pyobject(py)?;
        conclude(&document, &self.problems)?;
        let class = py.import("verifier_py._documents")?.getattr("Deadlock")?;
        class.call1((document, self.text, self.dot))
    }
}
