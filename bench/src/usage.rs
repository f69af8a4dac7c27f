//! What processes take of the machine, as Linux tells it in /proc.

use std::collections::BTreeMap;
use std::path::Path;

/// Ticks of a second: `USER_HZ`, the same on every machine with Linux.
const TICKS: f64 = 100.0;

/// Processes by what they are called here; several may go by one name.
pub(crate) type Processes = Vec<(&'static str, u32)>;

/// What a process took.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Taken {
    pub(crate) cpu_s: f64,
    pub(crate) peak_mb: f64,
}

/// A measure that has begun.
pub(crate) struct Usage {
    before: Vec<(&'static str, u32, f64)>,
}

impl Usage {
    /// Begins: what was the most memory before does not count any more.
    pub(crate) fn begin(processes: &Processes) -> Self {
        let begin = |(name, pid): &(&'static str, u32)| {
            // Only the owner may. Refused, the peak is that since the process began.
            let _ = std::fs::write(format!("/proc/{pid}/clear_refs"), "5");
            (*name, *pid, cpu_s(*pid))
        };
        Self { before: processes.iter().map(begin).collect() }
    }

    /// What each took since: CPU seconds of all of a name together, and the sum of their peaks.
    pub(crate) fn end(self) -> BTreeMap<&'static str, Taken> {
        let mut all = BTreeMap::<&'static str, Taken>::new();
        for (name, pid, before) in self.before {
            let taken = all.entry(name).or_insert(Taken { cpu_s: 0.0, peak_mb: 0.0 });
            taken.cpu_s += (cpu_s(pid) - before).max(0.0);
            taken.peak_mb += peak_mb(pid).unwrap_or(0.0);
        }
        all
    }
}

/// CPU time of a process; of one that is gone nothing.
fn cpu_s(pid: u32) -> f64 {
    stat(&format!("/proc/{pid}/stat"), 11..=12).unwrap_or(0.0)
}

/// CPU time of the children that this process has waited for.
pub(crate) fn children_cpu_s() -> f64 {
    stat("/proc/self/stat", 13..=14).unwrap_or(0.0)
}

/// Seconds of these fields, counted from behind the name, which may hold anything.
fn stat(path: &str, fields: std::ops::RangeInclusive<usize>) -> Option<f64> {
    let text = std::fs::read_to_string(path).ok()?;
    let all: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = all.get(fields)?.iter().map(|field| field.parse::<f64>().unwrap_or(0.0));
    Some(ticks.sum::<f64>() / TICKS)
}

/// The most memory that a process had.
pub(crate) fn peak_mb(pid: u32) -> Option<f64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().trim_end_matches(" kB").parse::<f64>().ok()? / 1_024.0)
}

/// The process whose number a script has written.
pub(crate) fn pid_of(file: &Path) -> Option<u32> {
    std::fs::read_to_string(file).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_work_of_a_process_is_seen() {
        let usage = Usage::begin(&vec![("me", std::process::id())]);
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
        while cpu_s(std::process::id()) - usage.before[0].2 < 0.05 {
            assert!(std::time::Instant::now() < deadline, "no CPU time is counted");
        }
        let taken = usage.end()["me"];
        assert!(taken.cpu_s >= 0.05 && taken.peak_mb > 1.0, "{taken:?}");
    }
}
