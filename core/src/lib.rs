//! Objects, graph and engine: what may start, what ended and why.
//!
//! Pure: no I/O, no async, no clock (time comes as an argument), no randomness. The way through it:
//! a catalogue or a resource gives a [`spec::RunSpec`]; [`plan::plan`] makes a [`plan::RunPlan`] of it or a list
//! of findings; [`engine`] folds the records of the run into a state and decides what to publish.

pub mod catalogue;
pub mod chance;
mod counted;
pub mod drain;
pub mod duration;
pub mod engine;
pub mod finding;
pub mod graph;
pub mod id;
mod id_table;
pub mod limits;
pub mod plan;
pub mod root_cause;
pub mod spec;
pub mod why;

pub use counted::{are, counted, grouped};
