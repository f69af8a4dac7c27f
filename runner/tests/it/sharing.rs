//! Several runs on one Pipeline, windows, limits and the demand.

use std::collections::BTreeMap;
use std::sync::Arc;

use orch_core::engine::{Detail, ObjectPhase, Orders};
use orch_core::id::{RunUid, StageName};
use tokio::task::JoinSet;

use super::operator::{Operator, outcome};
use super::plans;
use super::worker::{Say, Worker, answer};
use super::world::{World, run};

#[tokio::test]
async fn two_runs_have_counts_of_their_own_and_one_may_leave() {
    let plan = plans::graph("a -> b");
    let world = World::new(&plan).await;
    let operator = Operator::start(&world, vec![run("r1", &plan), run("r2", &plan)]).await;
    let mut worker = Worker::join(&world, "work").await;
    let jobs = [worker.take().await, worker.take().await];
    let [of_r1, of_r2] = ["r1", "r2"].map(|uid| jobs.iter().find(|job| job.run_uid == uid).unwrap());
    worker.end(of_r1, &Say::Loaded);
    operator.until_count("r1", ObjectPhase::Loaded, 1).await;
    operator.until_count("r2", ObjectPhase::Loaded, 0).await;
    operator.handle().remove(&RunUid::new("r1")).await;
    assert!(
        operator.handle().snapshot(&RunUid::new("r1"), orch_core::engine::Detail::default()).await.is_none()
    );
    worker.end(of_r2, &Say::Loaded);
    worker.load_everything();
    assert_eq!(outcome(&operator.until_over("r2").await, &plan), "Succeeded Completed: a Loaded, b Loaded");
    assert_eq!([world.gates("r1").await, world.gates("r2").await], ["Open -", "Open Ended"]);
}

/// The word about each run of a Pipeline stayed on the compacted topic for ever.
#[tokio::test]
async fn a_run_that_is_over_and_leaves_is_taken_off_the_control_topic() {
    let plan = plans::graph("a");
    let world = World::new(&plan).await;
    let operator = Operator::start(&world, vec![run("r1", &plan)]).await;
    Worker::join(&world, "work").await.load_everything();
    operator.until_over("r1").await;
    operator.handle().remove(&RunUid::new("r1")).await;
    world.until_gates("r1", "Open Ended -").await;
}

#[tokio::test]
async fn a_run_that_leaves_gives_its_places_back() {
    let plan = plans::graph("a, b, c");
    let mut world = World::new(&plan).await;
    world.window = 2;
    let operator = Operator::start(&world, vec![run("r1", &plan)]).await;
    operator.until_count("r1", ObjectPhase::Queued, 2).await;
    operator.handle().add(run("r2", &plan));
    operator.until_count("r2", ObjectPhase::Ready, 3).await;
    operator.handle().remove(&RunUid::new("r1")).await;
    operator.until_count("r2", ObjectPhase::Queued, 2).await;
}

/// Each question took a turn over all runs, and came before the records: with a thousand live runs, each followed by
/// somebody, nothing was read any more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asks_all_the_time_keeps_no_record_waiting() {
    const RUNS: usize = 300;
    let plan = plans::graph("a -> b");
    let world = World::new(&plan).await;
    let uids: Vec<String> = (0..RUNS).map(|n| format!("r{n}")).collect();
    let runs = uids.iter().map(|uid| run(uid, &plan)).collect();
    let operator = Arc::new(Operator::start(&world, runs).await);
    let mut askers = JoinSet::new();
    for uid in &uids {
        let (operator, uid) = (operator.clone(), RunUid::new(uid));
        askers.spawn(
            async move { while operator.handle().snapshot(&uid, Detail::default()).await.is_some() {} },
        );
    }
    Worker::join(&world, "work").await.load_everything();
    for uid in &uids {
        operator.until_over(uid).await;
    }
    askers.shutdown().await;
}

#[tokio::test]
async fn o17_a_second_run_of_the_same_plan_runs_everything_again() {
    let plan = plans::graph("a -> b");
    let world = World::new(&plan).await;
    let operator = Operator::start(&world, vec![run("r1", &plan)]).await;
    Worker::join(&world, "work").await.load_everything();
    operator.until_over("r1").await;
    let mut second = run("r2", &plan);
    second.start_offset = world.events_end().await;
    operator.handle().add(second);
    operator.until_over("r2").await;
    assert_eq!(world.asked().await, "a#1 b#1 a#1 b#1");
    for uid in ["r1", "r2"] {
        let of_run = |line: &&super::world::Line| line.is("ObjectLoaded") && line.text("run_uid") == uid;
        assert_eq!(world.events().await.iter().filter(of_run).count(), 2, "{uid}");
    }
}

