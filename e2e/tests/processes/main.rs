//! The whole, with operator and workers as processes beside a real API server and a real broker.
//!
//! One test a file; what they share is in `setup.rs`. Each has a namespace, a topic prefix and a Lease of its own, so
//! that they can run at the same time.
#![allow(clippy::unwrap_used, clippy::panic)]

mod catalogue;
mod command;
mod command_stopped;
mod command_trouble;
mod deletion;
mod external;
mod garbage;
mod inputs;
mod kills;
mod lost;
mod others;
mod pipelines;
mod policies;
mod processors;
mod runs;
mod secured;
mod topics;
mod trouble;
mod truncation;
