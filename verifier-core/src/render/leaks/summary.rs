//! The answer in three lines, for text, Markdown and JSON.

use serde::Serialize;

use super::{LeaksView, Size, Thousands, amount, at_least, blocks, percent, sentence};
use crate::analysis::{Total, Worst};
use crate::completeness::Completeness;
use crate::render::json::TotalDoc;
use crate::render::text::sanitize;

/// Drivers that a line names; the others are counted.
const DRIVERS: usize = 4;

impl LeaksView<'_> {
    /// "342 blocks are outstanding, 354,689 bytes (346.4 KiB)", with "at least" if more may be.
    pub(in crate::render) fn total_line(&self, answer: &Completeness) -> String {
        let all = self.summary.all;
        let are = if all.count == 1 { "is" } else { "are" };
        let total = sentence(&at_least(answer, &blocks(all.count)));
        format!("{total} {are} outstanding, {}", with_size(all.bytes))
    }

    /// "leaky.sys holds 300 blocks, 313,736 bytes; vendor.sys 40 blocks, 36,865 bytes".
    #[must_use]
    pub fn drivers_line(&self) -> String {
        let mut parts = Vec::new();
        for &(driver, total) in self.summary.drivers.iter().take(DRIVERS) {
            let name = self.leaks.drivers.get(driver).map_or("", |driver| &driver.name);
            let holds = if parts.is_empty() { " holds" } else { "" };
            parts.push(format!("{}{holds} {}", sanitize(name), amount(total)));
        }
        let rest = self.summary.drivers.get(DRIVERS..).unwrap_or_default();
        if !rest.is_empty() {
            let total = rest.iter().fold(Total::default(), |all, &(_, one)| all.and(one));
            let s = if rest.len() == 1 { "" } else { "s" };
            parts.push(format!("{} more driver{s} {}", rest.len(), amount(total)));
        }
        parts.join("; ")
    }

    /// "Most is from leaky!LeakAllocate, 300 blocks, 88.5 % of bytes; its worst line is pool.h:22 ← cache.c:17,
    /// 41 blocks, 12.0 % of bytes". `None` if no block has a line of code outside the kernel and Verifier.
    #[must_use]
    pub fn worst_line(&self) -> Option<String> {
        let worst = self.summary.worst?;
        let share = |total: Total| {
            let share = percent(total.bytes, self.summary.all.bytes);
            format!("{}, {share} of bytes", blocks(total.count))
        };
        let most = if worst.total.bytes.saturating_mul(2) > self.summary.all.bytes {
            "Most is from"
        } else {
            "The largest part is from"
        };
        let function = self.names.text(worst.function);
        let mut text = format!("{most} {function}, {}", share(worst.total));
        if let Some(site) = self.names.source(worst.site) {
            let place = site.brief();
            let place = sanitize(&place);
            if worst.at_site == worst.total {
                text.push_str(&format!(", all from {place}"));
            } else {
                text.push_str(&format!("; its worst line is {place}, {}", share(worst.at_site)));
            }
        }
        Some(text)
    }

    pub(super) fn summary_doc(&self) -> SummaryDoc<'_> {
        let drivers = self.summary.drivers.iter();
        SummaryDoc {
            total: self.summary.all.into(),
            drivers: drivers
                .map(|&(driver, total)| DriverDoc {
                    name: self.leaks.drivers.get(driver).map_or("", |driver| &driver.name),
                    total: total.into(),
                })
                .collect(),
            worst: self.summary.worst.map(|worst| self.worst_doc(worst)),
        }
    }

    fn worst_doc(&self, worst: Worst) -> WorstDoc {
        let site = self.names.source(worst.site);
        let (file, line) = match &site {
            Some(site) => (Some(site.innermost().0.to_string()), Some(site.innermost().1)),
            None => (None, None),
        };
        WorstDoc {
            function: self.name(worst.function).to_string(),
            total: worst.total.into(),
            line_of_code: LineDoc {
                symbol: self.name(worst.site).to_string(),
                file,
                line,
                total: worst.at_site.into(),
            },
        }
    }
}

/// "354,689 bytes (346.4 KiB)".
fn with_size(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} bytes"),
        _ => format!("{} bytes ({})", Thousands(bytes), Size(bytes)),
    }
}

/// The summary in JSON.
#[derive(Serialize)]
pub(super) struct SummaryDoc<'a> {
    total: TotalDoc,
    drivers: Vec<DriverDoc<'a>>,
    worst: Option<WorstDoc>,
}

#[derive(Serialize)]
struct DriverDoc<'a> {
    name: &'a str,
    #[serde(flatten)]
    total: TotalDoc,
}

#[derive(Serialize)]
struct WorstDoc {
    function: String,
    #[serde(flatten)]
    total: TotalDoc,
    line_of_code: LineDoc,
}

#[derive(Serialize)]
struct LineDoc {
    symbol: String,
    file: Option<String>,
    line: Option<u32>,
    #[serde(flatten)]
    total: TotalDoc,
}
