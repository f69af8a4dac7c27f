//! The resource of a run that was run here, as a cluster would show it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;
use orch_core::id::{Millis, RunUid};
use orch_core::plan::{RunPlan, StagePlan};
use orch_crds::PipelineRun;
use orch_crds::condition::{accepted, graph_valid, stalled, topics_ready, types, workers_ready};
use orch_crds::status::PipelineRunStatus;
use orch_crds::view::{self, StageFacts, set_condition};

use super::session::Outcome;

/// Writes into `run` what a cluster adds to a resource, and the status of its end.
pub(crate) fn finished(
    run: &mut PipelineRun,
    uid: &RunUid,
    created: Millis,
    plan: &RunPlan,
    outcome: &Outcome,
) {
    let metadata = &mut run.metadata;
    metadata.namespace.get_or_insert_with(|| "default".to_owned());
    metadata.uid = Some(uid.as_str().to_owned());
    metadata.generation = Some(1);
    metadata.creation_timestamp = Timestamp::from_second(created.div_euclid(1_000)).ok().map(Time);
    run.status = Some(status(created, plan, outcome));
}

/// The status of the end.
pub(crate) fn status(created: Millis, plan: &RunPlan, outcome: &Outcome) -> PipelineRunStatus {
    let mut status = PipelineRunStatus {
        observed_generation: Some(1),
        start_offset: Some(0),
        ..PipelineRunStatus::default()
    };
    let workers = if plan.stages.iter().all(StagePlan::is_external) {
        workers_ready::EXTERNAL
    } else {
        workers_ready::SCALED_TO_ZERO
    };
    let facts = [
        (types::ACCEPTED, "True", accepted::ACCEPTED),
        (types::GRAPH_VALID, "True", graph_valid::VALID),
        (types::TOPICS_READY, "True", topics_ready::READY),
        (types::WORKERS_READY, "True", workers),
        (types::STALLED, "False", stalled::MOVING),
    ];
    for fact in facts {
        set_condition(&mut status.conditions, fact, "", created);
    }
    let topic = |stage: &_| StageFacts { topic: outcome.names.ready(stage), replicas: 0 };
    let ended = outcome.view.ended_at.unwrap_or(created);
    view::fill(&mut status, &outcome.view, plan, topic, ended);
    view::fit(&mut status, 0);
    status
}
