//! Arguments.

use std::ffi::OsString;
use std::ops::Range;
use std::path::{Path, PathBuf};

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};
use verifier_core::render::text::Style;
use verifier_core::verifier::log::LogKind;
use verifier_core::{Pa, Va};
use verifier_host::symbols::SymbolPath;
use verifier_host::{Error, FileMode, Inputs, OutputKind, Session, SessionOptions, may_replace};

use super::leak_args::{DiffArgs, DiffFormat, FlamegraphArgs, LeaksArgs, LeaksFormat, ReportArgs};
use super::output::{complain, is_stdout, say_first};
use super::progress::on_stderr;

/// Windows Driver Verifier's data out of kernel crash dumps: what `!verifier` shows, on any system.
#[derive(Parser)]
#[command(name = "verifier", version, about, propagate_version = true)]
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Subcommand)]
pub(super) enum Command {
    /// What the dump is: header, build, bug check, symbols wanted and found, Verifier data
    Info(InfoArgs),
    /// Commands in the debugger's own syntax and text: !verifier, !deadlock, lm, .bugcheck
    Kd(KdArgs),
    /// Level by name, and statistics
    Settings(ViewArgs),
    /// Configured drivers, their state and counters
    Drivers(ViewArgs),
    /// Outstanding pool allocations
    Pool(PoolArgs),
    /// Logs of recent events
    Log(LogArgs),
    /// Deadlock detection: the deadlock that was found, and in which order locks were taken
    Deadlock(DeadlockArgs),
    /// All that is known of one address
    History(HistoryArgs),
    /// Outstanding allocations with the stacks that made them, in groups
    Leaks(LeaksArgs),
    /// What grew between two dumps
    #[command(mut_arg("dump", |dump| dump.value_name("NEW").help("The later crash dump")))]
    Diff(DiffArgs),
    /// A flame graph of the outstanding allocations, as SVG
    Flamegraph(FlamegraphArgs),
    /// All of it for a browser: one HTML file that works offline
    Report(ReportArgs),
    /// What a level of `verifier /flags` means, or which level names make
    Flags(FlagsArgs),
    /// Makes a sample dump with its symbols and runs the two commands of the walk-through on it
    Demo(DemoArgs),
}

#[derive(Args)]
pub(super) struct DumpArgs {
    /// The crash dump, ELF core of a virtual machine, or (with --raw) memory image
    pub(super) dump: PathBuf,
    /// Where symbols are: a folder, a symbol store, srv*cache*URL; may be given several times.
    /// Without it _NT_SYMBOL_PATH is used
    #[arg(long, value_name = "PATH")]
    pub(super) symbols: Vec<OsString>,
    /// Read the file at each access instead of mapping it (network shares, files still growing)
    #[arg(long)]
    pub(super) no_mmap: bool,
    /// The file is physical memory from address 0 on, without any header
    #[arg(long)]
    pub(super) raw: bool,
    /// Physical address of the top page table (CR3), instead of what the file says or a search finds
    #[arg(long, value_name = "ADDR", value_parser = parse_address)]
    pub(super) dtb: Option<Va>,
    /// Whether standard output is text for people, not a document
    #[arg(skip)]
    pub(super) is_text: bool,
}

impl Command {
    /// The dump that the subcommand opens, and whether it writes text for people to standard output.
    pub(super) fn dump(&mut self) -> Option<(&mut DumpArgs, bool)> {
        Some(match self {
            Command::Info(args) => (&mut args.dump, args.format == TextOrJson::Text),
            Command::Kd(args) => (&mut args.dump, true),
            Command::Settings(args) | Command::Drivers(args) => {
                (&mut args.dump, args.format == Format::Text)
            }
            Command::Pool(args) => (&mut args.dump, args.format == Format::Text),
            Command::Log(args) => (&mut args.dump, args.format == Format::Text),
            Command::Deadlock(args) => (&mut args.dump, args.format == DeadlockFormat::Text),
            Command::History(args) => (&mut args.dump, args.format == Format::Text),
            Command::Leaks(args) => (&mut args.dump, matches!(args.format, LeaksFormat::Text)),
            Command::Diff(args) => (&mut args.new, matches!(args.format, DiffFormat::Text)),
            Command::Flamegraph(args) => (&mut args.dump, false),
            Command::Report(args) => (&mut args.dump, false),
            Command::Flags(_) | Command::Demo(_) => return None,
        })
    }
}