#[tokio::test]
async fn no_more_is_outstanding_than_the_window_holds() {
    let plan = plans::graph("a, b, c, d, e:other");
    let mut world = World::new(&plan).await;
    world.window = 2;
    let operator = Operator::start(&world, vec![run("r1", &plan)]).await;
    let mut worker = Worker::join(&world, "work").await;
    let [a, _] = worker.take_all(["a", "b"]).await;
    operator.until_count("r1", ObjectPhase::Queued, 3).await;
    assert_eq!(world.asked().await, "a#1 b#1 e#1");
    // A start frees no place, an end does.
    worker.say(&a, &Say::Started);
    operator.until_count("r1", ObjectPhase::Running, 1).await;
    assert_eq!(world.asked().await, "a#1 b#1 e#1");
    worker.end(&a, &Say::Loaded);
    assert_eq!(worker.take().await.object, "c");
    assert_eq!(world.asked().await, "a#1 b#1 e#1 c#1");
}

#[tokio::test]
async fn a_run_has_no_more_in_flight_than_it_wants() {
    let plan = plans::graph("a, b, c, x:other");
    let world = World::new(&plan).await;
    let mut settings = run("r1", &plan);
    settings.orders.max_in_flight = 2;
    let operator = Operator::start(&world, vec![settings]).await;
    operator.until_count("r1", ObjectPhase::Queued, 2).await;
    assert_eq!(world.asked().await, "a#1 b#1");
    operator.order("r1", Orders { max_in_flight: 3, ..Orders::default() });
    operator.until_count("r1", ObjectPhase::Queued, 3).await;
    assert_eq!(world.asked().await, "a#1 b#1 c#1");
}

#[tokio::test]
async fn room_that_one_run_cannot_use_is_left_to_the_other() {
    // `x` keeps the first run at its limit; its share of the other stage would stay empty for ever.
    let first = plans::graph("x, a:other, b:other");
    let second = plans::graph("c:other, d:other");
    let mut world = World::new(&first).await;
    world.window = 2;
    let mut limited = run("r1", &first);
    limited.orders.max_in_flight = 1;
    let operator = Operator::start(&world, vec![limited]).await;
    operator.until_count("r1", ObjectPhase::Queued, 1).await;
    operator.handle().add(run("r2", &second));
    operator.until_count("r2", ObjectPhase::Queued, 2).await;
}

#[tokio::test]
async fn retries_that_wait_keep_no_room_from_others() {
    let slow = plans::with("a, b, c", |spec| {
        spec.stages[0].retry.max_delay_ms = 3_600_000;
        spec.stages[0].retry.initial_delay_ms = 3_600_000;
    });
    let plan = plans::graph("d, e");
    let mut world = World::new(&plan).await;
    world.window = 3;
    let operator = Operator::start(&world, vec![run("r1", &slow)]).await;
    let mut worker = Worker::join(&world, "work").await;
    for job in worker.take_all(["a", "b", "c"]).await {
        worker.end(&job, &Say::Error);
    }
    operator.until_count("r1", ObjectPhase::Retrying, 3).await;
    operator.handle().add(run("r2", &plan));
    operator.until_count("r2", ObjectPhase::Queued, 2).await;
}

#[tokio::test]
async fn the_window_is_shared_fairly() {
    let plan = plans::graph("a, b, c, d, e, f, g, h");
    let mut world = World::new(&plan).await;
    world.window = 4;
    let operator = Operator::start(&world, vec![run("r1", &plan)]).await;
    let mut worker = Worker::join(&world, "work").await;
    let jobs = worker.take_all(["a", "b", "c", "d"]).await;
    operator.handle().add(run("r2", &plan));
    operator.until("r2", "open", |run| run.view.counts.of(ObjectPhase::Ready) == 8 && run.settled).await;
    // All four places become free in one go: the first run gets no more than its part of them.
    worker.voice().send(jobs.iter().map(|job| answer(job, &Say::Loaded)).collect());
    operator.until_count("r1", ObjectPhase::Loaded, 4).await;
    for uid in ["r1", "r2"] {
        operator.until(uid, "published", |run| run.view.counts.of(ObjectPhase::Queued) > 0).await;
    }
}

