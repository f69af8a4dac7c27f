//! A Pipeline, a run from ConfigMaps that `orch submit` made, and records that nobody can read.

use std::time::Duration;

use kube::api::ListParams;
use kube::{Api, Client};
use orch_crds::Pipeline;
use orch_crds::status::RunPhase;
use orch_e2e::api::{namespace, variable, wait_for_end};
use orch_e2e::history::{topics, write};

use crate::command::{delete_namespace, run};

const LIMIT: Duration = Duration::from_secs(90);
const MANIFEST: &str = "
apiVersion: kafka-orchestrator.dev/v1alpha1
kind: Pipeline
metadata: {name: shared}
spec:
  stages:
  - {name: work, worker: {maxReplicas: 1, idleSeconds: 5}, processor: {simulate: {duration: 200ms}}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: objects}
immutable: true
data: {objects.json: '[{\"id\": 1}, {\"id\": 2, \"dependsOn\": [1]}]'}
---
apiVersion: kafka-orchestrator.dev/v1alpha1
kind: PipelineRun
metadata: {name: first}
spec:
  pipelineRef: {name: shared}
  objectsFrom: [{configMap: {name: objects, key: objects.json}}]
---
apiVersion: kafka-orchestrator.dev/v1alpha1
kind: PipelineRun
metadata: {name: second}
spec:
  pipelineRef: {name: shared}
  objects: [{id: a}, {id: b, dependsOn: [a]}]
";

pub(crate) async fn a_pipeline_serves_runs_from_config_maps_and_bad_records_stop_nothing(client: &Client) {
    namespace(client, "shared").await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), MANIFEST).unwrap();
    run("kubectl", &["-n", "shared", "apply", "-f", file.path().to_str().unwrap()], &[0]);
    assert_eq!(
        wait_for_end(client, "shared", "first", LIMIT).await.status.unwrap().phase,
        RunPhase::Succeeded
    );
    let bootstrap = variable("KAFKA", "`make cluster-up` writes it");
    for _ in 0..2 {
        write(&bootstrap, "orchestrator.shared.shared.events", "[".repeat(5_000).as_bytes());
    }
    assert_eq!(
        wait_for_end(client, "shared", "second", LIMIT).await.status.unwrap().phase,
        RunPhase::Succeeded
    );
    bad_record_is_told_once_with_a_count(client).await;
    run("kubectl", &["-n", "shared", "delete", "pipelinerun,pipeline", "--all", "--timeout=60s"], &[0]);
    assert_eq!(topics(&bootstrap, "orchestrator.shared."), Vec::<String>::new());
    let pipelines: Api<Pipeline> = Api::namespaced(client.clone(), "shared");
    assert!(pipelines.list(&ListParams::default()).await.unwrap().items.is_empty());
    delete_namespace("shared");
}

async fn bad_record_is_told_once_with_a_count(client: &Client) {
    use futures::{StreamExt, TryStreamExt};
    use k8s_openapi::api::events::v1::Event;
    use kube::runtime::{WatchStreamExt, watcher};
    let api: Api<Event> = Api::namespaced(client.clone(), "shared");
    let mut events = watcher(api, watcher::Config::default()).default_backoff().applied_objects().boxed();
    let counted = async {
        while let Ok(Some(event)) = events.try_next().await {
            let twice = event.series.as_ref().is_some_and(|series| series.count >= 2);
            if event.reason.as_deref() == Some("BadRecord") && twice {
                return;
            }
        }
    };
    tokio::time::timeout(LIMIT, counted).await.expect("two bad records are one Event with a count");
}
