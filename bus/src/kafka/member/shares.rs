//! The partitions that a member has: records that wait, records given out, what has to be committed. No I/O.

use std::collections::{BTreeMap, VecDeque};

use super::known::Known;
use crate::progress::Give;
use crate::{Committed, Message};

/// A partition is paused when so many of its records wait, or so many bytes...
const FULL_RECORDS: usize = 4096;
const FULL_BYTES: usize = 8 << 20;

/// The partitions of a member.
#[derive(Default)]
pub(super) struct Shares {
    by_partition: BTreeMap<i32, Share>,
    /// Of partitions that went while records of them were in work.
    lost: BTreeMap<i32, Known>,
    /// The partition to begin with, so that none starves.
    first: i32,
}

/// One partition.
struct Share {
    known: Known,
    /// Read and not given out.
    waiting: VecDeque<Message>,
    waiting_bytes: usize,
    /// librdkafka was told to pause it.
    paused: bool,
    /// Another member shall have it: nothing more is given out.
    leaving: bool,
    /// Something was finished since the last commit.
    dirty: bool,
}

/// What to commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Commit {
    pub(super) partition: i32,
    pub(super) position: i64,
    pub(super) metadata: String,
}

impl Share {
    fn is_full(&self) -> bool {
        self.waiting.len() >= FULL_RECORDS || self.waiting_bytes >= FULL_BYTES
    }

    /// ... and goes on when half of that is left.
    fn has_room(&self) -> bool {
        self.waiting.len() <= FULL_RECORDS / 2 && self.waiting_bytes <= FULL_BYTES / 2
    }

    fn take(&mut self, taken: &mut Vec<Message>, max: usize) {
        while taken.len() < max
            && let Some(record) = self.waiting.front()
        {
            let give = self.known.progress.give(record.offset);
            if give == Give::Later {
                return;
            }
            let Some(record) = self.waiting.pop_front() else { return };
            self.waiting_bytes -= record.value.len();
            if give == Give::Now {
                taken.push(record);
            }
        }
    }
}

impl Shares {
    /// The partition is ours now. Returns where to read from; `None` is the beginning.
    pub(super) fn begin(&mut self, partition: i32, committed: Option<&Committed>) -> Option<i64> {
        let lost = self.lost.remove(&partition);
        let dirty = lost.is_some();
        let known = Known::of(lost, committed);
        let from = (dirty || committed.is_some()).then_some(known.progress.position());
        let (waiting, waiting_bytes) = (VecDeque::new(), 0);
        let share = Share { known, waiting, waiting_bytes, paused: false, leaving: false, dirty };
        self.by_partition.insert(partition, share);
        from
    }

    /// The partition shall go to another member.
    pub(super) fn begin_leaving(&mut self, partition: i32) {
        if let Some(share) = self.by_partition.get_mut(&partition) {
            share.leaving = true;
            share.waiting.clear();
            share.waiting_bytes = 0;
        }
    }

    /// The partition is not ours any more. What is finished of it from now on is not ours to commit.
    pub(super) fn end(&mut self, partition: i32) {
        self.by_partition.remove(&partition);
    }

    /// The partition is not ours any more although work is unfinished, as after a time without the broker. It often
    /// comes back: then what is still in work is not given out again, and what was finished meanwhile counts.
    pub(super) fn lose(&mut self, partition: i32) {
        if let Some(share) = self.by_partition.remove(&partition) {
            self.lost.insert(partition, share.known);
        }
    }

    /// Everything is lost to this member; what it knows goes to the one that comes in its stead.
    pub(super) fn hand_on(&mut self) -> Self {
        for partition in self.by_partition.keys().copied().collect::<Vec<_>>() {
            self.lose(partition);
        }
        Self { lost: std::mem::take(&mut self.lost), ..Self::default() }
    }

    /// A record was read. Those of partitions that are not ours any more are dropped. Says whether the partition began
    /// anew with it: nothing that was known of its log holds any more.
    pub(super) fn add(&mut self, record: Message) -> bool {
        let share = self.by_partition.get_mut(&record.partition).filter(|share| !share.leaving);
        let Some(share) = share else { return false };
        let is_anew = share.known.read(record.offset, record.time);
        if is_anew {
            share.waiting.clear();
            (share.waiting_bytes, share.dirty) = (0, true);
        }
        share.waiting_bytes += record.value.len();
        share.waiting.push_back(record);
        is_anew
    }

