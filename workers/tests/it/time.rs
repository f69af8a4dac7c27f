//! Heartbeats, run timeout and draining.

use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use orch_core::drain::Drain;
use orch_workers::{Outputs, Processor, Progress, Registry, Settings, Work, WorkFailure, async_trait};
use serde_json::json;
use tokio::time::Instant;

use crate::support::{EVENTS, Puppet, Running, Stage, settings, soon, text, until};

#[tokio::test(start_paused = true)]
async fn short_work_sends_its_answer_alone() {
    let mut stage = Stage::new().await;
    stage.open();
    stage.ready("1");
    let worker = Running::builtin(&stage, r#"{"simulate":{"duration":"190ms"}}"#);
    assert_eq!(stage.events(1).await, ["ObjectLoaded 1"]);
    stage.position_reaches(1).await;
    assert_eq!(stage.bus.bounds(EVENTS).await.unwrap()[0].high, 1);
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_says_how_long_the_work_took_without_the_time_in_the_queue() {
    let mut stage = Stage::new().await;
    stage.open();
    for object in ["1", "2", "3"] {
        stage.ready(object);
    }
    let processors = Registry::builtin().for_stage(r#"{"simulate":{"duration":"190ms"}}"#);
    let worker = Running::start(&stage.bus, settings(1), processors);
    for _ in 0..3 {
        let answer = stage.event().await;
        let elapsed = answer["elapsed_ms"].as_i64().unwrap();
        assert!((190..210).contains(&elapsed), "{answer}");
    }
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn long_work_says_that_it_began_and_shows_a_sign_every_third_of_the_heartbeat() {
    let mut stage = Stage::new().await;
    let (puppet, mut began) = Puppet::new();
    stage.open();
    stage.ready("wait");
    let worker = Running::start(&stage.bus, settings(1), puppet.processors());
    soon("the beginning", began.recv()).await;
    let clock = Instant::now();
    for (expected, after_ms) in
        [("ObjectStarted", 200), ("ObjectProgress", 10_200), ("ObjectProgress", 20_200)]
    {
        let event = stage.event().await;
        let passed = clock.elapsed().as_millis() as i64;
        assert_eq!(text(&event, "event_type"), expected);
        assert!((after_ms..after_ms + 20).contains(&passed), "{passed} ms, not {after_ms}");
        if expected == "ObjectProgress" {
            assert_eq!((&event["progress"], text(&event, "message")), (&json!(0.5), "half way"));
        }
    }
    puppet.release(1);
    assert_eq!(text(&stage.event().await, "event_type"), "ObjectLoaded");
    assert!(clock.elapsed() < Duration::from_secs(21), "no sign in between");
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn work_that_outlasts_its_run_timeout_is_stopped_and_fails() {
    let mut stage = Stage::new().await;
    let (puppet, mut began) = Puppet::new();
    stage.open();
    stage.ready_with("wait-1", 1, &json!({"run_timeout_ms": 5_000}));
    stage.ready("2");
    let worker = Running::start(&stage.bus, settings(1), puppet.processors());
    soon("the beginning", began.recv()).await;
    let clock = Instant::now();
    assert_eq!(text(&stage.event().await, "event_type"), "ObjectStarted");
    let failed = stage.event().await;
    assert!((5_000..5_050).contains(&clock.elapsed().as_millis()));
    assert_eq!((text(&failed, "reason"), &failed["retryable"]), ("RunTimeout", &json!(true)));
    assert!(text(&failed, "error").ends_with("run timeout of 5.0s"), "{failed}");
    // Its slot is free again.
    assert_eq!(stage.events(1).await, ["ObjectLoaded 2"]);
    worker.stop().await;
}

/// Blocks its thread until the test lets go of it.
struct Deaf(Arc<Mutex<mpsc::Receiver<()>>>);

#[async_trait]
impl Processor for Deaf {
    async fn process(&self, _: &Work, _: &Progress) -> Result<Outputs, WorkFailure> {
        let _ = self.0.lock().unwrap().recv();
        Ok(Outputs::none())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_that_does_not_hear_the_stop_is_answered_for_and_keeps_its_slot() {
    let mut stage = Stage::new().await;
    let (let_go, held) = mpsc::channel();
    stage.open();
    stage.ready_with("1", 1, &json!({"run_timeout_ms": 20}));
    stage.ready("2");
    let deaf = Registry::single(Deaf(Arc::new(Mutex::new(held)))).for_stage("{}");
    let worker = Running::start(&stage.bus, settings(1), deaf);
    let failed = stage.event().await;
    assert_eq!((&failed["id_objet"], text(&failed, "reason")), (&json!(1), "RunTimeout"));
    stage.position_reaches(1).await;
    assert_eq!(worker.counters.now().loaded, 0);
    let_go.send(()).unwrap();
    let_go.send(()).unwrap();
    assert_eq!(stage.events(1).await, ["ObjectLoaded 2"]);
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_lets_work_end_and_begins_none() {
    let mut stage = Stage::new().await;
    let (puppet, mut began) = Puppet::new();
    stage.open();
    for object in ["wait-1", "2", "3"] {
        stage.ready(object);
    }
    let worker = Running::start(&stage.bus, settings(1), puppet.processors());
    soon("the beginning", began.recv()).await;
    worker.shutdown.cancel();
    // It still shows that it lives while it drains; the second start hands it over.
    for expected in ["ObjectStarted", "ObjectStarted", "ObjectProgress"] {
        assert_eq!(text(&stage.event().await, "event_type"), expected);
    }
    puppet.release(1);
    assert_eq!(stage.events(1).await, ["ObjectLoaded wait-1"]);
    worker.stop().await;
    assert!(began.try_recv().is_err());
    assert_eq!(stage.position().await, 1);
}

/// They stayed with it until its longest object had ended, for up to ten minutes, while other workers were idle.
#[tokio::test(start_paused = true)]
async fn what_a_worker_that_drains_has_not_begun_goes_to_others_at_once() {
    let mut stage = Stage::new().await;
    let (puppet, mut began) = Puppet::new();
    stage.open();
    // All of them in one partition.
    for object in ["wait-1", "2", "3"] {
        stage.ready(object);
    }
    let draining = Running::start(&stage.bus, settings(1), puppet.processors());
    soon("the beginning", began.recv()).await;
    let other = Running::start(&stage.bus, settings(1), puppet.processors());
    until("ready", async || other.health.is_ready().then_some(())).await;
    let clock = Instant::now();
    draining.shutdown.cancel();
    for expected in ["ObjectStarted wait-1", "ObjectStarted wait-1", "ObjectLoaded 2", "ObjectLoaded 3"] {
        assert_eq!(stage.events(1).await, [expected]);
    }
    assert!(clock.elapsed() < Duration::from_secs(2), "{:?}", clock.elapsed());
    stage.position_reaches(3).await;
    // It goes on, shows that it lives, and its answer is the only one.
    assert_eq!(stage.events(1).await, ["ObjectProgress wait-1"]);
    puppet.release(1);
    assert_eq!(stage.events(1).await, ["ObjectLoaded wait-1"]);
    draining.stop().await;
    assert_eq!(
        (soon("2", began.recv()).await, soon("3", began.recv()).await),
        (Some("2".to_owned()), Some("3".to_owned()))
    );
    assert!(began.try_recv().is_err(), "nothing began twice");
    assert_eq!(other.counters.now().loaded, 2);
    other.stop().await;
}

/// Whoever is killed before a start is acknowledged leaves the object to the group.
#[tokio::test(start_paused = true)]
async fn nothing_is_handed_over_before_its_start_is_acknowledged() {
    let (bus, hand) = crate::spy::bus_with_hand();
    let mut stage = Stage::on(bus).await;
    let (puppet, mut began) = Puppet::new();
    stage.open();
    stage.ready("wait");
    let worker = Running::start(
        &stage.bus,
        Settings { drain: Drain::within(Duration::from_secs(31)), ..settings(1) },
        puppet.processors(),
    );
    soon("the beginning", began.recv()).await;
    hand.hold_acknowledgements();
    worker.stop().await;
    let mut events = vec!["ObjectStarted wait".to_owned(); 2];
    events.insert(0, "ObjectProgress wait".to_owned());
    assert_eq!(stage.events(3).await, events, "and no end");
    assert_eq!(stage.position().await, 0);
    hand.release_acknowledgements();
    puppet.release(1);
    let second = Running::start(&stage.bus, settings(1), puppet.processors());
    stage.position_reaches(1).await;
    second.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_does_not_end_in_time_is_given_back() {
    let mut stage = Stage::new().await;
    let (puppet, mut began) = Puppet::new();
    stage.open();
    stage.ready("wait");
    stage.ready("1");
    let impatient = Settings { drain: Drain::within(Duration::from_secs(18)), ..settings(2) };
    let worker = Running::start(&stage.bus, impatient, puppet.processors());
    soon("the beginning", began.recv()).await;
    assert_eq!(stage.events(1).await, ["ObjectLoaded 1"]);
    let clock = Instant::now();
    worker.stop().await;
    assert!((9_000..9_100).contains(&clock.elapsed().as_millis()), "{:?}", clock.elapsed());
    assert_eq!(stage.events(2).await, ["ObjectStarted wait", "ObjectStarted wait"]);
    // Its record is finished: the operator is told at once, and need not wait for the heartbeat.
    let failed = stage.event().await;
    assert_eq!((text(&failed, "reason"), &failed["retryable"]), ("Drained", &json!(true)));
    assert_eq!(stage.position().await, 2);
}

/// It waited for its last answers and its last commit until after its time.
#[tokio::test(start_paused = true)]
async fn a_worker_whose_bus_hangs_has_gone_before_it_is_killed() {
    for grace in [1, 10, 60].map(Duration::from_secs) {
        let (bus, hand) = crate::spy::bus_with_hand();
        let stage = Stage::on(bus).await;
        let (puppet, mut began) = Puppet::new();
        stage.open();
        stage.ready("wait");
        let in_time = Settings { drain: Drain::within(grace), ..settings(1) };
        let worker = Running::start(&stage.bus, in_time, puppet.processors());
        soon("the beginning", began.recv()).await;
        hand.hold_acknowledgements();
        let clock = Instant::now();
        worker.stop().await;
        let took = clock.elapsed();
        assert!(grace / 2 < took && took < grace, "{took:?} of {grace:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_never_reached_its_bus_stops_at_once() {
    let (bus, hand) = crate::spy::bus_with_hand();
    let stage = Stage::on(bus).await;
    hand.fail_joins(usize::MAX);
    let worker = Running::builtin(&stage, r#"{"simulate":{}}"#);
    until("a try", async || (*hand.joins.lock().unwrap() > 0).then_some(())).await;
    let clock = Instant::now();
    worker.stop().await;
    assert!(clock.elapsed() < Duration::from_secs(1));
}
