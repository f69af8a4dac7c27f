//! A bus in memory with somebody in between, for tests of those who use a bus: questions can be refused and answers lost,
//! readers, producers and members changed.

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;

use super::MemoryBus;
use crate::{Bounds, Bus, BusError, Committed, Member, Producer, Reader, TopicMismatch, TopicSpec};

/// What is asked of a [`Bus`], by the name of its function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Question {
    EnsureTopics,
    DeleteTopics,
    ListTopics,
    Bounds,
    Truncate,
    Committed,
    Read,
    Producer,
    Join,
}

/// Who is in between. What it does not say passes.
pub trait Tap: Send + Sync + 'static {
    /// Before the bus hears the question: an error is the answer.
    fn asked(&self, _question: Question) -> Result<(), BusError> {
        Ok(())
    }

    /// After the bus did what it was asked to: an error takes the place of its answer.
    fn answered(&self, _question: Question) -> Result<(), BusError> {
        Ok(())
    }

    /// A new reader of a topic.
    fn reader(self: &Arc<Self>, _topic: &str, reader: Box<dyn Reader>) -> Box<dyn Reader> {
        reader
    }

    /// A new producer.
    fn producer(self: &Arc<Self>, producer: Box<dyn Producer>) -> Box<dyn Producer> {
        producer
    }

    /// A new member of a group.
    fn member(self: &Arc<Self>, member: Box<dyn Member>) -> Box<dyn Member> {
        member
    }

    /// See [`Bus::trouble`].
    fn trouble(&self) -> Option<String> {
        None
    }
}

/// A bus in memory, and who is in between.
pub struct Tapped<T> {
    /// The bus without anybody in between.
    pub inner: MemoryBus,
    /// Who is in between.
    pub tap: Arc<T>,
}

impl<T: Tap> Tapped<T> {
    /// This bus, and this one in between.
    pub fn new(inner: MemoryBus, tap: T) -> Self {
        Self { inner, tap: Arc::new(tap) }
    }

    async fn ask<A>(
        &self,
        question: Question,
        answer: impl Future<Output = Result<A, BusError>>,
    ) -> Result<A, BusError> {
        self.tap.asked(question)?;
        let answer = answer.await?;
        self.tap.answered(question)?;
        Ok(answer)
    }
}

#[async_trait]
impl<T: Tap> Bus for Tapped<T> {
    async fn ensure_topics(
        &self,
        wanted: &[TopicSpec],
        create: bool,
    ) -> Result<Vec<TopicMismatch>, BusError> {
        self.ask(Question::EnsureTopics, self.inner.ensure_topics(wanted, create)).await
    }

    async fn delete_topics(&self, names: &[String]) -> Result<(), BusError> {
        self.ask(Question::DeleteTopics, self.inner.delete_topics(names)).await
    }

    async fn list_topics(&self, prefix: &str) -> Result<Vec<String>, BusError> {
        self.ask(Question::ListTopics, self.inner.list_topics(prefix)).await
    }

    async fn bounds(&self, topic: &str) -> Result<Vec<Bounds>, BusError> {
        self.ask(Question::Bounds, self.inner.bounds(topic)).await
    }

    async fn truncate(&self, topic: &str, partition: i32, before: i64) -> Result<(), BusError> {
        self.ask(Question::Truncate, self.inner.truncate(topic, partition, before)).await
    }

    async fn committed(&self, group: &str, topic: &str) -> Result<Vec<Option<Committed>>, BusError> {
        self.ask(Question::Committed, self.inner.committed(group, topic)).await
    }

    async fn read(
        &self,
        topic: &str,
        partition: i32,
        stretch: Range<i64>,
    ) -> Result<Box<dyn Reader>, BusError> {
        let reader = self.ask(Question::Read, self.inner.read(topic, partition, stretch)).await?;
        Ok(self.tap.reader(topic, reader))
    }

    async fn producer(&self) -> Result<Box<dyn Producer>, BusError> {
        Ok(self.tap.producer(self.ask(Question::Producer, self.inner.producer()).await?))
    }

    async fn join(&self, group: &str, topic: &str) -> Result<Box<dyn Member>, BusError> {
        Ok(self.tap.member(self.ask(Question::Join, self.inner.join(group, topic)).await?))
    }

    fn trouble(&self) -> Option<String> {
        self.tap.trouble()
    }
}
