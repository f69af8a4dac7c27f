//! Inputs that a ready record only names.

use orch_workers::{Outputs, Processor, Progress, Registry, Work, WorkFailure, async_trait};
use serde_json::{Value, json};

use crate::support::{EVENTS, RUN, Running, Stage, settings, text};

/// Says what it saw of its inputs, as it has them and as its record has them.
struct Reads;

#[async_trait]
impl Processor for Reads {
    async fn process(&self, work: &Work, _: &Progress) -> Result<Outputs, WorkFailure> {
        let inputs: Vec<Value> = serde_json::from_str(work.inputs())?;
        let record: Value = serde_json::from_slice(work.record())?;
        let of_a: Option<Value> = work.input("1")?;
        let rows: u64 = inputs.iter().filter_map(|input| input["outputs"]["rows"].as_u64()).sum();
        Outputs::of(&json!({
            "count": inputs.len(), "rows": rows, "same": record["inputs"] == json!(inputs), "a": of_a,
            "meta": work.meta(), "last": inputs.last().map(|input| &input["id"]),
        }))
    }

    fn process_now(&self, work: &Work) -> Option<Result<Outputs, WorkFailure>> {
        let distant = work.inputs().contains("events_offset");
        distant.then(|| Err(WorkFailure::terminal("TooSoon", "it saw a place instead of an input")))
    }
}

fn loaded(object: &str, rows: u64) -> Value {
    json!({"event_type": "ObjectLoaded", "id_objet": object, "run_uid": RUN, "attempt": 1, "outputs": {"rows": rows}})
}

/// A stage of an open run with these records on the events topic, and a worker.
async fn stage_with(events: &[(&str, Value)]) -> (Stage, Running) {
    let mut stage = Stage::new().await;
    for (key, value) in events {
        stage.put(EVENTS, key, value.to_string(), None);
    }
    stage.events(events.len()).await;
    stage.open();
    let worker = Running::start(&stage.bus, settings(2), Registry::single(Reads).for_stage("{}"));
    (stage, worker)
}

#[tokio::test(start_paused = true)]
async fn the_processor_sees_inputs_by_offset_as_if_the_record_had_held_them() {
    // More records between them than are read over.
    let mut events = vec![("1", loaded("1", 10))];
    events.extend((0..25_000).map(|_| ("x", loaded("x", 1))));
    events.push(("b", loaded("b", 20)));
    let (mut stage, worker) = stage_with(&events).await;
    let inputs = json!([
        {"id": "b", "events_offset": 25_001}, {"id": "c", "outputs": {"rows": 3}}, {"id": 1, "events_offset": 0},
    ]);
    stage.ready_with("join", 1, &json!({"inputs": inputs}));
    let event = stage.event().await;
    let outputs = &event["outputs"];
    assert_eq!(text(&event, "event_type"), "ObjectLoaded", "{event}");
    assert_eq!(
        (&outputs["count"], &outputs["rows"], &outputs["same"]),
        (&json!(3), &json!(33), &json!(true))
    );
    assert_eq!(outputs["a"], json!({"rows": 10}));
    assert_eq!(outputs["last"], json!(1), "in the order of the record");
    assert_eq!(outputs["meta"], json!({"IdObjet": "join", "Criticité": "low"}).to_string());
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn more_inputs_than_a_record_could_hold_are_read() {
    let large = |n: usize| {
        let mut value = loaded(&format!("p{n}"), 1);
        value["outputs"]["text"] = "x".repeat(4_000).into();
        value
    };
    let keys: Vec<String> = (0..1_000).map(|n| format!("p{n}")).collect();
    let events: Vec<_> = keys.iter().enumerate().map(|(n, key)| (key.as_str(), large(n))).collect();
    let (mut stage, worker) = stage_with(&events).await;
    let place = |(offset, id): (usize, &String)| json!({"id": id, "events_offset": offset});
    let inputs: Vec<Value> = keys.iter().enumerate().map(place).collect();
    for join in ["join-1", "join-2", "join-3"] {
        stage.ready_with(join, 1, &json!({"inputs": inputs}));
    }
    for _ in 0..3 {
        let event = stage.event().await;
        assert_eq!(event["outputs"]["rows"], json!(1_000), "{}", event["error"]);
    }
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn inputs_that_are_not_where_they_should_be_fail_the_object_for_good() {
    let foreign = json!({"event_type": "ObjectLoaded", "id_objet": "1", "run_uid": "another", "attempt": 1, "outputs": {}});
    let failed =
        json!({"event_type": "ObjectFailed", "id_objet": "1", "run_uid": RUN, "attempt": 1, "error": "no"});
    let none = json!({"event_type": "ObjectLoaded", "id_objet": "1", "run_uid": RUN, "attempt": 1});
    let (mut stage, worker) =
        stage_with(&[("2", loaded("2", 1)), ("1", foreign), ("1", failed), ("1", none)]).await;
    // Another object, another run, no success, no outputs, behind the end, and no place at all.
    let cases = [
        (json!({"events_offset": 0}), "InputLost"),
        (json!({"events_offset": 1}), "InputLost"),
        (json!({"events_offset": 2}), "InputLost"),
        (json!({"events_offset": 3}), "InputLost"),
        (json!({"events_offset": 1_000}), "InputLost"),
        (json!({"events_offset": -1}), "InputUnreadable"),
        (json!({"events_offset": null}), "InputUnreadable"),
    ];
    for (n, (mut input, reason)) in cases.into_iter().enumerate() {
        input["id"] = json!(1);
        stage.ready_with(&format!("join-{n}"), 1, &json!({"inputs": [input]}));
        let event = stage.event().await;
        assert_eq!((text(&event, "event_type"), text(&event, "reason")), ("ObjectFailed", reason), "{event}");
        assert_eq!(event["retryable"], json!(false));
    }
    worker.stop().await;
}
