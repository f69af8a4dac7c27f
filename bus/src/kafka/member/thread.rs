//! The thread of a group member: polls, rebalances, commits, pauses.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::groups::GroupInfo;
use rdkafka::statistics::Statistics;
use rdkafka::topic_partition_list::TopicPartitionListElem;
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{Offset, TopicPartitionList};

use super::super::admin::Core;
use super::super::config::refused;
use super::super::context::{Health, is_unknown_topic, log};
use super::super::message::Copier;
use super::super::sight::Sight;
use super::Shared;
use super::committer::Committer;
use crate::{BusError, Committed};

/// Records that are read before the caller gets them.
const BATCH: usize = 1000;
/// The longest wait for records; also how soon a stop is noticed.
const POLL: Duration = Duration::from_millis(50);
/// The same while something else is waited for too: a hand-over, or room.
const POLL_BUSY: Duration = Duration::from_millis(5);
/// A hand-over waits so long for work that is unfinished; below `max.poll.interval.ms`, when the broker would end it.
const HAND_OVER: Duration = Duration::from_mins(4);
/// While a hand-over waits there is a commit at least this often: it fails when the group went on without us.
const CHECK: Duration = Duration::from_secs(1);
/// Limit of a question to the group's coordinator; asked again after it.
const ASK: Duration = Duration::from_secs(5);
/// Limit of the last commit.
const LAST_COMMIT: Duration = Duration::from_secs(5);
/// Limit of giving a place in the group up.
const GIVE_UP: Duration = Duration::from_secs(3);
/// Length of a UUID with a dash before it.
const UUID: usize = 37;

/// A step of the group's protocol that waits for us.
enum Rebalance {
    Assign(TopicPartitionList),
    Revoke { partitions: TopicPartitionList, since: Instant, lost: bool },
}

/// Receives the callbacks; all of them come on the thread that polls.
struct GroupContext {
    health: Arc<Health>,
    sight: Sight,
    /// The protocol's steps that the thread has not looked at yet.
    asked: Mutex<VecDeque<Rebalance>>,
    /// The consumer is being closed: answer the protocol at once.
    closing: AtomicBool,
}

impl GroupContext {
    fn asked(&self) -> MutexGuard<'_, VecDeque<Rebalance>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientContext for GroupContext {
    fn error(&self, error: KafkaError, reason: &str) {
        self.health.heard(&error, reason);
    }

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }

    fn stats(&self, statistics: Statistics) {
        self.sight.look(&statistics);
    }
}

impl ConsumerContext for GroupContext {
    /// Only notes what is asked; the thread answers by `incremental_assign` or `incremental_unassign` later.
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        kind: RDKafkaRespErr,
        partitions: &mut TopicPartitionList,
    ) {
        let assign = kind == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
        if self.closing.load(Ordering::Acquire) {
            let answered = if assign {
                consumer.incremental_assign(partitions)
            } else {
                consumer.incremental_unassign(partitions)
            };
            if let Err(error) = answered {
                tracing::debug!(%error, "leaving the group");
            }
            return;
        }
        let partitions = partitions.clone();
        let rebalance = if assign {
            Rebalance::Assign(partitions)
        } else {
            Rebalance::Revoke { partitions, since: Instant::now(), lost: consumer.assignment_lost() }
        };
        self.asked().push_back(rebalance);
    }
}

/// Everything that the thread has.
pub(super) struct Thread {
    core: Arc<Core>,
    shared: Arc<Shared>,
    /// Before the consumer: dropped first.
    _committer: Committer,
    consumer: Arc<BaseConsumer<GroupContext>>,
    group: String,
    topic: String,
    copier: Copier,
    rebalances: VecDeque<Rebalance>,
    /// When a hand-over that waits last looked whether the group still counts us in.
    checked: Instant,
}

