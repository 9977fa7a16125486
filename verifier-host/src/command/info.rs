//! `verifier info`: what the dump is and what can be read from it.

use std::io::{self, Write as _};

use serde::Serialize;
use verifier_core::Problem;
use verifier_core::Va;
use verifier_core::dump::Header;
use verifier_core::kernel::Kernel;
use verifier_core::render::text::sanitize;
use verifier_core::render::write_json;
use verifier_core::verifier::log::PoolLog;
use verifier_core::verifier::{Drivers, Settings};

use super::args::{InfoArgs, TextOrJson};
use super::output::{complain_problems, stdout};
use crate::error::Error;
use crate::session::Session;

pub(super) fn run(args: &InfoArgs) -> Result<(), Error> {
    let session = args.dump.open()?;
    session.load_all_symbols();
    let info = Info::gather(&session);
    let mut out = stdout();
    match args.format {
        TextOrJson::Json => write_json(&mut out, &info)?,
        TextOrJson::Text => {
            info.write(&mut out)?;
            complain_problems(&info.problems);
        }
    }
    Ok(out.flush()?)
}

#[derive(Serialize)]
struct Info {
    path: String,
    file_size: u64,
    kind: u32,
    kind_name: String,
    machine: String,
    build: u32,
    free_build: bool,
    processors: Option<u32>,
    directory_table_base: String,
    paging: Option<String>,
    ps_loaded_module_list: Option<Va>,
    kd_debugger_data_block: Option<Va>,
    pages: Option<u64>,
    missing_at_end: Option<u64>,
    system_time: Option<String>,
    up_time_seconds: Option<u64>,
    comment: Option<String>,
    bug_check: BugCheckDoc,
    kernel: Option<KernelDoc>,
    verifier: Option<VerifierDoc>,
    problems: Vec<Problem>,
}

#[derive(Serialize)]
struct BugCheckDoc {
    code: u32,
    parameters: [Va; 4],
}

#[derive(Serialize)]
struct KernelDoc {
    base: Va,
    build_lab: Option<String>,
    debugger_data: String,
    types: Option<String>,
    modules: Vec<ModuleDoc>,
    unloaded_modules: Vec<UnloadedDoc>,
}

#[derive(Serialize)]
struct ModuleDoc {
    name: String,
    base: Va,
    size: u32,
    pdb: Option<PdbDoc>,
    symbols: Option<String>,
    symbol_count: usize,
    missing: Option<String>,
}

#[derive(Serialize)]
struct PdbDoc {
    name: String,
    guid: String,
    age: u32,
}

#[derive(Serialize)]
struct UnloadedDoc {
    name: String,
    start: Va,
    end: Va,
}

#[derive(Serialize)]
struct VerifierDoc {
    level: Option<u32>,
    drivers: Option<usize>,
    verified_images: Option<usize>,
    pool_log_capacity: Option<u32>,
    pool_log_written: Option<u32>,
    pool_log_empty_because: Option<&'static str>,
}

