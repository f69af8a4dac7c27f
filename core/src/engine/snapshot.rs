//! A state as text, and back: what a `RunSnapshot` carries. The form is JSON that later releases read too (`VERSION`,
//! golden files), with nothing in it that follows from the plan and the rest.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::engine::invariants::state_is_consistent;
use crate::engine::outputs::Place;
use crate::engine::state::{FailedAttempt, Phase, RunState};
use crate::engine::{Changes, Failure, RunEnd};
use crate::id::{Attempt, Epoch, Millis, ObjectIx, RunUid};
use crate::plan::RunPlan;

/// Of the form below. A release reads its own and all before.
const VERSION: u32 = 1;

/// Why a snapshot cannot be taken for a state.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SnapshotFault {
    /// It is no JSON of the form.
    #[error("it is not readable: {0}")]
    Unreadable(String),
    /// A later release wrote it.
    #[error("it has the form {0}, and this release reads {VERSION} and those before")]
    Version(u32),
    /// It does not fit to its run, or to itself.
    #[error("it is not right: {0}")]
    Wrong(String),
}

#[derive(Deserialize)]
struct Version {
    version: u32,
}

/// The form. Times of objects are differences from `started_at`.
#[derive(Serialize, Deserialize)]
struct Form {
    version: u32,
    run_uid: String,
    plan_digest: String,
    epoch: Epoch,
    started_at: Millis,
    last_change: Millis,
    #[serde(default)]
    ended: Option<String>,
    #[serde(default)]
    stopping: bool,
    /// One letter an object, in plan order: those of `status.phaseMap`.
    phases: String,
    workers: Vec<Box<str>>,
    /// Of each object that had an attempt.
    attempts: Vec<AttemptRow>,
    #[serde(default)]
    failures: Vec<FailureRow>,
    #[serde(default)]
    outputs: Vec<OutputsRow>,
}

/// Object, attempt, worker, not before, started, last sign.
type AttemptRow = (u32, Attempt, Option<u32>, Millis, Option<Millis>, Millis);
/// Object, offset of its `ObjectLoaded`, bytes, and the text where it is held.
type OutputsRow = (u32, i64, u32, Option<Box<str>>);

#[derive(Serialize, Deserialize)]
struct FailureRow {
    object: u32,
    attempt: Attempt,
    worker: Box<str>,
    time: Millis,
    reason: Box<str>,
    error: Box<str>,
    retryable: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<Millis>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    log_tail: Option<Box<str>>,
}

impl RunState {
    /// The state as text. `None` before the run has begun, and of one whose plan has changed: such a run has no state
    /// that anybody would go on from.
    pub fn to_snapshot(&self) -> Option<String> {
        let started_at = self.started_at.filter(|_| !self.plan_changed)?;
        let objects = || self.plan.indices().map(|ix| (ix, self.cell(ix)));
        let since = |time: Millis| time.wrapping_sub(started_at);
        let attempt = |(ix, cell): (ObjectIx, &super::Cell)| {
            let started = cell.started_at.map(since);
            (ix.0, cell.attempt, cell.worker, since(cell.not_before), started, since(cell.last_sign))
        };
        let outputs = |ix: ObjectIx| {
            let place = self.outputs.place(ix)?;
            Some((ix.0, place.offset, place.bytes, self.outputs.text(ix).map(Box::from)))
        };
        let mut failed: Vec<ObjectIx> = self.failed_attempts.keys().copied().collect();
        failed.sort_unstable();
        let form = Form {
            version: VERSION,
            run_uid: self.uid().as_str().to_owned(),
            plan_digest: self.plan.digest.clone(),
            epoch: self.epoch,
            started_at,
            last_change: self.last_record,
            ended: self.ended.map(|end| end.as_str().to_owned()),
            stopping: self.stopping,
            phases: objects().map(|(_, cell)| letter(cell.phase)).collect(),
            workers: self.worker_names.clone(),
            attempts: objects().filter(|(_, cell)| cell.attempt > 0).map(attempt).collect(),
            failures: failed
                .into_iter()
                .flat_map(|ix| self.failed_attempts(ix).iter().map(move |failed| failure_row(ix, failed)))
                .collect(),
            outputs: if self.outputs.is_empty() {
                Vec::new()
            } else {
                self.plan.indices().filter_map(outputs).collect()
            },
        };
        // Numbers and texts always serialise.
        serde_json::to_string(&form).ok()
    }

