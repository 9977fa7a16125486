//! `verifier settings`.

use clap::Args;
use verifier_core::render::{write_settings_csv, write_settings_json, write_settings_text};
use verifier_host::{Error, Session};

use super::dump_args::DumpArgs;
use super::show::{Format, show};

#[derive(Args)]
pub(super) struct SettingsArgs {
    #[command(flatten)]
    dump: DumpArgs,
    /// How the result is written
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

pub(super) fn run(args: &SettingsArgs) -> Result<(), Error> {
    show(&args.dump, args.format, Session::settings, |out, (settings, modes), names| {
        match args.format {
            Format::Text => write_settings_text(out, settings, modes, names.kernel().build()),
            Format::Json => write_settings_json(out, settings, modes),
            Format::Csv => write_settings_csv(out, settings, modes),
        }
    })
    .map(drop)
}
