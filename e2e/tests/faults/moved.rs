//! Kafka gets another address while a run is under way.

use std::collections::BTreeMap;
use std::time::Duration;

use orch_crds::status::RunPhase;
use orch_e2e::broker::Broker;
use orch_e2e::graphs::{layered, objects_json};
use orch_e2e::http::free_address;
use orch_e2e::setup::Setup;
use serde_json::json;

use crate::{RUN, manifest, until_ended};

const SECRET: &str = "team-kafka";

async fn point_to(setup: &Setup, address: &str) {
    let properties = format!("bootstrap.servers={address}").into_bytes();
    setup.secret(SECRET, &BTreeMap::from([("client.properties".to_owned(), properties)])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_run_goes_on_when_its_secret_says_where_kafka_is_now() {
    let broker = Broker::spare("moved");
    let mut setup = Setup::with_kafka("moved", broker.bootstrap()).await;
    let _operator = setup.operator("operator");
    let graph = layered(10, 20, 2);
    setup.config_map("objects", &objects_json(&graph)).await;
    point_to(&setup, &broker.bootstrap()).await;
    let log = setup.folder.path().join("executions");
    let mut manifest = manifest(&log, Duration::from_millis(50));
    manifest["spec"]["kafka"] = json!({"secretRef": {"name": SECRET}});
    let run = setup.create(&manifest.to_string()).await;
    until_ended(&log, 50).await;
    let address = free_address();
    broker.kill();
    broker.move_to(&address);
    broker.start();
    let message = setup.until_reason(RUN, "TopicsReady", "KafkaUnreachable").await;
    assert!(message.contains("Secret `team-kafka`"), "{message}");
    point_to(&setup, &address).await;
    let status = setup.end_of(RUN).await.status.unwrap();
    assert_eq!((status.phase, status.counts.loaded), (RunPhase::Succeeded, 200));
    setup.bootstrap = address;
    let story = setup.story(&run).await;
    story.assert_complete(&graph);
    story.assert_order(&graph);
    setup.kubelet.stop();
}
