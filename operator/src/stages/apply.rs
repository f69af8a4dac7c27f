//! Brings the cluster to what was built. Server-side apply: what others set on our objects stays.

use std::fmt::Debug;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use kube::{Api, Client, Resource, ResourceExt};
use orch_core::id::StageName;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::StageSet;
use super::build::Prepared;
use crate::error::found;

/// Who owns the fields that we set.
pub(crate) const FIELD_MANAGER: &str = "kafka-orchestrator";

/// Applies connection and settings; the Deployments follow with their replicas.
pub(crate) async fn apply_config(
    client: &Client,
    set: &StageSet,
    prepared: &Prepared,
) -> Result<(), kube::Error> {
    if let Some(secret) = &prepared.secret {
        apply::<Secret>(client, &set.namespace, secret).await?;
    }
    for config_map in &prepared.config_maps {
        apply::<ConfigMap>(client, &set.namespace, config_map).await?;
    }
    Ok(())
}

/// Applies a Deployment with so many replicas.
pub(crate) async fn apply_deployment(
    client: &Client,
    set: &StageSet,
    deployment: &Deployment,
    replicas: u32,
) -> Result<Deployment, kube::Error> {
    let mut deployment = deployment.clone();
    deployment.spec.replicas = Some(replicas as i32);
    apply(client, &set.namespace, &deployment).await
}

async fn apply<K>(client: &Client, namespace: &str, object: &K) -> Result<K, kube::Error>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Serialize
        + DeserializeOwned
        + Clone
        + Debug,
{
    let api: Api<K> = Api::namespaced(client.clone(), namespace);
    let params = PatchParams::apply(FIELD_MANAGER).force();
    api.patch(&object.name_any(), &params, &Patch::Apply(object)).await
}

/// The Deployments of a set.
pub(crate) async fn deployments(
    client: &Client,
    namespace: &str,
    name: &str,
) -> Result<Vec<Deployment>, kube::Error> {
    let api: Api<Deployment> = Api::namespaced(client.clone(), namespace);
    Ok(api.list(&ListParams::default().labels(&selector(name, None))).await?.items)
}

/// Selects what was made for the set of this name, or for one stage of it.
pub(crate) fn selector(set: &str, stage: Option<&StageName>) -> String {
    let of_stage = stage.map(|stage| format!(",kafka-orchestrator.dev/stage={stage}"));
    format!("kafka-orchestrator.dev/owner={set}{}", of_stage.unwrap_or_default())
}

/// Brings every Deployment of a set to no replicas: its runs are over.
pub(crate) async fn stop_workers(client: &Client, set: &StageSet) -> Result<(), kube::Error> {
    let api: Api<Deployment> = Api::namespaced(client.clone(), &set.namespace);
    for deployment in deployments(client, &set.namespace, &set.name).await? {
        if deployment.spec.replicas != Some(0) {
            let patch = Patch::Merge(json!({"spec": {"replicas": 0}}));
            found(api.patch(&deployment.name_any(), &PatchParams::default(), &patch).await)?;
        }
    }
    Ok(())
}

/// Deletes the workers of a set and says whether their pods are gone. Owner references would do it too, but the topics
/// are to go after the last worker.
pub(crate) async fn delete_workers(client: &Client, set: &StageSet) -> Result<bool, kube::Error> {
    let api: Api<Deployment> = Api::namespaced(client.clone(), &set.namespace);
    for deployment in deployments(client, &set.namespace, &set.name).await? {
        found(api.delete(&deployment.name_any(), &DeleteParams::background()).await)?;
    }
    let pods: Api<Pod> = Api::namespaced(client.clone(), &set.namespace);
    let left = pods.list_metadata(&ListParams::default().labels(&selector(&set.name, None))).await?;
    Ok(left.items.is_empty())
}
