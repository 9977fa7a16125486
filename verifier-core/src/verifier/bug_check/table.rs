//! The tables of bug checks: text, read when it is asked for. `tables/verifier.txt` explains the format.

use super::parameter::{Parameter, ParameterKind};

const TEXTS: [&str; 5] = [
    include_str!("tables/verifier.txt"),
    include_str!("tables/io.txt"),
    include_str!("tables/dma.txt"),
    include_str!("tables/pool.txt"),
    include_str!("tables/other.txt"),
];

/// The head of the violations of one bug check.
#[derive(Debug, Clone, Copy)]
pub(super) struct Table {
    code: u32,
    /// The name of the code.
    pub(super) name: &'static str,
    /// The index of the parameter that is the subcode; `None` if the bug check has no subcodes.
    pub(super) subcode: Option<usize>,
}

/// What a bug check says.
#[derive(Debug)]
pub(super) struct Violation {
    /// The subcode; `None` for a bug check without subcodes.
    subcode: Option<u64>,
    /// The index and value of another parameter, if that decides too.
    detail: Option<(usize, u64)>,
    pub(super) parameters: [Parameter; 4],
    pub(super) meaning: &'static str,
}

impl Violation {
    fn is_of(&self, subcode: Option<u64>, parameters: &[u64; 4]) -> bool {
        let detail = |(index, value): (usize, u64)| parameters.get(index) == Some(&value);
        self.subcode == subcode && self.detail.is_none_or(detail)
    }
}

impl Table {
    /// All tables, each with its lines.
    fn all() -> impl Iterator<Item = (Self, impl Iterator<Item = &'static str>)> {
        TEXTS.into_iter().flat_map(|text| {
            let heads = text.split("\n= ").skip(1);
            heads.filter_map(|part| Some((read_head(part.lines().next()?)?, lines(part).skip(1))))
        })
    }

    pub(super) fn of(code: u32) -> Option<Self> {
        Self::all().map(|(table, _)| table).find(|table| table.code == code)
    }

    pub(super) fn violation(&self, parameters: &[u64; 4]) -> Option<Violation> {
        let subcode = self.subcode.and_then(|index| parameters.get(index).copied());
        let (_, lines) = Self::all().find(|(table, _)| table.code == self.code)?;
        let mut violations = lines.filter_map(|line| read_violation(line, self.subcode));
        violations.find(|violation| violation.is_of(subcode, parameters))
    }
}

/// A number as the tables write it.
pub(super) fn number(text: &str) -> Option<u64> {
    u64::from_str_radix(text.trim().strip_prefix("0x")?, 16).ok()
}

/// The lines that are not comments.
pub(super) fn lines(text: &'static str) -> impl Iterator<Item = &'static str> {
    text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty())
}

/// `0xc1 SPECIAL_POOL_DETECTED_MEMORY_CORRUPTION by 4`.
fn read_head(line: &'static str) -> Option<Table> {
    let mut words = line.split_whitespace();
    let code = u32::try_from(number(words.next()?)?).ok()?;
    let name = words.next()?;
    let subcode = match (words.next(), words.next()) {
        (Some("by"), Some(index)) => Some(index.parse::<usize>().ok()?.checked_sub(1)?),
        _ => None,
    };
    Some(Table { code, name, subcode })
}

/// A line that does not follow the format is left out; a test shows that there is none.
///
/// `0xf 2=0x3 | number violation | address address overwritten | - | a free map register was overwritten`.
fn read_violation(line: &'static str, subcode_at: Option<usize>) -> Option<Violation> {
    let mut cells = line.split('|').map(str::trim);
    let mut key = cells.next()?.split_whitespace();
    let subcode = key.next()?;
    let subcode = if subcode == "*" { None } else { Some(number(subcode)?) };
    let detail = match key.next() {
        Some(text) => Some(read_detail(text)?),
        None => None,
    };
    let mut parameters = [Parameter::SUBCODE; 4];
    for (index, parameter) in parameters.iter_mut().enumerate() {
        if subcode_at != Some(index) {
            *parameter = read_parameter(cells.next()?)?;
        }
    }
    let meaning = cells.next().filter(|_| subcode_at.is_some() == subcode.is_some())?;
    cells.next().is_none().then_some(Violation { subcode, detail, parameters, meaning })
}

fn read_detail(text: &str) -> Option<(usize, u64)> {
    let (index, value) = text.split_once('=')?;
    Some((index.parse::<usize>().ok()?.checked_sub(1)?, number(value)?))
}

fn read_parameter(text: &'static str) -> Option<Parameter> {
    if text == "-" {
        return Some(Parameter::RESERVED);
    }
    let (kind, label) = text.split_once(' ')?;
    Some(Parameter { kind: ParameterKind::by_name(kind)?, label })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn violations() -> Vec<(Table, Vec<Violation>)> {
        let read = |(table, lines): (Table, _)| (table, read_all(table, lines));
        Table::all().map(read).collect()
    }

    fn read_all(table: Table, lines: impl Iterator<Item = &'static str>) -> Vec<Violation> {
        lines.map(|line| read_violation(line, table.subcode).expect(line)).collect()
    }

    #[test]
    fn every_line_is_read() {
        let heads = TEXTS.iter().flat_map(|text| lines(text)).filter(|line| line.starts_with('='));
        let tables = violations();
        assert_eq!(tables.len(), heads.count());
        let read: usize = tables.iter().map(|(_, violations)| 1 + violations.len()).sum();
        let all: usize = TEXTS.iter().map(|text| lines(text).count()).sum();
        assert_eq!(read, all);
        for (table, violations) in tables {
            assert!(table.subcode.is_some() || violations.len() == 1, "{}", table.name);
        }
    }

    /// Within a subcode, violations with a detail come first and the general one is last.
    #[test]
    fn tables_are_in_order_and_hold_nothing_twice() {
        let tables = violations();
        let mut codes: Vec<u32> = tables.iter().map(|(table, _)| table.code).collect();
        codes.sort_unstable();
        assert!(codes.windows(2).all(|pair| pair[0] < pair[1]));
        for (table, violations) in tables {
            let keys: Vec<_> =
                violations.iter().map(|v| (v.subcode, v.detail.is_none(), v.detail)).collect();
            assert!(keys.windows(2).all(|pair| pair[0] < pair[1]), "{}", table.name);
        }
    }

    #[test]
    fn no_sentence_ends_with_a_full_stop() {
        for violation in violations().iter().flat_map(|(_, violations)| violations) {
            assert!(!violation.meaning.is_empty() && !violation.meaning.ends_with('.'));
        }
    }
}
