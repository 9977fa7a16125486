//! `cargo run --release -p fuzz-campaign -- DUMP_OR_FOLDER… --synthetic`

use std::error::Error;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use fuzz_campaign::{
    Limits, Subject, Supervisor, given, run, run_peers, synthetic, work, write_summary,
};

/// Damages dumps in every way that it can name, and reads each.
#[derive(Parser)]
struct Args {
    /// Dump files, or folders with `memory.dmp`; symbols are in `symbols` beside it.
    dumps: Vec<PathBuf>,
    /// Dumps of every kind, made by verifier-synth.
    #[arg(long)]
    synthetic: bool,
    /// Cases of each dump at most; a beginning is a sample of all.
    #[arg(long, default_value_t = usize::MAX)]
    cases: usize,
    /// Seconds for all dumps together.
    #[arg(long, default_value_t = 1 << 32)]
    time: u64,
    /// Seconds that one case may take.
    #[arg(long, default_value_t = 10)]
    time_limit: u64,
    /// MiB that one case may take beyond the dump and its symbols.
    #[arg(long, default_value_t = 256)]
    memory_limit: u64,
    /// Cases of each dump file that other programs read, too, if they are installed.
    #[arg(long, default_value_t = 0)]
    peers: usize,
    /// The `verifier` that is compared with them [default: the one beside this program].
    #[arg(long)]
    verifier: Option<PathBuf>,
    /// A folder of ISF tables for volatility3.
    #[arg(long)]
    tables: Option<PathBuf>,
    /// Writes the page here; else on standard output.
    #[arg(short, long)]
    output: Option<PathBuf>,
    /// The arguments of a child: its dump, its first case, the one after its last.
    #[arg(long, hide = true, num_args = 3)]
    worker: Option<Vec<usize>>,
}

impl Args {
    /// The dump of that number, as parent and child count them.
    fn subjects(&self) -> io::Result<Vec<Subject>> {
        let mut subjects =
            self.dumps.iter().map(|path| given(path)).collect::<Result<Vec<_>, _>>()?;
        if self.synthetic {
            subjects.extend(synthetic());
        }
        Ok(subjects)
    }

    fn subject(&self, number: usize) -> io::Result<Subject> {
        match self.dumps.get(number) {
            Some(path) => given(path),
            None => synthetic()
                .into_iter()
                .nth(number - self.dumps.len())
                .ok_or_else(|| io::Error::other("no such dump")),
        }
    }
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let args = Args::parse();
    let memory = args.memory_limit << 20;
    if let Some(&[number, from, to]) = args.worker.as_deref() {
        work(&args.subject(number)?, from, to, memory)?;
        return Ok(ExitCode::SUCCESS);
    }
    let subjects = args.subjects()?;
    let mut worker: Vec<OsString> = vec![std::env::current_exe()?.into()];
    worker.extend(args.dumps.iter().map(OsString::from));
    if args.synthetic {
        worker.push("--synthetic".into());
    }
    worker.push(format!("--memory-limit={}", args.memory_limit).into());
    worker.push("--worker".into());
    let limits = Limits { time: Duration::from_secs(args.time_limit), memory };
    let supervisor = Supervisor { worker, limits };
    let mut left = Duration::from_secs(args.time);
    let mut tallies = Vec::new();
    for (number, subject) in subjects.iter().enumerate() {
        // What one dump does not need is for the others.
        let share = left / (subjects.len() - number) as u32;
        let begun = std::time::Instant::now();
        let tally = run(&supervisor, number, subject, args.cases, share)?;
        left = left.saturating_sub(begun.elapsed());
        let total = tally.total();
        eprintln!("{}: {total:?} of {}, {:?}", tally.name, tally.all, begun.elapsed());
        for failure in tally.failures.iter().take(10) {
            eprintln!("  {failure}");
        }
        tallies.push(tally);
    }
    let clean = tallies.iter().all(fuzz_campaign::Tally::is_clean);
    let peers = if args.peers > 0 {
        let beside = std::env::current_exe()?.with_file_name("verifier");
        let verifier = args.verifier.as_deref().unwrap_or(&beside);
        let tables = args.tables.as_deref();
        Some(run_peers(&subjects, &args.dumps, args.peers, verifier, tables)?)
    } else {
        None
    };
    let mut page = Vec::new();
    write_summary(&mut page, &tallies, &limits, peers.as_deref())?;
    match &args.output {
        Some(path) => File::create(path)?.write_all(&page)?,
        None => io::stdout().write_all(&page)?,
    }
    Ok(if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
