//! What a run is with: the actor, its workers, and what wakes the run's writer up.

use std::sync::Arc;
use std::time::Duration;

use orch_core::id::RunUid;
use tokio::sync::{broadcast, watch};
use tokio::time::Instant;

use super::Condition;
use crate::stages::{SetHandle, WorkersState};

/// Nothing to look at again.
const LONG: Duration = Duration::from_hours(1);

/// The actor that a run is with.
pub(super) struct Source {
    pub(super) set: Arc<SetHandle>,
    changed: watch::Receiver<u64>,
    ended: broadcast::Receiver<RunUid>,
    pub(super) workers: watch::Receiver<WorkersState>,
    pub(super) outage: watch::Receiver<Option<Condition>>,
    /// The actor has ended, and that was noticed. The reconcile brings the next one.
    is_over: bool,
    /// When what is known of the actor changes by itself.
    pub(super) look_again: Option<Instant>,
}

/// What a writer wakes up for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// Objects have moved on, of this run or of another one of the actor.
    Records,
    /// Workers come or go.
    Workers,
    /// The actor's own troubles, or Kafka's.
    Trouble,
    /// The run is over: people wait for that.
    End,
}

impl Source {
    pub(super) fn new(set: Arc<SetHandle>) -> Self {
        let (changed, ended) = (set.changed(), set.ended());
        let (workers, outage) = (set.workers(), set.outage());
        Self { set, changed, ended, workers, outage, is_over: false, look_again: None }
    }

    /// What has moved on so far is known.
    pub(super) fn records_are_known(&mut self) {
        self.changed.mark_unchanged();
    }

    /// Waits for a change; of records only where `records` says so. They come by the ten thousand a second, and who
    /// knows of one needs to hear of no other before having looked.
    pub(super) async fn change(&mut self, run: &RunUid, records: bool) -> Change {
        let Self { set, changed, ended, workers, outage, is_over, look_again } = self;
        let at = look_again.unwrap_or_else(|| Instant::now() + LONG);
        loop {
            let (goes_on, change) = tokio::select! {
                // In this order, so that the end is not taken for one change among others.
                biased;
                end = ended.recv(), if !*is_over => match end {
                    Ok(uid) if uid == *run => return Change::End,
                    Ok(_) => continue,
                    // Ours may be among those that were missed.
                    Err(broadcast::error::RecvError::Lagged(_)) => return Change::End,
                    Err(broadcast::error::RecvError::Closed) => (false, Change::Trouble),
                },
                result = changed.changed(), if records && !*is_over => match result {
                    Ok(()) => (true, Change::Records),
                    Err(_) => (false, Change::Trouble),
                },
                // Workers outlive an actor that breaks.
                Ok(()) = workers.changed() => (true, Change::Workers),
                Ok(()) = outage.changed() => (true, Change::Trouble),
                () = tokio::time::sleep_until(at) => {
                    // The next write says whether there is another time.
                    *look_again = None;
                    (true, Change::Trouble)
                }
            };
            if !goes_on {
                // What it says of its end is there when it has ended altogether.
                set.wait().await;
                *is_over = true;
            }
            return change;
        }
    }
}
