//! The `verifier` command: one file for each subcommand.
//!
//! Exit codes: 0 done, 1 what was asked for could not be read at all, 2 usage, 3 the limit of `--fail-on`
//! is reached, 4 cannot tell: the limit of `--fail-on` is not reached in what could be read, but the answer
//! is not complete. Results go to standard output; problems and errors to standard error, one line each. In
//! JSON the problems are in the document, and are not repeated.

mod args;
mod carve;
mod deadlock;
mod demo;
mod diff;
mod drivers;
mod flags;
mod flamegraph;
mod history;
mod info;
mod kd;
mod leak_args;
mod leaks;
mod log;
mod output;
mod pool;
mod progress;
mod report;
mod settings;

use std::process::ExitCode;

use clap::Parser;

use args::{Cli, Command};
use verifier_host::Error;

/// Runs the command on the process's arguments.
#[must_use]
pub(crate) fn main() -> ExitCode {
    let mut cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are results; anything else is a usage error.
            let code = if error.use_stderr() { 2 } else { 0 };
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    if let Some((dump, is_text)) = cli.command.dump() {
        dump.is_text = is_text;
    }
    let result = match &cli.command {
        Command::Kd(args) => {
            return ExitCode::from(kd::run(args).unwrap_or_else(|error| end_of(&error)));
        }
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
    };
    ExitCode::from(result.map_or_else(|error| end_of(&error), |()| 0))
}

/// Complains of an error and returns its exit code.
fn end_of(error: &Error) -> u8 {
    let code = match error {
        // Whoever reads the output has what they wanted: `verifier log pool … | head`.
        Error::Output(why) if why.kind() == std::io::ErrorKind::BrokenPipe => return 0,
        Error::Usage(_) | Error::SymbolPath(_) => 2,
        Error::LimitReached(_) => 3,
        Error::CannotTell(_) => 4,
        _ => 1,
    };
    output::complain(&error.to_string());
    code
}
