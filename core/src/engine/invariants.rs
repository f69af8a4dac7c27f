//! What always holds between two steps of the engine. Tests check it after every step, and a state that comes out of a
//! snapshot is held against it once.

use std::collections::{HashMap, HashSet};

use crate::engine::{Cell, Dispatch, Phase, RunState, Window};
use crate::id::{ObjectIx, StageIx};
use crate::spec::FailurePolicy;

/// Checks the state and the bookkeeping of a run after [`Dispatch::absorb`]; the error says what is wrong.
///
/// `windows` may be shared with other runs: they hold at least what this run has published.
pub fn invariants(state: &RunState, dispatch: &Dispatch, windows: &[Window]) -> Result<(), String> {
    state_is_consistent(state)?;
    for ix in state.plan().indices() {
        let id = &state.plan().object(ix).id;
        publication_is_current(state, dispatch, ix).map_err(|fault| format!("{id}: {fault}"))?;
    }
    outstanding_equals_a_recount(state, dispatch, windows)?;
    nothing_is_forgotten(state, dispatch)
}

/// What holds of a state by itself.
pub(super) fn state_is_consistent(state: &RunState) -> Result<(), String> {
    counts_equal_a_recount(state)?;
    run_is_consistent(state)?;
    holds(state.outputs.is_counted_right(), "the texts of outputs are miscounted")?;
    for ix in state.plan().indices() {
        let id = &state.plan().object(ix).id;
        object_is_consistent(state, ix).map_err(|fault| format!("{id}: {fault}"))?;
    }
    Ok(())
}

fn holds(condition: bool, fault: &str) -> Result<(), String> {
    if condition { Ok(()) } else { Err(fault.to_owned()) }
}

fn counts_equal_a_recount(state: &RunState) -> Result<(), String> {
    let mut recount = HashMap::<Phase, u32>::new();
    for ix in state.plan().indices() {
        *recount.entry(state.cell(ix).phase).or_default() += 1;
    }
    let all = [
        Phase::Pruned,
        Phase::Pending,
        Phase::Ready,
        Phase::Running,
        Phase::Loaded,
        Phase::Failed,
        Phase::Blocked,
        Phase::Cancelled,
    ];
    for phase in all {
        let (counted, found) = (state.counts().of(phase), recount.get(&phase).copied().unwrap_or(0));
        if counted != found {
            return Err(format!("{counted} objects are counted as {phase:?}, there are {found}"));
        }
    }
    Ok(())
}

fn run_is_consistent(state: &RunState) -> Result<(), String> {
    let counts = state.counts();
    let ended = state.ended_by().is_some() || state.plan_changed();
    holds(!ended || counts.unfinished() == 0, "the run was ended, and objects are unfinished")?;
    let begun = counts.of(Phase::Ready) + counts.of(Phase::Running) + counts.of(Phase::Failed);
    holds(state.started_at().is_some() || begun == 0, "objects have begun before the run")?;
    if state.is_stopping() {
        let fail_fast = state.plan().failure_policy == FailurePolicy::FailFast;
        holds(fail_fast && counts.of(Phase::Failed) > 0, "the run stops without a failure under FailFast")?;
        holds(counts.of(Phase::Pending) == 0, "the run stops, and objects are pending")?;
    }
    Ok(())
}

fn object_is_consistent(state: &RunState, ix: ObjectIx) -> Result<(), String> {
    let cell = state.cell(ix);
    let dependencies = state.plan().graph.dependencies(ix);
    // A dependency that no target needs waits for nothing either, so that only the phase decides.
    let missing =
        dependencies.iter().filter(|dependency| state.cell(**dependency).phase != Phase::Loaded).count();
    holds(cell.waiting_for as usize == missing, "its count of missing dependencies is wrong")?;
    outputs_are_kept_while_needed(state, ix, cell)?;
    attempts_are_consistent(state, ix, cell)?;
    match cell.phase {
        Phase::Pending => {
            holds(cell.attempt == 0, "it is pending and has an attempt")?;
            holds(state.started_at().is_none() || missing > 0, "it is pending and waits for nothing")
        }
        Phase::Ready => holds(missing == 0, "it is ready before its dependencies are loaded"),
        Phase::Running => {
            holds(missing == 0, "it runs before its dependencies are loaded")?;
            holds(cell.started_at.is_some(), "it runs and has not started")
        }
        Phase::Loaded => {
            holds(missing == 0 || state.plan().object(ix).assumed, "it is loaded before its dependencies")
        }
        Phase::Failed => holds(missing == 0, "it failed before its dependencies were loaded"),
        Phase::Blocked => blocked_by_a_failure(state, ix),
        Phase::Pruned => holds(!state.plan().is_needed(ix), "it is pruned and a target needs it"),
        Phase::Cancelled => Ok(()),
    }
}

