//! Runs that end before their objects.

use orch_core::engine::{ObjectPhase, Orders, Refused};
use orch_core::spec::FailurePolicy;

use super::operator::{Operator, outcome};
use super::plans;
use super::worker::{Say, Worker};
use super::world::{World, run};

#[tokio::test]
async fn a_cancelled_run_ends_at_its_record_and_later_answers_are_late() {
    let plan = plans::graph("a -> b, x");
    let world = World::new(&plan).await;
    let operator = Operator::start(&world, vec![run("r1", &plan)]).await;
    let mut worker = Worker::join(&world, "work").await;
    let [a, x] = worker.take_all(["a", "x"]).await;
    worker.end(&x, &Say::Loaded);
    operator.until_count("r1", ObjectPhase::Loaded, 1).await;
    operator.order("r1", Orders { cancel: true, ..Orders::default() });
    let over = operator.until_over("r1").await;
    assert_eq!(outcome(&over, &plan), "Cancelled Cancelled: a Cancelled, b Cancelled, x Loaded");
    worker.end(&a, &Say::Loaded);
    operator.until_refused("r1", Refused::Late, 1).await;
    let cancelled: Vec<_> = world.events().await.into_iter().filter(|line| line.is("RunCancelled")).collect();
    assert_eq!((cancelled.len(), cancelled[0].text("reason")), (1, "Cancelled"));
    assert_eq!(world.gates("r1").await, "Open Cancelled");
    assert_eq!(world.asked().await, "a#1 x#1");
}

#[tokio::test]
async fn a_run_whose_time_is_over_fails() {
    let plan = plans::graph("a -> b");
    let world = World::new(&plan).await;
    let mut settings = run("r1", &plan);
    settings.orders.timeout_ms = Some(50);
    let operator = Operator::start(&world, vec![settings]).await;
    let over = operator.until_over("r1").await;
    assert_eq!(outcome(&over, &plan), "Failed DeadlineExceeded: a Cancelled, b Cancelled");
    assert!(over.view.ended_at.unwrap() >= over.view.started_at.unwrap() + 50);
    let events = world.events().await;
    assert_eq!(
        events.iter().find(|line| line.is("RunCancelled")).unwrap().text("reason"),
        "DeadlineExceeded"
    );
    assert_eq!(world.gates("r1").await, "Open Cancelled");
}

#[tokio::test]
async fn fail_fast_cancels_what_is_not_published_and_waits_for_the_rest() {
    let plan = plans::with("a, b -> c, d", |spec| spec.failure_policy = FailurePolicy::FailFast);
    let mut world = World::new(&plan).await;
    world.window = 2;
    let operator = Operator::start(&world, vec![run("r1", &plan)]).await;
    let mut worker = Worker::join(&world, "work").await;
    let [a, b] = worker.take_all(["a", "b"]).await;
    worker.end(&a, &Say::Failed);
    let stopping = operator.until_count("r1", ObjectPhase::Failed, 1).await;
    assert!(!stopping.view.phase.is_terminal());
    worker.end(&b, &Say::Loaded);
    let over = operator.until_over("r1").await;
    assert_eq!(outcome(&over, &plan), "Failed ObjectsFailed: a Failed, b Loaded, c Cancelled, d Cancelled");
    assert_eq!(
        (world.asked().await.as_str(), world.gates("r1").await.as_str()),
        ("a#1 b#1", "Open Cancelled")
    );
    let ends: Vec<_> = world.events().await.into_iter().filter(|line| line.is("RunCancelled")).collect();
    assert_eq!(ends.iter().map(|line| line.text("reason")).collect::<Vec<_>>(), ["ObjectsFailed"]);
}

#[tokio::test]
async fn a_run_may_be_cancelled_before_it_began() {
    let plan = plans::graph("a");
    let world = World::new(&plan).await;
    let mut settings = run("r1", &plan);
    settings.orders.cancel = true;
    let operator = Operator::start(&world, vec![settings]).await;
    assert_eq!(outcome(&operator.until_over("r1").await, &plan), "Cancelled Cancelled: a Cancelled");
    assert_eq!(world.asked().await, "");
}

#[tokio::test]
async fn the_log_of_another_plan_ends_the_run() {
    let plan = plans::graph("a -> b");
    let world = World::new(&plan).await;
    let first = Operator::start(&world, vec![run("r1", &plan)]).await;
    first.until_count("r1", ObjectPhase::Queued, 1).await;
    first.stop().await;
    let other = plans::graph("a -> b -> c");
    let second = Operator::start(&world, vec![run("r1", &other)]).await;
    let over = second.until_over("r1").await;
    assert_eq!(outcome(&over, &other), "Failed PlanChanged: a Cancelled, b Cancelled, c Cancelled");
    assert_eq!((world.asked().await.as_str(), world.gates("r1").await.as_str()), ("a#1", "Open Ended"));
}
