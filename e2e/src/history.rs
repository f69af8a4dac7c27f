//! What the topics say, read and judged by a program that shares no code with the engine: plain JSON, plain maps.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use rdkafka::Message;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use serde_json::Value;

/// One record of a topic.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Topic it stands in.
    pub topic: String,
    /// Append time.
    pub time_ms: i64,
    /// Key as text.
    pub key: String,
    /// Value; null when it is no JSON.
    pub value: Value,
}

/// A client with these settings on top of ours.
fn consumer(bootstrap: &str) -> BaseConsumer {
    ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("group.id", "history")
        .set("enable.auto.commit", "false")
        .set("fetch.wait.max.ms", "50")
        .create()
        .unwrap()
}

/// Names of the topics that begin with `prefix`.
pub fn topics(bootstrap: &str, prefix: &str) -> Vec<String> {
    let metadata = consumer(bootstrap).fetch_metadata(None, Duration::from_secs(10)).unwrap();
    let names = metadata.topics().iter().map(|topic| topic.name().to_owned());
    names.filter(|name| name.starts_with(prefix)).collect()
}

/// Everything in the topics that begin with `prefix`: by topic and partition, in order.
pub fn read(bootstrap: &str, prefix: &str) -> Vec<Entry> {
    let consumer = consumer(bootstrap);
    let metadata = consumer.fetch_metadata(None, Duration::from_secs(10)).unwrap();
    let mut entries = Vec::new();
    for topic in metadata.topics().iter().filter(|topic| topic.name().starts_with(prefix)) {
        for partition in topic.partitions() {
            read_partition(&consumer, topic.name(), partition.id(), &mut entries);
        }
    }
    entries
}

fn read_partition(consumer: &BaseConsumer, topic: &str, partition: i32, entries: &mut Vec<Entry>) {
    let (low, high) = consumer.fetch_watermarks(topic, partition, Duration::from_secs(10)).unwrap();
    if low >= high {
        return;
    }
    let mut assignment = TopicPartitionList::new();
    assignment.add_partition_offset(topic, partition, Offset::Offset(low)).unwrap();
    consumer.assign(&assignment).unwrap();
    let deadline = Instant::now() + Duration::from_mins(1);
    let mut next = low;
    while next < high {
        assert!(Instant::now() < deadline, "{topic}/{partition} was read to {next} of {high}");
        let Some(Ok(message)) = consumer.poll(Duration::from_millis(500)) else { continue };
        next = message.offset() + 1;
        entries.push(Entry {
            topic: topic.to_owned(),
            time_ms: message.timestamp().to_millis().unwrap_or(0),
            key: String::from_utf8_lossy(message.key().unwrap_or_default()).into_owned(),
            value: serde_json::from_slice(message.payload().unwrap_or_default()).unwrap_or(Value::Null),
        });
    }
}

/// What happened in one run.
#[derive(Debug, Default)]
pub struct Story {
    /// `(object, attempt)` of every ready record, with its append time.
    pub ready: Vec<(String, u64, i64)>,
    /// The first answer that ended an attempt: `ObjectLoaded` or `ObjectFailed`, with its append time.
    pub ended: HashMap<(String, u64), (String, i64)>,
    /// Answers that came again for an attempt that had ended.
    pub repeated: usize,
}

impl Story {
    /// The story of the run with this uid.
    pub fn of(entries: &[Entry], uid: &str) -> Self {
        let mut story = Self::default();
        for entry in entries.iter().filter(|entry| entry.value["run_uid"] == uid) {
            let Some(attempt) = entry.value["attempt"].as_u64() else { continue };
            let type_ = entry.value["event_type"].as_str().unwrap_or_default().to_owned();
            match type_.as_str() {
                "ObjectReady" => story.ready.push((entry.key.clone(), attempt, entry.time_ms)),
                "ObjectLoaded" | "ObjectFailed" => {
                    let key = (entry.key.clone(), attempt);
                    if let std::collections::hash_map::Entry::Vacant(vacant) = story.ended.entry(key) {
                        vacant.insert((type_, entry.time_ms));
                    } else {
                        story.repeated += 1;
                    }
                }
                _ => {}
            }
        }
        story
    }

    /// Objects that were loaded, each counted once.
    pub fn loaded(&self) -> HashSet<&str> {
        let loaded = self.ended.iter().filter(|(_, (type_, _))| type_ == "ObjectLoaded");
        loaded.map(|((object, _), _)| object.as_str()).collect()
    }

    /// Ready records beyond the first of each attempt.
    pub fn published_again(&self) -> usize {
        let distinct: HashSet<_> = self.ready.iter().map(|(object, attempt, _)| (object, attempt)).collect();
        self.ready.len() - distinct.len()
    }

    /// Panics when a ready record came before the answer of one of its object's dependencies.
    pub fn assert_order(&self, graph: &crate::graphs::Graph) {
        let dependencies: HashMap<&str, &Vec<String>> =
            graph.iter().map(|(id, of)| (id.as_str(), of)).collect();
        let mut loaded_at: HashMap<&str, i64> = HashMap::new();
        for ((object, _), (type_, time)) in &self.ended {
            if type_ == "ObjectLoaded" {
                loaded_at.insert(object, *time);
            }
        }
        for (object, attempt, time) in &self.ready {
            for parent in dependencies[object.as_str()] {
                let loaded = loaded_at.get(parent.as_str());
                assert!(
                    loaded.is_some_and(|loaded| loaded <= time),
                    "{object} attempt {attempt} was ready at {time}, its dependency {parent} loaded at {loaded:?}"
                );
            }
        }
    }
}

/// Writes a value to the first partition of a topic, as anybody with a Kafka client could.
pub fn write(bootstrap: &str, topic: &str, value: &[u8]) {
    let producer: BaseProducer = ClientConfig::new().set("bootstrap.servers", bootstrap).create().unwrap();
    producer.send(BaseRecord::<[u8], [u8]>::to(topic).partition(0).payload(value)).unwrap();
    producer.flush(Duration::from_secs(10)).unwrap();
}
