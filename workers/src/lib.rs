//! The worker runtime: takes ready records from a bus, has a [`Processor`] do the work, and answers.
//!
//! A worker of your own is a crate with one type that implements [`Processor`], and a `main` that calls `run`:
//!
//! ```no_run
//! # #[cfg(feature = "kafka")] mod example {
//! use orch_workers::{Outputs, Processor, Progress, Registry, Work, WorkFailure, async_trait};
//!
//! struct Load;
//!
//! #[async_trait]
//! impl Processor for Load {
//!     async fn process(&self, work: &Work, _: &Progress) -> Result<Outputs, WorkFailure> {
//!         println!("loading {}", work.object());
//!         Ok(Outputs::none())
//!     }
//! }
//!
//! fn main() -> std::process::ExitCode {
//!     orch_workers::run(Registry::single(Load))
//! }
//! # }
//! ```
//!
//! Its settings are the environment variables that the operator gives to the pods of a stage. [`Worker`] is the same
//! runtime inside a process that has a bus already.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod control;
mod exec;
mod exec_output;
mod gate;
mod health;
mod heartbeat;
#[cfg(feature = "http")]
mod http;
mod in_flight;
mod inputs;
mod membership;
mod outbox;
mod processor;
mod registry;
mod runtime;
#[cfg(feature = "kafka")]
mod service;
mod settings;
mod simulate;
mod trouble;
mod work;
mod work_loop;

pub use async_trait::async_trait;
pub use exec::Exec;
pub use health::Health;
#[cfg(feature = "http")]
pub use http::{Http, HttpProcessor};
pub use orch_core::drain::Drain;
pub use outbox::{Counters, Counts};
pub use processor::{Outputs, Processor, Progress, WorkFailure};
pub use registry::{InvalidProcessor, Processors, Registry};
pub use runtime::Worker;
#[cfg(feature = "kafka")]
pub use service::run;
pub use settings::Settings;
pub use simulate::Simulate;
pub use work::{MalformedReady, Work};
