//! One set of stages that is driven: its actor, its workers, and the runs that it has.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kube::Client;
use orch_bus::{Bus, BusError};
use orch_core::engine::{Detail, Orders};
use orch_core::id::{Epoch, RunUid};
use orch_core::plan::RunPlan;
use orch_runner::{
    Clock, Ended, Exit, Needed, Outlets, PipelineHandle, PipelineSettings, RunSettings, RunSnapshot,
    SnapshotRule,
};
use tokio::sync::{OwnedRwLockReadGuard, RwLock, RwLockWriteGuard, broadcast, watch};
use tokio::time::Instant;

use super::StageSet;
use super::build::Prepared;
use super::health::WorkersState;
use super::workers::Workers;
use crate::connection::Files;
use crate::lock::lock;
use crate::status::Condition;

/// An actor that took over from one that broke is trusted after this: where it may not write, say, it breaks at once
/// again, and what people see must not change with each attempt.
const TRUSTED_AFTER: Duration = Duration::from_secs(5);

/// What a set is driven with.
pub(crate) struct Drive {
    pub(crate) client: Client,
    pub(crate) connection: Files,
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) prepared: Prepared,
    pub(crate) outage: watch::Receiver<Option<Condition>>,
    pub(crate) window: u32,
    pub(crate) snapshots: SnapshotRule,
    pub(crate) leader: String,
    pub(crate) known_epoch: Epoch,
    pub(crate) outlets: Outlets,
}

/// One set that is driven.
pub(crate) struct SetHandle {
    pub(crate) set: StageSet,
    pub(crate) bus: Arc<dyn Bus>,
    connection: Files,
    pipeline: PipelineHandle,
    workers: Workers,
    outage: watch::Receiver<Option<Condition>>,
    runs: Mutex<Runs>,
    /// Read while the start offset of a run is taken and the actor does not know it yet.
    beginning: Arc<RwLock<()>>,
    since: Instant,
    /// How the actor before this one ended, where it did so by itself.
    before: Option<Exit>,
}

pub(super) type Runs = HashMap<RunUid, RunSettings>;

impl SetHandle {
    /// Starts actor and workers. `runs` are those that an actor before had, which ended like `before`.
    pub(super) async fn start(
        set: StageSet,
        drive: Drive,
        runs: Runs,
        before: Option<Exit>,
    ) -> Result<Self, BusError> {
        let Drive {
            client,
            connection,
            bus,
            prepared,
            outage,
            window,
            snapshots,
            leader,
            known_epoch,
            outlets,
        } = drive;
        let settings = PipelineSettings {
            names: set.names.clone(),
            stages: set.stage_topics(),
            window,
            leader,
            known_epoch,
            snapshots,
            clock: Clock::default(),
        };
        let pipeline =
            PipelineHandle::start(bus.clone(), settings, runs.values().cloned().collect(), outlets).await?;
        let workers = Workers::start(client, set.clone(), prepared, pipeline.demand(), pipeline.hands());
        let (runs, beginning, since) = (Mutex::new(runs), Arc::default(), Instant::now());
        Ok(Self { set, bus, connection, pipeline, workers, outage, runs, beginning, since, before })
    }

