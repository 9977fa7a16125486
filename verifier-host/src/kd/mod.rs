//! The debugger's own commands, and its text.
//!
//! The commands are `!verifier` (`!verifier -?` prints the syntax), `!deadlock [1|3]`, `!ruleinfo RULE`, `lm`,
//! `.bugcheck` and `.lines`, in upper or lower case, as in the debugger. Numbers are hexadecimal, unless they start with `0n`.

mod verifier;

use std::collections::HashSet;
use std::io;

use verifier_core::dump::Dump;
use verifier_core::kernel::Kernel;
use verifier_core::machine::Machine;
use verifier_core::render::info::BugCheckInfo;
use verifier_core::render::text::{
    DeadlockDetail, Style, extent_line, write_bug_check, write_deadlock, write_modules,
    write_rule_info,
};
use verifier_core::render::{LineStyle, Names, unknown_rule};
use verifier_core::verifier::{Rule, violated_condition};
use verifier_core::{Completeness, Problem, Va};

use crate::error::Error;
use crate::session::Session;

/// Runs one debugger command on a session, without lines of source code: [`Debugger::run`].
///
/// # Errors
/// As [`Debugger::run`].
pub fn run_kd_command(
    out: &mut dyn io::Write,
    session: &Session,
    command: &str,
    style: Style,
) -> Result<Vec<Problem>, Error> {
    Debugger::new(style).run(out, session, command)
}

/// A debugger's settings, which its commands use and `.lines` changes.
#[derive(Debug, Clone, Copy)]
pub struct Debugger {
    style: Style,
    lines: LineStyle,
}

impl Debugger {
    /// A debugger that shows no lines of source code.
    #[must_use]
    pub fn new(style: Style) -> Self {
        Self { style, lines: LineStyle::Hidden }
    }

    /// The same; stacks show lines of source code as after `.lines -e`, or do not.
    #[must_use]
    pub fn with_lines(self, is_on: bool) -> Self {
        Self { lines: if is_on { LineStyle::Debugger } else { LineStyle::Hidden }, ..self }
    }

    /// Runs one command on a session and writes what the debugger would write, then a warning if the answer
    /// is not complete. Returns what could not be read or does not fit, and which symbols are missing.
    ///
    /// # Errors
    /// [`Error::Usage`] for an unknown command, and the errors of the views.
    pub fn run(
        &mut self,
        out: &mut dyn io::Write,
        session: &Session,
        command: &str,
    ) -> Result<Vec<Problem>, Error> {
        let mut problems = dispatch(out, session, command, self)?;
        problems.extend(session.kernel_symbol_problem());
        // Several views of one command may have the same problem.
        let mut seen = HashSet::new();
        problems.retain(|problem| seen.insert(problem.clone()));
        // Not the debugger's, but in the form of the warnings that it prints between its lines.
        if let Some(line) = extent_line(&Completeness::of(&problems)) {
            writeln!(out, "*** WARNING: {line}.")?;
        }
        Ok(problems)
    }

    fn names<'k>(&self, kernel: &'k Kernel) -> Names<'k> {
        Names::new(kernel).with_lines(self.lines)
    }
}

fn dispatch(
    out: &mut dyn io::Write,
    session: &Session,
    command: &str,
    debugger: &mut Debugger,
) -> Result<Vec<Problem>, Error> {
    let mut words = command.split_whitespace();
    let name = words.next().unwrap_or("");
    let rest: Vec<&str> = words.collect();
    match &*name.to_ascii_lowercase() {
        "!verifier" => verifier::run(out, session, &rest, *debugger),
        "!deadlock" => deadlock(out, session, &rest, *debugger),
        ".lines" => lines(out, debugger, &rest),
        "lm" => {
            session.load_all_symbols();
            write_modules(out, session.kernel()?)?;
            Ok(session.symbol_problems())
        }
        ".bugcheck" => bug_check(out, session),
        "!ruleinfo" => rule_info(out, session, &rest),
        _ => Err(Error::Usage(format!(
            "{name:?} is not a known command; known are !verifier, !deadlock, !ruleinfo, lm, .bugcheck, .lines"
        ))),
    }
}

fn bug_check(out: &mut dyn io::Write, session: &Session) -> Result<Vec<Problem>, Error> {
    let report = session.bug_check_report().ok_or_else(|| {
        usage(".bugcheck: there is no dump's header, and the kernel noted no bug check in memory")
    })?;
    let info = BugCheckInfo::of(&report, session.kernel().ok().map(|kernel| &**kernel));
    write_bug_check(out, &info, machine(session))?;
    Ok(report.problems)
}

