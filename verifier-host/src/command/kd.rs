//! `verifier kd`: the debugger's own commands. If one fails, the next ones still run.

use std::io::Write as _;

use clap::Args;
use verifier_host::Error;
use verifier_host::kd::Debugger;

use super::dump_args::{DumpArgs, StyleArg};
use super::exit_code;
use super::output::{say_first, stdout, warn_of_kernel_symbols, warn_of_problems};

#[derive(Args)]
pub(super) struct KdArgs {
    #[command(flatten)]
    dump: DumpArgs,
    /// A command, '!verifier 3 myfault.sys'; can be given several times
    #[arg(short, long, value_name = "COMMAND", required = true)]
    command: Vec<String>,
    /// Which debugger's text
    #[arg(long, value_enum, default_value = "modern")]
    style: StyleArg,
    /// Show lines of source code, as after .lines -e
    #[arg(long)]
    lines: bool,
}

/// Runs the commands and returns the worst of their exit codes.
pub(super) fn run(args: &KdArgs) -> Result<u8, Error> {
    let session = args.dump.open()?;
    if let Some(line) = session.truncation() {
        say_first(&line);
    }
    warn_of_kernel_symbols(&session);
    let mut out = stdout();
    let mut debugger = Debugger::new(args.style.into()).with_lines(args.lines);
    let mut worst = 0;
    for command in &args.command {
        match debugger.run(&mut out, &session, command) {
            Ok(problems) => warn_of_problems(&problems),
            Err(error) => {
                worst = worst.max(exit_code(&error));
                // Nobody reads what the next command would write.
                if matches!(error, Error::Output(_)) {
                    return Ok(worst);
                }
            }
        }
    }
    if let Err(error) = out.flush() {
        return Ok(worst.max(exit_code(&error.into())));
    }
    Ok(worst)
}
