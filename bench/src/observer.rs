//! Sees what happens to each object of a run: in the topics by a reader of its own, in the worker by its log.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use k8s_openapi::jiff::Timestamp;
use orch_wire::{AnswerKind, EventsRecord, decode_event};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Message, OwnedMessage};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use serde::Deserialize;

use crate::hops::{Micros, Stamps};
use crate::log::{Mark, Topics};

/// Between two looks whether it shall end.
const POLL: Duration = Duration::from_millis(50);

/// A thread that reads both topics of a Pipeline and notes when it saw each record.
pub(crate) struct Observer {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Vec<(Micros, OwnedMessage)>>,
    topics: Topics,
}

impl Observer {
    /// Begins behind what is there.
    pub(crate) fn start(bootstrap: &str, topics: &Topics, mark: Mark) -> Self {
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", bootstrap)
            .set("group.id", "observer")
            .set("enable.auto.commit", "false")
            .set("socket.nagle.disable", "true")
            .create()
            .unwrap();
        let mut assignment = TopicPartitionList::new();
        for (topic, from) in [(&topics.ready, mark.ready()), (&topics.events, mark.events())] {
            assignment.add_partition_offset(topic, 0, Offset::Offset(from)).unwrap();
        }
        consumer.assign(&assignment).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            let mut seen = Vec::new();
            loop {
                match consumer.poll(POLL) {
                    // Stamped before anything else is done with it.
                    Some(Ok(message)) => seen.push((now(), message.detach())),
                    Some(Err(error)) => panic!("the observer: {error}"),
                    // What was there before the run ended has been read.
                    None if stopped.load(Ordering::Relaxed) => return seen,
                    None => {}
                }
            }
        });
        Self { stop, thread, topics: topics.clone() }
    }

    /// Ends, with what was seen of each object.
    pub(crate) fn end(self) -> Stamps {
        self.stop.store(true, Ordering::Relaxed);
        let mut stamps = Stamps::default();
        for (at, message) in self.thread.join().unwrap() {
            let (key, value) = (message.key().unwrap_or_default(), message.payload().unwrap_or_default());
            let id = || String::from_utf8_lossy(key).into_owned();
            if message.topic() == self.topics.ready {
                stamps.ready.insert(id(), at);
            } else if let Ok(EventsRecord::Answer(answer)) = decode_event(key, value)
                && matches!(answer.kind, AnswerKind::Loaded { .. })
            {
                stamps.answered.insert(id(), at);
            }
        }
        stamps
    }
}

fn now() -> Micros {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros() as Micros
}

/// A line of the worker's log.
#[derive(Deserialize)]
struct Line {
    timestamp: String,
    message: String,
    #[serde(default)]
    object: String,
}

/// How long the log is.
pub(crate) fn length(log: &Path) -> usize {
    std::fs::metadata(log).map_or(0, |file| file.len() as usize)
}

/// Adds what the worker has logged since its log was so long: when it took each object, and when it was done.
pub(crate) fn add_log(stamps: &mut Stamps, log: &Path, from: usize) {
    let text = std::fs::read(log).unwrap();
    let lines =
        text[from..].split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok());
    for Line { timestamp, message, object } in lines {
        let stamp = |to: &mut HashMap<String, Micros>| {
            let at: Timestamp = timestamp.parse().unwrap();
            to.insert(object, at.as_microsecond());
        };
        match message.as_str() {
            "started" => stamp(&mut stamps.received),
            "loaded" => stamp(&mut stamps.done),
            _ => {}
        }
    }
}
