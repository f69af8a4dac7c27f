//! Ready records in, answers out.

use std::time::Duration;

use orch_wire::RunGate;
use orch_workers::{Outputs, Processor, Progress, Registry, Work, WorkFailure, async_trait};
use serde_json::json;
use tokio::time::Instant;

use crate::spy::bus_with_hand;
use crate::support::{
    CONTROL, EVENTS, Puppet, READY, RUN, Running, Stage, settings, soon, text, topic, until,
};

#[tokio::test(start_paused = true)]
async fn an_object_of_an_open_run_is_done_and_answered() {
    let mut stage = Stage::new().await;
    let (puppet, _began) = Puppet::new();
    let worker = Running::start(&stage.bus, settings(2), puppet.processors());
    stage.open();
    stage.ready_with("2005", 3, &json!({}));
    let event = stage.event().await;
    let meta = json!({"worker": "worker-1"});
    assert_eq!((text(&event, "event_type"), &event["meta"]), ("ObjectLoaded", &meta));
    assert_eq!((&event["id_objet"], &event["attempt"]), (&json!(2005), &json!(3)));
    assert_eq!(
        (text(&event, "run"), text(&event, "run_uid"), text(&event, "stage")),
        ("default/sales", RUN, "ingest")
    );
    assert_eq!(event["outputs"], json!({"object": "2005"}));
    stage.position_reaches(1).await;
    assert_eq!(worker.counters.now().loaded, 1);
    worker.stop().await;
}

