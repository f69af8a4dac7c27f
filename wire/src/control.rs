//! Records of the `control` topic: which runs workers may start work for. Key: the run's uid; the newest counts.

use serde::{Deserialize, Serialize};

/// One record of the control topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ControlRecord {
    /// The run it speaks of.
    pub run_uid: String,
    /// What workers may do for it.
    pub state: RunGate,
}

/// What workers may do for a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum RunGate {
    /// Start its objects. Acknowledged before the first ready record.
    Open,
    /// Start nothing more; what runs may end.
    Cancelled,
    /// The run is over.
    Ended,
}

impl ControlRecord {
    /// The value as JSON.
    pub fn encode(&self) -> Vec<u8> {
        // A struct of a text and a unit enum always serialises.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads a value; `None` for what is no control record.
    pub fn decode(value: &[u8]) -> Option<Self> {
        serde_json::from_slice(value).ok()
    }
}
