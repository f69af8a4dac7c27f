//! How much may be outstanding in a stage, and on which partition the next record goes.

use crate::id::Millis;

/// Work for so long is handed out ahead: priorities and a cancel act on what is not.
const AHEAD_MS: Millis = 250;
/// The speed of a stage is measured over at least this.
const MEASURED_MS: Millis = 50;

/// The window of one stage, shared by all runs that use it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// Outstanding records now at most.
    limit: u32,
    /// What the limit is at most, however fast the stage is.
    ceiling: u32,
    /// What it is at least: every worker has its next object at hand.
    floor: u32,
    /// Outstanding records of each partition.
    load: Vec<u32>,
    /// Records that ended since the last measurement.
    ended: u32,
    measured_at: Millis,
}

impl Window {
    /// An empty window of at most `limit` outstanding records over `partitions` partitions.
    pub fn new(limit: u32, partitions: u16) -> Self {
        let load = vec![0; usize::from(partitions.max(1))];
        Self { limit, ceiling: limit, floor: limit, load, ended: 0, measured_at: 0 }
    }

    /// From now on the limit follows the speed of the stage, whose workers take `slots` objects at a time: work for a
    /// quarter of a second, but at least twice what the workers take.
    pub fn serve(&mut self, slots: u32) {
        let was_fixed = self.floor == self.ceiling;
        self.floor = slots.saturating_mul(2).min(self.ceiling);
        if was_fixed {
            self.limit = self.floor;
        }
    }

    /// Looks how fast the stage is.
    pub fn measure(&mut self, now: Millis) {
        let elapsed = now - self.measured_at;
        if (0..MEASURED_MS).contains(&elapsed) {
            return;
        }
        let ahead = i64::from(self.ended) * AHEAD_MS / elapsed.max(MEASURED_MS);
        self.limit = u32::try_from(ahead).unwrap_or(u32::MAX).clamp(self.floor, self.ceiling);
        (self.ended, self.measured_at) = (0, now);
    }

    /// Records that are published and not ended.
    pub fn outstanding(&self) -> u32 {
        self.load.iter().sum()
    }

    /// Records of one partition that are published and not ended.
    pub(super) fn load(&self, partition: u16) -> u32 {
        self.load.get(usize::from(partition)).copied().unwrap_or(0)
    }

    /// Number of partitions.
    pub(super) fn partitions(&self) -> u16 {
        self.load.len() as u16
    }

    /// Records that still fit.
    pub fn room(&self) -> u32 {
        self.limit.saturating_sub(self.outstanding())
    }

    /// Takes a place on the partition with the least outstanding work.
    pub fn take(&mut self) -> u16 {
        let least =
            self.load.iter().enumerate().min_by_key(|(_, load)| **load).map_or(0, |(partition, _)| partition);
        self.load[least] += 1;
        least as u16
    }

    /// Takes a place on a partition that was chosen before: recovery.
    pub fn occupy(&mut self, partition: u16) {
        if let Some(load) = self.load.get_mut(usize::from(partition)) {
            *load += 1;
        }
    }

    /// Gives a place back: its record has ended.
    pub fn release(&mut self, partition: u16) {
        self.ended = self.ended.saturating_add(1);
        if let Some(load) = self.load.get_mut(usize::from(partition)) {
            *load = load.saturating_sub(1);
        }
    }
}

/// Shares `room` among runs that want `wanted` each: nobody gets more than it wants, and nobody gets less than
/// another unless it wants less (max-min fairness). What cannot be divided goes to those from `first` on.
pub fn share(room: u32, wanted: &[u32], first: usize) -> Vec<u32> {
    let mut shares = vec![0; wanted.len()];
    let mut left = room;
    loop {
        let hungry: Vec<usize> = (0..wanted.len())
            .map(|n| (n + first) % wanted.len())
            .filter(|n| shares[*n] < wanted[*n])
            .collect();
        if left == 0 || hungry.is_empty() {
            return shares;
        }
        let each = (left / hungry.len() as u32).max(1);
        for n in hungry {
            let more = each.min(wanted[n] - shares[n]).min(left);
            shares[n] += more;
            left -= more;
        }
    }
}