    /// At most `max` records to work on.
    pub(super) fn take(&mut self, max: usize) -> Vec<Message> {
        let mut taken = Vec::new();
        let first = self.first;
        let (before, after): (Vec<_>, Vec<_>) =
            self.by_partition.iter_mut().partition(|(partition, _)| **partition < first);
        for (partition, share) in after.into_iter().chain(before) {
            share.take(&mut taken, max);
            if taken.len() == max {
                self.first = partition + 1;
                break;
            }
        }
        taken
    }

    /// The record is done. Returns whether others may be given out because of that.
    pub(super) fn finish(&mut self, partition: i32, offset: i64) -> bool {
        let Some(share) = self.by_partition.get_mut(&partition) else {
            if let Some(lost) = self.lost.get_mut(&partition) {
                lost.finish(offset);
            }
            return false;
        };
        let before = share.known.progress.position();
        share.dirty |= share.known.finish(offset);
        share.known.progress.position() != before && !share.waiting.is_empty()
    }

    /// What changed since the last time.
    pub(super) fn commits(&mut self) -> Vec<Commit> {
        let dirty = self.by_partition.iter_mut().filter(|(_, share)| share.dirty);
        let commits = dirty.map(|(partition, share)| {
            share.dirty = false;
            let progress = &share.known.progress;
            let (position, metadata) = (progress.position(), progress.metadata());
            Commit { partition: *partition, position, metadata }
        });
        commits.collect()
    }

    /// The group has a position of the partition.
    pub(super) fn is_committed(&mut self, partition: i32) {
        if let Some(share) = self.by_partition.get_mut(&partition) {
            share.known.is_committed = true;
        }
    }

    /// The commit of the partition failed.
    pub(super) fn commit_again(&mut self, partition: i32) {
        if let Some(share) = self.by_partition.get_mut(&partition) {
            share.dirty = true;
        }
    }

    /// Whether a commit is due.
    pub(super) fn any_dirty(&self) -> bool {
        self.by_partition.values().any(|share| share.dirty)
    }

    /// Nothing of it is in work, and no commit is due.
    pub(super) fn is_done(&self, partition: i32) -> bool {
        self.by_partition
            .get(&partition)
            .is_none_or(|share| share.known.progress.is_drained() && !share.dirty)
    }

    /// Partitions to pause, and partitions to resume.
    pub(super) fn pause_and_resume(&mut self) -> (Vec<i32>, Vec<i32>) {
        let (mut pause, mut resume) = (Vec::new(), Vec::new());
        for (partition, share) in self.by_partition.iter_mut().filter(|(_, share)| !share.leaving) {
            if !share.paused && share.is_full() {
                share.paused = true;
                pause.push(*partition);
            } else if share.paused && share.has_room() {
                share.paused = false;
                resume.push(*partition);
            }
        }
        (pause, resume)
    }

