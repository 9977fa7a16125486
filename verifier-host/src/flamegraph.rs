//! A picture of the stacks that hold pool. No other module uses the crate `inferno`.

use inferno::flamegraph::{self, Direction, Options, TextTruncateDirection};
use verifier_core::render::text::{extent_line, sanitize};
use verifier_core::render::{LeaksView, Weight, filter_line, folded_stacks, inverted_stacks};

use crate::error::Error;
use crate::overwrite::OutputKind;

/// A flame graph of the groups of `view`, which should be by stack and tag, as SVG. An inverted one is bottom-up:
/// it shows what allocated, and then who called that, without frames of the kernel. If there are no blocks, it
/// says so.
///
/// # Errors
/// [`Error::Output`].
pub fn flame_graph(view: &LeaksView<'_>, weight: Weight, inverted: bool) -> Result<Vec<u8>, Error> {
    let stacks = if inverted { inverted_stacks } else { folded_stacks };
    draw(&stacks(view, weight), weight, About::of(view, inverted))
}

/// What is around the frames of a picture.
struct About {
    title: String,
    /// The text if there are no blocks.
    nothing: &'static str,
    is_inverted: bool,
}

impl About {
    fn of(view: &LeaksView<'_>, is_inverted: bool) -> Self {
        let mut title = "Outstanding pool allocations".to_owned();
        let answer = view.leaks.completeness();
        let more = [view.leaks.dump.clone(), filter_line(view.leaks), extent_line(&answer)];
        for more in more.into_iter().flatten() {
            title.push_str(" – ");
            title.push_str(&sanitize(&more));
        }
        let nothing = if answer.is_complete() { "no outstanding allocation" } else { UNKNOWN };
        Self { title, nothing, is_inverted }
    }
}

/// The one frame of a picture without blocks, if more may exist.
const UNKNOWN: &str = "unknown: no block was found, and more may exist";

fn draw(stacks: &[(String, u64)], weight: Weight, about: About) -> Result<Vec<u8>, Error> {
    let About { title, nothing, is_inverted } = about;
    let mut options = Options::default();
    options.title = title;
    if is_inverted {
        options.direction = Direction::Inverted;
    }
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

    fn about(title: &str, nothing: &'static str) -> About {
        About { title: title.into(), nothing, is_inverted: false }
    }

    #[test]
    fn names_are_text() {
        let stacks = [
            ("a.sys;<img src=x onerror=alert(1)>;\"&]]>'".to_string(), 10),
            ("a.sys;<script>alert(1)</script>".to_string(), 5),
        ];
        let svg =
            String::from_utf8(draw(&stacks, Weight::Bytes, about("<b>", "none")).unwrap()).unwrap();
        assert!(svg.contains("&lt;img src=x onerror=alert(1)&gt;"), "escaped");
        assert!(!svg.contains("<img") && !svg.contains("<b>"), "no element of that name");
        assert!(svg.contains("&lt;b&gt;"), "the title too");
        assert!(!svg.contains("<script>alert"), "no script");
    }

    #[test]
    fn nothing_to_draw() {
        let svg = String::from_utf8(draw(&[], Weight::Count, about("", UNKNOWN)).unwrap()).unwrap();
        assert!(svg.contains(UNKNOWN));
    }
}
