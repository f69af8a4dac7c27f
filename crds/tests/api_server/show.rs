//! What kubectl and the status writer see.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;
use kube::api::{GetParams, Patch, PatchParams, Request};
use orch_crds::condition::{succeeded, types};
use orch_crds::status::{
    Counts, MAX_LOG_TAIL, MAX_MESSAGE, MAX_OBJECTS, MAX_REASON, MAX_WORKER, ObjectFailure, ObjectStatus,
    PhaseMap, PinnedPipeline, PipelineRunStatus, PipelineStageStatus, PipelineStatus, RunPhase, StageStatus,
    clip, timestamp,
};
use serde_json::{Value, json};

use crate::cases::Kind;
use crate::server::Server;

fn condition(type_: &str, reason: &str) -> Condition {
    Condition {
        type_: type_.to_owned(),
        status: "Unknown".to_owned(),
        reason: reason.to_owned(),
        message: String::new(),
        last_transition_time: Time(Timestamp::UNIX_EPOCH),
        observed_generation: Some(1),
    }
}

/// A status with every field at its limit.
fn run_status() -> PipelineRunStatus {
    let long = |max| Some(clip(&"é".repeat(2 * max), max));
    let object =
        ObjectStatus { worker: long(MAX_WORKER), start_time: timestamp(0), ..ObjectStatus::default() };
    PipelineRunStatus {
        observed_generation: Some(1),
        phase: RunPhase::Running,
        progress: Some("37/120".to_owned()),
        counts: Counts {
            total: 120,
            running: 10,
            queued: 9,
            retrying: 1,
            loaded: 37,
            failed: 2,
            blocked: 3,
            ..Counts::default()
        },
        stages: vec![
            StageStatus {
                name: "ingest".to_owned(),
                topic: "t".repeat(249),
                ..StageStatus::default()
            };
            64
        ],
        objects: vec![object; MAX_OBJECTS],
        phase_map: Some(PhaseMap::encode("LLF")),
        failures: vec![ObjectFailure {
            id: "2005".to_owned(),
            reason: long(MAX_REASON).unwrap(),
            message: long(MAX_MESSAGE).unwrap(),
            log_tail: long(MAX_LOG_TAIL),
            ..ObjectFailure::default()
        }],
        conditions: types::OF_A_RUN.iter().map(|type_| condition(type_, succeeded::RUNNING)).collect(),
        start_time: timestamp(1_795_248_000_123),
        completion_time: timestamp(1_795_248_042_000),
        duration: Some("42s".to_owned()),
        epoch: Some(3),
        start_offset: Some(0),
        pipeline: Some(PinnedPipeline::of(&serde_json::from_value(Kind::Pipeline.valid()).unwrap())),
        plan_digest: Some(format!("sha256:{}", "0".repeat(64))),
    }
}

async fn write_status(server: &Server, kind: Kind, name: &str, status: &Value) -> Value {
    let patch = json!({"status": status});
    let written =
        server.api(kind).patch_status(name, &PatchParams::default(), &Patch::Merge(&patch)).await.unwrap();
    serde_json::to_value(written).unwrap()["status"].take()
}

/// Column names and the cells of one row, as `kubectl get -o wide` prints them.
async fn table(server: &Server, plural: &str, name: &str) -> Vec<(String, i64, Value)> {
    let resources =
        Request::new(format!("/apis/kafka-orchestrator.dev/v1alpha1/namespaces/default/{plural}"));
    let mut request = resources.get(name, &GetParams::default()).unwrap();
    request.headers_mut().insert("accept", "application/json;as=Table;v=v1;g=meta.k8s.io".parse().unwrap());
    let table: Value = server.client.request(request).await.unwrap();
    let cells = table["rows"][0]["cells"].as_array().unwrap().clone();
    let columns = table["columnDefinitions"].as_array().unwrap();
    let column =
        |column: &Value| (column["name"].as_str().unwrap().to_owned(), column["priority"].as_i64().unwrap());
    columns.iter().map(column).zip(cells).map(|((name, priority), cell)| (name, priority, cell)).collect()
}

#[tokio::test]
async fn a_status_is_stored_whole_and_shown_in_columns() {
    let server = Server::connect().await;
    let name = server.create(Kind::PipelineRun, Kind::PipelineRun.valid()).await;
    let status = serde_json::to_value(run_status()).unwrap();
    assert_eq!(write_status(&server, Kind::PipelineRun, &name, &status).await, status);
    let table = table(&server, "pipelineruns", &name).await;
    let of_priority = |wanted: i64| -> Vec<&str> {
        table.iter().filter(|(_, priority, _)| *priority == wanted).map(|(name, ..)| name.as_str()).collect()
    };
    assert_eq!(of_priority(0), ["Name", "Phase", "Progress", "Running", "Failed", "Blocked", "Age"]);
    assert_eq!(of_priority(1), ["Queued", "Retrying", "Started", "Duration", "Reason"]);
    let cell = |wanted: &str| table.iter().find(|(name, ..)| name == wanted).unwrap().2.clone();
    assert_eq!(cell("Phase"), "Running");
    assert_eq!(cell("Progress"), "37/120");
    assert_eq!(cell("Blocked"), 3);
    assert_eq!(cell("Queued"), 9);
    assert_eq!(cell("Duration"), "42s");
    assert_eq!(cell("Reason"), "Running");
    assert_ne!(cell("Started"), "<invalid>");
    server.delete(Kind::PipelineRun, &name).await;
}

#[tokio::test]
async fn the_status_of_a_pipeline_is_stored_whole() {
    let server = Server::connect().await;
    let name = server.create(Kind::Pipeline, Kind::Pipeline.valid()).await;
    let status = PipelineStatus {
        observed_generation: Some(1),
        conditions: types::OF_A_PIPELINE.iter().map(|type_| condition(type_, "Checking")).collect(),
        runs: 2,
        epoch: Some(3),
        stages: vec![PipelineStageStatus { name: "ingest".to_owned(), topic: "t".to_owned(), replicas: 2 }],
    };
    let status = serde_json::to_value(status).unwrap();
    assert_eq!(write_status(&server, Kind::Pipeline, &name, &status).await, status);
    let names: Vec<String> =
        table(&server, "pipelines", &name).await.into_iter().map(|(name, ..)| name).collect();
    assert_eq!(names, ["Name", "Runs", "Topics", "Workers", "Age"]);
    server.delete(Kind::Pipeline, &name).await;
}