/// O15: work that was published before the worker existed is not lost.
#[tokio::test(start_paused = true)]
async fn o15_a_worker_that_comes_late_does_what_waits() {
    let mut stage = Stage::new().await;
    stage.open();
    stage.ready("1");
    stage.ready("2");
    let worker = Running::builtin(&stage, r#"{"simulate":{}}"#);
    assert_eq!(stage.events(2).await, ["ObjectLoaded 1", "ObjectLoaded 2"]);
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn nothing_of_a_run_that_is_not_open_is_done() {
    let mut stage = Stage::new().await;
    let (puppet, mut began) = Puppet::new();
    for run in ["cancelled", "ended", "gone"] {
        stage.gate(run, RunGate::Open);
    }
    // Enough that the worker needs several reads to the end.
    for n in 0..9_000 {
        stage.gate(&format!("other-{n}"), RunGate::Ended);
    }
    stage.gate("cancelled", RunGate::Cancelled);
    stage.gate("ended", RunGate::Ended);
    for run in ["cancelled", "ended", "gone", "unknown"] {
        stage.ready_with(run, 1, &json!({"run_uid": run}));
    }
    stage.put(CONTROL, "gone", "", None);
    stage.open();
    stage.ready("1");
    let worker = Running::start(&stage.bus, settings(4), puppet.processors());
    assert_eq!(stage.events(1).await, ["ObjectLoaded 1"]);
    stage.position_reaches(5).await;
    assert_eq!(soon("a beginning", began.recv()).await.as_deref(), Some("1"));
    assert!(began.try_recv().is_err());
    assert_eq!(worker.counters.now().skipped, 4);
    // The run of this one is over and forgotten while the worker lives.
    stage.put(CONTROL, RUN, "", None);
    stage.ready("2");
    stage.position_reaches(6).await;
    assert!(began.try_recv().is_err());
    assert_eq!(worker.counters.now().skipped, 5);
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_run_that_opens_or_ends_while_the_worker_lives_is_noticed() {
    let mut stage = Stage::new().await;
    let (puppet, _began) = Puppet::new();
    let worker = Running::start(&stage.bus, settings(4), puppet.processors());
    until("ready", async || worker.health.is_ready().then_some(())).await;
    // The operator waits for the acknowledgement of `Open` and then publishes, so the worker may see either first.
    stage.open();
    stage.ready("1");
    assert_eq!(stage.events(1).await, ["ObjectLoaded 1"]);
    stage.gate(RUN, RunGate::Ended);
    let other = json!({"run_uid": "run-2"});
    stage.gate("run-2", RunGate::Open);
    stage.ready_with("2", 1, &other);
    assert_eq!(stage.events(1).await, ["ObjectLoaded 2"]);
    stage.ready("3");
    stage.position_reaches(3).await;
    assert_eq!((worker.counters.now().loaded, worker.counters.now().skipped), (2, 1));
    worker.stop().await;
}

/// O16: junk is counted and skipped; the next record is handled.
/// The end that a lagging broker shows was taken for the end of the control topic: the object was never done.
#[tokio::test(start_paused = true)]
async fn nothing_is_skipped_before_the_control_topic_was_read_to_the_end_that_was_asked_for() {
    let (bus, hand) = crate::spy::bus_with_hand();
    let mut stage = Stage::on(bus).await;
    stage.open();
    stage.ready("1");
    hand.lag(CONTROL);
    let worker = Running::builtin(&stage, r#"{"simulate":{}}"#);
    let early = tokio::time::timeout(Duration::from_secs(10), stage.event()).await;
    assert!(early.is_err(), "{early:?}");
    assert_eq!(worker.health.missing().len(), 1, "{:?}", worker.health.missing());
    hand.catch_up();
    assert_eq!(stage.events(1).await, ["ObjectLoaded 1"]);
    assert_eq!(worker.counters.now().skipped, 0);
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn o16_malformed_records_are_counted_and_skipped() {
    let mut stage = Stage::new().await;
    stage.open();
    stage.put(CONTROL, RUN, "junk", None);
    let (deep, large) = ("[".repeat(100_000), "x".repeat(600_000));
    for junk in ["", "junk", "null", "{}", "{\"event_type\":7}", &deep, &large, "\u{0}"] {
        stage.put(READY, "1", junk.to_owned(), None);
    }
    stage.put(READY, "2", crate::support::ready_json("1", 1, &json!({})).to_string(), None);
    stage.ready("7");
    let worker = Running::builtin(&stage, r#"{"simulate":{}}"#);
    assert_eq!(stage.events(1).await, ["ObjectLoaded 7"]);
    stage.position_reaches(10).await;
    assert_eq!(worker.counters.now().malformed, 9);
    worker.stop().await;
}

/// O8: one `ObjectFailed`, with worker and text, and nothing after it.
#[tokio::test(start_paused = true)]
async fn o8_an_object_that_is_set_to_fail_fails_once_and_for_good() {
    let mut stage = Stage::new().await;
    stage.open();
    stage.ready("2005");
    stage.ready("2006");
    let worker = Running::builtin(&stage, r#"{"simulate":{"duration":"100ms","failIds":["2005"]}}"#);
    let events = [stage.event().await, stage.event().await];
    let failed = events.iter().find(|event| event["id_objet"] == 2005).unwrap();
    assert_eq!((text(failed, "event_type"), text(failed, "reason")), ("ObjectFailed", "SimulatedFailure"));
    assert_eq!((text(failed, "error"), &failed["retryable"]), ("object 2005 is set to fail", &json!(false)));
    assert_eq!(failed["meta"], json!({"worker": "worker-1", "error": "object 2005 is set to fail"}));
    stage.position_reaches(2).await;
    let bounds = stage.bus.bounds(EVENTS).await.unwrap();
    assert_eq!(bounds[0].high, 2);
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_object_may_have_a_processor_of_its_own() {
    let mut stage = Stage::new().await;
    stage.open();
    let fails = json!({"processor": {"simulate": {"failIds": ["2"]}}});
    stage.ready("1");
    stage.ready_with("2", 1, &fails);
    stage.ready_with("3", 1, &fails);
    stage.ready_with("4", 1, &json!({"processor": {"spark": {}}}));
    stage.ready_with("5", 1, &json!({"processor": {"exec": {}}}));
    let worker = Running::builtin(&stage, r#"{"simulate":{}}"#);
    let mut failed = Vec::new();
    for _ in 0..5 {
        let event = stage.event().await;
        if event["event_type"] == "ObjectFailed" {
            assert_eq!(event["retryable"], false);
            failed.push(format!(
                "{} {} {}",
                event["id_objet"],
                text(&event, "reason"),
                text(&event, "error")
            ));
        }
    }
    assert_eq!(failed[0].replace('"', ""), "2 SimulatedFailure object 2 is set to fail");
    assert!(failed[1].contains("UnknownProcessor this worker has no processor `spark`"), "{}", failed[1]);
    assert!(failed[2].contains("InvalidProcessor") && failed[2].contains("command"), "{}", failed[2]);
    assert_eq!(failed.len(), 3);
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_stage_with_a_wrong_processor_fails_its_objects_with_the_reason() {
    let mut stage = Stage::new().await;
    stage.open();
    stage.ready("1");
    let worker = Running::builtin(&stage, r#"{"http":{"url":"nowhere"}}"#);
    let event = stage.event().await;
    assert_eq!((text(&event, "reason"), &event["retryable"]), ("InvalidProcessor", &json!(false)));
    assert!(text(&event, "error").contains("url `nowhere`"), "{event}");
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_the_failure_of_its_object_alone() {
    struct PanicsAtOnce;
    #[async_trait]
    impl Processor for PanicsAtOnce {
        async fn process(&self, _: &Work, _: &Progress) -> Result<Outputs, WorkFailure> {
            unreachable!()
        }
        fn process_now(&self, work: &Work) -> Option<Result<Outputs, WorkFailure>> {
            panic!("cannot do {}", work.object());
        }
    }
    let (puppet, _began) = Puppet::new();
    for processors in [puppet.processors(), Registry::single(PanicsAtOnce).for_stage("{}")] {
        let mut stage = Stage::new().await;
        stage.open();
        stage.ready("panic-1");
        stage.ready("panic-2");
        let worker = Running::start(&stage.bus, settings(1), processors);
        for _ in 0..2 {
            let event = stage.event().await;
            assert_eq!((text(&event, "reason"), &event["retryable"]), ("Panic", &json!(true)));
            assert!(text(&event, "error").contains("panicked: cannot do panic-"), "{event}");
        }
        worker.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn answers_go_where_the_record_says_else_to_the_events_topic() {
    let mut stage = Stage::new().await;
    stage.bus.ensure_topics(&[topic("elsewhere", 1)], true).await.unwrap();
    stage.open();
    let value = |id: &str| crate::support::ready_json(id, 1, &json!({})).to_string();
    stage.put(READY, "1", value("1"), Some("elsewhere"));
    stage.put(READY, "2", value("2"), None);
    let worker = Running::builtin(&stage, r#"{"simulate":{}}"#);
    assert_eq!(stage.events(1).await, ["ObjectLoaded 2"]);
    let mut elsewhere = stage.bus.read("elsewhere", 0, 0..1).await.unwrap();
    assert_eq!(soon("an answer elsewhere", elsewhere.next()).await.unwrap()[0].key, "1");
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn health_says_what_is_missing_until_all_is_there() {
    let (bus, hand) = bus_with_hand();
    let stage = Stage::on(bus).await;
    hand.fail_joins(usize::MAX);
    let worker = Running::builtin(&stage, r#"{"simulate":{}}"#);
    until("some tries to join", async || (*hand.joins.lock().unwrap() > 3).then_some(())).await;
    assert_eq!(worker.health.missing().last().unwrap(), "it has not joined its consumer group yet");
    hand.fail_joins(0);
    until("ready", async || worker.health.is_ready().then_some(())).await;
    let health = worker.health.clone();
    worker.stop().await;
    assert_eq!(health.missing(), ["it is shutting down"]);
}

#[tokio::test(start_paused = true)]
async fn a_member_that_only_fails_for_a_while_is_kept() {
    let (bus, hand) = bus_with_hand();
    let mut stage = Stage::on(bus).await;
    stage.open();
    hand.fail_member_reads(6);
    let worker = Running::builtin(&stage, r#"{"simulate":{}}"#);
    until("trouble", async || (!worker.health.is_ready()).then_some(())).await;
    stage.ready("1");
    assert_eq!(stage.events(1).await, ["ObjectLoaded 1"]);
    assert_eq!(*hand.joins.lock().unwrap(), 1);
    until("ready", async || worker.health.is_ready().then_some(())).await;
    worker.stop().await;
}

/// A new one was asked for after four errors with growing pauses only.
#[tokio::test(start_paused = true)]
async fn a_member_that_has_ended_is_replaced_at_once() {
    let (bus, hand) = bus_with_hand();
    let mut stage = Stage::on(bus).await;
    stage.open();
    stage.ready("1");
    let worker = Running::builtin(&stage, r#"{"simulate":{}}"#);
    assert_eq!(stage.events(1).await, ["ObjectLoaded 1"]);
    hand.end_members();
    let ended = Instant::now();
    // Wakes the one that has ended.
    stage.ready("2");
    stage.ready("3");
    assert_eq!(stage.events(2).await, ["ObjectLoaded 2", "ObjectLoaded 3"]);
    until("another member", async || (*hand.joins.lock().unwrap() == 2).then_some(())).await;
    assert!(ended.elapsed() < Duration::from_millis(500), "{:?}", ended.elapsed());
    until("ready", async || worker.health.is_ready().then_some(())).await;
    worker.stop().await;
}
