//! Offsets without a record at the end of a partition: a reader comes to the end all the same.

use std::time::Duration;

use orch_bus::Bus;
use orch_bus::kafka::{KafkaBus, KafkaConfig};
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};

use crate::suite::{soon, topic, until};

const LIMIT: Duration = Duration::from_secs(30);

/// Three seconds of silence counted as the end: too long, and on a slow broker too short.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_is_told_where_the_last_offsets_hold_no_record() {
    let bus = KafkaBus::new(KafkaConfig::plain(&crate::servers())).unwrap();
    let topic = topic(&bus, &crate::prefix("gap"), "log", 1).await;
    let (servers, name) = (crate::servers(), topic.clone());
    tokio::task::spawn_blocking(move || {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", servers).set("transactional.id", &name);
        let producer: BaseProducer = config.create().unwrap();
        producer.init_transactions(LIMIT).unwrap();
        producer.begin_transaction().unwrap();
        for value in ["0", "1"] {
            producer.send(BaseRecord::<str, str>::to(&name).partition(0).payload(value)).unwrap();
        }
        producer.commit_transaction(LIMIT).unwrap();
    })
    .await
    .unwrap();
    // The broker writes it after it has answered.
    let high = || async { bus.bounds(&topic).await.unwrap()[0].high };
    until("the end of the transaction at offset 2", || async { (high().await == 3).then_some(()) }).await;
    let mut reader = bus.read(&topic, 0, 0..3).await.unwrap();
    let mut seen = Vec::new();
    loop {
        let batch = soon("the end", reader.next()).await.unwrap();
        if batch.is_empty() {
            break;
        }
        seen.extend(batch.iter().map(|record| record.offset));
    }
    assert_eq!(seen, [0, 1]);
    bus.delete_topics(&[topic]).await.unwrap();
}
