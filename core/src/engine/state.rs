//! The state of one run: what its records so far mean. Only `fold` (in `fold.rs`) changes it.

use std::collections::HashMap;
use std::sync::Arc;

use crate::engine::failures::FailureTexts;
use crate::engine::outputs::{Handed, INLINE_BYTES, Outputs};
use crate::engine::{Failure, RunEnd};
use crate::id::{Attempt, Epoch, Millis, ObjectIx, RunUid};
use crate::plan::RunPlan;

/// How often in a row the worker of an object may have to stop before that counts as an attempt of the object. An update,
/// a node that goes, or one stage that shrinks stops it once or twice; more often in a row means that the work does not
/// fit into the time that its workers live, and nothing else would ever end it.
pub const FREE_DRAINS: Attempt = 5;

/// Where an object stands according to the log. What has been published is not in the log: see
/// [`Dispatch`](super::Dispatch) and [`project`](super::project).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// No target needs it.
    Pruned,
    /// Waits for dependencies.
    Pending,
    /// Its current attempt may be published, or is; no worker has shown a sign yet.
    Ready,
    /// A worker has begun the current attempt.
    Running,
    /// Done.
    Loaded,
    /// Failed for good.
    Failed,
    /// An object that it needs, directly or not, has failed.
    Blocked,
    /// The run ended before it did.
    Cancelled,
}

impl Phase {
    /// Whether nothing more happens to the object.
    pub fn is_terminal(self) -> bool {
        match self {
            Self::Pruned | Self::Loaded | Self::Failed | Self::Blocked | Self::Cancelled => true,
            Self::Pending | Self::Ready | Self::Running => false,
        }
    }
}

/// What is known of one object. 56 bytes: a run of 100,000 objects takes 5.6 MB.
#[derive(Debug, Clone, PartialEq)]
pub struct Cell {
    /// Where it stands.
    pub phase: Phase,
    /// Current attempt; 0 while it is pending.
    pub attempt: Attempt,
    /// Dependencies that are not loaded yet.
    pub waiting_for: u32,
    /// Who ran it last, as an index into [`RunState::worker_name`]'s table.
    pub(super) worker: Option<u32>,
    /// The current attempt may not begin before this.
    pub not_before: Millis,
    /// When the current attempt began.
    pub started_at: Option<Millis>,
    /// Last sign of the worker in the current attempt; the end time once it has ended.
    pub last_sign: Millis,
}

/// One failed attempt, kept for people.
#[derive(Debug, Clone, PartialEq)]
pub struct FailedAttempt {
    /// Which attempt.
    pub attempt: Attempt,
    /// Who ran it; `operator` where the operator gave it up.
    pub worker: Box<str>,
    /// When it ended.
    pub time: Millis,
    /// What was said.
    pub failure: Failure,
}

/// Objects by phase.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PhaseCounts {
    counts: [u32; 8],
}

impl PhaseCounts {
    /// Objects in this phase.
    pub fn of(&self, phase: Phase) -> u32 {
        self.counts[phase as usize]
    }

    pub(super) fn shift(&mut self, from: Phase, to: Phase) {
        self.counts[from as usize] -= 1;
        self.counts[to as usize] += 1;
    }

    /// Objects that have not ended.
    pub fn unfinished(&self) -> u32 {
        self.of(Phase::Pending) + self.of(Phase::Ready) + self.of(Phase::Running)
    }
}

/// The fold of a run's records.
#[derive(Debug, Clone)]
pub struct RunState {
    pub(super) plan: Arc<RunPlan>,
    uid: RunUid,
    pub(super) cells: Vec<Cell>,
    pub(super) counts: PhaseCounts,
    pub(super) epoch: Epoch,
    pub(super) started_at: Option<Millis>,
    pub(super) last_record: Millis,
    pub(super) ended: Option<RunEnd>,
    pub(super) plan_changed: bool,
    /// A failure under `FailFast` stops publishing.
    pub(super) stopping: bool,
    pub(super) outputs: Outputs,
    pub(super) failed_attempts: HashMap<ObjectIx, Vec<FailedAttempt>>,
    pub(super) failure_texts: FailureTexts,
    pub(super) worker_names: Vec<Box<str>>,
    pub(super) worker_index: HashMap<Box<str>, u32>,
}

/// Two states are equal when they say the same; the plan is compared by digest.
impl PartialEq for RunState {
    fn eq(&self, other: &Self) -> bool {
        (&self.plan.digest, &self.uid) == (&other.plan.digest, &other.uid)
            && self.cells == other.cells
            && self.counts == other.counts
            && self.epoch == other.epoch
            && (self.started_at, self.last_record) == (other.started_at, other.last_record)
            && (self.ended, self.plan_changed, self.stopping)
                == (other.ended, other.plan_changed, other.stopping)
            && self.outputs == other.outputs
            && (&self.failed_attempts, self.failure_texts) == (&other.failed_attempts, other.failure_texts)
            && self.worker_names == other.worker_names
    }
}