/// A rule by its number; the addresses of its state are shown as they are given.
fn rule_info(
    out: &mut dyn io::Write,
    session: &Session,
    arguments: &[&str],
) -> Result<Vec<Problem>, Error> {
    let (text, states) = match arguments {
        [id, states @ ..] if states.len() <= 2 => (*id, states),
        _ => return Err(usage("!ruleinfo takes the number of a rule, and addresses of its state")),
    };
    let id = number(text)?;
    let rule = Rule::by_id(id).ok_or_else(|| usage(&unknown_rule(text, Some(id))))?;
    let states = states.iter().map(|state| number(state).map(Va)).collect::<Result<Vec<_>, _>>()?;
    // What the driver violated, if this is what the machine stopped with.
    let kernel = session.kernel().ok();
    let is_cause =
        |kernel: &Kernel| kernel.bug_check().is_some_and(|bug_check| bug_check.parameters[0] == id);
    let condition =
        kernel.filter(|kernel| is_cause(kernel)).map(|kernel| violated_condition(kernel));
    let (condition, problems) = match condition {
        Some(Err(error)) => (None, vec![Problem::from_error("violated condition", &error)]),
        condition => (condition.and_then(Result::ok).flatten(), Vec::new()),
    };
    write_rule_info(out, rule, condition.as_deref(), &states)?;
    Ok(problems)
}

/// The machine by the header, else by the kernel.
fn machine(session: &Session) -> Machine {
    match (session.dump().map(Dump::header), session.kernel()) {
        (Some(header), _) => {
            header.machine().unwrap_or(if header.is_64bit { Machine::X64 } else { Machine::X86 })
        }
        (None, Ok(kernel)) => kernel.space().machine(),
        (None, Err(_)) => Machine::X64,
    }
}

/// What `!deadlock -?` prints, in our words.
const DEADLOCK_USAGE: &str = "\
!deadlock       threads and locks of the deadlock that Verifier found
!deadlock 1     with the stacks that took the locks
!deadlock 3     with the nodes of the locks and the stacks that took them last
";

fn deadlock(
    out: &mut dyn io::Write,
    session: &Session,
    arguments: &[&str],
    debugger: Debugger,
) -> Result<Vec<Problem>, Error> {
    let detail = match arguments {
        [] => DeadlockDetail::Summary,
        ["-?"] => {
            out.write_all(DEADLOCK_USAGE.as_bytes())?;
            return Ok(Vec::new());
        }
        [flags] => match number(flags)? {
            0 => DeadlockDetail::Summary,
            1 => DeadlockDetail::Stacks,
            3 => DeadlockDetail::Nodes,
            _ => return Err(usage("!deadlock takes 1 or 3; !deadlock -? says what they do")),
        },
        _ => return Err(usage("!deadlock takes one number; !deadlock -? says which")),
    };
    let deadlock = session.deadlock()?;
    let names = debugger.names(session.kernel()?);
    write_deadlock(out, &deadlock, &names, detail, debugger.style)?;
    Ok(deadlock.problems)
}

/// `.lines`: whether stacks show lines of source code; without an argument it switches. The texts are the
/// debugger's.
fn lines(
    out: &mut dyn io::Write,
    debugger: &mut Debugger,
    arguments: &[&str],
) -> Result<Vec<Problem>, Error> {
    let is_on = match arguments {
        [] | ["-t"] => debugger.lines == LineStyle::Hidden,
        ["-e"] => true,
        ["-d"] => false,
        _ => return Err(usage(".lines takes -e (on), -d (off) or -t (the other of both)")),
    };
    *debugger = debugger.with_lines(is_on);
    let will = if is_on { "will" } else { "will not" };
    writeln!(out, "Line number information {will} be loaded")?;
    Ok(Vec::new())
}

fn usage(text: &str) -> Error {
    Error::Usage(text.into())
}

/// A number as the debugger's default radix reads it.
fn number(text: &str) -> Result<u64, Error> {
    let plain: String = text.chars().filter(|&c| c != '`').collect::<String>().to_lowercase();
    let parsed = if let Some(decimal) = plain.strip_prefix("0n") {
        decimal.parse().ok()
    } else {
        let digits = plain.strip_prefix("0x").unwrap_or(&plain);
        u64::from_str_radix(digits, 16).ok()
    };
    parsed.ok_or_else(|| {
        usage(&format!("{text:?} is not a number: hexadecimal, or decimal after 0n"))
    })
}
