//! The snapshots of one run in its log: when one is due, what becomes of it, and how a recovery begins with one.
//! No I/O, no clock.
//!
//! A leader writes a mark. When that is read back, at offset M, the state is the fold of all before M: it is written in
//! parts that name M. When the last part is read back recovery may begin at M. Whoever folds from an earlier offset
//! passes all of them over; whoever begins at M meets the mark first, keeps the records of the run until the parts are
//! together, and folds them on top.

use orch_bus::Message;
use orch_core::engine::{Refused, RunState, may_lead};
use orch_core::id::{Epoch, Millis};
use orch_wire::{Assembly, Part, Snapshot, pack, unpack};

/// When the state of a run is written into its log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnapshotRule {
    /// So many records of the run after the one before.
    pub records: u64,
    /// Or so long after its first record since,
    pub interval_ms: Millis,
    /// when there are at least so many.
    pub at_least: u64,
}

impl SnapshotRule {
    /// No snapshots: for a run that nobody will recover.
    pub const NEVER: Self = Self { records: u64::MAX, interval_ms: Millis::MAX, at_least: u64::MAX };
}

impl Default for SnapshotRule {
    fn default() -> Self {
        Self { records: 200_000, interval_ms: 3_600_000, at_least: 10_000 }
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Snapshots {
    /// Offset at which a recovery begins.
    start: i64,
    /// Records of the run since the last mark of ours.
    records: u64,
    /// When the first of them was written.
    since: Option<Millis>,
    /// How many marks we have written.
    marks: u64,
    /// Our mark, while it is on its way.
    asked: Option<String>,
    /// The parts that are on their way back.
    assembly: Option<Assembly>,
    /// Parts to write.
    unwritten: Option<(String, Vec<Part<'static>>)>,
}

impl Snapshots {
    pub(crate) fn new(start: i64) -> Self {
        Self { start, records: 0, since: None, marks: 0, asked: None, assembly: None, unwritten: None }
    }

    /// Offset at which a recovery begins.
    pub(crate) fn start(&self) -> i64 {
        self.start
    }

    /// A record of the run was read.
    pub(crate) fn count(&mut self, time: Millis) {
        self.records += 1;
        if self.since.is_none() {
            self.since = Some(time);
        }
    }

    /// The id of a mark to write now, in this term, if one is due. One that never came back is given up with that.
    pub(crate) fn ask(&mut self, rule: SnapshotRule, epoch: Epoch, now: Millis) -> Option<String> {
        let since = self.since?;
        let is_old = now.saturating_sub(since) >= rule.interval_ms && self.records >= rule.at_least;
        if self.records < rule.records && !is_old {
            return None;
        }
        (self.records, self.since) = (0, None);
        self.marks += 1;
        // Nobody else writes in this term.
        let id = format!("{epoch}.{}", self.marks);
        self.asked = Some(id.clone());
        Some(id)
    }

    /// The parts to write, each once.
    pub(crate) fn unwritten(&mut self) -> Option<(String, Vec<Part<'static>>)> {
        self.unwritten.take()
    }

    /// Takes a `RunSnapshot` in that stands at `offset`; `state` is the fold of all before it.
    pub(crate) fn hear(
        &mut self,
        record: &Snapshot<'_>,
        offset: i64,
        state: &RunState,
    ) -> Result<(), Refused> {
        if state.started_at().is_none() {
            return Err(Refused::ForeignRun);
        }
        if record.epoch < state.epoch() {
            return Err(Refused::Fenced);
        }
        match &record.part {
            None if self.asked.as_deref() == Some(&*record.id) => {
                self.asked = None;
                if let Some(text) = state.to_snapshot() {
                    self.assembly = Some(Assembly::new(&record.id, offset));
                    self.unwritten = Some((record.id.clone().into_owned(), pack(&text, offset)));
                }
            }
            // Of a leader before us.
            None => {}
            Some(part) => {
                let Some(assembly) = &mut self.assembly else { return Ok(()) };
                match assembly.take(&record.id, part) {
                    Ok(None) => {}
                    Ok(Some(_)) => {
                        self.start = assembly.at();
                        self.assembly = None;
                    }
                    Err(_) => {
                        // Somebody meddles: recovery goes on from where it did, and the next one is due as ever.
                        self.assembly = None;
                        return Err(Refused::Malformed);
                    }
                }
            }
        }
        Ok(())
    }
}

/// A recovery that began with a mark, and waits for the parts.
#[derive(Debug)]
pub(crate) struct Restoring {
    assembly: Assembly,
    epoch: Epoch,
    /// Records of the run since the mark, and whether each is to be counted.
    held: Vec<(Message, bool)>,
}

/// What a part made of it.
pub(crate) enum Restored {
    /// More have to come.
    NotYet,
    /// The state, and the records on top of it.
    State(Box<RunState>, Vec<(Message, bool)>),
    /// It will never be one: what is wrong.
    Broken(String),
}

impl Restoring {
    /// Begins at a mark.
    pub(crate) fn new(mark: &Snapshot<'_>, offset: i64) -> Self {
        Self { assembly: Assembly::new(&mark.id, offset), epoch: mark.epoch, held: Vec::new() }
    }

    /// Keeps a record for later.
    pub(crate) fn hold(&mut self, message: &Message, is_counted: bool) {
        self.held.push((message.clone(), is_counted));
    }

    /// The same for a `LeaderStarted`: parts of a leader before it are void from here on.
    pub(crate) fn hold_leader(&mut self, epoch: Epoch, message: &Message) {
        if may_lead(self.epoch, epoch).is_ok() {
            self.epoch = epoch;
        }
        self.hold(message, false);
    }

    /// Takes a `RunSnapshot` in; `state` is one of nothing read.
    pub(crate) fn take(&mut self, record: &Snapshot<'_>, state: &RunState) -> Restored {
        let Some(part) = record.part.as_ref().filter(|_| record.epoch >= self.epoch) else {
            return Restored::NotYet;
        };
        let text = match self.assembly.take(&record.id, part) {
            Ok(None) => return Restored::NotYet,
            Ok(Some(packed)) => unpack(&packed),
            Err(broken) => Err(broken),
        };
        let state = text.map_err(|broken| broken.to_string()).and_then(|text| {
            let state = RunState::of_snapshot(state.plan().clone(), state.uid().clone(), &text);
            state.map_err(|fault| fault.to_string())
        });
        match state {
            Ok(state) => Restored::State(Box::new(state), std::mem::take(&mut self.held)),
            Err(problem) => Restored::Broken(self.problem(&problem)),
        }
    }

    /// What people are told when nothing will come of it.
    pub(crate) fn problem(&self, problem: &str) -> String {
        format!("the state of the run that is kept at offset {} of its log: {problem}", self.assembly.at())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a mark is due after each of these records, given by their times.
    fn due(rule: SnapshotRule, times: &[Millis]) -> Vec<bool> {
        let mut snapshots = Snapshots::new(0);
        let mut see = |time: &Millis| {
            snapshots.count(*time);
            snapshots.ask(rule, 3, *time).is_some()
        };
        times.iter().map(&mut see).collect()
    }

    #[test]
    fn a_mark_is_due_after_so_many_records_or_so_long_after_the_first() {
        let rule = SnapshotRule { records: 3, interval_ms: 60, at_least: 2 };
        assert_eq!(due(rule, &[0, 1, 2, 3, 4, 5]), [false, false, true, false, false, true]);
        assert_eq!(
            due(rule, &[0, 60, 61, 121]),
            [false, true, false, true],
            "counted anew from the next record on"
        );
        assert_eq!(due(rule, &[0, 59, 119]), [false, false, true]);
        assert_eq!(due(SnapshotRule::NEVER, &[0, Millis::MAX]), [false, false]);
    }

    #[test]
    fn each_mark_has_a_name_of_its_own_and_an_idle_run_writes_none() {
        let rule = SnapshotRule { records: 1, interval_ms: 0, at_least: 0 };
        let mut snapshots = Snapshots::new(0);
        assert_eq!(snapshots.ask(rule, 3, 1_000), None, "no record, no mark");
        snapshots.count(1);
        let first = snapshots.ask(rule, 3, 1_000);
        snapshots.count(1);
        assert!(first.is_some() && first != snapshots.ask(rule, 3, 1_000));
    }
}
