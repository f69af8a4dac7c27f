//! `fold`: what one record means. One total function, used live and in recovery alike.

use crate::engine::state::{FailedAttempt, Phase, RunState};
use crate::engine::{Event, Failure, OperatorReason, Record, RunEnd, backoff};
use crate::id::{Attempt, Epoch, MAX_EPOCH, Millis, ObjectIx};
use crate::spec::FailurePolicy;

/// Why a record changed nothing. A bounded set: the label of a counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Refused {
    /// It answers an attempt that ended before.
    StaleAttempt,
    /// It answers an attempt that does not exist yet.
    FutureAttempt,
    /// The object or the run ended before.
    Late,
    /// It says what is known already.
    Duplicate,
    /// It speaks of another run, or of one that has not started.
    ForeignRun,
    /// It names another stage than the object's.
    WrongStage,
    /// No object of the run has this id, or no target needs it.
    UnknownObject,
    /// It is not readable, or names a term that is out of reach.
    Malformed,
    /// An operator wrote it whose term was over.
    Fenced,
}

impl Refused {
    /// The word that counters and logs use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::StaleAttempt => "stale_attempt",
            Self::FutureAttempt => "future_attempt",
            Self::Late => "late",
            Self::Duplicate => "duplicate",
            Self::ForeignRun => "foreign_run",
            Self::WrongStage => "wrong_stage",
            Self::UnknownObject => "unknown_object",
            Self::Malformed => "malformed",
            Self::Fenced => "fenced",
        }
    }
}

/// How far above all before it a new term may be. Leaders raise it by one: no log comes near this by itself, and it
/// takes two million records to use the terms up.
pub const EPOCH_STEP: Epoch = 1 << 32;

/// Whether a `LeaderStarted` begins a term, for a reader that knows of terms up to `highest`. One that is out of reach
/// is void like one that comes too late: it would leave nobody a term to follow it with.
pub fn may_lead(highest: Epoch, epoch: Epoch) -> Result<(), Refused> {
    if epoch <= highest {
        return Err(Refused::Fenced);
    }
    if epoch - highest > EPOCH_STEP || epoch >= MAX_EPOCH { Err(Refused::Malformed) } else { Ok(()) }
}

/// What folding changed, for the bookkeeping of the leader. Filled in the order of the changes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// Objects whose current attempt may now be published, at once or after [`Cell::not_before`](super::Cell).
    pub ready: Vec<ObjectIx>,
    /// Attempts that ended: whatever was published of them is done.
    pub ended: Vec<(ObjectIx, Attempt)>,
}

impl RunState {
    /// Takes one record in. `Err` says why it changed nothing.
    pub fn fold(&mut self, record: &Record, changes: &mut Changes) -> Result<(), Refused> {
        let time = record.time;
        match &record.event {
            Event::RunStarted { digest, epoch } => self.run_started(digest, *epoch, time, changes)?,
            // It changes the leader, not the run: a run that has ended keeps its end time.
            Event::LeaderStarted { epoch } => return self.leader_started(*epoch),
            Event::Started { object, attempt, worker } => {
                let redelivered = self.sign_of_life(*object, *attempt, worker, time)?;
                if redelivered {
                    self.cells[object.usize()].started_at = Some(time);
                }
            }
            Event::Progress { object, attempt, worker } => {
                self.sign_of_life(*object, *attempt, worker, time)?;
            }
            Event::Loaded { object, attempt, worker, elapsed, outputs } => {
                self.current(*object, *attempt)?;
                self.saw(*object, worker, time);
                self.worked(*object, *elapsed, time);
                if let Some(outputs) = outputs {
                    let place = (record.offset, self.open_dependants(*object));
                    self.outputs.insert(self.cells.len(), *object, place, outputs);
                }
                self.end(*object, Phase::Loaded, changes);
                self.release_dependants(*object, time, changes);
            }
            Event::Failed { object, attempt, worker, elapsed, failure } => {
                self.current(*object, *attempt)?;
                self.saw(*object, worker, time);
                self.worked(*object, *elapsed, time);
                self.attempt_failed(*object, worker, Failure::clone(failure), time, changes);
            }
            Event::Expired { object, attempt, reason, epoch } => {
                self.in_term(*epoch)?;
                self.current(*object, *attempt)?;
                let failure = self.expiry(*object, *reason);
                self.attempt_failed(*object, "operator", failure, time, changes);
                self.cells[object.usize()].last_sign = time;
            }
            Event::RunCancelled { reason, epoch } => self.run_cancelled(*reason, *epoch, changes)?,
        }
        self.last_record = self.last_record.max(time);
        Ok(())
    }

