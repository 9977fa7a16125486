//! What functions allocated and freed while the pool log was written.

use verifier_core::analysis::{Churn, FunctionChurn};
use verifier_core::render::{Names, escape_html, percent};

use super::html::{counted, number, size, write_table};

/// The most functions in the page.
const MAX_FUNCTIONS: usize = 200;

const HEADS: [(&str, &str); 8] = [
    ("Function", ""),
    ("Allocations", "n"),
    ("Asked for", "n"),
    ("Freed", "n"),
    ("Share freed", "n"),
    ("Median life", "n"),
    ("Shortest to longest", "n"),
    ("Failed", "n"),
];

/// Writes the section.
pub(super) fn write(out: &mut String, churn: Option<&Churn>, names: &Names<'_>) {
    out.push_str("<section id=\"churn\"><h2>Churn</h2>\n");
    match churn {
        Some(churn) if !churn.functions.is_empty() => write_functions(out, churn, names),
        Some(_) => out.push_str("<p>The pool log has no allocation.</p>\n"),
        None => out.push_str(
            "<p>There are no pairs: the pool log could not be read, or its order is unknown.</p>\n",
        ),
    }
    out.push_str("</section>\n");
}

fn write_functions(out: &mut String, churn: &Churn, names: &Names<'_>) {
    out.push_str(
        "<p class=\"note\">Allocations of the pool log and the frees that followed, by the first \
         function outside the kernel. A record has no time, so a life is counted in records.",
    );
    if churn.unmatched_frees > 0 {
        out.push_str(&format!(
            " {} of blocks whose allocation is not in the log are left out.",
            counted(churn.unmatched_frees, "free")
        ));
    }
    out.push_str("</p>\n");
    let functions = churn.functions.iter().take(MAX_FUNCTIONS);
    write_table(out, "sortable", &HEADS, functions.map(|of| cells(of, names)));
    let folded = churn.functions.len().saturating_sub(MAX_FUNCTIONS);
    if folded > 0 {
        let rest = counted(folded as u64, "function");
        out.push_str(&format!("<p class=\"note\">{rest} with fewer frees are left out.</p>\n"));
    }
}

fn cells(of: &FunctionChurn, names: &Names<'_>) -> Vec<String> {
    let function = match of.function {
        Some(va) => escape_html(&names.text(va)),
        None => "(no frame outside the kernel and Verifier)".into(),
    };
    let (median, range) = match of.lifetime {
        Some(life) => (
            number(life.median.into()),
            format!("{}–{}", number(life.shortest.into()), number(life.longest.into())),
        ),
        None => ("–".into(), "–".into()),
    };
    vec![
        format!("<code>{function}</code>"),
        number(of.allocations),
        size(of.bytes),
        number(of.freed),
        percent(of.freed, of.allocations),
        median,
        range,
        number(of.failed),
    ]
}
