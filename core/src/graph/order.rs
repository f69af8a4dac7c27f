//! Topological order by levels (Kahn's algorithm).

use super::Graph;
use crate::id::ObjectIx;

/// The objects in an order in which every dependency comes before its dependants, level by level.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    objects: Vec<ObjectIx>,
    level_starts: Vec<u32>,
}

impl Order {
    /// Orders the graph. Objects on a cycle, and those that depend on one, are left out.
    pub fn of(graph: &Graph) -> Self {
        let mut waiting: Vec<u32> = graph.indices().map(|ix| graph.dependencies(ix).len() as u32).collect();
        let mut objects = Vec::with_capacity(graph.len());
        objects.extend(graph.indices().filter(|ix| waiting[ix.usize()] == 0));
        let mut level_starts = vec![0];
        let mut begin = 0;
        while begin < objects.len() {
            let end = objects.len();
            for i in begin..end {
                for dependant in graph.dependants(objects[i]) {
                    let left = &mut waiting[dependant.usize()];
                    *left -= 1;
                    if *left == 0 {
                        objects.push(*dependant);
                    }
                }
            }
            level_starts.push(end as u32);
            begin = end;
        }
        Self { objects, level_starts }
    }

    /// All ordered objects, dependencies first.
    pub fn objects(&self) -> &[ObjectIx] {
        &self.objects
    }

    /// Whether every object of the graph is ordered: it has no cycle.
    pub fn is_complete(&self, graph: &Graph) -> bool {
        self.objects.len() == graph.len()
    }

    /// Number of levels: the number of objects on the longest path.
    pub fn depth(&self) -> usize {
        self.level_starts.len() - 1
    }

    /// The objects of each level, from those without dependencies on. An object is one level below its lowest
    /// dependency.
    pub fn levels(&self) -> impl Iterator<Item = &[ObjectIx]> {
        self.level_starts.windows(2).map(|ends| &self.objects[ends[0] as usize..ends[1] as usize])
    }
}
