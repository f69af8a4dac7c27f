//! Dependencies between objects as two compressed sparse rows: who depends on whom, and on whom it depends.
//! Objects are numbers here; names, stages and policies stand in the plan. Pure, and without recursion: depth costs no
//! stack.

mod critical;
mod cycle;
mod needed;
mod order;

pub use critical::{CriticalPath, critical_path};
pub use cycle::{cycles, path_text};
pub use needed::{ancestors, descendants};
pub use order::Order;

use crate::id::ObjectIx;

/// A directed graph without repeated edges and, once [`crate::plan::plan`] has accepted it, without cycles. Neighbours
/// of an object are in ascending order.
#[derive(Debug, Clone, Default)]
pub struct Graph {
    dependants: Rows,
    dependencies: Rows,
}

/// Rows of one direction: the neighbours of `i` are `targets[starts[i]..starts[i + 1]]`.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rows {
    starts: Vec<u32>,
    targets: Vec<ObjectIx>,
}

impl Graph {
    /// A graph of `len` objects from pairs (dependency, dependant) in any order; repeats count once.
    pub fn from_edges(len: usize, edges: &[(u32, u32)]) -> Self {
        let by_dependant = Rows::by_dependant(len, edges);
        let mut builder = GraphBuilder::with_capacity(len, edges.len());
        let mut row = Vec::new();
        for ix in 0..len as u32 {
            row.extend_from_slice(by_dependant.of(ObjectIx(ix)));
            builder.push(&mut row);
        }
        builder.build()
    }

    /// Objects that wait for this one.
    pub fn dependants(&self, ix: ObjectIx) -> &[ObjectIx] {
        self.dependants.of(ix)
    }

    /// Objects that this one waits for.
    pub fn dependencies(&self, ix: ObjectIx) -> &[ObjectIx] {
        self.dependencies.of(ix)
    }

    /// Number of objects.
    pub fn len(&self) -> usize {
        self.dependants.starts.len().saturating_sub(1)
    }

    /// Whether there is no object at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of dependencies.
    pub fn edge_count(&self) -> usize {
        self.dependants.targets.len()
    }

    /// All objects in ascending order.
    pub fn indices(&self) -> impl Iterator<Item = ObjectIx> + use<> {
        (0..self.len() as u32).map(ObjectIx)
    }
}

impl Rows {
    pub(crate) fn of(&self, ix: ObjectIx) -> &[ObjectIx] {
        let i = ix.usize();
        &self.targets[self.starts[i] as usize..self.starts[i + 1] as usize]
    }

    /// The dependencies of each object, from pairs (dependency, dependant).
    pub(crate) fn by_dependant(len: usize, edges: &[(u32, u32)]) -> Self {
        Self::grouped(len, edges.iter().map(|(parent, child)| (ObjectIx(*child), ObjectIx(*parent))))
    }

    /// Groups pairs (row, neighbour) by row in linear time; neighbours keep the order of the pairs.
    fn grouped(len: usize, pairs: impl Iterator<Item = (ObjectIx, ObjectIx)> + Clone) -> Self {
        let mut starts = vec![0_u32; len + 1];
        for (row, _) in pairs.clone() {
            starts[row.usize() + 1] += 1;
        }
        for i in 0..len {
            starts[i + 1] += starts[i];
        }
        let mut next = starts.clone();
        let mut targets = vec![ObjectIx(0); starts[len] as usize];
        for (row, neighbour) in pairs {
            let free = &mut next[row.usize()];
            targets[*free as usize] = neighbour;
            *free += 1;
        }
        Self { starts, targets }
    }
}

/// Builds a graph from the dependencies of object 0, then of object 1 and so on.
#[derive(Debug)]
pub(crate) struct GraphBuilder {
    dependencies: Rows,
}

impl GraphBuilder {
    pub(crate) fn with_capacity(objects: usize, edges: usize) -> Self {
        let mut starts = Vec::with_capacity(objects + 1);
        starts.push(0);
        Self { dependencies: Rows { starts, targets: Vec::with_capacity(edges) } }
    }

    /// The dependencies of the next object, in any order and with repeats; empties `row` for the next use.
    pub(crate) fn push(&mut self, row: &mut Vec<ObjectIx>) {
        row.sort_unstable();
        row.dedup();
        self.dependencies.targets.append(row);
        self.dependencies.starts.push(self.dependencies.targets.len() as u32);
    }

    pub(crate) fn build(self) -> Graph {
        let dependencies = self.dependencies;
        let len = dependencies.starts.len() - 1;
        // Dependants are visited in ascending order, therefore each row of the other direction is ascending too.
        let pairs = (0..len as u32).map(ObjectIx).flat_map(|dependant| {
            dependencies.of(dependant).iter().map(move |dependency| (*dependency, dependant))
        });
        let dependants = Rows::grouped(len, pairs);
        Graph { dependants, dependencies }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_ascending_without_repeats_in_both_directions() {
        let edges = [(2, 0), (1, 0), (2, 0), (2, 3), (1, 3), (2, 1)];
        let graph = Graph::from_edges(5, &edges);
        assert_eq!((graph.len(), graph.edge_count()), (5, 5));
        assert_eq!(graph.dependencies(ObjectIx(0)), [ObjectIx(1), ObjectIx(2)]);
        assert_eq!(graph.dependants(ObjectIx(2)), [ObjectIx(0), ObjectIx(1), ObjectIx(3)]);
        assert_eq!(graph.dependants(ObjectIx(4)), []);
        assert!(Graph::from_edges(0, &[]).is_empty());
        assert!(Graph::default().is_empty());
    }
}
