//! Answers that a broker gives only for moments, by librdkafka's own stand-in for a cluster.

use orch_bus::Bus;
use orch_bus::kafka::{KafkaBus, KafkaConfig};
use rdkafka::mocking::MockCluster;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

/// The first run on a new cluster ended with "Not coordinator".
#[tokio::test]
async fn a_coordinator_that_is_named_before_it_is_one_is_asked_again() {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("work.ready", 2, 1).unwrap();
    let not_yet = [
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_COORDINATOR,
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS,
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE,
    ];
    cluster.request_errors(RDKafkaApiKey::OffsetFetch, &not_yet.repeat(4));
    let bus = KafkaBus::new(KafkaConfig::plain(&cluster.bootstrap_servers())).unwrap();
    assert_eq!(bus.committed("work", "work.ready").await.unwrap(), [None, None]);
}
