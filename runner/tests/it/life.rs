//! One run from start to end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use orch_core::engine::ObjectPhase;
use orch_core::spec::RetryPolicy;

use super::operator::{Operator, outcome};
use super::plans;
use super::worker::{Say, Worker};
use super::world::{Line, World, run};

#[tokio::test]
async fn a_run_succeeds_when_every_object_is_loaded() {
    let plan = plans::graph("a -> b:other -> c, x");
    let world = World::new(&plan).await;
    let operator = Operator::start(&world, vec![run("r1", &plan)]).await;
    let workers = ["work", "other"].map(|stage| Worker::join(&world, stage));
    for worker in workers {
        worker.await.load_everything();
    }
    let over = operator.until_over("r1").await;
    assert_eq!(outcome(&over, &plan), "Succeeded Completed: a Loaded, b Loaded, c Loaded, x Loaded");
    assert_eq!(world.gates("r1").await, "Open Ended");
    let types: Vec<String> =
        world.events().await.iter().map(|line| line.text("event_type").to_owned()).collect();
    assert_eq!(types[..2], ["LeaderStarted", "RunStarted"]);
    assert_eq!(types[2..], ["ObjectLoaded"; 4]);
}

/// The time at which something of this object was written.
fn time(lines: &[Line], key: &str) -> i64 {
    let found: Vec<_> = lines.iter().filter(|line| line.key == key).collect();
    assert_eq!(found.len(), 1, "{key} should stand there once: {found:?}");
    found[0].time
}

#[tokio::test]
async fn o4_o5_each_object_is_published_once_and_after_its_dependencies() {
    let edges = [("a", "c"), ("b", "c"), ("c", "d"), ("c", "e"), ("a", "e"), ("d", "f"), ("e", "f")];
    let plan = plans::graph(&edges.map(|(parent, child)| format!("{parent} -> {child}")).join(", "));
    let world = World::new(&plan).await;
    let operator = Operator::start(&world, vec![run("r1", &plan)]).await;
    Worker::join(&world, "work").await.load_everything();
    operator.until_over("r1").await;
    let (events, ready) = (world.events().await, world.ready().await);
    let loaded: Vec<Line> = events.into_iter().filter(|line| line.is("ObjectLoaded")).collect();
    assert_eq!(ready.len(), 6);
    for (parent, child) in edges {
        assert!(time(&loaded, parent) < time(&ready, child), "{child} before {parent}");
    }
}

#[tokio::test]
async fn o8_a_failure_blocks_its_descendants_and_nothing_else() {
    let plan = plans::graph("a -> b -> c, x -> y");
    let world = World::new(&plan).await;
    let operator = Operator::start(&world, vec![run("r1", &plan)]).await;
    let mut worker = Worker::join(&world, "work").await;
    let [a, x] = worker.take_all(["a", "x"]).await;
    worker.end(&a, &Say::Failed);
    worker.end(&x, &Say::Loaded);
    worker.load_everything();
    let over = operator.until_over("r1").await;
    let expected = "Failed ObjectsFailed: a Failed, b Blocked(a), c Blocked(a), x Loaded, y Loaded";
    assert_eq!(outcome(&over, &plan), expected);
    let failure = &over.view.failures[0];
    assert_eq!((failure.blocks, &*failure.attempts[0].failure.error), (2, "it did not work"));
    assert_eq!(world.asked().await, "a#1 x#1 y#1");
}

#[tokio::test]
async fn a_failed_attempt_is_followed_by_another_after_its_wait() {
    let wait_ms = 80;
    let plan = plans::with("a -> b", |spec| {
        spec.stages[0].retry =
            RetryPolicy { initial_delay_ms: wait_ms, jitter: 0.0, ..RetryPolicy::default() };
    });
    let world = World::new(&plan).await;
    let operator = Operator::start(&world, vec![run("r1", &plan)]).await;
    let mut worker = Worker::join(&world, "work").await;
    let first = worker.take().await;
    worker.end(&first, &Say::Error);
    let second = worker.take().await;
    assert_eq!((second.object.as_str(), second.attempt), ("a", 2));
    let failed = world.events().await.into_iter().find(|line| line.is("ObjectFailed")).unwrap();
    assert!(second.message.time >= failed.time + wait_ms);
    worker.end(&second, &Say::Loaded);
    worker.load_everything();
    assert_eq!(outcome(&operator.until_over("r1").await, &plan), "Succeeded Completed: a Loaded, b Loaded");
    assert_eq!(world.asked().await, "a#1 a#2 b#1");
}