impl Thread {
    pub(super) fn new(
        core: Arc<Core>,
        shared: Arc<Shared>,
        group: &str,
        topic: String,
    ) -> Result<Self, BusError> {
        let (health, asked) = (core.health.clone(), Mutex::default());
        let (sight, closing) = (Sight::default(), AtomicBool::new(false));
        let context = GroupContext { health, sight, asked, closing };
        let consumer: BaseConsumer<GroupContext> =
            core.config.member(group).create_with_context(context).map_err(|e| refused(&e))?;
        consumer.subscribe(&[&topic]).map_err(|error| core.health.explain(&error, &topic))?;
        let consumer = Arc::new(consumer);
        let committer = Committer::start(shared.clone(), consumer.clone(), topic.clone())?;
        Ok(Self {
            core,
            shared,
            _committer: committer,
            consumer,
            group: group.to_owned(),
            topic,
            copier: Copier::with_headers(),
            rebalances: VecDeque::new(),
            checked: Instant::now(),
        })
    }

    /// Works until the caller is gone, then commits and leaves. The consumer is dropped here, which takes a while.
    pub(super) fn run(mut self) -> Result<(), BusError> {
        let outcome = self.work();
        if let Err(error) = &outcome {
            tracing::warn!(topic = self.topic, %error, "the group member ends");
            self.shared.state().ended = Some(error.clone());
            self.shared.changed.notify_one();
        }
        outcome.and(self.close())
    }

    fn work(&mut self) -> Result<(), BusError> {
        loop {
            let busy = {
                let state = self.shared.state();
                if state.stop {
                    return Ok(());
                }
                !self.rebalances.is_empty() || state.shares.any_paused()
            };
            self.poll(if busy { POLL_BUSY } else { POLL })?;
            self.rebalance()?;
            self.pause_and_resume();
        }
    }

    /// Reads what is there, at most [`BATCH`], and serves the callbacks.
    fn poll(&mut self, mut wait: Duration) -> Result<(), BusError> {
        let (client, servers) = (self.consumer.client(), self.core.config.servers());
        client.context().sight.restore(client, servers);
        let mut records = Vec::new();
        while records.len() < BATCH {
            match self.consumer.poll(wait) {
                Some(Ok(message)) => records.push(self.copier.copy(&message)),
                Some(Err(error)) => self.check(&error)?,
                None => break,
            }
            wait = Duration::ZERO;
        }
        self.rebalances.append(&mut self.consumer.context().asked());
        // Partitions that leave give no more from now on, even while an earlier step is waited for.
        let leaving = self.rebalances.iter().filter_map(|step| match step {
            Rebalance::Revoke { partitions, .. } => Some(numbers(partitions)),
            Rebalance::Assign(_) => None,
        });
        let leaving: Vec<i32> = leaving.flatten().collect();
        if records.is_empty() && leaving.is_empty() {
            return Ok(());
        }
        let mut state = self.shared.state();
        for record in records {
            let partition = record.partition;
            if state.shares.add(record) {
                tracing::warn!(
                    topic = self.topic,
                    partition,
                    "the topic was made anew; it is read from its beginning"
                );
            }
        }
        for partition in leaving {
            state.shares.begin_leaving(partition);
        }
        drop(state);
        self.shared.changed.notify_one();
        Ok(())
    }

    /// Most errors are the client's own business: it tries again.
    fn check(&self, error: &KafkaError) -> Result<(), BusError> {
        let Some(code) = error.rdkafka_error_code() else { return Ok(()) };
        if matches!(error, KafkaError::MessageConsumptionFatal(_)) {
            return Err(self.core.health.explain(error, &self.topic));
        }
        // A broker that is just starting may not know the topic yet.
        let gone = is_unknown_topic(code)
            && matches!(self.core.partitions(&self.topic), Err(BusError::UnknownTopic(_)));
        if gone {
            // One that is made again has leaders whose terms begin anew: this client would take what it is told of
            // them for old, and never read again. Whoever joins anew has another client.
            return Err(self.core.health.explain(error, &self.topic));
        }
        if matches!(
            code,
            RDKafkaErrorCode::TopicAuthorizationFailed | RDKafkaErrorCode::GroupAuthorizationFailed
        ) {
            self.shared.state().error = Some(self.core.health.explain(error, &self.topic));
            self.shared.changed.notify_one();
        }
        Ok(())
    }

