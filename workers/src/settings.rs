//! Settings of one worker.

use orch_core::drain::Drain;

/// Which topics a worker reads and writes, and how much it does at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Its name in answers and in the status; a pod's name in a cluster.
    pub worker: String,
    /// Ready topic of the stage.
    pub ready_topic: String,
    /// Where answers go when a ready record does not say.
    pub events_topic: String,
    /// Which runs are open.
    pub control_topic: String,
    /// Consumer group; by the contract the name of the ready topic.
    pub group: String,
    /// Objects at the same time; 0 counts as 1.
    pub concurrency: usize,
    /// What is done until when after a shutdown was asked for.
    pub drain: Drain,
}
