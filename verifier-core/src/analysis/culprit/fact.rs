//! What each parameter of a bug check says, by its kind.

use super::block::BlockFact;
use super::lead::{CodeSite, Lead, LeadsBy, file_name};
use super::object;
use crate::addr::{PAGE_SIZE, Va};
use crate::kernel::{Kernel, read_ansi_z, read_unicode_string, read_utf16_z};
use crate::machine::Machine;
use crate::verifier::{Parameter, ParameterKind, value_name};

/// A parameter of a bug check, and what could be found out about it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ParameterFact {
    /// 1 to 4.
    pub number: u8,
    /// Its value.
    pub value: u64,
    /// What it is.
    pub parameter: Parameter,
    /// What the value says in words: "DISPATCH_LEVEL", "\Driver\leaky".
    pub text: Option<String>,
    /// The code that it is or leads to.
    pub code: Option<CodeSite>,
    /// The file name of the driver that it leads to.
    pub driver: Option<String>,
    /// How it leads to that driver.
    pub by: Option<LeadsBy>,
    /// The block of pool that it is in.
    pub block: Option<BlockFact>,
    /// Why nothing more is known of it.
    pub why_unknown: Option<String>,
}

impl ParameterFact {
    /// The parameter without anything that memory says about it.
    #[must_use]
    pub fn of_value(number: u8, value: u64, parameter: Parameter, machine: Machine) -> Self {
        Self {
            number,
            value,
            parameter,
            text: value_name(parameter.kind, value, machine),
            code: None,
            driver: None,
            by: None,
            block: None,
            why_unknown: None,
        }
    }

    /// Looks up what memory says about it.
    pub(super) fn resolve(kernel: &Kernel, number: u8, value: u64, parameter: Parameter) -> Self {
        let machine = kernel.space().machine();
        let mut fact = Self::of_value(number, value, parameter, machine);
        let kind = parameter.kind;
        let is_number =
            !kind.is_address() && !matches!(kind, ParameterKind::Unknown | ParameterKind::Reserved);
        let at = kernel.space().narrow(value);
        // A small number in place of an address, such as a null handle, leads nowhere.
        if is_number || at.0 < PAGE_SIZE {
            return fact;
        }
        // An address in an image says more than any kind of parameter does.
        if fact.locate(kernel, at) {
            return fact;
        }
        let found = match kind {
            ParameterKind::Text => fact.read_text(kernel, at),
            ParameterKind::WideText => fact.read_wide_text(kernel, at),
            ParameterKind::Pool | ParameterKind::PoolHeader => fact.find_block(kernel, at),
            kind => object::look_up(kernel, at, kind).map(|lead| fact.follow(lead)),
        };
        fact.why_unknown = found.err();
        fact
    }

    /// True if the address is or was in an image.
    fn locate(&mut self, kernel: &Kernel, at: Va) -> bool {
        if let Some((_, module)) = kernel.modules().find(at) {
            // Text is often a constant in the image of a driver, which is not to be named for it.
            if matches!(self.parameter.kind, ParameterKind::Text | ParameterKind::WideText) {
                return false;
            }
            self.driver = Some(module.name.clone());
            let is_code = matches!(
                self.parameter.kind,
                ParameterKind::Code | ParameterKind::Caller | ParameterKind::LockedPages
            );
            self.by = Some(if is_code { LeadsBy::Code } else { LeadsBy::Image });
            if at == module.base {
                self.text = Some(module.name.clone());
            } else {
                let is_return = matches!(
                    self.parameter.kind,
                    ParameterKind::Caller | ParameterKind::LockedPages
                );
                self.code = Some(CodeSite::new(at, is_return));
            }
            return true;
        }
        if let Some(module) = kernel.modules().find_unloaded(at) {
            self.driver = Some(module.name.clone());
            self.by = Some(LeadsBy::UnloadedImage);
            self.code = Some(CodeSite::new(at, false));
            return true;
        }
        let is_code = matches!(self.parameter.kind, ParameterKind::Code | ParameterKind::Caller);
        if is_code {
            self.why_unknown = Some("no image is or was at this address".into());
        }
        is_code
    }

    fn follow(&mut self, Lead { text, driver, code }: Lead) {
        self.text = text;
        self.code = code;
        if let Some((driver, by)) = driver {
            (self.driver, self.by) = (Some(driver), Some(by));
        }
    }

    fn read_text(&mut self, kernel: &Kernel, at: Va) -> Result<(), String> {
        let text = read_ansi_z(kernel.space(), at, kernel.limits(), "text");
        self.text = Some(text.map_err(|error| error.to_string())?);
        Ok(())
    }

    /// UTF-16 text, or the `_UNICODE_STRING` of one. A structure has a pointer in its second half, so its
    /// units are not those of a name.
    fn read_wide_text(&mut self, kernel: &Kernel, at: Va) -> Result<(), String> {
        let space = kernel.space();
        let described = read_unicode_string(space, at, kernel.limits()).ok();
        let described = described.filter(|text| !text.is_empty());
        let text = match described {
            Some(text) => text,
            None => read_utf16_z(space, at, MAX_TEXT).map_err(|error| error.to_string())?,
        };
        // 0xC4/0x62 and the code integrity checks pass the name of an image.
        self.driver = Some(file_name(&text).to_owned()).filter(|name| !name.is_empty());
        self.by = self.driver.as_ref().map(|_| LeadsBy::Name);
        self.text = Some(text);
        Ok(())
    }

    fn find_block(&mut self, kernel: &Kernel, at: Va) -> Result<(), String> {
        // Nothing is known of a block by its header, so the block after it is looked up.
        let at = match self.parameter.kind {
            ParameterKind::PoolHeader => at.add(2 * kernel.space().pointer_size() as u64),
            _ => at,
        };
        let block = BlockFact::read(kernel, at)?;
        let owner = block.culprit(kernel);
        if let Some((driver, by, code)) = owner {
            (self.driver, self.by, self.code) = (Some(driver), Some(by), code);
        }
        self.block = Some(block);
        Ok(())
    }
}

/// Units of a text that are read.
const MAX_TEXT: usize = 260;
