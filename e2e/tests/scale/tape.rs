//! When each run had its first ready record since somebody looks, by the topic itself.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use orch_e2e::history;
use orch_e2e::setup::{LIMIT, Setup};
use rdkafka::Message;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{BorrowedMessage, Headers};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::PARTITIONS;

const POLL: Duration = Duration::from_millis(100);

/// See the module. It follows the topic while it is written, because what is done is truncated.
pub(crate) struct Tape {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<HashMap<String, i64>>,
}

impl Tape {
    /// Begins when the topic is there, with its first record.
    pub(crate) async fn begin(setup: &Setup, topic: &str) -> Self {
        Self::follow(setup, topic, Offset::Beginning).await
    }

    /// The same with what is written from now on.
    pub(crate) async fn begin_at_the_end(setup: &Setup, topic: &str) -> Self {
        Self::follow(setup, topic, Offset::End).await
    }

    async fn follow(setup: &Setup, topic: &str, from: Offset) -> Self {
        let is_there = async || {
            let found = history::topics(&setup.bootstrap, topic);
            if found.iter().any(|found| found == topic) { Ok(()) } else { Err(format!("{found:?}")) }
        };
        orch_e2e::api::until("the ready topic", LIMIT, is_there).await;
        let consumer: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", &setup.bootstrap)
            .set("group.id", "tape")
            .set("enable.auto.commit", "false")
            .create()
            .unwrap();
        let mut assignment = TopicPartitionList::new();
        for partition in 0..PARTITIONS {
            assignment.add_partition_offset(topic, partition, from).unwrap();
        }
        consumer.assign(&assignment).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            let mut first = HashMap::new();
            loop {
                match consumer.poll(POLL) {
                    Some(Ok(message)) => {
                        let time = message.timestamp().to_millis().unwrap();
                        let known = first.entry(run_of(&message)).or_insert(time);
                        *known = time.min(*known);
                    }
                    Some(Err(error)) => panic!("the tape: {error}"),
                    None if stopped.load(Ordering::Relaxed) => return first,
                    None => {}
                }
            }
        });
        Self { stop, thread }
    }

    /// Ends, with the time of the first ready record of each run, by name.
    pub(crate) fn end(self) -> HashMap<String, i64> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}

/// The name of the run, as the header has it: `/kafka-orchestrator/<namespace>/<name>`.
fn run_of(message: &BorrowedMessage<'_>) -> String {
    let headers = message.headers().unwrap();
    let source = headers.iter().find(|header| header.key == "ce_source").and_then(|header| header.value);
    let source = std::str::from_utf8(source.unwrap()).unwrap();
    source.rsplit('/').next().unwrap().to_owned()
}
