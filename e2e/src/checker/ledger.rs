//! What the events of a run mean, one after another.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;

use super::graph::Graph;
use super::said::{About, Said, Word};

/// A term further above the highest one is out of reach.
const FAR: u64 = 1 << 32;
/// So many drains in a row use up no attempt.
const FREE_DRAINS: u64 = 5;

/// Where in the events topic, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) offset: i64,
    pub(super) time_ms: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stand {
    Waits,
    MayRun,
    Runs,
    Loaded,
    Failed,
    Blocked,
    Cancelled,
}

#[derive(Debug, Clone)]
pub(super) struct Object {
    pub(super) stand: Stand,
    pub(super) attempt: u64,
    used: u64,
    drains: u64,
    /// Parents that are not loaded yet.
    missing: usize,
    pub(super) outputs: Option<Value>,
}

/// What is known of a run after some of its records.
#[derive(Debug)]
pub(super) struct Ledger<'a> {
    graph: &'a Graph,
    uid: &'a str,
    /// The highest term so far.
    epoch: u64,
    /// Where each term began.
    pub(super) terms: BTreeMap<u64, Place>,
    pub(super) started: Option<(Place, String)>,
    /// By what reason it was ended, in which term.
    pub(super) cancelled: Option<(Place, String, u64)>,
    pub(super) objects: Vec<Object>,
    /// Since when an attempt of an object exists, and since when it is over.
    pub(super) begun: HashMap<(usize, u64), Place>,
    pub(super) over: HashMap<(usize, u64), Place>,
    /// Records that changed nothing, by reason.
    pub(super) refused: BTreeMap<&'static str, usize>,
    pub(super) accepted: usize,
}

impl<'a> Ledger<'a> {
    pub(super) fn new(graph: &'a Graph, uid: &'a str) -> Self {
        let object = |parents: &Vec<usize>| Object {
            stand: Stand::Waits,
            attempt: 0,
            used: 0,
            drains: 0,
            missing: parents.len(),
            outputs: None,
        };
        Self {
            graph,
            uid,
            epoch: 0,
            terms: BTreeMap::new(),
            started: None,
            cancelled: None,
            objects: graph.parents.iter().map(object).collect(),
            begun: HashMap::new(),
            over: HashMap::new(),
            refused: BTreeMap::new(),
            accepted: 0,
        }
    }

    /// Takes the next record in; `None` is one that nobody can read.
    pub(super) fn take(&mut self, place: Place, said: Option<&Said>) {
        let taken = match said {
            None => Err("malformed"),
            Some(Said::Leader { epoch }) => self.leader(place, *epoch),
            Some(Said::RunStarted { uid, epoch, digest }) if uid == self.uid => {
                self.run_started(place, *epoch, digest)
            }
            Some(Said::RunCancelled { uid, epoch, reason }) if uid == self.uid => {
                self.run_cancelled(place, *epoch, reason)
            }
            Some(Said::Snapshot { uid }) if uid == self.uid => Ok(()),
            Some(Said::About(about)) if about.uid == self.uid => self.hear(place, about),
            Some(_) => Err("another run's"),
        };
        match taken {
            Ok(()) => self.accepted += 1,
            Err(reason) => *self.refused.entry(reason).or_default() += 1,
        }
    }

