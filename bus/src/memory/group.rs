//! Consumer groups: members share the partitions of one topic.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tokio::sync::Notify;

use super::topic::{Log, Topic};
use crate::progress::{Give, Progress};
use crate::{BusError, Committed, Member, Message};

type MemberId = u64;

/// A group on one topic. It outlives its members: their progress stays.
pub(super) struct Group {
    topic: Arc<Topic>,
    state: Mutex<State>,
    /// Rings when a partition changed hands.
    changed: Notify,
}

struct State {
    next_id: MemberId,
    /// In the order of joining.
    members: Vec<MemberId>,
    /// By partition.
    shares: Vec<Share>,
}

/// One partition within the group.
struct Share {
    progress: Progress,
    /// Whether anything was ever finished, so that there is a commit to speak of.
    committed: bool,
    /// Offset of the record to look at next.
    at: i64,
    /// Whether the next record waits for the window to move.
    blocked: bool,
    /// Who has it.
    owner: Option<MemberId>,
    /// Who shall have it. Another than `owner` only while the owner's given-out records are unfinished.
    heir: Option<MemberId>,
}

impl Share {
    fn new() -> Self {
        let progress = Progress::new(0);
        Self { progress, committed: false, at: 0, blocked: false, owner: None, heir: None }
    }

    /// Takes records until there are `max`; `false` when more may be there.
    fn take(&mut self, log: &Log, taken: &mut Vec<Message>, max: usize) -> bool {
        self.at = self.at.max(log.low());
        for record in log.from(self.at) {
            if taken.len() >= max {
                return false;
            }
            match self.progress.give(record.offset) {
                Give::Now => taken.push(record.clone()),
                Give::Finished => {}
                Give::Later => {
                    self.blocked = true;
                    break;
                }
            }
            self.at += 1;
        }
        true
    }

    /// Returns whether records may be given out that could not before.
    fn finish(&mut self, offset: i64) -> bool {
        let before = self.progress.position();
        self.committed |= self.progress.finish(offset);
        let moved = self.progress.position() != before;
        moved && std::mem::take(&mut self.blocked)
    }

    /// Gives the partition to its heir when nothing of it is in work. Returns whether that changed anything.
    fn hand_over(&mut self) -> bool {
        if self.owner == self.heir || self.owner.is_some() && !self.progress.is_drained() {
            return false;
        }
        self.owner = self.heir;
        true
    }

    /// Takes the partition from a member that is gone.
    fn abandon(&mut self) {
        self.owner = None;
        self.progress.rewind();
        self.at = self.progress.position();
    }
}

impl State {
    /// Shares the partitions out anew. Who has one keeps it unless that is more than a fair share.
    fn rebalance(&mut self) {
        let (partitions, members) = (self.shares.len(), self.members.len());
        let mut places: Vec<(MemberId, usize)> = self.members.iter().map(|id| (*id, 0)).collect();
        for (at, place) in places.iter_mut().enumerate() {
            place.1 = partitions / members + usize::from(at < partitions % members);
        }
        let mut claim = |id: Option<MemberId>| {
            let place = places.iter_mut().find(|(of, left)| *left > 0 && id.is_none_or(|id| id == *of))?;
            place.1 -= 1;
            Some(place.0)
        };
        for share in &mut self.shares {
            share.heir = share.owner.and_then(|owner| claim(Some(owner)));
        }
        for share in &mut self.shares {
            share.heir = share.heir.or_else(|| claim(None));
            share.hand_over();
        }
    }
}

impl Group {
    pub(super) fn new(topic: Arc<Topic>) -> Self {
        let shares = (0..topic.partitions()).map(|_| Share::new()).collect();
        let state = Mutex::new(State { next_id: 0, members: Vec::new(), shares });
        Self { topic, state, changed: Notify::new() }
    }

    pub(super) fn committed(&self) -> Vec<Option<Committed>> {
        let commit = |share: &Share| {
            let (offset, metadata) = (share.progress.position(), share.progress.metadata());
            share.committed.then_some(Committed { offset, metadata })
        };
        self.state().shares.iter().map(commit).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A member. Dropping it is leaving.
pub(super) struct MemoryMember {
    group: Arc<Group>,
    id: MemberId,
    /// The partition to begin with, so that none starves.
    first: usize,
}

impl MemoryMember {
    pub(super) fn join(group: Arc<Group>) -> Self {
        let mut state = group.state();
        let id = state.next_id;
        state.next_id += 1;
        state.members.push(id);
        state.rebalance();
        drop(state);
        group.changed.notify_waiters();
        Self { group, id, first: 0 }
    }

    fn take(&mut self, max: usize) -> Vec<Message> {
        let mut state = self.group.state();
        let mut taken = Vec::new();
        let partitions = state.shares.len();
        for turn in 0..partitions {
            let partition = (self.first + turn) % partitions;
            let share = &mut state.shares[partition];
            if share.owner != Some(self.id) || share.heir != share.owner {
                continue;
            }
            let Some(log) = self.group.topic.log(partition as i32) else { continue };
            if !share.take(&log, &mut taken, max) {
                self.first = partition + 1;
                break;
            }
        }
        taken
    }
}

#[async_trait]
impl Member for MemoryMember {
    async fn next(&mut self, max: usize) -> Result<Vec<Message>, BusError> {
        loop {
            let group = self.group.clone();
            // Made before the look, so that what comes between look and wait wakes it.
            let (records, members) = (group.topic.changed.notified(), group.changed.notified());
            let taken = self.take(max.max(1));
            if !taken.is_empty() {
                return Ok(taken);
            }
            group.topic.check_exists()?;
            tokio::select! {
                () = records => {}
                () = members => {}
            }
        }
    }

    fn has_ended(&self) -> bool {
        self.group.topic.check_exists().is_err()
    }

    fn finish(&self, partition: i32, offset: i64) {
        let mut state = self.group.state();
        let share = usize::try_from(partition).ok().and_then(|at| state.shares.get_mut(at));
        // A record of a partition that went to somebody else is somebody else's business.
        let Some(share) = share.filter(|share| share.owner == Some(self.id)) else { return };
        let unblocked = share.finish(offset);
        let handed_over = share.hand_over();
        drop(state);
        if unblocked || handed_over {
            self.group.changed.notify_waiters();
        }
    }

    async fn leave(self: Box<Self>) -> Result<(), BusError> {
        // Everything finished is known to the group already.
        Ok(())
    }
}

impl Drop for MemoryMember {
    fn drop(&mut self) {
        let mut state = self.group.state();
        state.members.retain(|id| *id != self.id);
        for share in &mut state.shares {
            if share.owner == Some(self.id) {
                share.abandon();
            }
        }
        if state.members.is_empty() {
            state.shares.iter_mut().for_each(|share| share.heir = None);
        } else {
            state.rebalance();
        }
        drop(state);
        self.group.changed.notify_waiters();
    }
}
