//! What the bug checks of Verifier mean: tables that lead from code and subcode to a meaning, and to the kind
//! and the name of each of the four parameters.
//!
//! | code | subcode | table |
//! |---|---|---|
//! | 0xC4, Verifier | parameter 1 | `tables/verifier.txt`, rules from 0x20000 on: `tables/rules.txt` |
//! | 0x1C4, the same as a live dump | parameter 1 | `tables/rules.txt` |
//! | 0xC9, I/O verification | parameter 1 | `tables/io.txt` |
//! | 0xE6, DMA checking | parameter 1, for some also parameter 2 | `tables/dma.txt` |
//! | 0xC1, special pool | parameter 4 | `tables/pool.txt` |
//! | 0xC6, 0xCB, 0xCC, 0xCD, 0xCE, 0xD4, 0xD5, 0xD6 | none | `tables/pool.txt` |
//! | 0xC7, 0xF1, 0x10D | parameter 1 | `tables/other.txt` |
//! | 0x1E5, a live dump of pool stacks | none | `tables/other.txt` |
//!
//! Source: the Windows driver documentation, which `checks/bug_checks.py` compares with the tables. A subcode
//! that it does not name is reported as unknown, with its number.

mod parameter;
mod rules;
mod table;
mod values;

pub use parameter::{Parameter, ParameterKind};
pub use rules::{Rule, violated_condition};
pub use values::{major_function, value_name};

use crate::dump::BugCheck;
use table::Table;

/// What a bug check of Verifier says.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Explanation {
    /// The code's name: `DRIVER_VERIFIER_DETECTED_VIOLATION`.
    pub name: &'static str,
    /// What happened. For a subcode that is not in the tables: that it is unknown, and its number.
    pub meaning: String,
    /// What each parameter is.
    pub parameters: [Parameter; 4],
    /// False if the subcode is not in the tables.
    pub is_known: bool,
}

impl Explanation {
    /// The names of the parameters.
    #[must_use]
    pub fn labels(&self) -> [&'static str; 4] {
        self.parameters.map(|parameter| parameter.label)
    }
}

