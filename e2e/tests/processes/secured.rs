//! A Kafka that refuses us: the condition names the Secret and what is wrong, and a corrected Secret is enough.

use std::collections::BTreeMap;
use std::path::PathBuf;

use orch_crds::status::RunPhase;
use orch_e2e::api::variable;
use orch_e2e::setup::Setup;
use serde_json::json;

type Files = BTreeMap<String, Vec<u8>>;

/// The files of a client that may use what begins with `orchestrator.`, and the folder of all clients.
fn client() -> (Files, PathBuf) {
    let clients =
        variable("ORCH_TEST_KAFKA_SECURE", "`make e2e-processes` starts secured brokers and sets it");
    let folder = PathBuf::from(clients);
    let read = |name: &str| (name.to_owned(), std::fs::read(folder.join("orchestrator").join(name)).unwrap());
    (["client.properties", "ca.crt"].map(read).into(), folder)
}

/// A run with a Secret that is wrong: named with these words, and mended by the right one.
async fn is_named_and_mended(name: &str, wrong: &Files, words: &[&str]) {
    let setup = Setup::new(name).await;
    // What the client's rules allow; the operator's own broker is another.
    let _operator = setup.operator_with("operator", &[("ORCH_TOPIC_PREFIX", "orchestrator.")]);
    setup.secret("team-kafka", wrong).await;
    let run = json!({
        "apiVersion": "kafka-orchestrator.dev/v1alpha1", "kind": "PipelineRun", "metadata": {"name": "secured"},
        "spec": {
            "kafka": {"secretRef": {"name": "team-kafka"}},
            "stages": [{"name": "work", "processor": {"simulate": {"duration": "0s"}}}],
            "objects": [{"id": "a"}, {"id": "b", "dependsOn": ["a"]}],
        },
    });
    setup.create(&run.to_string()).await;
    let message = setup.until_reason("secured", "TopicsReady", "KafkaAuthenticationFailed").await;
    for word in ["Secret `team-kafka`"].iter().chain(words) {
        assert!(message.contains(word), "`{word}` is not in: {message}");
    }
    assert_eq!(setup.until_told("secured", "KafkaAuthenticationFailed").await, 1);
    setup.secret("team-kafka", &client().0).await;
    let status = setup.end_of("secured").await.status.unwrap();
    assert_eq!((status.phase, status.counts.loaded), (RunPhase::Succeeded, 2));
    setup.kubelet.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_named_and_mended_by_the_right_one() {
    let (mut files, _) = client();
    let properties = String::from_utf8(files["client.properties"].clone()).unwrap();
    let lines = properties.lines().map(|line| match line.split_once('=') {
        Some(("sasl.password", _)) => "sasl.password=wrong",
        _ => line,
    });
    let wrong = lines.collect::<Vec<_>>().join("\n");
    files.insert("client.properties".to_owned(), wrong.into_bytes());
    is_named_and_mended("wrongpassword", &files, &["uthentication", "password"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_authority_is_named_and_mended_by_the_right_one() {
    let (mut files, folder) = client();
    let other = std::fs::read(folder.join("../certs/other-ca.crt")).unwrap();
    files.insert("ca.crt".to_owned(), other);
    is_named_and_mended("wrongauthority", &files, &["certificate"]).await;
}
