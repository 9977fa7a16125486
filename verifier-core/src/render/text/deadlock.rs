//! `!deadlock`: the deadlock that was found.
//!
//! [`Style::Win7`] follows the published output of `!deadlock` and `!deadlock 1` on XP, [`Style::Modern`] that
//! of `!deadlock` and `!deadlock 3` on 8.1, whose separator rows are lost in the publication. No
//! transcript shows these, so they are our own: `1` in the modern style, which is `3` without nodes; `3` in the
//! old style; the texts for a deadlock that is not simple, and for no deadlock. The documentation says that `1`
//! shows the stacks that were active when the locks were taken, and `3` those of the last time. The former come
//! from `ParentStackTrace` of the node below, the latter from `StackTrace`.

use std::io;

use super::lines::{SEPARATOR, sanitize};
use super::stack::{frame_lines, write_stack_lines};
use super::{Style, digits};
use crate::addr::Va;
use crate::analysis::{LockOrder, LockStep, OrderThread};
use crate::render::Names;
use crate::verifier::deadlock::Deadlock;

/// How much `!deadlock` prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum DeadlockDetail {
    /// Threads, locks and their order.
    #[default]
    Summary,
    /// `1`: with the stacks.
    Stacks,
    /// `3`: with nodes and the stacks of the last time.
    Nodes,
}

/// What was found, as `!deadlock` prints it.
///
/// # Errors
/// Those of the writer.
pub fn write_deadlock(
    out: &mut dyn io::Write,
    deadlock: &Deadlock,
    names: &Names<'_>,
    detail: DeadlockDetail,
    style: Style,
) -> io::Result<()> {
    let text = Text { deadlock, names, style };
    if let (Style::Modern, Some(issue)) = (style, &deadlock.issue) {
        let words = issue.words.map(|word| text.digits(Va(word)));
        writeln!(out, "issue: {} ", words.join(" "))?;
    }
    match LockOrder::of(deadlock) {
        Some(order) if detail == DeadlockDetail::Summary => text.summary(out, &order),
        Some(order) => text.stacks(out, &order, detail),
        None => text.no_order(out),
    }
}

/// Why the kernel does not follow locks, or how many it knows.
///
/// # Errors
/// Those of the writer.
pub fn write_deadlock_state(out: &mut dyn io::Write, deadlock: &Deadlock) -> io::Result<()> {
    if let Some(why) = &deadlock.inactive_because {
        let mut letters = why.chars();
        let first = letters.next().map(|letter| letter.to_uppercase().to_string());
        writeln!(out, "{}{}.", first.unwrap_or_default(), letters.as_str())?;
    }
    let (locks, threads, nodes) =
        (deadlock.resources().len(), deadlock.threads().len(), deadlock.nodes().len());
    if deadlock.inactive_because.is_none() || locks + threads + nodes > 0 {
        writeln!(out, "Locks known: {locks}; threads that hold some: {threads}; nodes: {nodes}.")?;
    }
    Ok(())
}

struct Text<'a> {
    deadlock: &'a Deadlock,
    names: &'a Names<'a>,
    style: Style,
}

