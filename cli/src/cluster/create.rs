//! Creates the resources of a run. The ConfigMaps come first, because a run whose objects are not there waits; then
//! they become the run's own, so that they go when it goes.

use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::{Resource as _, ResourceExt as _};
use orch_crds::PipelineRun;
use serde_json::json;

use super::client::Cluster;
use super::without_server_fields;
use crate::error::CliError;
use crate::input::Manifest;
use crate::printer::Printer;

/// Creates a run with all that it names.
pub(super) async fn manifest(
    cluster: &Cluster,
    manifest: &Manifest,
    printer: &Printer,
) -> Result<(), CliError> {
    pipeline(cluster, manifest, printer).await?;
    let mut maps = Vec::new();
    let mut made = Vec::new();
    for map in &manifest.config_maps {
        match config_map(cluster, map).await {
            Ok((map, is_new)) => {
                made.extend(is_new.then(|| map.name_any()));
                maps.push(map);
            }
            Err(error) => {
                take_back(cluster, &made).await;
                return Err(error);
            }
        }
    }
    let run = match create_run(cluster, &manifest.run).await {
        Ok(run) => run,
        Err(error) => {
            take_back(cluster, &made).await;
            return Err(error);
        }
    };
    for map in maps.iter().filter(|map| made.contains(&map.name_any()) || !map.owner_references().is_empty())
    {
        own(cluster, map, &run).await?;
    }
    Ok(())
}

/// Creates a run with the graph of an earlier one. ConfigMaps that belong to the earlier run belong to both.
pub(super) async fn again(cluster: &Cluster, earlier: &Manifest, run: PipelineRun) -> Result<(), CliError> {
    let run = create_run(cluster, &run).await?;
    for map in earlier.config_maps.iter().filter(|map| !map.owner_references().is_empty()) {
        own(cluster, map, &run).await?;
    }
    Ok(())
}

async fn create_run(cluster: &Cluster, run: &PipelineRun) -> Result<PipelineRun, CliError> {
    let mut fresh = PipelineRun::new(&run.name_any(), run.spec.clone());
    fresh.metadata.labels.clone_from(&run.metadata.labels);
    fresh.metadata.annotations.clone_from(&run.metadata.annotations);
    let doing =
        || format!("cannot create the PipelineRun `{}` in namespace `{}`", run.name_any(), cluster.namespace);
    cluster.runs.create(&PostParams::default(), &fresh).await.map_err(|error| cluster.failed(doing(), error))
}

/// The Pipeline of the file, unless there is one of its name: other runs may be using that.
async fn pipeline(cluster: &Cluster, manifest: &Manifest, printer: &Printer) -> Result<(), CliError> {
    let Some(pipeline) = &manifest.pipeline else { return Ok(()) };
    let name = pipeline.name_any();
    match cluster.pipelines.create(&PostParams::default(), &without_server_fields(pipeline)).await {
        Ok(_) => {
            printer.note(&format!("pipeline.{}/{name} created", orch_crds::GROUP));
            Ok(())
        }
        Err(kube::Error::Api(status)) if status.code == 409 => {
            printer
                .note(&format!("pipeline.{}/{name} is there already and is used as it is", orch_crds::GROUP));
            Ok(())
        }
        Err(error) => Err(cluster.failed(format!("cannot create the Pipeline `{name}`"), error)),
    }
}

/// The ConfigMap as it is in the cluster, and whether it is new. One of the same content is used again.
async fn config_map(cluster: &Cluster, map: &ConfigMap) -> Result<(ConfigMap, bool), CliError> {
    let name = map.name_any();
    let failed = |error| cluster.failed(format!("cannot create the ConfigMap `{name}`"), error);
    match cluster.config_maps.create(&PostParams::default(), &fresh(map)).await {
        Ok(created) => Ok((created, true)),
        Err(kube::Error::Api(status)) if status.code == 409 => {
            let existing = cluster.config_maps.get(&name).await.map_err(failed)?;
            let same = existing.immutable == Some(true)
                && existing.binary_data == map.binary_data
                && existing.data == map.data;
            if same { Ok((existing, false)) } else { Err(failed(kube::Error::Api(status))) }
        }
        Err(error) => Err(failed(error)),
    }
}

fn fresh(map: &ConfigMap) -> ConfigMap {
    let mut fresh = map.clone();
    fresh.metadata = k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta {
        name: map.metadata.name.clone(),
        labels: map.metadata.labels.clone(),
        ..Default::default()
    };
    fresh
}

/// Adds the run to the owners of a ConfigMap. When it has changed since it was read, the server refuses.
async fn own(cluster: &Cluster, map: &ConfigMap, run: &PipelineRun) -> Result<(), CliError> {
    let name = map.name_any();
    let Some(mut owner) = run.owner_ref(&()) else { return Ok(()) };
    owner.controller = None;
    let mut owners: Vec<OwnerReference> = map.owner_references().to_vec();
    owners.push(owner);
    let patch = json!({"metadata": {"ownerReferences": owners, "resourceVersion": map.resource_version()}});
    let patched = cluster.config_maps.patch(&name, &PatchParams::default(), &Patch::Merge(patch)).await;
    patched.map(|_| ()).map_err(|error| {
        cluster.failed(format!("the run is created, but the ConfigMap `{name}` does not belong to it"), error)
    })
}

/// Deletes ConfigMaps of a run that could not be created.
async fn take_back(cluster: &Cluster, names: &[String]) {
    for name in names {
        // The error that is reported is the first one; what is left over does no harm.
        let _ = cluster.config_maps.delete(name, &DeleteParams::default()).await;
    }
}
