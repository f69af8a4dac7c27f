//! The bus over Apache Kafka.
//!
//! librdkafka blocks and calls back on the thread that polls: every client that waits for something has a thread of its
//! own here, and the async side talks to it by channels and shared state.

mod admin;
mod config;
mod context;
mod lanes;
mod member;
mod message;
mod native;
mod producer;
mod reader;
mod sight;

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;

pub use config::{CLIENT_PROPERTIES, KafkaConfig};

use crate::{Bounds, Bus, BusError, Committed, Member, Producer, Reader, TopicMismatch, TopicSpec};
use admin::{Core, blocking};

/// A connection to Kafka. It needs no broker to be made: calls wait for one, and [`Bus::trouble`] says what is wrong.
pub struct KafkaBus {
    core: Arc<Core>,
}

impl KafkaBus {
    /// Makes the clients. Fails on settings that librdkafka does not take, not on a broker that is away.
    pub fn new(config: KafkaConfig) -> Result<Self, BusError> {
        Ok(Self { core: Core::new(config)? })
    }
}

impl Drop for KafkaBus {
    fn drop(&mut self) {
        self.core.close();
    }
}

#[async_trait]
impl Bus for KafkaBus {
    async fn ensure_topics(
        &self,
        topics: &[TopicSpec],
        create: bool,
    ) -> Result<Vec<TopicMismatch>, BusError> {
        self.core.ensure(topics, create).await
    }

    async fn delete_topics(&self, topics: &[String]) -> Result<(), BusError> {
        self.core.delete(topics).await
    }

    async fn list_topics(&self, prefix: &str) -> Result<Vec<String>, BusError> {
        let prefix = prefix.to_owned();
        blocking(&self.core, move |core| core.list(&prefix)).await
    }

    async fn bounds(&self, topic: &str) -> Result<Vec<Bounds>, BusError> {
        let topic = topic.to_owned();
        blocking(&self.core, move |core| core.bounds(&topic)).await
    }

    async fn truncate(&self, topic: &str, partition: i32, before: i64) -> Result<(), BusError> {
        self.core.truncate(topic, partition, before).await
    }

    async fn committed(&self, group: &str, topic: &str) -> Result<Vec<Option<Committed>>, BusError> {
        let (group, topic) = (group.to_owned(), topic.to_owned());
        blocking(&self.core, move |core| core.committed(&group, &topic)).await
    }

    async fn read(
        &self,
        topic: &str,
        partition: i32,
        stretch: Range<i64>,
    ) -> Result<Box<dyn Reader>, BusError> {
        let (name, core) = (topic.to_owned(), self.core.clone());
        let reader = blocking(&self.core, move |known| {
            if partition < 0 || partition as usize >= known.partitions(&name)? {
                return Err(BusError::UnknownTopic(format!("{name}[{partition}]")));
            }
            reader::open(core, name, partition, stretch)
        });
        Ok(Box::new(reader.await?))
    }

    async fn producer(&self) -> Result<Box<dyn Producer>, BusError> {
        let core = self.core.clone();
        Ok(Box::new(blocking(&self.core, move |_| producer::open(core)).await?))
    }

    async fn join(&self, group: &str, topic: &str) -> Result<Box<dyn Member>, BusError> {
        let (group, topic, core) = (group.to_owned(), topic.to_owned(), self.core.clone());
        let member = blocking(&self.core, move |known| {
            known.partitions(&topic)?;
            member::join(&core, &group, &topic)
        });
        Ok(Box::new(member.await?))
    }

    fn trouble(&self) -> Option<String> {
        self.core.health.trouble()
    }
}
