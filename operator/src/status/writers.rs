//! The writers of this leader, one a run.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kube::ResourceExt;
use orch_core::id::RunUid;
use orch_crds::PipelineRun;
use tokio::sync::{mpsc, oneshot};

use super::facts::Facts;
use super::writer::{Beginning, Order, Writer};
use crate::context::Context;
use crate::lock::lock;
use crate::stages::SetHandle;

/// A write that takes longer is not waited for. The run is then read and checked again, so that with many runs at an API
/// server that is busy most of the work would be done twice.
const SOON: Duration = Duration::from_secs(30);

/// See the module.
#[derive(Default)]
pub(crate) struct Writers {
    by_run: Mutex<HashMap<RunUid, mpsc::UnboundedSender<Order>>>,
    seen_finished: Mutex<HashSet<RunUid>>,
    /// Runs whose end was written here. What the watch says of them may be older.
    over: Mutex<HashSet<RunUid>>,
}

impl Writers {
    /// Hands facts over; they are written when they differ from what stands there.
    pub(crate) fn note(&self, context: &Arc<Context>, run: &PipelineRun, facts: Facts) {
        self.send(context, run, Order::Facts(Box::new(facts), None));
    }

    /// Hands facts over and waits until they are written; gives how the run began as it is kept now. `None`: they could
    /// not be written, or not soon.
    pub(crate) async fn write(
        &self,
        context: &Arc<Context>,
        run: &PipelineRun,
        facts: Facts,
    ) -> Option<Beginning> {
        let (done, written) = oneshot::channel();
        self.send(context, run, Order::Facts(Box::new(facts), Some(done)));
        // Whoever waits keeps the run from being looked at, also when it is being deleted.
        tokio::time::timeout(SOON, written).await.ok()?.ok()
    }

    /// From here on the writer shows what the actor of `set` says of the run.
    pub(crate) fn follow(&self, context: &Arc<Context>, run: &PipelineRun, set: Arc<SetHandle>) {
        self.send(context, run, Order::Follow(set));
    }

    /// The run is gone: its writer ends.
    pub(crate) fn drop_run(&self, run: &RunUid) {
        lock(&self.by_run).remove(run);
        lock(&self.seen_finished).remove(run);
        lock(&self.over).remove(run);
    }

    /// The end of a run is written, and it is with no actor any more.
    pub(super) fn note_end_of(&self, run: &RunUid) {
        lock(&self.over).insert(run.clone());
    }

    /// Whether that was so while this operator led.
    pub(crate) fn has_written_the_end_of(&self, run: &RunUid) -> bool {
        lock(&self.over).contains(run)
    }

    /// Whether this finished run is looked at for the first time.
    pub(crate) fn first_look(&self, run: &RunUid) -> bool {
        lock(&self.seen_finished).insert(run.clone())
    }

    /// No run is written any more.
    pub(crate) fn clear(&self) {
        lock(&self.by_run).clear();
        lock(&self.seen_finished).clear();
        lock(&self.over).clear();
    }

    fn send(&self, context: &Arc<Context>, run: &PipelineRun, order: Order) {
        let Some(uid) = run.uid() else { return };
        let mut writers = lock(&self.by_run);
        let uid = RunUid::new(&uid);
        let order = match writers.get(&uid) {
            None => order,
            Some(writer) => match writer.send(order) {
                Ok(()) => return,
                // The writer has ended: the run was over.
                Err(mpsc::error::SendError(order)) => order,
            },
        };
        // Those that have ended by themselves: their runs are gone, or others write them.
        writers.retain(|_, writer| !writer.is_closed());
        let (sender, orders) = mpsc::unbounded_channel();
        // The channel is open: its receiver stands one line above.
        let _ = sender.send(order);
        tokio::spawn(Writer::new(context.clone(), run).run(orders));
        writers.insert(uid, sender);
    }
}
