//! Large runs, many runs at once, and an operator that dies: what they cost the API server, what they leave each other,
//! how soon the next one goes on. Sizes by variables, so that one program serves a short look and the real thing:
//! `make scale`.
#![allow(clippy::unwrap_used, clippy::panic)]

mod ledger;
mod many;
mod one;
mod recovery;
mod sizes;
mod tape;

use std::fmt::Write as _;
use std::time::Duration;

use orch_e2e::graphs::{Graph, layered, objects_json};
use orch_e2e::process::Process;
use orch_e2e::setup::Setup;
use serde_json::{Value, json};

use crate::sizes::Sizes;

/// Of the ready topic.
const PARTITIONS: i32 = 2;
/// Objects of a ConfigMap, which takes a mebibyte.
const CHUNK: usize = 5_000;
/// Most bytes of a status, and of the whole resource with it.
const MAX_STATUS: usize = 900 << 10;
const MAX_RESOURCE: usize = 1_200 << 10;

/// A graph of so many objects, a hundred levels deep where it is large enough.
fn graph(objects: usize) -> Graph {
    let levels = (objects / 10).clamp(1, 100);
    layered(levels, objects / levels, 2)
}

/// Stores a graph in ConfigMaps; the answer is `objectsFrom`.
async fn store(setup: &Setup, name: &str, graph: &Graph) -> Value {
    let mut sources = Vec::new();
    for (n, objects) in graph.chunks(CHUNK).enumerate() {
        let name = format!("{name}-{n}");
        setup.config_map(&name, &objects_json(&objects.to_vec())).await;
        sources.push(json!({"configMap": {"name": name, "key": "objects.json"}}));
    }
    json!(sources)
}

/// An operator with the budget of these sizes.
fn operator(setup: &Setup, sizes: &Sizes) -> Process {
    operator_called("operator", setup, sizes)
}

fn operator_called(identity: &str, setup: &Setup, sizes: &Sizes) -> Process {
    let budget = sizes.bytes_per_second.to_string();
    setup.operator_with(identity, &[("ORCH_STATUS_BYTES_PER_SECOND", &budget)])
}

/// The Pipeline of all runs, with workers that are never taken away.
async fn pipeline(setup: &Setup, object_takes: Duration) {
    let duration = format!("{}ms", object_takes.as_millis());
    let stage = json!({
        "name": "work", "partitions": PARTITIONS, "processor": {"simulate": {"duration": duration}},
        "worker": {"concurrency": 1024, "minReplicas": 2, "maxReplicas": 2},
    });
    setup.pipeline("shared", &json!([stage])).await;
}

fn run_of(name: &str, spec: &Value) -> Value {
    let mut spec = spec.clone();
    spec["pipelineRef"] = json!({"name": "shared"});
    json!({
        "apiVersion": "kafka-orchestrator.dev/v1alpha1", "kind": "PipelineRun",
        "metadata": {"name": name}, "spec": spec,
    })
}

/// The most memory that a process had, in mebibytes.
fn peak_mib(process: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1_024.0
}

/// `a 1.0, b 2.0`
fn listed(of: &[(&str, f64)]) -> String {
    let mut text = String::new();
    for (what, number) in of {
        let comma = if text.is_empty() { "" } else { ", " };
        write!(text, "{comma}{what} {number:.2}").unwrap();
    }
    text
}
