//! Reads one partition by `assign`, on a thread of its own.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::{Offset, TopicPartitionList};
use tokio::sync::mpsc;

use super::admin::{Core, spawn};
use super::config::refused;
use super::context::{Context, is_unknown_topic};
use super::message::Copier;
use crate::{BusError, Message, Reader};

/// Records of one call at most.
const BATCH: usize = 4096;
/// Batches that wait for the caller. Behind them librdkafka's own queue fills, and then it stops fetching.
const BATCHES: usize = 4;
/// After this the thread looks whether anybody still listens.
const POLL: Duration = Duration::from_millis(100);

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
    offset: i64,
) -> Result<KafkaReader, BusError> {
    // A group that whoever may read the topic may most likely name as well; nothing is committed to it.
    let settings = core.config.reader(&topic);
    let consumer: BaseConsumer<Context> =
        settings.create_with_context(Context::new(&core.health)).map_err(|e| refused(&e))?;
    let mut assignment = TopicPartitionList::new();
    let assigned = assignment
        .add_partition_offset(&topic, partition, Offset::Offset(offset.max(0)))
        .and_then(|()| consumer.assign(&assignment));
    assigned.map_err(|error| core.health.explain(&error, &topic))?;
    let (sender, batches) = mpsc::channel(BATCHES);
    let ended = BusError::Other(format!("the reader of `{topic}` has ended"));
    let copier = Copier::default();
    let thread = Thread { core, consumer, topic, offset, copier, came_to_end: false, sender };
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
    offset: i64,
    copier: Copier,
    /// It has come to the end once.
    came_to_end: bool,
    sender: mpsc::Sender<Result<Vec<Message>, BusError>>,
}

impl Thread {
    fn run(mut self) {
        while !self.sender.is_closed() {
            let before = self.came_to_end;
            let batch = self.poll();
            let failed = batch.is_err();
            let tell = |batch| self.sender.blocking_send(batch).is_ok();
            let is_heard = batch.as_ref().is_ok_and(Vec::is_empty) || tell(batch);
            let at_end = self.came_to_end != before;
            if failed || !is_heard || at_end && !tell(Ok(Vec::new())) {
                break;
            }
        }
    }

    /// What is there, at most [`BATCH`].
    fn poll(&mut self) -> Result<Vec<Message>, BusError> {
        let (client, servers) = (self.consumer.client(), self.core.config.servers());
        client.context().sight.restore(client, servers);
        let mut batch = Vec::new();
        let mut wait = POLL;
        while batch.len() < BATCH {
            match self.consumer.poll(wait) {
                // An offset that is not there (yet) makes librdkafka begin at the first one.
                Some(Ok(message)) => {
                    if rdkafka::Message::offset(&message) >= self.offset {
                        batch.push(self.copier.copy(&message));
                    }
                }
                // Records that come after this one are after the end: they are for the next batch.
                Some(Err(KafkaError::PartitionEOF(_))) if !self.came_to_end => {
                    self.came_to_end = true;
                    break;
                }
                Some(Err(error)) => self.check(&error)?,
                None => break,
            }
            wait = Duration::ZERO;
        }
        Ok(batch)
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
