//! The reconcile of a Pipeline: its topics and its workers, before the first run and between runs.

use std::sync::Arc;
use std::time::Duration;

use kube::api::{Patch, PatchParams};
use kube::runtime::controller::Action;
use kube::{Api, ResourceExt};
use orch_crds::Pipeline;
use orch_crds::condition::{accepted, topics_ready, types};
use orch_crds::status::{PipelineStageStatus, PipelineStatus};
use orch_runner::{Exit, now_ms};
use serde_json::{Value, json};

use crate::context::Context;
use crate::ensure::{NotEnsured, ensure};
use crate::error::{Error, is_conflict, is_not_found};
use crate::finalizer::{self, Finalized};
use crate::guarded::{Guarded, Unreadable};
use crate::missing::Missing;
use crate::removal;
use crate::stages::{SetHandle, StageSet};
use crate::status::{Condition, Urgency, taken_over};

/// What is not there is looked for again after this.
const WAIT: Duration = Duration::from_secs(3);
/// The counts of a Pipeline in use are renewed this often.
const RESYNC: Duration = Duration::from_secs(10);

/// Brings one Pipeline to what its spec says.
pub(crate) async fn reconcile(pipeline: &Guarded<Pipeline>, context: Arc<Context>) -> Result<Action, Error> {
    let pipeline = match &pipeline.0 {
        Ok(pipeline) => pipeline.clone(),
        Err(unreadable) => return refuse(&context, pipeline, unreadable).await,
    };
    let Some(set) = StageSet::of_pipeline(&pipeline, &context.config.topic_prefix) else {
        return Ok(Action::await_change());
    };
    if pipeline.metadata.deletion_timestamp.is_some() {
        return removal::finalize(&context, &*pipeline, set).await;
    }
    let Some(pipeline) = finalizer::hold(&context.client, pipeline).await? else {
        return Ok(Action::await_change());
    };
    let known_epoch = pipeline.status.as_ref().and_then(|status| status.epoch).unwrap_or(0);
    let (handle, problem, wait) = match ensure(&context, set.clone(), known_epoch).await? {
        Ok(ensured) => {
            let problem = trouble(&ensured.handle, &set);
            (Some(ensured.handle), problem, RESYNC)
        }
        Err(NotEnsured::Missing(missing)) => {
            let missing = Condition::new(types::ACCEPTED, "False", missing.reason, missing.message);
            (None, Some(missing), WAIT)
        }
        Err(NotEnsured::Topics(condition)) => (None, Some(condition), WAIT),
        Err(NotEnsured::Yielded(epoch)) => (None, Some(another_operator(epoch)), WAIT),
        Err(NotEnsured::Leaving) => return Ok(Action::requeue(WAIT)),
    };
    let status = status(&pipeline, &set, handle.as_deref(), problem);
    if pipeline.status.as_ref() != Some(&status) {
        let version = pipeline.resource_version();
        let patch = json!({"metadata": {"resourceVersion": version}, "status": status});
        write(&context, &*pipeline, &patch).await?;
    }
    Ok(Action::requeue(wait))
}

/// A Pipeline that nobody can read is told so, and let go when it is deleted.
async fn refuse(
    context: &Context,
    pipeline: &Guarded<Pipeline>,
    unreadable: &Unreadable,
) -> Result<Action, Error> {
    if unreadable.metadata.deletion_timestamp.is_some() {
        finalizer::let_go(&context.client, pipeline).await?;
        return Ok(Action::await_change());
    }
    if unreadable.observed_generation == unreadable.metadata.generation {
        return Ok(Action::await_change());
    }
    let mut status =
        PipelineStatus { observed_generation: unreadable.metadata.generation, ..PipelineStatus::default() };
    let Missing { reason, message } = Missing::of_unreadable(unreadable);
    Condition::new(types::ACCEPTED, "False", reason, message).put(&mut status.conditions, now_ms());
    write(context, pipeline, &json!({"status": status})).await?;
    Ok(Action::await_change())
}

/// What the actor of its runs suffers from.
fn trouble(handle: &SetHandle, set: &StageSet) -> Option<Condition> {
    let of_exit = handle.trouble().0.and_then(|exit| match exit {
        Exit::Superseded { epoch } => Some(another_operator(epoch)),
        exit => Condition::of_exit(&exit, set.secret.as_deref()),
    });
    of_exit.or_else(|| handle.outage().borrow().clone())
}

fn another_operator(epoch: u64) -> Condition {
    Condition::new(types::TOPICS_READY, "False", topics_ready::ANOTHER_OPERATOR, taken_over(epoch))
}

fn status(
    pipeline: &Pipeline,
    set: &StageSet,
    handle: Option<&SetHandle>,
    problem: Option<Condition>,
) -> PipelineStatus {
    let now = now_ms();
    let mut status = pipeline.status.clone().unwrap_or_default();
    status.observed_generation = pipeline.metadata.generation;
    let mut conditions = vec![Condition::new(types::ACCEPTED, "True", accepted::ACCEPTED, "")];
    let workers = handle.map(|handle| handle.workers().borrow().clone());
    if let Some(workers) = &workers {
        conditions.extend([Condition::topics_are_ready(), workers.condition()]);
    }
    conditions.retain(|condition| problem.as_ref().is_none_or(|problem| problem.type_ != condition.type_));
    for condition in conditions.into_iter().chain(problem) {
        condition.put(&mut status.conditions, now);
    }
    status.epoch = handle.map(SetHandle::epoch).or(status.epoch);
    status.runs = handle.map_or(0, |handle| handle.count_runs() as u32);
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

/// Writes what is new, unless the Pipeline has changed or gone meanwhile: that brings us here again.
async fn write<K>(context: &Context, pipeline: &K, patch: &Value) -> Result<(), kube::Error>
where
    K: Finalized,
{
    let api: Api<K> = Api::namespaced(context.client.clone(), &pipeline.namespace().unwrap_or_default());
    let sent = patch.to_string().len();
    // They are rare, small, and waited for.
    let mut turn = context.turns.ask(Urgency::News, sent).turn().await;
    turn.wrote(sent);
    match api.patch_status(&pipeline.name_any(), &PatchParams::default(), &Patch::Merge(patch)).await {
        Ok(_) => Ok(()),
        Err(error) if is_conflict(&error) || is_not_found(&error) => Ok(()),
        Err(error) => Err(error),
    }
}
