//! Reads a file that holds a run, in any form: a catalogue, an object list, an edge list, or resources in YAML or JSON.
//! I/O is in `source` alone; [`parse`] is pure.

mod manifest;
mod source;

use orch_core::catalogue;
use orch_core::finding::{Finding, FindingKind, Place};
use orch_core::plan::{RunPlan, plan};
use orch_core::spec::{RunSpec, UndefinedPolicy};
use orch_crds::conversion::{self, MAX_NAME};
use orch_crds::pipeline_run::UndefinedDependencies;
use orch_crds::{Resource, StatusField};

use crate::args::{ChoiceArgs, InputArgs, Undefined};
use crate::error::CliError;
pub(crate) use manifest::Manifest;
use source::{File, Source};

/// Largest file of resources, unpacked: as YAML it takes 44 times as much memory until it is read. A cluster takes 3 MiB.
const RESOURCES_MAX_BYTES: usize = 64 << 20;

/// A resource says what it is within so many bytes, comments included.
const HEAD_BYTES: usize = 64 << 10;

/// A file as it was understood.
#[derive(Debug)]
pub(crate) struct Input {
    /// What messages call it: the name of the file without its folder.
    pub file: String,
    /// Name of the run: that of the resource, else one made of the file's.
    pub name: String,
    /// The resources, where the file holds some.
    pub manifest: Option<Manifest>,
    /// The run before the checks of its graph, or why there is none.
    pub graph: Result<Graph, CliError>,
}

/// A run before the checks of its graph.
#[derive(Debug)]
pub(crate) struct Graph {
    /// The run.
    pub spec: RunSpec,
    /// What is worth knowing about its source.
    pub warnings: Vec<Finding>,
}

impl Input {
    /// The checked run and all warnings.
    pub(crate) fn into_plan(self) -> Result<(RunPlan, Vec<Finding>), CliError> {
        let graph = self.graph?;
        checked(&self.file, graph)
    }
}

/// Checks the graph: the plan and all warnings.
pub(crate) fn checked(file: &str, graph: Graph) -> Result<(RunPlan, Vec<Finding>), CliError> {
    let plan = plan(graph.spec).map_err(|findings| CliError::refused(file, findings))?;
    let mut warnings = graph.warnings;
    warnings.extend(plan.warnings.iter().cloned());
    Ok((plan, warnings))
}

/// Reads and understands a file, or a folder of resources.
pub(crate) fn load(args: &InputArgs, status: StatusField) -> Result<Input, CliError> {
    match source::read(&args.file)? {
        Source::File(file) => parse(&file.name, &file.bytes, &args.choice, status),
        Source::Folder(name, files) => parse_folder(&name, &files, &args.choice, status),
    }
}

/// Understands the bytes of a file.
pub(crate) fn parse(
    file: &str,
    bytes: &[u8],
    choice: &ChoiceArgs,
    status: StatusField,
) -> Result<Input, CliError> {
    if is_resource(file, bytes) {
        let resources = resources(bytes, status).map_err(|findings| CliError::refused(file, findings))?;
        return of_resources(file, resources, choice);
    }
    if let Some(name) = &choice.run {
        let problem =
            format!("`{file}` holds one graph without a name: there is no PipelineRun `{name}` in it");
        return Err(CliError::usage(problem, "leave --run out"));
    }
    let read = catalogue::read(file, bytes)
        .and_then(|read| conversion::check_list(&read.0).map(|()| read))
        .map_err(|findings| CliError::refused(file, findings));
    let graph = read.map(|(mut spec, warnings)| {
        if let Some(policy) = choice.undefined {
            spec.undefined_dependencies = UndefinedDependencies::from(policy).into();
        }
        Graph { spec, warnings }
    });
    Ok(Input { file: file.to_owned(), name: name_from(file), manifest: None, graph })
}

/// Understands the files of a folder: together they hold a run.
fn parse_folder(
    name: &str,
    files: &[File],
    choice: &ChoiceArgs,
    status: StatusField,
) -> Result<Input, CliError> {
    let mut all = Vec::new();
    let mut wrong = Vec::new();
    for file in files {
        match resources(&file.bytes, status) {
            Ok(resources) => all.extend(resources),
            Err(findings) => wrong.extend(findings.into_iter().map(|finding| {
                let place = format!("{} {}", file.name, finding.place);
                Finding { place: Place(place.trim_end().to_owned()), ..finding }
            })),
        }
    }
    if wrong.is_empty() { of_resources(name, all, choice) } else { Err(CliError::refused(name, wrong)) }
}

