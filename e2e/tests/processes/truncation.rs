//! Logs that lose their beginning while a run is at work.

use orch_crds::PipelineRun;
use orch_crds::status::{PipelineRunStatus, RunPhase};
use orch_e2e::history::{low, topics};
use orch_e2e::setup::{LIMIT, Setup};
use serde_json::{Value, json};

use crate::inputs::{PARENTS, give};

/// Objects between the first and the last.
const MANY: usize = 600;
const EAGER: [(&str, &str); 3] =
    [("ORCH_SNAPSHOT_RECORDS", "100"), ("ORCH_TRUNCATE_EVERY", "500ms"), ("ORCH_TRUNCATE_RECORDS", "100")];

/// Parents that hand something on if `with_parents`, many objects, `gate` that needs the last of these and waits for a
/// file, and `join` that needs the gate and the parents.
async fn start(setup: &Setup, with_parents: bool) -> PipelineRun {
    let file = setup.folder.path().join("gate");
    let wait = format!("while [ ! -e {} ]; do sleep 0.05; done", file.display());
    let sum = "import json, sys; print(json.dumps({'rows': sum(i['outputs']['rows'] for i in json.load(sys.stdin)['inputs'])}))";
    let parents: Vec<String> = (0..if with_parents { PARENTS } else { 0 }).map(|n| format!("p{n}")).collect();
    let many: Vec<String> = (0..MANY).map(|n| format!("m{n}")).collect();
    let mut objects: Vec<Value> = parents.iter().map(|id| json!({"id": id, "stage": "give"})).collect();
    let first = parents.first();
    objects
        .extend(many.iter().map(|id| json!({"id": id, "stage": "many", "dependsOn": Vec::from_iter(first)})));
    objects.push(json!({"id": "gate", "stage": "gate", "dependsOn": [many[MANY - 1]]}));
    let needs: Vec<&str> = parents.iter().map(String::as_str).chain(["gate"]).collect();
    objects.push(json!({"id": "join", "stage": "join", "dependsOn": needs}));
    let one = |name: &str, processor: Value| json!({"name": name, "processor": processor, "worker": {"maxReplicas": 1}});
    let stages = [
        give(),
        one("many", json!({"simulate": {"duration": "10ms"}})),
        one("gate", json!({"exec": {"command": ["sh", "-c", wait]}})),
        one("join", json!({"exec": {"command": ["python3", "-c", sum]}})),
    ];
    let run = json!({
        "apiVersion": "kafka-orchestrator.dev/v1alpha1", "kind": "PipelineRun", "metadata": {"name": "long"},
        "spec": {"stages": stages, "objects": objects},
    });
    setup.create(&run.to_string()).await
}

fn topic(setup: &Setup, end: &str) -> String {
    let all = topics(&setup.bootstrap, &format!("{0}.{0}.long-", setup.namespace));
    all.into_iter().find(|name| name.ends_with(end)).unwrap()
}

/// Waits until a topic has lost its beginning.
async fn until_truncated(setup: &Setup, end: &str) -> i64 {
    let name = topic(setup, end);
    let is_cut = async || match low(&setup.bootstrap, &name) {
        0 => Err(format!("{name} begins at 0")),
        low => Ok(low),
    };
    orch_e2e::api::until("the topic is truncated", LIMIT, is_cut).await
}

/// All but the gate and the join are loaded, and there is a snapshot behind half of them.
fn is_at_the_gate(status: &PipelineRunStatus) -> bool {
    let counts = &status.counts;
    let is_open = counts.running == 1 && counts.loaded + 2 == counts.total;
    is_open && status.start_offset.is_some_and(|start| start > 300)
}

async fn open_the_gate(setup: &Setup) -> PipelineRunStatus {
    std::fs::write(setup.folder.path().join("gate"), "").unwrap();
    setup.end_of("long").await.status.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_truncated_run_is_taken_over_and_ends() {
    let setup = Setup::new("truncated").await;
    let mut first = setup.operator_with("first", &EAGER);
    start(&setup, false).await;
    let before = setup.until("long", "at the gate with a snapshot", is_at_the_gate).await;
    let events = until_truncated(&setup, ".events").await;
    assert!(events <= setup.get("long").await.status.unwrap().start_offset.unwrap());
    until_truncated(&setup, ".many").await;
    first.kill();
    let _second = setup.operator_with("second", &EAGER);
    let taken = setup.until("long", "taken over", |status| status.epoch > before.epoch).await;
    assert_eq!((taken.counts.loaded as usize, taken.counts.running), (MANY, 1), "{:#?}", taken.conditions);
    let status = open_the_gate(&setup).await;
    assert_eq!((status.phase, status.counts.loaded as usize), (RunPhase::Succeeded, MANY + 2));
    setup.kubelet.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn outputs_that_an_object_still_needs_are_not_truncated() {
    let setup = Setup::new("needed").await;
    let mut first = setup.operator_with("first", &EAGER);
    start(&setup, true).await;
    let before = setup.until("long", "at the gate with a snapshot", is_at_the_gate).await;
    // The operator looks at all topics of the run at a time.
    until_truncated(&setup, ".many").await;
    assert!(low(&setup.bootstrap, &topic(&setup, ".events")) < 100);
    first.kill();
    let _second = setup.operator_with("second", &EAGER);
    setup.until("long", "taken over", |status| status.epoch > before.epoch).await;
    let status = open_the_gate(&setup).await;
    let all = MANY + PARENTS + 2;
    assert_eq!(
        (status.phase, status.counts.loaded as usize),
        (RunPhase::Succeeded, all),
        "{:#?}",
        status.failures
    );
    let entries = setup.entries().await;
    let of_join = |entry: &&orch_e2e::history::Entry| {
        entry.key == "join" && entry.value["event_type"] == "ObjectLoaded"
    };
    assert_eq!(entries.iter().find(of_join).unwrap().value["outputs"]["rows"], PARENTS);
    setup.kubelet.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_that_is_told_so_truncates_nothing() {
    let setup = Setup::new("audited").await;
    let settings = [EAGER[0], EAGER[1], EAGER[2], ("ORCH_TRUNCATE", "false")];
    let operator = setup.operator_with("operator", &settings);
    start(&setup, false).await;
    setup.until("long", "at the gate with a snapshot", is_at_the_gate).await;
    let status = open_the_gate(&setup).await;
    assert_eq!(status.phase, RunPhase::Succeeded);
    for end in [".events", ".many"] {
        assert_eq!(low(&setup.bootstrap, &topic(&setup, end)), 0, "{end}");
    }
    assert!(!operator.log().contains("truncated"));
    setup.kubelet.stop();
}
