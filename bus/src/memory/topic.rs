//! A topic and the reading of one partition.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tokio::sync::Notify;

use crate::goal::Goal;
use crate::{Bounds, BusError, Message, Reader, TopicMismatch, TopicSpec};

/// Records that one call of a reader gives at most.
const BATCH: usize = 4096;
/// Largest record; what Kafka's clients send at most by default.
const RECORD_BYTES: usize = 1_000_000;

/// The records of a partition, from the first one that is still there.
#[derive(Default)]
pub(super) struct Log {
    low: i64,
    records: Vec<Message>,
}

impl Log {
    /// Offset of the first record that is there.
    pub(super) fn low(&self) -> i64 {
        self.low
    }

    /// Offset that the next record gets.
    pub(super) fn high(&self) -> i64 {
        self.low + self.records.len() as i64
    }

    pub(super) fn push(&mut self, record: Message) {
        self.records.push(record);
    }

    /// What is there from an offset on.
    pub(super) fn from(&self, offset: i64) -> &[Message] {
        let at = usize::try_from(offset - self.low).unwrap_or(0);
        self.records.get(at..).unwrap_or_default()
    }

    pub(super) fn truncate(&mut self, before: i64) {
        let gone = usize::try_from(before - self.low).unwrap_or(0).min(self.records.len());
        self.records.drain(..gone);
        self.low += gone as i64;
    }
}

/// A topic.
pub(super) struct Topic {
    spec: TopicSpec,
    partitions: Vec<Mutex<Log>>,
    deleted: AtomicBool,
    /// Rings when records came or the topic went.
    pub(super) changed: Notify,
}

impl Topic {
    pub(super) fn new(spec: TopicSpec) -> Self {
        let partitions = (0..spec.partitions.max(1)).map(|_| Mutex::default()).collect();
        Self { spec, partitions, deleted: AtomicBool::new(false), changed: Notify::new() }
    }

    pub(super) fn name(&self) -> &str {
        &self.spec.name
    }

    pub(super) fn partitions(&self) -> usize {
        self.partitions.len()
    }

    /// The largest record that it takes.
    pub(super) fn max_record_bytes(&self) -> usize {
        self.setting("max.message.bytes").and_then(|text| text.parse().ok()).unwrap_or(RECORD_BYTES)
    }

    /// The records of a partition.
    pub(super) fn log(&self, partition: i32) -> Option<MutexGuard<'_, Log>> {
        let log = self.partitions.get(usize::try_from(partition).ok()?)?;
        Some(log.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// First and next offset of each partition.
    pub(super) fn bounds(&self) -> Vec<Bounds> {
        let bounds = |log: &Mutex<Log>| {
            let log = log.lock().unwrap_or_else(PoisonError::into_inner);
            Bounds { low: log.low(), high: log.high() }
        };
        self.partitions.iter().map(bounds).collect()
    }

    pub(super) fn delete(&self) {
        self.deleted.store(true, Ordering::Release);
        self.changed.notify_waiters();
    }

    pub(super) fn check_exists(&self) -> Result<(), BusError> {
        if self.deleted.load(Ordering::Acquire) {
            return Err(BusError::UnknownTopic(self.spec.name.clone()));
        }
        Ok(())
    }

    /// Where it differs from what is wanted. There is one copy of everything here, so replication is not compared.
    pub(super) fn compare(&self, wanted: &TopicSpec) -> Vec<TopicMismatch> {
        let mismatch = |setting: &str, actual: String, wanted_value: String| {
            (actual != wanted_value).then(|| TopicMismatch {
                topic: wanted.name.clone(),
                setting: setting.to_owned(),
                actual,
                wanted: wanted_value,
            })
        };
        let partitions =
            mismatch("partitions", self.partitions.len().to_string(), wanted.partitions.to_string());
        let settings = wanted.config.iter().filter_map(|(name, value)| {
            let actual = self.setting(name).unwrap_or("default").to_owned();
            mismatch(name, actual, value.clone())
        });
        partitions.into_iter().chain(settings).collect()
    }

    fn setting(&self, name: &str) -> Option<&str> {
        self.spec.config.iter().find(|(key, _)| *key == name).map(|(_, value)| value.as_str())
    }
}

/// Reads one partition.
pub(super) struct TopicReader {
    topic: Arc<Topic>,
    partition: i32,
    at: i64,
    goal: Goal,
}

impl TopicReader {
    pub(super) fn new(topic: Arc<Topic>, partition: i32, stretch: Range<i64>) -> Result<Self, BusError> {
        if topic.log(partition).is_none() {
            return Err(BusError::UnknownTopic(format!("{}[{partition}]", topic.name())));
        }
        let at = stretch.start.max(0);
        Ok(Self { topic, partition, at, goal: Goal::new(stretch) })
    }

    fn take(&mut self) -> Vec<Message> {
        let Some(log) = self.topic.log(self.partition) else { return Vec::new() };
        self.at = self.at.max(log.low());
        let there = log.from(self.at);
        let records = there[..there.len().min(BATCH)].to_vec();
        self.at += records.len() as i64;
        self.goal.reached(self.at);
        if records.is_empty() {
            self.goal.ends_at(log.high());
        }
        records
    }
}

#[async_trait]
impl Reader for TopicReader {
    async fn next(&mut self) -> Result<Vec<Message>, BusError> {
        loop {
            let topic = self.topic.clone();
            // Made before the look, so that what comes between look and wait wakes it.
            let changed = topic.changed.notified();
            if self.goal.is_news() {
                return Ok(Vec::new());
            }
            let records = self.take();
            if !records.is_empty() {
                return Ok(records);
            }
            self.topic.check_exists()?;
            if self.goal.is_news() {
                return Ok(Vec::new());
            }
            changed.await;
        }
    }
}
