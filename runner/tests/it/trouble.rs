//! A bus that fails.

use std::time::Duration;

use orch_bus::{Bus, BusError};
use orch_core::engine::{Detail, ObjectPhase};
use orch_core::id::RunUid;
use orch_runner::{Exit, Notice};

use super::operator::{Operator, outcome};
use super::plans;
use super::worker::{Say, Worker};
use super::world::{DEADLINE, World, run};

fn lost() -> BusError {
    BusError::Other("the producer was replaced".to_owned())
}

#[tokio::test]
async fn nothing_is_published_before_the_workers_can_know_that_the_run_is_open() {
    let plan = plans::graph("a -> b");
    let world = World::new(&plan).await;
    let mut former = None;
    for times in 1..=2 {
        world.faults.keep_acknowledgements(true);
        let operator = Operator::start(&world, vec![run("r1", &plan)]).await;
        operator.until("r1", "open, as far as it was told", |run| run.view.started_at.is_some()).await;
        world.until_gates("r1", &vec!["Open"; times].join(" ")).await;
        // It was told, and that is not acknowledged: `a` of the former operator is all that is published.
        let published = if times == 1 { "" } else { "a#1" };
        assert_eq!(world.asked().await, published);
        if let Some(a) = former.take() {
            Worker::join(&world, "work").await.say(&a, &Say::Loaded);
            operator.until_count("r1", ObjectPhase::Ready, 1).await;
            assert_eq!(world.asked().await, "a#1");
        }
        world.faults.keep_acknowledgements(false);
        operator.until_count("r1", ObjectPhase::Queued, 1).await;
        former = Some(Worker::join(&world, "work").await.take().await);
        operator.crash();
    }
    assert_eq!(world.asked().await, "a#1 b#1");
}

#[tokio::test]
async fn records_of_the_operator_that_are_given_up_are_written_again() {
    for topic in [".events", ".control"] {
        let plan = plans::graph("a");
        let world = World::new(&plan).await;
        let operator = Operator::start(&world, vec![]).await;
        world.faults.refuse(topic, 1, lost());
        let mut settings = run("r1", &plan);
        settings.start_offset = world.events_end().await;
        operator.handle().add(settings);
        Worker::join(&world, "work").await.load_everything();
        assert_eq!(outcome(&operator.until_over("r1").await, &plan), "Succeeded Completed: a Loaded");
        assert_eq!(world.gates("r1").await, "Open Ended");
    }
}

#[tokio::test]
async fn an_old_word_is_not_repeated_after_a_new_one() {
    let plan = plans::graph("a");
    let world = World::new(&plan).await;
    let operator = Operator::start(&world, vec![run("r1", &plan)]).await;
    operator.until_count("r1", ObjectPhase::Queued, 1).await;
    world.faults.refuse(".control", 1, lost());
    operator.order("r1", orch_core::engine::Orders { cancel: true, ..Default::default() });
    operator.until("r1", "cancelled", |run| run.view.phase.is_terminal()).await;
    // Leaves before `Cancelled` is written again. The word about the next run is given up too: when that comes, what
    // waited before it would have come as well.
    operator.handle().remove(&RunUid::new("r1")).await;
    world.faults.refuse(".control", 1, lost());
    operator.handle().add(run("r2", &plan));
    Worker::join(&world, "work").await.load_everything();
    operator.until_over("r2").await;
    assert_eq!(world.gates("r1").await, "Open -");
}

#[tokio::test]
async fn the_end_of_a_run_is_not_repeated_when_it_has_come_again() {
    let plan = plans::graph("a");
    let world = World::new(&plan).await;
    let operator = Operator::start(&world, vec![run("r1", &plan)]).await;
    operator.until_count("r1", ObjectPhase::Queued, 1).await;
    // Its last word, and `Open` when it is here again.
    world.faults.refuse(".control", 2, lost());
    operator.handle().remove(&RunUid::new("r1")).await;
    operator.handle().add(run("r1", &plan));
    world.until_gates("r1", "Open Open").await;
    Worker::join(&world, "work").await.load_everything();
    operator.until_over("r1").await;
    assert_eq!(world.gates("r1").await, "Open Open Ended");
}