impl DumpArgs {
    /// The symbol path of the arguments or the environment.
    fn symbol_path(&self) -> Result<SymbolPath, Error> {
        if self.symbols.is_empty() {
            return Ok(SymbolPath::from_env()?);
        }
        let mut path = SymbolPath::new();
        for element in &self.symbols {
            path.push_os(element)?;
        }
        Ok(path)
    }

    /// Opens the dump, unless what is to be written is one of the files that are read, or, without `force`,
    /// not an output of that kind.
    pub(super) fn open_for(
        &self,
        output: &Path,
        kind: OutputKind,
        force: bool,
    ) -> Result<Session, Error> {
        if !is_stdout(output) {
            Inputs::new(Some(&self.dump), &self.symbol_path()?).spare(output)?;
            if !force {
                may_replace(output, kind)?;
            }
        }
        self.open()
    }

    /// Opens the dump, and says first of all if the file was cut short.
    pub(super) fn open(&self) -> Result<Session, Error> {
        let path = self.symbol_path()?;
        let mut options = SessionOptions::default();
        options.mode = if self.no_mmap { FileMode::Read } else { FileMode::Map };
        options.raw = self.raw;
        options.directory_table_base = self.dtb.map(|dtb| Pa(dtb.0));
        options.progress = on_stderr();
        let session = Session::open_with(&self.dump, path, options)?;
        if let Some(line) = session.truncation() {
            match self.is_text {
                true => say_first(&line),
                false => complain(&format!("warning: {line}")),
            }
        }
        Ok(session)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    Text,
    Json,
    Csv,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum TextOrJson {
    Text,
    Json,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum StyleArg {
    Win7,
    Modern,
}

impl From<StyleArg> for Style {
    fn from(style: StyleArg) -> Self {
        match style {
            StyleArg::Win7 => Style::Win7,
            StyleArg::Modern => Style::Modern,
        }
    }
}

#[derive(Args)]
pub(super) struct InfoArgs {
    #[command(flatten)]
    pub(super) dump: DumpArgs,
    /// How the result is written
    #[arg(long, value_enum, default_value = "text")]
    pub(super) format: TextOrJson,
}

#[derive(Args)]
pub(super) struct ViewArgs {
    #[command(flatten)]
    pub(super) dump: DumpArgs,
    /// How the result is written
    #[arg(long, value_enum, default_value = "text")]
    pub(super) format: Format,
}

#[derive(Args)]
pub(super) struct KdArgs {
    #[command(flatten)]
    pub(super) dump: DumpArgs,
    /// A command, '!verifier 3 myfault.sys'; may be given several times
    #[arg(short, long, value_name = "COMMAND", required = true)]
    pub(super) command: Vec<String>,
    /// Which debugger's text
    #[arg(long, value_enum, default_value = "modern")]
    pub(super) style: StyleArg,
}

#[derive(Args)]
pub(super) struct PoolArgs {
    #[command(flatten)]
    pub(super) dump: DumpArgs,
    /// Only this driver, by file name with or without extension
    #[arg(long, value_name = "NAME")]
    pub(super) driver: Option<String>,
    /// The stacks that the kernel keeps with its blocks, the most bytes first (20348 and 22000 on)
    #[arg(long)]
    pub(super) by_stack: bool,
    #[command(flatten)]
    pub(super) carve: CarveArgs,
    /// How the result is written
    #[arg(long, value_enum, default_value = "text")]
    pub(super) format: Format,
}

/// The names of all logs, each with what it holds.
fn log_kind() -> impl TypedValueParser<Value = LogKind> {
    let names = LogKind::all().map(|kind| PossibleValue::new(kind.name()).help(kind.holds()));
    PossibleValuesParser::new(names)
        .try_map(|name| LogKind::named(&name).ok_or("there is no log of that name"))
}

#[derive(Args)]
pub(super) struct LogArgs {
    /// Which log
    #[arg(value_parser = log_kind())]
    pub(super) kind: LogKind,
    #[command(flatten)]
    pub(super) dump: DumpArgs,
    /// Only the newest N records
    #[arg(long, value_name = "N")]
    pub(super) last: Option<usize>,
    /// Only records about this address: the block that holds it, or the IRP, thread or parameter that
    /// it is
    #[arg(long, value_name = "A", value_parser = parse_address)]
    pub(super) address: Option<Va>,
    #[command(flatten)]
    pub(super) carve: CarveArgs,
    /// How the result is written
    #[arg(long, value_enum, default_value = "text")]
    pub(super) format: Format,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum DeadlockFormat {
    Text,
    Json,
    /// The lock graph for Graphviz
    Dot,
}

#[derive(Args)]
pub(super) struct DeadlockArgs {
    #[command(flatten)]
    pub(super) dump: DumpArgs,
    /// How the result is written
    #[arg(long, value_enum, default_value = "text")]
    pub(super) format: DeadlockFormat,
}

#[derive(Args)]
pub(super) struct CarveArgs {
    /// Search all of memory for the data by what they are, instead of following lists
    #[arg(long)]
    carve: bool,
    /// Search only these virtual addresses, START-END
    #[arg(long, value_name = "START-END", value_parser = parse_range)]
    pub(super) range: Option<Range<Va>>,
}

impl CarveArgs {
    pub(super) fn is_asked_for(&self) -> bool {
        self.carve || self.range.is_some()
    }
}

#[derive(Args)]
pub(super) struct HistoryArgs {
    #[command(flatten)]
    pub(super) dump: DumpArgs,
    /// The address
    #[arg(long, value_name = "A", value_parser = parse_address)]
    pub(super) address: Va,
    /// How the result is written
    #[arg(long, value_enum, default_value = "text")]
    pub(super) format: Format,
}

#[derive(Args)]
#[command(group(clap::ArgGroup::new("what").required(true).args(["level", "names"])))]
pub(super) struct FlagsArgs {
    /// A level as `verifier /flags` takes it: 8, 0x9bb
    #[arg(value_parser = parse_level)]
    pub(super) level: Option<u32>,
    /// Names of flags, separated by commas: 'special pool,pool-tracking'
    #[arg(long, value_name = "NAMES", value_delimiter = ',', num_args = 1..)]
    pub(super) names: Vec<String>,
    /// A driver to list below; may be given several times
    #[arg(long, value_name = "NAME")]
    pub(super) driver: Vec<String>,
    /// How the result is written
    #[arg(long, value_enum, default_value = "text")]
    pub(super) format: TextOrJson,
}

#[derive(Args)]
pub(super) struct DemoArgs {
    /// Keep the sample in this folder
    #[arg(short, long, value_name = "DIR")]
    pub(super) output: Option<PathBuf>,
    /// Which debugger's text
    #[arg(long, value_enum, default_value = "win7")]
    pub(super) style: StyleArg,
}

/// An address as people paste it: hexadecimal, with or without 0x or a backtick in its middle.
fn parse_address(text: &str) -> Result<Va, String> {
    let plain: String = text.trim().chars().filter(|&c| c != '`').collect();
    let digits = plain.strip_prefix("0x").or_else(|| plain.strip_prefix("0X")).unwrap_or(&plain);
    u64::from_str_radix(digits, 16)
        .map(Va)
        .map_err(|_| format!("{text:?} is no hexadecimal address"))
}

/// Two addresses with a hyphen between, the second behind the first.
fn parse_range(text: &str) -> Result<Range<Va>, String> {
    let (start, end) = text.split_once('-').ok_or_else(|| format!("{text:?} is no START-END"))?;
    let range = parse_address(start)?..parse_address(end)?;
    if range.start >= range.end {
        return Err(format!("{text:?} ends before it starts"));
    }
    Ok(range)
}

/// A level as `verifier.exe` takes it: decimal, or hexadecimal after 0x.
fn parse_level(text: &str) -> Result<u32, String> {
    match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(hex) => u32::from_str_radix(hex, 16),
        None => text.parse(),
    }
    .map_err(|_| format!("{text:?} is no level: decimal, or hexadecimal after 0x"))
}
