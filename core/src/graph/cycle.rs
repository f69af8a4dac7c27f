//! Finds the cycles of a graph that cannot be ordered, one path a cycle, short enough for a person to mend.

use std::collections::VecDeque;
use std::fmt::Write;

use petgraph::algo::kosaraju_scc;
use petgraph::graph::DiGraph;

use super::{Graph, Order};
use crate::id::ObjectIx;

/// Edges that the search for the shortest cycle of one component may follow. A component that is larger gets the
/// shortest cycle through the first of its objects that fit.
const EDGE_BUDGET: usize = 2_000_000;

/// Cycles that share no object, at most `max`, and how many more there are. Each is a path in which every object
/// depends on the one before and the first on the last; it begins with its first object in plan order, and is as short
/// as any cycle of its component that the search budget allows to see.
pub fn cycles(graph: &Graph, max: usize) -> (Vec<Vec<ObjectIx>>, usize) {
    let mut components = components(graph);
    // In order of their first object, so that the same graph always gives the same answer.
    components.sort_unstable();
    let more = components.len().saturating_sub(max);
    components.truncate(max);
    let mut search = Search::new(graph.len());
    let paths = components.iter().map(|component| search.shortest(graph, component)).collect();
    (paths, more)
}

/// The path for a person, closed: `2005 -> 3000 -> 2005`; the middle of a long one is left out: `a -> b -> ... 14 more
/// ... -> y -> a`.
pub fn path_text<'n>(path: &[ObjectIx], name: impl Fn(ObjectIx) -> &'n str) -> String {
    const HEAD: usize = 6;
    const TAIL: usize = 3;
    let mut text = String::new();
    let hidden = path.len().saturating_sub(HEAD + TAIL);
    for (i, ix) in path.iter().enumerate() {
        if hidden > 1 && (HEAD..HEAD + hidden).contains(&i) {
            if i == HEAD {
                // Writing to a String cannot fail.
                let _ = write!(text, "... {hidden} more ... -> ");
            }
            continue;
        }
        text.push_str(name(*ix));
        text.push_str(" -> ");
    }
    if let Some(first) = path.first() {
        text.push_str(name(*first));
    }
    text
}

/// Strongly connected components of more than one object, each ascending. Only what cannot be ordered is looked at.
fn components(graph: &Graph) -> Vec<Vec<ObjectIx>> {
    let mut left = vec![true; graph.len()];
    for ix in Order::of(graph).objects() {
        left[ix.usize()] = false;
    }
    let rest: Vec<ObjectIx> = graph.indices().filter(|ix| left[ix.usize()]).collect();
    let mut position = vec![0_u32; graph.len()];
    for (at, ix) in (0_u32..).zip(&rest) {
        position[ix.usize()] = at;
    }
    let edges = rest.iter().flat_map(|parent| {
        let inside = graph.dependants(*parent).iter().filter(|child| left[child.usize()]);
        inside.map(|child| (position[parent.usize()], position[child.usize()]))
    });
    let mut small = DiGraph::<(), ()>::with_capacity(rest.len(), 0);
    for _ in &rest {
        small.add_node(());
    }
    small.extend_with_edges(edges);
    kosaraju_scc(&small)
        .into_iter()
        .filter(|component| component.len() > 1)
        .map(|component| {
            let mut objects: Vec<ObjectIx> = component.iter().map(|node| rest[node.index()]).collect();
            objects.sort_unstable();
            objects
        })
        .collect()
}

/// Breadth-first searches that share their memory: a mark is valid for the round it was set in.
struct Search {
    round: u32,
    seen: Vec<u32>,
    from: Vec<ObjectIx>,
    component: Vec<u32>,
    component_round: u32,
}

impl Search {
    fn new(len: usize) -> Self {
        Self {
            round: 0,
            seen: vec![0; len],
            from: vec![ObjectIx(0); len],
            component: vec![0; len],
            component_round: 0,
        }
    }

    fn shortest(&mut self, graph: &Graph, component: &[ObjectIx]) -> Vec<ObjectIx> {
        self.component_round += 1;
        for ix in component {
            self.component[ix.usize()] = self.component_round;
        }
        let mut budget = EDGE_BUDGET;
        let mut best: Vec<ObjectIx> = Vec::new();
        for start in component {
            let limit = if best.is_empty() { usize::MAX } else { best.len() };
            if let Some(path) = self.through(graph, *start, limit, &mut budget) {
                best = path;
            }
            // Two objects are the shortest cycle there can be: self-dependencies are found elsewhere.
            if best.len() == 2 || (budget == 0 && !best.is_empty()) {
                break;
            }
        }
        if let Some(first) = (0..best.len()).min_by_key(|i| best[*i]) {
            best.rotate_left(first);
        }
        best
    }

    /// The shortest cycle through `start` if it has fewer than `limit` objects.
    fn through(
        &mut self,
        graph: &Graph,
        start: ObjectIx,
        limit: usize,
        budget: &mut usize,
    ) -> Option<Vec<ObjectIx>> {
        self.round += 1;
        let mut open = VecDeque::from([(start, 1_usize)]);
        while let Some((ix, len)) = open.pop_front() {
            if len >= limit {
                return None;
            }
            for next in graph.dependants(ix) {
                *budget = budget.saturating_sub(1);
                if *next == start {
                    return Some(self.path_to(start, ix));
                }
                let i = next.usize();
                if self.component[i] == self.component_round && self.seen[i] != self.round {
                    self.seen[i] = self.round;
                    self.from[i] = ix;
                    open.push_back((*next, len + 1));
                }
            }
        }
        None
    }

    fn path_to(&self, start: ObjectIx, end: ObjectIx) -> Vec<ObjectIx> {
        let mut path = vec![end];
        let mut ix = end;
        while ix != start {
            ix = self.from[ix.usize()];
            path.push(ix);
        }
        path.reverse();
        path
    }
}