#[tokio::test]
async fn a_ready_record_that_is_given_up_is_told_and_published_again() {
    let plan = plans::graph("a");
    let world = World::new(&plan).await;
    world.faults.refuse(".work", 1, lost());
    let mut operator = Operator::start(&world, vec![run("r1", &plan)]).await;
    let notice = operator.notice().await;
    let Notice::Undelivered { run_uid, object, problem } = notice else { panic!("{notice:?}") };
    assert_eq!((run_uid.as_str(), object.as_str()), ("r1", "a"));
    assert!(problem.contains("replaced"), "{problem}");
    Worker::join(&world, "work").await.load_everything();
    operator.until_over("r1").await;
    assert_eq!(world.asked().await, "a#1");
}

#[tokio::test]
async fn an_object_whose_record_the_broker_finds_too_large_fails() {
    let plan = plans::graph("a -> b, x");
    let world = World::new(&plan).await;
    world.faults.refuse(".work", 1, BusError::TooLarge("work".to_owned()));
    let operator = Operator::start(&world, vec![run("r1", &plan)]).await;
    Worker::join(&world, "work").await.load_everything();
    let over = operator.until_over("r1").await;
    assert_eq!(outcome(&over, &plan), "Failed ObjectsFailed: a Failed, b Blocked(a), x Loaded");
}

#[tokio::test]
async fn what_no_waiting_mends_ends_the_actor() {
    let plan = plans::graph("a");
    for (topic, error) in [
        (".work", BusError::UnknownTopic("work".to_owned())),
        (".control", BusError::Denied("control".to_owned())),
        (".events", BusError::Denied("events".to_owned())),
    ] {
        let world = World::new(&plan).await;
        let operator = Operator::start(&world, vec![]).await;
        world.faults.refuse(topic, 1, error);
        operator.handle().add(run("r1", &plan));
        let exit = operator.exit().await;
        assert!(matches!(exit, Exit::Broken(_)), "{topic}: {exit:?}");
    }
}

#[tokio::test]
async fn a_reader_that_fails_ends_the_actor() {
    let plan = plans::graph("a");
    let world = World::new(&plan).await;
    let operator = Operator::start(&world, vec![run("r1", &plan)]).await;
    operator.until_count("r1", ObjectPhase::Queued, 1).await;
    world.bus.inner.delete_topics(&[world.names.events()]).await.unwrap();
    let exit = operator.exit().await;
    assert!(matches!(exit, Exit::Broken(BusError::UnknownTopic(_))), "{exit:?}");
}

#[tokio::test]
async fn a_run_that_comes_while_the_bus_is_away_is_not_lost() {
    let plan = plans::graph("a -> b");
    let world = World::new(&plan).await;
    let first = Operator::start(&world, vec![run("r1", &plan), run("r2", &plan)]).await;
    first.until_count("r2", ObjectPhase::Queued, 1).await;
    first.stop().await;
    let second = Operator::start(&world, vec![run("r1", &plan)]).await;
    let mut questions = world.faults.refused_questions();
    world.faults.go_away(true);
    second.handle().add(run("r2", &plan));
    tokio::time::timeout(DEADLINE, questions.wait_for(|n| *n > 0)).await.unwrap().unwrap();
    // Commands are answered all the same.
    second.until_count("r1", ObjectPhase::Queued, 1).await;
    assert!(second.handle().snapshot(&RunUid::new("r2"), Detail::default()).await.is_none());
    world.faults.go_away(false);
    Worker::join(&world, "work").await.load_everything();
    for uid in ["r1", "r2"] {
        assert_eq!(outcome(&second.until_over(uid).await, &plan), "Succeeded Completed: a Loaded, b Loaded");
    }
    assert_eq!(world.asked().await, "a#1 a#1 b#1 b#1");
}

