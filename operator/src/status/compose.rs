//! The status of a run as it should be: what stood there, what the reconcile found, and what the log says. Pure.

use std::sync::Arc;

use orch_core::engine::RunView;
use orch_core::id::{Millis, StageName};
use orch_core::plan::RunPlan;
use orch_crds::condition::{succeeded, types};
use orch_crds::status::{PipelineRunStatus, RunPhase, timestamp};
use orch_crds::view::{StageFacts, fill, fit};
use orch_runner::Exit;

use super::trouble::{condition, stall};
use super::{Condition, Facts};
use crate::stages::{StageSet, WorkersState};

/// What is seen of a run that is with an actor.
pub(super) struct Seen<'a> {
    pub(super) set: &'a StageSet,
    pub(super) plan: Option<Arc<RunPlan>>,
    /// What the actor says; `None` when it does not have the run yet, cannot read its log, or has ended.
    pub(super) view: Option<&'a RunView>,
    /// Where a recovery may begin by now.
    pub(super) start_offset: Option<i64>,
    /// Why the actor cannot read the run's log.
    pub(super) problem: Option<&'a str>,
    pub(super) workers: WorkersState,
    /// The condition `TopicsReady` while Kafka is away.
    pub(super) outage: Option<Condition>,
    /// The end of an actor that people have to know.
    pub(super) trouble: Option<Exit>,
    /// Bytes of the resource without its status.
    pub(super) rest: usize,
}

/// See the module.
pub(super) fn compose(
    written: &PipelineRunStatus,
    facts: &Facts,
    seen: Option<&Seen<'_>>,
    now: Millis,
) -> PipelineRunStatus {
    let mut status = written.clone();
    status.observed_generation = facts.generation.or(status.observed_generation);
    // How a run began is kept once, by whoever was first.
    status.start_offset = status.start_offset.or(facts.start_offset);
    // Only forward: what is below may be gone.
    status.start_offset = status.start_offset.max(seen.and_then(|seen| seen.start_offset));
    status.pipeline = status.pipeline.or_else(|| facts.pipeline.clone());
    if let Some(seen) = seen
        && let (Some(plan), Some(view)) = (seen.plan.as_deref(), seen.view)
    {
        show(&mut status, seen, (plan, view), now);
    }
    // A run that is over was read from Kafka to its end: what is wrong with Kafka now is no longer its concern.
    let live = seen.filter(|_| !status.phase.is_final());
    let trouble = live.and_then(|seen| seen.trouble.as_ref());
    let outage = live.and_then(|seen| seen.outage.as_ref());
    let of_exit =
        seen.zip(trouble).and_then(|(seen, exit)| Condition::of_exit(exit, seen.set.secret.as_deref()));
    let of_log = live.and_then(|seen| seen.problem).map(Condition::of_damaged_log);
    let of_actor = of_exit.or(of_log);
    for fact in &facts.conditions {
        // Kafka is away now; what the reconcile found wrong is newer than the end of an actor, what it found right is not.
        let newer = outage.or(of_actor.as_ref().filter(|_| fact.status == "True"));
        let newest = newer.filter(|newer| newer.type_ == fact.type_).unwrap_or(fact);
        newest.clone().put(&mut status.conditions, now);
    }
    if facts.refused {
        status.phase = RunPhase::Failed;
        status.completion_time = status.completion_time.or_else(|| timestamp(now));
        let message = "the graph was refused; see GraphValid";
        let refused = Condition::new(types::SUCCEEDED, "False", succeeded::GRAPH_INVALID, message);
        refused.put(&mut status.conditions, now);
    }
    let stall = stall(&status, live.map(|seen| &seen.workers), trouble);
    let was_told = condition(&status, types::STALLED).is_some();
    // Of a run that waits to be accepted nothing is said.
    if stall.status == "True" || was_told || seen.is_some_and(|seen| seen.view.is_some()) {
        stall.put(&mut status.conditions, now);
    }
    status
}

