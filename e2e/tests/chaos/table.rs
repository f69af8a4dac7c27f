//! The faults of a run of chaos, by their kinds.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use crate::plan::Kind;

/// A fault that was recovered.
pub(crate) struct Row {
    pub(crate) kind: Kind,
    pub(crate) took: Duration,
}

pub(crate) fn text(rows: &[Row]) -> String {
    let mut of_kind: BTreeMap<Kind, Vec<Duration>> = BTreeMap::new();
    for row in rows {
        of_kind.entry(row.kind).or_default().push(row.took);
    }
    let mut text = format!("{:20} {:>6} {:>14} {:>8}\n", "fault", "times", "recovered p50", "max");
    let mut line = |name: &str, times: &mut Vec<Duration>| {
        times.sort_unstable();
        let (median, max) = (times[times.len() / 2].as_secs_f64(), times[times.len() - 1].as_secs_f64());
        let _ = writeln!(text, "{name:20} {:6} {median:12.1} s {max:6.1} s", times.len());
    };
    let mut all: Vec<Duration> = rows.iter().map(|row| row.took).collect();
    for (kind, times) in &mut of_kind {
        line(kind.name(), times);
    }
    line(&format!("{} kinds", of_kind.len()), &mut all);
    text
}
