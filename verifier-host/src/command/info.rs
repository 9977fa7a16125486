//! `verifier info`.

use clap::Args;
use verifier_core::render::{write_info_text, write_json};
use verifier_host::Error;

use super::dump_args::DumpArgs;
use super::show::{TextOrJson, open, show_of};

#[derive(Args)]
pub(super) struct InfoArgs {
    #[command(flatten)]
    dump: DumpArgs,
    /// How the result is written
    #[arg(long, value_enum, default_value = "text")]
    format: TextOrJson,
}

pub(super) fn run(args: &InfoArgs) -> Result<(), Error> {
    let session = open(&args.dump, args.format)?;
    let read = |session: &_| Ok(verifier_host::Session::info(session));
    show_of(&session, args.format, read, |out, info| match args.format {
        TextOrJson::Text => Ok(write_info_text(out, info)?),
        TextOrJson::Json => Ok(write_json(out, info)?),
    })
    .map(drop)
}
