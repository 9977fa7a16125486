//! What a dump is and what can be read from it.

use std::io;

use crate::completeness::Completeness;
use crate::render::info::{
    BugCheckInfo, HeaderInfo, Info, KernelInfo, ModuleInfo, ParameterRow, UnloadLeakInfo,
    VerifierInfo,
};
use crate::render::text::{sanitize, up_time_text, write_extent};
use crate::verifier::ParameterKind;

/// Writes facts about the dump and the kernel, Verifier's globals, the modules, the symbols that would
/// help, and the blocks that the bug check is about.
///
/// # Errors
/// Those of the writer.
pub fn write_info_text(out: &mut dyn io::Write, info: &Info) -> io::Result<()> {
    write_extent(out, &Completeness::of(&info.problems))?;
    for (label, value) in Facts::of(info).0 {
        writeln!(out, "{label:16}{}", sanitize(&value))?;
    }
    let Some(kernel) = &info.kernel else { return Ok(()) };
    if let Some(verifier) = &info.verifier {
        writeln!(out, "\nVerifier's globals")?;
        for global in &verifier.globals {
            let at = global.address.map(|at| at.to_string()).unwrap_or_default();
            writeln!(out, "  {at:18} {:24} {}", global.name, global.from)?;
        }
    }
    write_modules(out, kernel)?;
    match &info.unload_leak {
        Some(leak) => write_leak(out, leak),
        None => Ok(()),
    }
}

