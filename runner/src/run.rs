//! One run inside the actor: its state, its bookkeeping and its gate.

use std::collections::BTreeSet;
use std::sync::Arc;

use orch_bus::Message;
use orch_core::engine::{
    Changes, Dispatch, Event, Orders, Phase, Publication, Record, Refused, RunState, Window,
};
use orch_core::id::{Epoch, ObjectIx, RunUid, StageIx, StageName};
use orch_wire::{EventsRecord, RunGate, Snapshot, decode_event};

use crate::handle::RunSettings;
use crate::records;
use crate::snapshots::{Restored, Restoring, Snapshots};
use crate::stats::Stats;

/// What the workers were told of a run.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    /// The newest word.
    pub(crate) told: Option<RunGate>,
    /// Number of its record among our own.
    pub(crate) record: u64,
    /// Whether that is written.
    pub(crate) acknowledged: bool,
}

/// How the records of a run are read.
enum Reading {
    /// From where its recovery begins.
    Back,
    /// Behind the mark of a snapshot, until that is together.
    Restoring(Box<Restoring>),
    /// One after the other as they come.
    Live,
    /// Not at all: what is wrong.
    Impossible(String),
}

/// One run.
pub(crate) struct Run {
    pub(crate) name: Arc<str>,
    pub(crate) state: RunState,
    pub(crate) dispatch: Dispatch,
    pub(crate) orders: Orders,
    /// See [`RunSettings`].
    pub(crate) names_processors: bool,
    /// Position of each of the plan's stages among the Pipeline's.
    pub(crate) slots: Vec<usize>,
    pub(crate) gate: Gate,
    /// Offset of the first record that this run has not taken in yet; those before are passed over.
    pub(crate) from: i64,
    pub(crate) snapshots: Snapshots,
    reading: Reading,
    /// Filled by folding, emptied by [`Run::absorb`].
    changes: Changes,
    /// Everything that is published or runs, and some of what was: see [`Run::mark_soon`].
    under_way: Vec<ObjectIx>,
    end_is_told: bool,
    /// Who answered last.
    worker: Arc<str>,
}

impl Run {
    /// A run of which nothing has been read. `slots` says where its stages stand among the Pipeline's.
    pub(crate) fn new(settings: RunSettings, slots: Vec<usize>) -> Self {
        let state = RunState::new(settings.plan, settings.uid);
        Self {
            name: settings.run.into(),
            dispatch: Dispatch::new(&state),
            state,
            orders: settings.orders,
            names_processors: settings.names_processors,
            slots,
            gate: Gate::default(),
            from: settings.start_offset,
            snapshots: Snapshots::new(settings.start_offset),
            reading: Reading::Back,
            changes: Changes::default(),
            under_way: Vec::new(),
            end_is_told: false,
            worker: "".into(),
        }
    }

    /// Has it read from here on.
    pub(crate) fn begin_at(&mut self, offset: i64) {
        self.from = offset;
        self.snapshots = Snapshots::new(offset);
    }

    pub(crate) fn uid(&self) -> &RunUid {
        self.state.uid()
    }

    /// Takes in a record that names this run. What it meant is counted where `stats` are given.
    pub(crate) fn fold(
        &mut self,
        record: EventsRecord<'_>,
        message: &Message,
        stats: Option<&Stats>,
    ) -> Result<(), Refused> {
        if message.offset < self.from {
            return Ok(());
        }
        if let EventsRecord::RunSnapshot(snapshot) = &record {
            return self.hear_snapshot(snapshot, message, stats);
        }
        match &mut self.reading {
            Reading::Back | Reading::Live => self.snapshots.count(message.time),
            Reading::Restoring(restoring) => {
                restoring.hold(message, stats.is_some());
                return Ok(());
            }
            Reading::Impossible(_) => return Ok(()),
        }
        let folded = records::event(&self.state, &mut self.worker, record).and_then(|event| {
            let record = Record { offset: message.offset, time: message.time, event };
            self.state.fold(&record, &mut self.changes)?;
            if let Some(stats) = stats {
                stats.count(&record.event);
            }
            Ok(())
        });
        if let (Err(why), Some(stats)) = (&folded, stats) {
            stats.refuse(*why);
        }
        folded
    }