    /// Whether any partition waits for the caller to take records.
    pub(super) fn any_paused(&self) -> bool {
        self.by_partition.values().any(|share| share.paused)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn record(partition: i32, offset: i64) -> Message {
        let (key, value) = (Bytes::new(), Bytes::from_static(b"value"));
        Message { partition, offset, time: 0, key, value, reply_topic: None }
    }

    fn shares(partitions: i32, records: i64) -> Shares {
        let mut shares = Shares::default();
        for partition in 0..partitions {
            shares.begin(partition, None);
            (0..records).for_each(|offset| _ = shares.add(record(partition, offset)));
        }
        shares
    }

    #[test]
    fn partitions_take_turns() {
        let mut shares = shares(3, 10);
        let turns: Vec<i32> = (0..4).map(|_| shares.take(1)[0].partition).collect();
        assert_eq!(turns, [0, 1, 2, 0]);
        assert_eq!(shares.take(100).len(), 26);
    }

    #[test]
    fn a_leaving_partition_gives_nothing_more_and_is_done_when_committed() {
        let mut shares = shares(2, 10);
        assert_eq!(shares.take(3).len(), 3);
        shares.begin_leaving(0);
        assert!(!shares.add(record(0, 10)));
        assert!(shares.take(100).iter().all(|record| record.partition == 1));
        for offset in 0..3 {
            shares.finish(0, offset);
        }
        assert!(!shares.is_done(0), "not committed");
        let commit = Commit { partition: 0, position: 3, metadata: "b1:".to_owned() };
        assert_eq!(shares.commits(), [commit]);
        assert!(shares.is_done(0));
        shares.commit_again(0);
        assert!(!shares.is_done(0), "the commit failed");
    }

    #[test]
    fn a_partition_pauses_when_full_and_resumes_at_half() {
        let mut shares = shares(1, FULL_RECORDS as i64);
        assert_eq!(shares.pause_and_resume(), (vec![0], vec![]));
        assert!(shares.any_paused());
        let taken = shares.take(FULL_RECORDS / 2 - 1);
        assert_eq!(shares.pause_and_resume(), (vec![], vec![]));
        shares.take(1);
        assert_eq!(shares.pause_and_resume(), (vec![], vec![0]));
        assert_eq!(taken.len(), FULL_RECORDS / 2 - 1);
    }

    #[test]
    fn a_lost_partition_that_comes_back_goes_on_where_it_was() {
        let mut shares = shares(1, 5);
        assert_eq!(shares.take(4).len(), 4);
        shares.finish(0, 1);
        shares.lose(0);
        shares.finish(0, 2);
        // Somebody else finished the first one meanwhile.
        let committed = Committed { offset: 1, metadata: "b1:".to_owned() };
        assert_eq!(shares.begin(0, Some(&committed)), Some(3));
        for offset in 3..6 {
            assert!(!shares.add(record(0, offset)));
        }
        let offsets: Vec<i64> = shares.take(10).iter().map(|record| record.offset).collect();
        assert_eq!(offsets, [4, 5], "3 is still in work here");
        shares.finish(0, 3);
        let commit = Commit { partition: 0, position: 4, metadata: "b1:".to_owned() };
        assert_eq!(shares.commits(), [commit]);
    }

    fn at(offset: i64, time: i64) -> Message {
        Message { time, ..record(0, offset) }
    }

    fn offsets(taken: &[Message]) -> Vec<i64> {
        taken.iter().map(|record| record.offset).collect()
    }

    /// Workers took the first records of a topic that was made anew for finished, and nobody ever did their work.
    #[test]
    fn a_topic_that_was_made_anew_is_not_taken_for_the_one_before() {
        let mut shares = Shares::default();
        shares.begin(0, None);
        for offset in 0..5 {
            assert!(!shares.add(at(offset, 100)));
        }
        assert_eq!(shares.take(4).len(), 4);
        (0..3).for_each(|offset| _ = shares.finish(0, offset));
        // In the same assignment, or after it was lost: 3 is in work, 4 was not given out.
        shares.lose(0);
        assert_eq!(shares.begin(0, None), Some(3));
        assert!(shares.add(at(0, 200)));
        (1..4).for_each(|offset| assert!(!shares.add(at(offset, 200))));
        assert_eq!(offsets(&shares.take(10)), [0, 1, 2, 3]);
        shares.finish(0, 3);
        shares.finish(0, 0);
        let commit =
            |position, metadata: &str| Commit { partition: 0, position, metadata: metadata.to_owned() };
        assert_eq!(shares.commits(), [commit(1, "b1:")], "the 3 that ended was that of the former log");
        shares.finish(0, 3);
        assert_eq!(shares.commits(), [commit(1, "b1:Ag==")]);
    }

    #[test]
    fn a_record_that_comes_again_begins_nothing_anew() {
        let mut shares = shares(1, 5);
        shares.take(5);
        shares.finish(0, 0);
        shares.lose(0);
        let committed = Committed { offset: 1, metadata: "b1:".to_owned() };
        shares.begin(0, Some(&committed));
        assert!((1..5).all(|offset| !shares.add(record(0, offset))));
        assert_eq!(offsets(&shares.take(5)), [0; 0], "they are in work here");
    }

    /// The broker forgets the positions of a topic that is deleted.
    #[test]
    fn a_position_that_the_group_has_no_more_was_one_of_another_log() {
        let mut shares = shares(1, 5);
        shares.take(5);
        (0..5).for_each(|offset| _ = shares.finish(0, offset));
        shares.is_committed(0);
        shares.lose(0);
        assert_eq!(shares.begin(0, None), Some(0));
        assert!(!shares.add(record(0, 0)));
        assert_eq!(offsets(&shares.take(5)), [0]);
    }

    #[test]
    fn what_is_finished_of_a_partition_of_others_is_not_committed() {
        let mut shares = shares(1, 5);
        shares.take(5);
        shares.end(0);
        assert!(!shares.finish(0, 0));
        assert_eq!(shares.commits(), []);
    }
}
