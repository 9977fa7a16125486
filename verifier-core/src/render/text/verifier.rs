//! `!verifier` with flags 0, 1 and 2: settings, statistics, drivers, outstanding allocations.

use std::io;

use super::lines::sanitize;
use super::{Style, digits, write_flag_list};
use crate::addr::Va;
use crate::machine::Machine;
use crate::render::Names;
use crate::verifier::{Allocation, Counters, Driver, DriverPool, DriverState, Settings};

/// Level and statistics, which `!verifier` prints with any flags.
///
/// # Errors
/// Those of the writer.
pub fn write_summary(
    out: &mut dyn io::Write,
    settings: &Settings,
    build: u32,
    style: Style,
) -> io::Result<()> {
    let value = |name: &str| settings.statistics.get(name).unwrap_or(0);
    // Indent of every line, and the column of the first four values.
    let (indent, short) = match style {
        Style::Win7 => ("", 39),
        Style::Modern => ("  ", 21),
    };
    write_flag_list(out, settings.level, build, style)?;
    if style == Style::Modern {
        writeln!(out)?;
    }
    writeln!(out, "\nSummary of All Verifier Statistics\n")?;
    for (label, name) in [
        ("RaiseIrqls", "RaiseIrqls"),
        ("AcquireSpinLocks", "AcquireSpinLocks"),
        ("Synch Executions", "SynchronizeExecutions"),
        ("Trims", "Trims"),
    ] {
        writeln!(out, "{indent}{label:short$}{:#x}", value(name))?;
    }
    writeln!(out)?;
    for (label, name) in [
        ("Pool Allocations Attempted", "AllocationsAttempted"),
        ("Pool Allocations Succeeded", "AllocationsSucceeded"),
        ("Pool Allocations Succeeded SpecialPool", "AllocationsSucceededSpecialPool"),
        ("Pool Allocations With NO TAG", "AllocationsWithNoTag"),
        ("Pool Allocations Failed", "AllocationsFailed"),
    ] {
        writeln!(out, "{indent}{label:39}{:#x}", value(name))?;
    }
    if style == Style::Win7 {
        let failed = value("AllocationsFailedDeliberately");
        writeln!(out, "Resource Allocations Failed Deliberately   {failed:#x}")?;
    }
    writeln!(out)?;
    for (label, count, bytes) in [
        ("Current paged pool allocations", "CurrentPagedPoolAllocations", "PagedBytes"),
        ("Peak paged pool allocations", "PeakPagedPoolAllocations", "PeakPagedBytes"),
        ("Current nonpaged pool allocations", "CurrentNonPagedPoolAllocations", "NonPagedBytes"),
        ("Peak nonpaged pool allocations", "PeakNonPagedPoolAllocations", "PeakNonPagedBytes"),
    ] {
        let (count, bytes) = (value(count), value(bytes));
        writeln!(out, "{indent}{label:39}{count:#x} for {bytes:08X} bytes")?;
    }
    writeln!(out)
}

/// The word for a driver's state. `Loaded` and `Loaded and Unloaded` are from transcripts; no transcript shows
/// the other two.
fn state(driver: &Driver, style: Style) -> &'static str {
    match (style, driver.images.is_empty(), driver.state()) {
        (Style::Modern, false, _) if driver.unloads > 0 => "Loaded and Unloaded",
        (_, _, DriverState::Loaded) => "Loaded",
        (_, _, DriverState::Unloaded) => "Unloaded",
        (_, _, DriverState::NeverLoaded) => "Never Loaded",
    }
}

/// The drivers; with flag 2, also the counters and outstanding allocations of each.
///
/// # Errors
/// Those of the writer.
pub fn write_driver_list(
    out: &mut dyn io::Write,
    drivers: &[DriverPool],
    names: &Names<'_>,
    with_allocations: bool,
    style: Style,
) -> io::Result<()> {
    let machine = names.kernel().space().machine();
    match style {
        Style::Win7 => {
            writeln!(out, "Driver Verification List\n")?;
            writeln!(out, "Entry     State           NonPagedPool   PagedPool   Module")?;
            for pool in drivers {
                write_win7(out, pool, machine, with_allocations)?;
            }
        }
        Style::Modern => {
            writeln!(out, "Driver Verification List")?;
            writeln!(out, "------------------------\n")?;
            for pool in drivers {
                write_modern(out, pool, names, machine, with_allocations)?;
            }
        }
    }
    Ok(())
}

/// Pairs of nonpaged and paged counters.
const PAIRS: [(&str, &str, &str); 4] = [
    ("Current Pool Allocations", "CurrentNonPagedPoolAllocations", "CurrentPagedPoolAllocations"),
    ("Current Pool Bytes", "NonPagedBytes", "PagedBytes"),
    ("Peak Pool Allocations", "PeakNonPagedPoolAllocations", "PeakPagedPoolAllocations"),
    ("Peak Pool Bytes", "PeakNonPagedBytes", "PeakPagedBytes"),
];

fn value(counters: &Counters, name: &str) -> u64 {
    counters.get(name).unwrap_or(0)
}

