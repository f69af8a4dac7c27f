//! Writing: a record is acknowledged as soon as it is in its partition.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use async_trait::async_trait;
use orch_core::id::Millis;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};

use super::Inner;
use super::topic::Topic;
use crate::listener::Listener;
use crate::{BusError, Message, Outgoing, Producer, Undelivered};

/// Writes to the topics of this process.
pub(super) struct MemoryProducer {
    bus: Arc<Inner>,
    listener: OnceLock<Listener>,
    undelivered: UnboundedSender<Undelivered>,
    undelivered_out: Mutex<Option<UnboundedReceiver<Undelivered>>>,
}

/// What stays the same from record to record of one call.
struct Batch {
    time: Millis,
    topics: Vec<Arc<Topic>>,
    tokens: Vec<u64>,
}

impl MemoryProducer {
    pub(super) fn new(bus: Arc<Inner>) -> Self {
        let (undelivered, out) = mpsc::unbounded_channel();
        let undelivered_out = Mutex::new(Some(out));
        Self { bus, listener: OnceLock::new(), undelivered, undelivered_out }
    }

    /// The topic, mostly from the few that this batch has met already.
    fn topic<'a>(&self, batch: &'a mut Batch, name: &str) -> Option<&'a Arc<Topic>> {
        let met = batch.topics.iter().position(|topic| topic.name() == name);
        let at = met.unwrap_or(batch.topics.len());
        if met.is_none() {
            batch.topics.push(self.bus.topic(name)?);
        }
        batch.topics.get(at)
    }

    fn write(&self, batch: &mut Batch, record: &Outgoing) -> Result<(), BusError> {
        let unknown = || BusError::UnknownTopic(record.topic.to_string());
        let (time, reply_topic) = (batch.time, record.headers.reply_topic().cloned());
        let topic = self.topic(batch, &record.topic).ok_or_else(unknown)?;
        if record.key.len() + record.value.len() > topic.max_record_bytes() {
            return Err(BusError::TooLarge(record.topic.to_string()));
        }
        let mut log = topic.log(record.partition).ok_or_else(unknown)?;
        let offset = log.high();
        let (key, value) = (record.key.clone(), record.value.clone());
        log.push(Message { partition: record.partition, offset, time, key, value, reply_topic });
        Ok(())
    }
}

#[async_trait]
impl Producer for MemoryProducer {
    fn send(&self, records: Vec<Outgoing>) {
        let listener = self.listener.get();
        let time = (self.bus.clock)();
        let mut batch = Batch { time, topics: Vec::new(), tokens: Vec::new() };
        for record in records {
            match self.write(&mut batch, &record) {
                Ok(()) => {
                    if listener.is_some_and(|listener| listener.hears(record.token)) {
                        batch.tokens.push(record.token);
                    }
                }
                Err(error) => {
                    let gone = Undelivered { token: record.token, topic: record.topic, error };
                    // Without a receiver nobody wants to know.
                    let _ = self.undelivered.send(gone);
                }
            }
        }
        for topic in &batch.topics {
            topic.changed.notify_waiters();
        }
        if let Some(listener) = listener {
            listener.tell(batch.tokens);
        }
    }

    async fn flush(&self) -> Result<(), BusError> {
        Ok(())
    }

    fn acknowledged(&self, matters: fn(u64) -> bool) -> Option<UnboundedReceiver<Vec<u64>>> {
        let (listener, receiver) = Listener::new(matters);
        self.listener.set(listener).is_ok().then_some(receiver)
    }

    fn undelivered(&self) -> Option<UnboundedReceiver<Undelivered>> {
        self.undelivered_out.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