#[tokio::test]
async fn places_that_come_one_by_one_go_round() {
    let plan = plans::graph("a, b, c, d, e, f");
    let mut world = World::new(&plan).await;
    world.window = 1;
    let operator = Operator::start(&world, vec![run("r1", &plan)]).await;
    let mut worker = Worker::join(&world, "work").await;
    let first = worker.take().await;
    operator.handle().add(run("r2", &plan));
    operator.until("r2", "open", |run| run.view.counts.of(ObjectPhase::Ready) == 6 && run.settled).await;
    worker.end(&first, &Say::Loaded);
    let mut taken = Vec::new();
    for _ in 0..8 {
        let job = worker.take().await;
        worker.end(&job, &Say::Loaded);
        taken.push(job.run_uid);
    }
    assert_eq!(taken.iter().filter(|uid| *uid == "r2").count(), 4, "{taken:?}");
}

#[tokio::test]
async fn the_demand_is_what_is_outstanding_and_what_comes_soon() {
    let plan = plans::graph("a -> b:other, c");
    let world = World::new(&plan).await;
    let operator = Operator::start(&world, vec![run("r1", &plan)]).await;
    let of = |demand: &orch_runner::Demand, name: &str| {
        let stage = demand.stages.iter().find(|stage| stage.stage.as_str() == name);
        stage.map(|stage| (stage.outstanding, stage.soon))
    };
    // `b` waits for `a`, which is published.
    let both = |demand: &orch_runner::Demand| (of(demand, "work"), of(demand, "other"));
    operator.until_demand("a and c", |demand| both(demand) == (Some((2, false)), Some((0, true)))).await;
    let mut worker = Worker::join(&world, "work").await;
    let [a, c] = worker.take_all(["a", "c"]).await;
    worker.end(&a, &Say::Loaded);
    operator.until_demand("c and b", |demand| both(demand) == (Some((1, false)), Some((1, false)))).await;
    worker.end(&c, &Say::Loaded);
    operator.until_demand("b", |demand| both(demand) == (Some((0, false)), Some((1, false)))).await;
    Worker::join(&world, "other").await.load_everything();
    operator.until_demand("nothing", |demand| demand.stages.is_empty()).await;
}

#[tokio::test]
async fn a_run_may_have_a_stage_that_the_pipeline_has_no_more() {
    let plan = plans::graph("a -> b:other");
    let mut world = World::new(&plan).await;
    let stages = std::mem::take(&mut world.stages);
    world.stages = stages[..1].to_vec();
    let operator = Operator::start(&world, vec![]).await;
    operator.handle().add(run("r1", &plan));
    world.stages = stages;
    for stage in ["work", "other"] {
        Worker::join(&world, stage).await.load_everything();
    }
    assert_eq!(outcome(&operator.until_over("r1").await, &plan), "Succeeded Completed: a Loaded, b Loaded");
}

#[tokio::test]
async fn whoever_has_said_that_it_works_has_something_in_hand() {
    let plan = plans::graph("a, b, c:other");
    let world = World::new(&plan).await;
    let operator = Operator::start(&world, vec![run("r", &plan)]).await;
    let (mut worker, mut other) = (Worker::join(&world, "work").await, Worker::join(&world, "other").await);
    let hands = operator.handle().hands();
    let stage = |name: &str| StageName::parse(name).unwrap();
    let [a, b] = worker.take_all(["a", "b"]).await;
    worker.say(&a, &Say::Started);
    worker.say(&b, &Say::Started);
    let c = other.take().await;
    other.end(&c, &Say::Loaded);
    operator.until_count("r", ObjectPhase::Running, 2).await;
    assert_eq!(hands.of(&stage("work")).await, BTreeMap::from([("w1".to_owned(), 2)]));
    assert_eq!(
        hands.of(&stage("other")).await,
        BTreeMap::new(),
        "its object has ended or was never announced"
    );
    worker.end(&a, &Say::Loaded);
    worker.end(&b, &Say::Loaded);
    operator.until_over("r").await;
    assert_eq!(hands.of(&stage("work")).await, BTreeMap::new());
    operator.stop().await;
    assert_eq!(hands.of(&stage("work")).await, BTreeMap::new(), "an actor that has ended says nothing");
}
