//! What the topics say of a run: when its first object was ready, and when each was loaded, by the broker's clock.

use std::ops::Range;

use orch_bus::{Bus, Message};
use orch_core::id::{Millis, RunUid};
use orch_wire::{AnswerKind, EventsRecord, decode_event};

/// Where the topics of a run ended before it began.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mark {
    ready: i64,
    events: i64,
}

impl Mark {
    /// End of the ready topic.
    pub(crate) fn ready(self) -> i64 {
        self.ready
    }

    /// End of the events topic: nothing before this offset speaks of the run.
    pub(crate) fn events(self) -> i64 {
        self.events
    }
}

/// When a run did what.
#[derive(Debug, Clone)]
pub(crate) struct Times {
    /// The first ready record was appended.
    pub(crate) first_ready_ms: Millis,
    /// Each object was loaded, in this order.
    pub(crate) loaded_ms: Vec<Millis>,
}

impl Times {
    /// From the first ready record to the last answer. The broker counts milliseconds: no run is shorter than one.
    pub(crate) fn seconds(&self) -> f64 {
        let last = self.loaded_ms.last().copied().unwrap_or(self.first_ready_ms);
        (last - self.first_ready_ms).max(1) as f64 / 1e3
    }
}

/// The topics that runs share, one ready topic and events.
#[derive(Debug, Clone)]
pub(crate) struct Topics {
    pub(crate) ready: String,
    pub(crate) events: String,
}

impl Topics {
    /// Where they end.
    pub(crate) async fn mark(&self, bus: &dyn Bus) -> Mark {
        let end = async |topic: &str| bus.bounds(topic).await.unwrap()[0].high;
        Mark { ready: end(&self.ready).await, events: end(&self.events).await }
    }

    /// What a run did that began after the mark and is over.
    pub(crate) async fn times(&self, bus: &dyn Bus, from: Mark, run: &RunUid) -> Times {
        let to = self.mark(bus).await;
        let first = read(bus, &self.ready, from.ready..from.ready + 1).await;
        let events = read(bus, &self.events, from.events..to.events).await;
        let is_loaded = |message: &&Message| match decode_event(&message.key, &message.value) {
            Ok(EventsRecord::Answer(answer)) => {
                matches!(answer.kind, AnswerKind::Loaded { .. }) && answer.run_uid == run.as_str()
            }
            _ => false,
        };
        Times {
            first_ready_ms: first[0].time,
            loaded_ms: events.iter().filter(is_loaded).map(|message| message.time).collect(),
        }
    }
}

/// The records of a stretch of a topic with one partition.
async fn read(bus: &dyn Bus, topic: &str, stretch: Range<i64>) -> Vec<Message> {
    let mut messages = Vec::new();
    let mut reader = bus.read(topic, 0, stretch.clone()).await.unwrap();
    loop {
        let batch = reader.next().await.unwrap();
        if batch.is_empty() {
            messages.retain(|message: &Message| stretch.contains(&message.offset));
            return messages;
        }
        messages.extend(batch);
    }
}
