//! Reads resources from text: YAML with any number of documents, or JSON of any size. Strict as `kubectl apply` is:
//! a field that nobody knows is refused, because it is most often a slip of the pen.

use std::fmt::Display;

use k8s_openapi::api::core::v1::ConfigMap;
use orch_core::finding::{Finding, FindingKind};
use orch_core::plan::MAX_DEPTH;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::depth::deeper_than;
use crate::locate::Located;
use crate::strict::{Fault, StatusField, Text};
use crate::{API_VERSION, GROUP, Pipeline, PipelineRun};

/// A resource that stands in a file.
#[derive(Debug, Clone, PartialEq)]
pub enum Resource {
    /// A run.
    PipelineRun(Box<PipelineRun>),
    /// Stages that runs share.
    Pipeline(Box<Pipeline>),
    /// Objects for `objectsFrom`.
    ConfigMap(Box<ConfigMap>),
}

/// Every resource in the text, in its order, or everything that is wrong with it. A text that begins with `{` is JSON:
/// one resource after the other; everything else is YAML. A `List` stands for its items.
pub fn read(text: &str, status: StatusField) -> Result<Vec<Resource>, Vec<Finding>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = Reader { status, resources: Vec::new(), findings: Vec::new() };
    match text.trim_start().as_bytes().first() {
        Some(b'{') => reader.json(text, true),
        Some(b'[') => {
            let problem = "a JSON array is a catalogue or a list of objects, not a resource";
            reader.findings.push(Finding::new(FindingKind::Malformed, "line 1", problem, ""));
        }
        _ => reader.yaml(text),
    }
    if reader.findings.is_empty() { Ok(reader.resources) } else { Err(reader.findings) }
}

/// What every resource begins with.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head {
    api_version: Option<String>,
    kind: Option<String>,
    metadata: Option<HeadMetadata>,
}

#[derive(Deserialize)]
struct HeadMetadata {
    name: Option<String>,
}

#[derive(Deserialize)]
struct List<'a> {
    #[serde(borrow)]
    items: Vec<&'a RawValue>,
}

/// Findings after which nobody reads on: each that has a line costs a pass over the text.
const ENOUGH: usize = 100;

struct Reader {
    status: StatusField,
    resources: Vec<Resource>,
    findings: Vec<Finding>,
}

/// Where a resource stands in the text that was given.
#[derive(Clone, Copy)]
struct Origin<'t> {
    /// The text; `None` when its lines mean nothing to the reader.
    text: Option<&'t str>,
    /// The part of it that is the resource.
    part: &'t str,
}

impl Origin<'_> {
    fn lines_before(&self) -> Option<usize> {
        self.text.map(|text| text[..offset(self.part, text)].matches('\n').count())
    }

    /// The line that it begins on.
    fn first_line(&self) -> Option<usize> {
        self.lines_before().map(|before| before + 1)
    }
}

impl Reader {
    /// Resources in JSON. `lines`: whether the lines of the text mean something to its reader.
    fn json(&mut self, text: &str, lines: bool) {
        for document in serde_json::Deserializer::from_str(text).into_iter::<&RawValue>() {
            let origin = |part| Origin { text: lines.then_some(text), part };
            if self.findings.len() >= ENOUGH {
                return;
            }
            match document {
                Ok(document) => self.json_document(origin(document.get())),
                Err(error) => return self.refuse(&Fault::of_all(&error), "", origin(text)),
            }
        }
    }

