//! Membership of the consumer group that outlives trouble: pauses after an error, joins anew when the member has ended.

use std::future::pending;
use std::sync::Arc;

use orch_bus::{Bus, BusError, Member, Message};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};
use tokio_util::task::AbortOnDropHandle;
use tracing::{info, warn};

use crate::health::Health;
use crate::outbox::Place;
use crate::trouble::Trouble;

/// A task that joins the group.
type Joining = AbortOnDropHandle<Result<Box<dyn Member>, BusError>>;

/// A task that leaves it.
pub(crate) type Leaving = JoinHandle<Result<(), BusError>>;

/// A member of the group on the ready topic.
pub(crate) struct Membership {
    bus: Arc<dyn Bus>,
    group: String,
    topic: String,
    health: Health,
    /// `None` when it has left.
    member: Option<Box<dyn Member>>,
    trouble: Trouble,
    has_trouble: bool,
    /// Until when not to ask for records.
    pause: Option<Instant>,
    joining: Option<Joining>,
}

impl Membership {
    /// Joins, however long that takes.
    pub(crate) async fn join(
        bus: Arc<dyn Bus>,
        group: &str,
        topic: &str,
        health: Health,
    ) -> Result<Self, BusError> {
        let mut trouble = Trouble::with("the consumer group");
        let member = trouble.until_ok(|| bus.join(group, topic)).await?;
        info!(group, topic, "joined the consumer group");
        health.joined();
        let (group, topic) = (group.to_owned(), topic.to_owned());
        Ok(Self {
            bus,
            group,
            topic,
            health,
            member: Some(member),
            trouble,
            has_trouble: false,
            pause: None,
            joining: None,
        })
    }

    /// Waits for records, at most `max`, through all trouble. Cancel-safe.
    pub(crate) async fn next(&mut self, max: usize) -> Vec<Message> {
        loop {
            if let Some(until) = self.pause {
                sleep_until(until).await;
                self.pause = None;
            }
            let Some(member) = &mut self.member else { return pending().await };
            tokio::select! {
                biased;
                // First: a member that has ended has an error to give whenever it is asked.
                member = joined(&mut self.joining) => self.replace(member),
                records = member.next(max) => match records {
                    Ok(records) => {
                        self.well();
                        return records;
                    }
                    Err(error) => self.failed(&error),
                },
            }
        }
    }

    /// The ready record is done and its answer acknowledged.
    pub(crate) fn finish(&self, place: Place) {
        if let Some(member) = &self.member {
            member.finish(place.partition, place.offset);
        }
    }

    /// Commits what is finished and leaves the group, in a task: what is left of the work goes on meanwhile. What is
    /// finished from now on is not ours to commit. `None` when it has left before.
    pub(crate) fn leave(&mut self) -> Option<Leaving> {
        self.joining = None;
        self.member.take().map(|member| tokio::spawn(member.leave()))
    }

    fn well(&mut self) {
        if std::mem::take(&mut self.has_trouble) {
            self.trouble.clear();
            self.health.trouble(None);
        }
    }

    fn failed(&mut self, error: &BusError) {
        let text = error.to_string();
        self.pause = Some(Instant::now() + self.trouble.report(&text));
        self.health.trouble(Some(text));
        self.has_trouble = true;
        let has_ended = self.member.as_ref().is_some_and(|member| member.has_ended());
        if has_ended && self.joining.is_none() {
            let (bus, group, topic) = (self.bus.clone(), self.group.clone(), self.topic.clone());
            let task = tokio::spawn(async move { bus.join(&group, &topic).await });
            self.joining = Some(AbortOnDropHandle::new(task));
        }
    }

    /// Records of the old member that are unfinished come again; the caller knows those that are in work.
    fn replace(&mut self, member: Result<Box<dyn Member>, BusError>) {
        match member {
            Ok(member) => {
                info!(group = self.group, topic = self.topic, "joined the consumer group again");
                self.member = Some(member);
                // It may be long until a record says so.
                self.health.trouble(None);
            }
            Err(error) => warn!(%error, "cannot join the consumer group again"),
        }
    }
}

/// The outcome of the task, once; never when there is none.
async fn joined(joining: &mut Option<Joining>) -> Result<Box<dyn Member>, BusError> {
    let Some(task) = joining else { return pending().await };
    let member = task.await;
    *joining = None;
    member.unwrap_or_else(|error| Err(BusError::Other(error.to_string())))
}
