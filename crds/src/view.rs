//! What the engine's projection becomes in the status. The operator and `orch run -o json` share it, so that a run
//! looks the same wherever it ran.

use std::fmt::Write as _;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;
use orch_core::duration;
use orch_core::engine::{self, FailureView, ObjectView, RunView};
use orch_core::id::{Millis, StageName};
use orch_core::plan::RunPlan;

use crate::condition::{progressing, succeeded, types};
use crate::status::{
    Counts, MAX_LOG_TAIL, MAX_MESSAGE, MAX_REASON, MAX_WORKER, ObjectFailure, ObjectPhase, ObjectStatus,
    PhaseMap, PipelineRunStatus, RunPhase, StageStatus, clip, timestamp,
};

/// What the projection does not know of a stage.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StageFacts {
    /// Its ready topic.
    pub topic: String,
    /// Workers that are wanted now.
    pub replicas: u32,
}

/// Writes everything that follows from the run's records into `status`, the conditions `Progressing` and `Succeeded`
/// included. `stage` gives what stands elsewhere.
pub fn fill(
    status: &mut PipelineRunStatus,
    view: &RunView,
    plan: &RunPlan,
    stage: impl Fn(&StageName) -> StageFacts,
    now: Millis,
) {
    status.phase = match view.phase {
        engine::RunPhase::Pending => RunPhase::Pending,
        engine::RunPhase::Running => RunPhase::Running,
        engine::RunPhase::Succeeded => RunPhase::Succeeded,
        engine::RunPhase::Failed => RunPhase::Failed,
        engine::RunPhase::Cancelled => RunPhase::Cancelled,
    };
    status.counts = counts(&view.counts);
    status.progress = Some(format!("{}/{}", status.counts.loaded, status.counts.total));
    status.stages = plan
        .stages
        .iter()
        .zip(&view.stages)
        .map(|(plan, of_stage)| {
            let StageFacts { topic, replicas } = stage(&plan.name);
            StageStatus { name: plan.name.as_str().to_owned(), topic, replicas, counts: counts(of_stage) }
        })
        .collect();
    status.objects = view.objects.iter().map(|object| object_status(plan, object)).collect();
    status.failures = view.failures.iter().map(|failure| object_failure(plan, failure)).collect();
    // Letters are ASCII by construction.
    status.phase_map = Some(PhaseMap::encode(&String::from_utf8_lossy(&view.letters)));
    status.start_time = view.started_at.and_then(timestamp);
    status.completion_time = view.ended_at.and_then(timestamp);
    status.duration = view.started_at.zip(view.ended_at).map(|(start, end)| duration::display(end - start));
    status.epoch = Some(view.epoch);
    status.plan_digest = Some(plan.digest.clone());
    progress_conditions(status, view, now);
}

/// Largest resource as JSON: etcd takes requests of 1.5 MiB, and has words of its own to add.
pub const MAX_RESOURCE_BYTES: usize = 1_200 << 10;
/// Largest status as JSON.
const MAX_STATUS_BYTES: usize = 900 << 10;
/// What is left of a message where all of them together would be too long.
const SHORT_MESSAGE: usize = 120;

/// Drops detail until the status fits beside a rest of the resource of so many bytes. Phase, counts, conditions and the
/// phase map always stay.
pub fn fit(status: &mut PipelineRunStatus, rest: usize) {
    let room = MAX_RESOURCE_BYTES.saturating_sub(rest).min(MAX_STATUS_BYTES);
    let steps: [fn(&mut PipelineRunStatus); 4] = [
        |status| {
            let messages = status.objects.iter_mut().filter_map(|object| object.message.as_mut());
            messages.for_each(|message| *message = clip(message, SHORT_MESSAGE));
        },
        |status| status.failures.iter_mut().for_each(|failure| failure.log_tail = None),
        |status| {
            let messages = status.failures.iter_mut().map(|failure| &mut failure.message);
            messages.for_each(|message| *message = clip(message, SHORT_MESSAGE));
        },
        |status| status.objects.clear(),
    ];
    for step in steps {
        // It always serialises (texts, numbers and lists), unless there is no room for it.
        if serde_json::to_writer(Room(room), status).is_ok() {
            return;
        }
        step(status);
    }
}

/// Takes so many bytes and keeps none: whether something fits costs no copy of it.
struct Room(usize);

