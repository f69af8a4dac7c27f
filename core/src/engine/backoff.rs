//! How long to wait before the next attempt.

use crate::id::{Attempt, Millis};
use crate::spec::RetryPolicy;

/// Wait after attempt `failed` (from 1): `initial * factor^(failed - 1)`, at most `max_delay`, spread by `jitter`.
///
/// The jitter is a hash of the seed, so that every fold of the same log gives the same time.
pub fn backoff(policy: &RetryPolicy, failed: Attempt, seed: (&str, &str)) -> Millis {
    let exponent = i32::try_from(failed.saturating_sub(1)).unwrap_or(i32::MAX);
    // Bounded first: no wait at all must not become "nothing times infinity".
    let growth = policy.factor.powi(exponent).min(f64::MAX);
    let plain = policy.initial_delay_ms as f64 * growth;
    let bounded = plain.min(policy.max_delay_ms as f64);
    let spread = 1.0 + policy.jitter * (2.0 * unit(seed, failed) - 1.0);
    (bounded * spread).round() as Millis
}

/// A number from 0 to 1 that is the same for the same input on every machine (FNV-1a, 64 bit).
fn unit((run, object): (&str, &str), attempt: Attempt) -> f64 {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let bytes = run.bytes().chain([0xff]).chain(object.bytes()).chain([0xff]).chain(attempt.to_le_bytes());
    let mut hash = bytes.fold(OFFSET, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME));
    // FNV's high bits mix slowly for short inputs: one round of the finaliser of SplitMix64.
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (hash >> 11) as f64 / (1_u64 << 53) as f64
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
