//! How far the counts that a watcher sees are behind the topic. Pure.

use orch_core::id::Millis;

use crate::cluster::Seen;
use crate::numbers::Quantiles;

/// Between two looks, in milliseconds.
const STEP_MS: f64 = 1.0;

/// Looks at the run every millisecond from its first ready record to the last status: for how long has the newest count
/// that was seen been wrong by then? Not at all, or since the next object was loaded.
pub(crate) fn lag_ms(first_ready_ms: Millis, loaded_ms: &[Millis], seen: &[Seen]) -> Option<Quantiles> {
    let end = seen.last()?.at_ms;
    let looks = ((end - first_ready_ms as f64) / STEP_MS).max(0.0) as usize;
    let behind = (0..=looks).map(|look| {
        let now = first_ready_ms as f64 + look as f64 * STEP_MS;
        let shown = seen.iter().rev().find(|seen| seen.at_ms <= now).map_or(0, |seen| seen.loaded);
        let next = loaded_ms.get(shown).map(|next| *next as f64);
        next.filter(|next| *next < now).map_or(0.0, |next| now - next)
    });
    Quantiles::of(behind)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(counts: &[(i32, usize)]) -> Vec<Seen> {
        counts.iter().map(|(at, loaded)| Seen { at_ms: f64::from(*at), loaded: *loaded }).collect()
    }

    #[test]
    fn a_count_is_behind_since_the_next_object_was_loaded() {
        // One object at 100; nobody says so before 200: on most looks it is less than 100 ms behind.
        let lag = lag_ms(100, &[100], &seen(&[(100, 0), (200, 1)])).unwrap();
        assert_eq!(lag, Quantiles { p50: 49.0, p99: 98.0 });
    }

    #[test]
    fn a_count_that_is_right_is_not_behind() {
        let lag = lag_ms(0, &[0, 1], &seen(&[(0, 1), (1, 2), (500, 2)])).unwrap();
        assert_eq!(lag, Quantiles { p50: 0.0, p99: 0.0 });
        assert_eq!(lag_ms(0, &[0], &[]), None);
    }
}
