//! A bug check with names: what each parameter is, and the driver to blame.

use serde::{Serialize, Serializer};

use crate::addr::Va;
use crate::analysis::{BlockFact, BlockState, BugCheckReport, CodeSite, LeadsBy, ParameterFact};
use crate::describe::{Table, columns};
use crate::kernel::Kernel;
use crate::render::json::RowDoc;

/// A bug check.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct BugCheckInfo {
    /// Its code.
    pub code: u32,
    /// Its parameters.
    pub parameters: [Va; 4],
    /// Its name, if it is one of Verifier's.
    pub name: Option<&'static str>,
    /// What it says, if it is one of Verifier's.
    pub meaning: Option<String>,
    /// What its parameters are, if it is one of Verifier's.
    pub parameter_names: Option<[&'static str; 4]>,
    /// What is known of each parameter.
    pub facts: Vec<ParameterRow>,
    /// The driver that it names, if the name can be read.
    pub driver: Option<String>,
    /// The text of the condition that a driver violated, if it is about a rule and the text can be read.
    pub violated_condition: Option<String>,
    /// The driver to blame.
    pub culprit: Option<CulpritRow>,
    /// Why the culprit is unknown, if it is.
    pub culprit_unknown_because: Option<String>,
    /// Who is to blame and why, or why that is unknown; `None` if the machine did not crash.
    pub sentence: Option<String>,
}

/// A parameter of a bug check, with the names of what it leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ParameterRow {
    fact: ParameterFact,
    code: Option<NamedSite>,
    block: Option<NamedBlock>,
}

/// The driver to blame, with the name of its code.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CulpritRow {
    driver: String,
    code: Option<NamedSite>,
    because: String,
    is_certain: bool,
}

/// An address of code with its name and line.
#[derive(Debug, Clone, PartialEq, Eq)]
struct NamedSite {
    address: Va,
    symbol: Option<String>,
    file: Option<String>,
    line: Option<u32>,
}

impl NamedSite {
    fn of(kernel: Option<&Kernel>, site: CodeSite) -> Self {
        let CodeSite { address, is_return, .. } = site;
        let symbol = kernel.and_then(|kernel| kernel.symbolize(address));
        // A routine's first instruction does not follow a call.
        let is_return = is_return && symbol.as_ref().is_some_and(|name| name.displacement != 0);
        let source = kernel.and_then(|kernel| match is_return {
            true => kernel.source_of_call(address),
            false => kernel.source_site(address),
        });
        let innermost = source.as_ref().map(|site| site.innermost());
        Self {
            address,
            symbol: symbol.map(|name| name.to_string()),
            file: innermost.map(|(file, _)| file.to_string()),
            line: innermost.map(|(_, line)| line),
        }
    }

    /// `leaky!LeakyTouch+0x2b (touch.c:42)`.
    fn text(&self) -> String {
        let name = self.symbol.clone().unwrap_or_else(|| self.address.to_string());
        match (&self.file, self.line) {
            (Some(file), Some(line)) => format!("{name} ({file}:{line})"),
            _ => name,
        }
    }
}

/// A block with the names of its calls.
#[derive(Debug, Clone, PartialEq, Eq)]
struct NamedBlock {
    fact: BlockFact,
    allocated_by: Option<NamedSite>,
    freed_by: Option<NamedSite>,
}

impl NamedBlock {
    fn of(kernel: Option<&Kernel>, fact: &BlockFact) -> Self {
        let site = |va: Option<Va>| Some(NamedSite::of(kernel, CodeSite::new(va?, true)));
        Self {
            allocated_by: site(fact.allocated_by),
            freed_by: site(fact.freed_by),
            fact: fact.clone(),
        }
    }

