//! The finalizer: as long as it is there, its resource is, and what belongs to it is ours to remove.

use std::fmt::Debug;
use std::sync::Arc;

use k8s_openapi::NamespaceResourceScope;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::error::found;

/// Holds a resource until what was made for it is gone.
pub(crate) const FINALIZER: &str = "kafka-orchestrator.dev/topics";

/// What may hold our finalizer: PipelineRun and Pipeline.
pub(crate) trait Finalized:
    Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + DeserializeOwned + Debug
{
}

impl<K> Finalized for K where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + DeserializeOwned + Debug
{
}

/// Whether a resource has it.
pub(crate) fn is_held<K: Resource>(resource: &K) -> bool {
    resource.finalizers().iter().any(|name| name == FINALIZER)
}

/// Sets the finalizer, where it is not set. `None`: the resource is gone, and nothing may be made for it any more.
pub(crate) async fn hold<K: Finalized>(
    client: &Client,
    resource: Arc<K>,
) -> Result<Option<Arc<K>>, kube::Error> {
    if is_held(&*resource) {
        return Ok(Some(resource));
    }
    let mut finalizers = resource.finalizers().to_vec();
    finalizers.push(FINALIZER.to_owned());
    Ok(set(client, &*resource, &finalizers).await?.map(Arc::new))
}

/// Takes the finalizer away, where it is set; the resource may go.
pub(crate) async fn let_go<K: Finalized>(client: &Client, resource: &K) -> Result<(), kube::Error> {
    if !is_held(resource) {
        return Ok(());
    }
    let left: Vec<String> = resource.finalizers().iter().filter(|name| *name != FINALIZER).cloned().collect();
    set(client, resource, &left).await.map(|_| ())
}

async fn set<K: Finalized>(
    client: &Client,
    resource: &K,
    finalizers: &[String],
) -> Result<Option<K>, kube::Error> {
    let api: Api<K> = Api::namespaced(client.clone(), &resource.namespace().unwrap_or_default());
    // With the resource version: a finalizer that somebody else sets meanwhile must not get lost.
    let patch =
        json!({"metadata": {"finalizers": finalizers, "resourceVersion": resource.resource_version()}});
    found(api.patch(&resource.name_any(), &PatchParams::default(), &Patch::Merge(&patch)).await)
}
