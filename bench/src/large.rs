//! Graphs that are too large for a cluster run: reading, checking and indexing them, and a local run.

use std::path::Path;
use std::time::Instant;

use orch_core::catalogue;
use orch_core::plan::plan;
use serde::Serialize;

use crate::numbers::Spread;
use crate::shapes::{LARGE, Order, edge_lines};
use crate::{local, say};

/// Objects of the largest graph that is run.
const MAX_RUN: usize = 500_000;

/// What became of one.
#[derive(Debug, Serialize)]
pub(crate) struct LargeResults {
    pub(crate) name: String,
    pub(crate) objects: usize,
    pub(crate) edges: usize,
    pub(crate) levels: usize,
    pub(crate) read_ms: Option<Spread>,
    pub(crate) plan_ms: Option<Spread>,
    /// Both.
    pub(crate) total_ms: Option<Spread>,
    /// A local run by its own clock, in seconds; of the very largest none, and one of each.
    pub(crate) local_s: Option<Spread>,
    /// The same with the process around it.
    pub(crate) local_whole_s: Option<Spread>,
    pub(crate) local_peak_mb: Option<Spread>,
}

/// All of them.
pub(crate) async fn measure(folder: &Path, rounds: u32) -> Vec<LargeResults> {
    let mut results = Vec::new();
    let orders =
        LARGE.into_iter().flat_map(|graph| [Order::Sorted, Order::Shuffled].map(|order| (graph, order)));
    for ((name, objects, edges, levels), order) in orders {
        let name =
            if order == Order::Sorted { name.to_owned() } else { "the same, lines shuffled".to_owned() };
        let text = edge_lines(objects, edges, levels, order);
        let (mut reads, mut plans, mut totals, mut runs) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let file = folder.join("large.tsv");
        std::fs::write(&file, &text).unwrap();
        for _ in 0..rounds {
            let begin = Instant::now();
            let (spec, _) = catalogue::read("graph", text.as_bytes()).unwrap();
            let read = begin.elapsed().as_secs_f64() * 1e3;
            let plan = plan(spec).unwrap();
            let total = begin.elapsed().as_secs_f64() * 1e3;
            assert_eq!(plan.objects.len(), objects);
            drop(plan);
            reads.push(read);
            plans.push(total - read);
            totals.push(total);
            if objects <= MAX_RUN && order == Order::Sorted {
                runs.push(local::run(&file, objects).await);
            }
        }
        say(&format!("large: {name}"));
        results.push(LargeResults {
            name,
            objects,
            edges,
            levels,
            read_ms: Spread::of(reads),
            plan_ms: Spread::of(plans),
            total_ms: Spread::of(totals),
            local_s: Spread::of(runs.iter().map(|ran| ran.run.as_secs_f64())),
            local_whole_s: Spread::of(runs.iter().map(|ran| ran.whole.as_secs_f64())),
            local_peak_mb: Spread::of(runs.iter().map(|ran| ran.taken.peak_mb)),
        });
    }
    results
}
