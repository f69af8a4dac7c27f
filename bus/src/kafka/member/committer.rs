//! Commits on a thread of its own: librdkafka tells the outcome only to a call that waits for it, and reading must not.

use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};

use super::shares::Commit;
use crate::BusError;

type Outcome = Result<(), RDKafkaErrorCode>;

/// Makes one commit after the other.
pub(super) struct Committer {
    requests: Option<Sender<TopicPartitionList>>,
    thread: Option<JoinHandle<()>>,
    outcome: Arc<Mutex<Option<Outcome>>>,
    /// The partitions of the commit that is under way.
    under_way: Vec<i32>,
}

impl Committer {
    pub(super) fn new<C: ConsumerContext + 'static>(
        consumer: Arc<BaseConsumer<C>>,
    ) -> Result<Self, BusError> {
        let (requests, receiver) = mpsc::channel::<TopicPartitionList>();
        let outcome = Arc::new(Mutex::new(None));
        let told = outcome.clone();
        let work = move || {
            for positions in receiver {
                let result = consumer.commit(&positions, CommitMode::Sync);
                let result =
                    result.map_err(|error| error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Unknown));
                *told.lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
            }
        };
        let thread = std::thread::Builder::new().name("kafka-commit".to_owned()).spawn(work);
        let thread = thread.map_err(|error| BusError::Other(format!("thread kafka-commit: {error}")))?;
        Ok(Self { requests: Some(requests), thread: Some(thread), outcome, under_way: Vec::new() })
    }

    pub(super) fn is_idle(&self) -> bool {
        self.under_way.is_empty()
    }

    /// Begins a commit; only when idle.
    pub(super) fn begin(&mut self, topic: &str, commits: &[Commit]) {
        let mut positions = TopicPartitionList::with_capacity(commits.len());
        for commit in commits {
            let mut element = positions.add_partition(topic, commit.partition);
            // Positions are never negative.
            let _ = element.set_offset(Offset::Offset(commit.position));
            element.set_metadata(&commit.metadata);
        }
        if self.requests.as_ref().is_some_and(|requests| requests.send(positions).is_ok()) {
            self.under_way = commits.iter().map(|commit| commit.partition).collect();
        }
    }

    /// The outcome of the commit that was under way, once, with its partitions.
    pub(super) fn ended(&mut self) -> Option<(Outcome, Vec<i32>)> {
        let outcome = self.outcome.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        Some((outcome, std::mem::take(&mut self.under_way)))
    }
}

/// Waits for the commit that is under way: the consumer must not be in use when it is closed.
impl Drop for Committer {
    fn drop(&mut self) {
        self.requests = None;
        if let Some(thread) = self.thread.take() {
            // It ended by a panic: there is nothing left to wait for.
            let _ = thread.join();
        }
    }
}
