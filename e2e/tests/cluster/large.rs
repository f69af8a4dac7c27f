//! 100,000 objects in pods, from one manifest.

use std::time::{Duration, Instant};

use kube::Client;
use orch_crds::status::RunPhase;
use orch_e2e::api::{namespace, wait_for_end};
use orch_e2e::graphs::{layered, objects_json};
use serde_json::Value;

use crate::command::{delete_namespace, json, run};

const LIMIT: Duration = Duration::from_mins(3);
const OBJECTS: usize = 100_000;
/// Of the whole resource: spec, metadata and status.
const MAX_RESOURCE: usize = 1_200 << 10;
/// Resident memory of the operator, in bytes: all of it.
const MAX_OPERATOR: u64 = 150 << 20;

pub(crate) async fn a_hundred_thousand_objects_are_complete_in_a_small_status(client: &Client) {
    namespace(client, "large").await;
    let manifest = format!(
        r#"{{"apiVersion": "kafka-orchestrator.dev/v1alpha1", "kind": "PipelineRun", "metadata": {{"name": "large"}},
        "spec": {{"stages": [{{"name": "work", "processor": {{"simulate": {{"duration": "0s"}}}},
            "worker": {{"concurrency": 1024, "maxReplicas": 1}}}}], "objects": {}}}}}"#,
        objects_json(&layered(100, OBJECTS / 100, 2))
    );
    let file = tempfile::Builder::new().suffix(".yaml").tempfile().unwrap();
    std::fs::write(file.path(), manifest).unwrap();
    let start = Instant::now();
    run("orch", &["submit", "-n", "large", file.path().to_str().unwrap()], &[0]);
    let resource = wait_for_end(client, "large", "large", LIMIT).await;
    let bytes = serde_json::to_vec(&resource).unwrap().len();
    let status = resource.status.unwrap();
    println!("{OBJECTS} objects in pods: {:.1?} from submit, {bytes} bytes in the end", start.elapsed());
    assert_eq!(status.phase, RunPhase::Succeeded);
    assert_eq!(status.counts.loaded as usize, OBJECTS);
    assert_eq!(status.phase_map.unwrap().decode().unwrap(), "L".repeat(OBJECTS));
    assert!(bytes <= MAX_RESOURCE, "{bytes} bytes");
    let resident = resident_bytes_of_the_operator();
    assert!(resident <= MAX_OPERATOR, "the operator has {resident} bytes");
    delete_namespace("large");
}

/// As its kubelet measures it.
fn resident_bytes_of_the_operator() -> u64 {
    let nodes = json("kubectl", &["get", "nodes", "-o", "json"], &[0]);
    let names =
        nodes["items"].as_array().unwrap().iter().map(|node| node["metadata"]["name"].as_str().unwrap());
    let pods = names.flat_map(|node| {
        let summary =
            json("kubectl", &["get", "--raw", &format!("/api/v1/nodes/{node}/proxy/stats/summary")], &[0]);
        summary["pods"].as_array().unwrap().clone()
    });
    let of_operator = |pod: &Value| pod["podRef"]["namespace"] == "kafka-orchestrator";
    let containers = pods.filter(of_operator).flat_map(|pod| pod["containers"].as_array().unwrap().clone());
    containers.map(|container| container["memory"]["rssBytes"].as_u64().unwrap()).max().unwrap()
}