    /// The state that [`RunState::to_snapshot`] wrote. One of another plan gives a run whose plan has changed.
    pub fn of_snapshot(plan: Arc<RunPlan>, uid: RunUid, text: &[u8]) -> Result<Self, SnapshotFault> {
        let unreadable = |error: serde_json::Error| SnapshotFault::Unreadable(error.to_string());
        let Version { version } = serde_json::from_slice(text).map_err(unreadable)?;
        if !(1..=VERSION).contains(&version) {
            return Err(SnapshotFault::Version(version));
        }
        let form: Form = serde_json::from_slice(text).map_err(unreadable)?;
        if form.run_uid != uid.as_str() {
            return Err(SnapshotFault::Wrong(format!("it is of the run {}", form.run_uid)));
        }
        let mut state = Self::new(plan, uid);
        state.epoch = form.epoch;
        state.started_at = Some(form.started_at);
        if form.plan_digest != state.plan.digest {
            state.last_record = form.started_at;
            state.plan_has_changed(&mut Changes::default());
            return Ok(state);
        }
        state.take_from(form).map_err(SnapshotFault::Wrong)?;
        state_is_consistent(&state).map_err(SnapshotFault::Wrong)?;
        Ok(state)
    }

    fn take_from(&mut self, form: Form) -> Result<(), String> {
        self.last_record = form.last_change;
        self.stopping = form.stopping;
        self.ended = match form.ended.as_deref() {
            None => None,
            Some(word) => Some(RunEnd::parse(word).ok_or_else(|| format!("nothing ends as `{word}`"))?),
        };
        self.take_phases(&form.phases)?;
        self.worker_index = form.workers.iter().zip(0..).map(|(name, n)| (name.clone(), n)).collect();
        self.worker_names = form.workers;
        let time = |since: Millis| form.started_at.wrapping_add(since);
        for (object, attempt, worker, not_before, started, last_sign) in form.attempts {
            if worker.is_some_and(|n| n as usize >= self.worker_names.len()) {
                return Err(format!("object {object} has a worker without a name"));
            }
            let ix = self.known(object)?;
            let cell = &mut self.cells[ix.usize()];
            cell.attempt = attempt;
            cell.worker = worker;
            cell.not_before = time(not_before);
            cell.started_at = started.map(time);
            cell.last_sign = time(last_sign);
        }
        for row in form.failures {
            let ix = self.known(row.object)?;
            let failed = failed_attempt(row);
            self.failure_texts.count(&failed.failure);
            self.failed_attempts.entry(ix).or_default().push(failed);
        }
        for (object, offset, bytes, text) in form.outputs {
            let ix = self.known(object)?;
            let is_right = offset >= 0 && text.as_ref().is_none_or(|text| text.len() == bytes as usize);
            if !is_right {
                return Err(format!("the outputs of object {object} have no place, or another size"));
            }
            let place = Place { offset, bytes, needed_by: self.open_dependants(ix) };
            self.outputs.restore(self.cells.len(), ix, place, text);
        }
        Ok(())
    }

    /// The phases, and what follows from them.
    fn take_phases(&mut self, letters: &str) -> Result<(), String> {
        if letters.len() != self.cells.len() {
            return Err(format!("{} phases of {} objects", letters.len(), self.cells.len()));
        }
        for (n, letter) in letters.chars().enumerate() {
            let phase = phase(letter).ok_or_else(|| format!("no phase has the letter `{letter}`"))?;
            self.counts.shift(self.cells[n].phase, phase);
            self.cells[n].phase = phase;
        }
        for ix in self.plan.indices() {
            let parents = self.plan.graph.dependencies(ix);
            let missing = parents.iter().filter(|parent| self.cell(**parent).phase != Phase::Loaded).count();
            self.cells[ix.usize()].waiting_for = missing as u32;
        }
        Ok(())
    }

    fn known(&self, object: u32) -> Result<ObjectIx, String> {
        let ix = ObjectIx(object);
        if ix.usize() < self.cells.len() { Ok(ix) } else { Err(format!("there is no object {object}")) }
    }
}

fn failure_row(ix: ObjectIx, failed: &FailedAttempt) -> FailureRow {
    let FailedAttempt { attempt, worker, time, failure } = failed.clone();
    let Failure { reason, error, retryable, retry_after_ms, log_tail } = failure;
    FailureRow { object: ix.0, attempt, worker, time, reason, error, retryable, retry_after_ms, log_tail }
}

fn failed_attempt(row: FailureRow) -> FailedAttempt {
    let FailureRow { attempt, worker, time, reason, error, retryable, retry_after_ms, log_tail, .. } = row;
    let failure = Failure { reason, error, retryable, retry_after_ms, log_tail };
    FailedAttempt { attempt, worker, time, failure }
}

const LETTERS: [(Phase, char); 8] = [
    (Phase::Pruned, '-'),
    (Phase::Pending, 'P'),
    (Phase::Ready, 'R'),
    (Phase::Running, 'N'),
    (Phase::Loaded, 'L'),
    (Phase::Failed, 'F'),
    (Phase::Blocked, 'B'),
    (Phase::Cancelled, 'X'),
];

fn letter(phase: Phase) -> char {
    LETTERS.iter().find(|(of, _)| *of == phase).map_or('?', |(_, letter)| *letter)
}

fn phase(letter: char) -> Option<Phase> {
    LETTERS.iter().find(|(_, of)| *of == letter).map(|(phase, _)| *phase)
}