    fn run_started(
        &mut self,
        digest: &str,
        epoch: Epoch,
        time: Millis,
        changes: &mut Changes,
    ) -> Result<(), Refused> {
        self.in_term(epoch)?;
        if self.started_at.is_some() {
            return Err(Refused::Duplicate);
        }
        self.epoch = epoch;
        self.started_at = Some(time);
        if digest != self.plan().digest {
            self.plan_has_changed(changes);
            return Ok(());
        }
        for ix in self.plan().indices() {
            if self.cell(ix).phase == Phase::Pending && self.cell(ix).waiting_for == 0 {
                self.make_ready(ix, 1, time, changes);
            }
        }
        Ok(())
    }

    /// The log is of another plan: nothing of it is run.
    pub(super) fn plan_has_changed(&mut self, changes: &mut Changes) {
        self.plan_changed = true;
        self.cancel_unfinished(changes);
    }

    fn leader_started(&mut self, epoch: Epoch) -> Result<(), Refused> {
        may_lead(self.epoch, epoch)?;
        self.epoch = epoch;
        Ok(())
    }

    fn run_cancelled(&mut self, reason: RunEnd, epoch: Epoch, changes: &mut Changes) -> Result<(), Refused> {
        self.in_term(epoch)?;
        if self.started_at.is_none() {
            return Err(Refused::ForeignRun);
        }
        if self.ended.is_some() || self.counts.unfinished() == 0 {
            return Err(Refused::Late);
        }
        self.ended = Some(reason);
        self.cancel_unfinished(changes);
        Ok(())
    }

    /// Records of an operator count only in the newest term.
    fn in_term(&self, epoch: Epoch) -> Result<(), Refused> {
        if epoch < self.epoch { Err(Refused::Fenced) } else { Ok(()) }
    }

    /// Whether `attempt` is the current one of an object that has not ended.
    fn current(&self, ix: ObjectIx, attempt: Attempt) -> Result<(), Refused> {
        if self.started_at.is_none() {
            return Err(Refused::ForeignRun);
        }
        let cell = self.cell(ix);
        match cell.phase {
            Phase::Pruned => Err(Refused::UnknownObject),
            Phase::Ready | Phase::Running if attempt == cell.attempt => Ok(()),
            // The end of an attempt is its record: a second one says nothing new, an older one is stale.
            Phase::Loaded | Phase::Failed if attempt == cell.attempt => Err(Refused::Duplicate),
            Phase::Cancelled | Phase::Blocked => Err(Refused::Late),
            Phase::Pending | Phase::Ready | Phase::Running | Phase::Loaded | Phase::Failed => {
                if attempt < cell.attempt { Err(Refused::StaleAttempt) } else { Err(Refused::FutureAttempt) }
            }
        }
    }

    /// `ObjectStarted` or `ObjectProgress`. Says whether another worker had shown the last sign: a start is then a
    /// redelivery and the clock begins again. A heartbeat is not: two workers that run the same attempt would push
    /// the run timeout away for ever.
    fn sign_of_life(
        &mut self,
        ix: ObjectIx,
        attempt: Attempt,
        worker: &str,
        time: Millis,
    ) -> Result<bool, Refused> {
        match self.current(ix, attempt) {
            // A heartbeat that was overtaken by the end of its own attempt.
            Err(Refused::Duplicate) => return Err(Refused::Late),
            other => other?,
        }
        let from_another = self.cell(ix).phase == Phase::Running && self.worker_name(ix) != Some(worker);
        self.saw(ix, worker, time);
        if self.cell(ix).phase == Phase::Ready {
            self.set_phase(ix, Phase::Running);
            self.cells[ix.usize()].started_at = Some(time);
        }
        Ok(from_another)
    }

    fn saw(&mut self, ix: ObjectIx, worker: &str, time: Millis) {
        let known = self.worker_index.get(worker).copied();
        let number = known.unwrap_or_else(|| {
            let number = self.worker_names.len() as u32;
            self.worker_names.push(worker.into());
            self.worker_index.insert(worker.into(), number);
            number
        });
        let cell = &mut self.cells[ix.usize()];
        cell.worker = Some(number);
        cell.last_sign = time;
    }

    /// The attempt ended at `time` and says how long it worked: it began before its `ObjectStarted`, or without one.
    fn worked(&mut self, ix: ObjectIx, elapsed: Option<Millis>, time: Millis) {
        let cell = &mut self.cells[ix.usize()];
        if let Some(elapsed) = elapsed {
            // Whatever the worker says: it began after it might, and before it ended.
            cell.started_at = Some(time.saturating_sub(elapsed.max(0)).max(cell.not_before).min(time));
        }
    }

