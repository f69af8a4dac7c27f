//! Medians and quantiles.

use serde::Serialize;

/// Of the rounds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

/// Of many single things.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Quantiles {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
}

impl Spread {
    /// `None` of nothing.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let values = sorted(values);
        Some(Self { median: quantile(&values, 0.5)?, least: *values.first()?, most: *values.last()? })
    }
}

impl Quantiles {
    /// `None` of nothing.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let values = sorted(values);
        Some(Self { p50: quantile(&values, 0.5)?, p99: quantile(&values, 0.99)? })
    }
}

fn sorted(values: impl IntoIterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values
}

/// The smallest value that is not below this part of all; of an even number of values the median is the upper one.
fn quantile(sorted: &[f64], part: f64) -> Option<f64> {
    let at = (sorted.len() as f64 * part) as usize;
    sorted.get(at.min(sorted.len().saturating_sub(1))).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_that_were_seen() {
        let hundred = (1..=100).rev().map(f64::from);
        assert_eq!(Quantiles::of(hundred), Some(Quantiles { p50: 51.0, p99: 100.0 }));
        assert_eq!(Quantiles::of([7.0]), Some(Quantiles { p50: 7.0, p99: 7.0 }));
        assert_eq!(Spread::of([3.0, 1.0, 2.0]), Some(Spread { median: 2.0, least: 1.0, most: 3.0 }));
        assert_eq!(Spread::of([]), None);
    }
}