fn write_win7(
    out: &mut dyn io::Write,
    pool: &DriverPool,
    machine: Machine,
    with_allocations: bool,
) -> io::Result<()> {
    let driver = &pool.driver;
    let counters = driver.counters();
    writeln!(
        out,
        "\n{} {:16} {:08x}       {:08x}    {}",
        digits(driver.suspect_entry.unwrap_or(Va(0)), machine),
        state(driver, Style::Win7),
        value(&counters, "NonPagedBytes"),
        value(&counters, "PagedBytes"),
        sanitize(&driver.name),
    )?;
    if !with_allocations || driver.images.is_empty() {
        return Ok(());
    }
    writeln!(out)?;
    for (label, nonpaged, paged) in PAIRS {
        let (nonpaged, paged) = (value(&counters, nonpaged), value(&counters, paged));
        writeln!(out, "{label:26}{nonpaged:08x}    {paged:08x}")?;
    }
    if pool.allocations.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nPoolAddress  SizeInBytes    Tag       CallersAddress")?;
    for allocation in &pool.allocations {
        writeln!(
            out,
            "{}     {:#010x}     {:4}      {}",
            digits(allocation.address, machine),
            allocation.size,
            allocation.tag,
            digits(allocation.caller, machine),
        )?;
    }
    Ok(())
}

/// A section for each image of the driver: each has a `_VF_TARGET_DRIVER` with its own counters.
fn write_modern(
    out: &mut dyn io::Write,
    pool: &DriverPool,
    names: &Names<'_>,
    machine: Machine,
    with_allocations: bool,
) -> io::Result<()> {
    let driver = &pool.driver;
    let hex = |va: Va| format!("0x{}", digits(va, machine));
    let state = state(driver, Style::Modern);
    let name = sanitize(&driver.name);
    if driver.images.is_empty() {
        // Ours: a driver that is not in memory has no _VF_TARGET_DRIVER.
        let entry = driver.suspect_entry.unwrap_or(Va(0));
        writeln!(out, "nt!_VF_SUSPECT_DRIVER_ENTRY {}: {name} ({state})\n", hex(entry))?;
    }
    for (index, image) in driver.images.iter().enumerate() {
        let (what, at) = if !image.address.is_null() {
            ("_VF_TARGET_DRIVER", image.address)
        // Ours: the tree no longer has the driver, only its data remains. Before Windows 7 entry and data
        // are one.
        } else if driver.suspect_entry == Some(image.verified_data) {
            ("_MI_VERIFIER_DRIVER_ENTRY", image.verified_data)
        } else {
            ("_VF_TARGET_VERIFIED_DRIVER_DATA", image.verified_data)
        };
        writeln!(out, "nt!{what} {}: {name} ({state})\n", hex(at))?;
        write_counters(out, &image.counters)?;
        if with_allocations {
            write_allocations(out, pool.allocations_of(index), names, machine)?;
        }
    }
    Ok(())
}

fn write_counters(out: &mut dyn io::Write, counters: &Counters) -> io::Result<()> {
    writeln!(out, "    Pool Allocation Statistics: ( NonPagedPool / PagedPool )\n")?;
    for (label, nonpaged, paged) in PAIRS {
        let (nonpaged, paged) = (value(counters, nonpaged), value(counters, paged));
        writeln!(out, "      {:26}( {nonpaged:#010x} / {paged:#010x} )", format!("{label}:"))?;
    }
    let contiguous = value(counters, "ContiguousMemoryBytes");
    let peak = value(counters, "PeakContiguousMemoryBytes");
    writeln!(out, "      Contiguous Memory Bytes:       {contiguous:#010x}")?;
    writeln!(out, "      Peak Contiguous Memory Bytes:  {peak:#010x}\n")
}

fn write_allocations<'a>(
    out: &mut dyn io::Write,
    allocations: impl Iterator<Item = &'a Allocation>,
    names: &Names<'_>,
    machine: Machine,
) -> io::Result<()> {
    let hex = |va: Va| format!("0x{}", digits(va, machine));
    let mut allocations = allocations.peekable();
    if allocations.peek().is_some() {
        let (width, caller) = match machine {
            Machine::X86 => (10, "Caller"),
            Machine::X64 | Machine::Arm64 => (18, "Caller Address"),
        };
        let line = "-".repeat(width);
        writeln!(out, "    Pool Allocations:\n")?;
        writeln!(out, "      {:width$}  Length      Tag   {caller:width$}", "Address")?;
        writeln!(out, "      {line}  ----------  ----  {line}")?;
        for allocation in allocations {
            write!(
                out,
                "      {}  {:#010x}  {:4}  {}",
                hex(allocation.address),
                allocation.size,
                allocation.tag,
                hex(allocation.caller),
            )?;
            match names.get(allocation.caller) {
                Some(symbol) => writeln!(out, "  {}", sanitize(&symbol))?,
                None => writeln!(out)?,
            }
        }
        writeln!(out)?;
    }
    writeln!(out, "    Contiguous allocations are not displayed with public symbols.\n")
}
