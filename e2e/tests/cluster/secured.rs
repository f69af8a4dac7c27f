//! Namespaces that enforce `restricted`, and a Kafka that wants TLS and a password.

use std::path::PathBuf;
use std::time::Duration;

use kube::Client;
use orch_crds::status::RunPhase;
use orch_e2e::api::{create_run, namespace, wait_for_end};

use crate::command::{delete_namespace, run};

const LIMIT: Duration = Duration::from_secs(90);

fn manifest(kafka: &str) -> String {
    format!(
        "{{apiVersion: kafka-orchestrator.dev/v1alpha1, kind: PipelineRun, metadata: {{name: small}}, spec: {{{kafka} \
          stages: [{{name: work, processor: {{exec: {{command: [sh, -c, 'cat > /dev/null; echo \"{{}}\"']}}}}}}], \
          objects: [{{id: a}}, {{id: b, dependsOn: [a]}}]}}}}"
    )
}

pub(crate) async fn a_restricted_namespace_admits_every_pod(client: &Client) {
    namespace(client, "restricted").await;
    let label = "pod-security.kubernetes.io/enforce=restricted";
    run("kubectl", &["label", "namespace", "restricted", label], &[0]);
    create_run(client, "restricted", &manifest("")).await;
    let status = wait_for_end(client, "restricted", "small", LIMIT).await.status.unwrap();
    assert_eq!(status.phase, RunPhase::Succeeded, "{:#?}", status.conditions);
    delete_namespace("restricted");
}

pub(crate) async fn kafka_with_tls_and_scram_works_for_operator_and_workers(client: &Client) {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().to_str().unwrap();
    run("local/kafka/secure.sh", &["up", "--dir", dir], &[0]);
    let stop = Secured(folder.path().to_path_buf());
    namespace(client, "secured").await;
    let from = format!("--from-file={dir}/clients/orchestrator");
    run("kubectl", &["-n", "secured", "create", "secret", "generic", "team-kafka", &from], &[0]);
    create_run(client, "secured", &manifest("kafka: {secretRef: {name: team-kafka}},")).await;
    let status = wait_for_end(client, "secured", "small", LIMIT).await.status.unwrap();
    assert_eq!(status.phase, RunPhase::Succeeded, "{:#?}", status.conditions);
    run("kubectl", &["-n", "secured", "delete", "pipelinerun", "small", "--timeout=60s"], &[0]);
    delete_namespace("secured");
    drop(stop);
}

/// Stops the brokers, also when the test fails.
struct Secured(PathBuf);

impl Drop for Secured {
    fn drop(&mut self) {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../local/kafka/secure.sh");
        let stopped = std::process::Command::new(script).arg("down").arg("--dir").arg(&self.0).status();
        if !stopped.is_ok_and(|status| status.success()) {
            eprintln!("the secured brokers in {} were not stopped", self.0.display());
        }
    }
}