impl RunState {
    /// A run of which no record has been read. Objects without dependencies become ready with `RunStarted`.
    pub fn new(plan: Arc<RunPlan>, uid: RunUid) -> Self {
        let mut counts = PhaseCounts::default();
        let assumed = |ix: &ObjectIx| plan.object(*ix).assumed;
        let cells = plan
            .indices()
            .map(|ix| {
                let waiting_for =
                    plan.graph.dependencies(ix).iter().filter(|parent| !assumed(parent)).count() as u32;
                let phase = match (plan.is_needed(ix), plan.object(ix).assumed) {
                    (false, _) => Phase::Pruned,
                    (true, true) => Phase::Loaded,
                    (true, false) => Phase::Pending,
                };
                counts.counts[phase as usize] += 1;
                Cell {
                    phase,
                    attempt: 0,
                    waiting_for,
                    worker: None,
                    not_before: 0,
                    started_at: None,
                    last_sign: 0,
                }
            })
            .collect();
        Self {
            plan,
            uid,
            cells,
            counts,
            epoch: 0,
            started_at: None,
            last_record: 0,
            ended: None,
            plan_changed: false,
            stopping: false,
            outputs: Outputs::default(),
            failed_attempts: HashMap::new(),
            failure_texts: FailureTexts::default(),
            worker_names: Vec::new(),
            worker_index: HashMap::new(),
        }
    }

    /// The plan that it runs.
    pub fn plan(&self) -> &Arc<RunPlan> {
        &self.plan
    }

    /// Uid of the run.
    pub fn uid(&self) -> &RunUid {
        &self.uid
    }

    /// What is known of an object.
    pub fn cell(&self, ix: ObjectIx) -> &Cell {
        &self.cells[ix.usize()]
    }

    /// Objects by phase.
    pub fn counts(&self) -> &PhaseCounts {
        &self.counts
    }

    /// Highest term of a leader that the records name.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Append time of `RunStarted`.
    pub fn started_at(&self) -> Option<Millis> {
        self.started_at
    }

    /// Append time of the last record that changed something: when the run ended, once it has.
    pub fn last_change(&self) -> Millis {
        self.last_record
    }

    /// Why the run was ended from outside, if it was.
    pub fn ended_by(&self) -> Option<RunEnd> {
        self.ended
    }

    /// Whether the log belongs to another plan. The run is then failed and nothing is published.
    pub fn plan_changed(&self) -> bool {
        self.plan_changed
    }

    /// Whether nothing more will happen: every object has ended.
    pub fn is_over(&self) -> bool {
        self.started_at.is_some() && self.counts.unfinished() == 0
    }

    /// Whether a failure under `FailFast` stopped publishing.
    pub fn is_stopping(&self) -> bool {
        self.stopping
    }

    /// What the dependencies of an object handed on: texts, and offsets of those that are not held or are too much
    /// together.
    pub fn inputs(&self, ix: ObjectIx) -> impl Iterator<Item = (ObjectIx, Handed<'_>)> {
        let bytes = |parent: &ObjectIx| self.outputs.place(*parent).map_or(0, |place| place.bytes as usize);
        let dependencies = if self.outputs.is_empty() { &[] } else { self.plan.graph.dependencies(ix) };
        let inline = dependencies.iter().map(bytes).sum::<usize>() <= INLINE_BYTES;
        dependencies.iter().filter_map(move |parent| {
            let text = self.outputs.text(*parent).filter(|_| inline);
            let handed = text.map(Handed::Text);
            Some((*parent, handed.or_else(|| self.outputs_at(*parent).map(Handed::Offset))?))
        })
    }

    /// Offset of the record that has the outputs of an object; `None` when it handed nothing on.
    pub fn outputs_at(&self, ix: ObjectIx) -> Option<i64> {
        self.outputs.place(ix).map(|place| place.offset)
    }

    /// Offset of the first record whose outputs an object that has not ended may still get.
    pub fn first_outputs_needed(&self) -> Option<i64> {
        self.outputs.first_needed()
    }

    /// How many dependants of an object have not ended.
    pub(super) fn open_dependants(&self, ix: ObjectIx) -> u32 {
        let open = |dependant: &&ObjectIx| !self.cell(**dependant).phase.is_terminal();
        self.plan.graph.dependants(ix).iter().filter(open).count() as u32
    }

    /// The failed attempts of an object, oldest first.
    pub fn failed_attempts(&self, ix: ObjectIx) -> &[FailedAttempt] {
        self.failed_attempts.get(&ix).map_or(&[], Vec::as_slice)
    }

    /// How many of them use up none of the object's attempts: a worker had to stop. Of those in
    /// a row that is so for the first [`FREE_DRAINS`].
    pub fn free_attempts(&self, ix: ObjectIx) -> Attempt {
        let mut in_a_row = 0;
        let is_free = |failed: &&FailedAttempt| {
            in_a_row = if failed.failure.is_drained() { in_a_row + 1 } else { 0 };
            (1..=FREE_DRAINS).contains(&in_a_row)
        };
        self.failed_attempts(ix).iter().filter(is_free).count() as Attempt
    }

    /// How many of the last ones, in a row, ended because a worker had to stop.
    pub(super) fn drains_in_a_row(&self, ix: ObjectIx) -> Attempt {
        let failed = self.failed_attempts(ix).iter().rev();
        failed.take_while(|failed| failed.failure.is_drained()).count() as Attempt
    }

    /// Who showed the last sign of an object.
    pub fn worker_name(&self, ix: ObjectIx) -> Option<&str> {
        self.cell(ix).worker.map(|n| &*self.worker_names[n as usize])
    }

    /// Objects that failed for good, in plan order.
    pub fn failed(&self) -> Vec<ObjectIx> {
        let mut failed: Vec<_> =
            self.failed_attempts.keys().copied().filter(|ix| self.cell(*ix).phase == Phase::Failed).collect();
        failed.sort_unstable();
        failed
    }
}
