//! The bus between operator and workers: [`Bus`] with two implementations, [`memory`] and (feature `kafka`) [`kafka`].
//!
//! The bus knows topics, partitions, offsets and consumer groups; it knows nothing of graphs or runs.

mod goal;
mod listener;
pub mod memory;
mod obstacle;
pub mod progress;

#[cfg(feature = "kafka")]
pub mod kafka;

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use orch_core::id::Millis;
use orch_wire::Headers;
use thiserror::Error;
use tokio::sync::mpsc;

pub use obstacle::Obstacle;

/// A record as it was read.
#[derive(Debug, Clone)]
pub struct Message {
    /// Partition it came from.
    pub partition: i32,
    /// Its offset there.
    pub offset: i64,
    /// Append time, set by the broker.
    pub time: Millis,
    /// Key; empty when there is none.
    pub key: Bytes,
    /// Value; empty when there is none.
    pub value: Bytes,
    /// Value of the header `reply_topic`, the only one that anybody of ours reads. Members get it; readers may not.
    pub reply_topic: Option<Arc<str>>,
}

/// A record to write.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// Where to.
    pub topic: Arc<str>,
    /// Which partition; every topic with one partition takes 0.
    pub partition: i32,
    /// Key.
    pub key: Bytes,
    /// Value.
    pub value: Bytes,
    /// Headers.
    pub headers: Headers,
    /// Comes back in [`Undelivered`]; the bus does not look at it.
    pub token: u64,
}

/// A record that the bus gave up on: refused by the broker, or its topic is gone.
#[derive(Debug, Clone)]
pub struct Undelivered {
    /// From [`Outgoing::token`].
    pub token: u64,
    /// Where it should have gone.
    pub topic: Arc<str>,
    /// Why.
    pub error: BusError,
}

/// How a topic shall be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicSpec {
    /// Its name.
    pub name: String,
    /// Number of partitions.
    pub partitions: i32,
    /// `None`: the broker's default.
    pub replication_factor: Option<i32>,
    /// Settings, such as `retention.ms` = `-1`. All of them are checked on a topic that exists.
    pub config: Vec<(&'static str, String)>,
}

/// A topic that exists with other settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicMismatch {
    /// Its name.
    pub topic: String,
    /// `partitions`, or the name of the setting.
    pub setting: String,
    /// What it is.
    pub actual: String,
    /// What it should be.
    pub wanted: String,
}

/// The offsets that a partition holds: `low` is the first, `high` the one after the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// First offset that is still there.
    pub low: i64,
    /// Offset that the next record gets.
    pub high: i64,
}

/// Position of a group in one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// Everything below is finished.
    pub offset: i64,
    /// `b1:<base64>`: which offsets above are finished too. See [`progress`].
    pub metadata: String,
}

/// What went wrong on the bus.
#[derive(Debug, Clone, Error)]
pub enum BusError {
    /// The broker does not answer, or refuses who we are. Retried by the caller.
    #[error("Kafka at {servers} is not reachable: {reason}")]
    Unreachable {
        /// Bootstrap servers.
        servers: String,
        /// The last thing the client said, such as a failed login.
        reason: String,
    },
    /// The topic does not exist.
    #[error("topic `{0}` does not exist")]
    UnknownTopic(String),
    /// Topics that nobody may create do not exist: all of them.
    #[error("{}", missing(.0))]
    MissingTopics(Vec<String>),
    /// Access was denied.
    #[error("not allowed: {0}")]
    Denied(String),
    /// The record is larger than the topic takes.
    #[error("the record is larger than topic `{0}` takes")]
    TooLarge(String),
    /// The settings of the client are wrong.
    #[error("client settings: {0}")]
    Config(String),
    /// Anything else, in the client's words.
    #[error("{0}")]
    Other(String),
}

impl BusError {
    /// What keeps us and the broker apart, where that is what went wrong.
    pub fn obstacle(&self) -> Option<Obstacle> {
        match self {
            Self::Unreachable { reason, .. } => Some(Obstacle::of(reason)),
            _ => None,
        }
    }

    /// A bounded word for metrics and reasons.
    pub fn category(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "unreachable",
            Self::UnknownTopic(_) | Self::MissingTopics(_) => "unknown_topic",
            Self::Denied(_) => "denied",
            Self::TooLarge(_) => "too_large",
            Self::Config(_) => "config",
            Self::Other(_) => "other",
        }
    }
}

fn missing(topics: &[String]) -> String {
    let names = topics.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    if topics.len() == 1 {
        format!("topic {names} does not exist")
    } else {
        format!("topics {names} do not exist")
    }
}

