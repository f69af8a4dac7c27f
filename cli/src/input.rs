//! Reads a file that holds a run, in any form: a catalogue, an object list, an edge list, or resources in YAML or JSON.
//! I/O is the reading of bytes alone; [`parse`] is pure.

use std::io::Read as _;
use std::path::Path;

use flate2::read::MultiGzDecoder;
use k8s_openapi::api::core::v1::ConfigMap;
use orch_core::catalogue;
use orch_core::finding::{Finding, FindingKind};
use orch_core::plan::{RunPlan, plan};
use orch_core::spec::{RunSpec, UndefinedPolicy};
use orch_crds::chunk::Chunk;
use orch_crds::conversion::{self, MAX_NAME};
use orch_crds::pipeline_run::UndefinedDependencies;
use orch_crds::{Pipeline, PipelineRun, Resource};

use crate::args::{ChoiceArgs, InputArgs, Undefined};
use crate::error::CliError;

/// Largest file after decompression.
const MAX_BYTES: u64 = 1 << 30;
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

/// A run as resources.
#[derive(Debug, Clone)]
pub(crate) struct Manifest {
    /// The run.
    pub run: PipelineRun,
    /// The Pipeline that it names.
    pub pipeline: Option<Pipeline>,
    /// The ConfigMaps that it names.
    pub config_maps: Vec<ConfigMap>,
}

impl Manifest {
    /// The run as the core wants it.
    pub(crate) fn graph(&self, file: &str) -> Result<Graph, CliError> {
        let find =
            |name: &str| self.config_maps.iter().find(|map| map.metadata.name.as_deref() == Some(name));
        let chunks = Chunk::take_all(&self.run.spec, find).map_err(|missing| {
            let hint = "put the run and its ConfigMaps into one file, such as `kubectl get orun,cm -o yaml` writes it";
            CliError::usage(format!("`{file}`: {missing}"), hint)
        })?;
        if let (Some(reference), None) = (&self.run.spec.pipeline_ref, &self.pipeline) {
            let problem =
                format!("`{file}` does not hold the Pipeline `{}` that its run names", reference.name);
            return Err(CliError::usage(problem, "put both into one file, separated by a line `---`"));
        }
        let pipeline = self.pipeline.as_ref().map(|pipeline| &pipeline.spec);
        match conversion::run_spec(&self.run.spec, pipeline, &chunks) {
            Ok(converted) => Ok(Graph { spec: converted.spec, warnings: converted.warnings }),
            Err(findings) => Err(CliError::refused(file, findings)),
        }
    }

    /// The run's name; a resource without one is called `run`.
    pub(crate) fn name(&self) -> &str {
        self.run.metadata.name.as_deref().unwrap_or("run")
    }
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

/// Reads and understands a file.
pub(crate) fn load(args: &InputArgs) -> Result<Input, CliError> {
    let bytes = bytes(&args.file)?;
    parse(&file_name(&args.file), &bytes, &args.choice)
}

/// The bytes of a file, or of standard input for `-`; decompressed when they are gzip.
fn bytes(path: &Path) -> Result<Vec<u8>, CliError> {
    let unreadable = |source| CliError::Read { path: path.to_owned(), source };
    let raw = if path == Path::new("-") {
        let mut raw = Vec::new();
        std::io::stdin().lock().read_to_end(&mut raw).map_err(unreadable)?;
        raw
    } else {
        std::fs::read(path).map_err(unreadable)?
    };
    if !raw.starts_with(&[0x1f, 0x8b]) {
        return Ok(raw);
    }
    let mut plain = Vec::with_capacity(raw.len() * 4);
    MultiGzDecoder::new(raw.as_slice()).take(MAX_BYTES + 1).read_to_end(&mut plain).map_err(unreadable)?;
    if plain.len() as u64 > MAX_BYTES {
        let problem = format!("`{}` is larger than {} GiB when unpacked", path.display(), MAX_BYTES >> 30);
        return Err(CliError::usage(problem, "split it"));
    }
    Ok(plain)
}

fn file_name(path: &Path) -> String {
    if path == Path::new("-") {
        return "standard input".to_owned();
    }
    path.file_name().map_or_else(|| path.display().to_string(), |name| name.to_string_lossy().into_owned())
}

/// Understands the bytes of a file.
pub(crate) fn parse(file: &str, bytes: &[u8], choice: &ChoiceArgs) -> Result<Input, CliError> {
    if is_resource(file, bytes) {
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let problem = format!("byte {} is not UTF-8", error.valid_up_to());
            CliError::refused(
                file,
                vec![Finding::new(FindingKind::Malformed, "", problem, "write it as UTF-8")],
            )
        })?;
        let resources = orch_crds::read(text).map_err(|findings| CliError::refused(file, findings))?;
        let mut manifest = choose(file, resources, choice.run.as_deref())?;
        if let Some(policy) = choice.undefined {
            manifest.run.spec.undefined_dependencies = policy.into();
        }
        let graph = manifest.graph(file);
        return Ok(Input {
            file: file.to_owned(),
            name: manifest.name().to_owned(),
            manifest: Some(manifest),
            graph,
        });
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

/// The run that is meant, with what it names.
fn choose(file: &str, resources: Vec<Resource>, name: Option<&str>) -> Result<Manifest, CliError> {
    let mut runs = Vec::new();
    let mut pipelines = Vec::new();
    let mut config_maps = Vec::new();
    for resource in resources {
        match resource {
            Resource::PipelineRun(run) => runs.push(*run),
            Resource::Pipeline(pipeline) => pipelines.push(*pipeline),
            Resource::ConfigMap(map) => config_maps.push(*map),
        }
    }
    let names: Vec<String> = runs.iter().map(|run| run.metadata.name.clone().unwrap_or_default()).collect();
    let run = match name {
        None if runs.len() == 1 => runs.pop(),
        None => None,
        Some(name) => runs.into_iter().find(|run| run.metadata.name.as_deref() == Some(name)),
    };
    let Some(run) = run else {
        let list = names.join("`, `");
        return Err(match (names.len(), name) {
            (0, _) => CliError::usage(format!("`{file}` holds no PipelineRun"), ""),
            (_, None) => CliError::usage(
                format!("`{file}` holds {} runs: `{list}`", names.len()),
                format!("choose one: `--run {}`", names[0]),
            ),
            (_, Some(name)) => {
                CliError::usage(format!("`{file}` holds no run `{name}`"), format!("it holds `{list}`"))
            }
        });
    };
    if let Some(finding) = conversion::check_name(run.metadata.name.as_deref().unwrap_or_default()) {
        return Err(CliError::refused(file, vec![finding]));
    }
    let wanted = run.spec.pipeline_ref.as_ref().map(|reference| reference.name.clone());
    let pipeline =
        pipelines.into_iter().find(|pipeline| pipeline.metadata.name == wanted && wanted.is_some());
    Ok(Manifest { run, pipeline, config_maps })
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
