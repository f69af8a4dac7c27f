//! The reconcile of a Pipeline: its topics and its workers, before the first run and between runs.

use std::sync::Arc;
use std::time::Duration;

use kube::api::{Patch, PatchParams};
use kube::runtime::controller::Action;
use kube::{Api, ResourceExt};
use orch_crds::Pipeline;
use orch_crds::condition::{accepted, topics_ready, types};
use orch_crds::status::{PipelineStageStatus, PipelineStatus};
use orch_crds::view::set_condition;
use orch_runner::now_ms;
use serde_json::json;

use crate::context::Context;
use crate::ensure::{NotEnsured, ensure};
use crate::run::{Error, FINALIZER, add_finalizer, finalize_stages};
use crate::stages::{SetHandle, StageSet};

/// What is not there is looked for again after this.
const WAIT: Duration = Duration::from_secs(3);
/// The counts of a Pipeline in use are renewed this often.
const RESYNC: Duration = Duration::from_secs(10);

/// Brings one Pipeline to what its spec says.
pub(crate) async fn reconcile(pipeline: Arc<Pipeline>, context: Arc<Context>) -> Result<Action, Error> {
    let Some(set) = StageSet::of_pipeline(&pipeline, &context.config.topic_prefix) else {
        return Ok(Action::await_change());
    };
    if pipeline.metadata.deletion_timestamp.is_some() {
        return finalize_stages(&context, &*pipeline, set).await;
    }
    if !pipeline.finalizers().iter().any(|name| name == FINALIZER) {
        add_finalizer(&context.client, &*pipeline).await?;
        // The write comes back as a change.
        return Ok(Action::await_change());
    }
    let epoch = 0;
    let (handle, condition, wait) = match ensure(&context, set.clone(), epoch).await? {
        Ok(ensured) => (Some(ensured.handle), None, RESYNC),
        Err(NotEnsured::Missing(missing)) => {
            let missing =
                crate::status::Condition::new(types::ACCEPTED, "False", missing.reason, missing.message);
            (None, Some(missing), WAIT)
        }
        Err(NotEnsured::Topics(condition)) => (None, Some(condition), WAIT),
    };
    write(&context, &pipeline, status(&pipeline, &set, handle.as_deref(), condition)).await?;
    Ok(Action::requeue(wait))
}

fn status(
    pipeline: &Pipeline,
    set: &StageSet,
    handle: Option<&SetHandle>,
    problem: Option<crate::status::Condition>,
) -> PipelineStatus {
    let now = now_ms();
    let mut status = pipeline.status.clone().unwrap_or_default();
    status.observed_generation = pipeline.metadata.generation;
    set_condition(&mut status.conditions, (types::ACCEPTED, "True", accepted::ACCEPTED), "", now);
    if let Some(problem) = problem {
        let condition = (problem.type_, problem.status, problem.reason.as_str());
        set_condition(&mut status.conditions, condition, &problem.message, now);
    }
    let workers = handle.map(|handle| handle.workers().borrow().clone());
    if let Some(workers) = &workers {
        let outage = handle.and_then(|handle| handle.outage().borrow().clone());
        let (ready, reason, message) = match &outage {
            Some(outage) => (outage.status, outage.reason.as_str(), outage.message.as_str()),
            None => ("True", topics_ready::READY, ""),
        };
        set_condition(&mut status.conditions, (types::TOPICS_READY, ready, reason), message, now);
        let (ready, reason, message) = workers.condition();
        set_condition(&mut status.conditions, (types::WORKERS_READY, ready, reason), &message, now);
    }
    status.runs = handle.map_or(0, |handle| handle.runs() as u32);
    status.stages = set
        .stage_topics()
        .iter()
        .map(|(stage, _)| PipelineStageStatus {
            name: stage.as_str().to_owned(),
            topic: set.names.ready(stage),
            replicas: workers
                .as_ref()
                .and_then(|workers| workers.stages.get(stage))
                .map_or(0, |health| health.wanted),
        })
        .collect();
    status
}

async fn write(context: &Context, pipeline: &Pipeline, status: PipelineStatus) -> Result<(), kube::Error> {
    if pipeline.status.as_ref() == Some(&status) {
        return Ok(());
    }
    let api: Api<Pipeline> =
        Api::namespaced(context.client.clone(), &pipeline.namespace().unwrap_or_default());
    let patch = json!({"metadata": {"resourceVersion": pipeline.resource_version()}, "status": status});
    match api.patch_status(&pipeline.name_any(), &PatchParams::default(), &Patch::Merge(&patch)).await {
        Ok(_) => Ok(()),
        // Whatever changed it brings us here again.
        Err(kube::Error::Api(status)) if status.is_conflict() || status.is_not_found() => Ok(()),
        Err(error) => Err(error),
    }
}
