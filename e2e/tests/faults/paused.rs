//! Kafka stops for longer than the sessions of its clients, and goes on: a machine that froze, a pause of its memory.

use std::time::Duration;

use orch_crds::status::RunPhase;
use orch_e2e::broker::Broker;
use orch_e2e::graphs::{layered, objects_json};
use orch_e2e::setup::Setup;

use crate::{RUN, manifest, until_ended};

/// Longer than a worker's session (6 s), and than the broker's own with its controller (9 s).
const PAUSE: Duration = Duration::from_secs(11);

#[tokio::test(flavor = "multi_thread")]
async fn a_run_goes_on_after_a_broker_that_stood_still() {
    let broker = Broker::spare("paused");
    let setup = Setup::with_kafka("paused", broker.bootstrap()).await;
    let _operator = setup.operator("operator");
    let graph = layered(20, 20, 2);
    setup.config_map("objects", &objects_json(&graph)).await;
    let log = setup.folder.path().join("executions");
    let run = setup.create(&manifest(&log, Duration::from_millis(50)).to_string()).await;
    for loaded in [50, 250] {
        until_ended(&log, loaded).await;
        broker.pause();
        setup.until_reason(RUN, "TopicsReady", "KafkaUnreachable").await;
        // What is tested is a length of time.
        tokio::time::sleep(PAUSE).await;
        broker.resume();
        setup.until_reason(RUN, "TopicsReady", "TopicsReady").await;
    }
    let status = setup.end_of(RUN).await.status.unwrap();
    assert_eq!((status.phase, status.counts.loaded), (RunPhase::Succeeded, 400));
    let story = setup.story(&run).await;
    story.assert_complete(&graph);
    story.assert_order(&graph);
    setup.kubelet.stop();
}
