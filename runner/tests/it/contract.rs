//! What the records say.

use std::collections::HashMap;

use orch_core::engine::ObjectPhase;
use orch_core::spec::{TimeoutsOverride, UndefinedPolicy};
use orch_runner::RunSettings;
use serde_json::{Value, json};

use super::operator::Operator;
use super::plans;
use super::worker::{Say, Worker};
use super::world::{World, run};

#[tokio::test]
async fn o1_a_ready_record_says_what_the_contract_says() {
    let meta =
        r#"{"IdObjet":2040,"Criticité":"low","parametres":"na","URL":null,"FileLimit":500.0,"id":"21"}"#;
    let plan = plans::with("1010 -> 2040, x -> 2040, y", |spec| {
        let object = spec.objects.iter_mut().find(|object| object.id == "2040").unwrap();
        object.meta = Some(meta.to_owned());
        object.params = Some(r#"{"url":"https://example.org"}"#.to_owned());
        object.processor = Some(r#"{"exec":{}}"#.to_owned());
        object.timeouts =
            Some(Box::new(TimeoutsOverride { run_ms: Some(600_000), ..TimeoutsOverride::default() }));
    });
    let world = World::new(&plan).await;
    let operator = Operator::start(&world, vec![run("r1", &plan)]).await;
    let mut worker = Worker::join(&world, "work").await;
    let [parent, x, _] = worker.take_all(["1010", "x", "y"]).await;
    worker.end(&parent, &Say::Outputs(r#"{"rows":200}"#.to_owned()));
    worker.end(&x, &Say::Loaded);
    worker.take().await;
    let ready = world.ready().await.into_iter().find(|line| line.key == "2040").unwrap();
    let expected = json!({
        "event_type": "ObjectReady", "id_objet": 2040, "meta": serde_json::from_str::<serde_json::Value>(meta).unwrap(),
        "event_datetime": ready.value["event_datetime"], "run": "default/r1", "run_uid": "r1", "stage": "work",
        "attempt": 1, "epoch": operator.handle().epoch(), "run_timeout_ms": 600_000, "heartbeat_ms": 30_000,
        "params": {"url": "https://example.org"}, "processor": {"exec": {}},
        "inputs": [{"id": 1010, "outputs": {"rows": 200}}],
    });
    assert_eq!(ready.value, expected);
    assert!(orch_wire::parse_rfc3339(ready.text("event_datetime")).is_some());
    assert_eq!(ready.reply_topic, Some(world.names.events()));
}

/// The Pipeline was edited while the run was live, and its stage did the objects by another processor.
#[tokio::test]
async fn each_record_of_a_run_whose_stage_may_change_names_its_processor() {
    let plan = plans::with("a, b", |spec| spec.objects[1].processor = Some(r#"{"exec":{}}"#.to_owned()));
    let world = World::new(&plan).await;
    let shared = RunSettings { names_processors: true, ..run("r1", &plan) };
    let operator = Operator::start(&world, vec![shared, run("r2", &plan)]).await;
    for run in ["r1", "r2"] {
        operator.until_count(run, ObjectPhase::Queued, 2).await;
    }
    let found = |run: &str, object: &str, processor: serde_json::Value| {
        (run.to_owned(), object.to_owned(), processor)
    };
    let records = world.ready().await.into_iter();
    let mut named: Vec<_> =
        records.map(|line| found(line.text("run_uid"), &line.key, line.value["processor"].clone())).collect();
    named.sort_by_key(|(run, object, _)| (run.clone(), object.clone()));
    let (of_stage, own) = (json!({"simulate": {}}), json!({"exec": {}}));
    let expected = [
        found("r1", "a", of_stage),
        found("r1", "b", own.clone()),
        found("r2", "a", json!(null)),
        found("r2", "b", own),
    ];
    assert_eq!(named, expected);
}

#[tokio::test]
async fn a_ready_record_is_a_cloud_event() {
    let plan = plans::graph("a");
    let world = World::new(&plan).await;
    let operator = Operator::start(&world, vec![run("r1", &plan)]).await;
    operator.until_count("r1", ObjectPhase::Queued, 1).await;
    let ready = world.names.ready(&plan.stages[0].name);
    let record = world.faults.sent().into_iter().find(|record| *record.topic == *ready).unwrap();
    let mut headers = HashMap::new();
    record.headers.each("a", |name, value| _ = headers.insert(name, value.to_owned()));
    let header = |name: &str| headers[name].clone();
    assert_eq!(header("ce_id"), "r1/a/1/ObjectReady");
    assert_eq!(header("ce_type"), "dev.kafka-orchestrator.ObjectReady");
    assert_eq!(header("ce_source"), "/kafka-orchestrator/default/r1");
    assert_eq!([header("ce_subject"), header("ce_specversion")], ["a", "1.0"]);
    assert_eq!(header("reply_topic"), world.names.events());
}

#[tokio::test]
async fn the_operators_own_records_say_what_the_contract_says() {
    let plan = plans::graph("a");
    let world = World::new(&plan).await;
    let operator = Operator::start(&world, vec![run("r1", &plan)]).await;
    operator.until_count("r1", ObjectPhase::Queued, 1).await;
    let events = world.events().await;
    let leader = &events[0];
    assert_eq!(
        (leader.key.as_str(), &leader.value["epoch"], &leader.value["id_objet"]),
        ("", &json!(1), &json!(null))
    );
    assert!(leader.text("leader").starts_with("test/"));
    let started = &events[1];
    assert_eq!(
        (started.key.as_str(), started.text("run_uid"), started.text("run")),
        ("r1", "r1", "default/r1")
    );
    assert_eq!((started.text("plan_digest"), &started.value["epoch"]), (plan.digest.as_str(), &json!(1)));
}

#[tokio::test]
async fn an_object_that_nobody_defined_is_asked_for_without_a_record() {
    let plan = plans::with("a", |spec| {
        spec.objects[0].depends_on.push("nobody".to_owned());
        spec.undefined_dependencies = UndefinedPolicy::Run;
    });
    let world = World::new(&plan).await;
    let operator = Operator::start(&world, vec![run("r1", &plan)]).await;
    operator.until_count("r1", ObjectPhase::Queued, 1).await;
    let ready = &world.ready().await[0];
    assert_eq!((ready.key.as_str(), &ready.value["meta"]), ("nobody", &json!(null)));
}

#[tokio::test]
async fn inputs_that_are_too_much_beside_a_large_meta_go_by_offset() {
    let (world, operator) = join_with_a_large_meta(12, 490_000).await;
    let mut worker = Worker::join(&world, "work").await;
    for _ in 0..13 {
        let job = worker.take().await;
        worker.end(&job, &Say::Outputs(format!("\"{}\"", "o".repeat(4_000))));
    }
    let ready = worker.take().await;
    let value: Value = serde_json::from_slice(&ready.message.value).unwrap();
    let inputs = value["inputs"].as_array().unwrap();
    assert_eq!((ready.object.as_str(), inputs.len()), ("a", 12));
    let events = world.messages(&world.names.events()).await;
    for input in inputs {
        assert_eq!(input.get("outputs"), None);
        let offset = input["events_offset"].as_u64().unwrap() as usize;
        assert_eq!(events[offset].key, input["id"].as_str().unwrap(), "its record stands there");
    }
    worker.end(&ready, &Say::Loaded);
    operator.until_count("r1", ObjectPhase::Queued, 1).await;
}

/// `a` needs so many parents and has a `meta` of so many bytes; `b` needs `a`, and `x` nothing.
async fn join_with_a_large_meta(parents: usize, meta: usize) -> (World, Operator) {
    let parents: Vec<String> = (0..parents).map(|n| format!("p{n} -> a")).collect();
    let plan = plans::with(&format!("{}, a -> b, x", parents.join(", ")), |spec| {
        let a = spec.objects.iter_mut().find(|object| object.id == "a").unwrap();
        a.meta = Some(format!("\"{}\"", "m".repeat(meta)));
    });
    let world = World::new(&plan).await;
    let operator = Operator::start(&world, vec![run("r1", &plan)]).await;
    (world, operator)
}

#[tokio::test]
async fn an_object_whose_record_would_be_too_large_fails_and_blocks() {
    // The plan has a limit for what an object brings itself; where its inputs stand comes on top of it.
    let (world, operator) = join_with_a_large_meta(1_000, 491_000).await;
    let mut worker = Worker::join(&world, "work").await;
    for _ in 0..1_001 {
        let job = worker.take().await;
        worker.end(&job, &Say::Outputs(format!("\"{}\"", "o".repeat(40))));
    }
    let over = operator.until_over("r1").await;
    let phases = |phase| over.view.counts.of(phase);
    assert_eq!([ObjectPhase::Loaded, ObjectPhase::Failed, ObjectPhase::Blocked].map(phases), [1_001, 1, 1]);
    assert_eq!(&*over.view.failures[0].attempts[0].failure.reason, "RecordTooLarge");
    assert!(world.ready().await.iter().all(|line| line.key != "a"));
}