/// Shows what the actor and the workers say.
fn show(status: &mut PipelineRunStatus, seen: &Seen<'_>, (plan, view): (&RunPlan, &RunView), now: Millis) {
    let stage = |name: &StageName| StageFacts {
        topic: seen.set.names.ready(name),
        replicas: seen.workers.stages.get(name).map_or(0, |health| health.wanted),
    };
    fill(status, view, plan, stage, now);
    fit(status, seen.rest);
    if status.phase.is_final() {
        // An ended run wants no workers of its own; a Pipeline's are no longer this run's concern.
        status.stages.iter_mut().for_each(|stage| stage.replicas = 0);
        seen.workers.at_rest().condition().put(&mut status.conditions, now);
    } else {
        seen.workers.condition().put(&mut status.conditions, now);
    }
}

#[cfg(test)]
mod tests {
    use orch_bus::BusError;
    use orch_core::engine::Counts;
    use orch_core::plan::plan;
    use orch_crds::PipelineRun;
    use orch_crds::conversion::run_spec;
    use orch_crds::status::PinnedPipeline;
    use orch_wire::TopicPrefix;
    use serde_json::json;

    use super::*;

    /// Composes what follows from facts and the end of an actor, and says what stands in two conditions.
    struct Run {
        status: PipelineRunStatus,
        facts: Facts,
        set: StageSet,
        plan: Arc<RunPlan>,
        view: Option<RunView>,
        outage: Option<Condition>,
        start_offset: Option<i64>,
        problem: Option<&'static str>,
        now: Millis,
    }

    impl Run {
        fn new() -> Self {
            let facts = Facts::valid(Some(1), String::new()).with(Condition::topics_are_ready());
            let run: PipelineRun = serde_json::from_value(json!({
                "apiVersion": "kafka-orchestrator.dev/v1alpha1", "kind": "PipelineRun",
                "metadata": {"name": "sales", "namespace": "default", "uid": "3f2a91c0"},
                "spec": {"stages": [{"name": "ingest", "processor": {"simulate": {}}}], "objects": [{"id": "a"}]},
            }))
            .unwrap();
            let set = StageSet::of_run(&run, &TopicPrefix::default()).unwrap();
            let plan = Arc::new(plan(run_spec(&run.spec, None, &[]).unwrap().spec).unwrap());
            let status = PipelineRunStatus::default();
            Self {
                status,
                facts,
                set,
                plan,
                view: None,
                outage: None,
                start_offset: None,
                problem: None,
                now: 0,
            }
        }

        fn after(&mut self, trouble: Option<Exit>) -> String {
            self.now += 10_000;
            let (plan, view) = (Some(self.plan.clone()), self.view.as_ref());
            let (workers, outage) = (WorkersState::default(), self.outage.clone());
            let (start_offset, problem) = (self.start_offset, self.problem);
            let seen =
                Seen { set: &self.set, plan, view, start_offset, problem, workers, outage, trouble, rest: 0 };
            self.status = compose(&self.status, &self.facts, Some(&seen), self.now);
            let text = |type_: &str| {
                condition(&self.status, type_)
                    .map_or("-".to_owned(), |c| format!("{}/{}", c.status, c.reason))
            };
            format!("{} {}", text(types::TOPICS_READY), text(types::STALLED))
        }
    }

    fn away() -> BusError {
        BusError::Unreachable { servers: "a:1".to_owned(), reason: "refused".to_owned() }
    }

    fn denied() -> Exit {
        Exit::Broken(BusError::Denied("topic a".to_owned()))
    }

    const FINE: &str = "True/TopicsReady -";
    const DENIED: &str = "False/KafkaNotAuthorized True/TopicsNotReady";

