//! The stages of a Pipeline: their ready topics and windows, and how the runs share them.

use std::sync::Arc;

use orch_core::engine::{Window, share};
use orch_core::id::{StageIx, StageName};
use orch_core::plan::{RunPlan, StagePlan};
use orch_wire::TopicNames;

use crate::handle::PipelineSettings;
use crate::run::Run;

/// See the module. A slot is the position of a stage here; runs have an order of their own.
pub(crate) struct Stages {
    names: TopicNames,
    limit: u32,
    slots: Vec<StageName>,
    ready_topics: Vec<Arc<str>>,
    /// Which run gets the first place when room is scarce.
    turns: Vec<usize>,
    pub(crate) windows: Vec<Window>,
}

impl Stages {
    pub(crate) fn new(settings: &PipelineSettings) -> Self {
        let mut stages = Self {
            names: settings.names.clone(),
            limit: settings.window,
            slots: Vec::new(),
            ready_topics: Vec::new(),
            turns: Vec::new(),
            windows: Vec::new(),
        };
        for (stage, partitions) in &settings.stages {
            stages.slot(stage, *partitions);
        }
        stages
    }

    /// The slots of a plan's stages. They are the Pipeline's: whoever hands a run over has seen to that.
    pub(crate) fn slots(&mut self, plan: &RunPlan) -> Vec<usize> {
        let slot = |stage: &StagePlan| {
            let slot = self.slot(&stage.name, stage.partitions);
            // Of programs of others nobody knows how many objects they take at a time: too small a window would keep
            // them slow.
            if !stage.is_external() {
                let worker = &stage.worker;
                self.windows[slot].serve(worker.concurrency.saturating_mul(worker.max_replicas));
            }
            slot
        };
        plan.stages.iter().map(slot).collect()
    }

    fn slot(&mut self, stage: &StageName, partitions: u16) -> usize {
        if let Some(slot) = self.slots.iter().position(|known| known == stage) {
            return slot;
        }
        self.ready_topics.push(self.names.ready(stage).into());
        self.windows.push(Window::new(self.limit, partitions));
        self.turns.push(0);
        self.slots.push(stage.clone());
        self.slots.len() - 1
    }

    pub(crate) fn stage(&self, slot: usize) -> &StageName {
        &self.slots[slot]
    }

    pub(crate) fn ready_topic(&self, slot: usize) -> &Arc<str> {
        &self.ready_topics[slot]
    }

    /// How many slots there are.
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// The ready topics of these slots.
    pub(crate) fn topics<'a>(&self, slots: impl Iterator<Item = &'a usize>) -> Vec<Arc<str>> {
        let mut slots: Vec<usize> = slots.copied().collect();
        slots.sort_unstable();
        slots.dedup();
        slots.into_iter().map(|slot| self.ready_topics[slot].clone()).collect()
    }

    /// Each run's fair share of the room of each of its stages, in the order of `runs`. What cannot be divided goes to
    /// another run each time.
    pub(crate) fn shares<'a>(&mut self, runs: impl Iterator<Item = &'a Run>) -> Vec<Vec<u32>> {
        let mut shares = Vec::new();
        // By slot: which run and which of its stages, and how much it could use.
        let mut users: Vec<Vec<(usize, usize, u32)>> = vec![Vec::new(); self.len()];
        for (n, run) in runs.enumerate() {
            for (stage, slot) in run.slots.iter().enumerate() {
                let wanted = run.could_publish(StageIx(stage as u16));
                if wanted > 0 {
                    users[*slot].push((n, stage, wanted));
                }
            }
            shares.push(vec![0; run.slots.len()]);
        }
        for (slot, users) in users.iter().enumerate() {
            let room = self.windows[slot].room();
            if room == 0 || users.is_empty() {
                continue;
            }
            let wanted: Vec<u32> = users.iter().map(|(_, _, wanted)| *wanted).collect();
            for ((n, stage, _), given) in
                users.iter().zip(share(room, &wanted, self.turns[slot] % users.len()))
            {
                shares[*n][*stage] = given;
            }
            // Only when places were given: a count of all turns may keep step with them, and always favour one run.
            self.turns[slot] = self.turns[slot].wrapping_add(1);
        }
        shares
    }

    /// All the room that a run finds now; `None` when it could use none.
    pub(crate) fn leftover(&self, run: &Run) -> Option<Vec<u32>> {
        let rooms: Vec<u32> = run.slots.iter().map(|slot| self.windows[*slot].room()).collect();
        let usable = |(stage, room): (usize, &u32)| *room > 0 && run.could_publish(StageIx(stage as u16)) > 0;
        rooms.iter().enumerate().any(usable).then_some(rooms)
    }
}
