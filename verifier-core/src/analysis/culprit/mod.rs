//! What a bug check is about and which driver is to blame: each parameter by its kind, and one culprit with
//! the reason, or the reason why it is unknown.
//!
//! Verifier's bug checks name addresses: code, blocks of pool, IRPs, driver and device objects. Each is looked
//! up here in the modules, in Verifier's own data, or in the objects themselves. The culprit is the driver
//! that the strongest of them leads to; [`Evidence`] orders them. Names of code are not looked up: they depend
//! on symbols, which a caller can supply after the report was read, for the addresses that it has.

mod block;
mod fact;
mod lead;
mod object;
mod stack;

pub use block::{BlockFact, BlockState};
pub use fact::ParameterFact;
pub use lead::{CodeSite, LeadsBy};

use crate::addr::Va;
use crate::dump::BugCheck;
use crate::error::{Error, Problem};
use crate::kernel::{Kernel, read_unicode_string};
use crate::machine::Machine;
use crate::verifier::{
    Explanation, Parameter, ParameterKind, explain_bug_check, is_verifier_image, violated_condition,
};

/// Drivers that were unloaded with something pending: the address that was accessed was in the driver, and
/// the kernel names it.
const UNLOADED: [u32; 2] = [0xce, 0xd4];

/// The driver to blame.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Culprit {
    /// Its file name.
    pub driver: String,
    /// Its code that the bug check is about.
    pub code: Option<CodeSite>,
    /// Why it is to blame: the end of a sentence, "parameter 3 (address of the access) is in its code".
    pub because: String,
    /// False if the driver is only likely to blame.
    pub is_certain: bool,
}

/// What a bug check is about.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BugCheckReport {
    /// The bug check.
    pub bug_check: BugCheck,
    /// What it says; `None` if it is not one of those that Verifier's checks lead to.
    pub explanation: Option<Explanation>,
    /// Its parameters.
    pub parameters: [ParameterFact; 4],
    /// The condition of a rule that a driver violated, in the words of the rule.
    pub violated_condition: Option<String>,
    /// The driver that the kernel noted in `KiBugCheckDriver`.
    pub noted_driver: Option<String>,
    /// The driver to blame.
    pub culprit: Option<Culprit>,
    /// Why the culprit is unknown, if it is.
    pub why_unknown: Option<String>,
    /// What could not be read or does not fit.
    pub problems: Vec<Problem>,
}

impl BugCheckReport {
    /// The report of the bug check that stopped the kernel; `None` if there was none.
    #[must_use]
    pub fn read(kernel: &Kernel) -> Option<Self> {
        let bug_check = kernel.bug_check()?;
        let explanation = explain_bug_check(&bug_check);
        let mut facts =
            numbered(&bug_check, explanation.as_ref()).map(|(number, value, parameter)| {
                ParameterFact::resolve(kernel, number, value, parameter)
            });
        let mut problems = Vec::new();
        let violated_condition = violated_condition(kernel).unwrap_or_else(|error| {
            problems.push(Problem::from_error("violated condition", &error));
            None
        });
        // A rule's text and a section's name are not names of drivers.
        let is_image_name = bug_check.code == 0xc4;
        for fact in facts.iter_mut().filter(|fact| !is_image_name && fact.by == Some(LeadsBy::Name))
        {
            (fact.driver, fact.by) = (None, None);
        }
        let noted = noted_driver(kernel);
        let mut report = Self {
            bug_check,
            explanation,
            parameters: facts,
            violated_condition,
            noted_driver: noted.as_ref().ok().cloned(),
            culprit: None,
            why_unknown: None,
            problems,
        };
        match report.find_culprit(kernel, noted) {
            Ok(culprit) => report.culprit = Some(culprit),
            Err(why) => report.why_unknown = Some(why),
        }
        Some(report)
    }

    /// The report of `bug_check`, which is the kernel's or a header's; without a kernel, as far as the values
    /// say something.
    #[must_use]
    pub fn of(
        bug_check: BugCheck,
        kernel: Result<&Kernel, &Error>,
        machine: Option<Machine>,
    ) -> Self {
        let read = kernel.ok().and_then(Self::read);
        if let Some(report) = read.filter(|report| report.bug_check == bug_check) {
            return report;
        }
        let why = match kernel {
            Err(error) => format!("the kernel cannot be read: {error}"),
            Ok(_) => "the machine did not crash".into(),
        };
        Self::of_values(bug_check, machine.unwrap_or(Machine::X64), why)
    }

