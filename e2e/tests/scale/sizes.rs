//! How large everything is, by variables.

use std::time::Duration;

use orch_e2e::variables;

/// See the module.
pub(crate) struct Sizes {
    /// Objects of a large run.
    pub(crate) objects: usize,
    /// Runs at once, and how many of them are large.
    pub(crate) runs: usize,
    pub(crate) large: usize,
    /// Objects of the others.
    pub(crate) small_objects: usize,
    /// Objects of the run whose operator is killed, and how soon after it has the Lease the next one goes on.
    pub(crate) recovery_objects: usize,
    pub(crate) recovered: Duration,
    /// What the operator may write in a second.
    pub(crate) bytes_per_second: usize,
    /// `kubectl get` while all of them run: half of the looks take no longer.
    pub(crate) get: Duration,
    /// How long nothing is written afterwards.
    pub(crate) rest: Duration,
    /// How long all of it may take.
    pub(crate) limit: Duration,
}

impl Sizes {
    pub(crate) fn read() -> Self {
        Self {
            objects: number("SCALE_OBJECTS", 10_000),
            runs: number("SCALE_RUNS", 24),
            large: number("SCALE_LARGE", 3),
            small_objects: number("SCALE_SMALL_OBJECTS", 100),
            recovery_objects: number("SCALE_RECOVERY_OBJECTS", 10_000),
            recovered: Duration::from_millis(number("SCALE_RECOVERED_MS", 20_000) as u64),
            // So little that a short look meets the limit, and enough that 24 runs begin within a second or two: what is
            // kept of each before it begins is paid from it too.
            bytes_per_second: number("SCALE_BYTES_PER_SECOND", 256 << 10),
            get: Duration::from_millis(number("SCALE_GET_MS", 10_000) as u64),
            rest: Duration::from_secs(number("SCALE_REST_SECONDS", 5) as u64),
            limit: Duration::from_secs(number("SCALE_LIMIT_SECONDS", 120) as u64),
        }
    }
}

fn number(variable: &str, default: usize) -> usize {
    variables::number(variable).map_or(default, |number| number as usize)
}