    /// What people are told of an attempt that the operator gave up.
    pub fn expiry_text(&self, ix: ObjectIx, reason: OperatorReason) -> String {
        let timeouts = &self.plan().object(ix).policies.timeouts;
        let after = |ms: Option<Millis>| ms.map_or_else(String::new, crate::duration::display);
        let worker = self.worker_name(ix).filter(|name| !name.is_empty()).unwrap_or("the worker");
        match reason {
            OperatorReason::QueueTimeout => {
                format!("no worker showed a sign within the queue timeout of {}", after(timeouts.queue_ms))
            }
            OperatorReason::RunTimeout => {
                format!("{worker} did not end within the run timeout of {}", after(timeouts.run_ms))
            }
            OperatorReason::HeartbeatLost => {
                format!("{worker} showed no sign for {}", after(Some(timeouts.heartbeat_ms)))
            }
            OperatorReason::RecordTooLarge => {
                "its ready record would be larger than 512 KiB: make `meta` or `params` smaller, or have it depend on \
                 fewer objects that hand something on"
                    .to_owned()
            }
        }
    }

    fn expiry(&self, ix: ObjectIx, reason: OperatorReason) -> Failure {
        Failure {
            reason: reason.as_str().into(),
            error: self.expiry_text(ix, reason).into(),
            retryable: reason.is_retryable(),
            retry_after_ms: None,
            log_tail: None,
        }
    }

    fn attempt_failed(
        &mut self,
        ix: ObjectIx,
        worker: &str,
        failure: Failure,
        time: Millis,
        changes: &mut Changes,
    ) {
        let attempt = self.cell(ix).attempt;
        let retry = self.plan().object(ix).policies.retry;
        let (retryable, retry_after_ms) = (failure.retryable, failure.retry_after_ms);
        let failure = self.failure_texts.keep(failure);
        self.failed_attempts.entry(ix).or_default().push(FailedAttempt {
            attempt,
            worker: worker.into(),
            time,
            failure,
        });
        let used = attempt - self.free_attempts(ix);
        if retryable && used < retry.max_attempts.max(1) {
            // One stop of a worker is nothing to wait for.
            let step = self.drains_in_a_row(ix).checked_sub(1).unwrap_or(used);
            let seed = (self.uid().as_str(), self.plan().object(ix).id.as_str());
            let wait = if step == 0 { 0 } else { backoff(&retry, step, seed) };
            changes.ended.push((ix, attempt));
            self.make_ready(ix, attempt + 1, time + wait.max(retry_after_ms.unwrap_or(0)), changes);
            return;
        }
        self.end(ix, Phase::Failed, changes);
        self.block_descendants(ix);
        if self.plan().failure_policy == FailurePolicy::FailFast && !self.stopping {
            self.stopping = true;
            // What is ready may be published already; the projection tells those apart.
            for ix in self.plan().indices() {
                if self.cell(ix).phase == Phase::Pending {
                    self.set_phase(ix, Phase::Cancelled);
                }
            }
        }
    }

    fn make_ready(&mut self, ix: ObjectIx, attempt: Attempt, not_before: Millis, changes: &mut Changes) {
        self.set_phase(ix, Phase::Ready);
        let cell = &mut self.cells[ix.usize()];
        cell.attempt = attempt;
        cell.not_before = not_before;
        cell.started_at = None;
        // Whoever ran the attempt before has not run this one.
        cell.worker = None;
        changes.ready.push(ix);
    }

    fn end(&mut self, ix: ObjectIx, phase: Phase, changes: &mut Changes) {
        self.set_phase(ix, phase);
        changes.ended.push((ix, self.cell(ix).attempt));
    }

    fn set_phase(&mut self, ix: ObjectIx, phase: Phase) {
        let cell = &mut self.cells[ix.usize()];
        self.counts.shift(cell.phase, phase);
        cell.phase = phase;
        if phase.is_terminal() && !self.outputs.is_empty() {
            // It needs its inputs no more.
            let Self { plan, outputs, .. } = self;
            plan.graph.dependencies(ix).iter().for_each(|parent| outputs.release(*parent));
        }
    }

    fn release_dependants(&mut self, ix: ObjectIx, time: Millis, changes: &mut Changes) {
        let plan = self.plan().clone();
        for dependant in plan.graph.dependants(ix) {
            let cell = &mut self.cells[dependant.usize()];
            cell.waiting_for -= 1;
            if cell.waiting_for == 0 && cell.phase == Phase::Pending {
                self.make_ready(*dependant, 1, time, changes);
            }
        }
    }

    /// Everything that needs `failed` can never run; which failure it names follows from the phases.
    fn block_descendants(&mut self, failed: ObjectIx) {
        let plan = self.plan().clone();
        let mut open = vec![failed];
        while let Some(ix) = open.pop() {
            for dependant in plan.graph.dependants(ix) {
                if self.cell(*dependant).phase == Phase::Pending {
                    self.set_phase(*dependant, Phase::Blocked);
                    open.push(*dependant);
                }
            }
        }
    }

    fn cancel_unfinished(&mut self, changes: &mut Changes) {
        for ix in self.plan().indices() {
            if !self.cell(ix).phase.is_terminal() {
                self.end(ix, Phase::Cancelled, changes);
            }
        }
    }
}
