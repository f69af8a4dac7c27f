//! O16: what a real producer can write to our topics by mistake or malice. It is counted by its reason and skipped.

use std::path::Path;

use orch_crds::PipelineRun;
use orch_crds::status::{PipelineRunStatus, RunPhase};
use orch_e2e::api::until;
use orch_e2e::history::{topics, write};
use orch_e2e::http::{counter, free_address, get};
use orch_e2e::setup::{LIMIT, Setup};
use serde_json::json;

/// `a` and then `b`; both wait until the file is there.
fn manifest(gate: &Path) -> String {
    let script = format!("while [ ! -e {} ]; do sleep 0.05; done", gate.display());
    json!({
        "apiVersion": "kafka-orchestrator.dev/v1alpha1", "kind": "PipelineRun", "metadata": {"name": "gated"},
        "spec": {
            "stages": [{"name": "work", "processor": {"exec": {"command": ["sh", "-c", script]}},
                        "partitions": 1, "worker": {"maxReplicas": 1}}],
            "objects": [{"id": "a"}, {"id": "b", "dependsOn": ["a"]}],
        },
    })
    .to_string()
}

/// Starts the run and waits until its first object is in work. The answer is the run and its topic with this end.
async fn begin(setup: &Setup, gate: &Path, topic: &str) -> (PipelineRun, String) {
    let run = setup.create(&manifest(gate)).await;
    let is_running = |status: &PipelineRunStatus| status.counts.running == 1;
    setup.until("gated", "running", is_running).await;
    let names = topics(&setup.bootstrap, &format!("{}.", setup.namespace));
    let topic = names.into_iter().find(|name| name.ends_with(topic)).unwrap();
    (run, topic)
}

/// Opens the gate: the run ends as if nothing had been written. The answers of strangers stand in the same topic, so
/// only what was asked for can be compared.
async fn succeeds(setup: &Setup, gate: &Path, run: &PipelineRun) {
    std::fs::write(gate, "").unwrap();
    let status = setup.end_of("gated").await.status.unwrap();
    assert_eq!((status.phase, status.counts.loaded), (RunPhase::Succeeded, 2));
    let story = setup.story(run).await;
    let asked: Vec<_> = story.ready.iter().map(|(object, attempt, _)| (object.as_str(), *attempt)).collect();
    assert_eq!(asked, [("a", 1), ("b", 1)]);
}

/// Waits until the operator at `address` has refused so many records for this reason.
async fn until_refused(address: &str, reason: &str, wanted: u64) {
    let name = format!("orchestrator_refused_records_total{{reason=\"{reason}\"}}");
    let counted = async || match counter(&get(address, "/metrics"), &name) {
        Some(count) if count == wanted => Ok(()),
        count => Err(format!("{count:?}")),
    };
    until(&format!("{name} {wanted}"), LIMIT, counted).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn o16_garbage_on_the_events_topic_is_counted_by_reason_and_told() {
    let setup = Setup::new("garbage").await;
    let address = free_address();
    let _operator = setup.operator_with("operator", &[("ORCH_LISTEN", &address)]);
    let gate = setup.folder.path().join("gate");
    let (run, events) = begin(&setup, &gate, ".events").await;
    let uid = run.metadata.uid.clone().unwrap();
    let loaded = |uid: &str, object: &str, attempt: u32, outputs: &str| {
        format!(
            "{{\"event_type\":\"ObjectLoaded\",\"id_objet\":\"{object}\",\"run_uid\":\"{uid}\",\
              \"attempt\":{attempt},\"outputs\":{outputs}}}"
        )
    };
    let deep = |levels: usize| format!("{}1{}", "{\"a\":".repeat(levels), "}".repeat(levels));
    let records = [
        ("malformed", "no JSON".to_owned()),
        ("malformed", String::new()),
        ("malformed", "[".repeat(1_000)),
        ("malformed", loaded(&uid, "a", 1, &deep(1_000))),
        ("malformed", loaded(&uid, "a", 1, &deep(101))),
        ("malformed", loaded(&uid, "a", 1, &format!("\"{}\"", "x".repeat(600 * 1024)))),
        ("foreign_run", loaded("somebody-elses", "a", 1, "{}")),
        ("unknown_object", loaded(&uid, "nobody", 1, "{}")),
        ("future_attempt", loaded(&uid, "a", 7, "{}")),
        ("future_attempt", loaded(&uid, "b", 1, "{}")),
    ];
    for (_, record) in &records {
        write(&setup.bootstrap, &events, record.as_bytes());
    }
    for reason in ["malformed", "foreign_run", "unknown_object", "future_attempt"] {
        let wanted = records.iter().filter(|(of, _)| *of == reason).count() as u64;
        until_refused(&address, reason, wanted).await;
    }
    succeeds(&setup, &gate, &run).await;
    setup.until_told("gated", "BadRecord").await;
    setup.kubelet.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_on_a_ready_topic_is_skipped_by_workers_and_by_the_next_leader() {
    let setup = Setup::new("garbageready").await;
    let mut operator = setup.operator("operator-0");
    let gate = setup.folder.path().join("gate");
    let (run, ready) = begin(&setup, &gate, ".work").await;
    let uid = run.metadata.uid.clone().unwrap();
    let records = [
        "no JSON".to_owned(),
        String::new(),
        "[".repeat(1_000),
        json!({"event_type": "ObjectReady", "run_uid": uid, "attempt": "x"}).to_string(),
        json!({"event_type": "ObjectReady", "id_objet": "x", "meta": null, "run": "a/b", "run_uid": "somebody-elses",
               "stage": "work", "attempt": 1, "epoch": 1, "heartbeat_ms": 30_000})
        .to_string(),
    ];
    for record in &records {
        write(&setup.bootstrap, &ready, record.as_bytes());
    }
    operator.kill();
    let _operator = setup.operator("operator-1");
    let log = setup.kubelet.logs().pop().unwrap();
    succeeds(&setup, &gate, &run).await;
    let log = std::fs::read_to_string(log).unwrap();
    assert_eq!(log.matches("skipped a malformed ready record").count(), 4, "{log}");
    assert_eq!(setup.story(&run).await.repeated(), 0);
    setup.kubelet.stop();
}
