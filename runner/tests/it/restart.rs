//! Recovery and take-over.

use std::sync::Arc;

use orch_bus::BusError;
use orch_core::engine::{ObjectPhase, Orders, Refused};
use orch_core::id::{MAX_EPOCH, RunUid};
use orch_core::plan::RunPlan;
use orch_runner::{Exit, PipelineSettings};

use super::operator::{Operator, outcome};
use super::plans;
use super::worker::{Say, Worker, answer};
use super::world::{World, run};

/// How an operator goes.
#[derive(Debug, Clone, Copy)]
enum Ending {
    Stop,
    Crash,
    /// Another one takes over while it lives.
    Supersede,
}

/// Another operator in place of `former`.
async fn replace(
    world: &World,
    former: Operator,
    ending: Ending,
    uid: &str,
    plan: &std::sync::Arc<orch_core::plan::RunPlan>,
) -> Operator {
    match ending {
        Ending::Stop => assert!(matches!(former.stop().await, Exit::Stopped)),
        Ending::Crash => former.crash(),
        Ending::Supersede => {
            let next = Operator::start(world, vec![run(uid, plan)]).await;
            let exit = former.exit().await;
            assert!(matches!(exit, Exit::Superseded { epoch: 2 }), "{exit:?}");
            return next;
        }
    }
    Operator::start(world, vec![run(uid, plan)]).await
}

#[tokio::test]
async fn o14_a_restart_runs_nothing_twice_and_loses_nothing() {
    for ending in [Ending::Stop, Ending::Crash, Ending::Supersede] {
        let plan = plans::graph("a -> d, b -> d, c, d -> e");
        let world = World::new(&plan).await;
        let first = Operator::start(&world, vec![run("r1", &plan)]).await;
        let mut worker = Worker::join(&world, "work").await;
        let [a, b, c] = worker.take_all(["a", "b", "c"]).await;
        worker.end(&a, &Say::Loaded);
        first.until_count("r1", ObjectPhase::Loaded, 1).await;
        worker.say(&b, &Say::Started);
        let second = replace(&world, first, ending, "r1", &plan).await;
        let found = second.until_count("r1", ObjectPhase::Running, 1).await;
        assert_eq!(found.view.counts.of(ObjectPhase::Queued), 1, "{ending:?}");
        worker.end(&b, &Say::Loaded);
        worker.end(&c, &Say::Loaded);
        worker.load_everything();
        let over = second.until_over("r1").await;
        assert_eq!(
            outcome(&over, &plan),
            "Succeeded Completed: a Loaded, d Loaded, b Loaded, c Loaded, e Loaded"
        );
        assert_eq!(world.asked().await, "a#1 b#1 c#1 d#1 e#1", "{ending:?}");
        assert_eq!(world.gates("r1").await, "Open Open Ended");
    }
}

#[tokio::test]
async fn o14_answers_that_came_while_nobody_led_count() {
    let plan = plans::graph("a -> b, c -> d");
    let world = World::new(&plan).await;
    let first = Operator::start(&world, vec![run("r1", &plan)]).await;
    let mut worker = Worker::join(&world, "work").await;
    let [a, c] = worker.take_all(["a", "c"]).await;
    first.crash();
    worker.end(&a, &Say::Loaded);
    worker.end(&c, &Say::Failed);
    worker.load_everything();
    let second = Operator::start(&world, vec![run("r1", &plan)]).await;
    let over = second.until_over("r1").await;
    assert_eq!(outcome(&over, &plan), "Failed ObjectsFailed: a Loaded, b Loaded, c Failed, d Blocked(c)");
    assert_eq!(world.asked().await, "a#1 c#1 b#1");
    // Before its own time nothing was counted: whoever led then did.
    assert_eq!(second.stats.failed.load(std::sync::atomic::Ordering::Relaxed), 0);
}

