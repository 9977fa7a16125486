//! `verifier kd`: the debugger's own commands.

use std::io::Write as _;

use verifier_host::Error;
use verifier_host::kd::run_kd_command;

use super::args::KdArgs;
use super::output::{complain_kernel_symbols, complain_missing_symbols, complain_problems, stdout};

pub(super) fn run(args: &KdArgs) -> Result<(), Error> {
    let session = args.dump.open()?;
    complain_kernel_symbols(&session);
    let mut out = stdout();
    for command in &args.command {
        complain_problems(&run_kd_command(&mut out, &session, command, args.style.into())?);
    }
    out.flush()?;
    complain_missing_symbols(&session);
    Ok(())
}
