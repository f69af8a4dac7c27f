//! A worker that is told to stop: what it does until when. Pure.
//!
//! All times count from the SIGTERM. Whatever hangs, each step ends at its time, so that what is written last is written
//! before the SIGKILL.
//!
//! | until | the worker waits for | what it then does |
//! |---|---|---|
//! | `hand_over` | its objects to end | hands those that have not over to their heartbeat; when that is acknowledged it leaves the group |
//! | `stop` | the others to end | stops them, and gives them back by an answer |
//! | `answered` | these answers to be acknowledged | leaves the group, if it has not yet |
//! | `left` | its last commit, and the group to know that it has gone | ends |
//! | the grace | threads of work that does not hear that it shall stop | is killed |

use std::time::Duration;

/// What ends so soon is not handed over: it costs no record.
const HAND_OVER: Duration = Duration::from_secs(1);
/// What comes after the work has so many seconds, where the grace suffices. The last answers:
const ANSWERS_S: u32 = 2;
/// the last commit (5 s at most) and the place in the group (3 s), as the bus limits them:
const LEAVE_S: u32 = 8;
/// and the end of the process.
const EXIT_S: u32 = 1;
const AFTER_WORK_S: u32 = ANSWERS_S + LEAVE_S + EXIT_S;

/// The times of a worker's end: see the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drain {
    /// When what is still in work is handed over.
    pub hand_over: Duration,
    /// When what is still in work is stopped.
    pub stop: Duration,
    /// When the last answers are no longer waited for.
    pub answered: Duration,
    /// When the group is no longer waited for.
    pub left: Duration,
}

impl Drain {
    /// What comes after the work takes at most so long.
    pub const AFTER_WORK: Duration = Duration::from_secs(AFTER_WORK_S as u64);
    /// Of which the end of the process.
    pub const EXIT: Duration = Duration::from_secs(EXIT_S as u64);

    /// For a worker that is killed after `grace`. What comes after the work gets at most half of it.
    pub fn within(grace: Duration) -> Self {
        let after = Self::AFTER_WORK.min(grace / 2);
        let part = |seconds: u32| after / AFTER_WORK_S * seconds;
        let stop = grace.saturating_sub(after);
        let answered = stop + part(ANSWERS_S);
        Self { hand_over: HAND_OVER.min(stop / 2), stop, answered, left: answered + part(LEAVE_S) }
    }

    /// For a worker that nobody kills, and whose work nobody waits for.
    pub fn at_once() -> Self {
        let (hand_over, stop) = (Duration::ZERO, Duration::ZERO);
        let answered = Duration::from_secs(ANSWERS_S.into());
        Self { hand_over, stop, answered, left: answered + Duration::from_secs(LEAVE_S.into()) }
    }

    /// The grace in which work of up to `run_timeout` ends.
    pub fn grace_for(run_timeout: Duration) -> Duration {
        run_timeout.saturating_add(Self::AFTER_WORK)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_step_of_a_drain_ends_before_the_kill() {
        // All in milliseconds. Grace: hand over, stop, answered, left.
        let table = [
            (600_000, [1_000, 589_000, 591_000, 599_000]),
            (30_000, [1_000, 19_000, 21_000, 29_000]),
            (22_000, [1_000, 11_000, 13_000, 21_000]),
            (11_000, [1_000, 5_500, 6_500, 10_500]),
            (2_200, [550, 1_100, 1_300, 2_100]),
            (1_100, [275, 550, 650, 1_050]),
            (0, [0, 0, 0, 0]),
        ];
        for (grace, expected) in table {
            let Drain { hand_over, stop, answered, left } = Drain::within(Duration::from_millis(grace));
            let millis = [hand_over, stop, answered, left].map(|time| time.as_millis());
            assert_eq!(millis, expected, "{grace}");
        }
    }

    #[test]
    fn the_steps_come_in_order_in_any_grace() {
        for grace in (0..700_000).step_by(37).map(Duration::from_millis) {
            let Drain { hand_over, stop, answered, left } = Drain::within(grace);
            assert!([hand_over, stop, answered, left, grace].is_sorted(), "{grace:?}");
        }
    }

    #[test]
    fn work_within_its_run_timeout_is_not_stopped() {
        for run_timeout in [0, 1, 30, 589].map(Duration::from_secs) {
            assert!(Drain::within(Drain::grace_for(run_timeout)).stop >= run_timeout, "{run_timeout:?}");
        }
    }
}
