//! What of a status is trouble that people have to hear of. Pure.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::runtime::events::EventType;
use orch_crds::condition::{stalled, topics_ready, types, workers_ready};
use orch_crds::status::{PipelineRunStatus, StageStatus};
use orch_runner::Exit;

use super::Condition as Fact;
use super::condition::taken_over;
use crate::stages::WorkersState;

/// Whether the run waits for something that a person has to mend: the condition `Stalled`. `end` is how its actor ended.
pub(super) fn stall(status: &PipelineRunStatus, workers: Option<&WorkersState>, end: Option<&Exit>) -> Fact {
    let (reason, message) = why(status, workers, end)
        .filter(|_| !status.phase.is_final())
        .unwrap_or_else(|| (stalled::MOVING, String::new()));
    let stalls = if reason == stalled::MOVING { "False" } else { "True" };
    Fact::new(types::STALLED, stalls, reason, message)
}

fn why(
    status: &PipelineRunStatus,
    workers: Option<&WorkersState>,
    end: Option<&Exit>,
) -> Option<(&'static str, String)> {
    if let Some(Exit::Superseded { epoch }) = end {
        return Some((stalled::ANOTHER_OPERATOR, taken_over(*epoch)));
    }
    let accepted = condition(status, types::ACCEPTED).filter(|accepted| accepted.status == "False");
    if let Some(accepted) = accepted.filter(|_| status.start_time.is_some()) {
        return Some((stalled::NOT_ACCEPTED, accepted.message.clone()));
    }
    if let Some(of_topics) = topics_stall(status) {
        return Some(of_topics);
    }
    let without = workers?;
    let stuck = |stage: &StageStatus| stage.counts.queued > 0 && without.nobody_works_on(&stage.name);
    let workers = condition(status, types::WORKERS_READY).filter(|workers| workers.status == "False")?;
    let is_stuck = workers.reason != workers_ready::STARTING && status.stages.iter().any(stuck);
    is_stuck.then(|| (stalled::NO_WORKERS, workers.message.clone()))
}

/// What is to be told of Kafka and the topics: each trouble once, however its words change, and its end.
pub(super) fn topics_news(old: &PipelineRunStatus, new: &PipelineRunStatus) -> Option<(EventType, String)> {
    let state = |status| {
        condition(status, types::TOPICS_READY).map(|topics| (topics.status == "False", topics.reason.clone()))
    };
    match (state(old), state(new)) {
        (before, Some((true, reason))) if before != Some((true, reason.clone())) => {
            Some((EventType::Warning, reason))
        }
        (Some((true, _)), Some((false, reason))) => Some((EventType::Normal, reason)),
        _ => None,
    }
}

/// Why nothing can be written or read: reason and message for `Stalled`.
fn topics_stall(status: &PipelineRunStatus) -> Option<(&'static str, String)> {
    let topics = condition(status, types::TOPICS_READY).filter(|topics| topics.status == "False")?;
    let unreachable = topics.reason == topics_ready::KAFKA_UNREACHABLE;
    let reason = if unreachable { stalled::KAFKA_UNREACHABLE } else { stalled::TOPICS_NOT_READY };
    Some((reason, topics.message.clone()))
}

/// A condition of a status.
pub(super) fn condition<'a>(status: &'a PipelineRunStatus, type_: &str) -> Option<&'a Condition> {
    status.conditions.iter().find(|condition| condition.type_ == type_)
}

#[cfg(test)]
mod tests {
    use orch_core::id::StageName;
    use orch_crds::status::Counts;
    use orch_crds::view::set_condition;

    use super::*;
    use crate::stages::StageHealth;

    fn status(topics: Option<(&str, &str, &str)>) -> PipelineRunStatus {
        let mut status = PipelineRunStatus::default();
        if let Some((value, reason, message)) = topics {
            set_condition(&mut status.conditions, (types::TOPICS_READY, value, reason), message, 0);
        }
        status
    }

    #[test]
    fn an_outage_is_told_once_and_so_is_its_end() {
        let ready = status(Some(("True", "TopicsReady", "")));
        let away = |message| status(Some(("False", "KafkaUnreachable", message)));
        let told = |old: &PipelineRunStatus, new: &PipelineRunStatus| {
            topics_news(old, new).map(|(type_, reason)| (type_ == EventType::Warning, reason))
        };
        assert_eq!(told(&status(None), &ready), None, "no trouble, no news");
        assert_eq!(told(&ready, &away("refused")), Some((true, "KafkaUnreachable".to_owned())));
        assert_eq!(told(&away("refused"), &away("timed out")), None, "the same outage in other words");
        assert_eq!(told(&away("refused"), &ready), Some((false, "TopicsReady".to_owned())));
        assert_eq!(told(&ready, &ready), None);
    }

    /// One worker of four was not there, and a run at full speed was called stalled.
    #[test]
    fn only_a_stage_without_any_worker_stalls_a_run() {
        let mut status = status(None);
        let workers = (types::WORKERS_READY, "False", workers_ready::PODS_NOT_READY);
        set_condition(&mut status.conditions, workers, "no room", 0);
        let counts = Counts { queued: 3, ..Counts::default() };
        status.stages = vec![StageStatus { name: "work".to_owned(), counts, ..StageStatus::default() }];
        let reason = |ready| {
            let health = StageHealth { wanted: 4, ready, problem: Some("no room".to_owned()) };
            let stages = [(StageName::parse("work").unwrap(), health)].into();
            stall(&status, Some(&WorkersState { stages, refused: None }), None).reason
        };
        assert_eq!(reason(3), stalled::MOVING);
        assert_eq!(reason(0), stalled::NO_WORKERS);
    }

    #[test]
    fn a_run_whose_pipeline_went_is_stalled() {
        let mut status = status(None);
        set_condition(&mut status.conditions, (types::ACCEPTED, "False", "PipelineNotFound"), "gone", 0);
        assert_eq!(stall(&status, None, None).reason, stalled::MOVING, "it has not begun");
        status.start_time = Some("2026-11-26T10:00:00.000Z".to_owned());
        assert_eq!(stall(&status, None, None).reason, stalled::NOT_ACCEPTED);
    }

    #[test]
    fn a_run_without_kafka_is_stalled_and_says_why() {
        let stalled = |topics| {
            let Fact { status, reason, message, .. } = stall(&status(Some(topics)), None, None);
            (status, reason, message)
        };
        assert_eq!(
            stalled(("False", "KafkaUnreachable", "a:1")),
            ("True", "KafkaUnreachable", "a:1".to_owned())
        );
        assert_eq!(stalled(("False", "TopicNotFound", "a")), ("True", "TopicsNotReady", "a".to_owned()));
        assert_eq!(stalled(("True", "TopicsReady", "")), ("False", "Moving", String::new()));
    }
}
