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

/// Names of the topics that begin with `prefix`, sorted.
pub fn topics(bootstrap: &str, prefix: &str) -> Vec<String> {
    let metadata = consumer(bootstrap).fetch_metadata(None, Duration::from_secs(10)).unwrap();
    let names = metadata.topics().iter().map(|topic| topic.name().to_owned());
    let mut names: Vec<_> = names.filter(|name| name.starts_with(prefix)).collect();
    names.sort();
    names
}

/// Offset of the first record that the first partition of a topic has.
pub fn low(bootstrap: &str, topic: &str) -> i64 {
    consumer(bootstrap).fetch_watermarks(topic, 0, Duration::from_secs(10)).unwrap().0
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
    /// The answers that end an attempt, `ObjectLoaded` or `ObjectFailed`, in their order, with their append times. The
    /// first one counts.
    pub answers: HashMap<(String, u64), Vec<(String, i64)>>,
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
                    story.answers.entry(key).or_default().push((type_, entry.time_ms));
                }
                _ => {}
            }
        }
        story
    }

    /// How an attempt ended: `ObjectLoaded` or `ObjectFailed`; `None` when it did not.
    pub fn end(&self, object: &str, attempt: u64) -> Option<&str> {
        let answers = self.answers.get(&(object.to_owned(), attempt))?;
        Some(answers[0].0.as_str())
    }

    /// Objects that were loaded, with the time.
    pub fn loaded(&self) -> HashMap<&str, i64> {
        let first = self.answers.iter().map(|((object, _), answers)| (object.as_str(), &answers[0]));
        first
            .filter(|(_, (type_, _))| type_ == "ObjectLoaded")
            .map(|(object, (_, time))| (object, *time))
            .collect()
    }

    /// Answers that came again for an attempt that had ended.
    pub fn repeated(&self) -> usize {
        self.answers.values().map(|answers| answers.len() - 1).sum()
    }

    /// Ready records beyond the first of each attempt.
    pub fn published_again(&self) -> usize {
        let distinct: HashSet<_> = self.ready.iter().map(|(object, attempt, _)| (object, attempt)).collect();
        self.ready.len() - distinct.len()
    }

    /// Panics unless every object of the graph was loaded, and nothing else.
    pub fn assert_complete(&self, graph: &crate::graphs::Graph) {
        let loaded = self.loaded();
        let missing: Vec<_> = graph.iter().filter(|(id, _)| !loaded.contains_key(id.as_str())).collect();
        assert!(missing.is_empty(), "not loaded: {missing:?}");
        assert_eq!(loaded.len(), graph.len(), "objects were loaded that the graph does not have");
    }

    /// Panics unless every attempt was asked for once and answered once.
    pub fn assert_once(&self) {
        assert_eq!(self.published_again(), 0, "ready records came again");
        assert_eq!(self.repeated(), 0, "answers came again");
        let asked: HashSet<_> = self.ready.iter().map(|(object, attempt, _)| (object, attempt)).collect();
        let unasked = self.answers.keys().find(|(object, attempt)| !asked.contains(&(object, attempt)));
        assert_eq!(unasked, None, "an answer that nobody asked for");
    }

    /// Panics when a ready record came before the answer of one of its object's dependencies.
    pub fn assert_order(&self, graph: &crate::graphs::Graph) {
        let dependencies: HashMap<&str, &Vec<String>> =
            graph.iter().map(|(id, of)| (id.as_str(), of)).collect();
        let loaded_at = self.loaded();
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graphs::Graph;

    /// `a` and then `b`, as they should be: type, object, time.
    const WELL: [(&str, &str, i64); 4] = [
        ("ObjectReady", "a", 1),
        ("ObjectLoaded", "a", 2),
        ("ObjectReady", "b", 2),
        ("ObjectLoaded", "b", 3),
    ];

    fn graph() -> Graph {
        vec![("a".to_owned(), vec![]), ("b".to_owned(), vec!["a".to_owned()])]
    }

    fn story(records: &[(&str, &str, i64)]) -> Story {
        let entry = |(type_, object, time): &(&str, &str, i64)| Entry {
            topic: "t".to_owned(),
            time_ms: *time,
            key: (*object).to_owned(),
            value: serde_json::json!({"event_type": type_, "run_uid": "u", "attempt": 1}),
        };
        Story::of(&records.iter().map(entry).collect::<Vec<_>>(), "u")
    }

    fn judge(story: &Story) {
        story.assert_complete(&graph());
        story.assert_once();
        story.assert_order(&graph());
    }

    #[test]
    fn a_run_that_went_well_is_accepted() {
        judge(&story(&WELL));
    }

    #[test]
    #[should_panic(expected = "not loaded")]
    fn a_lost_object_is_found() {
        judge(&story(&WELL[..3]));
    }

    #[test]
    #[should_panic(expected = "not loaded")]
    fn a_failed_object_is_not_loaded() {
        judge(&story(&[WELL[0], WELL[1], WELL[2], ("ObjectFailed", "b", 3), WELL[3]]));
    }

    #[test]
    #[should_panic(expected = "the graph does not have")]
    fn an_object_of_nobody_is_found() {
        judge(&story(&[&WELL[..], &[("ObjectLoaded", "c", 4)]].concat()));
    }

    #[test]
    #[should_panic(expected = "ready records came again")]
    fn a_second_ready_record_is_found() {
        judge(&story(&[&WELL[..], &[WELL[0]]].concat()));
    }

    #[test]
    #[should_panic(expected = "answers came again")]
    fn a_second_answer_is_found() {
        judge(&story(&[&WELL[..], &[("ObjectLoaded", "b", 9)]].concat()));
    }

    #[test]
    #[should_panic(expected = "an answer that nobody asked for")]
    fn an_answer_without_a_ready_record_is_found() {
        judge(&story(&[WELL[0], WELL[1], WELL[3]]));
    }

    #[test]
    #[should_panic(expected = "b attempt 1 was ready at 1, its dependency a loaded at Some(2)")]
    fn a_child_before_its_parent_is_found() {
        judge(&story(&[WELL[0], WELL[1], ("ObjectReady", "b", 1), WELL[3]]));
    }
}
