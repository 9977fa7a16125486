//! `verifier log KIND`.

use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use verifier_core::Va;
use verifier_core::render::{
    write_carved_log_csv, write_carved_log_json, write_carved_log_text, write_event_log_csv,
    write_event_log_json, write_event_log_text, write_pool_log_csv, write_pool_log_json,
    write_pool_log_text, write_watched_irps_csv, write_watched_irps_json, write_watched_irps_text,
};
use verifier_core::verifier::log::{EventKind, LogKind};
use verifier_host::{Error, Session};

use super::dump_args::{CarveArgs, DumpArgs, parse_address};
use super::show::{Format, show};

#[derive(Args)]
pub(super) struct LogArgs {
    /// Which log
    #[arg(value_parser = log_kind())]
    kind: LogKind,
    #[command(flatten)]
    dump: DumpArgs,
    /// Only the newest N records
    #[arg(long, value_name = "N")]
    last: Option<usize>,
    /// Only records about this address: of a block that holds it, or of this IRP, thread or parameter
    #[arg(long, value_name = "A", value_parser = parse_address)]
    address: Option<Va>,
    #[command(flatten)]
    carve: CarveArgs,
    /// How the result is written
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
}

/// The names of all logs, each with what it holds.
fn log_kind() -> impl TypedValueParser<Value = LogKind> {
    let names = LogKind::all().map(|kind| PossibleValue::new(kind.name()).help(kind.holds()));
    PossibleValuesParser::new(names)
        .try_map(|name| LogKind::named(&name).ok_or("there is no log of that name"))
}

pub(super) fn run(args: &LogArgs) -> Result<(), Error> {
    if args.carve.is_requested() {
        return match (args.kind.can_be_carved(), args.last) {
            (true, None) => carved(args),
            (true, Some(_)) => Err(Error::Usage(
                "carved records have no order: --last has no meaning with --carve".into(),
            )),
            (false, _) => Err(Error::Usage("only the pool log can be carved".into())),
        };
    }
    match args.kind {
        LogKind::Pool => pool(args),
        LogKind::Event(kind) => events(args, kind),
        LogKind::Watched => watched(args),
    }
}

fn pool(args: &LogArgs) -> Result<(), Error> {
    let read = |session: &Session| session.pool_log(args.last, args.address);
    let log = show(&args.dump, args.format, read, |out, log, names| match args.format {
        Format::Text => write_pool_log_text(out, log, names),
        Format::Json => write_pool_log_json(out, log, names),
        Format::Csv => write_pool_log_csv(out, log, names),
    })?;
    if log.is_unreadable() { Err(Error::Unreadable("pool log")) } else { Ok(()) }
}

fn events(args: &LogArgs, kind: EventKind) -> Result<(), Error> {
    let read = |session: &Session| session.event_log(kind, args.last, args.address);
    let log = show(&args.dump, args.format, read, |out, log, names| match args.format {
        Format::Text => write_event_log_text(out, log, names),
        Format::Json => write_event_log_json(out, log, names),
        Format::Csv => write_event_log_csv(out, log, names),
    })?;
    if log.is_unreadable() { Err(Error::Unreadable(kind.describe())) } else { Ok(()) }
}

fn watched(args: &LogArgs) -> Result<(), Error> {
    let read = |session: &Session| session.watched_irps(args.last, args.address);
    show(&args.dump, args.format, read, |out, watched, names| match args.format {
        Format::Text => write_watched_irps_text(out, watched, names),
        Format::Json => write_watched_irps_json(out, watched),
        Format::Csv => write_watched_irps_csv(out, watched),
    })
    .map(drop)
}

fn carved(args: &LogArgs) -> Result<(), Error> {
    let read = |session: &Session| session.carve_pool_log(args.carve.range.as_ref(), args.address);
    show(&args.dump, args.format, read, |out, log, names| match args.format {
        Format::Text => write_carved_log_text(out, log, names),
        Format::Json => write_carved_log_json(out, log, names),
        Format::Csv => write_carved_log_csv(out, log, names),
    })
    .map(drop)
}
