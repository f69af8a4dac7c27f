//! A run as resources: which run of a file is meant, and what it names. Pure.

use std::collections::HashMap;

use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use orch_crds::chunk::Chunk;
use orch_crds::conversion;
use orch_crds::{Pipeline, PipelineRun, Resource};

use super::Graph;
use crate::error::CliError;

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
    /// The run that is meant by `name`, or the only one, with what it names.
    pub(super) fn choose(file: &str, resources: Vec<Resource>, name: Option<&str>) -> Result<Self, CliError> {
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
        let runs = unique(file, "PipelineRuns", runs, |run| &run.metadata)?;
        let pipelines = unique(file, "Pipelines", pipelines, |pipeline| &pipeline.metadata)?;
        let config_maps = unique(file, "ConfigMaps", config_maps, |map| &map.metadata)?;
        let run = meant(file, runs, name)?;
        if let Some(finding) = conversion::check_name(run.metadata.name.as_deref().unwrap_or_default()) {
            return Err(CliError::refused(file, vec![finding]));
        }
        let wanted = run.spec.pipeline_ref.as_ref().map(|reference| reference.name.as_str());
        let is_named = |pipeline: &Pipeline| {
            wanted.is_some_and(|wanted| is_called(&pipeline.metadata, wanted, &run.metadata))
        };
        let pipeline = pipelines.into_iter().find(is_named);
        Ok(Self { run, pipeline, config_maps })
    }

    /// The run as the core wants it.
    pub(crate) fn graph(&self, file: &str) -> Result<Graph, CliError> {
        let run = &self.run.metadata;
        let find = |name: &str| self.config_maps.iter().find(|map| is_called(&map.metadata, name, run));
        let chunks = Chunk::take_all(&self.run.spec, find).map_err(|missing| {
            let hint = "put the run and its ConfigMaps into one file, such as `kubectl get orun,cm -o yaml` writes \
                        it, or name the folder that `orch convert -o` wrote";
            CliError::usage(format!("`{file}`: {missing}"), hint)
        })?;
        let shared = self.run.shared_stages(self.pipeline.as_ref());
        let shared = shared.map_err(|finding| CliError::refused(file, vec![finding]))?;
        // A run that has stages as well is told that below.
        let reference = self.run.spec.pipeline_ref.as_ref().filter(|_| self.run.spec.stages.is_none());
        if let (Some(reference), None) = (reference, &shared) {
            let problem =
                format!("`{file}` does not hold the Pipeline `{}` that its run names", reference.name);
            return Err(CliError::usage(problem, "put both into one file, separated by a line `---`"));
        }
        let of_pods = self.pipeline.as_ref().map(Pipeline::check_pods).unwrap_or_default();
        if !of_pods.is_empty() {
            return Err(CliError::refused(file, of_pods));
        }
        match conversion::run_spec(&self.run.spec, shared.as_deref(), &chunks) {
            Ok(converted) => Ok(Graph { spec: converted.spec, warnings: converted.warnings }),
            Err(findings) => Err(CliError::refused(file, findings)),
        }
    }

    /// The run's name; a resource without one is called `run`.
    pub(crate) fn name(&self) -> &str {
        self.run.metadata.name.as_deref().unwrap_or("run")
    }
}

/// The only run, or the one of this name.
fn meant(file: &str, runs: Vec<PipelineRun>, name: Option<&str>) -> Result<PipelineRun, CliError> {
    let names: Vec<String> = runs.iter().map(|run| run.metadata.name.clone().unwrap_or_default()).collect();
    let mut fitting: Vec<PipelineRun> = match name {
        None => runs,
        Some(name) => {
            runs.into_iter().filter(|run| run.metadata.name.as_deref().unwrap_or_default() == name).collect()
        }
    };
    let list = names.join("`, `");
    match (fitting.len(), name) {
        (1, _) => Ok(fitting.remove(0)),
        (0, _) if names.is_empty() => Err(CliError::usage(
            format!("`{file}` holds no PipelineRun"),
            "write one, or convert a catalogue or list of objects: `orch convert FILE`",
        )),
        (0, name) => {
            let problem = format!("`{file}` holds no run `{}`", name.unwrap_or_default());
            Err(CliError::usage(problem, format!("it holds `{list}`")))
        }
        (several, None) => Err(CliError::usage(
            format!("`{file}` holds {several} runs: `{list}`"),
            format!("choose one: `--run {}`", names[0]),
        )),
        (several, Some(name)) => Err(CliError::usage(
            format!("`{file}` holds {several} runs `{name}` in different namespaces"),
            "leave one of them in the file",
        )),
    }
}

/// The resources without repetitions; two that differ have no name in common.
fn unique<T: PartialEq>(
    file: &str,
    kind: &str,
    resources: Vec<T>,
    metadata: fn(&T) -> &ObjectMeta,
) -> Result<Vec<T>, CliError> {
    let mut kept: Vec<T> = Vec::with_capacity(resources.len());
    let mut places = HashMap::new();
    for resource in resources {
        let key = (metadata(&resource).namespace.clone(), metadata(&resource).name.clone());
        let place = *places.entry(key).or_insert(kept.len());
        match kept.get(place) {
            None => kept.push(resource),
            Some(same) if *same == resource => {}
            Some(other) => {
                let name = metadata(other).name.as_deref().unwrap_or_default();
                let problem = format!("`{file}` holds two {kind} `{name}` that differ");
                return Err(CliError::usage(problem, "remove one of them, or give it another name"));
            }
        }
    }
    Ok(kept)
}

/// Whether the resource has this name and may be of the run's namespace: most files name none.
fn is_called(resource: &ObjectMeta, name: &str, run: &ObjectMeta) -> bool {
    let elsewhere = |(own, of_run): (&String, &String)| own != of_run;
    resource.name.as_deref() == Some(name)
        && !resource.namespace.as_ref().zip(run.namespace.as_ref()).is_some_and(elsewhere)
}
