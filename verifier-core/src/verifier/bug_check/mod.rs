//! What the bug checks of Verifier mean: tables that lead from code and subcode to a meaning and the names of
//! the four parameters.
//!
//! | code | subcode | table |
//! |---|---|---|
//! | 0xC1, special pool | parameter 4 | here |
//! | 0xC4, Verifier; 0x1C4, the same as a live dump | parameter 1 | `c4`, `rules` |
//! | 0xC6, 0xD6, special pool | none | here |
//! | 0xC9, I/O verification | parameter 1 | `c9` |
//! | 0xE6, DMA checking | parameter 1, for some also parameter 2 | `dma` |
//!
//! Source: the Windows driver documentation. A subcode that it does not name is reported as
//! unknown, with its number.

mod c4;
mod c9;
mod dma;
mod rules;

pub use rules::violated_condition;

use crate::dump::BugCheck;

/// The name of a parameter without a meaning: zero or reserved.
const NONE: &str = "reserved";
/// The name of a parameter with an unknown meaning.
const UNKNOWN: &str = "unknown";

/// A violation: a subcode and what it says.
#[derive(Debug, Clone, Copy)]
struct Violation {
    subcode: u64,
    /// The value of parameter 2 that it is for, if that decides too.
    detail: Option<u64>,
    /// Names of the other parameters, in order, without the subcode.
    parameters: [&'static str; 3],
    meaning: &'static str,
}

const fn v(subcode: u64, parameters: [&'static str; 3], meaning: &'static str) -> Violation {
    Violation { subcode, detail: None, parameters, meaning }
}

/// What a bug check of Verifier says.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Explanation {
    /// The code's name: `DRIVER_VERIFIER_DETECTED_VIOLATION`.
    pub name: &'static str,
    /// What happened. For a subcode that is not in the tables: that it is unknown, and its number.
    pub meaning: String,
    /// What each parameter is.
    pub parameters: [&'static str; 4],
    /// False if the subcode is not in the tables.
    pub is_known: bool,
}

const SPECIAL_POOL: &[Violation] = &{
    const FREED: &str = "address being freed";
    const CORRUPT: &str = "address of the corruption";
    const IRQL: &str = "current IRQL";
    const TYPE: &str = "pool type";
    const SIZES: [&str; 3] = [FREED, "bytes asked for", "bytes given"];
    [
        v(0x20, [FREED, NONE, NONE], "a driver freed pool that is not allocated"),
        v(0x21, SIZES, "a driver freed a bad address"),
        v(0x22, SIZES, "a driver freed a bad address"),
        v(0x23, [FREED, CORRUPT, NONE], "bytes beside a block in its page are corrupted"),
        v(0x24, [FREED, CORRUPT, NONE], "bytes past the end of a block are overwritten"),
        v(0x30, [IRQL, TYPE, "number of bytes"], "a driver allocated pool at a wrong IRQL"),
        v(0x31, [IRQL, TYPE, FREED], "a driver freed pool at a wrong IRQL"),
        v(0x32, [FREED, CORRUPT, NONE], "one bit beside a block in its page is wrong"),
    ]
};

/// What a bug check says, if it is one of Verifier's: special pool (0xC1, 0xC6, 0xD6), Verifier (0xC4, and 0x1C4
/// for a live dump), I/O verification (0xC9), DMA checking (0xE6).
///
/// Source: the Windows driver documentation. A subcode that it does not name is reported as unknown, with its
/// number.
#[must_use]
pub fn explain_bug_check(bug_check: &BugCheck) -> Option<Explanation> {
    let [first, second, _, fourth] = bug_check.parameters;
    let plain = |name, meaning: &str, parameters| Explanation {
        name,
        meaning: meaning.into(),
        parameters,
        is_known: true,
    };
    Some(match bug_check.code {
        0xc1 => {
            let name = "SPECIAL_POOL_DETECTED_MEMORY_CORRUPTION";
            let mut said = by_subcode(name, SPECIAL_POOL, fourth, second);
            // The subcode is the last parameter here, and the first elsewhere.
            said.parameters.rotate_left(1);
            said
        }
        0xc4 => {
            let name = "DRIVER_VERIFIER_DETECTED_VIOLATION";
            rule(name, bug_check).unwrap_or_else(|| by_subcode(name, c4::VIOLATIONS, first, second))
        }
        0x1c4 => {
            let name = "DRIVER_VERIFIER_DETECTED_VIOLATION_LIVEDUMP";
            rule(name, bug_check).unwrap_or_else(|| by_subcode(name, &[], first, second))
        }
        0xc6 => plain(
            "DRIVER_CAUGHT_MODIFYING_FREED_POOL",
            "a driver accessed pool that was freed",
            ["address accessed", "0: read, 1: write", "0: kernel mode, 1: user mode", NONE],
        ),
        0xc9 => by_subcode("DRIVER_VERIFIER_IOMANAGER_VIOLATION", c9::VIOLATIONS, first, second),
        0xd6 => plain(
            "DRIVER_PAGE_FAULT_BEYOND_END_OF_ALLOCATION",
            "a driver accessed memory past the end of its pool allocation",
            ["address accessed", "0: read, 1: write", "address of the access, if known", NONE],
        ),
        0xe6 => by_subcode("DRIVER_VERIFIER_DMA_VIOLATION", dma::VIOLATIONS, first, second),
        _ => return None,
    })
}

fn by_subcode(name: &'static str, table: &[Violation], subcode: u64, second: u64) -> Explanation {
    let found = table
        .iter()
        .find(|v| v.subcode == subcode && v.detail.is_none_or(|detail| detail == second));
    let (meaning, [a, b, c]) = match found {
        Some(violation) => (violation.meaning.into(), violation.parameters),
        None => (format!("unknown subcode {subcode:#x}"), [UNKNOWN; 3]),
    };
    Explanation { name, meaning, parameters: ["subcode", a, b, c], is_known: found.is_some() }
}

fn rule(name: &'static str, bug_check: &BugCheck) -> Option<Explanation> {
    let rule = rules::Rule::by_id(bug_check.parameters[0])?;
    let [a, b, c] = rule.parameters(bug_check.code);
    let meaning = format!("a driver violated the rule {}", rule.name);
    Some(Explanation { name, meaning, parameters: ["rule", a, b, c], is_known: true })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explain(code: u32, parameters: [u64; 4]) -> Explanation {
        explain_bug_check(&BugCheck { code, parameters }).unwrap()
    }

    #[test]
    fn tables_are_in_order_and_hold_nothing_twice() {
        for table in [SPECIAL_POOL, c4::VIOLATIONS, c9::VIOLATIONS, dma::VIOLATIONS] {
            // Within a subcode, entries with a detail come first and the general one is last.
            let keys: Vec<_> =
                table.iter().map(|v| (v.subcode, v.detail.is_none(), v.detail)).collect();
            assert!(keys.windows(2).all(|pair| pair[0] < pair[1]));
        }
        assert!(rules::RULES.windows(2).all(|pair| pair[0].id < pair[1].id));
        assert!(c4::VIOLATIONS.iter().all(|v| v.subcode < rules::RULES[0].id));
    }

    #[test]
    fn subcodes_lie_where_each_code_has_them() {
        let unload = explain(0xc4, [0x62, 1, 2, 3]);
        assert_eq!(unload.name, "DRIVER_VERIFIER_DETECTED_VIOLATION");
        assert_eq!(unload.parameters[0], "subcode");
        assert_eq!(unload.parameters[3], "allocations not freed");
        let special = explain(0xc1, [0xffff_8000, 0, 0, 0x24]);
        assert_eq!(
            special.parameters,
            ["address being freed", "address of the corruption", "reserved", "subcode"]
        );
        assert!(explain(0xc4, [0x91001, 0, 0, 0]).meaning.ends_with("rule NdisOidComplete"));
        assert_eq!(explain(0x1c4, [0x91001, 0, 0, 0]).parameters[2], "rule state");
        assert_eq!(explain(0xe6, [0xf, 3, 0, 0]).meaning, "a free map register was overwritten");
        assert_eq!(explain(0xe6, [0xf, 9, 0, 0]).parameters[1], "violation");
        assert_eq!(explain(0xc9, [0x226, 0, 0, 0]).parameters[2], "IRP address");
    }

    /// The two references have different names for parameter 3 of the IRQL rules.
    #[test]
    fn rules_say_which_parameters_lead_to_their_state() {
        const BOTH: [&str; 2] = ["rule state", "supplemental states"];
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
            assert_eq!(said.parameters[2..], state, "{code:#x}/{id:#x}");
            assert_eq!(said.parameters[1], "address of the text of the violated condition");
        }
    }

    #[test]
    fn what_is_not_documented_is_unknown() {
        let unknown = explain(0xc4, [0x2bad, 0, 0, 0]);
        assert_eq!(unknown.meaning, "unknown subcode 0x2bad");
        assert_eq!(unknown.parameters, ["subcode", "unknown", "unknown", "unknown"]);
        assert!(!unknown.is_known);
        assert!(!explain(0x1c4, [0x62, 0, 0, 0]).is_known);
        assert_eq!(explain_bug_check(&BugCheck { code: 0xe2, parameters: [0; 4] }), None);
    }
}
