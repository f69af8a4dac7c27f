//! A histogram of short times, for counters that many threads look at.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Bounds double from a microsecond to half a second; one more bucket holds what is longer.
const BUCKETS: usize = 21;

/// How long something took, by powers of two.
#[derive(Debug, Default)]
pub struct Latency {
    counts: [AtomicU64; BUCKETS],
    micros: AtomicU64,
}

impl Latency {
    /// So many took `time`.
    pub fn observe(&self, time: Duration, count: u64) {
        let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let bucket = micros.checked_sub(1).map_or(0, |below| below.checked_ilog2().map_or(0, |log| log + 1));
        self.counts[(bucket as usize).min(BUCKETS - 1)].fetch_add(count, Ordering::Relaxed);
        self.micros.fetch_add(micros.saturating_mul(count), Ordering::Relaxed);
    }

    /// How many took no longer than each bound in seconds and longer than the one before. The last bound is infinite.
    pub fn buckets(&self) -> impl Iterator<Item = (f64, u64)> + '_ {
        let bound =
            |n: usize| if n == BUCKETS - 1 { f64::INFINITY } else { f64::from(1_u32 << n) / 1_000_000.0 };
        self.counts.iter().enumerate().map(move |(n, count)| (bound(n), count.load(Ordering::Relaxed)))
    }

    /// All times together, in seconds.
    pub fn sum(&self) -> f64 {
        self.micros.load(Ordering::Relaxed) as f64 / 1_000_000.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_counts_below_the_next_power_of_two() {
        let latency = Latency::default();
        for (micros, count) in [(0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (5, 6), (524_288, 7), (600_000, 8)] {
            latency.observe(Duration::from_micros(micros), count);
        }
        let found: Vec<_> = latency.buckets().filter(|(_, count)| *count > 0).collect();
        let micros = |micros: u32| f64::from(micros) / 1_000_000.0;
        let expected = [
            (micros(1), 3),
            (micros(2), 3),
            (micros(4), 9),
            (micros(8), 6),
            (micros(524_288), 7),
            (f64::INFINITY, 8),
        ];
        assert_eq!(found, expected);
        assert!((latency.sum() - 8.470_07).abs() < 0.001, "{}", latency.sum());
    }
}
