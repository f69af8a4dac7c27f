//! The projection: what a person sees of a run. The status of the resource, the progress bars and the summary all
//! come from here.

use std::collections::HashMap;

use crate::engine::{Dispatch, FailedAttempt, Phase, RunEnd, RunState};
use crate::id::{Attempt, Epoch, Millis, ObjectIx};
use crate::root_cause::root_causes;

/// The phase of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RunPhase {
    /// It has not begun.
    Pending,
    /// Objects are under way.
    Running,
    /// Every needed object is loaded.
    Succeeded,
    /// An object failed, its time was over, or its plan changed.
    Failed,
    /// A person ended it.
    Cancelled,
}

impl RunPhase {
    /// The word that the status writes.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Running => "Running",
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
            Self::Cancelled => "Cancelled",
        }
    }

    /// Whether the run is over.
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }
}

/// The phase of an object as people see it: the log's phase, and whether it is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ObjectPhase {
    /// No target needs it.
    Pruned,
    /// Waits for dependencies.
    Pending,
    /// May start, waits for the window.
    Ready,
    /// In Kafka, not started.
    Queued,
    /// A worker has it.
    Running,
    /// An attempt failed, the next one waits for its time.
    Retrying,
    /// Done.
    Loaded,
    /// Failed for good.
    Failed,
    /// Something that it needs failed.
    Blocked,
    /// The run ended first.
    Cancelled,
}

impl ObjectPhase {
    /// All phases.
    pub const ALL: [Self; 10] = [
        Self::Pruned,
        Self::Pending,
        Self::Ready,
        Self::Queued,
        Self::Running,
        Self::Retrying,
        Self::Loaded,
        Self::Failed,
        Self::Blocked,
        Self::Cancelled,
    ];

    /// The letter of `status.phaseMap`.
    pub fn letter(self) -> u8 {
        match self {
            Self::Pruned => b'-',
            Self::Pending => b'P',
            Self::Ready => b'R',
            Self::Queued => b'Q',
            Self::Running => b'N',
            Self::Retrying => b'T',
            Self::Loaded => b'L',
            Self::Failed => b'F',
            Self::Blocked => b'B',
            Self::Cancelled => b'X',
        }
    }

    /// The phase of a letter of `status.phaseMap`.
    pub fn from_letter(letter: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|phase| phase.letter() == letter)
    }

    /// The word that the status writes.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pruned => "Pruned",
            Self::Pending => "Pending",
            Self::Ready => "Ready",
            Self::Queued => "Queued",
            Self::Running => "Running",
            Self::Retrying => "Retrying",
            Self::Loaded => "Loaded",
            Self::Failed => "Failed",
            Self::Blocked => "Blocked",
            Self::Cancelled => "Cancelled",
        }
    }
}

/// Objects by phase; pruned objects are not counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    by_phase: [u32; 10],
}

impl Counts {
    /// Objects in this phase.
    pub fn of(&self, phase: ObjectPhase) -> u32 {
        self.by_phase[phase as usize]
    }

    /// Objects that a target needs.
    pub fn total(&self) -> u32 {
        self.by_phase.iter().sum::<u32>() - self.of(ObjectPhase::Pruned)
    }

    fn add(&mut self, phase: ObjectPhase) {
        self.by_phase[phase as usize] += 1;
    }
}

/// How much of the objects to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Detail {
    /// Up to so many objects all are listed; above, only those that need a person, at most as many.
    pub objects: usize,
    /// Failures, those that block most first.
    pub failures: usize,
}

impl Default for Detail {
    fn default() -> Self {
        Self { objects: 1_000, failures: 20 }
    }
}

/// What a person sees of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct RunView {
    /// Phase of the run.
    pub phase: RunPhase,
    /// Why it ended as it did: `Completed`, `ObjectsFailed`, `Cancelled`, `DeadlineExceeded`, `PlanChanged`.
    pub reason: Option<&'static str>,
    /// Objects of the run.
    pub counts: Counts,
    /// Objects of each stage, in plan order.
    pub stages: Vec<Counts>,
    /// One letter an object, in plan order.
    pub letters: Vec<u8>,
    /// Objects in detail; see [`Detail`].
    pub objects: Vec<ObjectView>,
    /// What failed, what blocks most first.
    pub failures: Vec<FailureView>,
    /// When the run began.
    pub started_at: Option<Millis>,
    /// When it ended.
    pub ended_at: Option<Millis>,
    /// Term of the leader.
    pub epoch: Epoch,
}

/// One object in detail.
#[derive(Debug, Clone, PartialEq)]
pub struct ObjectView {
    /// Which object.
    pub object: ObjectIx,
    /// Where it stands.
    pub phase: ObjectPhase,
    /// Current or last attempt.
    pub attempt: Attempt,
    /// Who has or had it.
    pub worker: Option<String>,
    /// When the current or last attempt was seen to begin: its first sign; else its publication; else, of one that
    /// ended without a sign before, when it became ready.
    pub started_at: Option<Millis>,
    /// When it ended.
    pub ended_at: Option<Millis>,
    /// Of the last failed attempt.
    pub reason: Option<String>,
    /// Of the last failed attempt.
    pub message: Option<String>,
    /// The object whose failure blocks this one.
    pub root_cause: Option<ObjectIx>,
}

/// One failure.
#[derive(Debug, Clone, PartialEq)]
pub struct FailureView {
    /// Which object.
    pub object: ObjectIx,
    /// Its failed attempts, oldest first; never empty.
    pub attempts: Vec<FailedAttempt>,
    /// Objects that are blocked by it.
    pub blocks: u32,
}

