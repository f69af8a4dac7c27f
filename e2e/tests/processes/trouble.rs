//! Bad input and broken surroundings: each has a condition that names it.

use std::time::Duration;

use kube::api::{Api, DeleteParams, GetParams, PostParams};
use orch_crds::PipelineRun;
use orch_crds::status::RunPhase;
use orch_e2e::api::{condition, until, wait_for};
use orch_e2e::history::topics;
use orch_e2e::setup::{LIMIT, Setup};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

fn run(objects: &str) -> String {
    format!(
        "{{apiVersion: kafka-orchestrator.dev/v1alpha1, kind: PipelineRun, metadata: {{name: bad}}, spec: {{stages: \
         [{{name: work, idRange: {{from: 1000, to: 1999}}, processor: {{simulate: {{duration: 0s}}}}}}], objects: {objects}}}}}"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn o9_a_cycle_is_refused_with_its_path_and_no_record() {
    let setup = Setup::new("o9").await;
    let _operator = setup.operator("operator");
    setup
        .create(&run("[{id: '1001', dependsOn: ['1002']}, {id: '1002', dependsOn: ['1001']}, {id: '999'}]"))
        .await;
    let status = setup.end_of("bad").await.status.unwrap();
    let (valid, _, message) = condition(&status, "GraphValid").unwrap();
    assert_eq!((status.phase, valid), (RunPhase::Failed, "False"));
    assert!(message.contains("1001 -> 1002 -> 1001"), "{message}");
    assert!(message.contains("999"), "{message}");
    assert!(status.completion_time.is_some());
    assert_eq!(topics(&setup.bootstrap, "o9."), Vec::<String>::new());
    setup.kubelet.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_config_map_is_waited_for() {
    let setup = Setup::new("waiting").await;
    let _operator = setup.operator("operator");
    setup
        .create(
            "{apiVersion: kafka-orchestrator.dev/v1alpha1, kind: PipelineRun, metadata: {name: late}, spec: {stages: \
             [{name: work, processor: {simulate: {duration: 0s}}}], \
              objectsFrom: [{configMap: {name: objects, key: objects.json}}]}}",
        )
        .await;
    let named = |status: &orch_crds::status::PipelineRunStatus| {
        condition(status, "Accepted").is_some_and(|(_, reason, _)| reason == "ConfigMapNotFound")
    };
    assert_eq!(setup.until("late", "waiting", named).await.phase, RunPhase::Pending);
    setup.config_map("objects", "[{\"id\": 1}, {\"id\": 2, \"dependsOn\": [1]}]").await;
    assert_eq!(setup.end_of("late").await.status.unwrap().phase, RunPhase::Succeeded);
    setup.kubelet.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_kafka_address_is_named_in_the_condition() {
    let setup = Setup::new("nokafka").await;
    let _operator = setup.operator_with("operator", &[("ORCH_BOOTSTRAP_SERVERS", "127.0.0.1:9")]);
    setup.create(&run("[{id: '1001'}]")).await;
    let named = |status: &orch_crds::status::PipelineRunStatus| {
        condition(status, "TopicsReady").is_some_and(|(_, reason, _)| reason == "KafkaUnreachable")
    };
    let run =
        wait_for(&setup.client, &setup.namespace, "bad", ("refused", Duration::from_mins(1)), named).await;
    let (_, _, message) = condition(run.status.as_ref().unwrap(), "TopicsReady").unwrap();
    assert!(message.contains("127.0.0.1:9"), "{message}");
    setup.kubelet.stop();
}

/// The API server takes it, and no list of runs could be read any more.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_nests_too_deep_is_refused_and_hides_no_other() {
    let setup = Setup::new("deep").await;
    let meta = (0..150).fold(serde_json::json!(1), |inner, _| serde_json::json!({ "a": inner }));
    let deep = serde_json::json!({
        "apiVersion": "kafka-orchestrator.dev/v1alpha1", "kind": "PipelineRun", "metadata": {"name": "deep"},
        "spec": {"stages": [{"name": "work", "processor": {"simulate": {}}}], "objects": [{"id": "a", "meta": meta}]},
    });
    let runs: Api<PipelineRun> = Api::namespaced(setup.client.clone(), &setup.namespace);
    // What comes back is as deep, and not read here.
    let _ = runs.create(&PostParams::default(), &serde_json::from_value(deep).unwrap()).await;
    let _operator = setup.operator("operator");
    setup.create(&run("[{id: '1001'}]")).await;
    assert_eq!(setup.end_of("bad").await.status.unwrap().phase, RunPhase::Succeeded);
    let request = kube::core::Request::new(runs.resource_url()).get("deep", &GetParams::default()).unwrap();
    let told = setup.client.request_text(request).await.unwrap();
    assert!(
        told.contains("\"phase\":\"Failed\"") && told.contains("spec: recursion limit exceeded"),
        "{told}"
    );
    // The same holds for the answer.
    let _ = runs.delete("deep", &DeleteParams::default()).await;
    let gone = async || match runs.get_metadata_opt("deep").await.unwrap() {
        Some(_) => Err("there".to_owned()),
        None => Ok(()),
    };
    until("the run is gone", LIMIT, gone).await;
    setup.kubelet.stop();
}

/// A client that was never asked knew of no trouble, and the operator called itself ready with any address.
#[tokio::test(flavor = "multi_thread")]
async fn an_operator_is_not_ready_before_its_kafka_has_answered() {
    let setup = Setup::new("unready").await;
    for (kafka, ready) in [("127.0.0.1:9", "503 Service Unavailable"), (setup.bootstrap.as_str(), "200 OK")] {
        // Free a moment ago.
        let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().to_string();
        let variables = [("ORCH_LISTEN", address.as_str()), ("ORCH_BOOTSTRAP_SERVERS", kafka)];
        let _operator = setup.operator_with("operator", &variables);
        let first = until("an answer", LIMIT, async || ask(&address).await.map_err(|e| e.to_string())).await;
        assert!(first.starts_with(&format!("HTTP/1.1 {ready}")), "{kafka}: {first}");
    }
}

async fn ask(address: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(b"GET /readyz HTTP/1.1\r\nhost: operator\r\nconnection: close\r\n\r\n").await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}
