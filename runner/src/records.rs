//! Between the records of the wire and the events of the engine: ids become positions, and back.

use std::sync::Arc;

use bytes::Bytes;
use orch_bus::Outgoing;
use orch_core::engine::{Append, Event, Failure, Handed, Publish, Refused, RunState};
use orch_core::id::{Epoch, Millis, ObjectIx, RunUid};
use orch_core::spec::{FailurePolicy, UndefinedPolicy};
use orch_wire::{
    Answer, AnswerKind, ControlRecord, EventsRecord, Headers, Input, MAX_RECORD_BYTES, Ready, RunGate,
    RunRecord, RunRecordKind,
};

/// The run that a record names; empty for `LeaderStarted`, which all have to see.
pub(crate) fn run_uid<'a>(record: &'a EventsRecord<'_>) -> &'a str {
    match record {
        EventsRecord::Answer(answer) => &answer.run_uid,
        EventsRecord::Expired { run_uid, .. }
        | EventsRecord::RunStarted { run_uid, .. }
        | EventsRecord::RunCancelled { run_uid, .. } => run_uid,
        EventsRecord::RunSnapshot(snapshot) => &snapshot.run_uid,
        EventsRecord::LeaderStarted { .. } => "",
    }
}

/// An event of one run from a record that names it. `worker` is who answered last: it hardly ever changes, and needs no
/// text of its own each time.
pub(crate) fn event(
    state: &RunState,
    worker: &mut Arc<str>,
    record: EventsRecord<'_>,
) -> Result<Event, Refused> {
    Ok(match record {
        EventsRecord::Answer(answer) => answer_event(state, worker, answer)?,
        EventsRecord::Expired { object, attempt, reason, epoch, .. } => {
            Event::Expired { object: find(state, &object)?, attempt, reason, epoch }
        }
        EventsRecord::RunStarted { plan_digest, epoch, .. } => {
            Event::RunStarted { digest: plan_digest.into_owned(), epoch }
        }
        EventsRecord::LeaderStarted { epoch, .. } => Event::LeaderStarted { epoch },
        EventsRecord::RunCancelled { reason, epoch, .. } => Event::RunCancelled { reason, epoch },
        // It changes nothing; whoever waits for it has taken it in before.
        EventsRecord::RunSnapshot(_) => return Err(Refused::Duplicate),
    })
}

fn find(state: &RunState, id: &str) -> Result<ObjectIx, Refused> {
    state.plan().find(id).ok_or(Refused::UnknownObject)
}

fn answer_event(state: &RunState, worker: &mut Arc<str>, answer: Answer<'_>) -> Result<Event, Refused> {
    let object = find(state, &answer.object)?;
    let plan = state.plan();
    let stage = &plan.stage(plan.object(object).stage).name;
    if answer.stage.as_deref().is_some_and(|name| name != stage.as_str()) {
        return Err(Refused::WrongStage);
    }
    if **worker != *answer.worker {
        *worker = answer.worker.into();
    }
    let (attempt, worker, elapsed) = (answer.attempt, worker.clone(), answer.elapsed_ms);
    Ok(match answer.kind {
        AnswerKind::Started => Event::Started { object, attempt, worker },
        AnswerKind::Progress { .. } => Event::Progress { object, attempt, worker },
        AnswerKind::Loaded { outputs } => {
            Event::Loaded { object, attempt, worker, elapsed, outputs: outputs.map(Box::from) }
        }
        AnswerKind::Failed { reason, error, retryable, retry_after_ms, log_tail } => {
            let failure = Failure {
                reason: reason.into(),
                error: error.into(),
                retryable,
                retry_after_ms,
                log_tail: log_tail.map(Box::from),
            };
            Event::Failed { object, attempt, worker, elapsed, failure: Box::new(failure) }
        }
    })
}

/// Where a run's records go, and what all of them say.
pub(crate) struct Address<'a> {
    pub(crate) run: &'a Arc<str>,
    pub(crate) names_processors: bool,
    pub(crate) events_topic: &'a Arc<str>,
    pub(crate) epoch: Epoch,
    pub(crate) now: Millis,
}

