//! Records: from the topics, or from a dump of them.

use std::io::{BufRead, Write};
use std::time::{Duration, Instant};

use rdkafka::Message;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use serde::{Deserialize, Serialize};

const PATIENCE: Duration = Duration::from_secs(30);

/// One record. Of bytes that are no text it keeps what can be shown: nobody could read them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Record {
    /// Topic it stands in.
    pub topic: String,
    /// Partition of it.
    pub partition: i32,
    /// Place in the partition.
    pub offset: i64,
    /// When it was appended, by the broker's clock.
    pub time_ms: i64,
    /// Key.
    pub key: String,
    /// Value.
    pub value: String,
}

impl Record {
    /// What a consumer got.
    pub fn of(message: &impl Message) -> Self {
        let text = |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned();
        Self {
            topic: message.topic().to_owned(),
            partition: message.partition(),
            offset: message.offset(),
            time_ms: message.timestamp().to_millis().unwrap_or(0),
            key: text(message.key()),
            value: text(message.payload()),
        }
    }
}

/// Records of some topics, in the order of each partition.
pub type Log = Vec<Record>;

/// Everything in the topics that begin with `prefix`.
pub fn read_topics(bootstrap: &str, prefix: &str) -> Result<Log, String> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("group.id", "orch-history")
        .set("enable.auto.commit", "false")
        .create()
        .map_err(|error| error.to_string())?;
    let metadata = consumer.fetch_metadata(None, PATIENCE).map_err(|error| error.to_string())?;
    let mut log = Vec::new();
    for topic in metadata.topics().iter().filter(|topic| topic.name().starts_with(prefix)) {
        for partition in topic.partitions() {
            read_partition(&consumer, topic.name(), partition.id(), &mut log)
                .map_err(|error| format!("{}/{}: {error}", topic.name(), partition.id()))?;
        }
    }
    Ok(log)
}

fn read_partition(consumer: &BaseConsumer, topic: &str, partition: i32, log: &mut Log) -> Result<(), String> {
    let bounds = consumer.fetch_watermarks(topic, partition, PATIENCE);
    let (low, high) = bounds.map_err(|error| error.to_string())?;
    let mut assignment = TopicPartitionList::new();
    let from = assignment.add_partition_offset(topic, partition, Offset::Offset(low));
    from.and_then(|()| consumer.assign(&assignment)).map_err(|error| error.to_string())?;
    let (mut next, mut heard) = (low, Instant::now());
    while next < high {
        match consumer.poll(Duration::from_millis(500)) {
            Some(Ok(message)) => {
                (next, heard) = (message.offset() + 1, Instant::now());
                log.push(Record::of(&message));
            }
            // What is not there any more at the end, as of a compacted topic, is not waited for.
            _ if consumer.position().is_ok_and(|at| is_at(&at, high)) => return Ok(()),
            _ if heard.elapsed() > PATIENCE => {
                return Err(format!("nothing comes after offset {next} of {high}"));
            }
            _ => {}
        }
    }
    Ok(())
}

fn is_at(positions: &TopicPartitionList, end: i64) -> bool {
    positions.elements().iter().any(|at| matches!(at.offset(), Offset::Offset(offset) if offset >= end))
}

/// Reads a dump: a record a line, as JSON.
pub fn read_dump(dump: impl BufRead) -> Result<Log, String> {
    let mut log = Vec::new();
    for (number, line) in dump.lines().enumerate() {
        let line = line.map_err(|error| error.to_string())?;
        log.push(serde_json::from_str(&line).map_err(|error| format!("line {}: {error}", number + 1))?);
    }
    Ok(log)
}

/// Writes a line of a dump.
pub fn write_record(dump: &mut impl Write, record: &Record) -> std::io::Result<()> {
    serde_json::to_writer(&mut *dump, record)?;
    dump.write_all(b"\n")
}