/// Replicas that a stage needs for its outstanding work.
///
/// `soon`: a dependency of a pending object of the stage runs, so that work is about to come.
pub fn replicas_wanted(outstanding: u32, soon: bool, policy: &crate::spec::WorkerPolicy) -> u32 {
    let needed = outstanding.div_ceil(policy.concurrency.max(1)).max(u32::from(soon));
    needed.clamp(policy.min_replicas.min(policy.max_replicas), policy.max_replicas)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::spec::WorkerPolicy;

    #[test]
    fn the_next_record_goes_to_the_partition_with_the_least_work() {
        let mut window = Window::new(10, 3);
        assert_eq!([window.take(), window.take(), window.take(), window.take()], [0, 1, 2, 0]);
        window.release(1);
        assert_eq!(window.take(), 1);
        assert_eq!(window.room(), 6);
    }

    #[test]
    fn the_limit_follows_the_speed_of_the_stage() {
        let mut window = Window::new(4_096, 1);
        window.serve(8);
        assert_eq!(window.room(), 16, "before anything is known");
        // Time, how many ended since the step before, and the limit that comes of it.
        let steps = [
            (1_000, 0, 16),
            (1_010, 100, 16),
            (1_050, 100, 1_000),
            (1_100, 2_000, 4_096),
            (1_350, 80, 80),
            (9_000, 3, 16),
            (500, 1_000, 4_096),
            (600, 0, 16),
        ];
        for (time, ended, limit) in steps {
            for _ in 0..ended {
                window.release(0);
            }
            window.measure(time);
            assert_eq!(window.room(), limit, "at {time}");
        }
        window.serve(20);
        window.measure(700);
        assert_eq!(window.room(), 40, "the stage has more workers now");
    }

    /// The floor was above the ceiling, and the first look at the speed ended the actor with a panic.
    #[test]
    fn a_window_that_is_set_to_nothing_stays_shut() {
        let mut window = Window::new(0, 1);
        window.serve(8);
        window.measure(1_000);
        assert_eq!(window.room(), 0);
    }

    #[test]
    fn room_is_shared_fairly() {
        assert_eq!(share(10, &[100, 2, 100], 0), [4, 2, 4]);
        assert_eq!(share(1, &[5, 5], 1), [0, 1]);
        assert_eq!(share(7, &[], 0), Vec::<u32>::new());
    }

    proptest! {
        #[test]
        fn shares_use_all_room_and_are_max_min_fair(room in 0_u32..500, wanted in proptest::collection::vec(0_u32..200, 1..12), first in 0_usize..12) {
            let shares = share(room, &wanted, first);
            let given: u32 = shares.iter().sum();
            prop_assert_eq!(given, room.min(wanted.iter().sum()));
            for (n, mine) in shares.iter().enumerate() {
                prop_assert!(*mine <= wanted[n]);
                // Whoever wants more than it got has at least what any other has, but for the indivisible rest.
                if *mine < wanted[n] {
                    prop_assert!(shares.iter().all(|other| *other <= mine + 1));
                }
            }
        }
    }

    #[test]
    fn replicas_follow_the_outstanding_work() {
        let policy = WorkerPolicy { concurrency: 8, min_replicas: 0, max_replicas: 4, idle_seconds: 60 };
        let cases = [
            ((0, false), 0),
            ((0, true), 1),
            ((1, false), 1),
            ((8, false), 1),
            ((9, false), 2),
            ((500, false), 4),
        ];
        for ((outstanding, soon), replicas) in cases {
            assert_eq!(replicas_wanted(outstanding, soon, &policy), replicas, "{outstanding} {soon}");
        }
        assert_eq!(replicas_wanted(0, false, &WorkerPolicy { min_replicas: 2, ..policy }), 2);
    }
}
