//! The catalogue in the 37-field form, as it is, from a ConfigMap.

use kube::api::{Api, PostParams};
use orch_crds::status::RunPhase;
use orch_e2e::graphs::Graph;
use orch_e2e::history::{Entry, Story};
use orch_e2e::setup::Setup;
use serde_json::{Value, json};

const OBJETS: &str = include_str!("../../../Objets.json");

/// The graph as somebody reads it who knows two fields of the catalogue: the id, and the parents as `1001,1002`.
fn graph() -> Graph {
    let records: Vec<Value> = serde_json::from_str(OBJETS).unwrap();
    let of = |record: &Value| {
        let parents = match &record["IdObjet_Parent"] {
            Value::Null => Vec::new(),
            Value::String(list) => list.split(',').map(|id| id.trim().to_owned()).collect(),
            one => vec![one.to_string()],
        };
        (record["IdObjet"].to_string(), parents)
    };
    records.iter().map(of).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn o1_the_catalogue_runs_as_it_is() {
    let setup = Setup::new("catalogue").await;
    let _operator = setup.operator("operator");
    let map = json!({"metadata": {"name": "objets"}, "immutable": true, "data": {"Objets.json": OBJETS}});
    let maps =
        Api::<k8s_openapi::api::core::v1::ConfigMap>::namespaced(setup.client.clone(), &setup.namespace);
    maps.create(&PostParams::default(), &serde_json::from_value(map).unwrap()).await.unwrap();
    let stage = |name: &str, thousand: u32, ms: u32| {
        json!({"name": name, "idRange": {"from": thousand * 1_000, "to": thousand * 1_000 + 999},
               "processor": {"simulate": {"duration": format!("{ms}ms")}}})
    };
    let run = json!({
        "apiVersion": "kafka-orchestrator.dev/v1alpha1", "kind": "PipelineRun", "metadata": {"name": "objets"},
        "spec": {
            "stages": [stage("ingest", 1, 50), stage("standardize", 2, 60), stage("application", 3, 80)],
            "objectsFrom": [{"configMap": {"name": "objets", "key": "Objets.json", "format": "Catalogue"}}],
        },
    });
    let run = setup.create(&run.to_string()).await;
    let status = setup.end_of("objets").await.status.unwrap();
    let graph = graph();
    assert_eq!((status.phase, status.counts.loaded as usize), (RunPhase::Succeeded, graph.len()));
    assert!(
        status.stages.iter().all(|stage| stage.counts.loaded > 0),
        "all three stages: {:?}",
        status.stages
    );
    let entries = setup.entries().await;
    let records: Vec<Value> = serde_json::from_str(OBJETS).unwrap();
    for record in &records {
        let id = record["IdObjet"].to_string();
        let is_asked = |entry: &&Entry| entry.key == id && entry.value["event_type"] == "ObjectReady";
        let meta = entries.iter().find(is_asked).map(|entry| &entry.value["meta"]);
        assert_eq!(meta, Some(record), "the worker gets the whole record");
    }
    let story = Story::of(&entries, run.metadata.uid.as_deref().unwrap());
    story.assert_complete(&graph);
    story.assert_once();
    story.assert_order(&graph);
    setup.kubelet.stop();
}
