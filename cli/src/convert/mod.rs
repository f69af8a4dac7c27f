//! Writes a run that was read from any file as resources: a PipelineRun with its objects inline, or with immutable
//! ConfigMaps when they are too many for one resource. Pure.

mod chunks;
mod entry;
mod stages;

use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use orch_core::spec::{FailurePolicy, RunSpec, Targets};
use orch_crds::PipelineRun;
use orch_crds::conversion::MAX_INLINE_BYTES;
use orch_crds::object::{ObjectSpec, ObjectsConfigMap, ObjectsFormat, ObjectsFrom};
use orch_crds::pipeline_run::{self, PipelineRunSpec, TargetsSpec};

use crate::error::CliError;
use crate::input::{self, Manifest};

/// The resources of a run that was read from a file without any.
pub(crate) fn manifest(name: &str, spec: &RunSpec) -> Result<Manifest, CliError> {
    let mut run_spec = PipelineRunSpec {
        stages: Some(stages::all(&spec.stages)?),
        targets: targets(&spec.targets),
        undefined_dependencies: input::undefined(spec.undefined_dependencies),
        failure_policy: match spec.failure_policy {
            FailurePolicy::ContinueIndependent => pipeline_run::FailurePolicy::ContinueIndependent,
            FailurePolicy::FailFast => pipeline_run::FailurePolicy::FailFast,
        },
        ..PipelineRunSpec::default()
    };
    let entries = entry::Entries::new(spec);
    let config_maps = match inline(&entries)? {
        Some(objects) => {
            run_spec.objects = Some(objects);
            Vec::new()
        }
        None => chunks::config_maps(name, &entries)?,
    };
    if !config_maps.is_empty() {
        run_spec.objects_from = Some(config_maps.iter().map(reference).collect());
    }
    let mut run = PipelineRun::new(name, run_spec);
    run.metadata = ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() };
    Ok(Manifest { run, pipeline: None, config_maps })
}

/// The manifest with its inline objects in ConfigMaps, when they are too many for a cluster.
pub(crate) fn shrink(manifest: Manifest, spec: &RunSpec) -> Result<Manifest, CliError> {
    if orch_crds::conversion::check_inline_size(&manifest.run.spec).is_none() {
        return Ok(manifest);
    }
    let mut manifest = manifest;
    // The objects of a resource are its source 0; those of `objectsFrom` come after them.
    let entries = entry::Entries::of_source(spec, 0);
    let config_maps = chunks::config_maps(manifest.name(), &entries)?;
    let mut references: Vec<ObjectsFrom> = config_maps.iter().map(reference).collect();
    references.extend(manifest.run.spec.objects_from.take().unwrap_or_default());
    manifest.run.spec.objects_from = Some(references);
    manifest.run.spec.objects = None;
    manifest.config_maps.splice(0..0, config_maps);
    Ok(manifest)
}

/// The objects, when they are few enough to stand in the resource.
fn inline(entries: &entry::Entries<'_>) -> Result<Option<Vec<ObjectSpec>>, CliError> {
    let mut size = 2;
    let mut objects = Vec::new();
    for json in entries.json() {
        let json = json?;
        size += json.len() + 1;
        if size > MAX_INLINE_BYTES {
            return Ok(None);
        }
        objects.push(serde_json::from_str(&json).map_err(|error| not_json(&error))?);
    }
    Ok(Some(objects))
}

fn reference(map: &ConfigMap) -> ObjectsFrom {
    let name = map.metadata.name.clone().unwrap_or_default();
    ObjectsFrom {
        config_map: ObjectsConfigMap { name, key: chunks::KEY.to_owned(), format: ObjectsFormat::Objects },
    }
}

fn targets(targets: &Targets) -> Option<TargetsSpec> {
    match targets {
        Targets::All => None,
        Targets::Stage(stage) => Some(TargetsSpec { ids: None, stage: Some(stage.clone()) }),
        Targets::Ids(ids) => Some(TargetsSpec { ids: Some(ids.clone()), stage: None }),
    }
}

/// What was read as JSON is written as JSON: this is a fault of ours.
fn not_json(error: &serde_json::Error) -> CliError {
    CliError::broken(format!("an object cannot be written as JSON: {error}"), "")
}

#[cfg(test)]
mod tests;