impl std::io::Write for Room {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 = self.0.checked_sub(bytes.len()).ok_or(std::io::ErrorKind::StorageFull)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn progress_conditions(status: &mut PipelineRunStatus, view: &RunView, now: Millis) {
    let summary = summary(&status.counts);
    let (moving, why_moving) = match view.phase {
        engine::RunPhase::Pending => ("False", progressing::WAITING),
        engine::RunPhase::Running => ("True", progressing::RUNNING),
        engine::RunPhase::Succeeded | engine::RunPhase::Failed | engine::RunPhase::Cancelled => {
            ("False", progressing::FINISHED)
        }
    };
    let (ended_well, why) = match (view.phase, view.reason) {
        (engine::RunPhase::Pending, _) => ("Unknown", succeeded::PENDING),
        (engine::RunPhase::Running, _) => ("Unknown", succeeded::RUNNING),
        (engine::RunPhase::Succeeded, _) => ("True", succeeded::ALL_LOADED),
        (engine::RunPhase::Cancelled, _) => ("False", succeeded::CANCELLED),
        (engine::RunPhase::Failed, Some("DeadlineExceeded")) => ("False", succeeded::DEADLINE_EXCEEDED),
        (engine::RunPhase::Failed, Some("PlanChanged")) => ("False", succeeded::PLAN_CHANGED),
        (engine::RunPhase::Failed, _) => ("False", succeeded::OBJECTS_FAILED),
    };
    set_condition(&mut status.conditions, (types::PROGRESSING, moving, why_moving), "", now);
    set_condition(&mut status.conditions, (types::SUCCEEDED, ended_well, why), &summary, now);
}

/// `40 of 42 loaded, 1 failed, 1 blocked`: what is not there is not named. Of a live run only what has ended counts,
/// so that the text of a condition does not change with every record.
fn summary(counts: &Counts) -> String {
    if counts.loaded + counts.failed + counts.blocked + counts.cancelled < counts.total {
        return String::new();
    }
    let mut text = format!("{} of {} loaded", counts.loaded, counts.total);
    for (count, what) in
        [(counts.failed, "failed"), (counts.blocked, "blocked"), (counts.cancelled, "cancelled")]
    {
        if count > 0 {
            let _ = write!(text, ", {count} {what}"); // Into a String: cannot fail.
        }
    }
    text
}

/// Sets a condition (type, status, reason). The time of the last transition stays when the status does.
pub fn set_condition(
    conditions: &mut Vec<Condition>,
    (type_, status, reason): (&str, &str, &str),
    message: &str,
    now: Millis,
) {
    let message = clip(message, 8_192);
    let existing = conditions.iter_mut().find(|condition| condition.type_ == type_);
    if let Some(condition) = existing {
        if condition.status != status {
            condition.last_transition_time = time(now);
        }
        status.clone_into(&mut condition.status);
        reason.clone_into(&mut condition.reason);
        condition.message = message;
        return;
    }
    conditions.push(Condition {
        type_: type_.to_owned(),
        status: status.to_owned(),
        reason: reason.to_owned(),
        message,
        last_transition_time: time(now),
        observed_generation: None,
    });
    let order = |type_: &str| types::OF_A_RUN.iter().position(|known| *known == type_).unwrap_or(usize::MAX);
    conditions.sort_by_key(|condition| order(&condition.type_));
}

fn time(now: Millis) -> Time {
    Time(Timestamp::from_second(now.div_euclid(1_000)).unwrap_or(Timestamp::UNIX_EPOCH))
}

fn counts(counts: &engine::Counts) -> Counts {
    use engine::ObjectPhase as Phase;
    Counts {
        total: counts.total(),
        pending: counts.of(Phase::Pending),
        ready: counts.of(Phase::Ready),
        queued: counts.of(Phase::Queued),
        running: counts.of(Phase::Running),
        retrying: counts.of(Phase::Retrying),
        loaded: counts.of(Phase::Loaded),
        failed: counts.of(Phase::Failed),
        blocked: counts.of(Phase::Blocked),
        cancelled: counts.of(Phase::Cancelled),
    }
}

fn object_status(plan: &RunPlan, view: &ObjectView) -> ObjectStatus {
    use engine::ObjectPhase as Phase;
    let object = plan.object(view.object);
    ObjectStatus {
        id: object.id.as_str().to_owned(),
        stage: plan.stage(object.stage).name.as_str().to_owned(),
        phase: match view.phase {
            Phase::Ready => ObjectPhase::Ready,
            Phase::Queued => ObjectPhase::Queued,
            Phase::Running => ObjectPhase::Running,
            Phase::Retrying => ObjectPhase::Retrying,
            Phase::Loaded => ObjectPhase::Loaded,
            Phase::Failed => ObjectPhase::Failed,
            Phase::Blocked => ObjectPhase::Blocked,
            Phase::Cancelled => ObjectPhase::Cancelled,
            // A pruned object is never listed.
            Phase::Pending | Phase::Pruned => ObjectPhase::Pending,
        },
        attempt: view.attempt,
        worker: view.worker.as_deref().map(|worker| clip(worker, MAX_WORKER)),
        start_time: view.started_at.and_then(timestamp),
        end_time: view.ended_at.and_then(timestamp),
        reason: view.reason.as_deref().map(|reason| clip(reason, MAX_REASON)),
        message: view.message.as_deref().map(|message| clip(message, MAX_MESSAGE)),
        root_cause: view.root_cause.map(|cause| plan.object(cause).id.as_str().to_owned()),
    }
}

fn object_failure(plan: &RunPlan, view: &FailureView) -> ObjectFailure {
    let last = view.attempts.last();
    let text =
        |take: fn(&engine::FailedAttempt) -> &str, max| last.map_or_else(String::new, |a| clip(take(a), max));
    ObjectFailure {
        id: plan.object(view.object).id.as_str().to_owned(),
        attempts: view.attempts.len() as u32,
        reason: text(|attempt| &attempt.failure.reason, MAX_REASON),
        message: text(|attempt| &attempt.failure.error, MAX_MESSAGE),
        blocks: view.blocks,
        worker: last.map(|attempt| clip(&attempt.worker, MAX_WORKER)),
        log_tail: last
            .and_then(|attempt| attempt.failure.log_tail.as_deref())
            .map(|tail| clip(tail, MAX_LOG_TAIL)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_that_is_too_large_loses_detail_and_nothing_else() {
        let object = |n: usize| ObjectStatus {
            id: n.to_string(),
            message: Some("m".repeat(MAX_MESSAGE)),
            ..ObjectStatus::default()
        };
        let mut status =
            PipelineRunStatus { objects: (0..1_000).map(object).collect(), ..PipelineRunStatus::default() };
        fit(&mut status, 0);
        assert_eq!(status.objects.len(), 1_000);
        assert!(
            status
                .objects
                .iter()
                .all(|object| object.message.as_ref().unwrap().chars().count() <= SHORT_MESSAGE)
        );
        assert!(serde_json::to_vec(&status).unwrap().len() <= MAX_STATUS_BYTES);
    }

    /// Beside a large spec every write was refused, that of the end too.
    #[test]
    fn a_status_leaves_the_rest_of_the_resource_its_room() {
        let object = |n: usize| ObjectStatus { id: n.to_string(), ..ObjectStatus::default() };
        let mut status =
            PipelineRunStatus { objects: (0..2_000).map(object).collect(), ..PipelineRunStatus::default() };
        let bytes = serde_json::to_vec(&status).unwrap().len();
        fit(&mut status, MAX_RESOURCE_BYTES - bytes);
        assert_eq!(status.objects.len(), 2_000);
        fit(&mut status, MAX_RESOURCE_BYTES - bytes + 1);
        assert_eq!(status.objects.len(), 0);
    }

    #[test]
    fn the_time_of_a_transition_stays_while_the_status_does() {
        let mut conditions = Vec::new();
        set_condition(&mut conditions, ("Succeeded", "Unknown", "Running"), "", 1_000);
        set_condition(&mut conditions, ("Succeeded", "Unknown", "Pending"), "text", 5_000);
        assert_eq!(conditions[0].last_transition_time, time(1_000));
        assert_eq!(conditions[0].message, "text");
        set_condition(&mut conditions, ("Succeeded", "True", "AllLoaded"), "", 9_000);
        assert_eq!(conditions[0].last_transition_time, time(9_000));
        assert_eq!(conditions.len(), 1);
    }
}
