//! Judges a run by its topics alone: whether every object was accepted exactly once, none began before its parents were
//! loaded, and the status says what the records say. It shares no code with the engine, and nothing of ours at all: it
//! reads the contract anew, with JSON values and maps (`tidy` holds that). The program `orch-history` is around it.
//!
//! What it cannot judge it refuses: `targets`, `dependsOnStarted`, `undefinedDependencies` other than Reject, `FailFast`,
//! and catalogues.

mod graph;
mod laws;
mod ledger;
mod log;
mod said;

pub use graph::{Graph, Sources};
pub use laws::{Leave, Totals, Verdict, judge};
pub use log::{Log, Record, read_dump, read_topics, write_record};

#[cfg(test)]
mod tests;
