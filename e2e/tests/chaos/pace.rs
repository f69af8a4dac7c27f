//! How fast objects are done: so that there is work for as long as there are faults.

use std::time::Duration;

use crate::scene::{Scene, stage_of};

/// What a fault takes until one knows better.
const FIRST_GUESS: Duration = Duration::from_secs(12);
/// Never slower: what a fault is recovered by must move on.
const SLOWEST: Duration = Duration::from_millis(400);
const FASTEST: Duration = Duration::from_micros(500);
/// So many objects are as good as none: a run ends in a hurry.
const LAST: f64 = 0.03;

/// The runs with a pace, and how many objects each has.
#[derive(Debug, Default)]
pub(crate) struct Pace(Vec<(&'static str, usize)>);

impl Pace {
    pub(crate) fn add(&mut self, run: &'static str, objects: usize) {
        self.0.push((run, objects));
    }
}

impl Scene {
    /// So many faults are to come, and each took so long.
    pub(crate) fn pace(&self, faults: usize, each: Duration) {
        let each = if each < Duration::from_secs(1) { FIRST_GUESS } else { each };
        let time = each.as_secs_f64() * faults as f64 * 1.05;
        for (run, objects) in &self.pace.0 {
            let left = 1.0 - f64::from(self.ended_of(run)) / *objects as f64 - LAST;
            // Every second level has work that takes its time.
            let left = (left * *objects as f64 / 2.0).max(1.0);
            let every = Duration::from_secs_f64(time / left).clamp(FASTEST, SLOWEST);
            self.work.pace(run, every);
        }
    }

    pub(crate) fn at_full_speed(&self) {
        for (run, _) in &self.pace.0 {
            self.work.pace(run, FASTEST);
        }
    }

    /// Objects of a run whose work is that of the server, and that it was not asked to do.
    pub(crate) fn never_done(&self, run: &crate::scene::Run) -> Vec<String> {
        let done = self.work.loaded(run.name);
        let loaded = self.status(run.name).phase_map.map(|map| map.decode().unwrap()).unwrap_or_default();
        let of_server =
            run.graph.iter().zip(loaded.bytes()).filter(|((id, _), letter)| {
                *letter == b'L' && stage_of(id) == "work" && !done.contains_key(id)
            });
        of_server.map(|((id, _), _)| id.clone()).collect()
    }
}