    fn text(&self) -> String {
        let BlockFact { address, size, tag, state, driver, past_end, .. } = &self.fact;
        let tag = tag.map(|tag| format!(" {tag}")).unwrap_or_default();
        let owner = driver.as_ref().map(|driver| format!(" of {driver}")).unwrap_or_default();
        let mut text = match past_end {
            Some(0) => "at the end of ".to_owned(),
            Some(past) => format!("{past} bytes past the end of "),
            None => String::new(),
        };
        text.push_str(&format!("block{tag} at {address}, {size} bytes{owner}, {}", state.name()));
        if let Some(site) = &self.allocated_by {
            text.push_str(&format!(", allocated by {}", site.text()));
        }
        if let Some(site) = &self.freed_by {
            text.push_str(&format!(", freed by {}", site.text()));
        }
        text
    }
}

impl ParameterRow {
    /// The description.
    pub const TABLE: Table<'static, Self> = Table::new(
        "BugCheckParameter",
        "A parameter of a bug check, and what is known of it.",
        columns!(|row: Self| {
            /// 1 to 4.
            number: U32 => row.fact.number,
            /// Its value.
            value: Address => Va(row.fact.value),
            /// What kind of value it is: "code", "caller" (the address after a call), "pool", "irp",
            /// "driver_object", "device_object", "status", "irql", "pool_tag", "size", "reserved", …
            kind: Word => row.fact.parameter.kind.name(),
            /// What it is in this bug check.
            label: Text => row.fact.parameter.label,
            /// What is known of it in one line: the name of the value, code with its line, a block with its
            /// owner, the driver of an object; null if nothing is.
            text: Text, optional => row.text(),
            /// The driver that it leads to.
            driver: Word, optional => row.fact.driver.as_deref(),
            /// How it leads to that driver.
            leads_by: OneOf(&LeadsBy::NAMES), optional => row.fact.by.map(LeadsBy::name),
            /// The code that it is or leads to.
            code: Address, optional => row.code.as_ref().map(|code| code.address),
            /// The name of that code.
            symbol: Text, optional => row.code.as_ref().and_then(|code| code.symbol.as_deref()),
            /// The source file of that code.
            file: Text, optional => row.code.as_ref().and_then(|code| code.file.as_deref()),
            /// The line in that file.
            line: U32, optional => row.code.as_ref().and_then(|code| code.line),
            /// The block of pool that holds it, or that it is past the end of.
            block_address: Address, optional => row.block().map(|block| block.address),
            /// The size of the block in bytes.
            block_size: U64, optional => row.block().map(|block| block.size),
            /// The tag of the block.
            block_tag: Tag, optional => row.block().and_then(|block| block.tag),
            /// Whether the block is in use.
            block_state: OneOf(&BlockState::NAMES), optional => row.block().map(|b| b.state.name()),
            /// The driver that holds the block, or that allocated it last.
            block_driver: Word, optional => row.block().and_then(|block| block.driver.as_deref()),
            /// How many bytes past the end of the block it is; null if it is in the block.
            past_end: U64, optional => row.block().and_then(|block| block.past_end),
            /// The call that allocated the block.
            allocated_by: Text, optional => row.site(|block| block.allocated_by.as_ref()),
            /// The call that freed the block.
            freed_by: Text, optional => row.site(|block| block.freed_by.as_ref()),
            /// Why nothing more is known of it.
            unknown_because: Text, optional => row.fact.why_unknown.as_deref(),
        }),
    );

    fn of(kernel: Option<&Kernel>, fact: &ParameterFact) -> Self {
        Self {
            code: fact.code.map(|code| NamedSite::of(kernel, code)),
            block: fact.block.as_ref().map(|block| NamedBlock::of(kernel, block)),
            fact: fact.clone(),
        }
    }

    /// The parameter without the names.
    #[must_use]
    pub fn fact(&self) -> &ParameterFact {
        &self.fact
    }

    fn block(&self) -> Option<&BlockFact> {
        self.block.as_ref().map(|block| &block.fact)
    }

    fn site(&self, of: fn(&NamedBlock) -> Option<&NamedSite>) -> Option<String> {
        self.block.as_ref().and_then(of).map(NamedSite::text)
    }

    /// What is known of it, in one line.
    #[must_use]
    pub fn text(&self) -> Option<String> {
        if let Some(block) = &self.block {
            return Some(block.text());
        }
        let code = self.code.as_ref().map(|code| match self.fact.by {
            Some(LeadsBy::LockedPages) => format!("locked by {}", code.text()),
            _ => code.text(),
        });
        code.or_else(|| self.fact.text.clone())
    }
}

