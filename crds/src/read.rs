//! Reads resources from text: YAML with any number of documents, or JSON of any size. Strict as `kubectl apply` is:
//! a field that nobody knows is refused, because it is most often a slip of the pen.

use std::fmt::Display;

use k8s_openapi::api::core::v1::ConfigMap;
use orch_core::finding::{Finding, FindingKind};
use serde::de::{DeserializeOwned, Deserializer};
use serde::{Deserialize, de};
use serde_ignored::Path;
use serde_json::value::RawValue;

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
pub fn read(text: &str) -> Result<Vec<Resource>, Vec<Finding>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = Reader::default();
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

/// A value, or what is wrong with it: fields that nobody knows, or the first thing that does not fit.
pub(crate) fn strict<'de, T, D>(deserializer: D) -> Result<T, Vec<Fault>>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
    D::Error: Located,
{
    let mut track = serde_path_to_error::Track::new();
    let mut unknown = Vec::new();
    let tracked = serde_path_to_error::Deserializer::new(deserializer, &mut track);
    let result = serde_ignored::deserialize(tracked, |path| unknown.push(dotted(&path)));
    match result {
        Err(error) => Err(vec![Fault::new(&track.path().to_string(), &error)]),
        Ok(value) => {
            // Every resource has these two; the types have them in their name.
            unknown.retain(|path| path != "apiVersion" && path != "kind");
            let unknown_field =
                |path| Fault { path, problem: "nobody knows this field".to_owned(), at: None };
            if unknown.is_empty() { Ok(value) } else { Err(unknown.into_iter().map(unknown_field).collect()) }
        }
    }
}

/// The same for a YAML document. Read twice: only the first reading knows the lines, but it takes the number 2005 for
/// the text "2005", which the API server does not.
fn strict_yaml<T: DeserializeOwned>(document: &str) -> Result<T, Vec<Fault>> {
    strict::<T, _>(serde_yaml::Deserializer::from_str(document))?;
    let value: serde_json::Value =
        serde_yaml::from_str(document).map_err(|error| vec![Fault::new(".", &error)])?;
    strict(value)
}

/// One thing that is wrong with a value.
#[derive(Debug)]
pub(crate) struct Fault {
    /// Where in the value: `spec.stages[0].retry`; empty for the value itself.
    path: String,
    /// What is wrong.
    pub(crate) problem: String,
    /// Line and column in the text of the value, from 1.
    at: Option<(usize, usize)>,
}

impl Fault {
    fn new(path: &str, error: &impl Located) -> Self {
        let text = error.to_string();
        let at = error.at();
        // Line and column are told apart from the text, and serde_yaml's own path is the path that we have.
        let problem = match at {
            Some((line, column)) => text.replacen(&format!(" at line {line} column {column}"), "", 1),
            None => text,
        };
        let problem = problem.strip_prefix(&format!("{path}: ")).unwrap_or(&problem).to_owned();
        let path = if path == "." { String::new() } else { path.to_owned() };
        Self { path, problem, at }
    }

    /// The fault's place in a value that has this place itself.
    pub(crate) fn place(&self, of_value: &str) -> String {
        match self.path.as_str() {
            "" => of_value.to_owned(),
            path if path.starts_with('[') => format!("{of_value}{path}"),
            path => format!("{of_value}.{path}"),
        }
    }
}

/// An error that may know where in the text it happened.
pub(crate) trait Located: de::Error {
    /// Line and column, from 1.
    fn at(&self) -> Option<(usize, usize)>;
}

impl Located for serde_json::Error {
    fn at(&self) -> Option<(usize, usize)> {
        (self.line() > 0).then(|| (self.line(), self.column()))
    }
}

