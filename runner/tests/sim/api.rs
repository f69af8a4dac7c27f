//! The API server: resources with versions, stale reads, and conflicts.

use orch_core::id::Millis;

use super::scenario::Scenario;

/// What a run's resource says that may change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    pub version: usize,
    pub start_offset: Option<i64>,
    pub cancel: bool,
    pub epoch: u64,
}

/// By run all versions of its resource, oldest first.
#[derive(Debug)]
pub struct Api {
    applied_at: Vec<Millis>,
    runs: Vec<Vec<Resource>>,
}

impl Api {
    pub fn new(scenario: &Scenario) -> Self {
        let new = Resource { version: 0, start_offset: None, cancel: false, epoch: 0 };
        Self {
            applied_at: scenario.runs.iter().map(|run| run.applied_at).collect(),
            runs: vec![vec![new]; scenario.runs.len()],
        }
    }

    /// A run as it was so many versions ago; `None` when it is not applied yet.
    pub fn get(&self, run: usize, now: Millis, versions_ago: usize) -> Option<Resource> {
        let versions = &self.runs[run];
        let version = versions.len() - 1 - versions_ago.min(versions.len() - 1);
        (self.applied_at[run] <= now).then(|| versions[version].clone())
    }

    /// The furthest start offset that any run has.
    pub fn furthest_start(&self) -> i64 {
        self.runs.iter().filter_map(|versions| versions[versions.len() - 1].start_offset).max().unwrap_or(0)
    }

    /// Writes a new version; refused when `resource` is not the newest.
    pub fn put(&mut self, run: usize, mut resource: Resource) -> bool {
        let versions = &mut self.runs[run];
        if resource.version + 1 != versions.len() {
            return false;
        }
        resource.version += 1;
        versions.push(resource);
        true
    }

    /// Somebody else changes it, whatever the version.
    pub fn change(&mut self, run: usize, change: impl FnOnce(&mut Resource)) {
        let mut newest = self.runs[run][self.runs[run].len() - 1].clone();
        change(&mut newest);
        self.put(run, newest);
    }
}