impl Text<'_> {
    fn digits(&self, va: Va) -> String {
        digits(va, self.names.kernel().space().machine())
    }

    /// The name of an address as this debugger writes displacements.
    fn name(&self, va: Va) -> Option<String> {
        let name = self.names.kernel().symbolize(va)?;
        let symbol = name.name.as_ref().map(|symbol| format!("!{symbol}")).unwrap_or_default();
        let displacement = match self.style {
            Style::Modern => format!("+{:#010x}", name.displacement),
            Style::Win7 if name.displacement == 0 => String::new(),
            Style::Win7 => format!("+0x{:X}", name.displacement),
        };
        Some(sanitize(&format!("{}{symbol}{displacement}", name.module)).into_owned())
    }

    fn lock_type(&self, lock: Va) -> String {
        match self.deadlock.lock_type(lock) {
            Some(kind) => match kind.name() {
                Some(name) => name.into(),
                None => format!("Unknown ({})", kind.0),
            },
            None => "Unknown".into(),
        }
    }

    /// The lock with its type, after the equals sign.
    fn lock(&self, lock: Va) -> String {
        let (name, kind) = (self.name(lock), self.lock_type(lock));
        let digits = self.digits(lock);
        match (self.style, name) {
            (Style::Win7, name) => format!("{} Type '{kind}'", name.unwrap_or(digits)),
            (Style::Modern, Some(name)) => format!("{digits} ({name}) - Type '{kind}'."),
            (Style::Modern, None) => format!("{digits} - Type '{kind}'."),
        }
    }

    fn thread(&self, thread: &OrderThread) -> String {
        match thread.thread {
            Some(address) => self.digits(address),
            // All of its locks were released, and its record with them.
            None if thread.record.is_null() => "TERMINATED".into(),
            None => "UNKNOWN".into(),
        }
    }

    fn headline(&self, out: &mut dyn io::Write, order: &LockOrder) -> io::Result<()> {
        let things = match self.style {
            Style::Win7 => "resources",
            Style::Modern => "locks",
        };
        let (locks, threads) = (order.locks.len(), order.threads.len());
        writeln!(out, "\nDeadlock detected ({locks} {things} in {threads} threads):\n")
    }

    fn summary(&self, out: &mut dyn io::Write, order: &LockOrder) -> io::Result<()> {
        self.headline(out, order)?;
        let (stop, gap) = match self.style {
            Style::Win7 => ("", ""),
            Style::Modern => (".", "\n"),
        };
        for (number, thread) in order.threads.iter().enumerate() {
            let letters: Vec<String> =
                thread.steps.iter().map(|step| order.letter(step.lock)).collect();
            writeln!(out, "Thread {number}: {}{stop}", letters.join(" "))?;
        }
        writeln!(out, "\nWhere:{gap}")?;
        for (number, thread) in order.threads.iter().enumerate() {
            writeln!(out, "Thread {number} = {}{stop}", self.thread(thread))?;
        }
        write!(out, "{gap}")?;
        for &lock in &order.locks {
            writeln!(out, "Lock {} =   {}", order.letter(lock), self.lock(lock))?;
        }
        Ok(())
    }

    fn stacks(
        &self,
        out: &mut dyn io::Write,
        order: &LockOrder,
        detail: DeadlockDetail,
    ) -> io::Result<()> {
        self.headline(out, order)?;
        for (number, thread) in order.threads.iter().enumerate() {
            if number > 0 {
                writeln!(out)?;
            }
            let name = self.thread(thread);
            match self.style {
                Style::Win7 => write!(out, "Thread {number} ({})", name.to_uppercase())?,
                Style::Modern => {
                    write!(out, "{SEPARATOR}\n\nThread {number}: {name}")?;
                    if detail == DeadlockDetail::Nodes && !thread.record.is_null() {
                        write!(out, " (ThreadEntry = {})", self.digits(thread.record))?;
                    }
                }
            }
            writeln!(out, " took locks in the following order:")?;
            for step in &thread.steps {
                self.step(out, order, step, detail)?;
            }
        }
        Ok(())
    }

    fn step(
        &self,
        out: &mut dyn io::Write,
        order: &LockOrder,
        step: &LockStep,
        detail: DeadlockDetail,
    ) -> io::Result<()> {
        let letter = order.letter(step.lock);
        let node = step.node.filter(|_| detail == DeadlockDetail::Nodes);
        match self.style {
            Style::Win7 => {
                let lock = self.name(step.lock).unwrap_or_else(|| self.digits(step.lock));
                let kind = self.lock_type(step.lock);
                writeln!(out, "\n    Lock {letter} -- {lock} ({kind})")?;
                if let Some(node) = node {
                    writeln!(out, "    Node:    {}", self.digits(node))?;
                }
            }
            Style::Modern => {
                writeln!(out, "\nLock {letter} =     {}\n", self.lock(step.lock))?;
                if let Some(node) = node {
                    writeln!(out, "    Node:    {}\n", self.digits(node))?;
                }
            }
        }
        let Some(record) = step.node else {
            let current = match self.style {
                Style::Win7 => "<< Current stack >>",
                Style::Modern => "<< Current stack trace - use kb to display it >>",
            };
            return writeln!(out, "    Stack:   {current}");
        };
        let last = self.deadlock.node(record).map(|node| &node.stack);
        let frames = match (detail, last) {
            (DeadlockDetail::Nodes, Some(last)) => last,
            _ => &step.stack,
        };
        if frames.is_empty() {
            return writeln!(out, "    Stack:   << not known >>");
        }
        let lines = |&frame: &Va| {
            let (address, name) = match (self.style, self.name(frame)) {
                (Style::Win7, Some(name)) => (String::new(), name),
                (Style::Win7, None) => (self.digits(frame), String::new()),
                // The debugger writes a blank after the name.
                (Style::Modern, name) => {
                    let name = name.map(|name| name + " ").unwrap_or_default();
                    (format!("{} ", self.digits(frame)), name)
                }
            };
            frame_lines(self.names, frame, &address, &name)
        };
        let first = format!("    {:9}", "Stack:");
        let other = " ".repeat(first.len());
        write_stack_lines(out, (&first, &other), frames.iter().flat_map(lines))
    }

    /// What else was reported, and what there is.
    fn no_order(&self, out: &mut dyn io::Write) -> io::Result<()> {
        match &self.deadlock.issue {
            None => writeln!(out, "\nNo deadlock was found.")?,
            Some(issue) => {
                match issue.what() {
                    Some(what) => {
                        writeln!(out, "\nVerifier reported {:#x}: {what}.", issue.code())?
                    }
                    None => writeln!(out, "\nVerifier reported {:#x}.", issue.code())?,
                }
                if let Some(lock) = issue.lock() {
                    writeln!(out, "Lock =   {}", self.lock(lock))?;
                }
                if issue.node().is_some() {
                    writeln!(out, "The locks that lead to it are not known anymore.")?;
                }
            }
        }
        write_deadlock_state(out, self.deadlock)
    }
}
