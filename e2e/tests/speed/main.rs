//! How fast a run is, as a ratio to the same records without us: a level replay, interleaved on the same broker.
//!
//! `make speed` runs it with release builds, a warm broker and the graphs of GRAPHS; CI with what it has, and a floor
//! far below.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{Api, ListParams};
use orch_crds::status::RunPhase;
use orch_e2e::api::delete_run;
use orch_e2e::graphs::{Graph, edge_list, layered, level_sizes, objects_json};
use orch_e2e::replay::level_replay;
use orch_e2e::setup::{LIMIT, Setup};
use serde_json::json;

/// Of each graph; their medians count.
const ROUNDS: usize = 3;
/// Objects of a ConfigMap.
const CHUNK: usize = 5_000;
/// Replays before anything is measured, when `ORCH_SPEED_WARM` does not say otherwise. A broker that has just begun
/// compiles itself: it becomes three times as fast within a minute of work.
const WARM: f64 = 3.0;
/// The part of a level replay that every graph must reach, when `ORCH_SPEED_FLOOR` does not say otherwise: for builds that
/// are not optimised, on two cores that broker and API server share.
const FLOOR: f64 = 0.02;

/// The files of GRAPHS, or a graph of the size and depth of a circuit of fifteen thousand gates.
fn graphs() -> Vec<(String, Graph)> {
    let Some(folder) = std::env::var_os("GRAPHS") else {
        return vec![("layered 70 x 210".to_owned(), layered(70, 210, 2))];
    };
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.to_string_lossy().ends_with(".tsv.gz"));
    files.sort();
    let name =
        |file: &Path| file.file_name().unwrap().to_string_lossy().trim_end_matches(".tsv.gz").to_owned();
    files.iter().map(|file| (name(file), edge_list(file))).collect()
}

fn setting(name: &str, default: f64) -> f64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// A level replay, on topics of its own.
async fn replay(setup: &Setup, name: String, sizes: Vec<usize>) -> Duration {
    let (bootstrap, topics) =
        (setup.bootstrap.clone(), format!("speed.replay-{}-{name}", std::process::id()));
    tokio::task::spawn_blocking(move || level_replay(&bootstrap, &topics, &sizes)).await.unwrap()
}

async fn warm_up(setup: &Setup) {
    let graph = layered(70, 210, 2);
    for round in 0..setting("ORCH_SPEED_WARM", WARM) as usize {
        let took = replay(setup, format!("warm-{round}"), level_sizes(&graph)).await;
        println!("warming up: a level replay at {:.0} objects/s", graph.len() as f64 / took.as_secs_f64());
    }
    run(setup, "warm", &format!("objects: {}", objects_json(&layered(10, 100, 2))), 1_000).await;
    let workers: Api<Deployment> = Api::namespaced(setup.client.clone(), &setup.namespace);
    assert_eq!(workers.list(&ListParams::default()).await.unwrap().items.len(), 1);
}

/// Applies a run and waits, with a watch, until its status says that it succeeded: how long that took.
async fn run(setup: &Setup, name: &str, source: &str, objects: usize) -> Duration {
    let manifest = format!(
        "{{apiVersion: kafka-orchestrator.dev/v1alpha1, kind: PipelineRun, metadata: {{name: {name}}}, spec: \
         {{pipelineRef: {{name: warm}}, {source}}}}}"
    );
    let begin = Instant::now();
    setup.create(&manifest).await;
    let run = setup.end_of(name).await;
    let took = begin.elapsed();
    let status = run.status.unwrap();
    assert_eq!((status.phase, status.counts.loaded as usize), (RunPhase::Succeeded, objects));
    took
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_reach_a_known_part_of_a_level_replay() {
    let setup = Setup::new("speed").await;
    let _operator = setup.operator("operator");
    // One warm worker for all runs.
    let stage = json!({
        "name": "work", "partitions": 1, "processor": {"simulate": {"duration": "0s"}},
        "worker": {"concurrency": 1024, "minReplicas": 1, "maxReplicas": 1},
    });
    setup.pipeline("warm", &json!([stage])).await;
    warm_up(&setup).await;
    println!(
        "{:<36} {:>7} {:>6} {:>11} {:>12} {:>6}",
        "graph", "objects", "levels", "objects/s", "replay", "ratio"
    );
    let mut least = f64::INFINITY;
    for (number, (name, graph)) in graphs().iter().enumerate() {
        let mut source = Vec::new();
        for (n, chunk) in graph.chunks(CHUNK).enumerate() {
            let map = format!("objects-{number}-{n}");
            setup.config_map(&map, &objects_json(&chunk.to_vec())).await;
            source.push(format!("{{configMap: {{name: {map}, key: objects.json}}}}"));
        }
        let source = format!("objectsFrom: [{}]", source.join(", "));
        let sizes = level_sizes(graph);
        let (mut ours, mut replays) = (Vec::new(), Vec::new());
        for round in 0..ROUNDS {
            let run_name = format!("run-{number}-{round}");
            ours.push(run(&setup, &run_name, &source, graph.len()).await.as_secs_f64());
            delete_run(&setup.client, &setup.namespace, &run_name, LIMIT).await;
            replays.push(replay(&setup, format!("{number}-{round}"), sizes.clone()).await.as_secs_f64());
        }
        let rate = |seconds: Vec<f64>| graph.len() as f64 / median(seconds);
        let (ours, replay) = (rate(ours), rate(replays));
        println!(
            "{name:<36} {:>7} {:>6} {ours:>11.0} {replay:>12.0} {:>6.2}",
            graph.len(),
            sizes.len(),
            ours / replay
        );
        least = least.min(ours / replay);
    }
    for line in
        std::fs::read_to_string(setup.log("operator")).unwrap().lines().filter(|line| line.contains("acks"))
    {
        println!("{line}");
    }
    assert!(least > setting("ORCH_SPEED_FLOOR", FLOOR), "{least:.3} of a level replay");
    setup.kubelet.stop();
}
