//! What the actor counts, and what it tells people.

use std::sync::atomic::{AtomicU64, Ordering};

use orch_core::engine::{Event, Refused};

use crate::latency::Latency;

/// Counters of one Pipeline's actor. They only grow.
#[derive(Debug, Default)]
pub struct Stats {
    /// Ready records handed to the bus.
    pub published: AtomicU64,
    /// Answers that ended an attempt well.
    pub loaded: AtomicU64,
    /// Answers that ended an attempt badly, the operator's own included.
    pub failed: AtomicU64,
    /// Other records that counted: starts, heartbeats, the operator's.
    pub other: AtomicU64,
    /// From the first of some answers that are taken up together to the ready records that they let be published, handed to
    /// the bus.
    pub answer_to_ready: Latency,
    refused: [AtomicU64; REASONS.len()],
}

const REASONS: [Refused; 9] = [
    Refused::StaleAttempt,
    Refused::FutureAttempt,
    Refused::Late,
    Refused::Duplicate,
    Refused::ForeignRun,
    Refused::WrongStage,
    Refused::UnknownObject,
    Refused::Malformed,
    Refused::Fenced,
];

impl Stats {
    pub(crate) fn refuse(&self, why: Refused) {
        if let Some(n) = REASONS.iter().position(|reason| *reason == why) {
            self.refused[n].fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn count(&self, event: &Event) {
        let counter = match event {
            Event::Loaded { .. } => &self.loaded,
            Event::Failed { .. } | Event::Expired { .. } => &self.failed,
            Event::RunStarted { .. }
            | Event::LeaderStarted { .. }
            | Event::Started { .. }
            | Event::Progress { .. }
            | Event::RunCancelled { .. } => &self.other,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Records that changed nothing, by reason.
    pub fn refused(&self) -> impl Iterator<Item = (Refused, u64)> + '_ {
        REASONS.iter().zip(&self.refused).map(|(reason, count)| (*reason, count.load(Ordering::Relaxed)))
    }
}

/// Something that a person may want to know. The operator makes Kubernetes Events of these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// A record on the events topic that nobody can read.
    BadRecord {
        /// Its offset.
        offset: i64,
        /// What is wrong with it.
        problem: String,
    },
    /// A ready record was given up by the bus and will be published again.
    Undelivered {
        /// Uid of the run.
        run_uid: String,
        /// Id of the object.
        object: String,
        /// Why.
        problem: String,
    },
}