    /// Takes in that another term began.
    pub(crate) fn fold_leader(&mut self, epoch: Epoch, message: &Message) {
        if message.offset < self.from {
            return;
        }
        if let Reading::Restoring(restoring) = &mut self.reading {
            restoring.hold_leader(epoch, message);
        } else {
            let event = Event::LeaderStarted { epoch };
            let record = Record { offset: message.offset, time: message.time, event };
            // Refused where this run has seen a later term: that is nobody's fault.
            let _ = self.state.fold(&record, &mut self.changes);
        }
    }

    /// Takes in a record about the run's own state. Such a one changes nothing, but for a recovery that begins with it.
    fn hear_snapshot(
        &mut self,
        snapshot: &Snapshot<'_>,
        message: &Message,
        stats: Option<&Stats>,
    ) -> Result<(), Refused> {
        if matches!(self.reading, Reading::Back) && message.offset == self.from && snapshot.part.is_none() {
            self.reading = Reading::Restoring(Box::new(Restoring::new(snapshot, message.offset)));
            return Ok(());
        }
        let heard = match &mut self.reading {
            Reading::Impossible(_) => Ok(()),
            Reading::Back | Reading::Live => self.snapshots.hear(snapshot, message.offset, &self.state),
            Reading::Restoring(restoring) => {
                match restoring.take(snapshot, &self.state) {
                    Restored::NotYet => {}
                    Restored::Broken(problem) => self.reading = Reading::Impossible(problem),
                    Restored::State(state, held) => self.restored(*state, &held, stats),
                }
                Ok(())
            }
        };
        if let (Err(why), Some(stats)) = (&heard, stats) {
            stats.refuse(*why);
        }
        heard
    }

    /// Goes on from a state, with the records that stand behind it.
    fn restored(&mut self, state: RunState, held: &[(Message, bool)], stats: Option<&Stats>) {
        self.state = state;
        self.reading = Reading::Live;
        for (message, is_counted) in held {
            match decode_event(&message.key, &message.value) {
                Ok(EventsRecord::LeaderStarted { epoch, .. }) => self.fold_leader(epoch, message),
                // What changes nothing is counted, and no more.
                Ok(record) => _ = self.fold(record, message, stats.filter(|_| *is_counted)),
                Err(_) => {}
            }
        }
    }

    /// All that there was of its log was read back; the log begins at `low`.
    pub(crate) fn is_read_back(&mut self, low: i64) {
        let start = self.snapshots.start();
        self.reading = match std::mem::replace(&mut self.reading, Reading::Live) {
            Reading::Impossible(problem) => Reading::Impossible(problem),
            _ if start < low => Reading::Impossible(format!(
                "the log begins at offset {low}, and the records of the run at {start}"
            )),
            Reading::Restoring(restoring) => {
                Reading::Impossible(restoring.problem("parts of it are missing"))
            }
            Reading::Back | Reading::Live => Reading::Live,
        };
    }

    /// Why the log cannot be read for this run.
    pub(crate) fn problem(&self) -> Option<&str> {
        if let Reading::Impossible(problem) = &self.reading { Some(problem) } else { None }
    }

    /// Whether there is a state worth keeping: the run goes on.
    pub(crate) fn has_state_to_keep(&self) -> bool {
        matches!(self.reading, Reading::Live) && self.state.started_at().is_some() && !self.is_over()
    }

    /// Offset of the first record that the run may still need.
    pub(crate) fn needed_from(&self) -> i64 {
        let start = self.snapshots.start();
        self.state.first_outputs_needed().map_or(start, |first| first.min(start))
    }

    /// Hands what folding changed to the bookkeeping.
    pub(crate) fn absorb(&mut self, windows: &mut [Window]) {
        if self.changes.ready.is_empty() && self.changes.ended.is_empty() {
            return;
        }
        let Self { dispatch, state, slots, changes, .. } = self;
        with_slots(windows, slots, |windows| dispatch.absorb(state, changes, windows));
        changes.ready.clear();
        changes.ended.clear();
    }

    /// Starts the bookkeeping from what the ready topics hold.
    pub(crate) fn recover(&mut self, published: &[(ObjectIx, Publication)], windows: &mut [Window]) {
        self.changes = Changes::default();
        let Self { dispatch, state, slots, .. } = self;
        with_slots(windows, slots, |windows| *dispatch = Dispatch::recover(state, published, windows));
        self.under_way = self.state.plan().indices().filter(|ix| self.is_under_way(*ix)).collect();
    }

