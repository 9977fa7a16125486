//! The parent: hands cases to child processes, watches their time limit, and starts a new child after a case
//! that ended one.

use std::ffi::OsString;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::cases::{Case, cases};
use crate::subject::Subject;
use crate::summary::{Limits, Tally};
use crate::trace::Trace;
use crate::worker::processor_time;

/// How children are started.
pub struct Supervisor {
    /// The program and the arguments that lead to [`work`](crate::work) on a subject; the number of
    /// the subject, of the first case and of the one after the last follow.
    pub worker: Vec<OsString>,
    /// What a case may take.
    pub limits: Limits,
}

/// A child, its lines, and what it says on standard error.
struct Worker {
    child: Child,
    lines: Receiver<String>,
    errors: thread::JoinHandle<String>,
}

impl Worker {
    fn start(supervisor: &Supervisor, numbers: [usize; 3]) -> io::Result<Self> {
        let (program, arguments) =
            supervisor.worker.split_first().ok_or_else(|| io::Error::other("no program"))?;
        let mut child = Command::new(program)
            .args(arguments)
            .args(numbers.map(|number| number.to_string()))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let missing = || io::Error::other("a pipe is missing");
        let out = child.stdout.take().ok_or_else(missing)?;
        let mut err = child.stderr.take().ok_or_else(missing)?;
        let (send, lines) = channel();
        thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    break;
                }
            }
        });
        let errors = thread::spawn(move || {
            let mut text = String::new();
            let _ = err.read_to_string(&mut text);
            text
        });
        Ok(Self { child, lines, errors })
    }

    /// Ends it and gives how it ended and what it said last.
    fn end(mut self) -> String {
        let _ = self.child.kill();
        let status = self.child.wait().map(|status| status.to_string()).unwrap_or_default();
        let said = self.errors.join().unwrap_or_default();
        let last = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("").to_string();
        format!("{status}: {last}")
    }
}

/// How often a child that says nothing is looked at.
const LOOK: Duration = Duration::from_millis(500);

/// The processor time of a child, if the system reports it.
struct Clock {
    wall: Instant,
    processor: Option<u64>,
}

impl Clock {
    fn processor(worker: &Worker) -> Option<u64> {
        processor_time(&worker.child.id().to_string())
    }

    fn start(worker: &Worker) -> Self {
        Self { wall: Instant::now(), processor: Self::processor(worker) }
    }

    fn elapsed(&self, worker: &Worker) -> Duration {
        match (self.processor, Self::processor(worker)) {
            (Some(before), Some(now)) => Duration::from_nanos(now.saturating_sub(before)),
            _ => self.wall.elapsed(),
        }
    }
}

/// Runs the first `most` cases of a subject, for no longer than `budget`.
///
/// # Errors
/// Where no child can be started, or the subject itself cannot be read.
pub fn run(
    supervisor: &Supervisor,
    number: usize,
    subject: &Subject,
    most: usize,
    budget: Duration,
) -> io::Result<Tally> {
    let trace = Trace::record(subject).map_err(io::Error::other)?;
    let cases = cases(subject, &trace);
    let mut tally = Tally { name: subject.name.clone(), all: cases.len(), ..Tally::default() };
    let end = most.min(cases.len());
    let begun = Instant::now();
    let mut next = 0;
    while next < end && begun.elapsed() < budget {
        let worker = Worker::start(supervisor, [number, next, end])?;
        let mut has_begun = false;
        let mut clock = Clock::start(&worker);
        let died = loop {
            match worker.lines.recv_timeout(LOOK) {
                Ok(line) => {
                    take_line(&mut tally, &cases, &line);
                    next += 1;
                    if begun.elapsed() >= budget {
                        break None;
                    }
                    has_begun = true;
                    clock = Clock::start(&worker);
                }
                Err(RecvTimeoutError::Timeout) => {
                    // Loading the dump and its symbols is not part of a case.
                    let limit = supervisor.limits.time * if has_begun { 1 } else { 10 };
                    if clock.elapsed(&worker) > limit {
                        break Some(true);
                    }
                }
                Err(RecvTimeoutError::Disconnected) => break (next < end).then_some(false),
            }
        };
        let how = worker.end();
        let (Some(over_time), Some(case)) = (died, cases.get(next)) else { continue };
        if !over_time && tally.total().cases == 0 {
            return Err(io::Error::other(format!("{}: the child ended, {how}", subject.name)));
        }
        let counts = tally.by_kind.entry(case.kind).or_default();
        counts.cases += 1;
        if over_time {
            counts.time_limit += 1;
        } else {
            counts.died += 1;
        }
        let how = if over_time { "over time".to_string() } else { how };
        tally.failures.push(told(&tally.name, next, case, &how));
        next += 1;
    }
    Ok(tally)
}

fn told(name: &str, number: usize, case: &Case, how: &str) -> String {
    format!(
        "{name}, case {number} ({}, {:#x}, {:?}): {how}",
        case.kind.name(),
        case.at,
        case.damage
    )
}

fn take_line(tally: &mut Tally, cases: &[Case], line: &str) {
    let mut parts = line.splitn(6, ' ');
    let mut number = || parts.next().and_then(|part| part.parse::<u64>().ok()).unwrap_or(0);
    let (index, micros, peak, silent) = (number() as usize, number(), number(), number());
    let word = parts.next().unwrap_or("");
    let message = parts.next().unwrap_or("");
    let Some(case) = cases.get(index) else { return };
    tally.slowest = tally.slowest.max(micros);
    tally.peak = tally.peak.max(peak);
    let counts = tally.by_kind.entry(case.kind).or_default();
    counts.cases += 1;
    counts.silent += u64::from(silent > 0);
    match word {
        "refused" => counts.refused += 1,
        "partial" => counts.partial += 1,
        "whole" => counts.whole += 1,
        "unclean" => counts.unclean += 1,
        _ => counts.panics += 1,
    }
    if matches!(word, "unclean" | "panic") {
        tally.failures.push(told(&tally.name, index, case, &format!("{word}: {message}")));
    }
}
