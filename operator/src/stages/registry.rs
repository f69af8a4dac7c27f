//! The sets of stages that this leader drives. Each has a place of its own: whoever makes, replaces or removes a set
//! holds its place, and the others go on.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::join_all;
use kube::ResourceExt;
use orch_bus::BusError;
use orch_core::id::{Epoch, RunUid};
use orch_crds::PipelineRun;
use orch_runner::{Ended, Exit};
use orch_wire::TopicNames;
use tokio::sync::OwnedMutexGuard;
use tracing::info;

use super::StageSet;
use super::set::{Drive, Runs, SetHandle};
use crate::connection::Files;
use crate::lock::lock;

/// Who was superseded leaves the topics to the other operator for so long, should both believe that they lead.
const YIELD: Duration = Duration::from_secs(30);

/// Names a set: a Pipeline, or a run with inline stages.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct SetKey {
    namespace: String,
    name: String,
}

impl SetKey {
    /// The set that a run uses: its own stages, or those of its Pipeline.
    pub(crate) fn of_run(run: &PipelineRun) -> Option<Self> {
        let name = match &run.spec.pipeline_ref {
            Some(reference) => reference.name.clone(),
            None => TopicNames::inline_name(&run.name_any(), &RunUid::new(&run.uid()?)),
        };
        Some(Self { namespace: run.namespace()?, name })
    }

    pub(crate) fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Where a set is kept.
    pub(crate) fn of_set(set: &StageSet) -> Self {
        Self { namespace: set.namespace.clone(), name: set.name.clone() }
    }
}

type Slot = Arc<tokio::sync::Mutex<Option<Arc<SetHandle>>>>;

/// All sets of this leader.
#[derive(Default)]
pub(crate) struct Registry {
    slots: Mutex<HashMap<SetKey, Slot>>,
    /// Whether this operator leads. Who begins to drive a set takes its topics over from whoever does.
    leads: Arc<AtomicBool>,
}

/// The place of a set. While somebody has it nobody else changes the set.
pub(crate) struct Place {
    set: OwnedMutexGuard<Option<Arc<SetHandle>>>,
    leads: Arc<AtomicBool>,
}

/// Why a set is not driven.
pub(crate) enum NotDriven {
    /// The bus does not let its actor begin.
    Bus(BusError),
    /// Another operator leads: it is left to it for a while.
    Yielded(Epoch),
    /// This operator leads no more.
    NotLeading,
}

impl Registry {
    /// The set as it is driven now; one that is being started is waited for.
    pub(crate) async fn get(&self, key: &SetKey) -> Option<Arc<SetHandle>> {
        let slot = lock(&self.slots).get(key).cloned()?;
        slot.lock().await.clone()
    }

    /// All sets that are driven; those that are being started are not among them.
    pub(crate) fn all(&self) -> Vec<Arc<SetHandle>> {
        lock(&self.slots).values().filter_map(|slot| slot.try_lock().ok()?.clone()).collect()
    }

    /// The place of a set. Waits for whoever has it.
    pub(crate) async fn place(&self, key: &SetKey) -> Place {
        let slot = lock(&self.slots).entry(key.clone()).or_default().clone();
        Place { set: slot.lock_owned().await, leads: self.leads.clone() }
    }

    /// Drives a set no longer. When this returns nothing is made for it any more.
    pub(crate) async fn drop_set(&self, key: &SetKey) {
        let Place { set: mut slot, .. } = self.place(key).await;
        if let Some(handle) = slot.take() {
            handle.stop().await;
        }
        let mut slots = lock(&self.slots);
        drop(slot);
        // Nobody else waits for it: who comes now asks for `slots` first.
        if slots.get(key).is_some_and(|slot| Arc::strong_count(slot) == 1) {
            slots.remove(key);
        }
    }

    /// From now on sets may be driven.
    pub(crate) fn lead(&self) {
        self.leads.store(true, Ordering::SeqCst);
    }

    /// Drives nothing any more: the lease is gone, or the process ends. What was handed to the bus is written. A
    /// reconcile that is under way begins nothing either.
    pub(crate) async fn clear(&self) {
        self.leads.store(false, Ordering::SeqCst);
        let keys: Vec<SetKey> = lock(&self.slots).keys().cloned().collect();
        join_all(keys.iter().map(|key| self.drop_set(key))).await;
    }
}

impl Place {
    /// Drives a set. One that is driven unchanged stays; one that has changed, or whose actor has ended, is started
    /// anew and takes its runs along. `drive` is asked only when something has to start.
    pub(crate) async fn ensure(
        &mut self,
        set: &StageSet,
        connection: &Files,
        drive: impl FnOnce() -> Drive + Send,
    ) -> Result<Arc<SetHandle>, NotDriven> {
        // Whoever clears the registry asks for this place after it has said so.
        if !self.leads.load(Ordering::SeqCst) {
            return Err(NotDriven::NotLeading);
        }
        let (mut runs, mut before) = (Runs::new(), None);
        if let Some(existing) = &*self.set {
            match existing.how_it_ended() {
                None if existing.is_driven_as(set, connection) => return Ok(existing.clone()),
                None => info!(set = %set.name, "stages or connection have changed; they are started anew"),
                Some(Ended { exit: Exit::Superseded { epoch }, at }) if at.elapsed() < YIELD => {
                    return Err(NotDriven::Yielded(epoch));
                }
                Some(ended) => {
                    info!(set = %set.name, exit = ?ended.exit, "the actor has ended; it is started anew");
                    before = Some(ended.exit).filter(|exit| !matches!(exit, Exit::Stopped));
                }
            }
            runs = existing.runs();
            // Stays here until the next one has started: what is to be known of its end is not forgotten.
            existing.stop().await;
        }
        let handle = SetHandle::start(set.clone(), drive(), runs, before).await.map_err(NotDriven::Bus)?;
        let handle = Arc::new(handle);
        *self.set = Some(handle.clone());
        Ok(handle)
    }
}

#[cfg(test)]
mod tests {
    use orch_wire::TopicPrefix;
    use serde_json::json;

    use super::*;

    /// A leader that had stood still beyond its Lease let go of everything, and a reconcile that was under way took the
    /// topics away from the leader that had followed it.
    #[tokio::test]
    async fn who_leads_no_more_takes_nothing_over() {
        let run: PipelineRun = serde_json::from_value(json!({
            "apiVersion": "kafka-orchestrator.dev/v1alpha1",
            "kind": "PipelineRun",
            "metadata": {"name": "r", "namespace": "n", "uid": "00000000-0000-0000-0000-000000000001"},
            "spec": {"stages": [{"name": "work", "processor": {"simulate": {}}}], "objects": [{"id": "a"}]},
        }))
        .unwrap();
        let set = StageSet::of_run(&run, &TopicPrefix::default()).unwrap();
        let registry = Registry::default();
        registry.lead();
        let mut place = registry.place(&SetKey::of_set(&set)).await;
        let clearing = registry.clear();
        tokio::pin!(clearing);
        assert!(futures::poll!(clearing.as_mut()).is_pending(), "it waits for who has the place");
        let ensured = place.ensure(&set, &Files::default(), || unreachable!("nothing is started")).await;
        assert!(matches!(ensured, Err(NotDriven::NotLeading)));
        drop(place);
        clearing.await;
        assert!(registry.all().is_empty());
    }
}