impl Info {
    fn gather(session: &Session) -> Self {
        let header = session.dump().header();
        let mut problems = Vec::new();
        let mut note = |what: &str, error: &Error| {
            let problem = match error {
                Error::Core(error) => Problem::from_error(what, error),
                other => Problem { what: what.into(), address: None, why: other.to_string() },
            };
            problems.push(problem);
        };
        let kernel = match session.kernel() {
            Ok(kernel) => Some(kernel),
            Err(error) => {
                note("kernel", &error);
                None
            }
        };
        let verifier = kernel.map(|kernel| {
            let mut part = |what: &str, error: verifier_core::Error| note(what, &error.into());
            let settings = Settings::read(kernel).map_err(|error| part("settings", error)).ok();
            // Without the kernel's symbols each view would say the same.
            let has_types = kernel.types().is_ok();
            let drivers = has_types
                .then(|| Drivers::read(kernel).map_err(|error| part("drivers", error)).ok())
                .flatten();
            let log = has_types
                .then(|| {
                    PoolLog::read(kernel, Some(0)).map_err(|error| part("pool log", error)).ok()
                })
                .flatten();
            VerifierDoc {
                level: settings.map(|settings| settings.level.0),
                drivers: drivers.as_ref().map(|drivers| drivers.drivers.len()),
                verified_images: drivers
                    .as_ref()
                    .map(|drivers| drivers.drivers.iter().map(|driver| driver.images.len()).sum()),
                pool_log_capacity: log.as_ref().map(|log| log.ring.length),
                pool_log_written: log.as_ref().map(|log| log.ring.index),
                pool_log_empty_because: log.and_then(|log| log.empty_because),
            }
        });
        let pages = session.dump().physical().ok().map(|physical| physical.map().page_count());
        let missing_at_end = header
            .expected_len()
            .and_then(|expected| expected.checked_sub(session.dump().file_len()))
            .filter(|&missing| missing > 0);
        if let Some(kernel) = kernel {
            problems.extend(kernel.problems().iter().cloned());
        }
        Self {
            path: session.path().display().to_string(),
            file_size: session.dump().file_len(),
            kind: header.kind.raw(),
            kind_name: header.kind.to_string(),
            machine: header.machine().map_or_else(
                || format!("{:#x}", header.machine_image_type),
                |machine| machine.to_string(),
            ),
            build: header.build,
            free_build: header.major_version == 15,
            processors: header.processors,
            directory_table_base: header.directory_table_base.to_string(),
            paging: kernel.and_then(|kernel| kernel.space().paging()).map(|mode| mode.to_string()),
            ps_loaded_module_list: header.ps_loaded_module_list,
            kd_debugger_data_block: header.kd_debugger_data_block,
            pages,
            missing_at_end,
            system_time: header.system_time.and_then(filetime),
            up_time_seconds: header.system_up_time.map(|time| time / 10_000_000),
            comment: header.comment.clone(),
            bug_check: BugCheckDoc {
                code: header.bug_check.code,
                parameters: header.bug_check.parameters.map(Va),
            },
            kernel: kernel.map(|kernel| KernelDoc::gather(kernel, session, header)),
            verifier,
            problems,
        }
    }

    fn write(&self, out: &mut dyn io::Write) -> io::Result<()> {
        let mut line = |label: &str, value: &str| writeln!(out, "{label:16}{}", sanitize(value));
        line("File", &format!("{}, {} bytes", self.path, self.file_size))?;
        line("Kind", &self.kind_name)?;
        let checked = if self.free_build { "" } else { " (checked)" };
        line("Windows build", &format!("{}{checked}, {}", self.build, self.machine))?;
        if let Some(lab) = self.kernel.as_ref().and_then(|kernel| kernel.build_lab.as_ref()) {
            line("Build lab", lab)?;
        }
        if let Some(processors) = self.processors {
            line("Processors", &processors.to_string())?;
        }
        if let Some(time) = &self.system_time {
            line("Crash time", time)?;
        }
        if let Some(seconds) = self.up_time_seconds {
            let (h, m, s) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
            line("Up time", &format!("{h}:{m:02}:{s:02}"))?;
        }
        let parameters = self.bug_check.parameters.map(|va| va.to_string()).join(", ");
        line("Bug check", &format!("{:#x} ({parameters})", self.bug_check.code))?;
        line(
            "Page tables",
            &match &self.paging {
                Some(paging) => format!("{} ({paging})", self.directory_table_base),
                None => self.directory_table_base.clone(),
            },
        )?;
        if let Some(pages) = self.pages {
            line("Pages", &format!("{pages} ({} MiB)", pages / 256))?;
        }
        if let Some(missing) = self.missing_at_end {
            line("Truncated", &format!("{missing} bytes are missing at the end of the file"))?;
        }
        if let Some(comment) = &self.comment {
            line("Comment", comment)?;
        }
        if let Some(kernel) = &self.kernel {
            line("Kernel base", &kernel.base.to_string())?;
            line("Debugger data", &kernel.debugger_data)?;
            line(
                "Types",
                kernel.types.as_deref().unwrap_or("none: the kernel's symbols are missing"),
            )?;
            let named = kernel.modules.iter().filter(|module| module.missing.is_none()).count();
            line(
                "Modules",
                &format!(
                    "{} loaded, {named} with symbols; {} unloaded",
                    kernel.modules.len(),
                    kernel.unloaded_modules.len()
                ),
            )?;
        }
        if let Some(verifier) = &self.verifier {
            line("Verifier", &verifier.line())?;
        }
        let Some(kernel) = &self.kernel else { return Ok(()) };
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
        Ok(())
    }
}

