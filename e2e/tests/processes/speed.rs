//! How fast a run is, as a ratio to the same records without us: a level replay, in the same test on the same broker.

use std::time::{Duration, Instant};

use orch_crds::status::{RunPhase, parse_timestamp};
use orch_e2e::graphs::{Graph, layered, objects_json};
use orch_e2e::replay::level_replay;

use crate::setup::Setup;

const LEVELS: usize = 70;
const WIDTH: usize = 210;
/// The dev profile, two cores shared with broker, API server and four workers: far below what a release build does.
const FLOOR_PER_SECOND: f64 = 1_500.0;

fn levels(graph: &Graph) -> Vec<usize> {
    vec![graph.len() / LEVELS; LEVELS]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deep_graph_of_fifteen_thousand_runs_at_a_known_part_of_raw_kafka() {
    let setup = Setup::new("speed").await;
    let graph = layered(LEVELS, WIDTH, 2);
    for (n, chunk) in graph.chunks(5_000).enumerate() {
        setup.config_map(&format!("objects-{n}"), &objects_json(&chunk.to_vec())).await;
    }
    let _operator = setup.operator("operator");
    let chunks: Vec<String> = (0..graph.len().div_ceil(5_000))
        .map(|n| format!("{{configMap: {{name: objects-{n}, key: objects.json}}}}"))
        .collect();
    setup
        .create(&format!(
            "{{apiVersion: kafka-orchestrator.dev/v1alpha1, kind: PipelineRun, metadata: {{name: deep}}, spec: {{stages: \
             [{{name: work, partitions: 1, worker: {{concurrency: 1024, minReplicas: 1, maxReplicas: 1}}, \
               processor: {{simulate: {{duration: 0s}}}}}}], objectsFrom: [{}]}}}}",
            chunks.join(", ")
        ))
        .await;
    let status = setup.end_of("deep").await.status.unwrap();
    assert_eq!((status.phase, status.counts.loaded as usize), (RunPhase::Succeeded, graph.len()));
    let time = |text: &Option<String>| parse_timestamp(text.as_deref().unwrap()).unwrap();
    let seconds = (time(&status.completion_time) - time(&status.start_time)) as f64 / 1_000.0;
    let run = graph.len() as f64 / seconds;
    let bootstrap = setup.bootstrap.clone();
    let begin = Instant::now();
    let sizes = levels(&graph);
    let took =
        tokio::task::spawn_blocking(move || level_replay(&bootstrap, "speed.replay", &sizes)).await.unwrap();
    assert!(begin.elapsed() < Duration::from_mins(1));
    let replay = graph.len() as f64 / took.as_secs_f64();
    println!(
        "{} objects in {LEVELS} levels: {run:.0}/s from start to end, level replay {replay:.0}/s, ratio {:.2}",
        graph.len(),
        run / replay
    );
    assert!(run > FLOOR_PER_SECOND, "{run:.0} objects/s");
    setup.kubelet.stop();
}
