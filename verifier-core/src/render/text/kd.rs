//! `lm`, `.bugcheck` and `!ruleinfo`.

use std::io;

use super::lines::sanitize;
use super::views::info::parameter_line;
use super::{digits, ticked};
use crate::addr::Va;
use crate::kernel::{Kernel, SymbolSource};
use crate::machine::Machine;
use crate::render::info::BugCheckInfo;
use crate::verifier::Rule;

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

/// `.bugcheck`. The meaning of one of Verifier's bug checks, what is known of its parameters, the condition that
/// was violated and the culprit are our additions, in the layout of `!analyze`.
///
/// # Errors
/// Those of the writer.
pub fn write_bug_check(
    out: &mut dyn io::Write,
    bug_check: &BugCheckInfo,
    machine: Machine,
) -> io::Result<()> {
    let BugCheckInfo { code, parameters, name, meaning, facts, .. } = bug_check;
    writeln!(out, "Bugcheck code {code:08X}")?;
    let arguments = parameters.map(|parameter| ticked(parameter.0, machine));
    writeln!(out, "Arguments {}", arguments.join(" "))?;
    if let (Some(name), Some(meaning)) = (name, meaning) {
        writeln!(out, "\n{name} ({code:x})\n{meaning}.\nArguments:")?;
        for (fact, &value) in facts.iter().zip(parameters) {
            let line = parameter_line(fact);
            let number = fact.fact().number;
            writeln!(out, "Arg{number}: {}, {}", digits(value, machine), sanitize(&line))?;
        }
    } else if bug_check.culprit.is_none() {
        return Ok(());
    }
    if let Some(text) = &bug_check.violated_condition {
        writeln!(out, "\nDV_VIOLATED_CONDITION:  {}", sanitize(text))?;
    }
    match bug_check.verdict() {
        Some(verdict) => writeln!(out, "\nCULPRIT:  {}.", sanitize(&verdict)),
        None => Ok(()),
    }
}

/// `!ruleinfo`, in the debugger's layout. What the rule's state holds is known to the debugger's extension only;
/// the text of the violated condition is our addition.
///
/// # Errors
/// Those of the writer.
pub fn write_rule_info(
    out: &mut dyn io::Write,
    rule: Rule,
    condition: Option<&str>,
    states: &[Va],
) -> io::Result<()> {
    writeln!(out, "\nRULE_ID: {:#x}\n\nRULE_NAME: {}", rule.id, rule.name)?;
    writeln!(out, "\nRULE_DESCRIPTION: {}.", rule.condition)?;
    if let Some(page) = rule.page() {
        writeln!(out, "\nMSDN_LINK: {page}")?;
    }
    if let Some(text) = condition {
        writeln!(out, "\nVIOLATED_CONDITION: {}", sanitize(text))?;
    }
    for (name, state) in ["RULE_STATE", "SUB_STATE"].iter().zip(states) {
        writeln!(out, "\n{name}: {state}")?;
    }
    Ok(())
}
