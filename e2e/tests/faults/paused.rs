//! Kafka stops for longer than the sessions of its clients, and goes on: a machine that froze, a pause of its memory.

use std::time::{Duration, Instant};

use orch_crds::status::RunPhase;
use orch_e2e::broker::Broker;
use orch_e2e::graphs::{layered, objects_json};
use orch_e2e::setup::Setup;

use crate::{RUN, is_stalled, manifest, stays_stalled, until_ended};

/// Longer than a worker's session (6 s), and than the broker's own with its controller (9 s at most).
const PAUSE: Duration = Duration::from_secs(20);
/// Within this the run says that Kafka is away: no connection breaks, so that only a question shows it.
const SAID: Duration = Duration::from_secs(15);

/// When the broker went on its controller had fenced it: it named no broker to clients that asked, and they forgot it.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_goes_on_after_a_broker_that_stood_still() {
    let broker = Broker::spare("paused");
    let setup = Setup::with_kafka("paused", broker.bootstrap()).await;
    let _operator = setup.operator("operator");
    let graph = layered(20, 20, 2);
    setup.config_map("objects", &objects_json(&graph)).await;
    let log = setup.folder.path().join("executions");
    // So much work that the run is far from its end when it is seen that the broker is back.
    let run = setup.create(&manifest(&log, Duration::from_millis(250)).to_string()).await;
    for loaded in [50, 250] {
        until_ended(&log, loaded).await;
        broker.pause();
        let since = Instant::now();
        setup.until(RUN, "stalled", is_stalled).await;
        println!("said after {:.1?}", since.elapsed());
        assert!(since.elapsed() < SAID, "{:?}", since.elapsed());
        stays_stalled(&setup, since + PAUSE).await;
        broker.resume();
        setup.until_reason(RUN, "TopicsReady", "TopicsReady").await;
        println!("back after {:.1?}", since.elapsed());
    }
    let status = setup.end_of(RUN).await.status.unwrap();
    assert_eq!((status.phase, status.counts.loaded), (RunPhase::Succeeded, 400));
    let story = setup.story(&run).await;
    story.assert_complete(&graph);
    story.assert_order(&graph);
    setup.kubelet.stop();
}
