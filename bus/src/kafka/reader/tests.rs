use rdkafka::mocking::MockCluster;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use tokio::time::timeout;

use crate::kafka::{KafkaBus, KafkaConfig};
use crate::{Bus, Outgoing, Producer};

use super::*;

const TOPIC: &str = "events";
/// What nothing here needs on a machine that works.
const DEADLINE: Duration = Duration::from_mins(1);

async fn write(producer: &dyn Producer, range: Range<u64>) {
    let record = |token| Outgoing {
        topic: TOPIC.into(),
        partition: 0,
        key: "k".into(),
        value: "v".into(),
        headers: orch_wire::Headers::default(),
        token,
    };
    producer.send(range.map(record).collect());
    timeout(DEADLINE, producer.flush()).await.expect("the records are written").unwrap();
}

async fn next(reader: &mut dyn Reader) -> Vec<i64> {
    let batch = timeout(DEADLINE, reader.next()).await.expect("records, or the end").unwrap();
    batch.iter().map(|record| record.offset).collect()
}

/// The end of a broker that lags behind counted for the end: whoever waited for more than that never saw it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_below_the_one_that_was_asked_for_is_not_the_end() {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic(TOPIC, 1, 1).unwrap();
    // The leader cannot be asked: nothing says that the log has become shorter.
    let fails = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN; 1_000];
    cluster.request_errors(RDKafkaApiKey::ListOffsets, &fails);
    let bus = KafkaBus::new(KafkaConfig::plain(&cluster.bootstrap_servers())).unwrap();
    let producer = bus.producer().await.unwrap();
    write(&*producer, 0..5).await;
    // Somebody knows of ten records; the broker shows five of them.
    let mut reader = bus.read(TOPIC, 0, 0..10).await.unwrap();
    let mut seen = Vec::new();
    while seen.len() < 5 {
        let batch = next(&mut *reader).await;
        assert!(!batch.is_empty(), "the end came after {seen:?}");
        seen.extend(batch);
    }
    let early = timeout(Duration::from_secs(3), reader.next()).await;
    assert!(early.is_err(), "the end of what the broker shows was taken for the end: {early:?}");
    write(&*producer, 5..10).await;
    while seen.len() < 10 {
        let batch = next(&mut *reader).await;
        assert!(!batch.is_empty(), "the end came after {seen:?}");
        seen.extend(batch);
    }
    assert_eq!(seen, (0..10).collect::<Vec<_>>());
    assert!(next(&mut *reader).await.is_empty(), "now it is the end");
}