impl VerifierDoc {
    fn line(&self) -> String {
        let Some(level) = self.level else { return "its data could not be read".into() };
        let mut text = format!("level {level:#x}");
        if let (Some(drivers), Some(images)) = (self.drivers, self.verified_images) {
            text.push_str(&format!(", {drivers} drivers configured, {images} images verified"));
        }
        match (self.pool_log_empty_because, self.pool_log_capacity) {
            (Some(_), _) => text.push_str(", pool log off"),
            (None, Some(capacity)) => {
                text.push_str(&format!(", pool log of {capacity:#x} records"));
            }
            (None, None) => {}
        }
        text
    }
}

impl KernelDoc {
    fn gather(kernel: &Kernel, session: &Session, header: &Header) -> Self {
        let loads = session.symbol_loads();
        let modules = kernel
            .modules()
            .loaded()
            .iter()
            .enumerate()
            .map(|(index, module)| {
                let load = loads.iter().find(|load| load.wanted.module == index);
                let source = kernel.symbol_source(index);
                ModuleDoc {
                    name: module.name.clone(),
                    base: module.base,
                    size: module.size,
                    pdb: kernel.wanted(index).and_then(|wanted| wanted.pdb.ok()).map(|id| PdbDoc {
                        guid: id.guid_hex(),
                        age: id.age,
                        name: id.name,
                    }),
                    symbols: load
                        .and_then(|load| load.found.clone())
                        .or_else(|| source.map(|(source, _)| source.to_string())),
                    symbol_count: source.map_or(0, |(_, count)| count),
                    missing: load.and_then(crate::session::SymbolLoad::missing),
                }
            })
            .collect();
        let unloaded_modules = kernel
            .modules()
            .unloaded()
            .iter()
            .map(|module| UnloadedDoc {
                name: module.name.clone(),
                start: module.start,
                end: module.end,
            })
            .collect();
        let debugger_data = match kernel.debugger_data() {
            Ok(data) if data.was_encoded => format!("{} (was encoded)", data.address),
            Ok(data) if Some(data.address) != header.kd_debugger_data_block => {
                format!("{} (the header says another place)", data.address)
            }
            Ok(data) => data.address.to_string(),
            Err(error) => format!("not read: {error}"),
        };
        Self {
            base: kernel.base(),
            build_lab: build_lab(kernel),
            debugger_data,
            types: kernel.types().ok().map(|types| types.describe()),
            modules,
            unloaded_modules,
        }
    }
}

/// `NtBuildLab`: the kernel's own name for its build.
fn build_lab(kernel: &Kernel) -> Option<String> {
    let at = kernel.debugger_data().ok()?.nt_build_lab;
    let mut text = [0u8; 64];
    kernel.space().memory().read(at, &mut text).ok()?;
    let end = text.iter().position(|&byte| byte == 0)?;
    let text = std::str::from_utf8(text.get(..end)?).ok()?;
    (!text.is_empty()).then(|| text.to_string())
}

/// A `FILETIME` as a date in UTC.
pub(super) fn filetime(time: u64) -> Option<String> {
    // Days since 1601-01-01 to a civil date: eras of 400 years that start on March 1st.
    let seconds = time / 10_000_000;
    let days = i64::try_from(seconds / 86_400).ok()?;
    // 1601-01-01 is 584,694 days after 0000-03-01.
    let shifted = days + 584_694;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_index + 2) / 5 + 1;
    let month = if month_index < 10 { month_index + 3 } else { month_index - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let in_day = seconds % 86_400;
    let (h, m, s) = (in_day / 3600, in_day / 60 % 60, in_day % 60);
    (time != 0).then(|| format!("{year:04}-{month:02}-{day:02} {h:02}:{m:02}:{s:02} UTC"))
}

#[cfg(test)]
mod tests {
    use super::filetime;

    #[test]
    fn dates() {
        // 1970-01-01 is 11,644,473,600 seconds after 1601-01-01.
        let unix = |seconds: u64| filetime((seconds + 11_644_473_600) * 10_000_000);
        assert_eq!(unix(0).as_deref(), Some("1970-01-01 00:00:00 UTC"));
        assert_eq!(unix(951_782_399).as_deref(), Some("2000-02-28 23:59:59 UTC"));
        assert_eq!(unix(951_827_696).as_deref(), Some("2000-02-29 12:34:56 UTC"));
        assert_eq!(unix(1_609_459_200).as_deref(), Some("2021-01-01 00:00:00 UTC"));
        assert_eq!(filetime(0), None);
    }
}