#[tokio::test]
async fn nobody_is_given_up_for_silence_while_the_bus_is_away() {
    let plan = plans::with("a", |spec| {
        spec.stages[0].timeouts.heartbeat_ms = 400;
        spec.stages[0].retry.max_attempts = 1;
    });
    let world = World::new(&plan).await;
    let operator = Operator::start(&world, vec![run("r1", &plan)]).await;
    let mut worker = Worker::join(&world, "work").await;
    let job = worker.take().await;
    worker.end(&job, &Say::Started);
    operator.until_count("r1", ObjectPhase::Running, 1).await;
    world.faults.go_away(true);
    let given_up = operator.until_count("r1", ObjectPhase::Failed, 1);
    assert!(tokio::time::timeout(Duration::from_secs(1), given_up).await.is_err());
    world.faults.go_away(false);
    worker.end(&job, &Say::Loaded);
    assert_eq!(outcome(&operator.until_over("r1").await, &plan), "Succeeded Completed: a Loaded");
    let events = world.events().await;
    assert!(!events.iter().any(|line| line.text("worker") == "operator"), "nor was it asked for");
}

/// The signs of life of an outage were still on their way, and the object was given up while its worker finished it.
#[tokio::test]
async fn nobody_is_given_up_for_silence_right_after_a_take_over() {
    let plan = plans::with("a", |spec| {
        spec.stages[0].timeouts.heartbeat_ms = 50;
        spec.stages[0].retry.max_attempts = 1;
    });
    let world = World::new(&plan).await;
    let first = Operator::start(&world, vec![run("r1", &plan)]).await;
    let mut worker = Worker::join(&world, "work").await;
    let job = worker.take().await;
    first.crash();
    worker.end(&job, &Say::Started);
    let second = Operator::start(&world, vec![run("r1", &plan)]).await;
    let given_up = second.until_count("r1", ObjectPhase::Failed, 1);
    assert!(tokio::time::timeout(Duration::from_secs(1), given_up).await.is_err());
    worker.end(&job, &Say::Loaded);
    assert_eq!(outcome(&second.until_over("r1").await, &plan), "Succeeded Completed: a Loaded");
}

#[tokio::test]
async fn a_run_that_leaves_before_it_was_read_back_is_gone() {
    let plan = plans::graph("a");
    let world = World::new(&plan).await;
    let operator = Operator::start(&world, vec![run("r1", &plan)]).await;
    let mut questions = world.faults.refused_questions();
    world.faults.go_away(true);
    operator.handle().add(run("r2", &plan));
    tokio::time::timeout(DEADLINE, questions.wait_for(|n| *n > 0)).await.unwrap().unwrap();
    operator.handle().remove(&RunUid::new("r2")).await;
    world.faults.go_away(false);
    operator.handle().add(run("r3", &plan));
    operator.until_count("r3", ObjectPhase::Queued, 1).await;
    assert!(operator.handle().snapshot(&RunUid::new("r2"), Detail::default()).await.is_none());
    assert_eq!(world.gates("r2").await, "-");
}

#[tokio::test]
async fn a_bus_that_is_away_lets_nobody_lead() {
    let plan = plans::graph("a");
    let world = World::new(&plan).await;
    world.faults.go_away(true);
    let started = Operator::try_start(&world, world.settings(), vec![run("r1", &plan)]).await;
    assert!(matches!(started.err(), Some(BusError::Unreachable { .. })));
}

#[tokio::test]
async fn a_bus_that_falls_silent_in_a_take_over_is_no_wait_for_ever() {
    let plan = plans::graph("a");
    let world = World::new(&plan).await;
    world.faults.leave_at_read();
    let started = Operator::try_start(&world, world.settings(), vec![run("r1", &plan)]).await;
    assert!(matches!(started.err(), Some(BusError::Unreachable { .. })));
}

#[tokio::test]
async fn who_may_not_write_does_not_lead() {
    let plan = plans::graph("a");
    let world = World::new(&plan).await;
    world.faults.refuse(".events", 1, BusError::Denied("events".to_owned()));
    let started = Operator::try_start(&world, world.settings(), vec![run("r1", &plan)]).await;
    assert!(matches!(started.err(), Some(BusError::Denied(_))));
}