fn outputs_are_kept_while_needed(state: &RunState, ix: ObjectIx, cell: &Cell) -> Result<(), String> {
    let Some(place) = state.outputs.place(ix) else {
        return holds(state.outputs.text(ix).is_none(), "it handed nothing on, and a text of it is held");
    };
    holds(cell.phase == Phase::Loaded, "it handed something on before it was loaded")?;
    holds(place.needed_by == state.open_dependants(ix), "its count of open dependants is wrong")?;
    holds(place.needed_by > 0 || state.outputs.text(ix).is_none(), "it holds a text that nobody needs")
}

/// One dependency failed or is blocked itself: so there is a way up to a failure.
fn blocked_by_a_failure(state: &RunState, ix: ObjectIx) -> Result<(), String> {
    let dependencies = state.plan().graph.dependencies(ix);
    let lost = |phase| matches!(phase, Phase::Failed | Phase::Blocked);
    let linked = dependencies.iter().any(|dependency| lost(state.cell(*dependency).phase));
    holds(linked, "it is blocked by nothing that failed")
}

fn attempts_are_consistent(state: &RunState, ix: ObjectIx, cell: &Cell) -> Result<(), String> {
    let failed = state.failed_attempts(ix);
    let numbered = failed.iter().zip(1..).all(|(failed, number)| failed.attempt == number);
    holds(numbered, "its failed attempts are not 1, 2, 3 ...")?;
    let failed = failed.len() as u32;
    let most = state.plan().object(ix).policies.retry.max_attempts.max(1) + state.free_attempts(ix);
    holds(cell.attempt <= most, "it had too many attempts")?;
    match cell.phase {
        Phase::Failed => {
            holds(failed > 0 && failed == cell.attempt, "it failed, and its last attempt did not")
        }
        Phase::Ready | Phase::Running => {
            holds(failed + 1 == cell.attempt, "its attempt does not follow the last failed one")
        }
        Phase::Loaded if cell.attempt > 0 => {
            holds(failed + 1 == cell.attempt, "it is loaded by another attempt")
        }
        Phase::Loaded => holds(state.plan().object(ix).assumed, "it is loaded without an attempt"),
        Phase::Pruned | Phase::Pending | Phase::Blocked => {
            holds(failed == 0 && cell.attempt == 0, "it had an attempt")
        }
        Phase::Cancelled => Ok(()),
    }
}

fn publication_is_current(state: &RunState, dispatch: &Dispatch, ix: ObjectIx) -> Result<(), String> {
    let Some(publication) = dispatch.publication(ix) else { return Ok(()) };
    let cell = state.cell(ix);
    holds(
        matches!(cell.phase, Phase::Ready | Phase::Running),
        "it is outstanding and has ended or not begun",
    )?;
    holds(publication.attempt == cell.attempt, "another attempt than the current one is outstanding")
}

fn outstanding_equals_a_recount(
    state: &RunState,
    dispatch: &Dispatch,
    windows: &[Window],
) -> Result<(), String> {
    let mut stages = vec![0_u32; state.plan().stages.len()];
    let mut partitions = HashMap::<(usize, u16), u32>::new();
    for ix in state.plan().indices() {
        if let Some(publication) = dispatch.publication(ix) {
            let stage = state.plan().object(ix).stage.usize();
            stages[stage] += 1;
            *partitions.entry((stage, publication.partition)).or_default() += 1;
        }
    }
    for (n, outstanding) in stages.iter().enumerate() {
        holds(
            *outstanding == dispatch.outstanding(StageIx(n as u16)),
            "a stage's outstanding objects are miscounted",
        )?;
    }
    // A partition that a window does not have is not counted there.
    let known = partitions.iter().filter(|((stage, partition), _)| *partition < windows[*stage].partitions());
    for ((stage, partition), outstanding) in known {
        if windows[*stage].load(*partition) < *outstanding {
            return Err(format!(
                "partition {partition} of stage {stage} counts less than is outstanding there"
            ));
        }
    }
    Ok(())
}

/// What may be published is published or waits in a queue.
fn nothing_is_forgotten(state: &RunState, dispatch: &Dispatch) -> Result<(), String> {
    if state.is_stopping() {
        return Ok(());
    }
    let at_once = dispatch.ready.iter().flatten().copied();
    let queued: HashSet<ObjectIx> = at_once.chain(dispatch.delayed.iter().map(|entry| entry.0.1)).collect();
    for ix in state.plan().indices().filter(|ix| state.cell(*ix).phase == Phase::Ready) {
        if dispatch.publication(ix).is_none() && !queued.contains(&ix) {
            return Err(format!(
                "{}: it is ready, not published and in no queue",
                state.plan().object(ix).id
            ));
        }
    }
    Ok(())
}
