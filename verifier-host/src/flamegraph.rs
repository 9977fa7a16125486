//! A picture of the stacks that hold pool. No other module uses the crate `inferno`.

use inferno::flamegraph::{self, Options, TextTruncateDirection};
use verifier_core::render::text::{extent_line, sanitize};
use verifier_core::render::{LeaksView, Weight, filter_line, folded_stacks};

use crate::error::Error;
use crate::overwrite::OutputKind;

/// A flame graph of the groups of `view`, which should be by stack, as SVG. An inverted one is merged from the
/// innermost frames, so it shows what allocated, and then who called that. If there are no blocks, it says so.
///
/// # Errors
/// [`Error::Output`].
pub fn flame_graph(view: &LeaksView<'_>, weight: Weight, inverted: bool) -> Result<Vec<u8>, Error> {
    let mut title = "Outstanding pool allocations".to_owned();
    let answer = view.leaks.completeness();
    let more = [view.leaks.dump.clone(), filter_line(view.leaks), extent_line(&answer)];
    for more in more.into_iter().flatten() {
        title.push_str(" – ");
        title.push_str(&sanitize(&more));
    }
    let nothing = if answer.is_complete() { "no outstanding allocation" } else { UNKNOWN };
    draw(&folded_stacks(view, weight), weight, inverted, title, nothing)
}

/// The one frame of a picture without blocks, if more may exist.
const UNKNOWN: &str = "unknown: no block was found, and more may exist";

fn draw(
    stacks: &[(String, u64)],
    weight: Weight,
    inverted: bool,
    title: String,
    nothing: &str,
) -> Result<Vec<u8>, Error> {
    let mut options = Options::default();
    options.title = title;
    options.reverse_stack_order = inverted;
    options.notes = OutputKind::FlameGraph.mark().into();
    (options.count_name, options.name_type) = match weight {
        Weight::Bytes => ("bytes".into(), "Frame:".into()),
        Weight::Count => ("blocks".into(), "Frame:".into()),
    };
    // The same dump gives the same picture everywhere.
    options.hash = true;
    // The module and the start of a name matter more than its end.
    options.text_truncate_direction = TextTruncateDirection::Right;
    let lines: Vec<String> = if stacks.iter().all(|(_, value)| *value == 0) {
        vec![format!("({nothing}) 1")]
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
        let svg =
            String::from_utf8(draw(&stacks, Weight::Bytes, false, "<b>".into(), "none").unwrap())
                .unwrap();
        assert!(svg.contains("&lt;img src=x onerror=alert(1)&gt;"), "escaped");
        assert!(!svg.contains("<img") && !svg.contains("<b>"), "no element of that name");
        assert!(svg.contains("&lt;b&gt;"), "the title too");
        assert!(!svg.contains("<script>alert"), "no script");
    }

    #[test]
    fn nothing_to_draw() {
        let svg =
            String::from_utf8(draw(&[], Weight::Count, true, String::new(), UNKNOWN).unwrap())
                .unwrap();
        assert!(svg.contains(UNKNOWN));
    }
}
