//! Reads one partition by `assign`, on a thread of its own.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{Offset, TopicPartitionList};
use tokio::sync::mpsc;

use super::admin::{Core, spawn};
use super::config::refused;
use super::context::{Context, is_unknown_topic};
use super::message::Copier;
use crate::goal::Goal;
use crate::{BusError, Message, Reader};

/// Records of one call at most.
const BATCH: usize = 4096;
/// Batches that wait for the caller. Behind them librdkafka's own queue fills, and then it stops fetching.
const BATCHES: usize = 4;
/// After this the thread looks whether anybody still listens.
const POLL: Duration = Duration::from_millis(100);
/// How often the leader is asked whether the log has become shorter than the stretch that is waited for.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// The async side.
pub(super) struct KafkaReader {
    batches: mpsc::Receiver<Result<Vec<Message>, BusError>>,
    /// Why there is nothing more.
    ended: BusError,
}

/// Begins to read. The partition exists.
pub(super) fn open(
    core: Arc<Core>,
    topic: String,
    partition: i32,
    stretch: Range<i64>,
) -> Result<KafkaReader, BusError> {
    // A group that whoever may read the topic may most likely name as well; nothing is committed to it.
    let settings = core.config.reader(&topic);
    let consumer: BaseConsumer<Context> =
        settings.create_with_context(Context::new(&core.health)).map_err(|e| refused(&e))?;
    let mut assignment = TopicPartitionList::new();
    let from = stretch.start.max(0);
    let assigned = assignment
        .add_partition_offset(&topic, partition, Offset::Offset(from))
        .and_then(|()| consumer.assign(&assignment));
    assigned.map_err(|error| core.health.explain(&error, &topic))?;
    let (sender, batches) = mpsc::channel(BATCHES);
    let ended = BusError::Other(format!("the reader of `{topic}` has ended"));
    let (copier, goal, asked) = (Copier::default(), Goal::new(stretch), Instant::now());
    let thread = Thread { core, consumer, topic, partition, from, copier, goal, asked, sender };
    spawn("kafka-reader", move || thread.run())?;
    Ok(KafkaReader { batches, ended })
}

#[async_trait]
impl Reader for KafkaReader {
    async fn next(&mut self) -> Result<Vec<Message>, BusError> {
        let batch = self.batches.recv().await.unwrap_or_else(|| Err(self.ended.clone()));
        if let Err(error) = &batch {
            self.ended = error.clone();
        }
        batch
    }
}

/// The blocking side. The consumer is dropped here too, since that may take a while.
struct Thread {
    core: Arc<Core>,
    consumer: BaseConsumer<Context>,
    topic: String,
    partition: i32,
    from: i64,
    copier: Copier,
    goal: Goal,
    /// When the leader was asked for its end.
    asked: Instant,
    sender: mpsc::Sender<Result<Vec<Message>, BusError>>,
}

impl Thread {
    fn run(mut self) {
        while !self.sender.is_closed() {
            if self.goal.is_news() && !self.tell(Ok(Vec::new())) {
                break;
            }
            // Asked before the poll: what stands below it was queued by then, and a poll that finds nothing says that
            // the queue is empty.
            let came_to = self.consumer.context().came_to();
            match self.poll() {
                Ok(None) => self.look_for_the_end(came_to),
                Ok(Some(batch)) if batch.is_empty() => {}
                batch => {
                    let is_last = batch.is_err();
                    if !self.tell(batch.map(Option::unwrap_or_default)) || is_last {
                        break;
                    }
                }
            }
        }
    }

    /// Whether it was heard.
    fn tell(&self, batch: Result<Vec<Message>, BusError>) -> bool {
        self.sender.blocking_send(batch).is_ok()
    }

    /// What is there of what was asked for, at most [`BATCH`]; `None` when there was nothing at all for [`POLL`].
    fn poll(&mut self) -> Result<Option<Vec<Message>>, BusError> {
        let (client, servers) = (self.consumer.client(), self.core.config.servers());
        client.context().sight.restore(client, servers);
        let mut batch = Vec::new();
        let mut wait = POLL;
        while batch.len() < BATCH {
            match self.consumer.poll(wait) {
                Some(Ok(message)) => {
                    let offset = rdkafka::Message::offset(&message);
                    self.goal.reached(offset + 1);
                    // An offset that is not there (yet) makes librdkafka begin at the first one.
                    if offset >= self.from {
                        batch.push(self.copier.copy(&message));
                    }
                }
                Some(Err(error)) => self.check(&error)?,
                None if wait == POLL => return Ok(None),
                None => break,
            }
            wait = Duration::ZERO;
        }
        Ok(Some(batch))
    }

    /// No record has come for a while: nothing may be left of the stretch all the same.
    fn look_for_the_end(&mut self, came_to: i64) {
        if self.goal.is_complete() {
            return;
        }
        self.goal.reached(self.behind_transactions());
        // What compaction has left out is behind us when the client has come to an end behind it.
        self.goal.reached(came_to);
        // An end before ours: the broker that we read from may lag behind, and then more comes. The leader knows.
        if came_to >= 0 && !self.goal.is_complete() && self.asked.elapsed() > ASK_AGAIN {
            if let Ok(bounds) = self.core.bounds_of(&self.topic, self.partition) {
                self.goal.ends_at(bounds.high);
            }
            self.asked = Instant::now();
        }
    }

    /// Where the client is: behind the last record, and behind the end of a transaction, which is none.
    fn behind_transactions(&self) -> i64 {
        let position = self.consumer.position().ok();
        let element = position.as_ref().and_then(|list| list.find_partition(&self.topic, self.partition));
        match element.map(|element| element.offset()) {
            Some(Offset::Offset(position)) => position,
            _ => -1,
        }
    }

    /// Most errors are the client's own business: it tries again.
    fn check(&self, error: &KafkaError) -> Result<(), BusError> {
        let Some(code) = error.rdkafka_error_code() else { return Ok(()) };
        if is_unknown_topic(code) {
            // A broker that is just starting may say so: ask again, and go on unless it is certain.
            return match self.core.partitions(&self.topic) {
                Err(error @ BusError::UnknownTopic(_)) => Err(error),
                _ => Ok(()),
            };
        }
        let fatal = matches!(error, KafkaError::MessageConsumptionFatal(_));
        if fatal || code == RDKafkaErrorCode::TopicAuthorizationFailed {
            return Err(self.core.health.explain(error, &self.topic));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
