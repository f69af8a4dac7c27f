//! The end of a resource: its workers, then its topics. A deadline sees to it that no namespace hangs on us.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use kube::runtime::controller::Action;
use kube::runtime::events::EventType;
use kube::{Api, Client, Resource, ResourceExt};
use orch_core::id::RunUid;
use orch_crds::PipelineRun;
use serde::de::DeserializeOwned;
use serde_json::json;
use tracing::{info, warn};

use super::{Error, kafka};
use crate::context::Context;
use crate::stages::{StageSet, delete_topics, delete_workers};

/// Holds a resource until its topics are gone.
pub(crate) const FINALIZER: &str = "kafka-orchestrator.dev/topics";
/// What is not gone yet is looked at again after this.
const AGAIN: Duration = Duration::from_secs(1);

/// What may hold our finalizer: PipelineRun and Pipeline.
pub(crate) trait Finalized:
    Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + DeserializeOwned + Debug
{
}

impl<K> Finalized for K where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + DeserializeOwned + Debug
{
}

/// Sets the finalizer, where it is not set.
pub(crate) async fn add<K: Finalized>(client: &Client, resource: &K) -> Result<(), kube::Error> {
    if resource.finalizers().iter().any(|name| name == FINALIZER) {
        return Ok(());
    }
    let mut finalizers = resource.finalizers().to_vec();
    finalizers.push(FINALIZER.to_owned());
    set_finalizers(client, resource, &finalizers).await
}

async fn set_finalizers<K: Finalized>(
    client: &Client,
    resource: &K,
    finalizers: &[String],
) -> Result<(), kube::Error> {
    let api: Api<K> = Api::namespaced(client.clone(), &resource.namespace().unwrap_or_default());
    // With the resource version: a finalizer that somebody else sets meanwhile must not get lost.
    let patch =
        json!({"metadata": {"finalizers": finalizers, "resourceVersion": resource.resource_version()}});
    match api.patch(&resource.name_any(), &PatchParams::default(), &Patch::Merge(&patch)).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
        Err(error) => Err(error),
    }
}

/// A run is going: its actor forgets it, and what was made for its own stages goes with it.
pub(crate) async fn finalize(
    context: &Arc<Context>,
    run: &Arc<PipelineRun>,
    uid: &RunUid,
    own: Option<StageSet>,
) -> Result<Action, Error> {
    context.writers.drop_run(uid);
    if let Some(set) = own {
        finalize_stages(context, &**run, set).await
    } else {
        let key = run.spec.pipeline_ref.as_ref().zip(run.namespace());
        if let Some((reference, namespace)) = key {
            let key = crate::stages::SetKey { namespace, name: reference.name.clone() };
            if let Some(handle) = context.registry.get(&key).await {
                handle.remove(uid).await;
            }
        }
        Ok(Action::await_change())
    }
}

/// The resource of a set of stages is going.
pub(crate) async fn finalize_stages<K: Finalized>(
    context: &Arc<Context>,
    resource: &K,
    set: StageSet,
) -> Result<Action, Error> {
    context.registry.drop_set(&set.key()).await;
    if !resource.finalizers().iter().any(|name| name == FINALIZER) {
        return Ok(Action::await_change());
    }
    let workers_gone = delete_workers(&context.client, &set).await?;
    let late = waited(resource) >= context.config.finalizer_deadline;
    if !workers_gone && !late {
        return Ok(Action::requeue(AGAIN));
    }
    if let Err(problem) = remove_topics(context, &set).await {
        if !late {
            warn!(set = %set.name, %problem, "the topics are not deleted yet");
            return Ok(Action::requeue(AGAIN));
        }
        let note = format!("topics {} may be left behind: {problem}", set.names);
        warn!(set = %set.name, %note, "the deadline has passed");
        context.tell(&resource.object_ref(&()), EventType::Warning, "TopicsLeftBehind", &note).await;
    }
    let left: Vec<String> = resource.finalizers().iter().filter(|name| *name != FINALIZER).cloned().collect();
    set_finalizers(&context.client, resource, &left).await?;
    info!(set = %set.name, "deleted");
    Ok(Action::await_change())
}

async fn remove_topics(context: &Context, set: &StageSet) -> Result<(), String> {
    let own = context.connections.own();
    let files = kafka(&context.client, &set.namespace, set.secret.as_deref(), own).await;
    let files = files.map_err(|error| error.to_string())?.map_err(|missing| missing.message)?;
    let bus = context.connections.bus(&files).map_err(|error| error.to_string())?;
    delete_topics(&*bus, set).await.map_err(|error| error.to_string())
}

/// How long the resource has been going.
fn waited<K: Resource>(resource: &K) -> Duration {
    let Some(since) = resource.meta().deletion_timestamp.as_ref() else { return Duration::ZERO };
    Timestamp::now().duration_since(since.0).try_into().unwrap_or(Duration::ZERO)
}
