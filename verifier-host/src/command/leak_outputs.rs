//! `--format` and `--output`: in which forms outstanding allocations are written, and where. The dump is read
//! once for all of them.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use verifier_core::render::{
    LeaksView, Severity, Snippets, write_leaks_csv, write_leaks_folded, write_leaks_github,
    write_leaks_json, write_leaks_junit, write_leaks_markdown, write_leaks_sarif, write_leaks_text,
};
use verifier_host::{Error, FilteredLeaks, GroupBy, flame_graph, write_file};

use super::leak_filter::WeightArg;
use super::output::{is_stdout, stdout, warn};
use super::show::OutputFormat;

/// Groups that are shown to people by default.
pub(super) const SHOWN: usize = 20;
/// GitHub shows ten annotations of each kind for each step.
const ANNOTATIONS: usize = 10;

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum LeaksFormat {
    Text,
    Json,
    Csv,
    Markdown,
    /// Lines for flame graph viewers
    Folded,
    /// A picture of the stacks, as SVG
    Flamegraph,
    /// Results beside the source, for code hosts
    Sarif,
    /// Tests, for build servers
    Junit,
    /// Annotations of a GitHub workflow
    Github,
}

impl OutputFormat for LeaksFormat {
    fn is_text(self) -> bool {
        self == Self::Text
    }

    fn says_problems(self) -> bool {
        !matches!(self, Self::Json | Self::Sarif)
    }
}

impl LeaksFormat {
    /// True if it is a list of groups: it has no place for the filters.
    pub(super) fn is_table(self) -> bool {
        matches!(self, Self::Csv | Self::Folded)
    }

    /// True if it shows whole stacks, so that its groups can only be those by stack.
    fn is_by_stack(self) -> bool {
        matches!(self, Self::Folded | Self::Flamegraph)
    }

    /// What its groups are by. People see the driver's own frames; programs get whole stacks.
    fn by(self, asked: Option<GroupBy>) -> GroupBy {
        match (self, asked) {
            // Each tag is a frame of its own.
            _ if self.is_by_stack() => GroupBy::StackAndTag,
            (_, Some(by)) => by,
            (Self::Text | Self::Markdown, None) => GroupBy::Path,
            // Each line of code has a place of its own.
            (Self::Sarif | Self::Github, None) => GroupBy::Line,
            // A test has the same name in the next build.
            (Self::Junit, None) => GroupBy::Function,
            (_, None) => GroupBy::Stack,
        }
    }

    /// How many groups are shown if the user does not say; `None` shows all.
    fn top(self) -> Option<usize> {
        match self {
            Self::Text | Self::Markdown => Some(SHOWN),
            Self::Github => Some(ANNOTATIONS),
            _ => None,
        }
    }
}

#[derive(Args)]
pub(super) struct OutputArgs {
    /// How the result is written to standard output [default: text]
    #[arg(long, value_enum)]
    format: Option<LeaksFormat>,
    /// Write the result to a file too, such as json=leaks.json; - is standard output. Repeatable
    #[arg(long, value_name = "FORMAT=FILE", value_parser = parse_output)]
    output: Vec<Output>,
    /// What folded stacks and flame graphs weigh [default: bytes]
    #[arg(long, value_enum)]
    weight: Option<WeightArg>,
}

/// A form of the result, and its file.
#[derive(Clone)]
struct Output {
    format: LeaksFormat,
    file: PathBuf,
}

fn parse_output(text: &str) -> Result<Output, String> {
    let (format, file) = text.split_once('=').unwrap_or((text, ""));
    if file.is_empty() {
        return Err("it is not FORMAT=FILE, such as json=leaks.json".into());
    }
    let format = LeaksFormat::from_str(format, true).map_err(|_| {
        let names = LeaksFormat::value_variants().iter().filter_map(ValueEnum::to_possible_value);
        let names: Vec<String> = names.map(|value| value.get_name().to_owned()).collect();
        format!("{format:?} is none of {}", names.join(", "))
    })?;
    Ok(Output { format, file: file.into() })
}

impl OutputArgs {
    /// The format of standard output: that of `--format`, or of `--output FORMAT=-`, or text.
    pub(super) fn stdout(&self) -> LeaksFormat {
        let of_output = self.output.iter().find(|output| is_stdout(&output.file));
        self.format.or(of_output.map(|output| output.format)).unwrap_or(LeaksFormat::Text)
    }

    /// The files that are written.
    pub(super) fn files(&self) -> impl Iterator<Item = &Path> {
        self.named().map(|output| &*output.file)
    }

    fn named(&self) -> impl Iterator<Item = &Output> {
        self.output.iter().filter(|output| !is_stdout(&output.file))
    }