#[tokio::test]
async fn an_object_fails_when_its_attempts_are_used_up() {
    let plan = plans::with("a -> b", |spec| spec.stages[0].retry.max_attempts = 2);
    let world = World::new(&plan).await;
    let operator = Operator::start(&world, vec![run("r1", &plan)]).await;
    let mut worker = Worker::join(&world, "work").await;
    for attempt in [1, 2] {
        let job = worker.take().await;
        assert_eq!(job.attempt, attempt);
        worker.end(&job, &Say::Error);
    }
    assert_eq!(
        outcome(&operator.until_over("r1").await, &plan),
        "Failed ObjectsFailed: a Failed, b Blocked(a)"
    );
}

#[tokio::test]
async fn a_worker_that_falls_silent_loses_its_attempt() {
    let plan = plans::with("a", |spec| spec.stages[0].timeouts.heartbeat_ms = 50);
    let world = World::new(&plan).await;
    let operator = Operator::start(&world, vec![run("r1", &plan)]).await;
    let mut worker = Worker::join(&world, "work").await;
    let lost = worker.take().await;
    worker.end(&lost, &Say::Started);
    let again = worker.take().await;
    assert_eq!((again.object.as_str(), again.attempt), ("a", 2));
    // It was only slow, and is too late.
    worker.say(&lost, &Say::Failed);
    worker.end(&again, &Say::Loaded);
    let over = operator.until_over("r1").await;
    assert_eq!(outcome(&over, &plan), "Succeeded Completed: a Loaded");
    let events = world.events().await;
    let expired = events.iter().find(|line| line.text("worker") == "operator").unwrap();
    assert_eq!((expired.text("reason"), expired.value["attempt"].as_u64()), ("HeartbeatLost", Some(1)));
}

#[tokio::test]
async fn an_object_that_nobody_takes_is_given_up_after_the_queue_timeout() {
    let plan = plans::with("a -> b", |spec| {
        spec.stages[0].timeouts.queue_ms = Some(20);
        spec.stages[0].retry.max_attempts = 2;
    });
    let world = World::new(&plan).await;
    let operator = Operator::start(&world, vec![run("r1", &plan)]).await;
    let over = operator.until_over("r1").await;
    assert_eq!(outcome(&over, &plan), "Failed ObjectsFailed: a Failed, b Blocked(a)");
    assert_eq!(&*over.view.failures[0].attempts[1].failure.reason, "QueueTimeout");
    assert_eq!(world.asked().await, "a#1 a#2");
}

#[tokio::test]
async fn o15_what_was_published_before_a_worker_came_is_not_lost() {
    let plan = plans::graph("a -> b");
    let world = World::new(&plan).await;
    let operator = Operator::start(&world, vec![run("r1", &plan)]).await;
    operator.until_count("r1", ObjectPhase::Queued, 1).await;
    Worker::join(&world, "work").await.load_everything();
    assert_eq!(outcome(&operator.until_over("r1").await, &plan), "Succeeded Completed: a Loaded, b Loaded");
}

#[tokio::test]
async fn nothing_is_reported_while_nothing_changes() {
    let plan = plans::graph("a");
    let world = World::new(&plan).await;
    let operator = Operator::start(&world, vec![run("r1", &plan)]).await;
    operator.until("r1", "at rest", |run| run.view.counts.of(ObjectPhase::Queued) == 1 && run.settled).await;
    let changed = operator.handle().changed();
    let before = *changed.borrow();
    for _ in 0..20 {
        // Each question is a turn of the actor.
        operator.until("r1", "there", |_| true).await;
    }
    assert_eq!(*changed.borrow(), before);
}

/// Each run of many that came at once to a busy Pipeline waited for a read-back of its own.
#[tokio::test]
async fn a_run_that_begins_is_not_read_back() {
    let plan = plans::graph("a -> b");
    let world = World::new(&plan).await;
    let operator = Operator::start(&world, vec![run("r1", &plan)]).await;
    Worker::join(&world, "work").await.load_everything();
    operator.until_over("r1").await;
    let is_read_back = Arc::new(AtomicBool::new(false));
    let asked = is_read_back.clone();
    world.faults.on_committed(move || asked.store(true, Ordering::SeqCst));
    operator.handle().begin(run("r2", &plan));
    let over = operator.until_over("r2").await;
    assert_eq!(outcome(&over, &plan), "Succeeded Completed: a Loaded, b Loaded");
    assert!(!is_read_back.load(Ordering::SeqCst), "the positions of the groups were asked for");
}
