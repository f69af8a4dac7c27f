//! Bad input and broken surroundings: each has a condition that names it.

use std::time::Duration;

use orch_crds::status::RunPhase;
use orch_e2e::api::{condition, wait_for};
use orch_e2e::history::topics;
use orch_e2e::setup::Setup;

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
