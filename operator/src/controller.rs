//! Watches both kinds and reconciles them, as long as this replica leads.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use futures::StreamExt;
use kube::runtime::controller::{Action, Config, Controller};
use kube::runtime::reflector::ObjectRef;
use kube::runtime::watcher;
use kube::{Resource, ResourceExt};
use orch_crds::{Pipeline, PipelineRun};
use serde::de::DeserializeOwned;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::context::Context;
use crate::error::Error;
use crate::guarded::Guarded;
use crate::lock::lock;
use crate::scope::Scope;
use crate::truncation;

/// Reconciles at the same time, of one kind in one scope. Some of them wait for their turn to be read. Many more than the
/// API server can work on would only wait there, and some of them too long.
const CONCURRENCY: u16 = 48;

/// Watches until `stop`.
pub(crate) async fn watch(context: Arc<Context>, stop: CancellationToken) {
    let mut tasks = JoinSet::new();
    for scope in context.config.scopes() {
        tasks.spawn(runs(context.clone(), scope.clone(), stop.clone()));
        tasks.spawn(pipelines(context.clone(), scope, stop.clone()));
    }
    while tasks.join_next().await.is_some() {}
}

async fn runs(context: Arc<Context>, scope: Scope, stop: CancellationToken) {
    let controller =
        Controller::new(scope.api::<Guarded<PipelineRun>>(&context.client), watcher::Config::default());
    let store = controller.store();
    tokio::spawn(truncation::watch(context.clone(), scope.clone(), store.clone(), stop.clone()));
    // A run that waits for its Pipeline goes on as soon as that is there.
    let known = Known::default();
    let users = move |pipeline: Guarded<Pipeline>| {
        if !known.is_news(&pipeline) {
            return Vec::new();
        }
        let names = |run: &PipelineRun| {
            run.spec.pipeline_ref.as_ref().is_some_and(|reference| reference.name == pipeline.name_any())
        };
        let uses = |run: &Arc<Guarded<PipelineRun>>| {
            run.namespace() == pipeline.namespace() && run.0.as_ref().is_ok_and(|run| names(run))
        };
        store
            .state()
            .iter()
            .filter(|run| uses(run))
            .map(|run| ObjectRef::from_obj(&**run))
            .collect::<Vec<_>>()
    };
    let controller = controller
        .watches(scope.api::<Guarded<Pipeline>>(&context.client), watcher::Config::default(), users)
        .with_config(Config::default().concurrency(CONCURRENCY))
        .graceful_shutdown_on(async move { stop.cancelled().await });
    drain(controller.run(counted_run, failed::<Guarded<PipelineRun>>, context.clone()), "run").await;
}

/// The Pipelines as they were seen last. A status is no news to their runs: each of many that came at once would be looked
/// at again with every write of it, and the API server have no time for anything else.
#[derive(Default)]
struct Known(Mutex<HashMap<String, Version>>);

/// Uid, generation, and whether it is being deleted.
type Version = (Option<String>, Option<i64>, bool);

impl Known {
    fn is_news<K: Resource<DynamicType = ()>>(&self, pipeline: &K) -> bool {
        let meta = pipeline.meta();
        let now = (meta.uid.clone(), meta.generation, meta.deletion_timestamp.is_some());
        let mut known = lock(&self.0);
        // By name: there are no more of them than there ever were names.
        let key = format!("{}/{}", pipeline.namespace().unwrap_or_default(), pipeline.name_any());
        known.insert(key, now.clone()) != Some(now)
    }
}

async fn pipelines(context: Arc<Context>, scope: Scope, stop: CancellationToken) {
    let controller =
        Controller::new(scope.api::<Guarded<Pipeline>>(&context.client), watcher::Config::default())
            .with_config(Config::default().concurrency(CONCURRENCY))
            .graceful_shutdown_on(async move { stop.cancelled().await });
    drain(controller.run(counted_pipeline, failed::<Guarded<Pipeline>>, context.clone()), "pipeline").await;
}

async fn counted_run(run: Arc<Guarded<PipelineRun>>, context: Arc<Context>) -> Result<Action, Error> {
    let result = crate::run::reconcile(&run, context.clone()).await;
    context.metrics.reconciled("pipelinerun", result.as_ref().err().map(Error::category));
    result
}

async fn counted_pipeline(pipeline: Arc<Guarded<Pipeline>>, context: Arc<Context>) -> Result<Action, Error> {
    let result = crate::pipeline::reconcile(&pipeline, context.clone()).await;
    context.metrics.reconciled("pipeline", result.as_ref().err().map(Error::category));
    result
}

#[expect(clippy::needless_pass_by_value, reason = "the controller hands an Arc over")]
fn failed<K>(resource: Arc<K>, error: &Error, _: Arc<Context>) -> Action
where
    K: Resource<DynamicType = ()>,
{
    if error.is_conflict() {
        debug!(resource = %resource.name_any(), %error, "the resource has changed; the reconcile is tried again");
    } else {
        warn!(resource = %resource.name_any(), %error, "the reconcile failed and is tried again");
    }
    Action::requeue(error.again_in())
}

async fn drain<K, E>(
    results: impl futures::Stream<Item = Result<(ObjectRef<K>, Action), E>>,
    kind: &'static str,
) where
    K: Resource<DynamicType = ()> + DeserializeOwned,
    E: std::fmt::Display,
{
    results
        .for_each(|result| {
            if let Err(error) = result {
                debug!(kind, %error, "controller");
            }
            std::future::ready(())
        })
        .await;
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pipeline(generation: i64, replicas: u32) -> Pipeline {
        serde_json::from_value(json!({
            "apiVersion": "kafka-orchestrator.dev/v1alpha1", "kind": "Pipeline",
            "metadata": {"name": "shared", "namespace": "a", "uid": "u", "generation": generation},
            "spec": {"stages": [{"name": "work", "processor": {"simulate": {}}}]},
            "status": {"runs": replicas},
        }))
        .unwrap()
    }

    /// With 200 runs each write of their Pipeline's status had all of them looked at again.
    #[test]
    fn the_status_of_a_pipeline_is_no_news_to_its_runs() {
        let known = Known::default();
        let mut going = pipeline(2, 3);
        going.metadata.deletion_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(
            k8s_openapi::jiff::Timestamp::UNIX_EPOCH,
        ));
        let seen = [pipeline(1, 1), pipeline(1, 2), pipeline(2, 2), pipeline(2, 3), going.clone(), going];
        assert_eq!(seen.map(|pipeline| known.is_news(&pipeline)), [true, false, true, false, true, false]);
    }
}
