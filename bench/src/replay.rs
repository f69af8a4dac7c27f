//! The yardstick: the records of a run without the run, and what a bare client does with the same broker.
//!
//! A level replay sends, level by level, all ready records and reads them back, then all answers and reads them back:
//! no dependencies, no status, one client. Its records are [`RECORD_BYTES`] long and have no headers: shorter than
//! those of a run, so that what ours carry more is our cost.

use std::time::{Duration, Instant};

use futures::executor::block_on;
use orch_e2e::topics::create;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

/// Value of a record.
pub(crate) const RECORD_BYTES: usize = 300;
const RECORD: [u8; RECORD_BYTES] = [b'x'; RECORD_BYTES];
const LIMIT: Duration = Duration::from_mins(2);
/// Sent between two looks at what the producer has to say.
const BETWEEN_POLLS: usize = 1_000;

/// A client with two topics of its own, kept for all rounds: connections and metadata are no part of the measure.
pub(crate) struct Replay {
    producer: BaseProducer,
    names: [String; 2],
    readers: [BaseConsumer; 2],
}

impl Replay {
    /// Makes two topics that begin with `prefix`.
    pub(crate) fn new(bootstrap: &str, prefix: &str) -> Self {
        let names = [format!("{prefix}ready"), format!("{prefix}events")];
        for name in &names {
            block_on(create(bootstrap, name, 1, &[]));
        }
        let producer: BaseProducer = client(bootstrap)
            .set("acks", "all")
            .set("enable.idempotence", "true")
            .set("linger.ms", "0")
            .set("batch.num.messages", "10000")
            .set("queue.buffering.max.messages", "1000000")
            // What is read back was delivered.
            .set("delivery.report.only.error", "true")
            .create()
            .unwrap();
        for name in &names {
            wait_for_leader(&producer, name);
        }
        let readers = names.each_ref().map(|name| reader(bootstrap, name));
        let replay = Self { producer, names, readers };
        replay.levels(&[10]);
        replay
    }

    /// How long the levels of these sizes take.
    pub(crate) fn levels(&self, sizes: &[usize]) -> Duration {
        let begin = Instant::now();
        for size in sizes {
            for topic in 0..self.names.len() {
                self.pass(topic, *size);
            }
        }
        begin.elapsed()
    }

    /// A record there and one back, again and again: what a step of a chain costs at least.
    pub(crate) fn ping_pong(&self, times: usize) -> Vec<Duration> {
        (0..times).map(|_| self.levels(&[1])).collect()
    }

    /// Sends so many records and reads them at the same time: how long that takes.
    pub(crate) fn pipelined(&self, count: usize) -> Duration {
        let begin = Instant::now();
        std::thread::scope(|scope| {
            scope.spawn(|| self.send(0, count));
            self.receive(0, count);
        });
        begin.elapsed()
    }

    /// Sends `count` records to a topic and reads them back.
    fn pass(&self, topic: usize, count: usize) {
        self.send(topic, count);
        self.receive(topic, count);
    }

    fn send(&self, topic: usize, count: usize) {
        for n in 0..count {
            while self.producer.send(record(&self.names[topic])).is_err() {
                self.producer.poll(Duration::from_millis(1));
            }
            if n % BETWEEN_POLLS == 0 {
                self.producer.poll(Duration::ZERO);
            }
        }
    }

    fn receive(&self, topic: usize, count: usize) {
        let deadline = Instant::now() + LIMIT;
        let mut read = 0;
        while read < count {
            if let Some(Ok(_)) = self.readers[topic].poll(Duration::from_millis(100)) {
                read += 1;
            } else {
                let name = &self.names[topic];
                assert!(Instant::now() < deadline, "{read} of {count} records of {name} came back");
                self.producer.poll(Duration::ZERO);
            }
        }
    }
}

fn record(topic: &str) -> BaseRecord<'_, str, [u8]> {
    BaseRecord::to(topic).partition(0).key("object").payload(&RECORD)
}

fn client(bootstrap: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap).set("socket.nagle.disable", "true");
    config
}

fn reader(bootstrap: &str, topic: &str) -> BaseConsumer {
    let consumer: BaseConsumer =
        client(bootstrap).set("group.id", "replay").set("enable.auto.commit", "false").create().unwrap();
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