    /// Answers the protocol's steps in their order, as far as they can be answered now.
    fn rebalance(&mut self) -> Result<(), BusError> {
        while let Some(step) = self.rebalances.pop_front() {
            let unanswered = match step {
                Rebalance::Assign(partitions) => self.assign(partitions)?,
                Rebalance::Revoke { partitions, since, lost } => self.revoke(partitions, since, lost)?,
            };
            if let Some(step) = unanswered {
                self.rebalances.push_front(step);
                break;
            }
        }
        Ok(())
    }

    /// Resumes the partitions where their group left off; gives the step back when that cannot be found out now.
    fn assign(&mut self, mut partitions: TopicPartitionList) -> Result<Option<Rebalance>, BusError> {
        let answer = self.consumer.committed_offsets(partitions.clone(), ASK);
        let positions = answer.and_then(|found| {
            let position = |element: &TopicPartitionListElem<'_>| {
                element.error()?;
                let offset = self.within(element.partition(), element.offset())?;
                Ok((element.partition(), offset, element.metadata().to_owned()))
            };
            found.elements().iter().map(position).collect::<KafkaResult<Vec<_>>>()
        });
        let positions = match positions {
            Ok(positions) => positions,
            Err(error) if self.rebalances.is_empty() => {
                tracing::debug!(topic = self.topic, %error, "the group's position is asked again");
                return Ok(Some(Rebalance::Assign(partitions)));
            }
            // The next step takes them away again: what is read until then is dropped.
            Err(_) => Vec::new(),
        };
        let mut state = self.shared.state();
        for (partition, offset, metadata) in positions {
            let committed = match offset {
                Offset::Offset(offset) => Some(Committed { offset, metadata }),
                _ => None,
            };
            let from = state.shares.begin(partition, committed.as_ref());
            let from = from.map_or(Offset::Beginning, Offset::Offset);
            // The element is there: the answer has the partitions of the question.
            let _ = partitions.set_partition_offset(&self.topic, partition, from);
        }
        drop(state);
        // What was finished while a partition was lost is due.
        self.shared.finished.notify_one();
        self.consumer
            .incremental_assign(&partitions)
            .map_err(|error| self.core.health.explain(&error, &self.topic))?;
        tracing::debug!(topic = self.topic, partitions = ?numbers(&partitions), "assigned");
        Ok(None)
    }

    /// A position behind the end is one of a topic that was deleted since, and no position of this one.
    fn within(&self, partition: i32, position: Offset) -> KafkaResult<Offset> {
        let Offset::Offset(offset) = position else { return Ok(position) };
        let (_, high) = self.consumer.fetch_watermarks(&self.topic, partition, ASK)?;
        Ok(if offset > high { Offset::Invalid } else { position })
    }

    /// Hands partitions over when their records are finished and committed; gives the step back until then.
    fn revoke(
        &mut self,
        partitions: TopicPartitionList,
        since: Instant,
        lost: bool,
    ) -> Result<Option<Rebalance>, BusError> {
        let numbers = numbers(&partitions);
        let mut state = self.shared.state();
        let done = !state.commits.under_way && numbers.iter().all(|number| state.shares.is_done(*number));
        // While a step waits librdkafka does not tell of another: a failed commit says that the group went on.
        let lost = lost || state.commits.expelled;
        let overdue = since.elapsed() > HAND_OVER;
        if !done && !lost && !overdue {
            state.commits.hand_over = Some(since);
            if self.checked.elapsed() > CHECK {
                self.checked = Instant::now();
                for number in &numbers {
                    state.shares.commit_again(*number);
                }
                self.shared.finished.notify_one();
            }
            return Ok(Some(Rebalance::Revoke { partitions, since, lost }));
        }
        (state.commits.hand_over, state.commits.expelled) = (None, false);
        for number in &numbers {
            if done { state.shares.end(*number) } else { state.shares.lose(*number) }
        }
        drop(state);
        if !done {
            tracing::warn!(topic = self.topic, partitions = ?numbers, lost, "partitions go while work is unfinished");
        }
        self.consumer
            .incremental_unassign(&partitions)
            .map_err(|error| self.core.health.explain(&error, &self.topic))?;
        tracing::debug!(topic = self.topic, partitions = ?numbers, "handed over");
        Ok(None)
    }

    fn pause_and_resume(&self) {
        let (pause, resume) = self.shared.state().shares.pause_and_resume();
        let list = |partitions: &[i32]| {
            let mut list = TopicPartitionList::with_capacity(partitions.len());
            for partition in partitions {
                list.add_partition(&self.topic, *partition);
            }
            list
        };
        let paused = if pause.is_empty() { Ok(()) } else { self.consumer.pause(&list(&pause)) };
        let resumed = if resume.is_empty() { Ok(()) } else { self.consumer.resume(&list(&resume)) };
        if let Err(error) = paused.and(resumed) {
            tracing::warn!(topic = self.topic, %error, "pausing a partition");
        }
    }

    /// The last commit, then out of the group. What is unfinished goes to the other members.
    fn close(mut self) -> Result<(), BusError> {
        let deadline = Instant::now() + LAST_COMMIT;
        let outcome = loop {
            if self.shared.state().is_committed() {
                break Ok(());
            }
            if Instant::now() > deadline {
                let reason = "the last commit was not answered".to_owned();
                break Err(BusError::Unreachable { servers: self.core.config.servers().to_owned(), reason });
            }
            // Records that come now are not wanted any more.
            let _ = self.consumer.poll(POLL_BUSY);
        };
        self.consumer.context().closing.store(true, Ordering::Release);
        self.rebalances.append(&mut self.consumer.context().asked());
        for step in std::mem::take(&mut self.rebalances) {
            let answered = match step {
                Rebalance::Assign(partitions) => self.consumer.incremental_assign(&partitions),
                Rebalance::Revoke { partitions, .. } => self.consumer.incremental_unassign(&partitions),
            };
            if let Err(error) = answered {
                tracing::debug!(topic = self.topic, %error, "leaving the group");
            }
        }
        self.give_up_place();
        outcome
    }

    /// A member that has a place of its own keeps it when it goes: librdkafka does not tell the group when a consumer
    /// with `group.instance.id` is closed, and its partitions would wait for the end of its session. It does tell the
    /// group when the subscription ends, as long as the consumer is not being closed: so the group is asked whether
    /// that has come through.
    fn give_up_place(&self) {
        let Some(place) = self.core.config.place() else { return };
        self.consumer.unsubscribe();
        let deadline = Instant::now() + GIVE_UP;
        // Another process has the place: it is not ours to give up.
        while self.consumer.client().fatal_error().is_none() {
            // The revocation comes here.
            let _ = self.consumer.poll(POLL_BUSY);
            match self.is_listed(place) {
                Ok(false) => return,
                answer if Instant::now() > deadline => {
                    let error = answer.err();
                    tracing::warn!(
                        group = self.group,
                        ?error,
                        "the place in the group ends with its session"
                    );
                    return;
                }
                Ok(true) | Err(_) => {}
            }
        }
    }

    /// Whether the group has a member in this place. A broker makes its id of the place and a UUID.
    fn is_listed(&self, place: &str) -> KafkaResult<bool> {
        let groups = self.consumer.fetch_group_list(Some(&self.group), GIVE_UP)?;
        let mut members = groups.groups().iter().flat_map(GroupInfo::members);
        Ok(members.any(|member| {
            member.id().strip_prefix(place).is_some_and(|rest| rest.starts_with('-') && rest.len() == UUID)
        }))
    }
}

fn numbers(partitions: &TopicPartitionList) -> Vec<i32> {
    partitions.elements().iter().map(TopicPartitionListElem::partition).collect()
}