/// The ready record of an attempt, without its token; `None` when it would be larger than the contract allows.
pub(crate) fn ready(
    state: &RunState,
    address: &Address<'_>,
    topic: &Arc<str>,
    publish: Publish,
) -> Option<Outgoing> {
    let plan = state.plan();
    let object = plan.object(publish.object);
    let stage = plan.stage(object.stage);
    let of_stage = address.names_processors.then_some(stage.processor.as_str());
    let ready = Ready {
        object: object.id.as_str(),
        meta_json: &object.meta,
        run: address.run,
        run_uid: state.uid(),
        stage: stage.name.as_str(),
        attempt: publish.attempt,
        epoch: address.epoch,
        run_timeout_ms: object.policies.timeouts.run_ms,
        heartbeat_ms: object.policies.timeouts.heartbeat_ms,
        params_json: object.params.as_deref(),
        processor_json: object.processor.as_deref().or(of_stage),
    };
    let input = |(parent, handed)| Input { id: plan.object(parent).id.as_str(), handed };
    let mut value = ready.encode(state.inputs(publish.object).map(input), address.now);
    if value.len() > MAX_RECORD_BYTES {
        // With a large `meta` the inputs may be too much before they are so by themselves.
        let distant =
            |(parent, _)| state.outputs_at(parent).map(|offset| input((parent, Handed::Offset(offset))));
        value = ready.encode(state.inputs(publish.object).filter_map(distant), address.now);
    }
    (value.len() <= MAX_RECORD_BYTES).then(|| Outgoing {
        topic: topic.clone(),
        partition: i32::from(publish.partition),
        key: Bytes::copy_from_slice(object.id.as_str().as_bytes()),
        value: value.into(),
        headers: ready.headers(address.events_topic, address.now),
        token: 0,
    })
}

/// The record of one of the operator's own decisions.
pub(crate) fn operator_record(state: &RunState, address: &Address<'_>, append: Append) -> RunRecord {
    let plan = state.plan();
    let kind = match append {
        Append::Start => RunRecordKind::RunStarted {
            plan_digest: plan.digest.clone(),
            failure_policy: match plan.failure_policy {
                FailurePolicy::ContinueIndependent => "ContinueIndependent",
                FailurePolicy::FailFast => "FailFast",
            },
            undefined_dependencies: match plan.undefined_dependencies {
                UndefinedPolicy::Reject => "Reject",
                UndefinedPolicy::AssumeLoaded => "AssumeLoaded",
                UndefinedPolicy::Run => "Run",
            },
        },
        Append::Cancel(reason) => RunRecordKind::RunCancelled { reason },
        Append::Expire(ix, attempt, reason) => RunRecordKind::ObjectFailed {
            object: plan.object(ix).id.as_str().to_owned(),
            stage: plan.stage(plan.object(ix).stage).name.as_str().to_owned(),
            attempt,
            reason,
            error: state.expiry_text(ix, reason),
        },
    };
    RunRecord { run: Some((address.run.clone(), state.uid().clone())), epoch: address.epoch, kind }
}

/// A record of the operator on the events topic, without its token.
pub(crate) fn on_events(record: &RunRecord, events_topic: &Arc<str>, now: Millis) -> Outgoing {
    Outgoing {
        topic: events_topic.clone(),
        partition: 0,
        key: record.key().to_owned().into(),
        value: record.encode(now).into(),
        headers: record.headers(now),
        token: 0,
    }
}

/// What the workers are told of a run, without its token. `None` takes the word about it off the topic: what nothing was
/// said about is not open, and the topic does not grow with every run.
pub(crate) fn on_control(uid: &RunUid, word: Option<RunGate>, control_topic: &Arc<str>) -> Outgoing {
    let value = word.map(|state| ControlRecord { run_uid: uid.as_str().to_owned(), state }.encode());
    Outgoing {
        topic: control_topic.clone(),
        partition: 0,
        key: uid.as_str().to_owned().into(),
        value: value.unwrap_or_default().into(),
        headers: Headers::default(),
        token: 0,
    }
}
