//! How many replicas a stage has: up at once, down when it was idle long enough. Pure: the time is an argument.

use std::time::Duration;

use orch_core::engine::replicas_wanted;
use orch_core::spec::WorkerPolicy;
use tokio::time::Instant;

/// The memory that scaling down needs: since when fewer replicas would do.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scaler {
    /// Replicas that were asked for last.
    current: u32,
    /// Since when fewer are needed, and the most that were needed since.
    calm_since: Option<(Instant, u32)>,
}

/// What a stage needs now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// Live runs use it.
    Live {
        /// Published and not ended.
        outstanding: u32,
        /// Work is about to come.
        soon: bool,
    },
    /// Nothing is here now; a Pipeline waits for its next run.
    Idle,
}

impl Scaler {
    /// Replicas to ask for at `now`, and when to look again.
    pub(crate) fn replicas(
        &mut self,
        need: Need,
        policy: &WorkerPolicy,
        now: Instant,
    ) -> (u32, Option<Instant>) {
        let needed = match need {
            Need::Live { outstanding, soon } => replicas_wanted(outstanding, soon, policy),
            Need::Idle => replicas_wanted(0, false, policy),
        };
        if needed >= self.current {
            self.current = needed;
            self.calm_since = None;
            return (needed, None);
        }
        let (since, most) = self.calm_since.unwrap_or((now, needed));
        let most = most.max(needed);
        let due = since + Duration::from_secs(u64::from(policy.idle_seconds));
        // To none only when nothing is outstanding: `needed` says so, being at least one otherwise.
        if due <= now {
            self.current = most;
            self.calm_since = (needed < most).then_some((now, needed));
            return (
                most,
                self.calm_since.map(|_| now + Duration::from_secs(u64::from(policy.idle_seconds))),
            );
        }
        self.calm_since = Some((since, most));
        (self.current, Some(due))
    }

    /// Fewer would do, but so many have something in hand, and stay. Returns the replicas to ask for.
    pub(crate) fn hold(&mut self, busy: u32) -> u32 {
        self.current = self.current.max(busy);
        self.current
    }

    /// Takes over from what the Deployment says: after a restart of the operator nothing is torn down at once.
    pub(crate) fn resume(&mut self, replicas: u32) {
        self.current = self.current.max(replicas);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: WorkerPolicy =
        WorkerPolicy { concurrency: 8, min_replicas: 0, max_replicas: 4, idle_seconds: 60 };

    fn live(outstanding: u32) -> Need {
        Need::Live { outstanding, soon: false }
    }

    #[test]
    fn up_at_once_and_down_after_the_idle_time() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut scaler = Scaler::default();
        assert_eq!(scaler.replicas(live(32), &POLICY, at(0)), (4, None));
        assert_eq!(scaler.replicas(live(8), &POLICY, at(1)), (4, Some(at(61))));
        assert_eq!(scaler.replicas(live(16), &POLICY, at(30)), (4, Some(at(61))));
        assert_eq!(scaler.replicas(live(8), &POLICY, at(61)).0, 2, "two were needed meanwhile");
        assert_eq!(scaler.replicas(live(8), &POLICY, at(121)).0, 1);
    }

    #[test]
    fn to_none_only_when_nothing_is_outstanding() {
        let start = Instant::now();
        let late = start + Duration::from_hours(1);
        let mut scaler = Scaler::default();
        scaler.replicas(live(1), &POLICY, start);
        assert_eq!(scaler.replicas(live(1), &POLICY, late).0, 1);
        scaler.replicas(Need::Idle, &POLICY, late);
        assert_eq!(scaler.replicas(Need::Idle, &POLICY, late + Duration::from_mins(1)).0, 0);
    }

    /// Four workers with one long object each were made one, and three of them were killed at their work.
    #[test]
    fn workers_with_something_in_hand_stay() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut scaler = Scaler::default();
        scaler.replicas(live(32), &POLICY, at(0));
        scaler.replicas(live(3), &POLICY, at(1));
        assert_eq!(scaler.replicas(live(3), &POLICY, at(61)).0, 1);
        assert_eq!(scaler.hold(3), 3);
        assert_eq!(scaler.replicas(live(3), &POLICY, at(62)), (3, Some(at(122))));
        assert_eq!(scaler.replicas(live(3), &POLICY, at(122)).0, 1);
        assert_eq!(scaler.hold(0), 1, "they have ended");
    }

    #[test]
    fn a_restarted_operator_keeps_the_workers_that_run() {
        let now = Instant::now();
        let mut scaler = Scaler::default();
        scaler.resume(3);
        assert_eq!(scaler.replicas(live(8), &POLICY, now).0, 3);
    }
}
