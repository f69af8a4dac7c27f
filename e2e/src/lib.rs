//! What the end-to-end tests stand on: clients, processes, and a reader of the topics that shares no code with the
//! engine.
//!
//! Everything here panics with a text when a server is missing or a wait runs out: it is test code.
#![allow(clippy::panic, clippy::unwrap_used, clippy::missing_panics_doc)]

pub mod api;
pub mod broker;
pub mod chance;
pub mod checker;
pub mod command;
pub mod control_plane;
pub mod executions;
pub mod gateway;
pub mod graphs;
pub mod history;
pub mod http;
pub mod kubelet;
pub mod local;
pub mod paced;
pub mod process;
pub mod proxy;
pub mod recorder;
pub mod setup;
pub mod topics;
pub mod variables;
