//! More inputs than one record holds.

use orch_crds::status::RunPhase;
use orch_e2e::setup::Setup;
use serde_json::{Value, json};

/// Objects that a join needs: with 4,000 bytes each they are above 256 KiB.
pub(crate) const PARENTS: usize = 70;

/// Parents that hand 4,000 bytes on in the stage `give`, and a join of all of them in the stage `join`.
pub(crate) fn many_parents(name: &str, join: &Value) -> String {
    let parents: Vec<String> = (0..PARENTS).map(|n| format!("p{n}")).collect();
    let mut objects: Vec<Value> = parents.iter().map(|id| json!({"id": id, "stage": "give"})).collect();
    objects.push(json!({"id": "join", "stage": "join", "dependsOn": parents}));
    json!({
        "apiVersion": "kafka-orchestrator.dev/v1alpha1", "kind": "PipelineRun", "metadata": {"name": name},
        "spec": {"stages": [give(), join], "objects": objects},
    })
    .to_string()
}

/// The stage `give`: each object hands 4,000 bytes on.
pub(crate) fn give() -> Value {
    let give = r#"printf '{"rows": 1, "text": "'; head -c 3950 /dev/zero | tr '\0' x; echo '"}'"#;
    json!({"name": "give", "processor": {"exec": {"command": ["sh", "-c", give]}},
        "worker": {"concurrency": 8, "maxReplicas": 1}})
}

/// Such a join failed: its ready record would have been too large above 512 KiB, and held all of it below.
#[tokio::test(flavor = "multi_thread")]
async fn a_join_of_more_than_a_record_holds_gets_all_its_inputs() {
    let setup = Setup::new("inputs").await;
    let _operator = setup.operator("operator");
    let sum = "import json, sys; inputs = json.load(sys.stdin)['inputs']; \
               print(json.dumps({'rows': sum(i['outputs']['rows'] for i in inputs), \
                                 'bytes': sum(len(i['outputs']['text']) for i in inputs)}))";
    let join = json!({"name": "join", "processor": {"exec": {"command": ["python3", "-c", sum]}}});
    setup.create(&many_parents("wide", &join)).await;
    let status = setup.end_of("wide").await.status.unwrap();
    assert_eq!((status.phase, status.counts.loaded), (RunPhase::Succeeded, 71), "{:#?}", status.failures);
    let entries = setup.entries().await;
    let of_join = |event: &str| {
        let found = entries.iter().find(|entry| entry.key == "join" && entry.value["event_type"] == event);
        found.unwrap_or_else(|| panic!("no {event} of the join")).value.clone()
    };
    let inputs = of_join("ObjectReady")["inputs"].as_array().unwrap().clone();
    assert_eq!(inputs.len(), PARENTS);
    assert!(inputs.iter().all(|input| input["events_offset"].is_u64() && input.get("outputs").is_none()));
    assert_eq!(of_join("ObjectLoaded")["outputs"], json!({"rows": 70, "bytes": 70 * 3_950}));
    setup.kubelet.stop();
}