    fn leader(&mut self, place: Place, epoch: u64) -> Result<(), &'static str> {
        if epoch <= self.epoch {
            return Err("fenced");
        }
        if epoch - self.epoch > FAR {
            return Err("malformed");
        }
        self.epoch = epoch;
        self.terms.insert(epoch, place);
        Ok(())
    }

    fn run_started(&mut self, place: Place, epoch: u64, digest: &str) -> Result<(), &'static str> {
        if epoch < self.epoch {
            return Err("fenced");
        }
        if self.started.is_some() {
            return Err("started twice");
        }
        self.epoch = epoch;
        self.started = Some((place, digest.to_owned()));
        for position in 0..self.objects.len() {
            if self.objects[position].missing == 0 {
                self.begin(position, 1, place);
            }
        }
        Ok(())
    }

    fn run_cancelled(&mut self, place: Place, epoch: u64, reason: &str) -> Result<(), &'static str> {
        if epoch < self.epoch {
            return Err("fenced");
        }
        let is_open = |object: &Object| matches!(object.stand, Stand::Waits | Stand::MayRun | Stand::Runs);
        if self.started.is_none() || self.cancelled.is_some() || !self.objects.iter().any(is_open) {
            return Err("late");
        }
        self.cancelled = Some((place, reason.to_owned(), self.epoch));
        for (position, object) in self.objects.iter_mut().enumerate().filter(|(_, object)| is_open(object)) {
            object.stand = Stand::Cancelled;
            self.over.insert((position, object.attempt), place);
        }
        Ok(())
    }

    fn begin(&mut self, position: usize, attempt: u64, place: Place) {
        let object = &mut self.objects[position];
        (object.stand, object.attempt) = (Stand::MayRun, attempt);
        self.begun.insert((position, attempt), place);
    }

    fn hear(&mut self, place: Place, about: &About) -> Result<(), &'static str> {
        let position = self.graph.positions.get(&about.object).copied();
        let position = position.ok_or("unknown object")?;
        let is_wrong = about.stage.as_ref().is_some_and(|stage| *stage != self.graph.stages[position]);
        if is_wrong && about.by.is_none() {
            return Err("wrong stage");
        }
        if about.by.is_some_and(|epoch| epoch < self.epoch) {
            return Err("fenced");
        }
        let object = &self.objects[position];
        match object.stand {
            Stand::MayRun | Stand::Runs if about.attempt == object.attempt => {}
            Stand::Loaded | Stand::Failed if about.attempt == object.attempt => return Err("duplicate"),
            Stand::Blocked | Stand::Cancelled => return Err("late"),
            _ if about.attempt < object.attempt => return Err("stale attempt"),
            _ => return Err("future attempt"),
        }
        match &about.word {
            Word::Sign => self.objects[position].stand = Stand::Runs,
            Word::Loaded { outputs } => self.loaded(position, outputs.clone(), place),
            Word::Failed { again, drained } => self.failed(position, (*again, *drained), place),
        }
        Ok(())
    }

    fn loaded(&mut self, position: usize, outputs: Option<Value>, place: Place) {
        let object = &mut self.objects[position];
        (object.stand, object.outputs) = (Stand::Loaded, outputs);
        self.over.insert((position, object.attempt), place);
        let graph = self.graph;
        for child in &graph.children[position] {
            self.objects[*child].missing -= 1;
            if self.objects[*child].missing == 0 && self.objects[*child].stand == Stand::Waits {
                self.begin(*child, 1, place);
            }
        }
    }

    fn failed(&mut self, position: usize, (again, drained): (bool, bool), place: Place) {
        let object = &mut self.objects[position];
        let attempt = object.attempt;
        self.over.insert((position, attempt), place);
        object.drains = if drained { object.drains + 1 } else { 0 };
        if !(1..=FREE_DRAINS).contains(&object.drains) {
            object.used += 1;
        }
        if again && object.used < self.graph.max_attempts[position].max(1) {
            return self.begin(position, attempt + 1, place);
        }
        object.stand = Stand::Failed;
        let mut blocked = self.graph.children[position].clone();
        while let Some(next) = blocked.pop() {
            if self.objects[next].stand == Stand::Waits {
                self.objects[next].stand = Stand::Blocked;
                blocked.extend(&self.graph.children[next]);
            }
        }
    }

    /// Where the attempt that counts was accepted as loaded.
    pub(super) fn loaded_at(&self, position: usize) -> Option<Place> {
        let object = &self.objects[position];
        (object.stand == Stand::Loaded).then(|| self.over.get(&(position, object.attempt)).copied())?
    }
}
