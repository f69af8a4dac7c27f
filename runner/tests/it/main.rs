//! Tests of the actor over the in-memory bus. `world` holds the topics and what stands in them, `operator` an actor in
//! a runtime of its own (so that it can be killed), `worker` a worker that does as it is told, `faulty` a bus whose
//! broker goes away, refuses records or keeps its acknowledgements back, `plans` graphs as texts.
//!
//! Tests: `life` (one run from start to end), `endings` (cancel, deadline, `FailFast`), `sharing` (several runs, windows,
//! demand), `contract` (what the records say), `restart` (recovery and take-over), `trouble` (a bus that fails),
//! `bad_records`. What a seed does to it stands in `tests/sim`.

// Nothing outside sees what is public here.
#![allow(unreachable_pub, clippy::unwrap_used, clippy::panic)]

mod bad_records;
mod contract;
mod endings;
mod faulty;
mod life;
mod operator;
mod plans;
mod restart;
mod sharing;
mod snapshots;
mod trouble;
mod worker;
mod world;