    fn json_document(&mut self, origin: Origin<'_>) {
        let head = match serde_json::from_str::<Head>(origin.part) {
            Ok(head) => head,
            Err(error) => return self.refuse(&no_head(&error), "", origin),
        };
        if head.is_list() {
            match serde_json::from_str::<List<'_>>(origin.part) {
                Ok(List { items }) => {
                    for item in items {
                        self.json_document(Origin { part: item.get(), ..origin });
                    }
                }
                Err(error) => self.refuse(&Fault::of_all(&error), "List", origin),
            }
            return;
        }
        self.resource(Text::Json(origin.part), &head, origin);
    }

    /// Resources in YAML.
    fn yaml(&mut self, text: &str) {
        if let Some(line) = deeper_than(MAX_DEPTH, text) {
            let problem = format!("brackets nest deeper than {MAX_DEPTH} levels");
            let remedy = "a value that is nested so deep is no use to a worker: make it flat, or a text";
            self.findings.push(Finding::new(FindingKind::TooLarge, format!("line {line}"), problem, remedy));
            return;
        }
        for document in documents(text) {
            if self.findings.len() >= ENOUGH {
                return;
            }
            let origin = Origin { text: Some(text), part: document };
            match serde_yaml::from_str::<Option<Head>>(document) {
                Ok(None) => {}
                Ok(Some(head)) => self.yaml_document(&head, origin),
                Err(_) => self.broken_yaml(origin),
            }
        }
    }

    /// What is no YAML, or has no head. With the lines before it as empty lines, its message has the lines of the file.
    fn broken_yaml(&mut self, origin: Origin<'_>) {
        let document = format!("{}{}", "\n".repeat(origin.lines_before().unwrap_or(0)), origin.part);
        if let Err(error) = serde_yaml::from_str::<Option<Head>>(&document) {
            self.refuse(&no_head(&error), "", Origin { text: Some(&document), part: &document });
        }
    }

    fn yaml_document(&mut self, head: &Head, origin: Origin<'_>) {
        if head.is_list() {
            match serde_yaml::from_str::<serde_json::Value>(origin.part) {
                Ok(list) => self.json(&list.to_string(), false),
                Err(error) => self.refuse(&Fault::of_all(&error), "List", origin),
            }
            return;
        }
        self.resource(Text::Yaml(origin.part), head, origin);
    }

    fn resource(&mut self, text: Text<'_>, head: &Head, origin: Origin<'_>) {
        match head.kind() {
            Some(Kind::PipelineRun) => {
                self.take(text.resource(self.status), Resource::PipelineRun, head, origin);
            }
            Some(Kind::Pipeline) => {
                self.take(text.resource(StatusField::Ignored), Resource::Pipeline, head, origin);
            }
            Some(Kind::ConfigMap) => self.take(text.strict(), Resource::ConfigMap, head, origin),
            None => self.unknown_kind(head, origin.first_line()),
        }
    }

    fn take<T>(
        &mut self,
        result: Result<T, Vec<Fault>>,
        wrap: fn(Box<T>) -> Resource,
        head: &Head,
        origin: Origin<'_>,
    ) {
        match result {
            Ok(resource) => self.resources.push(wrap(Box::new(resource))),
            Err(faults) => {
                for fault in faults {
                    self.refuse(&fault, &head.to_string(), origin);
                }
            }
        }
    }

    fn unknown_kind(&mut self, head: &Head, line: Option<usize>) {
        let place = line.map_or_else(|| head.to_string(), |line| format!("line {line}"));
        let problem = match (&head.api_version, &head.kind) {
            (Some(version), Some(kind)) => format!("`{kind}` of `{version}` is not read here"),
            _ => "there is no apiVersion and kind".to_owned(),
        };
        let remedy = format!("write a PipelineRun or Pipeline of {API_VERSION}, or a ConfigMap of v1");
        self.findings.push(Finding::new(FindingKind::Malformed, place, problem, remedy));
    }

    /// Notes a fault of a resource, by line where it has one.
    fn refuse(&mut self, fault: &Fault, resource: &str, origin: Origin<'_>) {
        let place = match (fault.at, origin.lines_before()) {
            (Some((line, column)), Some(before)) => format!("line {}, column {column}", before + line),
            _ => resource.to_owned(),
        };
        let place =
            [place, fault.path()].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(": ");
        let remedy = remedy(&fault.problem);
        self.findings.push(Finding::new(FindingKind::Malformed, place, &fault.problem, remedy));
    }
}

/// What to do about the slips that are made most often.
fn remedy(problem: &str) -> &'static str {
    let is_number =
        problem.starts_with("invalid type: integer") || problem.starts_with("invalid type: float");
    if is_number && problem.ends_with("expected a string") {
        "put it into quotes"
    } else if problem.starts_with("found character that cannot start any token") {
        "YAML is indented by spaces, not by tabs; a text that begins with a sign belongs into quotes"
    } else {
        ""
    }
}

/// A text, a number or a list has no head; what is broken in one keeps its words.
fn no_head(error: &impl Located) -> Fault {
    let mut fault = Fault::of_all(error);
    if fault.path().is_empty() && fault.problem.ends_with("expected an object") {
        "this is no resource: a resource has apiVersion, kind, metadata and spec"
            .clone_into(&mut fault.problem);
    }
    fault
}

enum Kind {
    PipelineRun,
    Pipeline,
    ConfigMap,
}

impl Head {
    fn kind(&self) -> Option<Kind> {
        let version = self.api_version.as_deref()?;
        match self.kind.as_deref()? {
            "PipelineRun" if version == API_VERSION => Some(Kind::PipelineRun),
            "Pipeline" if version == API_VERSION => Some(Kind::Pipeline),
            "ConfigMap" if version == "v1" => Some(Kind::ConfigMap),
            _ => None,
        }
    }

    fn is_list(&self) -> bool {
        let kind = self.kind.as_deref().unwrap_or_default();
        let version = self.api_version.as_deref().unwrap_or_default();
        kind.ends_with("List") && (version == "v1" || version.starts_with(GROUP))
    }
}

impl Display for Head {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = self.metadata.as_ref().and_then(|metadata| metadata.name.as_deref());
        write!(f, "{} {}", self.kind.as_deref().unwrap_or("resource"), name.unwrap_or("without a name"))
    }
}

/// The documents of a YAML text, each with its line `---`.
fn documents(text: &str) -> Vec<&str> {
    let mut starts = vec![0];
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let marker = line
            .strip_prefix("---")
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace));
        if marker && at > 0 {
            starts.push(at);
        }
        at += line.len();
    }
    let ends = starts[1..].iter().copied().chain([text.len()]);
    starts.iter().zip(ends).map(|(start, end)| &text[*start..end]).collect()
}

/// Where `part`, which is a part of `text`, begins in it.
fn offset(part: &str, text: &str) -> usize {
    (part.as_ptr() as usize).saturating_sub(text.as_ptr() as usize).min(text.len())
}