/// Facts in the order of their lines: a label, or none for a line that belongs to the one before, and a
/// value.
struct Facts(Vec<(&'static str, String)>);

impl Facts {
    fn of(info: &Info) -> Self {
        let mut facts = Self(Vec::new());
        // The reason for the dump comes first.
        if let Some(bug_check) = &info.bug_check {
            facts.bug_check(bug_check);
        }
        facts.file(info);
        let header = info.file.as_ref().and_then(|file| file.header.as_ref());
        facts.add("Comment", header.and_then(|header| header.comment.clone()));
        facts.memory(info);
        if let Some(kernel) = &info.kernel {
            facts.kernel(kernel);
        }
        facts.add("Verifier", info.verifier.as_ref().map(verifier_line));
        facts
    }

    fn add(&mut self, label: &'static str, value: impl Into<Option<String>>) {
        self.0.extend(value.into().map(|value| (label, value)));
    }

    fn file(&mut self, info: &Info) {
        if let Some(file) = &info.file {
            self.add("File", format!("{}, {} bytes", file.path.display(), file.file_size));
            self.add("Kind", file.kind_name.clone());
        }
        let header = info.file.as_ref().and_then(|file| file.header.as_ref());
        let is_checked = header.is_some_and(|header| !header.free_build);
        let checked = if is_checked { " (checked)" } else { "" };
        let build = info.build.map_or_else(|| "unknown".into(), |build| build.to_string());
        let stated = match info.header_build {
            Some(stated) if Some(stated) != info.build => {
                format!(" (the dump's header says {stated})")
            }
            _ => String::new(),
        };
        self.add("Windows build", format!("{build}{checked}, {}{stated}", info.machine));
        self.add("Build lab", info.kernel.as_ref().and_then(|kernel| kernel.build_lab.clone()));
        if let Some(header) = header {
            self.times(header);
        }
    }

    fn times(&mut self, header: &HeaderInfo) {
        self.add("Processors", header.processors.map(|processors| processors.to_string()));
        self.add("Crash time", header.system_time.clone());
        self.add("Up time", header.up_time_seconds.map(|seconds| up_time_text(seconds, 1)));
    }

    fn bug_check(&mut self, bug_check: &BugCheckInfo) {
        let BugCheckInfo { code, name, meaning, parameters, facts, .. } = bug_check;
        if *code == 0 {
            return self.add("Bug check", "none: the machine was running".to_owned());
        }
        let values = parameters.map(|va| va.to_string()).join(", ");
        self.add("Bug check", format!("{code:#x} ({values})"));
        let said = name.zip(meaning.as_ref());
        self.add("", said.map(|(name, meaning)| format!("{name}: {meaning}")));
        self.add("Culprit", bug_check.verdict());
        if said.is_some() {
            for (fact, value) in facts.iter().zip(parameters) {
                self.add(
                    "",
                    format!("  {}  {value}  {}", fact.fact().number, parameter_line(fact)),
                );
            }
        }
        self.add("", bug_check.driver.as_ref().map(|driver| format!("  driver {driver}")));
        let condition = bug_check.violated_condition.as_ref();
        self.add("", condition.map(|text| format!("  violated condition: {text}")));
    }

    fn memory(&mut self, info: &Info) {
        if let Some(tables) = &info.page_tables {
            let paging = info.paging.as_ref().map(|paging| format!("{paging}; "));
            let paging = paging.unwrap_or_default();
            self.add("Page tables", format!("{} ({paging}{})", tables.base, tables.from));
        }
        let pages = info.file.as_ref().and_then(|file| file.pages);
        self.add("Pages", pages.map(|pages| format!("{pages} ({} MiB)", pages / 256)));
        let Some(small) = &info.small_dump else { return };
        let end = if small.is_complete { "" } else { ", not written to its end" };
        self.add("Memory", format!("{} blocks, {} bytes{end}", small.blocks, small.bytes));
        if let (Some(at), Some(bytes)) = (small.call_stack, small.call_stack_bytes) {
            self.add("Crashed stack", format!("{at}, {bytes} bytes"));
        }
        self.add("Not in it", small.remark.to_owned());
    }

    fn kernel(&mut self, kernel: &KernelInfo) {
        self.add("Kernel base", kernel.base.to_string());
        let data = &kernel.debugger_data;
        let data = match (data.address, &data.remark) {
            (Some(at), Some(remark)) => format!("{at} ({remark})"),
            (Some(at), None) => at.to_string(),
            (None, remark) => remark.clone().unwrap_or_default(),
        };
        self.add("Debugger data", data);
        let none = || "none: the kernel's symbols are missing".to_owned();
        self.add("Types", kernel.types.clone().unwrap_or_else(none));
        let named = kernel.modules.iter().filter(|module| module.missing.is_none()).count();
        let modules = format!(
            "{} loaded ({}), {named} with symbols; {} unloaded",
            kernel.modules.len(),
            kernel.modules_from,
            kernel.unloaded_modules.len()
        );
        self.add("Modules", modules);
    }
}

/// What a parameter is, and what is known of it: "current IRQL: DISPATCH_LEVEL".
pub(in crate::render::text) fn parameter_line(row: &ParameterRow) -> String {
    let fact = row.fact();
    // The condition has a line of its own.
    let is_condition = fact.parameter.kind == ParameterKind::Text && row.text() == fact.text;
    let known = row.text().filter(|_| !is_condition);
    let unknown = fact.why_unknown.as_ref().map(|why| format!("unknown: {why}"));
    match known.or(unknown) {
        Some(text) => format!("{}: {text}", fact.parameter.label),
        None => fact.parameter.label.to_owned(),
    }
}

fn verifier_line(verifier: &VerifierInfo) -> String {
    let Some(level) = verifier.level else { return "its data could not be read".into() };
    let mut text = format!("level {level:#x}");
    if let (Some(drivers), Some(images)) = (verifier.drivers, verifier.verified_images) {
        text.push_str(&format!(", {drivers} drivers configured, {images} images verified"));
    }
    match (verifier.pool_log_empty_because, verifier.pool_log_capacity) {
        (Some(_), _) => text.push_str(", pool log off"),
        (None, Some(capacity)) => {
            text.push_str(&format!(", pool log of {capacity:#x} records"));
        }
        (None, None) => {}
    }
    text
}

fn write_modules(out: &mut dyn io::Write, kernel: &KernelInfo) -> io::Result<()> {
    writeln!(out, "\nModules")?;
    let mut row = |base: String, size: u64, name: &str, what: &str| {
        let (size, name) = (format!("{size:#x}"), sanitize(name));
        writeln!(out, "  {base:18} {size:>10}  {name:24} {}", sanitize(what))
    };
    for module in &kernel.modules {
        row(module.base.to_string(), module.size.into(), &module.name, &symbols_of(module))?;
    }
    for module in &kernel.unloaded_modules {
        let size = module.end.0.wrapping_sub(module.start.0);
        row(module.start.to_string(), size, &module.name, "unloaded")?;
    }
    let missing = || kernel.modules.iter().filter_map(|module| module.missing.as_deref());
    if missing().next().is_some() {
        writeln!(out, "\nSymbols that would help")?;
    }
    missing().try_for_each(|text| writeln!(out, "  {}", sanitize(text)))
}

fn symbols_of(module: &ModuleInfo) -> String {
    match (&module.symbols, &module.missing) {
        (Some(from), None) => format!("{} names, {from}", module.symbol_count),
        (Some(from), Some(_)) => format!("{} names, {from} only", module.symbol_count),
        (None, _) => "no symbols".into(),
    }
}

/// Writes the blocks that the bug check is about: the reason for the dump.
fn write_leak(out: &mut dyn io::Write, leak: &UnloadLeakInfo) -> io::Result<()> {
    let bytes = leak.allocations.iter().fold(0u64, |sum, block| sum.saturating_add(block.size));
    let blocks = match leak.allocations.len() {
        1 => "1 block".to_owned(),
        count => format!("{count} blocks"),
    };
    let driver = sanitize(&leak.driver);
    writeln!(out, "\nNot freed by {driver} when it was unloaded: {blocks}, {bytes} bytes")?;
    for block in &leak.allocations {
        let caller = block.caller_symbol.clone().unwrap_or_else(|| block.caller.to_string());
        writeln!(
            out,
            "  {:18} {:>12}  {:4}  {}",
            block.address.to_string(),
            block.size,
            block.tag,
            sanitize(&caller),
        )?;
    }
    Ok(())
}
