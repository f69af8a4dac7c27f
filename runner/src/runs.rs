//! The runs of an actor, by uid and by number.

use std::collections::{BTreeMap, HashMap};

use orch_core::id::RunUid;

use crate::run::Run;

/// Numbers stand for runs in tokens; they fit into 31 bits, and one that is free again waits for all others.
const NUMBERS: u32 = 1 << 31;

/// See the module.
#[derive(Default)]
pub(crate) struct Runs {
    /// In the order of arrival.
    by_number: BTreeMap<u32, Run>,
    numbers: HashMap<RunUid, u32>,
    next: u32,
}

impl Runs {
    pub(crate) fn insert(&mut self, run: Run) {
        while self.by_number.contains_key(&self.next) {
            self.next = (self.next + 1) % NUMBERS;
        }
        self.numbers.insert(run.uid().clone(), self.next);
        self.by_number.insert(self.next, run);
        self.next = (self.next + 1) % NUMBERS;
    }

    pub(crate) fn remove(&mut self, uid: &str) -> Option<(u32, Run)> {
        let number = self.numbers.remove(uid)?;
        self.by_number.remove(&number).map(|run| (number, run))
    }

    pub(crate) fn number(&self, uid: &str) -> Option<u32> {
        self.numbers.get(uid).copied()
    }

    pub(crate) fn get(&self, number: u32) -> Option<&Run> {
        self.by_number.get(&number)
    }

    pub(crate) fn get_mut(&mut self, number: u32) -> Option<&mut Run> {
        self.by_number.get_mut(&number)
    }

    /// The run of this uid.
    pub(crate) fn find(&mut self, uid: &str) -> Option<&mut Run> {
        self.by_number.get_mut(self.numbers.get(uid)?)
    }

    pub(crate) fn numbers(&self) -> Vec<u32> {
        self.by_number.keys().copied().collect()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Run> {
        self.by_number.values()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Run> {
        self.by_number.values_mut()
    }
}
