//! `verifier kd`: the debugger's own commands. One that fails does not end the ones behind it.

use std::io::Write as _;

use verifier_host::Error;
use verifier_host::kd::run_kd_command;

use super::args::KdArgs;
use super::end_of;
use super::output::{complain_kernel_symbols, complain_problems, stdout};

/// Runs the commands and returns the worst of their exit codes.
pub(super) fn run(args: &KdArgs) -> Result<u8, Error> {
    let session = args.dump.open()?;
    complain_kernel_symbols(&session);
    let mut out = stdout();
    let mut worst = 0;
    for command in &args.command {
        match run_kd_command(&mut out, &session, command, args.style.into()) {
            Ok(problems) => complain_problems(&problems),
            Err(error) => {
                worst = worst.max(end_of(&error));
                // Nobody reads what the next one would write.
                if matches!(error, Error::Output(_)) {
                    return Ok(worst);
                }
            }
        }
    }
    if let Err(error) = out.flush() {
        return Ok(worst.max(end_of(&error.into())));
    }
    complain_problems(&session.symbol_problems());
    Ok(worst)
}
