//! The actor of the runs on one set of topics: bus, clock and timers around `fold` and `decide`.
//!
//! One task a Pipeline (an inline run is a Pipeline of its own) reads the events topic, folds each record into the
//! state of its run, decides, and sends the effects to the bus. It knows no Kubernetes: `orch run` and the operator use
//! the same actor. It decides nothing about an object itself.

// `state` and `stage` are both words of this subject.
#![allow(clippy::similar_names)]

mod actor;
mod arrivals;
mod busy;
mod clock;
mod control;
mod effects;
mod handle;
mod intake;
mod latency;
mod outbox;
mod records;
mod recovery;
mod run;
mod runs;
mod snapshots;
mod stages;
mod stats;
mod takeover;
mod term;
mod topics;

pub use busy::Hands;
pub use clock::{Clock, now_ms};
pub use handle::{
    Demand, Ended, Exit, Needed, Outlets, PipelineHandle, PipelineSettings, RunSettings, RunSnapshot,
    StageDemand,
};
pub use latency::Latency;
pub use snapshots::SnapshotRule;
pub use stats::{Notice, Stats};
pub use topics::topics;
