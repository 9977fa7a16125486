//! `verifier info`.

use clap::Args;
use verifier_core::render::{write_info_text, write_json};
use verifier_host::{Error, Session};

use super::dump_args::DumpArgs;
use super::show::{TextOrJson, show_of, warn_unless_text};

#[derive(Args)]
pub(super) struct InfoArgs {
    #[command(flatten)]
    dump: DumpArgs,
    /// How the result is written
    #[arg(long, value_enum, default_value = "text")]
    format: TextOrJson,
}

pub(super) fn run(args: &InfoArgs) -> Result<(), Error> {
    let session = args.dump.open()?;
    // The answer itself says where the symbols of each module were searched for.
    warn_unless_text(args.format, &session);
    let read = |session: &Session| Ok(session.info());
    show_of(&session, args.format, read, |out, info| match args.format {
        TextOrJson::Text => Ok(write_info_text(out, info)?),
        TextOrJson::Json => Ok(write_json(out, info)?),
    })
    .map(drop)
}