impl CulpritRow {
    /// The description.
    pub const TABLE: Table<'static, Self> = Table::new(
        "Culprit",
        "The driver to blame for a bug check.",
        columns!(|row: Self| {
            /// Its file name.
            driver: Word => row.driver.as_str(),
            /// Its code that the bug check is about.
            code: Address, optional => row.code.as_ref().map(|code| code.address),
            /// The name of that code.
            symbol: Text, optional => row.code.as_ref().and_then(|code| code.symbol.as_deref()),
            /// The source file of that code.
            file: Text, optional => row.code.as_ref().and_then(|code| code.file.as_deref()),
            /// The line in that file.
            line: U32, optional => row.code.as_ref().and_then(|code| code.line),
            /// Why it is to blame.
            because: Text => row.because.as_str(),
            /// False if it is only likely to blame.
            certain: Bool => row.is_certain,
        }),
    );

    /// Its file name.
    #[must_use]
    pub fn driver(&self) -> &str {
        &self.driver
    }

    /// The name of its code that the bug check is about.
    #[must_use]
    pub fn symbol(&self) -> Option<&str> {
        self.code.as_ref()?.symbol.as_deref()
    }

    /// The source file and the line of that code.
    #[must_use]
    pub fn source(&self) -> Option<(&str, u32)> {
        let code = self.code.as_ref()?;
        Some((code.file.as_deref()?, code.line?))
    }

    /// False if it is only likely to blame.
    #[must_use]
    pub fn is_certain(&self) -> bool {
        self.is_certain
    }

    fn sentence(&self) -> String {
        let code = self.code.as_ref().map(|code| format!(", {},", code.text()));
        let is = if self.is_certain { "is to blame" } else { "is likely to blame" };
        format!("{}{} {is}: {}", self.driver, code.unwrap_or_default(), self.because)
    }
}

impl BugCheckInfo {
    /// A report with the names that the kernel's symbols give.
    #[must_use]
    pub fn of(report: &BugCheckReport, kernel: Option<&Kernel>) -> Self {
        let said = report.explanation.as_ref();
        let culprit = report.culprit.as_ref().map(|culprit| CulpritRow {
            driver: culprit.driver.clone(),
            code: culprit.code.map(|code| NamedSite::of(kernel, code)),
            because: culprit.because.clone(),
            is_certain: culprit.is_certain,
        });
        let unknown = || {
            let why = report.why_unknown.as_ref()?;
            Some(format!("the culprit is unknown: {why}"))
        };
        let sentence = culprit.as_ref().map(CulpritRow::sentence).or_else(unknown);
        Self {
            code: report.bug_check.code,
            parameters: report.bug_check.parameters.map(Va),
            name: said.map(|said| said.name),
            meaning: said.map(|said| said.meaning.clone()),
            parameter_names: said.map(|said| said.labels()),
            facts: report.parameters.iter().map(|fact| ParameterRow::of(kernel, fact)).collect(),
            driver: report.unloaded_driver().map(str::to_owned),
            violated_condition: report.violated_condition.clone(),
            sentence: sentence.filter(|_| report.bug_check.is_crash()),
            culprit,
            culprit_unknown_because: report.why_unknown.clone(),
        }
    }
}

impl BugCheckInfo {
    /// What texts say about the culprit: the [`sentence`](Self::sentence), or "unknown: …". `None` if a bug
    /// check that Verifier has nothing to do with does not have a culprit.
    #[must_use]
    pub fn verdict(&self) -> Option<String> {
        match (&self.culprit, &self.culprit_unknown_because) {
            (Some(_), _) => self.sentence.clone(),
            (None, why) => {
                Some(format!("unknown: {}", why.as_ref()?)).filter(|_| self.name.is_some())
            }
        }
    }
}

impl Serialize for ParameterRow {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        RowDoc::new(&Self::TABLE, self, None).serialize(to)
    }
}

impl Serialize for CulpritRow {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        RowDoc::new(&Self::TABLE, self, None).serialize(to)
    }
}
