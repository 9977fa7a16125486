//! Leaks as SARIF 2.1.0, which code hosts show beside the source: one result for each group.

use std::io;

use serde::Serialize;

use super::baseline::baseline_lines;
use super::filter::filter_line;
use super::finding::{Finding, Novelty, Rule, unload_without_groups};
use super::source_path::uri;
use super::{LeaksView, amount, unload_line};
use crate::addr::Va;
use crate::analysis::Total;
use crate::completeness::Completeness;
use crate::extent::Extent;
use crate::render::json::{Seq, TotalDoc, write_json};
use crate::verifier::UnloadLeak;

/// The level of what is not a fault.
const NOTE: &str = "note";
/// The folder that relative paths start at.
const ROOT: &str = "%SRCROOT%";

#[derive(Serialize)]
struct Message {
    text: String,
}

impl Message {
    /// Text in which nothing is a link or a placeholder.
    fn new(text: &str) -> Self {
        Self { text: text.replace('{', "{{").replace('}', "}}").replace("](", "\\](") }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct RuleDoc {
    id: &'static str,
    name: String,
    short_description: Message,
    full_description: Message,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Notification {
    level: &'static str,
    message: Message,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Artifact {
    uri: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    uri_base_id: Option<&'static str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Region {
    start_line: u32,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Place {
    artifact_location: Artifact,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<Region>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Logical {
    name: String,
    fully_qualified_name: String,
    kind: &'static str,
}

impl Logical {
    /// `module!function`, or a module.
    fn new(name: &str) -> Self {
        let (own, kind) = match name.split_once('!') {
            Some((_, function)) => (function, "function"),
            None => (name, "module"),
        };
        Self { name: own.to_owned(), fully_qualified_name: name.to_owned(), kind }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Location {
    #[serde(skip_serializing_if = "Option::is_none")]
    physical_location: Option<Place>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    logical_locations: Vec<Logical>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<Message>,
}

#[derive(Serialize)]
struct Frame {
    location: Location,
    #[serde(skip_serializing_if = "Option::is_none")]
    module: Option<String>,
}

#[derive(Serialize)]
struct Stack {
    message: Message,
    frames: Vec<Frame>,
}

#[derive(Serialize)]
struct Fingerprints {
    #[serde(rename = "driverFunctionTag/v1")]
    value: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ResultDoc {
    rule_id: &'static str,
    rule_index: usize,
    level: &'static str,
    message: Message,
    locations: Vec<Location>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    stacks: Vec<Stack>,
    partial_fingerprints: Fingerprints,
    #[serde(skip_serializing_if = "Option::is_none")]
    baseline_state: Option<&'static str>,
    properties: Amounts,
}

#[derive(Serialize)]
struct Amounts {
    #[serde(flatten)]
    total: TotalDoc,
    #[serde(skip_serializing_if = "Option::is_none")]
    largest: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    known: Option<usize>,
    driver: Option<String>,
    tag: Option<String>,
}

/// Writes a log of one run: the rules, each problem as a notification, and a result for each group that is
/// shown. The location of a result is the line of its code, relative to the root of the sources if it is
/// relative; if the line is unknown, the image of the driver.
///
/// # Errors
/// Those of the writer.
pub fn write_leaks_sarif(out: &mut dyn io::Write, view: &LeaksView<'_>) -> io::Result<()> {
    #[derive(Serialize)]
    struct Doc<R> {
        #[serde(rename = "$schema")]
        schema: &'static str,
        version: &'static str,
        runs: [R; 1],
    }
    #[derive(Serialize)]
    struct Tool {
        driver: Driver,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Driver {
        name: &'static str,
        version: &'static str,
        information_uri: &'static str,
        rules: Vec<RuleDoc>,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Invocation {
        execution_successful: bool,
        tool_execution_notifications: Vec<Notification>,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Run<'a, R> {
        tool: Tool,
        invocations: [Invocation; 1],
        column_kind: &'static str,
        results: R,
        properties: Properties<'a>,
    }
    let answer = view.leaks.completeness();
    let all = || {
        let unloaded = unload_without_groups(view).map(|leak| of_unload(view, leak));
        view.iter().map(|group| of_group(view, &Finding::new(view, group))).chain(unloaded)
    };
    write_json(
        out,
        &Doc {
            schema: "https://json.schemastore.org/sarif-2.1.0.json",
            version: "2.1.0",
            runs: [Run {
                tool: Tool {
                    driver: Driver {
                        name: "verifier",
                        version: env!("CARGO_PKG_VERSION"),
                        information_uri: env!("CARGO_PKG_REPOSITORY"),
                        rules: Rule::ALL.map(rule).into(),
                    },
                },
                invocations: [Invocation {
                    execution_successful: answer.extent != Extent::Unknown,
                    tool_execution_notifications: notifications(view),
                }],
                column_kind: "utf16CodeUnits",
                results: Seq(all),
                properties: Properties::of(view, answer),
            }],
        },
    )
}

fn rule(rule: Rule) -> RuleDoc {
    let words = rule.id().split('-').map(|word| {
        let (first, rest) = word.split_at_checked(1).unwrap_or((word, ""));
        first.to_uppercase() + rest
    });
    RuleDoc {
        id: rule.id(),
        name: words.collect(),
        short_description: Message::new(rule.title()),
        full_description: Message::new(rule.meaning()),
    }
}

/// What a run says besides its results.
#[derive(Serialize)]
struct Properties<'a> {
    dump: Option<&'a str>,
    complete: bool,
    extent: &'static str,
    incomplete_because: Vec<String>,
    outstanding: TotalDoc,
    omitted_groups: usize,
}

impl<'a> Properties<'a> {
    fn of(view: &'a LeaksView<'_>, answer: Completeness) -> Self {
        Self {
            dump: view.leaks.dump.as_deref(),
            complete: answer.is_complete(),
            extent: answer.extent.name(),
            incomplete_because: answer.because,
            outstanding: view.leaks.coverage().all.into(),
            omitted_groups: view.omitted().groups,
        }
    }
}

/// Every problem, and what the filters and the baseline leave out.
fn notifications(view: &LeaksView<'_>) -> Vec<Notification> {
    let note = |text: &str| Notification { level: NOTE, message: Message::new(text) };
    let lines = [unload_line(view.leaks), filter_line(view.leaks)].into_iter().flatten();
    let mut all: Vec<Notification> =
        lines.chain(baseline_lines(view.leaks)).map(|line| note(&line)).collect();
    all.extend(view.leaks.problems.iter().map(|problem| Notification {
        level: match problem.leaves {
            Extent::Complete => NOTE,
            Extent::AtLeast => "warning",
            Extent::Unknown => "error",
        },
        message: Message::new(&problem.to_string()),
    }));
    all
}

fn rule_index(rule: Rule) -> usize {
    Rule::ALL.iter().position(|one| *one == rule).unwrap_or(0)
}

fn of_group(view: &LeaksView<'_>, finding: &Finding<'_>) -> ResultDoc {
    let (group, rule) = (&finding.group, finding.rule());
    let image = match finding.site {
        Some(va) => image(view, va),
        None => group.driver_name().map(str::to_owned),
    };
    let place = match &finding.place {
        Some((file, line)) => Some(source_place(file, *line)),
        None => image.map(|image| image_place(&image)),
    };
    let location = Location {
        physical_location: place,
        logical_locations: finding.function.iter().map(|name| Logical::new(name)).collect(),
        message: None,
    };
    let stacks = finding.stacks().into_iter().map(|made| Stack {
        message: Message::new(&match made.blocks {
            Some(total) => format!("The stack of {}", amount(total)),
            None => "The stack of the allocations".into(),
        }),
        frames: made.frames.iter().flat_map(|&va| frames_at(view, va)).collect(),
    });
    ResultDoc {
        rule_id: rule.id(),
        rule_index: rule_index(rule),
        level: view.severity.word(finding.novelty(), NOTE),
        message: Message::new(&format!("{}: {}", finding.subject(), finding.details())),
        locations: vec![location],
        stacks: stacks.collect(),
        partial_fingerprints: Fingerprints { value: finding.fingerprint() },
        baseline_state: view.leaks.baseline.as_ref().map(|_| match finding.novelty() {
            Novelty::New => "new",
            Novelty::Grown => "updated",
            Novelty::Known => "unchanged",
        }),
        properties: Amounts {
            total: group.total().into(),
            largest: Some(group.largest),
            known: group.known(),
            driver: group.driver_name().map(str::to_owned),
            tag: group.tag.map(|tag| tag.to_string()),
        },
    }
}

/// A driver that was unloaded, and whose blocks are in no group.
fn of_unload(view: &LeaksView<'_>, leak: &UnloadLeak) -> ResultDoc {
    ResultDoc {
        rule_id: Rule::Unloaded.id(),
        rule_index: rule_index(Rule::Unloaded),
        level: view.severity.word(Novelty::New, NOTE),
        message: Message::new(&unload_line(view.leaks).unwrap_or_default()),
        locations: vec![Location {
            physical_location: Some(image_place(&leak.driver)),
            logical_locations: vec![Logical::new(&leak.driver)],
            message: None,
        }],
        stacks: Vec::new(),
        partial_fingerprints: Fingerprints { value: leak.driver.to_lowercase() },
        baseline_state: None,
        properties: Amounts {
            total: Total { count: leak.counted, bytes: leak.bytes() }.into(),
            largest: None,
            known: None,
            driver: Some(leak.driver.clone()),
            tag: None,
        },
    }
}

fn source_place(file: &str, line: u32) -> Place {
    let (uri, is_relative) = uri(file);
    Place {
        artifact_location: Artifact { uri, uri_base_id: is_relative.then_some(ROOT) },
        // The first line is 1; 0 is not a line.
        region: (line > 0).then_some(Region { start_line: line }),
    }
}

/// Without a source line, the code is in an image. Its file is not a source file, so it has no root.
fn image_place(image: &str) -> Place {
    Place { artifact_location: Artifact { uri: uri(image).0, uri_base_id: None }, region: None }
}

/// The file name of the image that contains an address.
fn image(view: &LeaksView<'_>, va: Va) -> Option<String> {
    let modules = view.names.kernel().modules();
    let (_, module) = modules.find(va)?;
    Some(module.name.clone())
}

/// The functions of a frame: those that were inlined there, the innermost first, and the one that symbols name.
fn frames_at(view: &LeaksView<'_>, va: Va) -> Vec<Frame> {
    let source = view.names.source(va);
    let function = view.names.function(va);
    let module =
        function.as_deref().and_then(|name| name.split_once('!')).map(|(module, _)| module);
    let frame = |function: Option<&str>, text: &str, place: Option<(&str, u32)>| Frame {
        module: module.map(str::to_owned),
        location: Location {
            physical_location: place.map(|(file, line)| source_place(file, line)),
            logical_locations: function.map(Logical::new).into_iter().collect(),
            message: Some(Message::new(text)),
        },
    };
    let inlined = source.iter().flat_map(|source| &source.inlined).map(|one| {
        let name = view.names.inlined(va, &one.function);
        frame(Some(&name), &format!("{name} (inlined)"), Some((&one.file, one.line)))
    });
    let mut frames: Vec<Frame> = inlined.collect();
    let place = source.as_ref().map(|source| (&*source.file, source.line));
    frames.push(frame(function.as_deref(), &view.name(va), place));
    frames
}
