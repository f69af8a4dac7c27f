//! Who has what in hand: when workers have to go, those that do nothing go first.

use std::collections::BTreeMap;

use orch_core::id::StageName;
use tokio::sync::{mpsc, oneshot};

use crate::handle::Command;
use crate::run::Run;

/// The workers of a stage that have said that they work, and on how many objects. Work that ends sooner than a worker
/// announces it is nobody's here.
pub(crate) fn workers<'a>(runs: impl Iterator<Item = &'a Run>, stage: &StageName) -> BTreeMap<String, u32> {
    let mut busy = BTreeMap::new();
    for run in runs {
        for worker in run.at_work(stage) {
            *busy.entry(worker.to_owned()).or_default() += 1;
        }
    }
    busy
}

/// Asks an actor who has what in hand.
#[derive(Debug, Clone)]
pub struct Hands {
    commands: mpsc::WeakUnboundedSender<Command>,
}

impl Hands {
    pub(crate) fn new(commands: mpsc::WeakUnboundedSender<Command>) -> Self {
        Self { commands }
    }

    /// Objects in the hands of each worker of a stage, by the worker's name. Empty when the actor has ended.
    pub async fn of(&self, stage: &StageName) -> BTreeMap<String, u32> {
        let Some(commands) = self.commands.upgrade() else { return BTreeMap::new() };
        let (reply, answer) = oneshot::channel();
        // An actor that has ended drops the question, and with it the reply.
        let _ = commands.send(Command::Busy(stage.clone(), reply));
        drop(commands);
        answer.await.unwrap_or_default()
    }
}
