//! The gate of a run: what the workers have to be told. Pure.

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
