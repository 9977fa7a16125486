//! `verifier flamegraph`: a picture of the stacks that hold pool, by inferno.

use std::io::Write as _;

use inferno::flamegraph::{self, Options, TextTruncateDirection};
use verifier_core::Va;
use verifier_core::analysis::{GroupBy, Grouping};
use verifier_core::render::{LeaksView, Names, Weight, folded_stacks};

use super::leak_args::FlamegraphArgs;
use super::output::{
    complain_kernel_symbols, complain_missing_symbols, complain_problems, stdout, write_file,
};
use super::progress::Stage;
use crate::error::Error;

pub(super) fn run(args: &FlamegraphArgs) -> Result<(), Error> {
    let session = args.dump.open()?;
    complain_kernel_symbols(&session);
    let kernel = session.kernel()?;
    let leaks = args.filter.read(&session)?;
    complain_problems(&leaks.problems);
    complain_missing_symbols(&session);
    let names = Names::new(kernel);
    let skip = |va: Va| args.filter.skipped(&names, va);
    let grouping = Grouping::new(kernel, &leaks, args.filter.skips().then_some(&skip));
    let groups = grouping.groups(GroupBy::Stack);
    let view =
        LeaksView { leaks: &leaks, by: GroupBy::Stack, groups: &groups, top: None, names: &names };
    let stage = Stage::begin("drawing");
    let picture = draw(&folded_stacks(&view, args.by.into()), args.by.into())?;
    drop(stage);
    write_file(&args.output, &picture)?;
    let mut out = stdout();
    writeln!(
        out,
        "{}: {} blocks in {} stacks",
        args.output.display(),
        leaks.blocks.len(),
        groups.len()
    )?;
    Ok(out.flush()?)
}

/// A flame graph of folded stacks as SVG. Without any stack it says so.
fn draw(stacks: &[(String, u64)], weight: Weight) -> Result<Vec<u8>, Error> {
    let mut options = Options::default();
    options.title = "Outstanding pool allocations".into();
    (options.count_name, options.name_type) = match weight {
        Weight::Bytes => ("bytes".into(), "Frame:".into()),
        Weight::Count => ("blocks".into(), "Frame:".into()),
    };
    // One picture for one dump, wherever it is drawn.
    options.hash = true;
    // The module and the start of a name say more than its end.
    options.text_truncate_direction = TextTruncateDirection::Right;
    let lines: Vec<String> = if stacks.iter().all(|(_, value)| *value == 0) {
        vec!["(no outstanding allocation) 1".into()]
    } else {
        stacks.iter().map(|(path, value)| format!("{path} {value}")).collect()
    };
    let mut svg = Vec::new();
    flamegraph::from_lines(&mut options, lines.iter().map(String::as_str), &mut svg)
        .map_err(std::io::Error::other)?;
    Ok(svg)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_text() {
        let stacks = [
            ("a.sys;<img src=x onerror=alert(1)>;\"&]]>'".to_string(), 10),
            ("a.sys;<script>alert(1)</script>".to_string(), 5),
        ];
        let svg = String::from_utf8(draw(&stacks, Weight::Bytes).unwrap()).unwrap();
        assert!(svg.contains("&lt;img src=x onerror=alert(1)&gt;"), "escaped");
        assert!(!svg.contains("<img"), "no element of that name");
        assert!(!svg.contains("<script>alert"), "no script");
    }

    #[test]
    fn nothing_to_draw() {
        let svg = String::from_utf8(draw(&[], Weight::Count).unwrap()).unwrap();
        assert!(svg.contains("no outstanding allocation"));
    }
}
