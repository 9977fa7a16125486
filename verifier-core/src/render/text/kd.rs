//! `lm` and `.bugcheck`.

use std::io;

use super::lines::sanitize;
use super::{digits, ticked};
use crate::addr::Va;
use crate::dump::BugCheck;
use crate::kernel::{Kernel, SymbolSource};
use crate::machine::Machine;
use crate::verifier::explain_bug_check;

/// `lm`: loaded modules by address, then unloaded ones.
///
/// # Errors
/// Those of the writer.
pub fn write_modules(out: &mut dyn io::Write, kernel: &Kernel) -> io::Result<()> {
    let machine = kernel.space().machine();
    match machine {
        Machine::X86 => writeln!(out, "start    end        module name")?,
        _ => writeln!(out, "start             end                 module name")?,
    }
    let mut modules: Vec<_> = kernel.modules().loaded().iter().enumerate().collect();
    modules.sort_by_key(|(_, module)| module.base);
    for (index, module) in modules {
        let symbols = match kernel.symbol_source(index) {
            Some((SymbolSource::Pdb, _)) => "(pdb symbols)",
            Some((SymbolSource::Isf, _)) => "(isf symbols)",
            Some((SymbolSource::Table, _)) => "(table symbols)",
            Some((SymbolSource::Exports, _)) => "(export symbols)",
            None => "(no symbols)",
        };
        writeln!(
            out,
            "{} {}   {:10} {symbols:22} {}",
            ticked(module.base.0, machine),
            ticked(module.base.0.wrapping_add(module.size.into()), machine),
            sanitize(&module.short_name),
            sanitize(&module.name),
        )?;
    }
    if !kernel.modules().unloaded().is_empty() {
        writeln!(out, "\nUnloaded modules:")?;
        for module in kernel.modules().unloaded() {
            writeln!(
                out,
                "{} {}   {}",
                ticked(module.start.0, machine),
                ticked(module.end.0, machine),
                sanitize(&module.name),
            )?;
        }
    }
    Ok(())
}

/// `.bugcheck`. The meaning of one of Verifier's bug checks and the condition that was violated
/// ([`violated_condition`](crate::verifier::violated_condition)) are our additions, in the layout of `!analyze`.
///
/// # Errors
/// Those of the writer.
pub fn write_bug_check(
    out: &mut dyn io::Write,
    bug_check: &BugCheck,
    condition: Option<&str>,
    machine: Machine,
) -> io::Result<()> {
    writeln!(out, "Bugcheck code {:08X}", bug_check.code)?;
    let arguments = bug_check.parameters.map(|parameter| ticked(parameter, machine));
    writeln!(out, "Arguments {}", arguments.join(" "))?;
    let Some(said) = explain_bug_check(bug_check) else { return Ok(()) };
    writeln!(out, "\n{} ({:x})\n{}.\nArguments:", said.name, bug_check.code, said.meaning)?;
    for (i, (&value, what)) in bug_check.parameters.iter().zip(said.labels()).enumerate() {
        writeln!(out, "Arg{}: {}, {what}", i + 1, digits(Va(value), machine))?;
    }
    match condition {
        Some(text) => writeln!(out, "\nDV_VIOLATED_CONDITION:  {}", sanitize(text)),
        None => Ok(()),
    }
}
