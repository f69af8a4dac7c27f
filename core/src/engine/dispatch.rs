//! The leader's bookkeeping of one run: what may be published, and what is published and not ended.
//! It is not in the log; after a take-over it comes back from the ready topics.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use crate::engine::window::Window;
use crate::engine::{Changes, Phase, RunState};
use crate::id::{Attempt, Millis, ObjectIx, StageIx};

/// A ready record that was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Publication {
    /// Attempt that it asks for; 0: none was written.
    pub attempt: Attempt,
    /// Partition it went to.
    pub partition: u16,
    /// When.
    pub time: Millis,
    /// The operator has asked to give this attempt up; the record is on its way.
    pub(super) expiring: bool,
}

const NONE: Publication = Publication { attempt: 0, partition: 0, time: 0, expiring: false };

/// See the module.
#[derive(Debug, Clone)]
pub struct Dispatch {
    publications: Vec<Publication>,
    /// Objects to publish now, by stage, oldest first.
    pub(super) ready: Vec<VecDeque<ObjectIx>>,
    /// Objects to publish later: retries.
    pub(super) delayed: BinaryHeap<Reverse<(Millis, ObjectIx)>>,
    /// Published and not ended, by stage.
    outstanding: Vec<u32>,
    pub(super) start_asked: bool,
    pub(super) end_asked: bool,
    /// Timeouts are looked at when this time has come.
    pub(super) next_look: Millis,
    /// No attempt of this run is overdue sooner than this after its start.
    pub(super) shortest_timeout_ms: Millis,
}

impl Dispatch {
    /// Nothing is published yet.
    pub fn new(state: &RunState) -> Self {
        let stages = state.plan().stages.len();
        Self {
            publications: vec![NONE; state.plan().objects.len()],
            ready: vec![VecDeque::new(); stages],
            delayed: BinaryHeap::new(),
            outstanding: vec![0; stages],
            start_asked: false,
            end_asked: false,
            next_look: 0,
            shortest_timeout_ms: shortest_timeout(state),
        }
    }

    /// What the operator has asked for may have been lost with the term that it named: it is to be asked for again.
    pub fn ask_again(&mut self) {
        (self.start_asked, self.end_asked) = (false, false);
        self.publications.iter_mut().for_each(|publication| publication.expiring = false);
    }

    /// Nobody's silence counts before `until`: records could not come.
    pub fn hold_timeouts(&mut self, until: Millis) {
        self.next_look = self.next_look.max(until);
    }

    /// After a take-over: `published` is what the ready topics still hold of this run. Of what is unanswered, the rest
    /// is to be published again; an object that a worker has begun is not, its heartbeat decides.
    pub fn recover(state: &RunState, published: &[(ObjectIx, Publication)], windows: &mut [Window]) -> Self {
        let mut dispatch = Self::new(state);
        for (ix, publication) in published {
            let cell = state.cell(*ix);
            let current =
                matches!(cell.phase, Phase::Ready | Phase::Running) && cell.attempt == publication.attempt;
            // The same attempt may stand there twice after an earlier take-over.
            if current && dispatch.publication(*ix).is_none() {
                let stage = state.plan().object(*ix).stage;
                windows[stage.usize()].occupy(publication.partition);
                dispatch.mark(stage, *ix, *publication);
            }
        }
        if state.is_stopping() {
            return dispatch;
        }
        for ix in state.plan().indices() {
            if state.cell(ix).phase == Phase::Ready && dispatch.publication(ix).is_none() {
                dispatch.enqueue(state, ix);
            }
        }
        dispatch
    }

    /// Follows what folding changed.
    pub fn absorb(&mut self, state: &RunState, changes: &Changes, windows: &mut [Window]) {
        for (ix, attempt) in &changes.ended {
            let publication = self.publications[ix.usize()];
            if publication.attempt == *attempt && *attempt > 0 {
                let stage = state.plan().object(*ix).stage;
                windows[stage.usize()].release(publication.partition);
                self.outstanding[stage.usize()] -= 1;
            }
            // Also where nothing was published: that the attempt was to be given up does not hold for the next one.
            self.publications[ix.usize()] = NONE;
        }
        if state.is_stopping() {
            // Nothing is published any more: the run takes no share of a window that others use.
            self.ready.iter_mut().for_each(VecDeque::clear);
            self.delayed.clear();
            return;
        }
        for ix in &changes.ready {
            self.enqueue(state, *ix);
        }
    }

    /// The bus gave a record up: it is to be published again, not before `not_before`.
    pub fn unpublish(
        &mut self,
        state: &RunState,
        ix: ObjectIx,
        (attempt, not_before): (Attempt, Millis),
        windows: &mut [Window],
    ) {
        let publication = self.publications[ix.usize()];
        if publication.attempt == attempt && state.cell(ix).phase == Phase::Ready {
            let stage = state.plan().object(ix).stage;
            windows[stage.usize()].release(publication.partition);
            self.outstanding[stage.usize()] -= 1;
            self.publications[ix.usize()] = NONE;
            self.delayed.push(Reverse((not_before, ix)));
        }
    }

    /// The record of the object's current attempt, if it was written.
    pub fn publication(&self, ix: ObjectIx) -> Option<&Publication> {
        Some(&self.publications[ix.usize()]).filter(|publication| publication.attempt > 0)
    }

    /// Published and not ended, in all stages.
    pub fn in_flight(&self) -> u32 {
        self.outstanding.iter().sum()
    }

    /// Published and not ended, in one stage.
    pub fn outstanding(&self, stage: StageIx) -> u32 {
        self.outstanding[stage.usize()]
    }

    /// Objects of a stage that wait for a place in the window.
    pub fn waiting(&self, stage: StageIx) -> u32 {
        self.ready[stage.usize()].len() as u32
    }

    fn enqueue(&mut self, state: &RunState, ix: ObjectIx) {
        let cell = state.cell(ix);
        if cell.attempt > 1 {
            self.delayed.push(Reverse((cell.not_before, ix)));
        } else {
            self.ready[state.plan().object(ix).stage.usize()].push_back(ix);
        }
    }

    pub(super) fn mark(&mut self, stage: StageIx, ix: ObjectIx, publication: Publication) {
        self.outstanding[stage.usize()] += 1;
        self.publications[ix.usize()] = publication;
    }

    pub(super) fn mark_expiring(&mut self, ix: ObjectIx) {
        self.publications[ix.usize()].expiring = true;
    }

    pub(super) fn is_expiring(&self, ix: ObjectIx) -> bool {
        self.publications[ix.usize()].expiring
    }
}

fn shortest_timeout(state: &RunState) -> Millis {
    let timeouts = state.plan().objects.iter().map(|object| object.policies.timeouts);
    let shortest = |t: crate::spec::Timeouts| {
        t.heartbeat_ms.min(t.queue_ms.unwrap_or(Millis::MAX)).min(t.run_ms.unwrap_or(Millis::MAX))
    };
    timeouts.map(shortest).min().unwrap_or(0)
}

impl Publication {
    /// A record that was written.
    pub fn new(attempt: Attempt, partition: u16, time: Millis) -> Self {
        Self { attempt, partition, time, expiring: false }
    }
}
