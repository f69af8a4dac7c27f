//! How long to wait before the next attempt.

use crate::chance::unit;
use crate::id::{Attempt, Millis};
use crate::spec::RetryPolicy;

/// Wait after attempt `failed` (from 1): `initial * factor^(failed - 1)`, at most `max_delay`, spread by `jitter`.
///
/// The jitter is a hash of run, object and attempt, so that every fold of the same log gives the same time.
pub fn backoff(policy: &RetryPolicy, failed: Attempt, (run, object): (&str, &str)) -> Millis {
    let exponent = i32::try_from(failed.saturating_sub(1)).unwrap_or(i32::MAX);
    // Bounded first: no wait at all must not become "nothing times infinity".
    let growth = policy.factor.powi(exponent).min(f64::MAX);
    let plain = policy.initial_delay_ms as f64 * growth;
    let bounded = plain.min(policy.max_delay_ms as f64);
    let spread =
        1.0 + policy.jitter * (2.0 * unit(&[run.as_bytes(), object.as_bytes(), &failed.to_le_bytes()]) - 1.0);
    (bounded * spread).round() as Millis
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEED: (&str, &str) = ("uid", "2005");

    #[test]
    fn waits_grow_and_stay_below_the_limit() {
        let policy = RetryPolicy { jitter: 0.0, ..RetryPolicy::default() };
        let waits: Vec<_> = [1, 2, 3, 7, 1_000].map(|failed| backoff(&policy, failed, SEED)).into();
        assert_eq!(waits, [1_000, 2_000, 4_000, 60_000, 60_000]);
    }

    #[test]
    fn jitter_spreads_within_its_part_and_repeats() {
        let policy = RetryPolicy { jitter: 0.2, factor: 1.0, ..RetryPolicy::default() };
        let waits: Vec<_> = (1..200).map(|failed| backoff(&policy, failed, SEED)).collect();
        assert!(waits.iter().all(|wait| (800..=1_200).contains(wait)));
        assert!(waits.iter().any(|wait| *wait < 900) && waits.iter().any(|wait| *wait > 1_100));
        assert_eq!(backoff(&policy, 1, SEED), backoff(&policy, 1, SEED));
    }
}
