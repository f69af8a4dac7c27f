//! The yardstick: the records of a run without the run. Level by level all ready records, then all answers; no
//! dependencies, no status, one client.

use std::time::{Duration, Instant};

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::topics::create;

/// A record of the usual size.
const RECORD: [u8; 300] = [b'x'; 300];
const LIMIT: Duration = Duration::from_mins(1);

/// How long the levels of these sizes take. Makes two topics that begin with `prefix`.
pub fn level_replay(bootstrap: &str, prefix: &str, levels: &[usize]) -> Duration {
    let names = [format!("{prefix}.ready"), format!("{prefix}.events")];
    for name in &names {
        futures::executor::block_on(create(bootstrap, name, 1, &[]));
    }
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("acks", "all")
        .set("enable.idempotence", "true")
        .set("linger.ms", "0")
        .set("batch.num.messages", "10000")
        .create()
        .unwrap();
    for name in &names {
        wait_for_leader(&producer, name);
    }
    let readers = names.each_ref().map(|name| reader(bootstrap, name));
    // Connections and metadata are no part of the measure.
    for (name, reader) in names.iter().zip(&readers) {
        pass(&producer, reader, name, 10);
    }
    let begin = Instant::now();
    for size in levels {
        for (name, reader) in names.iter().zip(&readers) {
            pass(&producer, reader, name, *size);
        }
    }
    begin.elapsed()
}

/// Sends `count` records to a topic and reads them back.
fn pass(producer: &BaseProducer, reader: &BaseConsumer, topic: &str, count: usize) {
    for _ in 0..count {
        while producer
            .send(BaseRecord::<str, [u8]>::to(topic).partition(0).key("object").payload(&RECORD))
            .is_err()
        {
            producer.poll(Duration::from_millis(1));
        }
    }
    let deadline = Instant::now() + LIMIT;
    let mut read = 0;
    while read < count {
        assert!(Instant::now() < deadline, "{read} of {count} records of {topic} came back");
        producer.poll(Duration::ZERO);
        if let Some(Ok(_)) = reader.poll(Duration::from_millis(10)) {
            read += 1;
        }
    }
}

fn reader(bootstrap: &str, topic: &str) -> BaseConsumer {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("group.id", "replay")
        .set("enable.auto.commit", "false")
        .create()
        .unwrap();
    let mut assignment = TopicPartitionList::new();
    assignment.add_partition_offset(topic, 0, Offset::Beginning).unwrap();
    consumer.assign(&assignment).unwrap();
    consumer
}

fn wait_for_leader(producer: &BaseProducer, topic: &str) {
    let deadline = Instant::now() + LIMIT;
    let leads = || {
        let metadata = producer.client().fetch_metadata(Some(topic), Duration::from_secs(5)).unwrap();
        metadata.topics()[0].partitions().first().is_some_and(|partition| partition.leader() >= 0)
    };
    while !leads() {
        assert!(Instant::now() < deadline, "topic {topic} has no leader");
    }
}
