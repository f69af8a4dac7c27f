//! A Kafka that refuses us: the condition names the Secret and what is wrong, and a corrected Secret is enough.

use std::collections::BTreeMap;
use std::path::PathBuf;

use orch_crds::status::RunPhase;
use orch_e2e::api::variable;
use orch_e2e::setup::Setup;
use serde_json::{Value, json};

type Files = BTreeMap<String, Vec<u8>>;

/// The files of a client that may use what begins with `orchestrator.`, and the folder of all clients.
fn client() -> (Files, PathBuf) {
    let clients =
        variable("ORCH_TEST_KAFKA_SECURE", "`make e2e-processes` starts secured brokers and sets it");
    let folder = PathBuf::from(clients);
    let read = |name: &str| (name.to_owned(), std::fs::read(folder.join("orchestrator").join(name)).unwrap());
    (["client.properties", "ca.crt"].map(read).into(), folder)
}

/// The same files with another password.
fn with_wrong_password(mut files: Files) -> Files {
    let properties = String::from_utf8(files["client.properties"].clone()).unwrap();
    let lines = properties.lines().map(|line| match line.split_once('=') {
        Some(("sasl.password", _)) => "sasl.password=wrong",
        _ => line,
    });
    let wrong = lines.collect::<Vec<_>>().join("\n");
    files.insert("client.properties".to_owned(), wrong.into_bytes());
    files
}

fn run() -> Value {
    json!({
        "apiVersion": "kafka-orchestrator.dev/v1alpha1", "kind": "PipelineRun", "metadata": {"name": "secured"},
        "spec": {
            "stages": [{"name": "work", "processor": {"simulate": {"duration": "0s"}}}],
            "objects": [{"id": "a"}, {"id": "b", "dependsOn": ["a"]}],
        },
    })
}

/// A run with a Secret that is wrong: named with these words, and mended by the right one.
async fn is_named_and_mended(name: &str, wrong: &Files, words: &[&str]) {
    let setup = Setup::new(name).await;
    // What the client's rules allow; the operator's own broker is another.
    let _operator = setup.operator_with("operator", &[("ORCH_TOPIC_PREFIX", "orchestrator.")]);
    setup.secret("team-kafka", wrong).await;
    let mut run = run();
    run["spec"]["kafka"] = json!({"secretRef": {"name": "team-kafka"}});
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
    let wrong = with_wrong_password(client().0);
    is_named_and_mended("wrongpassword", &wrong, &["uthentication", "password"]).await;
}

/// The operator read its own connection when it started, and never again.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_password_of_the_operator_itself_needs_no_restart() {
    let setup = Setup::new("ownpassword").await;
    let right = client().0;
    let folder = setup.folder.path().join("kafka");
    std::fs::create_dir(&folder).unwrap();
    let write = |files: &Files| {
        for (name, bytes) in files {
            std::fs::write(folder.join(name), bytes).unwrap();
        }
    };
    write(&with_wrong_password(right.clone()));
    let properties = String::from_utf8(right["client.properties"].clone()).unwrap();
    let servers = properties.lines().find_map(|line| line.strip_prefix("bootstrap.servers=")).unwrap();
    let variables = [
        ("ORCH_KAFKA_DIR", folder.to_str().unwrap()),
        ("ORCH_BOOTSTRAP_SERVERS", servers),
        ("ORCH_TOPIC_PREFIX", "orchestrator."),
    ];
    let _operator = setup.operator_with("operator", &variables);
    setup.create(&run().to_string()).await;
    let message = setup.until_reason("secured", "TopicsReady", "KafkaAuthenticationFailed").await;
    assert!(message.contains("the operator's own connection"), "{message}");
    write(&right);
    let status = setup.end_of("secured").await.status.unwrap();
    assert_eq!((status.phase, status.counts.loaded), (RunPhase::Succeeded, 2));
    setup.kubelet.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_authority_is_named_and_mended_by_the_right_one() {
    let (mut files, folder) = client();
    let other = std::fs::read(folder.join("../certs/other-ca.crt")).unwrap();
    files.insert("ca.crt".to_owned(), other);
    is_named_and_mended("wrongauthority", &files, &["certificate"]).await;
}
