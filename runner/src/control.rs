//! The gate of a run: what the workers have to be told. Pure.

use std::sync::Arc;

use orch_bus::Outgoing;
use orch_core::id::RunUid;
use orch_wire::RunGate;

use crate::run::Run;

/// What the workers should know of this run now; `None` while it has not begun.
pub(crate) fn wanted(run: &Run) -> Option<RunGate> {
    run.state.started_at()?;
    Some(match (run.state.ended_by(), run.is_over()) {
        (Some(_), _) => RunGate::Cancelled,
        (None, true) => RunGate::Ended,
        (None, false) => RunGate::Open,
    })
}

/// Takes the word about a run off the topic: what nothing was said about is not open, and the topic does not grow with
/// every run.
pub(crate) fn forget(uid: &RunUid, control_topic: &Arc<str>) -> Outgoing {
    Outgoing {
        topic: control_topic.clone(),
        partition: 0,
        key: uid.as_str().to_owned().into(),
        value: Vec::new().into(),
        headers: Vec::new(),
        token: 0,
    }
}
