//! A bus inside this process: topics with partitions, readers that wake at once, groups that share partitions.
//!
//! It keeps every record until its topic is truncated or deleted, and behaves as Kafka does where the suite in `tests/` can tell.

mod group;
mod producer;
pub mod tapped;
mod topic;

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use orch_core::id::Millis;

use crate::{Bounds, Bus, BusError, Committed, Member, Producer, Reader, TopicMismatch, TopicSpec};
use group::Group;
use topic::{Topic, TopicReader};

/// Where append times come from.
type Clock = Arc<dyn Fn() -> Millis + Send + Sync>;

/// A bus inside this process. Clones are the same bus.
#[derive(Clone)]
pub struct MemoryBus {
    inner: Arc<Inner>,
}

struct Inner {
    topics: RwLock<BTreeMap<Arc<str>, Arc<Topic>>>,
    /// By group and topic.
    groups: Mutex<HashMap<(String, String), Arc<Group>>>,
    clock: Clock,
}

impl Default for MemoryBus {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryBus {
    /// Empty; append times are the system's time.
    pub fn new() -> Self {
        Self::with_clock(Arc::new(|| {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            since.as_millis() as Millis
        }))
    }

    /// Empty; append times come from `clock`.
    pub fn with_clock(clock: Arc<dyn Fn() -> Millis + Send + Sync>) -> Self {
        let inner = Inner { topics: RwLock::default(), groups: Mutex::default(), clock };
        Self { inner: Arc::new(inner) }
    }
}

impl Inner {
    fn topic(&self, name: &str) -> Option<Arc<Topic>> {
        self.topics.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    fn known_topic(&self, name: &str) -> Result<Arc<Topic>, BusError> {
        self.topic(name).ok_or_else(|| BusError::UnknownTopic(name.to_owned()))
    }

    /// The group on the topic as it is now: a topic that was deleted and created again starts afresh.
    fn group(&self, group: &str, topic: &Arc<Topic>) -> Arc<Group> {
        let mut groups = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (group.to_owned(), topic.name().to_owned());
        groups.entry(key).or_insert_with(|| Arc::new(Group::new(topic.clone()))).clone()
    }

    fn existing_group(&self, group: &str, topic: &str) -> Option<Arc<Group>> {
        let groups = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        groups.get(&(group.to_owned(), topic.to_owned())).cloned()
    }
}

#[async_trait]
impl Bus for MemoryBus {
    async fn ensure_topics(
        &self,
        wanted: &[TopicSpec],
        create: bool,
    ) -> Result<Vec<TopicMismatch>, BusError> {
        let mut topics = self.inner.topics.write().unwrap_or_else(PoisonError::into_inner);
        let missing = wanted.iter().filter(|spec| !topics.contains_key(spec.name.as_str()));
        let missing: Vec<String> = missing.map(|spec| spec.name.clone()).collect();
        if !create && !missing.is_empty() {
            return Err(BusError::MissingTopics(missing));
        }
        let mut mismatches = Vec::new();
        for spec in wanted {
            if let Some(topic) = topics.get(spec.name.as_str()) {
                mismatches.extend(topic.compare(spec));
            } else {
                topics.insert(spec.name.as_str().into(), Arc::new(Topic::new(spec.clone())));
            }
        }
        Ok(mismatches)
    }

    async fn delete_topics(&self, names: &[String]) -> Result<(), BusError> {
        let mut topics = self.inner.topics.write().unwrap_or_else(PoisonError::into_inner);
        let mut groups = self.inner.groups.lock().unwrap_or_else(PoisonError::into_inner);
        for name in names {
            if let Some(topic) = topics.remove(name.as_str()) {
                groups.retain(|(_, of), _| of != name);
                topic.delete();
            }
        }
        Ok(())
    }

    async fn list_topics(&self, prefix: &str) -> Result<Vec<String>, BusError> {
        let topics = self.inner.topics.read().unwrap_or_else(PoisonError::into_inner);
        Ok(topics.keys().filter(|name| name.starts_with(prefix)).map(ToString::to_string).collect())
    }

    async fn bounds(&self, topic: &str) -> Result<Vec<Bounds>, BusError> {
        let topic = self.inner.known_topic(topic)?;
        Ok(topic.bounds())
    }

    async fn truncate(&self, topic: &str, partition: i32, before: i64) -> Result<(), BusError> {
        let known = self.inner.known_topic(topic)?;
        let unknown = || BusError::UnknownTopic(format!("{topic}[{partition}]"));
        known.log(partition).ok_or_else(unknown)?.truncate(before);
        Ok(())
    }

    async fn committed(&self, group: &str, topic: &str) -> Result<Vec<Option<Committed>>, BusError> {
        let known = self.inner.known_topic(topic)?;
        match self.inner.existing_group(group, topic) {
            Some(group) => Ok(group.committed()),
            None => Ok(vec![None; known.partitions()]),
        }
    }

    async fn read(
        &self,
        topic: &str,
        partition: i32,
        stretch: Range<i64>,
    ) -> Result<Box<dyn Reader>, BusError> {
        let known = self.inner.known_topic(topic)?;
        Ok(Box::new(TopicReader::new(known, partition, stretch)?))
    }

    async fn producer(&self) -> Result<Box<dyn Producer>, BusError> {
        Ok(Box::new(producer::MemoryProducer::new(self.inner.clone())))
    }

    async fn join(&self, group: &str, topic: &str) -> Result<Box<dyn Member>, BusError> {
        let topic = self.inner.known_topic(topic)?;
        Ok(Box::new(group::MemoryMember::join(self.inner.group(group, &topic))))
    }

    fn trouble(&self) -> Option<String> {
        None
    }
}
