//! The results, and the page that shows them.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use crate::cases::Kind;

/// What a case may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Time.
    pub time: Duration,
    /// Bytes of address space beyond those of the process with the dump and its symbols loaded.
    pub memory: u64,
}

/// Counts of outcomes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    pub(crate) cases: u64,
    pub(crate) whole: u64,
    pub(crate) partial: u64,
    pub(crate) refused: u64,
    /// A view differs from the undamaged dump's, and nothing in it says so. Counted above, too.
    pub(crate) silent: u64,
    pub(crate) unclean: u64,
    pub(crate) panics: u64,
    pub(crate) time_limit: u64,
    /// Memory limit, overflown stack, any other end of the process.
    pub(crate) died: u64,
}

impl Counts {
    fn add(&mut self, other: &Self) {
        self.cases += other.cases;
        self.whole += other.whole;
        self.partial += other.partial;
        self.refused += other.refused;
        self.silent += other.silent;
        self.unclean += other.unclean;
        self.panics += other.panics;
        self.time_limit += other.time_limit;
        self.died += other.died;
    }

    fn failures(&self) -> u64 {
        self.unclean + self.panics + self.time_limit + self.died
    }
}

/// What came out for one subject.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// The subject.
    pub name: String,
    /// How many cases there are; fewer may have been run.
    pub all: usize,
    /// Counts by kind.
    pub by_kind: BTreeMap<Kind, Counts>,
    /// The longest case in microseconds.
    pub slowest: u64,
    /// Kilobytes of address space that the process took at most.
    pub peak: u64,
    /// Cases that failed, with what happened.
    pub failures: Vec<String>,
}

impl Tally {
    /// Over all kinds.
    #[must_use]
    pub fn total(&self) -> Counts {
        let mut total = Counts::default();
        self.by_kind.values().for_each(|counts| total.add(counts));
        total
    }

    /// True if no case failed.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.total().failures() == 0
    }
}

/// Why some answers differ and cannot say so: what the bytes of a dump do not contradict.
const UNKNOWABLE: &str = "\
## What cannot be known

A silent answer is one that nothing in the dump contradicts. These classes remain:

| damage | why nothing contradicts it |
|---|---|
| a tag; the low bits of a block's address; a caller or frame a few bytes on | any value is as good as the one before |
| a counter that nothing else counts (trims, spin locks, IRQL raises), a time, a thread, a tick, an IRQL in its range | it is kept in one place only |
| a block's size, if the driver's and the kernel's sums were changed with it | all that is there agrees |
| the GUID, age or time stamp of an image | any value may be right; its symbols are then missing, which is reported |
| two pages of a log exchanged, a record that is possible by itself | each record is possible, and only their order is wrong |
| a setting that the kernel only reads (modes, excluded drivers, limits) | nothing follows from it in memory |
| a header field that the writer may leave empty | empty is a legal value |
| bytes of a log's records and entries that are free, stale frames after a short stack | they are not part of an answer, unless the damage makes them so |";

fn row(out: &mut dyn io::Write, name: &str, of: &str, counts: &Counts) -> io::Result<()> {
    let Counts { cases, whole, partial, refused, silent, unclean, panics, time_limit, died } =
        counts;
    writeln!(
        out,
        "| {name} | {of}{cases} | {whole} | {partial} | {refused} | {silent} | {panics} | {time_limit} | {died} \
         | {unclean} |"
    )
}

/// Writes the page: by subject, by kind of damage, peers, failures. `peers` is a table of its own.
///
/// # Errors
/// Those of the writer.
pub fn write_summary(
    out: &mut dyn io::Write,
    tallies: &[Tally],
    limits: &Limits,
    peers: Option<&str>,
) -> io::Result<()> {
    const HEAD: &str = "| cases | whole | in part | refused | silent | panics | over time | over memory | unclean |\n\
                        |---|--:|--:|--:|--:|--:|--:|--:|--:|--:|";
    writeln!(
        out,
        "# Robustness\n\nWritten by the program: `cargo build --release -p verifier-host && cargo run \
         --release -p fuzz-campaign -- ../shared/dumps/*/ --synthetic -o docs/robustness.md` (`--peers` \
         adds the others). It damages dumps as `fuzz/campaign` describes, opens each in a process \
         of limited memory, and shows every view as text, JSON, CSV, Markdown and HTML.\n"
    )?;
    writeln!(
        out,
        "- *whole*: read without a problem; the damage is where nothing is read, or a value that is as \
         good as the one before\n- *in part*: read, with problems that say what is missing, or a view \
         that says why it cannot be; a dump that has some undamaged, as the shared ones have on \
         purpose, is here always\n- *refused*: an error that says why the file cannot be opened\n- \
         *silent*: of the cases read whole or in part, those in which the document of some view differs \
         from the undamaged dump's, and has no new problem and no new reason why it is not complete\n- \
         *over time*: more than {} s for everything; *over memory*: more than {} MiB beyond the \
         dump and its symbols, or any other end of the process\n- *unclean*: an output holds a \
         control character or a bidirectional override out of the dump\n",
        limits.time.as_secs(),
        limits.memory >> 20
    )?;
    let mut total = Counts::default();
    let mut kinds: BTreeMap<Kind, Counts> = BTreeMap::new();
    for tally in tallies {
        total.add(&tally.total());
        for (kind, counts) in &tally.by_kind {
            kinds.entry(*kind).or_default().add(counts);
        }
    }
    writeln!(out, "## By damage\n\n| damage {HEAD}")?;
    for (kind, counts) in &kinds {
        row(out, kind.name(), "", counts)?;
    }
    row(out, "**all**", "", &total)?;
    writeln!(out, "\n## By dump\n\nCases that were run of those that there are.\n\n| dump {HEAD}")?;
    for tally in tallies {
        let counts = tally.total();
        let of = if tally.all as u64 == counts.cases {
            String::new()
        } else {
            format!("of {}: ", tally.all)
        };
        row(out, &tally.name, &of, &counts)?;
    }
    let slowest = tallies.iter().map(|tally| tally.slowest).max().unwrap_or(0);
    let peak = tallies.iter().map(|tally| tally.peak).max().unwrap_or(0);
    writeln!(
        out,
        "\nThe slowest case took {} ms; no process took more than {} MiB beyond what it began with.",
        slowest / 1000,
        peak.div_ceil(1024)
    )?;
    writeln!(out, "\n{UNKNOWABLE}")?;
    if let Some(peers) = peers {
        writeln!(out, "\n{peers}")?;
    }
    let failures: Vec<&String> = tallies.iter().flat_map(|tally| &tally.failures).collect();
    if !failures.is_empty() {
        writeln!(out, "\n## Failures\n")?;
        for failure in failures.iter().take(100) {
            writeln!(out, "- {failure}")?;
        }
    }
    Ok(())
}