#[tokio::test]
async fn an_answer_that_comes_during_a_take_over_makes_nothing_run_again() {
    let plan = plans::graph("a -> b");
    for arrives_later in [false, true] {
        let world = World::new(&plan).await;
        let first = Operator::start(&world, vec![run("r1", &plan)]).await;
        let mut worker = Worker::join(&world, "work").await;
        let a = worker.take().await;
        first.stop().await;
        let voice = worker.voice();
        // Done, answered and committed at the worst of moments: when the positions are asked for.
        world.faults.on_committed(move || {
            voice.send(vec![answer(&a, &Say::Loaded)]);
            worker.finish(&a);
        });
        // What the take-over itself has not read comes only later.
        world.faults.set_last_word(Some(r#""epoch":2"#));
        let now = if arrives_later { vec![] } else { vec![run("r1", &plan)] };
        let settings = PipelineSettings { known_epoch: 1, ..world.settings() };
        let second = Operator::try_start(&world, settings, now).await.unwrap();
        second.handle().add(run("r1", &plan));
        second.until_count("r1", ObjectPhase::Queued, 1).await;
        world.faults.set_last_word(None);
        Worker::join(&world, "work").await.load_everything();
        assert_eq!(outcome(&second.until_over("r1").await, &plan), "Succeeded Completed: a Loaded, b Loaded");
        assert_eq!(world.asked().await, "a#1 b#1");
    }
}

#[tokio::test]
async fn a_ready_record_that_was_lost_is_written_again() {
    let plan = plans::graph("a, b");
    let world = World::new(&plan).await;
    world.faults.refuse(".work", 1, orch_bus::BusError::Other("lost".to_owned()));
    let mut first = Operator::start(&world, vec![run("r1", &plan)]).await;
    first.notice().await;
    first.crash();
    assert_eq!(world.asked().await, "b#1");
    let second = Operator::start(&world, vec![run("r1", &plan)]).await;
    second.until_count("r1", ObjectPhase::Queued, 2).await;
    assert_eq!(world.asked().await, "b#1 a#1");
}

#[tokio::test]
async fn a_record_that_was_finished_without_an_answer_is_written_again() {
    let plan = plans::with("a, b", |spec| spec.stages[0].partitions = 1);
    let world = World::new(&plan).await;
    let first = Operator::start(&world, vec![run("r1", &plan)]).await;
    let mut worker = Worker::join(&world, "work").await;
    let [_, b] = worker.take_all(["a", "b"]).await;
    // Above the group's position, which `a` holds back.
    worker.finish(&b);
    first.stop().await;
    let second = Operator::start(&world, vec![run("r1", &plan)]).await;
    second.until_count("r1", ObjectPhase::Queued, 2).await;
    assert_eq!(world.asked().await, "a#1 b#1 b#1");
}

#[tokio::test]
async fn an_object_that_runs_is_left_to_its_heartbeat() {
    let plan = plans::graph("a");
    let world = World::new(&plan).await;
    let first = Operator::start(&world, vec![run("r1", &plan)]).await;
    let mut worker = Worker::join(&world, "work").await;
    let a = worker.take().await;
    // It has begun, and its record is committed.
    worker.end(&a, &Say::Started);
    first.until_count("r1", ObjectPhase::Running, 1).await;
    first.crash();
    let second = Operator::start(&world, vec![run("r1", &plan)]).await;
    worker.say(&a, &Say::Loaded);
    second.until_over("r1").await;
    assert_eq!(world.asked().await, "a#1");
}

#[tokio::test]
async fn what_is_outstanding_takes_its_places_after_a_take_over() {
    let plan = plans::graph("a, b, c, d");
    let mut world = World::new(&plan).await;
    world.window = 2;
    let first = Operator::start(&world, vec![run("r1", &plan)]).await;
    let mut worker = Worker::join(&world, "work").await;
    let [a, _] = worker.take_all(["a", "b"]).await;
    first.crash();
    let second = Operator::start(&world, vec![run("r1", &plan)]).await;
    worker.end(&a, &Say::Loaded);
    assert_eq!(worker.take().await.object, "c");
    second.until_count("r1", ObjectPhase::Loaded, 1).await;
    assert_eq!(world.asked().await, "a#1 b#1 c#1");
}

#[tokio::test]
async fn a_second_operator_ends_the_first_and_each_object_counts_once() {
    let plan = plans::graph("a -> b");
    let world = World::new(&plan).await;
    let first = Operator::start(&world, vec![run("r1", &plan)]).await;
    let second = Operator::start(&world, vec![run("r1", &plan)]).await;
    assert!(matches!(first.exit().await, Exit::Superseded { epoch: 2 }));
    assert_eq!(second.handle().epoch(), 2);
    Worker::join(&world, "work").await.load_everything();
    let over = second.until_over("r1").await;
    assert_eq!(over.view.counts.of(ObjectPhase::Loaded), 2);
    assert_eq!(second.stats.loaded.load(std::sync::atomic::Ordering::Relaxed), 2);
}

#[tokio::test]
async fn a_former_leader_changes_nothing_also_where_the_later_term_is_known() {
    let plan = plans::graph("a");
    let world = World::new(&plan).await;
    let first = Operator::start(&world, vec![run("r1", &plan)]).await;
    first.until_count("r1", ObjectPhase::Queued, 1).await;
    let second = Operator::start(&world, vec![run("r1", &plan)]).await;
    let cancelled = r#"{"event_type":"RunCancelled","run_uid":"r1","epoch":1,"reason":"Cancelled"}"#;
    world.write(&world.names.events(), "r1", cancelled).await;
    second.until_refused("r1", Refused::Fenced, 1).await;
    second.crash();
    // The status knows the term before the log is read.
    let settings = PipelineSettings { known_epoch: 2, ..world.settings() };
    let third = Operator::try_start(&world, settings, vec![run("r1", &plan)]).await.unwrap();
    Worker::join(&world, "work").await.load_everything();
    assert_eq!(outcome(&third.until_over("r1").await, &plan), "Succeeded Completed: a Loaded");
    assert_eq!(third.handle().epoch(), 3);
}

/// A leader of the term 7 has begun `r1`, and stopped.
async fn led_before_in_term_seven(world: &World, plan: &Arc<RunPlan>) {
    let settings = PipelineSettings { known_epoch: 6, ..world.settings() };
    let operator = Operator::try_start(world, settings, vec![run("r1", plan)]).await.unwrap();
    operator.until_count("r1", ObjectPhase::Queued, 1).await;
    operator.stop().await;
}

#[tokio::test]
async fn a_run_of_a_later_term_than_the_leaders_raises_it() {
    let plan = plans::graph("a -> b");
    let world = World::new(&plan).await;
    led_before_in_term_seven(&world, &plan).await;
    // Nothing is known at first: no run, no status.
    let second = Operator::start(&world, vec![]).await;
    assert!(second.handle().epoch() < 7);
    second.handle().add(run("r1", &plan));
    second.until_count("r1", ObjectPhase::Queued, 1).await;
    assert_eq!(second.handle().epoch(), 8);
    second.order("r1", Orders { cancel: true, ..Orders::default() });
    assert_eq!(
        outcome(&second.until_over("r1").await, &plan),
        "Cancelled Cancelled: a Cancelled, b Cancelled"
    );
    assert_eq!(world.asked().await, "a#1");
}

/// An operator that has nothing to read back began with the term of the one that leads: neither knew of the other, each
/// was right in its own eyes, and what the first said to be over the workers skipped for the second, for ever. The
/// simulator found it.
#[tokio::test]
async fn whoever_begins_without_a_run_leads_in_a_term_of_its_own() {
    let plan = plans::graph("a");
    let world = World::new(&plan).await;
    let first = Operator::start(&world, vec![]).await;
    let second = Operator::start(&world, vec![]).await;
    assert_eq!([first.handle().epoch(), second.handle().epoch()], [1, 2]);
    assert!(matches!(first.exit().await, Exit::Superseded { epoch: 2 }));
}

/// The beginning of a run was given up by the bus, and written again as it was: the leader had raised its term meanwhile,
/// the record was void, and the run never began. The simulator found it.
#[tokio::test]
async fn what_the_bus_gave_up_before_the_term_was_raised_is_said_in_the_new_term() {
    let plan = plans::graph("a");
    let world = World::new(&plan).await;
    led_before_in_term_seven(&world, &plan).await;
    let second = Operator::start(&world, vec![]).await;
    world.faults.refuse("events", 1, BusError::Other("a producer lost its place".to_owned()));
    let start_offset = world.events_end().await;
    second.handle().add(orch_runner::RunSettings { start_offset, ..run("r2", &plan) });
    // Its term is higher: the leader raises its own.
    second.handle().add(run("r1", &plan));
    second.until_count("r2", ObjectPhase::Queued, 1).await;
    assert_eq!(second.handle().epoch(), 8);
}

/// A record named a term that nobody can raise: each operator fenced itself, or broke on the sum, for ever.
#[tokio::test]
async fn o16_no_record_keeps_operators_from_taking_over() {
    let plan = plans::graph("a -> b");
    let world = World::new(&plan).await;
    let first = Operator::start(&world, vec![run("r1", &plan)]).await;
    first.until_count("r1", ObjectPhase::Queued, 1).await;
    let records = |epoch: u64| {
        [
            ("", format!(r#"{{"event_type":"LeaderStarted","epoch":{epoch},"leader":"broken"}}"#)),
            (
                "other",
                format!(
                    r#"{{"event_type":"RunStarted","run_uid":"other","epoch":{epoch},"plan_digest":"x"}}"#
                ),
            ),
        ]
    };
    for (key, value) in [MAX_EPOCH, 1 << 52, u64::MAX].into_iter().flat_map(records) {
        world.write(&world.names.events(), key, value).await;
    }
    first.until_refused("r1", Refused::Malformed, 4).await;
    first.crash();
    // Whether the run is there at the take-over or comes later: what the status says may be as wrong.
    let mut before = 1;
    for (known, later) in [(0, false), (u64::MAX, true), (MAX_EPOCH, false)] {
        let settings = PipelineSettings { known_epoch: known, ..world.settings() };
        let (now, then) = if later { (None, Some(run("r1", &plan))) } else { (Some(run("r1", &plan)), None) };
        let next = Operator::try_start(&world, settings, now.into_iter().collect()).await.unwrap();
        if let Some(run) = then {
            next.handle().add(run);
        }
        next.until_count("r1", ObjectPhase::Queued, 1).await;
        let epoch = next.handle().epoch();
        assert!((before + 1..100).contains(&epoch), "{epoch} after {before}");
        before = epoch;
        next.stop().await;
    }
    let last = Operator::start(&world, vec![run("r1", &plan)]).await;
    last.order("r1", Orders { cancel: true, ..Orders::default() });
    assert_eq!(outcome(&last.until_over("r1").await, &plan), "Cancelled Cancelled: a Cancelled, b Cancelled");
    assert_eq!(world.asked().await, "a#1");
}

#[tokio::test]
async fn a_take_over_raises_the_term_above_what_its_runs_know() {
    let plan = plans::graph("a -> b");
    let world = World::new(&plan).await;
    let settings = PipelineSettings { known_epoch: 6, ..world.settings() };
    let first = Operator::try_start(&world, settings, vec![]).await.unwrap();
    // It begins after the record of its leader, and the status is lost: only its own records name the term.
    let after = world.events_end().await;
    let settings = || orch_runner::RunSettings { start_offset: after, ..run("r1", &plan) };
    first.handle().add(settings());
    first.until_count("r1", ObjectPhase::Queued, 1).await;
    first.crash();
    let second = Operator::start(&world, vec![settings()]).await;
    second.until_count("r1", ObjectPhase::Queued, 1).await;
    assert_eq!(second.handle().epoch(), 8);
    second.order("r1", Orders { cancel: true, ..Orders::default() });
    assert_eq!(
        outcome(&second.until_over("r1").await, &plan),
        "Cancelled Cancelled: a Cancelled, b Cancelled"
    );
}

#[tokio::test]
async fn runs_that_come_later_are_recovered_while_others_go_on() {
    let plan = plans::graph("a -> b");
    let world = World::new(&plan).await;
    let runs = ["r1", "r2", "r3"].map(|uid| run(uid, &plan));
    let first = Operator::start(&world, runs.to_vec()).await;
    let mut worker = Worker::join(&world, "work").await;
    let jobs = [worker.take().await, worker.take().await, worker.take().await];
    for job in &jobs {
        worker.say(job, &Say::Loaded);
    }
    for uid in ["r1", "r2", "r3"] {
        first.until_count(uid, ObjectPhase::Loaded, 1).await;
    }
    first.crash();
    for job in &jobs {
        worker.finish(job);
    }
    let second = Operator::start(&world, vec![run("r1", &plan)]).await;
    for uid in ["r2", "r3"] {
        second.handle().add(run(uid, &plan));
        second.handle().add(run(uid, &plan));
    }
    worker.load_everything();
    for uid in ["r1", "r2", "r3"] {
        assert_eq!(outcome(&second.until_over(uid).await, &plan), "Succeeded Completed: a Loaded, b Loaded");
    }
    assert_eq!(world.ready().await.len(), 6);
    // Each answer was counted once: as one of a run that nobody knew, or as what it is.
    let loaded = second.stats.loaded.load(std::sync::atomic::Ordering::Relaxed);
    assert_eq!(loaded + second.refused(Refused::ForeignRun), 3);
}

#[tokio::test]
async fn a_retry_that_waits_at_a_restart_is_published_once() {
    let plan = plans::with("a", |spec| {
        spec.stages[0].retry.initial_delay_ms = 150;
        spec.stages[0].retry.max_delay_ms = 150;
    });
    let world = World::new(&plan).await;
    let first = Operator::start(&world, vec![run("r1", &plan)]).await;
    let mut worker = Worker::join(&world, "work").await;
    let a = worker.take().await;
    worker.end(&a, &Say::Error);
    first.until("r1", "in its second attempt", |run| run.view.objects[0].attempt == 2).await;
    first.crash();
    let second = Operator::start(&world, vec![run("r1", &plan)]).await;
    worker.load_everything();
    second.until_over("r1").await;
    assert_eq!(world.asked().await, "a#1 a#2");
}

#[tokio::test]
async fn a_run_whose_start_lies_beyond_the_log_begins_all_the_same() {
    // Somebody has made the topics anew.
    let plan = plans::graph("a");
    for arrives_later in [false, true] {
        let world = World::new(&plan).await;
        let mut settings = run("r1", &plan);
        settings.start_offset = 5_000;
        let now = if arrives_later { vec![] } else { vec![settings.clone()] };
        let operator = Operator::start(&world, now).await;
        operator.handle().add(settings);
        Worker::join(&world, "work").await.load_everything();
        assert_eq!(outcome(&operator.until_over("r1").await, &plan), "Succeeded Completed: a Loaded");
        operator.handle().remove(&RunUid::new("r1")).await;
    }
}

#[tokio::test]
async fn a_leader_of_the_same_term_as_another_raises_it_when_it_sees_that() {
    let plan = plans::graph("a -> b");
    let world = World::new(&plan).await;
    // The topics were made anew, and a status names a term of the time before.
    let settings = PipelineSettings { known_epoch: 2, ..world.settings() };
    let first = Operator::try_start(&world, settings, vec![run("r1", &plan)]).await.unwrap();
    first.until_count("r1", ObjectPhase::Queued, 1).await;
    // It knows nothing of the first one, which lives.
    let second = Operator::start(&world, vec![]).await;
    assert_eq!((first.handle().epoch(), second.handle().epoch()), (3, 3));
    second.handle().add(run("r1", &plan));
    assert!(matches!(first.exit().await, Exit::Superseded { epoch: 4 }));
    second.until_count("r1", ObjectPhase::Queued, 1).await;
    assert_eq!((second.handle().epoch(), world.asked().await.as_str()), (4, "a#1"));
}