    /// Gives the places of everything outstanding back: the run leaves.
    pub(crate) fn vacate(&mut self, windows: &mut [Window]) {
        self.absorb(windows);
        for ix in self.state.plan().indices() {
            if let Some(publication) = self.dispatch.publication(ix) {
                let slot = self.slots[self.state.plan().object(ix).stage.usize()];
                windows[slot].release(publication.partition);
            }
        }
    }

    pub(crate) fn is_over(&self) -> bool {
        self.state.is_over()
    }

    /// Its uid, once, when it is over.
    pub(crate) fn tell_end(&mut self) -> Option<RunUid> {
        if self.end_is_told || !self.is_over() {
            return None;
        }
        self.end_is_told = true;
        Some(self.uid().clone())
    }

    /// What may be in flight now: nothing before the workers know that the run is open.
    pub(crate) fn effective_orders(&self) -> Orders {
        let is_open = self.gate.told == Some(RunGate::Open) && self.gate.acknowledged;
        if is_open { self.orders } else { Orders { max_in_flight: 0, ..self.orders } }
    }

    /// How many objects of a stage it could publish now if there were room.
    pub(crate) fn could_publish(&self, stage: StageIx) -> u32 {
        let room = self.effective_orders().max_in_flight.saturating_sub(self.dispatch.in_flight());
        if self.state.is_stopping() { 0 } else { self.dispatch.waiting(stage).min(room) }
    }

    /// Notes that a ready record is written now.
    pub(crate) fn note_published(&mut self, ix: ObjectIx) {
        self.under_way.push(ix);
    }

    /// Marks the stages (by slot) in which an object waits for one that is under way, so that work is about to come.
    /// It looks at what is under way only: a pass over all objects would cost milliseconds in a large run.
    pub(crate) fn mark_soon(&mut self, soon: &mut [bool]) {
        let mut under_way = std::mem::take(&mut self.under_way);
        under_way.retain(|ix| self.is_under_way(*ix));
        let plan = self.state.plan();
        let mut unmarked = self.slots.iter().filter(|slot| !soon[**slot]).count();
        for ix in &under_way {
            for dependant in plan.graph.dependants(*ix) {
                if unmarked == 0 {
                    break;
                }
                let slot = self.slots[plan.object(*dependant).stage.usize()];
                if !soon[slot] && self.state.cell(*dependant).phase == Phase::Pending {
                    soon[slot] = true;
                    unmarked -= 1;
                }
            }
        }
        self.under_way = under_way;
    }

    /// The worker of each object of a stage that is at work, as far as workers have said so.
    pub(crate) fn at_work(&self, stage: &StageName) -> impl Iterator<Item = &str> {
        let plan = self.state.plan();
        let at_work = |ix: &ObjectIx| {
            self.state.cell(*ix).phase == Phase::Running && plan.stage(plan.object(*ix).stage).name == *stage
        };
        // An object stands there once for each of its attempts.
        let objects: BTreeSet<ObjectIx> = self.under_way.iter().copied().filter(at_work).collect();
        objects.into_iter().filter_map(|ix| self.state.worker_name(ix)).filter(|name| !name.is_empty())
    }

    fn is_under_way(&self, ix: ObjectIx) -> bool {
        match self.state.cell(ix).phase {
            Phase::Running => true,
            Phase::Ready => self.dispatch.publication(ix).is_some(),
            Phase::Pruned
            | Phase::Pending
            | Phase::Loaded
            | Phase::Failed
            | Phase::Blocked
            | Phase::Cancelled => false,
        }
    }
}

/// Shows the Pipeline's windows in the order of the run's own stages.
pub(crate) fn with_slots<T>(
    windows: &mut [Window],
    slots: &[usize],
    act: impl FnOnce(&mut [Window]) -> T,
) -> T {
    // The usual case: the run has the Pipeline's stages in the Pipeline's order.
    if slots.iter().copied().eq(0..slots.len()) {
        return act(&mut windows[..slots.len()]);
    }
    let empty = || Window::new(0, 1);
    let mut own: Vec<Window> =
        slots.iter().map(|slot| std::mem::replace(&mut windows[*slot], empty())).collect();
    let result = act(&mut own);
    for (slot, window) in slots.iter().zip(own) {
        windows[*slot] = window;
    }
    result
}