impl Located for serde_yaml::Error {
    fn at(&self) -> Option<(usize, usize)> {
        self.location().map(|location| (location.line(), location.column()))
    }
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

#[derive(Default)]
struct Reader {
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
}

impl Reader {
    /// Resources in JSON. `lines`: whether the lines of the text mean something to its reader.
    fn json(&mut self, text: &str, lines: bool) {
        for document in serde_json::Deserializer::from_str(text).into_iter::<&RawValue>() {
            let origin = |part| Origin { text: lines.then_some(text), part };
            match document {
                Ok(document) => self.json_document(origin(document.get())),
                Err(error) => return self.refuse(&Fault::new("", &error), "", origin(text)),
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
                Err(error) => self.refuse(&Fault::new("items", &error), "List", origin),
            }
            return;
        }
        let json = &mut serde_json::Deserializer::from_str(origin.part);
        match head.kind() {
            Some(Kind::PipelineRun) => self.take(strict(json), Resource::PipelineRun, &head, origin),
            Some(Kind::Pipeline) => self.take(strict(json), Resource::Pipeline, &head, origin),
            Some(Kind::ConfigMap) => self.take(strict(json), Resource::ConfigMap, &head, origin),
            None => self.unknown_kind(&head, origin.lines_before()),
        }
    }

    /// Resources in YAML.
    fn yaml(&mut self, text: &str) {
        for document in documents(text) {
            // With the lines before it as empty lines, every message has the line of the file.
            let lines_before = text[..offset(document, text)].matches('\n').count();
            let document = format!("{}{document}", "\n".repeat(lines_before));
            match serde_yaml::from_str::<Option<Head>>(&document) {
                Ok(None) => {}
                Ok(Some(head)) => self.yaml_document(&document, &head, lines_before),
                Err(error) => self.refuse(&no_head(&error), "", whole(&document)),
            }
        }
    }

    fn yaml_document(&mut self, document: &str, head: &Head, lines_before: usize) {
        let origin = whole(document);
        if head.is_list() {
            match serde_yaml::from_str::<serde_json::Value>(document) {
                Ok(list) => self.json(&list.to_string(), false),
                Err(error) => self.refuse(&Fault::new(".", &error), "List", origin),
            }
            return;
        }
        match head.kind() {
            Some(Kind::PipelineRun) => self.take(strict_yaml(document), Resource::PipelineRun, head, origin),
            Some(Kind::Pipeline) => self.take(strict_yaml(document), Resource::Pipeline, head, origin),
            Some(Kind::ConfigMap) => self.take(strict_yaml(document), Resource::ConfigMap, head, origin),
            None => self.unknown_kind(head, Some(lines_before)),
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

    fn unknown_kind(&mut self, head: &Head, lines_before: Option<usize>) {
        let place = lines_before.map_or_else(|| head.to_string(), |lines| format!("line {}", lines + 1));
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
        let place = if fault.path.is_empty() { place } else { format!("{place}: {}", fault.path) };
        let wants_text = fault.problem.ends_with("expected a string");
        let is_number = fault.problem.starts_with("invalid type: integer");
        let remedy = if wants_text && is_number { "put it into quotes" } else { "" };
        self.findings.push(Finding::new(FindingKind::Malformed, place, &fault.problem, remedy));
    }
}

/// A text, a number or a list has no head; what is broken in one keeps its words.
fn no_head(error: &impl Located) -> Fault {
    let fault = Fault::new(".", error);
    if !fault.problem.ends_with("expected struct Head") {
        return fault;
    }
    Fault {
        problem: "this is no resource: a resource has apiVersion, kind, metadata and spec".to_owned(),
        ..fault
    }
}

/// A text that is a resource as a whole.
fn whole(text: &str) -> Origin<'_> {
    Origin { text: Some(text), part: text }
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

/// The path as people write it: `spec.stages[0].retry`.
fn dotted(path: &Path<'_>) -> String {
    match path {
        Path::Root => String::new(),
        Path::Seq { parent, index } => format!("{}[{index}]", dotted(parent)),
        Path::Map { parent, key } => match dotted(parent) {
            parent if parent.is_empty() => key.clone(),
            parent => format!("{parent}.{key}"),
        },
        Path::Some { parent } | Path::NewtypeStruct { parent } | Path::NewtypeVariant { parent } => {
            dotted(parent)
        }
    }
}