/// The phase of one object as people see it.
fn object_phase(state: &RunState, dispatch: &Dispatch, ix: ObjectIx) -> ObjectPhase {
    let cell = state.cell(ix);
    match cell.phase {
        Phase::Pruned => ObjectPhase::Pruned,
        Phase::Pending => ObjectPhase::Pending,
        // What was not published when `FailFast` stopped the run never will be.
        Phase::Ready if state.is_stopping() && dispatch.publication(ix).is_none() => ObjectPhase::Cancelled,
        Phase::Ready if dispatch.publication(ix).is_some() => ObjectPhase::Queued,
        Phase::Ready if cell.attempt > 1 => ObjectPhase::Retrying,
        Phase::Ready => ObjectPhase::Ready,
        Phase::Running => ObjectPhase::Running,
        Phase::Loaded => ObjectPhase::Loaded,
        Phase::Failed => ObjectPhase::Failed,
        Phase::Blocked => ObjectPhase::Blocked,
        Phase::Cancelled => ObjectPhase::Cancelled,
    }
}

/// What a person sees of the run now.
pub fn project(state: &RunState, dispatch: &Dispatch, detail: Detail) -> RunView {
    let plan = state.plan();
    let mut counts = Counts::default();
    let mut stages = vec![Counts::default(); plan.stages.len()];
    let phases: Vec<ObjectPhase> = plan.indices().map(|ix| object_phase(state, dispatch, ix)).collect();
    for (ix, phase) in plan.indices().zip(&phases) {
        counts.add(*phase);
        stages[plan.object(ix).stage.usize()].add(*phase);
    }
    let causes = match counts.of(ObjectPhase::Blocked) {
        0 => HashMap::new(),
        _ => root_causes(plan, |ix| phases.get(ix.usize()).copied()),
    };
    let listed = |phase: ObjectPhase| {
        let needs_a_person = matches!(phase, ObjectPhase::Failed | ObjectPhase::Retrying);
        phase != ObjectPhase::Pruned && (counts.total() as usize <= detail.objects || needs_a_person)
    };
    let objects = plan
        .indices()
        .zip(&phases)
        .filter(|(_, phase)| listed(**phase))
        .take(detail.objects)
        .map(|(ix, phase)| object_view(state, dispatch, ix, *phase, causes.get(&ix).copied()))
        .collect();
    let (phase, reason) = run_phase(state, &counts);
    RunView {
        phase,
        reason,
        counts,
        stages,
        letters: phases.iter().map(|phase| phase.letter()).collect(),
        objects,
        failures: failures(state, &causes, detail.failures),
        started_at: state.started_at(),
        ended_at: phase.is_terminal().then(|| state.last_change()),
        epoch: state.epoch(),
    }
}

fn run_phase(state: &RunState, counts: &Counts) -> (RunPhase, Option<&'static str>) {
    if state.started_at().is_none() {
        return (RunPhase::Pending, None);
    }
    if !state.is_over() {
        return (RunPhase::Running, None);
    }
    if state.plan_changed() {
        return (RunPhase::Failed, Some("PlanChanged"));
    }
    match state.ended_by() {
        Some(end @ RunEnd::Cancelled) => (RunPhase::Cancelled, Some(end.as_str())),
        Some(end @ (RunEnd::DeadlineExceeded | RunEnd::ObjectsFailed)) => {
            (RunPhase::Failed, Some(end.as_str()))
        }
        // Every object that is not pruned leads to a target, so any failure misses one.
        None if counts.of(ObjectPhase::Failed) > 0 => (RunPhase::Failed, Some("ObjectsFailed")),
        None => (RunPhase::Succeeded, Some("Completed")),
    }
}

fn object_view(
    state: &RunState,
    dispatch: &Dispatch,
    ix: ObjectIx,
    phase: ObjectPhase,
    root_cause: Option<ObjectIx>,
) -> ObjectView {
    let cell = state.cell(ix);
    let last_failure = state.failed_attempts(ix).last().filter(|_| phase != ObjectPhase::Loaded);
    // An object that is assumed to be loaded had no attempt, and so no times.
    let worked =
        cell.attempt > 0 && matches!(phase, ObjectPhase::Running | ObjectPhase::Loaded | ObjectPhase::Failed);
    ObjectView {
        object: ix,
        phase,
        attempt: cell.attempt,
        worker: state.worker_name(ix).filter(|name| worked && !name.is_empty()).map(str::to_owned),
        started_at: cell
            .started_at
            .or_else(|| dispatch.publication(ix).map(|publication| publication.time))
            .or_else(|| worked.then_some(cell.not_before)),
        ended_at: (worked && phase != ObjectPhase::Running).then_some(cell.last_sign),
        reason: last_failure.map(|attempt| attempt.failure.reason.to_string()),
        message: last_failure.map(|attempt| attempt.failure.error.to_string()),
        root_cause,
    }
}

fn failures(state: &RunState, causes: &HashMap<ObjectIx, ObjectIx>, limit: usize) -> Vec<FailureView> {
    let mut blocks = HashMap::<ObjectIx, u32>::new();
    for cause in causes.values() {
        *blocks.entry(*cause).or_default() += 1;
    }
    let mut failed: Vec<(u32, ObjectIx)> =
        state.failed().into_iter().map(|ix| (blocks.get(&ix).copied().unwrap_or(0), ix)).collect();
    failed.sort_by_key(|(blocks, ix)| (std::cmp::Reverse(*blocks), *ix));
    failed.truncate(limit);
    failed
        .into_iter()
        .map(|(blocks, object)| FailureView {
            object,
            attempts: state.failed_attempts(object).to_vec(),
            blocks,
        })
        .collect()
}
