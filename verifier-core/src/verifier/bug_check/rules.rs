//! 0xC4 and 0x1C4 from 0x20000 on: rules of DDI compliance, NDIS, WLAN, kernel streaming and audio
//! port class drivers, by number and name.

use super::parameter::{Parameter, ParameterKind};
use super::table::{lines, number};
use crate::error::Error;
use crate::kernel::{Kernel, read_ansi_z};

const TEXT: &str = include_str!("tables/rules.txt");

/// Where Microsoft documents rules.
const PAGES: &str = "https://learn.microsoft.com/windows-hardware/drivers/devtest/";

/// Whether parameters 3 and 4 lead to a rule's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Neither does.
    None,
    /// Parameter 3 of 0xC4 does, if it is not null.
    Optional,
    /// Both do.
    Both,
}

/// A rule that Verifier checks: parameter 1 of 0xC4 and 0x1C4 is its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rule {
    /// Its number.
    pub id: u64,
    /// Its name.
    pub name: &'static str,
    /// The options that check it, as [`FLAGS`](crate::verifier::FLAGS) name them.
    pub options: &'static str,
    /// What it demands.
    pub condition: &'static str,
    page: Option<&'static str>,
    state: State,
}

/// `0x20003 | IrqlDispatch | optional | DDI compliance checking | wdm-irqldispatch | condition`.
fn read(line: &'static str) -> Option<Rule> {
    let mut cells = line.split('|').map(str::trim);
    let id = number(cells.next()?)?;
    let name = cells.next()?;
    let state = match cells.next()? {
        "none" => State::None,
        "optional" => State::Optional,
        "both" => State::Both,
        _ => return None,
    };
    let options = cells.next()?;
    let page = Some(cells.next()?).filter(|&page| page != "-");
    let condition = cells.next()?;
    cells.next().is_none().then_some(Rule { id, name, options, condition, page, state })
}

impl Rule {
    /// Every rule, by number.
    pub fn all() -> impl Iterator<Item = Self> {
        lines(TEXT).filter_map(read)
    }

    /// The rule of a number.
    #[must_use]
    pub fn by_id(id: u64) -> Option<Self> {
        Self::all().find(|rule| rule.id == id)
    }

    /// The rule of a name, without regard to case.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        Self::all().find(|rule| rule.name.eq_ignore_ascii_case(name))
    }

    /// The `count` rules whose numbers are nearest to `id`, by number.
    #[must_use]
    pub fn nearest(id: u64, count: usize) -> Vec<Self> {
        let mut rules: Vec<Self> = Self::all().collect();
        rules.sort_by_key(|rule| rule.id.abs_diff(id));
        rules.truncate(count);
        rules.sort_by_key(|rule| rule.id);
        rules
    }

    /// Where Microsoft documents it.
    #[must_use]
    pub fn page(&self) -> Option<String> {
        self.page.map(|page| format!("{PAGES}{page}"))
    }

    /// What parameters 1 to 4 of a bug check of `code` are.
    pub(super) fn parameters(&self, code: u32) -> [Parameter; 4] {
        let internal = |label| Parameter { kind: ParameterKind::Internal, label };
        let [state, supplement] = match self.state {
            State::Both => [internal("rule state"), internal("supplemental states")],
            State::Optional if code == 0xc4 => {
                [internal("rule state, if not null"), Parameter::RESERVED]
            }
            State::Optional | State::None => [Parameter::RESERVED; 2],
        };
        let rule = Parameter { kind: ParameterKind::Rule, label: "rule" };
        let label = "address of the text of the violated condition";
        [rule, Parameter { kind: ParameterKind::Text, label }, state, supplement]
    }
}

/// The condition that a driver violated, in the words of the rule: what parameter 2 of 0xC4 and 0x1C4
/// points to. `None` if the bug check is not about a rule.
///
/// # Errors
/// [`Error::Read`] if the text is not in memory, [`Error::Limit`] if it does not end.
pub fn violated_condition(kernel: &Kernel) -> Result<Option<String>, Error> {
    let rule = kernel.bug_check().filter(|bug_check| {
        matches!(bug_check.code, 0xc4 | 0x1c4) && Rule::by_id(bug_check.parameters[0]).is_some()
    });
    let Some(bug_check) = rule else { return Ok(None) };
    let [_, text, ..] = bug_check.parameters;
    let at = kernel.space().narrow(text);
    read_ansi_z(kernel.space(), at, kernel.limits(), "text of the violated condition").map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verifier::FLAGS;

    #[test]
    fn every_line_is_read_and_the_rules_are_in_order() {
        let rules: Vec<Rule> = Rule::all().collect();
        assert_eq!(rules.len(), lines(TEXT).count());
        assert!(rules.windows(2).all(|pair| pair[0].id < pair[1].id));
        let is_known = |option: &str| {
            FLAGS.iter().any(|flag| flag.name == option.trim())
                || option.contains("additional IRQL")
        };
        assert!(rules.iter().all(|rule| rule.options.split(',').all(is_known)));
    }

    #[test]
    fn an_unknown_number_has_its_neighbors() {
        let ids: Vec<u64> = Rule::nearest(0x20013, 3).iter().map(|rule| rule.id).collect();
        assert_eq!(ids, [0x20010, 0x20011, 0x20015]);
        let page = Rule::by_id(0x20011).unwrap().page().unwrap();
        assert!(page.ends_with("/devtest/wdm-irqlkedispatchlte"), "{page}");
        assert_eq!(Rule::by_id(0x20025).unwrap().page(), None);
    }
}