    fn of_values(bug_check: BugCheck, machine: Machine, why: String) -> Self {
        let explanation = explain_bug_check(&bug_check);
        let parameters =
            numbered(&bug_check, explanation.as_ref()).map(|(number, value, parameter)| {
                ParameterFact::of_value(number, value, parameter, machine)
            });
        Self {
            bug_check,
            explanation,
            parameters,
            violated_condition: None,
            noted_driver: None,
            culprit: None,
            why_unknown: Some(why),
            problems: Vec::new(),
        }
    }

    /// The driver that was unloaded while it held pool, if the bug check says so (0xC4/0x62).
    #[must_use]
    pub fn unloaded_driver(&self) -> Option<&str> {
        let is_unload = self.bug_check.code == 0xc4 && self.bug_check.parameters[0] == 0x62;
        self.parameters[1].driver.as_deref().filter(|_| is_unload)
    }

    /// All addresses of code, in no order: what a caller needs symbols for.
    pub fn addresses(&self) -> impl Iterator<Item = Va> {
        let blocks = self.parameters.iter().filter_map(|fact| fact.block.as_ref());
        let of_blocks = blocks.flat_map(|block| [block.allocated_by, block.freed_by]).flatten();
        let codes = self.parameters.iter().filter_map(|fact| fact.code);
        let culprit = self.culprit.as_ref().and_then(|culprit| culprit.code);
        of_blocks.chain(codes.chain(culprit).map(|code| code.address))
    }

    /// The driver that the strongest evidence leads to.
    fn find_culprit(
        &self,
        kernel: &Kernel,
        noted: Result<String, String>,
    ) -> Result<Culprit, String> {
        if self.explanation.as_ref().is_some_and(|said| said.name.ends_with("_LIVE_DUMP")) {
            return Err("the machine did not crash".into());
        }
        let mut evidence: Vec<Evidence> = self
            .parameters
            .iter()
            .filter_map(|fact| Evidence::of_parameter(kernel, self.bug_check.code, fact))
            .collect();
        if let Ok(driver) = &noted
            && !is_own(kernel, driver)
        {
            let strength = match UNLOADED.contains(&self.bug_check.code) {
                true => Strength::Named,
                false => Strength::Noted,
            };
            let because = "the kernel noted it in KiBugCheckDriver".to_owned();
            evidence.push(Evidence { driver: driver.clone(), code: None, because, strength });
        }
        // A check of Verifier's runs when a driver calls, so the driver is on the stack.
        let mut on_stack = None;
        let is_weak = evidence.iter().all(|one| one.strength > Strength::Stack);
        if is_weak && self.explanation.is_some() {
            match stack::first_driver(kernel) {
                Ok(at) => evidence.extend(Evidence::of_stack(kernel, at)),
                Err(why) => on_stack = Some(why),
            }
        }
        evidence.sort_by_key(|one| one.strength);
        let mut all = evidence.into_iter();
        let Some(best) = all.next() else { return Err(self.why_unknown(noted, on_stack)) };
        // Weaker evidence of the same driver may have the code.
        let same = |other: &Evidence| other.driver.eq_ignore_ascii_case(&best.driver);
        let code = best.code.or_else(|| all.filter(same).find_map(|other| other.code));
        let is_certain = best.strength <= Strength::LockedPages;
        Ok(Culprit { driver: best.driver, code, because: best.because, is_certain })
    }

    fn why_unknown(&self, noted: Result<String, String>, on_stack: Option<String>) -> String {
        let parameters = match self.explanation {
            Some(_) => "no parameter leads to a driver",
            None => {
                "this bug check is not one of Driver Verifier's, and no parameter leads to a driver"
            }
        };
        let noted = match noted {
            Ok(driver) => format!("the kernel noted only {driver}"),
            Err(why) => why,
        };
        let reasons = [Some(parameters.to_owned()), Some(noted), on_stack];
        reasons.into_iter().flatten().collect::<Vec<_>>().join("; ")
    }
}

/// How strongly something leads to a driver, the strongest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Strength {
    /// The bug check is about the driver by name, or the kernel says that it was unloaded too early.
    Named,
    /// A parameter is an address of its code.
    Code,
    /// The kernel noted it.
    Noted,
    /// It locked the pages.
    LockedPages,
    /// An object of it, or data in its image.
    Object,
    /// A block of pool that it allocated or freed.
    Block,
    /// Its code is on the stack.
    Stack,
    /// An IRP that it has.
    Irp,
}

