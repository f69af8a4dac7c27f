//! How much may be outstanding in a stage, and on which partition the next record goes.

/// The window of one stage, shared by all runs that use it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    limit: u32,
    /// Outstanding records of each partition.
    load: Vec<u32>,
}

impl Window {
    /// An empty window of at most `limit` outstanding records over `partitions` partitions.
    pub fn new(limit: u32, partitions: u16) -> Self {
        Self { limit, load: vec![0; usize::from(partitions.max(1))] }
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

    /// Gives a place back.
    pub fn release(&mut self, partition: u16) {
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
