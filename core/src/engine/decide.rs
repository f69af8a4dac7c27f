//! `decide`: what to publish and to write next. Pure: the time is an argument, the effects are values.

use std::cmp::Reverse;

use crate::engine::dispatch::{Dispatch, Publication};
use crate::engine::window::Window;
use crate::engine::{OperatorReason, Phase, RunEnd, RunState};
use crate::id::{Attempt, Millis, ObjectIx, StageIx};

/// Timeouts are looked at no more often than this.
const LOOK_INTERVAL_MS: Millis = 250;

/// What a person may change while the run goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Orders {
    /// End the run.
    pub cancel: bool,
    /// End it so long after its start.
    pub timeout_ms: Option<Millis>,
    /// Published and not ended at most, over all stages.
    pub max_in_flight: u32,
}

impl Default for Orders {
    fn default() -> Self {
        Self { cancel: false, timeout_ms: None, max_in_flight: 4096 }
    }
}

/// What to do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Effects {
    /// Ready records to publish, in this order.
    pub publish: Vec<Publish>,
    /// Records to append to the events topic. They are in force when they are read back.
    pub append: Vec<Append>,
    /// Decide again at this time at the latest.
    pub wake_at: Option<Millis>,
}

/// One ready record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Publish {
    /// Which object.
    pub object: ObjectIx,
    /// Which attempt.
    pub attempt: Attempt,
    /// Where to.
    pub partition: u16,
}

/// One record of the operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Append {
    /// The run begins.
    Start,
    /// The run ends.
    Cancel(RunEnd),
    /// An attempt is given up.
    Expire(ObjectIx, Attempt, OperatorReason),
}

/// Says what to do at `now`. `allowance` is this run's share of each stage's room.
pub fn decide(
    state: &RunState,
    dispatch: &mut Dispatch,
    now: Millis,
    orders: &Orders,
    (windows, allowance): (&mut [Window], &[u32]),
) -> Effects {
    let mut effects = Effects::default();
    if state.is_over() {
        return effects;
    }
    let Some(started_at) = state.started_at() else {
        if !dispatch.start_asked {
            dispatch.start_asked = true;
            effects.append.push(Append::Start);
        }
        return effects;
    };
    let deadline = orders.timeout_ms.map(|timeout| started_at + timeout);
    let end = match deadline {
        _ if orders.cancel => Some(RunEnd::Cancelled),
        Some(deadline) if deadline <= now => Some(RunEnd::DeadlineExceeded),
        _ if is_abandoned(state, dispatch) => Some(RunEnd::ObjectsFailed),
        _ => None,
    };
    if let Some(reason) = end {
        if !dispatch.end_asked {
            dispatch.end_asked = true;
            effects.append.push(Append::Cancel(reason));
        }
        return effects;
    }
    effects.wake_at = deadline;
    if !state.is_stopping() {
        let room = orders.max_in_flight.saturating_sub(dispatch.in_flight());
        publish(state, dispatch, now, (windows, allowance, room), &mut effects);
    }
    // Last, so that it knows what was published just now: nothing else may wake the run up again.
    expire(state, dispatch, now, &mut effects);
    effects
}

/// Whether publishing stopped and nothing is outstanding. What was published is not in the log: that it is over is said
/// there, so that whoever leads and whoever works agree on it.
fn is_abandoned(state: &RunState, dispatch: &Dispatch) -> bool {
    state.is_stopping() && dispatch.in_flight() == 0 && state.counts().of(Phase::Running) == 0
}

/// Attempts that took too long. All objects are looked at, at most four times a second: a scan of 100,000 cells takes
/// a tenth of a millisecond, and no timer has to be kept right.
fn expire(state: &RunState, dispatch: &mut Dispatch, now: Millis, effects: &mut Effects) {
    let active = dispatch.in_flight() > 0 || state.counts().of(Phase::Running) > 0;
    if active && now >= dispatch.next_look {
        let mut next = Millis::MAX;
        for ix in state.plan().indices() {
            match overdue(state, dispatch, ix) {
                Some((due, reason)) if due <= now && !dispatch.is_expiring(ix) => {
                    dispatch.mark_expiring(ix);
                    effects.append.push(Append::Expire(ix, state.cell(ix).attempt, reason));
                }
                Some((due, _)) if due > now => next = next.min(due),
                _ => {}
            }
        }
        // What starts from now on has its own, later deadline: look again before the shortest can have passed.
        dispatch.next_look = next.min(now + dispatch.shortest_timeout_ms).max(now + LOOK_INTERVAL_MS);
    }
    if active {
        effects.wake_at = Some(earliest(effects.wake_at, dispatch.next_look));
    }
}

/// When the object's current attempt is overdue, and why.
fn overdue(state: &RunState, dispatch: &Dispatch, ix: ObjectIx) -> Option<(Millis, OperatorReason)> {
    let cell = state.cell(ix);
    match cell.phase {
        Phase::Ready => {
            let published = dispatch.publication(ix)?;
            let timeout = state.plan().object(ix).policies.timeouts.queue_ms?;
            Some((published.time + timeout, OperatorReason::QueueTimeout))
        }
        Phase::Running => {
            let timeouts = &state.plan().object(ix).policies.timeouts;
            let lost = (cell.last_sign + timeouts.heartbeat_ms, OperatorReason::HeartbeatLost);
            let too_long = timeouts
                .run_ms
                .zip(cell.started_at)
                .map(|(ms, start)| (start + ms, OperatorReason::RunTimeout));
            Some(too_long.filter(|(due, _)| *due <= lost.0).unwrap_or(lost))
        }
        Phase::Pruned
        | Phase::Pending
        | Phase::Loaded
        | Phase::Failed
        | Phase::Blocked
        | Phase::Cancelled => None,
    }
}

fn publish(
    state: &RunState,
    dispatch: &mut Dispatch,
    now: Millis,
    (windows, allowance, mut in_flight_room): (&mut [Window], &[u32], u32),
    effects: &mut Effects,
) {
    while let Some(Reverse((due, ix))) = dispatch.delayed.peek().copied() {
        if due > now {
            effects.wake_at = Some(earliest(effects.wake_at, due));
            break;
        }
        dispatch.delayed.pop();
        dispatch.ready[state.plan().object(ix).stage.usize()].push_back(ix);
    }
    for (n, window) in windows.iter_mut().enumerate() {
        let stage = StageIx(n as u16);
        let mut left = allowance[n].min(window.room());
        while left > 0 && in_flight_room > 0 {
            let Some(ix) = dispatch.ready[n].pop_front() else { break };
            let cell = state.cell(ix);
            // It may have been answered or cancelled while it waited here.
            if cell.phase != Phase::Ready || dispatch.publication(ix).is_some() {
                continue;
            }
            // It waited here for an attempt that was answered meanwhile: the next one has a time of its own.
            if cell.attempt > 1 && cell.not_before > now {
                dispatch.delayed.push(Reverse((cell.not_before, ix)));
                effects.wake_at = Some(earliest(effects.wake_at, cell.not_before));
                continue;
            }
            let partition = window.take();
            dispatch.mark(stage, ix, Publication::new(cell.attempt, partition, now));
            effects.publish.push(Publish { object: ix, attempt: cell.attempt, partition });
            left -= 1;
            in_flight_room -= 1;
        }
    }
}

fn earliest(a: Option<Millis>, b: Millis) -> Millis {
    a.map_or(b, |a| a.min(b))
}
