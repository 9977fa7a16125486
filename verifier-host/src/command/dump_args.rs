//! The arguments of each subcommand that opens a dump, and values of arguments.

use std::ffi::OsString;
use std::ops::Range;
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use verifier_core::render::text::Style;
use verifier_core::symbols::SourceRoots;
use verifier_core::{Pa, Va};
use verifier_host::symbols::SymbolPath;
use verifier_host::{Error, FileMode, Inputs, OutputKind, Session, SessionOptions};

use super::output::is_stdout;
use super::progress::on_stderr;

#[derive(Args)]
pub(super) struct DumpArgs {
    /// The crash dump, ELF core of a virtual machine, or (with --raw) memory image
    pub(super) dump: PathBuf,
    #[command(flatten)]
    pub(super) how: OpenArgs,
}

/// How a dump is opened.
#[derive(Args, Clone)]
pub(super) struct OpenArgs {
    /// Where symbols are: a folder, a symbol store, srv*cache*URL; can be given several times.
    /// The default is _NT_SYMBOL_PATH
    #[arg(long, value_name = "PATH")]
    symbols: Vec<OsString>,
    /// Read the file at each access instead of mapping it (network shares, files that still grow)
    #[arg(long)]
    no_mmap: bool,
    /// The file is physical memory from address 0 on, without a header
    #[arg(long)]
    raw: bool,
    /// Physical address of the top page table (CR3), instead of what the file says or a search finds
    #[arg(long, value_name = "ADDR", value_parser = parse_address)]
    dtb: Option<Va>,
    /// Where the source files are: paths in PDBs that begin with OLD get NEW instead; can be given several times
    #[arg(long, value_name = "OLD=NEW", value_parser = parse_source_root)]
    source_root: Vec<(String, String)>,
}

impl DumpArgs {
    /// The symbol path of the arguments or the environment.
    fn symbol_path(&self) -> Result<SymbolPath, Error> {
        if self.how.symbols.is_empty() {
            return Ok(SymbolPath::from_env()?);
        }
        let mut path = SymbolPath::new();
        for element in &self.how.symbols {
            path.push_os(element)?;
        }
        Ok(path)
    }

    /// The files that are read: no output may replace them.
    pub(super) fn inputs(&self) -> Result<Inputs, Error> {
        Ok(Inputs::new(Some(&self.dump), &self.symbol_path()?))
    }

    /// Checks that the output may be written, then opens the dump.
    pub(super) fn open_for(
        &self,
        output: &Path,
        kind: OutputKind,
        force: bool,
    ) -> Result<Session, Error> {
        self.check_output(output, kind, force)?;
        self.open()
    }

    /// Refuses an output that would replace the dump, a symbol file, or a file of another kind.
    pub(super) fn check_output(
        &self,
        output: &Path,
        kind: OutputKind,
        force: bool,
    ) -> Result<(), Error> {
        if is_stdout(output) {
            return Ok(());
        }
        self.inputs()?.check_output(output, kind, force)
    }

    /// Opens the dump.
    pub(super) fn open(&self) -> Result<Session, Error> {
        let path = self.symbol_path()?;
        let mut options = SessionOptions::default();
        options.mode = if self.how.no_mmap { FileMode::Read } else { FileMode::Map };
        options.raw = self.how.raw;
        options.directory_table_base = self.how.dtb.map(|dtb| Pa(dtb.0));
        options.source_roots = SourceRoots::new(self.how.source_root.iter().cloned());
        options.progress = on_stderr();
        Session::open_with(&self.dump, path, options)
    }
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
pub(super) struct CarveArgs {
    /// Search all of memory for the data by their form, instead of following lists
    #[arg(long)]
    carve: bool,
    /// Search only these virtual addresses, START-END
    #[arg(long, value_name = "START-END", value_parser = parse_range)]
    pub(super) range: Option<Range<Va>>,
}

impl CarveArgs {
    pub(super) fn is_requested(&self) -> bool {
        self.carve || self.range.is_some()
    }
}

/// Reads an address as people paste it: hexadecimal, with or without 0x or a backtick in its middle.
pub(super) fn parse_address(text: &str) -> Result<Va, String> {
    let plain: String = text.trim().chars().filter(|&c| c != '`').collect();
    let digits = plain.strip_prefix("0x").or_else(|| plain.strip_prefix("0X")).unwrap_or(&plain);
    u64::from_str_radix(digits, 16)
        .map(Va)
        .map_err(|_| format!("{text:?} is not a hexadecimal address"))
}

/// Reads the start of paths in PDBs and what replaces it.
fn parse_source_root(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((old, new)) if !old.is_empty() => Ok((old.into(), new.into())),
        _ => Err(format!("{text:?} is not OLD=NEW, such as C:\\build\\src=src")),
    }
}

/// Reads two addresses with a hyphen between them; the second must be higher.
fn parse_range(text: &str) -> Result<Range<Va>, String> {
    let (start, end) = text.split_once('-').ok_or_else(|| format!("{text:?} is not START-END"))?;
    let range = parse_address(start)?..parse_address(end)?;
    if range.start >= range.end {
        return Err(format!("{text:?} ends before it starts"));
    }
    Ok(range)
}
