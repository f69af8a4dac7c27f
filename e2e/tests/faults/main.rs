//! Kills and outages at points that nobody chose, judged afterwards from what the workers wrote down themselves and
//! from the topics. Each test has a broker of its own, because it takes it away.
#![allow(clippy::unwrap_used, clippy::panic)]

mod gone;
mod judge;
mod minute;
mod moved;
mod paused;
mod twenty;

use std::path::Path;
use std::time::{Duration, Instant};

use orch_crds::status::PipelineRunStatus;
use orch_e2e::api::{condition, until};
use orch_e2e::executions::{self, processor};
use orch_e2e::setup::{LIMIT, Setup};
use serde_json::{Value, json};

/// Names of the run, its ConfigMap, its key: those of every test here.
const RUN: &str = "faulty";

/// A run of the objects in the ConfigMap `objects`, whose workers write down what they do.
fn manifest(log: &Path, work: Duration) -> Value {
    json!({
        "apiVersion": "kafka-orchestrator.dev/v1alpha1", "kind": "PipelineRun", "metadata": {"name": RUN},
        "spec": {
            "stages": [{
                "name": "work", "partitions": 4, "processor": processor(log, work),
                "worker": {"concurrency": 8, "minReplicas": 2, "maxReplicas": 2},
            }],
            "objectsFrom": [{"configMap": {"name": "objects", "key": "objects.json"}}],
        },
    })
}

/// Whether the run says that Kafka is away.
fn is_stalled(status: &PipelineRunStatus) -> bool {
    let of = |type_| condition(status, type_).map(|(value, reason, _)| (value, reason));
    of("TopicsReady") == Some(("False", "KafkaUnreachable"))
        && of("Stalled") == Some(("True", "KafkaUnreachable"))
}

/// Until the deadline the run says that Kafka is away, and counts nothing that Kafka does not have.
async fn stays_stalled(setup: &Setup, deadline: Instant) {
    let loaded = setup.get(RUN).await.status.unwrap().counts.loaded;
    while Instant::now() < deadline {
        let status = setup.get(RUN).await.status.unwrap();
        assert!(is_stalled(&status), "{:#?}", status.conditions);
        assert_eq!(status.counts.loaded, loaded, "nothing is counted that Kafka does not have");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// Waits until so many executions have ended.
async fn until_ended(log: &Path, wanted: usize) {
    let ended = async || {
        let ended = executions::ended(log);
        if ended >= wanted { Ok(()) } else { Err(format!("{ended}")) }
    };
    until(&format!("{wanted} executions have ended"), LIMIT, ended).await;
}