/// The resources of a text.
fn resources(bytes: &[u8], status: StatusField) -> Result<Vec<Resource>, Vec<Finding>> {
    if bytes.len() > RESOURCES_MAX_BYTES {
        let problem = format!(
            "{} MiB of resources, at most {} MiB are read",
            bytes.len() >> 20,
            RESOURCES_MAX_BYTES >> 20
        );
        let remedy = "write the objects alone, as a JSON list of what `spec.objects` holds: `orch` reads that up to 1 GiB";
        return Err(vec![Finding::new(FindingKind::TooLarge, "line 1", problem, remedy)]);
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let before = &bytes[..error.valid_up_to()];
        let line = before.split(|byte| *byte == b'\n').count();
        let place = format!("line {line}");
        vec![Finding::new(FindingKind::Malformed, place, "a byte is not UTF-8", "save it as UTF-8")]
    })?;
    orch_crds::read(text, status)
}

fn of_resources(file: &str, resources: Vec<Resource>, choice: &ChoiceArgs) -> Result<Input, CliError> {
    let mut manifest = Manifest::choose(file, resources, choice.run.as_deref())?;
    if let Some(policy) = choice.undefined {
        manifest.run.spec.undefined_dependencies = policy.into();
    }
    let graph = manifest.graph(file);
    Ok(Input { file: file.to_owned(), name: manifest.name().to_owned(), manifest: Some(manifest), graph })
}

/// Whether the bytes are resources, and neither a JSON array nor an edge list.
fn is_resource(file: &str, bytes: &[u8]) -> bool {
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(HEAD_BYTES)]);
    let head = head.trim_start_matches('\u{feff}').trim_start();
    let named_yaml = [".yaml", ".yml", ".yaml.gz", ".yml.gz"].iter().any(|end| file.ends_with(end));
    let says_so = |line: &str| line.starts_with("apiVersion:") || line.starts_with("kind:");
    match head.as_bytes().first() {
        Some(b'{') => true,
        Some(b'[') => false,
        _ => named_yaml || head.lines().any(says_so),
    }
}

/// A name that Kubernetes takes, made of that of a file: `Objets.json` gives `objets`.
pub(crate) fn name_from(file: &str) -> String {
    let stem = file.trim_end_matches(".gz");
    let stem = stem.rsplit_once('.').map_or(stem, |(stem, _)| stem);
    let mut name = String::new();
    for c in stem.chars().flat_map(char::to_lowercase) {
        if c.is_ascii_alphanumeric() {
            name.push(c);
        } else if !name.is_empty() && !name.ends_with('-') {
            name.push('-');
        }
    }
    name.truncate(MAX_NAME);
    let name = name.trim_end_matches('-');
    if name.is_empty() { "run".to_owned() } else { name.to_owned() }
}

impl From<Undefined> for UndefinedDependencies {
    fn from(policy: Undefined) -> Self {
        match policy {
            Undefined::Reject => Self::Reject,
            Undefined::AssumeLoaded => Self::AssumeLoaded,
            Undefined::Run => Self::Run,
        }
    }
}

/// The policy as the resource writes it.
pub(crate) fn undefined(policy: UndefinedPolicy) -> UndefinedDependencies {
    match policy {
        UndefinedPolicy::Reject => UndefinedDependencies::Reject,
        UndefinedPolicy::AssumeLoaded => UndefinedDependencies::AssumeLoaded,
        UndefinedPolicy::Run => UndefinedDependencies::Run,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_become_names_of_runs() {
        let cases = [
            ("Objets.json", "objets"),
            ("epfl-mem_ctrl.tsv.gz", "epfl-mem-ctrl"),
            ("Été 2026 (v2).json", "t-2026-v2"),
            ("___.json", "run"),
            ("standard input", "standard-input"),
        ];
        for (file, name) in cases {
            assert_eq!(name_from(file), name, "{file}");
            assert!(conversion::check_name(&name_from(file)).is_none(), "{file}");
        }
        assert!(conversion::check_name(&name_from(&"x".repeat(90))).is_none());
    }

    #[test]
    fn forms_are_told_apart() {
        assert!(is_resource(
            "a.txt",
            b"# a run\napiVersion: kafka-orchestrator.dev/v1alpha1\nkind: PipelineRun\n"
        ));
        assert!(is_resource("a", b"{\"kind\":\"PipelineRun\"}"));
        assert!(is_resource("a.yaml", b"a\tb\n"));
        assert!(!is_resource("a.json", b" [{\"IdObjet\": 1}]"));
        assert!(!is_resource("a.tsv", b"# graph\na\tb\n"));
    }
}