/// Kafka, or something that behaves like it.
#[async_trait]
pub trait Bus: Send + Sync + 'static {
    /// Creates what is missing and compares what exists. With `create` false what is missing is
    /// [`BusError::MissingTopics`].
    async fn ensure_topics(&self, topics: &[TopicSpec], create: bool)
    -> Result<Vec<TopicMismatch>, BusError>;

    /// Deletes topics; those that do not exist are fine.
    async fn delete_topics(&self, topics: &[String]) -> Result<(), BusError>;

    /// The topics whose names begin with `prefix`, sorted.
    async fn list_topics(&self, prefix: &str) -> Result<Vec<String>, BusError>;

    /// First and next offset of each partition.
    async fn bounds(&self, topic: &str) -> Result<Vec<Bounds>, BusError>;

    /// Throws away what a partition holds below `before`, which is at most its end. What is gone already is fine. Readers
    /// that are asked for it begin at what is left.
    async fn truncate(&self, topic: &str, partition: i32, before: i64) -> Result<(), BusError>;

    /// Position of `group` in each partition of `topic`; `None` where it has none.
    async fn committed(&self, group: &str, topic: &str) -> Result<Vec<Option<Committed>>, BusError>;

    /// Reads one partition from the beginning of `stretch` on and beyond its end, outside any group.
    async fn read(
        &self,
        topic: &str,
        partition: i32,
        stretch: Range<i64>,
    ) -> Result<Box<dyn Reader>, BusError>;

    /// Writes. One producer a process: idempotent, acks=all.
    async fn producer(&self) -> Result<Box<dyn Producer>, BusError>;

    /// Becomes a member of `group` on `topic`.
    async fn join(&self, group: &str, topic: &str) -> Result<Box<dyn Member>, BusError>;

    /// The newest trouble with the connection, if it has not gone since: for readiness and conditions.
    fn trouble(&self) -> Option<String>;
}

/// Records of one partition in order.
#[async_trait]
pub trait Reader: Send {
    /// Waits for records and gives all that are there, at most a few thousand. Cancel-safe.
    ///
    /// Gives none once: when every record of the stretch that it was opened with was given, also where the last offsets
    /// hold none (of compaction, or of a transaction). An end that the broker reports on the way counts for nothing: a
    /// broker that has just become the leader, or that follows one, may report a lower one than the leader before it did.
    /// Only when the leader itself says that the log does not go that far any more, because it was made anew or has
    /// lost its end, is that the end.
    async fn next(&mut self) -> Result<Vec<Message>, BusError>;
}

/// Writes records.
#[async_trait]
pub trait Producer: Send + Sync {
    /// Hands records over in order and returns at once; per partition they are written in this order, each once.
    /// While the broker is away they wait, however long. A record that cannot be written comes back by
    /// [`Producer::undelivered`].
    fn send(&self, records: Vec<Outgoing>);

    /// Waits until everything handed over is acknowledged or given up.
    async fn flush(&self) -> Result<(), BusError>;

    /// Tokens ([`Outgoing::token`]) of the records that are acknowledged, in batches, of those that `matters` says yes
    /// to: nobody is woken up for the others. Can be taken once; before that none are kept.
    fn acknowledged(&self, matters: fn(u64) -> bool) -> Option<mpsc::UnboundedReceiver<Vec<u64>>>;

    /// The records that were given up. Can be taken once.
    fn undelivered(&self) -> Option<mpsc::UnboundedReceiver<Undelivered>>;
}

/// A member of a consumer group. Commits are the bus's own doing: [`Member::finish`] says what is done.
///
/// Of each partition at most [`progress::WINDOW`] records lie between the lowest and the highest unfinished one.
/// A partition that another member shall have is handed over only when the records that were given out of it are
/// finished, so that a scaled-up group does no work twice.
#[async_trait]
pub trait Member: Send {
    /// Waits for records, at most `max`; records that the group finished before are left out. May be empty after a
    /// rebalance. Cancel-safe.
    async fn next(&mut self, max: usize) -> Result<Vec<Message>, BusError>;

    /// Whether it has ended for good: [`Member::next`] gives nothing but errors any more, and only a new member helps.
    fn has_ended(&self) -> bool;

    /// The record is done and its answer acknowledged: it never comes again.
    fn finish(&self, partition: i32, offset: i64);

    /// Commits what is finished and leaves the group.
    async fn leave(self: Box<Self>) -> Result<(), BusError>;
}
