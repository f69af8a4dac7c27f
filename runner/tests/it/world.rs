//! The topics, and what stands in them.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use orch_bus::memory::MemoryBus;
use orch_bus::{Bus, Message, Outgoing, TopicSpec};
use orch_core::engine::Orders;
use orch_core::id::{Millis, RunUid, StageName};
use orch_core::plan::RunPlan;
use orch_runner::{Clock, PipelineSettings, RunSettings, SnapshotRule, now_ms};
use orch_wire::{TopicNames, TopicPrefix};
use serde_json::Value;

use super::faulty::{Faults, FaultyBus};

/// Nothing here takes so long; whoever waits longer says what was seen last.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// A record of a topic, read as JSON.
#[derive(Debug, Clone)]
pub struct Line {
    pub time: Millis,
    pub key: String,
    pub value: Value,
    pub reply_topic: Option<String>,
}

impl Line {
    pub fn text(&self, field: &str) -> &str {
        self.value[field].as_str().unwrap_or_default()
    }

    pub fn is(&self, event_type: &str) -> bool {
        self.text("event_type") == event_type
    }
}

/// See the module.
pub struct World {
    pub bus: Arc<FaultyBus>,
    pub faults: Arc<Faults>,
    pub names: TopicNames,
    pub stages: Vec<(StageName, u16)>,
    pub window: u32,
    pub snapshots: SnapshotRule,
}

impl World {
    /// Topics for the stages of a plan.
    pub async fn new(plan: &RunPlan) -> Self {
        let names = TopicNames::new(&TopicPrefix::default(), "default", "test");
        let stages: Vec<_> = plan.stages.iter().map(|stage| (stage.name.clone(), stage.partitions)).collect();
        let bus = FaultyBus::new(memory(), Faults::default());
        let faults = bus.tap.clone();
        let world =
            Self { bus: Arc::new(bus), faults, names, stages, window: 100, snapshots: SnapshotRule::NEVER };
        let ready =
            world.stages.iter().map(|(stage, partitions)| topic(world.names.ready(stage), *partitions));
        let specs: Vec<_> =
            ready.chain([topic(world.names.events(), 1), topic(world.names.control(), 1)]).collect();
        world.bus.ensure_topics(&specs, true).await.unwrap();
        world
    }

    pub fn settings(&self) -> PipelineSettings {
        PipelineSettings {
            names: self.names.clone(),
            stages: self.stages.clone(),
            window: self.window,
            leader: "test".to_owned(),
            known_epoch: 0,
            snapshots: self.snapshots,
            clock: Clock::default(),
        }
    }

    /// All records of a topic, of all partitions, in the order of their times.
    pub async fn messages(&self, topic: &str) -> Vec<Message> {
        let bus = &self.bus.inner;
        let mut messages = Vec::new();
        for (partition, bounds) in bus.bounds(topic).await.unwrap().into_iter().enumerate() {
            let mut reader = bus.read(topic, partition as i32, 0..bounds.high).await.unwrap();
            let mut position = 0;
            while position < bounds.high {
                messages.extend(reader.next().await.unwrap());
                position = messages.last().map_or(0, |message: &Message| message.offset + 1);
            }
        }
        messages.sort_by_key(|message| message.time);
        messages
    }

    async fn lines(&self, topic: &str) -> Vec<Line> {
        let messages = self.messages(topic).await;
        // What is not JSON is no line.
        messages.iter().filter_map(line).collect()
    }

    pub async fn events(&self) -> Vec<Line> {
        self.lines(&self.names.events()).await
    }

    /// The ready records of all stages, in the order of their times; those of one batch by key.
    pub async fn ready(&self) -> Vec<Line> {
        let mut lines = Vec::new();
        for (stage, _) in &self.stages {
            lines.extend(self.lines(&self.names.ready(stage)).await);
        }
        lines.sort_by_key(|line| (line.time, line.key.clone()));
        lines
    }

    /// What the ready topics ask for: `a#1 b#1 a#2`.
    pub async fn asked(&self) -> String {
        let asked = |line: &Line| format!("{}#{}", line.key, line.value["attempt"]);
        self.ready().await.iter().map(asked).collect::<Vec<_>>().join(" ")
    }

    /// What the workers were told of a run: `Open Ended`; `-` is a record that removes the others.
    pub async fn gates(&self, uid: &str) -> String {
        let records = self.messages(&self.names.control()).await;
        let word = |message: &Message| match line(message) {
            Some(line) => line.text("state").to_owned(),
            None => "-".to_owned(),
        };
        let of_run = records.iter().filter(|message| message.key == uid).map(word);
        of_run.collect::<Vec<_>>().join(" ")
    }

    /// Waits until the workers were told this.
    pub async fn until_gates(&self, uid: &str, expected: &str) {
        let wait = async {
            while self.gates(uid).await != expected {
                tokio::task::yield_now().await;
            }
        };
        let waited = tokio::time::timeout(DEADLINE, wait).await;
        assert!(waited.is_ok(), "`{uid}` should be: {expected}; it is: {}", self.gates(uid).await);
    }

    /// Writes a record as anybody could.
    pub async fn write(&self, topic: &str, key: &str, value: impl Into<Vec<u8>>) {
        let producer = self.bus.inner.producer().await.unwrap();
        let (key, value) = (key.to_owned().into(), value.into().into());
        producer.send(vec![Outgoing {
            topic: topic.into(),
            partition: 0,
            key,
            value,
            headers: orch_wire::Headers::default(),
            token: 0,
        }]);
    }

    /// Next offset of the events topic: where a run that comes now begins.
    pub async fn events_end(&self) -> i64 {
        self.bus.inner.bounds(&self.names.events()).await.unwrap()[0].high
    }
}

/// A run from the beginning of the topic.
pub fn run(uid: &str, plan: &Arc<RunPlan>) -> RunSettings {
    RunSettings {
        uid: RunUid::new(uid),
        run: format!("default/{uid}"),
        plan: plan.clone(),
        orders: Orders::default(),
        start_offset: 0,
        names_processors: false,
    }
}

/// No two calls that write get the same time, so that times are an order over all topics.
fn memory() -> MemoryBus {
    let last = AtomicI64::new(0);
    MemoryBus::with_clock(Arc::new(move || {
        let next = |last| Some(now_ms().max(last + 1));
        let before = last.fetch_update(Ordering::SeqCst, Ordering::SeqCst, next).unwrap();
        next(before).unwrap()
    }))
}

fn topic(name: String, partitions: u16) -> TopicSpec {
    TopicSpec { name, partitions: i32::from(partitions), replication_factor: None, config: Vec::new() }
}

fn line(message: &Message) -> Option<Line> {
    Some(Line {
        time: message.time,
        key: String::from_utf8(message.key.to_vec()).ok()?,
        value: serde_json::from_slice(&message.value).ok()?,
        reply_topic: message.reply_topic.as_deref().map(str::to_owned),
    })
}
