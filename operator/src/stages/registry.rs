//! The sets of stages that this leader drives: each with its bus, its actor and its workers.

use std::collections::HashMap;
use std::sync::Arc;

use kube::Client;
use orch_bus::{Bus, BusError};
use orch_core::engine::{Detail, Orders};
use orch_core::id::{Epoch, RunUid, StageName};
use orch_runner::{Outlets, PipelineHandle, PipelineSettings, RunSettings, RunSnapshot};
use tokio::sync::{Mutex, broadcast, watch};
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::StageSet;
use super::build::Prepared;
use super::workers::{Workers, WorkersState};
use crate::status::Condition;

/// Names a set: a Pipeline, or a run with inline stages.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct SetKey {
    pub(crate) namespace: String,
    pub(crate) name: String,
}

/// One set that is driven.
pub(crate) struct SetHandle {
    pub(crate) set: StageSet,
    pipeline: PipelineHandle,
    workers: watch::Receiver<WorkersState>,
    outage: watch::Receiver<Option<Condition>>,
    stop_workers: CancellationToken,
    runs: std::sync::Mutex<HashMap<RunUid, RunSettings>>,
}

impl SetHandle {
    /// Takes a run in; one that is here already gets its orders.
    pub(crate) fn add(&self, run: RunSettings) {
        let mut runs = lock(&self.runs);
        if runs.contains_key(&run.uid) {
            self.pipeline.order(&run.uid, run.orders);
        } else {
            self.pipeline.add(run.clone());
        }
        runs.insert(run.uid.clone(), run);
    }

    pub(crate) fn order(&self, run: &RunUid, orders: Orders) {
        if let Some(settings) = lock(&self.runs).get_mut(run) {
            settings.orders = orders;
        }
        self.pipeline.order(run, orders);
    }

    /// Forgets a run; says whether it was the last.
    pub(crate) async fn remove(&self, run: &RunUid) -> bool {
        let last = {
            let mut runs = lock(&self.runs);
            runs.remove(run);
            runs.is_empty()
        };
        self.pipeline.remove(run).await;
        last
    }

    pub(crate) fn has(&self, run: &RunUid) -> bool {
        lock(&self.runs).contains_key(run) && !self.pipeline.is_finished()
    }

    pub(crate) fn runs(&self) -> usize {
        lock(&self.runs).len()
    }

    pub(crate) async fn snapshot(&self, run: &RunUid) -> Option<RunSnapshot> {
        self.pipeline.snapshot(run, Detail::default()).await
    }

    pub(crate) fn changed(&self) -> watch::Receiver<u64> {
        self.pipeline.changed()
    }

    pub(crate) fn ended(&self) -> broadcast::Receiver<RunUid> {
        self.pipeline.ended()
    }

    pub(crate) fn workers(&self) -> watch::Receiver<WorkersState> {
        self.workers.clone()
    }

    /// The condition `TopicsReady` while Kafka is away.
    pub(crate) fn outage(&self) -> watch::Receiver<Option<Condition>> {
        self.outage.clone()
    }

    pub(crate) fn epoch(&self) -> Epoch {
        self.pipeline.epoch()
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.pipeline.is_finished()
    }
}

/// All sets of this leader.
#[derive(Default)]
pub(crate) struct Registry {
    sets: Mutex<HashMap<SetKey, Arc<SetHandle>>>,
}

/// What a set is driven with.
pub(crate) struct Drive {
    pub(crate) client: Client,
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) prepared: Prepared,
    pub(crate) outage: watch::Receiver<Option<Condition>>,
    pub(crate) window: u32,
    pub(crate) leader: String,
    pub(crate) known_epoch: Epoch,
    pub(crate) outlets: Outlets,
}

impl Registry {
    /// The set as it is driven now.
    pub(crate) async fn get(&self, key: &SetKey) -> Option<Arc<SetHandle>> {
        self.sets.lock().await.get(key).cloned()
    }

    /// All sets.
    pub(crate) async fn all(&self) -> Vec<Arc<SetHandle>> {
        self.sets.lock().await.values().cloned().collect()
    }

    /// Drives a set. One that is driven unchanged stays; one that has changed, or whose actor has ended, is started
    /// anew and takes its runs along. `drive` is asked only when something has to start.
    pub(crate) async fn ensure(
        &self,
        set: StageSet,
        drive: impl FnOnce() -> Drive + Send,
    ) -> Result<Arc<SetHandle>, BusError> {
        // One start at a time: two reconciles must not lead the same topics twice.
        let mut sets = self.sets.lock().await;
        let mut runs = HashMap::new();
        if let Some(existing) = sets.get(&set.key()) {
            if existing.set == set && !existing.is_finished() {
                return Ok(existing.clone());
            }
            runs.clone_from(&lock(&existing.runs));
            info!(set = %set.name, "the stages have changed or their actor has ended; it is started anew");
        }
        if let Some(old) = sets.remove(&set.key()) {
            old.stop_workers.cancel();
            // Its actor ends when the last handle is dropped; its term is over as soon as the new one leads.
        }
        let Drive { client, bus, prepared, outage, window, leader, known_epoch, outlets } = drive();
        let settings = PipelineSettings {
            names: set.names.clone(),
            stages: all_stages(&set, runs.values()),
            window,
            leader,
            known_epoch,
        };
        let pipeline =
            PipelineHandle::start(bus, settings, runs.values().cloned().collect(), outlets).await?;
        let stop_workers = CancellationToken::new();
        let workers = Workers::start(client, set.clone(), prepared, pipeline.demand(), stop_workers.clone());
        let runs = std::sync::Mutex::new(runs);
        let handle = Arc::new(SetHandle { set, pipeline, workers, outage, stop_workers, runs });
        sets.insert(handle.set.key(), handle.clone());
        Ok(handle)
    }

    /// Drives a set no longer.
    pub(crate) async fn drop_set(&self, key: &SetKey) {
        if let Some(handle) = self.sets.lock().await.remove(key) {
            handle.stop_workers.cancel();
        }
    }

    /// Drives nothing any more: the lease is gone, or the process ends. What was handed to the bus is written.
    pub(crate) async fn clear(&self) {
        let sets: Vec<_> = self.sets.lock().await.drain().map(|(_, handle)| handle).collect();
        for handle in sets {
            handle.stop_workers.cancel();
            if let Some(handle) = Arc::into_inner(handle) {
                handle.pipeline.stop().await;
            }
        }
    }
}

/// The stages of the set, and those that only its live runs still know: an edit of a Pipeline applies to later runs.
fn all_stages<'a>(set: &StageSet, runs: impl Iterator<Item = &'a RunSettings>) -> Vec<(StageName, u16)> {
    let mut stages = set.stage_topics();
    for stage in runs.flat_map(|run| &run.plan.stages) {
        if !stages.iter().any(|(name, _)| *name == stage.name) {
            stages.push((stage.name.clone(), stage.partitions));
        }
    }
    stages
}

/// A panic while the lock was held leaves a map that is still whole.
fn lock<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
