//! Kafka is away for a minute while a run is under way.

use std::time::{Duration, Instant};

use orch_crds::status::{PipelineRunStatus, RunPhase};
use orch_e2e::api::condition;
use orch_e2e::broker::Broker;
use orch_e2e::executions::{self, times};
use orch_e2e::graphs::{layered, objects_json};
use orch_e2e::setup::Setup;

use crate::{RUN, is_stalled, manifest, stays_stalled, until_ended};

const AWAY: Duration = Duration::from_mins(1);
/// Within this the run says that Kafka is away.
const SAID: Duration = Duration::from_secs(15);

#[tokio::test(flavor = "multi_thread")]
async fn a_minute_without_kafka_is_said_and_costs_nothing_but_time() {
    let broker = Broker::spare("minute");
    let setup = Setup::with_kafka("minute", broker.bootstrap()).await;
    let operator = setup.operator("operator");
    let graph = layered(20, 20, 2);
    setup.config_map("objects", &objects_json(&graph)).await;
    let log = setup.folder.path().join("executions");
    let run = setup.create(&manifest(&log, Duration::from_millis(50)).to_string()).await;
    until_ended(&log, 150).await;
    broker.kill();
    let gone = Instant::now();
    let status = setup.until(RUN, "stalled", is_stalled).await;
    println!("said after {:.1?}", gone.elapsed());
    assert!(gone.elapsed() < SAID, "{:?}", gone.elapsed());
    let (_, _, message) = condition(&status, "TopicsReady").unwrap();
    assert!(message.contains(&broker.bootstrap()), "{message}");
    let loaded = status.counts.loaded;
    stays_stalled(&setup, gone + AWAY).await;
    broker.start();
    let is_back = |status: &PipelineRunStatus| !is_stalled(status) && status.counts.loaded > loaded;
    setup.until(RUN, "on its way again", is_back).await;
    let status = setup.end_of(RUN).await.status.unwrap();
    println!("over after {:.1?}", gone.elapsed());
    assert_eq!((status.phase, status.counts.loaded), (RunPhase::Succeeded, 400));
    assert_eq!(condition(&status, "TopicsReady").unwrap().0, "True");
    assert_eq!(condition(&status, "Stalled").unwrap().0, "False");
    let story = setup.story(&run).await;
    story.assert_complete(&graph);
    story.assert_once();
    story.assert_order(&graph);
    let executions = executions::read(&log);
    assert_eq!(
        (executions.len(), times(&executions).len()),
        (400, 400),
        "no worker died: nothing runs twice"
    );
    let told = setup.until_told(RUN, "KafkaUnreachable").await;
    assert_eq!(told, 1, "not again and again: {}", operator.log());
    let told = setup.until_told(RUN, "TopicsReady").await;
    assert_eq!(told, 1, "{}", operator.log());
    setup.kubelet.stop();
}
