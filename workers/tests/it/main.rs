//! The runtime over the in-memory bus, and the built-in processors against real processes and a real HTTP server.
//!
//! - `support`: a bus with topics, records to put into it, a processor that does what its object's id says
//! - `spy`: a bus that holds acknowledgements back and fails when told to
//! - `flow`: ready records in, answers out; gate, malformed records, overrides, panics
//! - `order`: answer before finish, what is sent again, duplicates, concurrency
//! - `inputs`: inputs that a ready record only names
//! - `time`: heartbeats, run timeout, draining, on a paused clock where nothing real is waited for
//! - `exec`, `http`: the processors by themselves

// A failed expectation ends the test.
#![allow(clippy::unwrap_used, clippy::panic)]

mod exec;
mod flow;
#[cfg(feature = "http")]
mod http;
mod inputs;
mod order;
mod spy;
mod support;
mod time;
