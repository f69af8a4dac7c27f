//! Brings the cluster to what was built. Server-side apply: what others set on our objects stays.

use std::fmt::Debug;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use kube::core::PartialObjectMeta;
use kube::{Api, Client, Resource, ResourceExt};
use orch_core::id::StageName;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use thiserror::Error;

use super::StageSet;
use super::build::{OWNER_LABEL, Prepared, STAGE_LABEL};
use crate::error::{found, said};

/// Who owns the fields that we set.
pub(crate) const FIELD_MANAGER: &str = "kafka-orchestrator";

/// Why something was not applied.
#[derive(Debug, Error)]
pub(crate) enum NotApplied {
    #[error("{}", said(.0))]
    Refused(#[from] kube::Error),
    /// Applied all the same it would be changed, and deleted with our owner.
    #[error(
        "the {0} is there already and was not made for this {1}: rename the {1}, or delete the {0} if nobody needs it"
    )]
    NotOurs(String, String),
}

/// Applies connection and settings; the Deployments follow with their replicas. What somebody else made under such a name
/// stays as it is; with Deployments the API server sees to that, since their selectors cannot change.
pub(crate) async fn apply_config(
    client: &Client,
    set: &StageSet,
    prepared: &Prepared,
) -> Result<(), NotApplied> {
    if let Some(secret) = &prepared.secret {
        apply_own::<Secret>(client, set, secret).await?;
    }
    for config_map in &prepared.config_maps {
        apply_own::<ConfigMap>(client, set, config_map).await?;
    }
    Ok(())
}

async fn apply_own<K>(client: &Client, set: &StageSet, object: &K) -> Result<(), NotApplied>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Serialize
        + DeserializeOwned
        + Clone
        + Debug,
{
    let name = object.name_any();
    let api: Api<K> = Api::namespaced(client.clone(), &set.namespace);
    // By what it was made for, not by the owner's uid: a Pipeline that is made anew takes over what is left of the former.
    let is_ours = |there: &PartialObjectMeta<K>| {
        [OWNER_LABEL, STAGE_LABEL]
            .iter()
            .all(|label| there.labels().get(*label) == object.labels().get(*label))
    };
    if api.get_metadata_opt(&name).await?.is_some_and(|there| !is_ours(&there)) {
        let there = format!("{} `{name}`", K::kind(&()));
        return Err(NotApplied::NotOurs(there, format!("{} `{}`", set.owner.kind, set.owner.name)));
    }
    apply(client, &set.namespace, object).await?;
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
    let of_stage = stage.map(|stage| format!(",{STAGE_LABEL}={stage}"));
    format!("{OWNER_LABEL}={set}{}", of_stage.unwrap_or_default())
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