    /// Takes a run in; one that is here already gets its orders. Of one that begins now nothing is read back.
    pub(crate) fn add(&self, run: RunSettings, begins: bool) {
        let mut runs = lock(&self.runs);
        if runs.contains_key(&run.uid) {
            self.pipeline.order(&run.uid, run.orders);
        } else if begins {
            self.pipeline.begin(run.clone());
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

    /// A run begins: its start offset is taken now, and it comes to the actor before this is dropped.
    pub(crate) async fn begins(&self) -> OwnedRwLockReadGuard<()> {
        self.beginning.clone().read_owned().await
    }

    /// `None` while a run begins; none begins before this is dropped.
    pub(crate) fn nobody_begins(&self) -> Option<RwLockWriteGuard<'_, ()>> {
        self.beginning.try_write().ok()
    }

    /// What its runs need of the events topic; `None` when that is not known.
    pub(crate) async fn needed(&self) -> Option<Needed> {
        self.pipeline.needed().await
    }

    /// Whether Kafka is away.
    pub(crate) fn is_away(&self) -> bool {
        self.outage.borrow().is_some()
    }

    /// The next actor recovers the run from here: its status says so by now.
    pub(crate) fn begins_at(&self, run: &RunUid, start_offset: i64) {
        if let Some(settings) = lock(&self.runs).get_mut(run) {
            settings.start_offset = settings.start_offset.max(start_offset);
        }
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

    /// Whether this is how it reaches Kafka.
    pub(crate) fn uses(&self, connection: &Files) -> bool {
        self.connection == *connection
    }

    /// Whether it is driven as this set, over this connection.
    pub(crate) fn is_driven_as(&self, set: &StageSet, connection: &Files) -> bool {
        self.how_it_ended().is_none() && self.set == *set && self.uses(connection)
    }

    /// Whether a run is driven here.
    pub(crate) fn drives(&self, run: &RunUid) -> bool {
        lock(&self.runs).contains_key(run) && !self.pipeline.is_finished()
    }

    /// The plan of a run that was taken in.
    pub(crate) fn plan(&self, run: &RunUid) -> Option<Arc<RunPlan>> {
        lock(&self.runs).get(run).map(|settings| settings.plan.clone())
    }

    pub(crate) fn count_runs(&self) -> usize {
        lock(&self.runs).len()
    }

    /// The runs as the next actor needs them.
    pub(super) fn runs(&self) -> Runs {
        lock(&self.runs).clone()
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
        self.workers.state()
    }

    /// The condition `TopicsReady` while Kafka is away.
    pub(crate) fn outage(&self) -> watch::Receiver<Option<Condition>> {
        self.outage.clone()
    }

    pub(crate) fn epoch(&self) -> Epoch {
        self.pipeline.epoch()
    }

    /// How the actor ended, if it has.
    pub(super) fn how_it_ended(&self) -> Option<Ended> {
        self.pipeline.how_it_ended()
    }

    /// Waits until the actor has ended.
    pub(crate) async fn wait(&self) {
        self.pipeline.wait().await;
    }

    /// The end of an actor that people have to know, and when to look again where that changes by itself.
    pub(crate) fn trouble(&self) -> (Option<Exit>, Option<Instant>) {
        let trusted_at = self.since + TRUSTED_AFTER;
        let before = self.before.as_ref().filter(|_| Instant::now() < trusted_at);
        let own = self.how_it_ended().map(|ended| ended.exit);
        (shown(own, before), before.map(|_| trusted_at))
    }

    /// Drives it no longer. When this returns nothing of it is on its way to the API server or to Kafka any more.
    pub(crate) async fn stop(&self) {
        self.workers.stop().await;
        self.pipeline.stop().await;
    }
}

/// The end that people have to know: the actor's own, else that of the one before, which it has to make good first.
fn shown(own: Option<Exit>, before: Option<&Exit>) -> Option<Exit> {
    match own {
        Some(Exit::Stopped) => None,
        Some(exit) => Some(exit),
        None => before.cloned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_actor_answers_for_the_end_of_the_one_before_until_it_is_trusted() {
        let broken = |topic: &str| Exit::Broken(BusError::Denied(topic.to_owned()));
        let text = |exit: Option<Exit>| exit.map(|exit| format!("{exit:?}"));
        let of = |own: Option<Exit>, before: Option<Exit>| text(shown(own, before.as_ref()));
        assert_eq!(of(None, None), None);
        assert_eq!(of(None, Some(broken("a"))), text(Some(broken("a"))));
        assert_eq!(of(Some(broken("b")), Some(broken("a"))), text(Some(broken("b"))));
        assert_eq!(of(Some(Exit::Stopped), Some(broken("a"))), None, "it was told to");
    }
}
