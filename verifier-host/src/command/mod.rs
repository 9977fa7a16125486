//! The `verifier` command: one file for each subcommand, with its arguments.
//!
//! Exit codes: 0 done, 1 nothing of what was asked for could be read, 2 usage, 3 the limit of `--fail-on` is
//! reached, 4 cannot tell: what could be read does not reach the limit of `--fail-on`, but the answer is not
//! complete. Results go to standard output; problems and errors to standard error, one line each. A JSON
//! document has its problems in it, so they are not repeated.

mod deadlock;
mod demo;
mod diff;
mod drivers;
mod dump_args;
mod flags;
mod flamegraph;
mod history;
mod info;
mod kd;
mod leak_baseline;
mod leak_filter;
mod leak_limit;
mod leak_outputs;
mod leaks;
mod log;
mod output;
mod pool;
mod progress;
mod report;
mod settings;
mod show;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use verifier_host::Error;

/// Windows Driver Verifier's data out of kernel crash dumps: what `!verifier` shows, on any system.
#[derive(Parser)]
#[command(name = "verifier", version, about, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// What the dump is: header, build, bug check, symbols wanted and found, Verifier data
    Info(info::InfoArgs),
    /// Commands in the debugger's own syntax and text: !verifier, !deadlock, lm, .bugcheck
    Kd(kd::KdArgs),
    /// Level by name, and statistics
    Settings(settings::SettingsArgs),
    /// Configured drivers, their state and counters
    Drivers(drivers::DriversArgs),
    /// Outstanding pool allocations
    Pool(pool::PoolArgs),
    /// Logs of recent events
    Log(log::LogArgs),
    /// Deadlock detection: the deadlock that was found, and in which order locks were taken
    Deadlock(deadlock::DeadlockArgs),
    /// All that is known of one address
    History(history::HistoryArgs),
    /// Outstanding allocations with the stacks that allocated them, in groups
    Leaks(leaks::LeaksArgs),
    /// What grew between two dumps
    Diff(diff::DiffArgs),
    /// A flame graph of the outstanding allocations, as SVG
    Flamegraph(flamegraph::FlamegraphArgs),
    /// The outstanding allocations, drivers and settings for a browser: one HTML file that works offline
    Report(report::ReportArgs),
    /// What a level of `verifier /flags` means, or which level names make
    Flags(flags::FlagsArgs),
    /// Makes a sample dump with its symbols and runs the two commands of the walk-through on it
    Demo(demo::DemoArgs),
}

impl Command {
    /// Runs the subcommand and returns its exit code.
    fn run(&self) -> Result<u8, Error> {
        match self {
            Command::Kd(args) => return kd::run(args),
            Command::Info(args) => info::run(args),
            Command::Settings(args) => settings::run(args),
            Command::Drivers(args) => drivers::run(args),
            Command::Pool(args) => pool::run(args),
            Command::Log(args) => log::run(args),
            Command::Deadlock(args) => deadlock::run(args),
            Command::History(args) => history::run(args),
            Command::Leaks(args) => leaks::run(args),
            Command::Diff(args) => diff::run(args),
            Command::Flamegraph(args) => flamegraph::run(args),
            Command::Report(args) => report::run(args),
            Command::Flags(args) => flags::run(args),
            Command::Demo(args) => demo::run(args),
        }
        .map(|()| 0)
    }
}

/// Runs the command on the process's arguments.
#[must_use]
pub(crate) fn main() -> ExitCode {
    match Cli::try_parse() {
        Ok(cli) => ExitCode::from(cli.command.run().unwrap_or_else(|error| exit_code(&error))),
        Err(error) => {
            // Help and version are results; anything else is a usage error.
            let code = if error.use_stderr() { 2 } else { 0 };
            let _ = error.print();
            ExitCode::from(code)
        }
    }
}

/// Reports an error and returns its exit code.
fn exit_code(error: &Error) -> u8 {
    let code = match error {
        // The reader of the output has what it wanted: `verifier log pool … | head`.
        Error::Output(why) if why.kind() == std::io::ErrorKind::BrokenPipe => return 0,
        Error::Usage(_) | Error::SymbolPath(_) => 2,
        Error::LimitReached(_) => 3,
        Error::CannotTell(_) => 4,
        _ => 1,
    };
    output::warn(&error.to_string());
    code
}
