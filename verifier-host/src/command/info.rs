//! `verifier info`: what the dump is and what can be read from it, as text.

use std::io::{self, Write as _};

use verifier_core::Completeness;
use verifier_core::render::text::{sanitize, write_extent};
use verifier_core::render::write_json;
use verifier_host::Error;
use verifier_host::info::{BugCheckInfo, Info, UnloadLeakInfo, VerifierInfo};

use super::args::{InfoArgs, TextOrJson};
use super::output::{complain_problems, stdout};

pub(super) fn run(args: &InfoArgs) -> Result<(), Error> {
    let session = args.dump.open()?;
    session.load_all_symbols();
    let info = Info::gather(&session);
    let mut out = stdout();
    match args.format {
        TextOrJson::Json => write_json(&mut out, &info)?,
        TextOrJson::Text => {
            write_extent(&mut out, &Completeness::of(&info.problems))?;
            write(&info, &mut out)?;
            complain_problems(&info.problems);
        }
    }
    Ok(out.flush()?)
}

fn write(info: &Info, out: &mut dyn io::Write) -> io::Result<()> {
    let mut line = |label: &str, value: &str| writeln!(out, "{label:16}{}", sanitize(value));
    if let Some(file) = &info.file {
        line("File", &format!("{}, {} bytes", file.path.display(), file.file_size))?;
        line("Kind", &file.kind_name)?;
    }
    let checked = match &info.file {
        Some(file) if file.header.as_ref().is_some_and(|header| !header.free_build) => " (checked)",
        _ => "",
    };
    let build = info.build.map_or_else(|| "unknown".into(), |build| build.to_string());
    let told = match info.header_build {
        Some(told) if Some(told) != info.build => format!(" (the dump's header says {told})"),
        _ => String::new(),
    };
    line("Windows build", &format!("{build}{checked}, {}{told}", info.machine))?;
    if let Some(lab) = info.kernel.as_ref().and_then(|kernel| kernel.build_lab.as_ref()) {
        line("Build lab", lab)?;
    }
    if let Some(header) = info.file.as_ref().and_then(|file| file.header.as_ref()) {
        if let Some(processors) = header.processors {
            line("Processors", &processors.to_string())?;
        }
        if let Some(time) = &header.system_time {
            line("Crash time", time)?;
        }
        if let Some(seconds) = header.up_time_seconds {
            let (h, m, s) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
            line("Up time", &format!("{h}:{m:02}:{s:02}"))?;
        }
        let parameters = header.bug_check.parameters.map(|va| va.to_string()).join(", ");
        line("Bug check", &format!("{:#x} ({parameters})", header.bug_check.code))?;
        let BugCheckInfo { name, meaning, parameter_names, parameters, .. } = &header.bug_check;
        if let (Some(name), Some(meaning), Some(names)) = (name, meaning, parameter_names) {
            line("", &format!("{name}: {meaning}"))?;
            for (i, (name, value)) in names.iter().zip(parameters).enumerate() {
                line("", &format!("  {}  {value}  {name}", i + 1))?;
            }
            if let Some(driver) = &header.bug_check.driver {
                line("", &format!("  driver {driver}"))?;
            }
            if let Some(condition) = &header.bug_check.violated_condition {
                line("", &format!("  violated condition: {condition}"))?;
            }
        }
        if let Some(comment) = &header.comment {
            line("Comment", comment)?;
        }
    }
    if let Some(tables) = &info.page_tables {
        let paging = info.paging.as_ref().map(|paging| format!("{paging}; ")).unwrap_or_default();
        line("Page tables", &format!("{} ({paging}{})", tables.base, tables.from))?;
    }
    if let Some(pages) = info.file.as_ref().and_then(|file| file.pages) {
        line("Pages", &format!("{pages} ({} MiB)", pages / 256))?;
    }
    if let Some(small) = &info.small_dump {
        let end = if small.is_complete { "" } else { ", not written to its end" };
        line("Memory", &format!("{} blocks, {} bytes{end}", small.blocks, small.bytes))?;
        if let (Some(at), Some(bytes)) = (small.call_stack, small.call_stack_bytes) {
            line("Crashed stack", &format!("{at}, {bytes} bytes"))?;
        }
        line("Not in it", small.remark)?;
    }
    if let Some(kernel) = &info.kernel {
        line("Kernel base", &kernel.base.to_string())?;
        let data = &kernel.debugger_data;
        let data = match (data.address, &data.remark) {
            (Some(at), Some(remark)) => format!("{at} ({remark})"),
            (Some(at), None) => at.to_string(),
            (None, remark) => remark.clone().unwrap_or_default(),
        };
        line("Debugger data", &data)?;
        line("Types", kernel.types.as_deref().unwrap_or("none: the kernel's symbols are missing"))?;
        let named = kernel.modules.iter().filter(|module| module.missing.is_none()).count();
        line(
            "Modules",
            &format!(
                "{} loaded ({}), {named} with symbols; {} unloaded",
                kernel.modules.len(),
                kernel.modules_from,
                kernel.unloaded_modules.len()
            ),
        )?;
    }
    if let Some(verifier) = &info.verifier {
        line("Verifier", &verifier_line(verifier))?;
    }
    let Some(kernel) = &info.kernel else { return Ok(()) };
    if let Some(verifier) = &info.verifier {
        writeln!(out, "\nVerifier's globals")?;
        for global in &verifier.globals {
            let at = global.address.map(|at| at.to_string()).unwrap_or_default();
            writeln!(out, "  {at:18} {:24} {}", global.name, global.from)?;
        }
    }
    writeln!(out, "\nModules")?;
    for module in &kernel.modules {
        let symbols = match (&module.symbols, &module.missing) {
            (Some(from), None) => format!("{} names, {from}", module.symbol_count),
            (Some(from), Some(_)) => format!("{} names, {from} only", module.symbol_count),
            (None, _) => "no symbols".into(),
        };
        writeln!(
            out,
            "  {:18} {:>10}  {:24} {}",
            module.base.to_string(),
            format!("{:#x}", module.size),
            sanitize(&module.name),
            sanitize(&symbols)
        )?;
    }
    for module in &kernel.unloaded_modules {
        writeln!(
            out,
            "  {:18} {:>10}  {:24} unloaded",
            module.start.to_string(),
            format!("{:#x}", module.end.0.wrapping_sub(module.start.0)),
            sanitize(&module.name)
        )?;
    }
    let missing: Vec<&str> =
        kernel.modules.iter().filter_map(|module| module.missing.as_deref()).collect();
    if !missing.is_empty() {
        writeln!(out, "\nSymbols that would help")?;
        for text in missing {
            writeln!(out, "  {}", sanitize(text))?;
        }
    }
    match &info.unload_leak {
        Some(leak) => write_leak(leak, out),
        None => Ok(()),
    }
}

/// The blocks that the bug check is about: what the dump was taken for.
fn write_leak(leak: &UnloadLeakInfo, out: &mut dyn io::Write) -> io::Result<()> {
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
