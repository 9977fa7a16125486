//! `verifier demo`: the sample machine, and the two commands of the walk-through on it.

use std::io::Write as _;
use std::path::PathBuf;

use clap::Args;
use verifier_host::kd::run_kd_command;
use verifier_host::symbols::SymbolPath;
use verifier_host::{Error, Session, write_sample};

use super::dump_args::StyleArg;
use super::output::{stdout, warn_of_problems};

#[derive(Args)]
pub(super) struct DemoArgs {
    /// Keep the sample in this folder
    #[arg(short, long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Which debugger's text
    #[arg(long, value_enum, default_value = "win7")]
    style: StyleArg,
}

/// The block whose stack the walk-through looks up.
const BLOCK: &str = "fffffa8005400000";

pub(super) fn run(args: &DemoArgs) -> Result<(), Error> {
    let scratch = match &args.output {
        Some(_) => None,
        None => Some(tempfile::tempdir()?),
    };
    let folder: PathBuf = match (&args.output, &scratch) {
        (Some(folder), _) => folder.clone(),
        (None, Some(scratch)) => scratch.path().into(),
        (None, None) => return Err(Error::Usage("no folder for the sample".into())),
    };
    let dump = write_sample(&folder)?;
    let mut symbols = SymbolPath::new();
    symbols.push_plain(folder.join("symbols"));
    let session = Session::open(&dump, symbols)?;
    let style = args.style.into();
    let mut out = stdout();
    for command in ["!verifier 3 myfault.sys".to_string(), format!("!verifier 80 {BLOCK}")] {
        writeln!(out, "kd> {command}")?;
        warn_of_problems(&run_kd_command(&mut out, &session, &command, style)?);
        writeln!(out)?;
    }
    match &args.output {
        Some(folder) => {
            let dump = dump.display();
            let symbols = folder.join("symbols");
            let symbols = symbols.display();
            writeln!(out, "The sample is in {}. More of it:", folder.display())?;
            writeln!(out, "  verifier info {dump} --symbols {symbols}")?;
            writeln!(out, "  verifier log pool {dump} --symbols {symbols} --format json")?;
        }
        None => writeln!(
            out,
            "`verifier demo -o DIR` keeps this sample dump and its symbols in a folder."
        )?,
    }
    writeln!(out, "On your own dump, with pool tracking on (verifier /flags 8 /driver NAME.sys):")?;
    writeln!(
        out,
        "  verifier kd MEMORY.DMP --symbols 'srv*https://msdl.microsoft.com/download/symbols' \
         -c '!verifier 3 NAME.sys'"
    )?;
    Ok(out.flush()?)
}
