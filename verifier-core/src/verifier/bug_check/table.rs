//! The tables of bug checks: text, read once. `tables/verifier.txt` explains the format.

use std::sync::LazyLock;

use super::parameter::{Parameter, ParameterKind};

const TEXTS: [&str; 5] = [
    include_str!("tables/verifier.txt"),
    include_str!("tables/io.txt"),
    include_str!("tables/dma.txt"),
    include_str!("tables/pool.txt"),
    include_str!("tables/other.txt"),
];

static TABLES: LazyLock<Vec<Table>> =
    LazyLock::new(|| TEXTS.iter().flat_map(|text| read(text)).collect());

/// The violations of one bug check.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) code: u32,
    /// The name of the code.
    pub(super) name: &'static str,
    /// The index of the parameter that is the subcode; `None` if the bug check has no subcodes.
    pub(super) subcode: Option<usize>,
    violations: Vec<Violation>,
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
    pub(super) fn of(code: u32) -> Option<&'static Self> {
        TABLES.iter().find(|table| table.code == code)
    }

    /// The value that says what happened.
    pub(super) fn subcode_of(&self, parameters: &[u64; 4]) -> Option<u64> {
        parameters.get(self.subcode?).copied()
    }

    pub(super) fn violation(&self, parameters: &[u64; 4]) -> Option<&Violation> {
        let subcode = self.subcode_of(parameters);
        self.violations.iter().find(|violation| violation.is_of(subcode, parameters))
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

/// Lines that do not follow the format are left out; a test shows that there are none.
fn read(text: &'static str) -> Vec<Table> {
    let mut tables: Vec<Table> = Vec::new();
    for line in lines(text) {
        if let Some(table) = read_head(line) {
            tables.push(table);
        } else if let Some(table) = tables.last_mut() {
            table.violations.extend(read_violation(line, table.subcode));
        }
    }
    tables
}

/// `= 0xc1 SPECIAL_POOL_DETECTED_MEMORY_CORRUPTION by 4`.
fn read_head(line: &'static str) -> Option<Table> {
    let mut words = line.strip_prefix('=')?.split_whitespace();
    let code = u32::try_from(number(words.next()?)?).ok()?;
    let name = words.next()?;
    let subcode = match (words.next(), words.next()) {
        (Some("by"), Some(index)) => Some(index.parse::<usize>().ok()?.checked_sub(1)?),
        _ => None,
    };
    Some(Table { code, name, subcode, violations: Vec::new() })
}

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

    #[test]
    fn every_line_is_read() {
        for text in TEXTS {
            let tables = read(text);
            let read: usize = tables.iter().map(|table| 1 + table.violations.len()).sum();
            assert_eq!(read, lines(text).count());
            for table in tables {
                assert!(table.subcode.is_some() || table.violations.len() == 1, "{}", table.name);
            }
        }
    }

    /// Within a subcode, violations with a detail come first and the general one is last.
    #[test]
    fn tables_are_in_order_and_hold_nothing_twice() {
        let mut codes: Vec<u32> = TABLES.iter().map(|table| table.code).collect();
        codes.sort_unstable();
        assert!(codes.windows(2).all(|pair| pair[0] < pair[1]));
        for table in TABLES.iter() {
            let keys: Vec<_> = table
                .violations
                .iter()
                .map(|v| (v.subcode, v.detail.is_none(), v.detail))
                .collect();
            assert!(keys.windows(2).all(|pair| pair[0] < pair[1]), "{}", table.name);
        }
    }

    #[test]
    fn every_line_begins_with_a_small_letter_and_ends_without_a_full_stop() {
        for violation in TABLES.iter().flat_map(|table| &table.violations) {
            assert!(!violation.meaning.is_empty() && !violation.meaning.ends_with('.'));
        }
    }
}