/// Something that leads to a driver.
#[derive(Debug, Clone)]
struct Evidence {
    driver: String,
    code: Option<CodeSite>,
    because: String,
    strength: Strength,
}

impl Evidence {
    fn of_parameter(kernel: &Kernel, code: u32, fact: &ParameterFact) -> Option<Self> {
        let (driver, by) = (fact.driver.clone()?, fact.by?);
        if is_own(kernel, &driver) {
            return None;
        }
        let is_unknown = matches!(
            fact.parameter.kind,
            ParameterKind::Unknown | ParameterKind::Reserved | ParameterKind::Subcode
        );
        let (strength, what) = match by {
            LeadsBy::Name => (Strength::Named, "is its name"),
            LeadsBy::Code => (Strength::Code, "is an address in its code"),
            LeadsBy::Image if is_unknown => (Strength::Object, "is an address in it"),
            LeadsBy::Image => (Strength::Object, "is an address in its image"),
            LeadsBy::UnloadedImage if UNLOADED.contains(&code) => {
                (Strength::Named, "is an address at which it was before it was unloaded")
            }
            LeadsBy::UnloadedImage => {
                (Strength::Code, "is an address at which it was before it was unloaded")
            }
            LeadsBy::LockedPages => {
                (Strength::LockedPages, "leads to the stack that locked the pages")
            }
            LeadsBy::Object => (Strength::Object, "is one of its objects"),
            LeadsBy::Block => match fact.block.as_ref().and_then(|block| block.past_end) {
                Some(_) => (Strength::Block, "is past the end of a block that it allocated"),
                None => (Strength::Block, "is in a block that it allocated"),
            },
            LeadsBy::FreedBlock => (Strength::Block, "is in a block that it freed"),
            LeadsBy::Irp => (Strength::Irp, "is an IRP that is at one of its device objects"),
        };
        let ParameterFact { number, parameter: Parameter { label, .. }, .. } = fact;
        let because = format!("parameter {number} ({label}) {what}");
        Some(Self { driver, code: fact.code, because, strength })
    }

    fn of_stack(kernel: &Kernel, at: Va) -> Option<Self> {
        let (_, module) = kernel.modules().find(at)?;
        Some(Self {
            driver: module.name.clone(),
            code: Some(CodeSite::new(at, true)),
            because: "its code is the first of a driver on the stack of the crashed thread".into(),
            strength: Strength::Stack,
        })
    }
}

/// Each parameter with its number, value and meaning.
fn numbered(bug_check: &BugCheck, explanation: Option<&Explanation>) -> [(u8, u64, Parameter); 4] {
    let [a, b, c, d] = bug_check.parameters;
    let [w, x, y, z] = explanation.map_or([Parameter::UNKNOWN; 4], |said| said.parameters);
    [(1, a, w), (2, b, x), (3, c, y), (4, d, z)]
}

/// True for the kernel, the HAL and Verifier's own images: they report violations, and do not commit them.
fn is_own(kernel: &Kernel, name: &str) -> bool {
    let nt = kernel.kernel_module().and_then(|index| kernel.modules().loaded().get(index));
    let name = name.to_ascii_lowercase();
    nt.is_some_and(|nt| nt.name.eq_ignore_ascii_case(&name))
        || is_verifier_image(&name)
        || (name.starts_with("hal") && name.ends_with(".dll"))
}

/// The driver that the kernel noted: `KiBugCheckDriver` is the address of a `UNICODE_STRING`, or null.
fn noted_driver(kernel: &Kernel) -> Result<String, String> {
    let read = |what: &str, error: &dyn std::fmt::Display| format!("{what}: {error}");
    let at = kernel.global("KiBugCheckDriver").map_err(|error| error.to_string())?;
    let name = kernel.space().read_pointer(at);
    let name = name.map_err(|fault| read("KiBugCheckDriver", &fault))?;
    if name.is_null() {
        return Err("the kernel did not note a driver (KiBugCheckDriver is null)".into());
    }
    let text = read_unicode_string(kernel.space(), name, kernel.limits());
    let text = text.map_err(|error| read("KiBugCheckDriver", &error))?;
    let text = lead::file_name(&text).to_owned();
    if text.is_empty() { Err("KiBugCheckDriver is an empty name".into()) } else { Ok(text) }
}
