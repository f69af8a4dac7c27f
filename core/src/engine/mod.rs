//! The engine of one run: `fold` says what the log means, [`decide`] what to do next. Both are pure.
//!
//! The state is the fold of the run's records in the events topic and of nothing else, live and in recovery alike.
//! What has been published is bookkeeping of the leader ([`Dispatch`]) and comes back from the ready topics.

// `state` and `stage` are both words of this subject.
#![allow(clippy::similar_names)]

mod backoff;
mod decide;
mod dispatch;
mod event;
mod failures;
mod fold;
mod invariants;
mod outputs;
mod project;
mod snapshot;
mod state;
mod window;

pub use backoff::backoff;
pub use decide::{Append, Effects, Orders, Publish, decide};
pub use dispatch::{Dispatch, Publication};
pub use event::{Event, Failure, OperatorReason, Record, RunEnd};
pub use fold::{Changes, EPOCH_STEP, Refused, may_lead};
pub use invariants::invariants;
pub use outputs::Handed;
pub use project::{Counts, Detail, FailureView, ObjectPhase, ObjectView, RunPhase, RunView, project};
pub use snapshot::SnapshotFault;
pub use state::{Cell, FREE_DRAINS, FailedAttempt, Phase, PhaseCounts, RunState};
pub use window::{Window, replicas_wanted, share};