/// What a bug check says, if it is one of those that Verifier's checks lead to; the module lists them.
///
/// Source: the Windows driver documentation. A subcode that it does not name is reported as unknown, with its
/// number.
#[must_use]
pub fn explain_bug_check(bug_check: &BugCheck) -> Option<Explanation> {
    const LIVE: &str = "DRIVER_VERIFIER_DETECTED_VIOLATION_LIVEDUMP";
    let BugCheck { code, parameters } = bug_check;
    let table = Table::of(*code);
    let name = match (code, table) {
        (_, Some(table)) => table.name,
        (0x1c4, None) => LIVE,
        (_, None) => return None,
    };
    let rule = Rule::by_id(parameters[0]).filter(|_| matches!(code, 0xc4 | 0x1c4));
    let (meaning, parameters, is_known) = match (rule, table.and_then(|t| t.violation(parameters)))
    {
        (Some(rule), _) => {
            let meaning = format!("a driver violated the rule {}", rule.name);
            (meaning, rule.parameters(*code), true)
        }
        (None, Some(violation)) => (violation.meaning.to_owned(), violation.parameters, true),
        (None, None) => {
            let index = table.map_or(Some(0), |table| table.subcode).unwrap_or(0);
            let subcode = parameters.get(index).copied().unwrap_or(0);
            let mut unknown = [Parameter::UNKNOWN; 4];
            if let Some(parameter) = unknown.get_mut(index) {
                *parameter = Parameter::SUBCODE;
            }
            (format!("unknown subcode {subcode:#x}"), unknown, false)
        }
    };
    Some(Explanation { name, meaning, parameters, is_known })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explain(code: u32, parameters: [u64; 4]) -> Explanation {
        explain_bug_check(&BugCheck { code, parameters }).unwrap()
    }

    fn kinds(code: u32, parameters: [u64; 4]) -> [&'static str; 4] {
        explain(code, parameters).parameters.map(|parameter| parameter.kind.name())
    }

    #[test]
    fn subcodes_are_where_each_code_has_them() {
        let unload = explain(0xc4, [0x62, 1, 2, 3]);
        assert_eq!(unload.name, "DRIVER_VERIFIER_DETECTED_VIOLATION");
        assert_eq!(unload.labels()[0], "subcode");
        assert_eq!(unload.labels()[3], "allocations not freed");
        let special = explain(0xc1, [0xffff_8000, 0, 0, 0x24]);
        assert_eq!(
            special.labels(),
            ["address being freed", "address of the corruption", "reserved", "subcode"]
        );
        assert!(explain(0xc4, [0x91001, 0, 0, 0]).meaning.ends_with("rule NdisOidComplete"));
        assert_eq!(explain(0x1c4, [0x91001, 0, 0, 0]).labels()[2], "rule state");
        assert_eq!(explain(0xe6, [0xf, 3, 0, 0]).meaning, "a free map register was overwritten");
        assert_eq!(explain(0xe6, [0xf, 9, 0, 0]).labels()[1], "violation");
        assert_eq!(explain(0xc9, [0x226, 0, 0, 0]).labels()[2], "IRP address");
        // The detail of 0x10D/0xB is parameter 3.
        assert!(explain(0x10d, [0xb, 0, 1, 0]).meaning.contains("spin lock"));
        assert!(explain(0x10d, [0xb, 0, 7, 0]).meaning.ends_with("a lock wrongly"));
    }

    /// The parameters that an older table had wrong.
    #[test]
    fn parameters_are_of_the_documented_kinds() {
        for (code, subcode, expected) in [
            (0xc4, 0x2000, ["subcode", "caller", "pool_type", "pool_tag"]),
            (0xc4, 0x34, ["subcode", "irql", "signed", "lock"]),
            (0xc4, 0x52, ["subcode", "pool", "internal", "size"]),
            (0xc4, 0x53, ["subcode", "pool", "internal", "reserved"]),
            (0xc4, 0x54, ["subcode", "pool", "reserved", "count"]),
            (0xc4, 0x59, ["subcode", "pool", "number", "reserved"]),
            (0xc4, 0x1010, ["subcode", "device_object", "irp", "address"]),
            (0xc4, 0x20025, ["rule", "text", "reserved", "reserved"]),
            (0xc9, 0x202, ["subcode", "caller", "device_object", "reserved"]),
            (0xc9, 0x24b, ["subcode", "caller", "device_object", "reserved"]),
            (0xc9, 0x220, ["subcode", "caller", "irp", "number"]),
            (0xc9, 0x224, ["subcode", "caller", "irp", "status"]),
            (0xc9, 0x225, ["subcode", "caller", "irp", "status"]),
            (0xc9, 0x249, ["subcode", "caller", "device_object", "device_object"]),
            (0xc9, 0x24a, ["subcode", "caller", "reserved", "reserved"]),
            (0xc9, 0x300, ["subcode", "caller", "irp", "status"]),
            (0xc9, 0x301, ["subcode", "caller", "irp", "irql"]),
            (0xc9, 0x302, ["subcode", "caller", "irp", "irql"]),
            (0xc9, 0x226, ["subcode", "caller", "irp", "reserved"]),
            (0xc9, 0x240, ["subcode", "reserved", "reserved", "reserved"]),
            (0xc9, 0x247, ["subcode", "reserved", "reserved", "reserved"]),
            (0xcb, 0, ["locked_pages", "reserved", "mdl", "count"]),
            (0xcc, 0, ["pool", "access", "code", "reserved"]),
            (0xd4, 0, ["address", "irql", "access", "code"]),
            (0xc7, 4, ["subcode", "code", "signed", "signed"]),
            (0xf1, 0x1002, ["subcode", "code", "address", "time"]),
            (0x10d, 0xd, ["subcode", "handle", "irp", "reserved"]),
            (0x1e5, 0, ["internal", "size", "count", "count"]),
        ] {
            assert_eq!(kinds(code, [subcode, 0, 0, 0]), expected, "{code:#x}/{subcode:#x}");
        }
        for subcode in [
            0x3b, 0x6f, 0xb5, 0xb6, 0xb7, 0xb9, 0xfc, 0x141, 0x1010, 0x1011, 0x1012, 0x1013,
            0x2001, 0x2002, 0x2003, 0x2004, 0x2005, 0xa00e, 0x20023, 0x20024, 0x20025, 0x8100c,
        ] {
            assert!(explain(0xc4, [subcode, 0, 0, 0]).is_known, "{subcode:#x}");
        }
    }

    /// The two references have different names for parameter 3 of the IRQL rules.
    #[test]
    fn rules_say_which_parameters_lead_to_their_state() {
        const BOTH: [&str; 2] = ["rule state", "supplemental states"];
        const NONE: &str = "reserved";
        for (code, id, state) in [
            (0xc4, 0x20002, ["rule state, if not null", NONE]),
            (0xc4, 0x2001f, ["rule state, if not null", NONE]),
            (0x1c4, 0x20002, [NONE; 2]),
            (0xc4, 0x2001d, BOTH),
            (0x1c4, 0x2001d, BOTH),
            (0xc4, 0x20022, [NONE; 2]),
            (0xc4, 0x4100b, [NONE; 2]),
            (0xc4, 0x43006, [NONE; 2]),
            (0xc4, 0x91001, BOTH),
        ] {
            let said = explain(code, [id, 0, 0, 0]);
            assert_eq!(said.labels()[2..], state, "{code:#x}/{id:#x}");
            assert_eq!(said.labels()[1], "address of the text of the violated condition");
        }
    }

    #[test]
    fn what_is_not_documented_is_unknown() {
        let unknown = explain(0xc4, [0x2bad, 0, 0, 0]);
        assert_eq!(unknown.meaning, "unknown subcode 0x2bad");
        assert_eq!(unknown.labels(), ["subcode", "unknown", "unknown", "unknown"]);
        assert!(!unknown.is_known);
        assert!(!explain(0x1c4, [0x62, 0, 0, 0]).is_known);
        assert_eq!(explain(0xc1, [1, 2, 3, 0x77]).labels()[3], "subcode");
        assert_eq!(explain_bug_check(&BugCheck { code: 0xe2, parameters: [0; 4] }), None);
    }
}