    #[test]
    fn the_end_of_an_actor_is_shown_and_taken_back() {
        let mut run = Run::new();
        assert_eq!(run.after(None), FINE);
        assert_eq!(run.after(Some(denied())), DENIED);
        assert_eq!(run.after(None), "True/TopicsReady False/Moving");
        assert_eq!(run.after(Some(Exit::Superseded { epoch: 7 })), "True/TopicsReady True/AnotherOperator");
        assert_eq!(run.after(Some(Exit::Stopped)), "True/TopicsReady False/Moving");
    }

    #[test]
    fn what_stays_wrong_keeps_the_time_at_which_it_went_wrong() {
        let mut run = Run::new();
        run.after(Some(denied()));
        let first = run.status.clone();
        assert_eq!(run.after(Some(denied())), DENIED);
        assert_eq!(run.status, first, "nothing to write");
    }

    #[test]
    fn what_the_reconcile_found_since_is_newer_than_the_end_of_the_actor() {
        let mut run = Run::new();
        run.after(Some(denied()));
        let missing = Condition::of_bus(&BusError::UnknownTopic("a".to_owned()), None);
        run.facts = Facts::valid(Some(1), String::new()).with(missing);
        assert_eq!(run.after(Some(denied())), "False/TopicNotFound True/TopicsNotReady");
    }

    /// It ended in the seconds before an outage counted as over, and said for ever that Kafka was away.
    #[test]
    fn a_run_that_is_over_says_nothing_of_kafka() {
        let mut run = Run::new();
        run.outage = Some(Condition::of_bus(&away(), None));
        run.after(None);
        run.view = Some(RunView {
            phase: orch_core::engine::RunPhase::Succeeded,
            reason: Some("Completed"),
            counts: Counts::default(),
            stages: vec![Counts::default()],
            letters: vec![b'L'],
            objects: Vec::new(),
            failures: Vec::new(),
            started_at: Some(0),
            ended_at: Some(1),
            epoch: 1,
        });
        assert_eq!(run.after(Some(denied())), "True/TopicsReady False/Moving");
    }

    #[test]
    fn a_log_that_cannot_be_read_is_said() {
        let mut run = Run::new();
        run.problem = Some("parts are missing");
        assert_eq!(run.after(None), "False/LogDamaged True/TopicsNotReady");
        let before = run.status.clone();
        assert_eq!(
            (run.after(None).as_str(), &run.status),
            ("False/LogDamaged True/TopicsNotReady", &before)
        );
        run.problem = None;
        assert_eq!(run.after(None), "True/TopicsReady False/Moving");
    }

    #[test]
    fn the_start_of_a_recovery_moves_forward_only() {
        let mut run = Run::new();
        for (seen, kept) in [(Some(0), 0), (Some(9), 9), (None, 9), (Some(7), 9), (Some(10), 10)] {
            run.start_offset = seen;
            run.after(None);
            assert_eq!(run.status.start_offset, Some(kept));
        }
    }

    #[test]
    fn that_kafka_is_away_now_comes_before_all_that_was_found() {
        let mut run = Run::new();
        run.outage = Some(Condition::of_bus(&away(), None));
        assert_eq!(run.after(Some(denied())), "False/KafkaUnreachable True/KafkaUnreachable");
        run.outage = None;
        assert_eq!(run.after(None), "True/TopicsReady False/Moving");
    }

    /// Two operators for a moment: the run goes on as the first of them began it.
    #[test]
    fn how_a_run_began_is_kept_once() {
        let begun = |start_offset, generation| {
            let pipeline = Some(PinnedPipeline { generation, ..PinnedPipeline::default() });
            Facts { start_offset: Some(start_offset), pipeline, ..Facts::default() }
        };
        let first = compose(&PipelineRunStatus::default(), &begun(7, 1), None, 0);
        let second = compose(&first, &begun(9, 2), None, 0);
        assert_eq!((second.start_offset, second.pipeline.map(|kept| kept.generation)), (Some(7), Some(1)));
    }
}
