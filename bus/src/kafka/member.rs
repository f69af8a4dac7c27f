//! A member of a consumer group.
//!
//! The classic protocol with cooperative-sticky assignment. A partition that goes to another member is kept until the
//! records given out of it are finished and committed: librdkafka lets the rebalance wait until
//! `incremental_unassign` is called, and goes on with its heartbeats meanwhile.

mod committer;
mod known;
mod shares;
mod thread;

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
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
    /// The member that this process has instead, and that has to know of what is finished.
    successor: Option<Arc<Shared>>,
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
    fn finish(&self, partition: i32, offset: i64) {
        let mut state = self.state();
        if let Some(successor) = state.successor.clone() {
            drop(state);
            return successor.finish(partition, offset);
        }
        let more = state.shares.finish(partition, offset);
        drop(state);
        self.finished.notify_one();
        if more {
            self.changed.notify_one();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The newest member of each group and topic in this process.
#[derive(Default)]
pub(super) struct Members(Mutex<HashMap<(String, String), Weak<Shared>>>);

impl Members {
    /// Notes a new member. One that has ended before hands on what is finished and in work: what it could not commit
    /// any more, as when it was fenced, would be worked on again.
    fn succeed(&self, group: &str, topic: &str, member: &Arc<Shared>) {
        let key = (group.to_owned(), topic.to_owned());
        let mut members = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        members.retain(|_, member| member.strong_count() > 0);
        let Some(former) = members.insert(key, Arc::downgrade(member)).and_then(|former| former.upgrade())
        else {
            return;
        };
        let mut former = former.state();
        if former.ended.is_some() {
            member.state().shares = former.shares.hand_on();
            former.successor = Some(member.clone());
        }
    }
}

/// Joins. The topic exists.
pub(super) fn join(core: &Arc<Core>, group: &str, topic: &str) -> Result<KafkaMember, BusError> {
    let shared =
        Arc::new(Shared { state: Mutex::default(), changed: Notify::new(), finished: Condvar::new() });
    let (leaving, left) = oneshot::channel();
    let thread = Thread::new(core.clone(), shared.clone(), group, topic.to_owned())?;
    core.members.succeed(group, topic, &shared);
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
        self.shared.finish(partition, offset);
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
