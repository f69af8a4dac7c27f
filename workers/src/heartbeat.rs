//! When an attempt has to show a sign of life, and when its time is up. Pure: the time comes as an argument.
//!
//! | phase | due | what to do | then |
//! |---|---|---|---|
//! | `Quiet` | 200 ms after the beginning | say `Started` | `Announced` |
//! | `Announced` | a third of the heartbeat after the last sign | say `Beat` | `Announced` |
//! | `Quiet`, `Announced` | at the run timeout | `Stop` the work | `Stopping` |
//! | `Stopping` | 2 s later, if the work has not ended by then | `GiveUp` on it | over |

use std::time::Duration;

use tokio::time::Instant;

/// Work that ends before this costs no `ObjectStarted`.
pub(crate) const ANNOUNCE_AFTER: Duration = Duration::from_millis(200);
/// How long the answer waits for work that was told to stop. Work that computes without an `.await` does not hear it.
const STOP_GRACE: Duration = Duration::from_secs(2);
/// An instant that never comes.
const NEVER: Duration = Duration::from_hours(100 * 365 * 24);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Quiet,
    Announced,
    Stopping,
}

/// What is due for an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Due {
    /// Send `ObjectStarted`.
    Started,
    /// Send `ObjectProgress`.
    Beat,
    /// The run timeout has passed: stop the work.
    Stop,
    /// It does not stop: answer all the same.
    GiveUp,
}

/// The clock of one attempt.
#[derive(Debug, Clone)]
pub(crate) struct Pulse {
    phase: Phase,
    next: Instant,
    timeout: Instant,
    interval: Duration,
}

impl Pulse {
    /// The work begins now.
    pub(crate) fn new(now: Instant, heartbeat: Duration, run_timeout: Option<Duration>) -> Self {
        let timeout = now + run_timeout.unwrap_or(NEVER).min(NEVER);
        let interval = (heartbeat / 3).min(NEVER);
        Self { phase: Phase::Quiet, next: now + ANNOUNCE_AFTER, timeout, interval }
    }

    /// When to ask [`Pulse::due`] again.
    pub(crate) fn next(&self) -> Instant {
        match self.phase {
            Phase::Quiet | Phase::Announced => self.next.min(self.timeout),
            Phase::Stopping => self.next,
        }
    }

    /// What is due by now, if anything. A clock that was late catches up with one sign, not with many.
    pub(crate) fn due(&mut self, now: Instant) -> Option<Due> {
        match self.phase {
            Phase::Quiet | Phase::Announced if now >= self.timeout => {
                self.phase = Phase::Stopping;
                self.next = now + STOP_GRACE;
                Some(Due::Stop)
            }
            _ if now < self.next => None,
            Phase::Quiet => {
                self.phase = Phase::Announced;
                self.next = now + self.interval;
                Some(Due::Started)
            }
            Phase::Announced => {
                self.next = now + self.interval;
                Some(Due::Beat)
            }
            Phase::Stopping => {
                self.next = now + NEVER;
                Some(Due::GiveUp)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plays a clock that always asks when it should, and notes what was due when.
    fn signs(heartbeat_ms: u64, run_timeout_ms: Option<u64>, until_ms: u64) -> Vec<(u64, Due)> {
        let begin = Instant::now();
        let mut pulse =
            Pulse::new(begin, Duration::from_millis(heartbeat_ms), run_timeout_ms.map(Duration::from_millis));
        let mut signs = Vec::new();
        loop {
            let now = pulse.next();
            if now > begin + Duration::from_millis(until_ms) {
                return signs;
            }
            let due = pulse.due(now).expect("something is due when it said so");
            signs.push(((now - begin).as_millis() as u64, due));
        }
    }

    #[test]
    fn short_work_is_silent_and_long_work_beats() {
        assert_eq!(signs(30_000, None, 199), []);
        let expected = [(200, Due::Started), (10_200, Due::Beat), (20_200, Due::Beat)];
        assert_eq!(signs(30_000, None, 25_000), expected);
    }

    #[test]
    fn at_the_timeout_it_stops_and_then_gives_up_once() {
        assert_eq!(signs(30_000, Some(100), 600_000), [(100, Due::Stop), (2_100, Due::GiveUp)]);
        let expected = [(200, Due::Started), (1_200, Due::Beat), (2_000, Due::Stop), (4_000, Due::GiveUp)];
        assert_eq!(signs(3_000, Some(2_000), 600_000), expected);
    }

    #[test]
    fn a_clock_that_was_late_catches_up_with_one_sign() {
        let begin = Instant::now();
        let mut pulse = Pulse::new(begin, Duration::from_secs(3), None);
        let late = begin + Duration::from_mins(1);
        assert_eq!(pulse.due(late), Some(Due::Started));
        assert_eq!(pulse.due(late), None);
        assert_eq!(pulse.next(), late + Duration::from_secs(1));
    }
}