    /// Refuses two results in one place, and a weight that no format has.
    pub(super) fn check(&self) -> Result<(), Error> {
        let to_stdout = self.output.iter().filter(|output| is_stdout(&output.file)).count();
        if to_stdout + usize::from(self.format.is_some()) > 1 {
            return Err(Error::Usage(
                "only one result can go to standard output: give --format, or one --output FORMAT=-"
                    .into(),
            ));
        }
        let files: Vec<&Path> = self.files().collect();
        if let Some((_, twice)) =
            files.iter().enumerate().find(|(index, file)| files[..*index].contains(file))
        {
            return Err(Error::Usage(format!("{}: --output names it twice", twice.display())));
        }
        let all = self.named().map(|output| output.format).chain([self.stdout()]);
        if self.weight.is_some() && !all.into_iter().any(LeaksFormat::is_by_stack) {
            return Err(Error::Usage("--weight is for folded and flamegraph".into()));
        }
        Ok(())
    }

    /// Writes the files, each as far as it can be written, then standard output. Gives the result of standard
    /// output, or the first error of a file.
    pub(super) fn write(
        &self,
        found: &FilteredLeaks,
        shown: Shown<'_>,
    ) -> Result<io::Result<()>, Error> {
        let mut views = Views { found, shown, made: Vec::new() };
        let mut failed = None;
        for Output { format, file } in self.named() {
            let mut bytes = Vec::new();
            let written = self
                .write_one(&mut bytes, *format, &mut views)
                .and_then(|()| write_file(file, &bytes));
            match (written, &failed) {
                (Ok(()), _) => {}
                (Err(error), None) => failed = Some(error),
                (Err(error), Some(_)) => warn(&error.to_string()),
            }
        }
        let mut out = stdout();
        let written = self.write_one(&mut out, self.stdout(), &mut views);
        match (failed, written.and_then(|()| Ok(out.flush()?))) {
            (Some(error), _) => Err(error),
            (None, Ok(())) => Ok(Ok(())),
            (None, Err(Error::Output(why))) => Ok(Err(why)),
            (None, Err(error)) => Err(error),
        }
    }

    fn write_one(
        &self,
        out: &mut dyn Write,
        format: LeaksFormat,
        views: &mut Views<'_>,
    ) -> Result<(), Error> {
        let weight = self.weight.unwrap_or(WeightArg::Bytes).into();
        let view = views.of(format);
        match format {
            LeaksFormat::Text => write_leaks_text(out, view)?,
            LeaksFormat::Json => write_leaks_json(out, view)?,
            LeaksFormat::Csv => write_leaks_csv(out, view)?,
            LeaksFormat::Markdown => write_leaks_markdown(out, view)?,
            LeaksFormat::Folded => write_leaks_folded(out, view, weight)?,
            LeaksFormat::Sarif => write_leaks_sarif(out, view)?,
            LeaksFormat::Junit => write_leaks_junit(out, view)?,
            LeaksFormat::Github => write_leaks_github(out, view)?,
            LeaksFormat::Flamegraph => out.write_all(&flame_graph(view, weight, false)?)?,
        }
        Ok(())
    }
}

/// What the user asked outputs to show.
pub(super) struct Shown<'a> {
    /// What blocks are grouped by, instead of the format's own.
    pub(super) by: Option<GroupBy>,
    pub(super) top: Option<usize>,
    pub(super) severity: Severity,
    /// Reads source files, if their lines are to be shown.
    pub(super) snippets: Option<&'a dyn Snippets>,
}

/// The groups that outputs show, each made when a format needs it.
struct Views<'a> {
    found: &'a FilteredLeaks,
    shown: Shown<'a>,
    made: Vec<LeaksView<'a>>,
}

impl<'a> Views<'a> {
    fn of(&mut self, format: LeaksFormat) -> &LeaksView<'a> {
        let by = format.by(self.shown.by);
        let index = self.made.iter().position(|view| view.by == by).unwrap_or_else(|| {
            let mut view = self.found.by(by);
            view.snippets = self.shown.snippets;
            view.severity = self.shown.severity;
            self.made.push(view);
            self.made.len() - 1
        });
        let view = &mut self.made[index];
        view.top = top(self.shown.top, format.top());
        view
    }
}

/// How many groups are shown: the number that was asked for, 0 meaning all, or the format's own.
pub(super) fn top(asked: Option<usize>, default: Option<usize>) -> Option<usize> {
    match asked {
        Some(0) => None,
        Some(top) => Some(top),
        None => default,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_output_is_a_format_and_a_file() {
        let output = parse_output("csv=a=b.csv").unwrap();
        assert!(output.format == LeaksFormat::Csv && output.file == Path::new("a=b.csv"));
        for (wrong, why) in [
            ("csv", "FORMAT=FILE"),
            ("csv=", "FORMAT=FILE"),
            ("=a.csv", "\"\" is none of text, json, csv,"),
            ("xls=a.xls", "\"xls\" is none of text, json, csv,"),
        ] {
            let error = parse_output(wrong).err().unwrap();
            assert!(error.contains(why), "{wrong}: {error}");
        }
    }
}
