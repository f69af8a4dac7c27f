//! A member of a consumer group.
//!
//! The classic protocol with cooperative-sticky assignment. A partition that goes to another member is kept until the
//! records given out of it are finished and committed: librdkafka lets the rebalance wait until
//! `incremental_unassign` is called, and goes on with its heartbeats meanwhile.

mod committer;
mod shares;
mod thread;

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tokio::sync::{Notify, oneshot};

use super::admin::{Core, spawn};
use crate::{BusError, Member, Message};
use shares::Shares;
use thread::Thread;

/// How long leaving may take before the thread is left to itself.
const LEAVE: Duration = Duration::from_secs(15);

/// The async side. Dropping it leaves the group too, in the background.
pub(super) struct KafkaMember {
    shared: Arc<Shared>,
    /// Comes when the thread has left the group.
    left: oneshot::Receiver<Result<(), BusError>>,
}

/// What both sides see.
struct Shared {
    state: Mutex<State>,
    /// Rings when there may be something to take.
    changed: Notify,
    /// Rings when there may be something to commit.
    finished: Condvar,
}

#[derive(Default)]
struct State {
    shares: Shares,
    /// Told to the caller once.
    error: Option<BusError>,
    /// The thread has ended; told at every call.
    ended: Option<BusError>,
    /// The caller is gone.
    stop: bool,
    commits: Commits,
}

#[derive(Default)]
struct Commits {
    /// One is made right now.
    under_way: bool,
    /// Since when a hand-over waits.
    hand_over: Option<Instant>,
    /// One that began in that time failed because the group does not count us in any more.
    expelled: bool,
    /// There will be no more.
    end: bool,
}

impl State {
    fn is_committed(&self) -> bool {
        !self.commits.under_way && !self.shares.any_dirty()
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Joins. The topic exists.
pub(super) fn join(core: Arc<Core>, group: &str, topic: String) -> Result<KafkaMember, BusError> {
    let shared =
        Arc::new(Shared { state: Mutex::default(), changed: Notify::new(), finished: Condvar::new() });
    let (leaving, left) = oneshot::channel();
    let thread = Thread::new(core, shared.clone(), group, topic)?;
    spawn("kafka-member", move || {
        // Nobody may wait for it any more.
        let _ = leaving.send(thread.run());
    })?;
    Ok(KafkaMember { shared, left })
}

#[async_trait]
impl Member for KafkaMember {
    async fn next(&mut self, max: usize) -> Result<Vec<Message>, BusError> {
        loop {
            {
                let mut state = self.shared.state();
                let taken = state.shares.take(max.max(1));
                if !taken.is_empty() {
                    return Ok(taken);
                }
                if let Some(error) = state.error.take().or_else(|| state.ended.clone()) {
                    return Err(error);
                }
            }
            // There is one caller: a ring between look and wait is kept for it.
            self.shared.changed.notified().await;
        }
    }

    fn has_ended(&self) -> bool {
        self.shared.state().ended.is_some()
    }

    fn finish(&self, partition: i32, offset: i64) {
        let more = self.shared.state().shares.finish(partition, offset);
        self.shared.finished.notify_one();
        if more {
            self.shared.changed.notify_one();
        }
    }

    async fn leave(mut self: Box<Self>) -> Result<(), BusError> {
        self.shared.state().stop = true;
        match tokio::time::timeout(LEAVE, &mut self.left).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(BusError::Other("the thread of the group member is gone".to_owned())),
            Err(_) => Err(BusError::Other(format!("leaving the group took more than {LEAVE:?}"))),
        }
    }
}

impl Drop for KafkaMember {
    fn drop(&mut self) {
        self.shared.state().stop = true;
    }
}
