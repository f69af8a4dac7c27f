//! The path that decided how long a run took.

use super::{Graph, Order};
use crate::id::{Millis, ObjectIx};

/// A path of dependencies with the largest sum of durations.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CriticalPath {
    /// From an object without dependencies on; each depends on the one before.
    pub objects: Vec<ObjectIx>,
    /// Sum of the durations along it.
    pub total_ms: Millis,
}

/// The path with the largest sum of durations; equal ones are decided the same way every time. Objects that have
/// not run have the duration 0; negative durations count as 0. Empty for an empty graph; objects on a cycle are left
/// out.
pub fn critical_path(graph: &Graph, duration_of: impl Fn(ObjectIx) -> Millis) -> CriticalPath {
    let order = Order::of(graph);
    // The sum up to and including the object, and the dependency it came through.
    let mut best: Vec<(Millis, Option<ObjectIx>)> = vec![(0, None); graph.len()];
    let mut end: Option<ObjectIx> = None;
    for ix in order.objects() {
        let mut through: Option<ObjectIx> = None;
        for dependency in graph.dependencies(*ix) {
            if through.is_none_or(|chosen| best[dependency.usize()].0 > best[chosen.usize()].0) {
                through = Some(*dependency);
            }
        }
        let before = through.map_or(0, |dependency| best[dependency.usize()].0);
        best[ix.usize()] = (before.saturating_add(duration_of(*ix).max(0)), through);
        let (sum, _) = best[ix.usize()];
        if end.is_none_or(|chosen| sum > best[chosen.usize()].0) {
            end = Some(*ix);
        }
    }
    let total_ms = end.map_or(0, |ix| best[ix.usize()].0);
    let mut objects = Vec::new();
    while let Some(ix) = end {
        objects.push(ix);
        end = best[ix.usize()].1;
    }
    objects.reverse();
    CriticalPath { objects, total_ms }
}
