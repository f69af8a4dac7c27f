//! What can be reached from objects, against or along the dependencies.

use super::Graph;
use crate::id::ObjectIx;

/// Marks the given objects and everything that they wait for, directly or not: what a run of these targets needs.
pub fn ancestors(graph: &Graph, of: impl IntoIterator<Item = ObjectIx>) -> Vec<bool> {
    reached(graph.len(), of, |ix| graph.dependencies(ix))
}

/// The objects that wait for this one, directly or not, in ascending order: what it blocks when it fails.
pub fn descendants(graph: &Graph, of: ObjectIx) -> Vec<ObjectIx> {
    let marked = reached(graph.len(), [of], |ix| graph.dependants(ix));
    graph.indices().filter(|ix| marked[ix.usize()] && *ix != of).collect()
}

fn reached<'g>(
    len: usize,
    from: impl IntoIterator<Item = ObjectIx>,
    neighbours: impl Fn(ObjectIx) -> &'g [ObjectIx],
) -> Vec<bool> {
    let mut marked = vec![false; len];
    let mut open: Vec<ObjectIx> = Vec::new();
    for ix in from {
        if !std::mem::replace(&mut marked[ix.usize()], true) {
            open.push(ix);
        }
    }
    while let Some(ix) = open.pop() {
        for next in neighbours(ix) {
            if !std::mem::replace(&mut marked[next.usize()], true) {
                open.push(*next);
            }
        }
    }
    marked
}
