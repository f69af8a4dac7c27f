use std::collections::BTreeSet;

use orch_core::graph::{Graph, Order, ancestors, critical_path, cycles, descendants};
use orch_core::id::{Millis, ObjectIx};
use proptest::prelude::*;

type Edge = (u32, u32);

/// Any edges but those from an object to itself; cycles are likely.
fn any_edges() -> impl Strategy<Value = (usize, Vec<Edge>)> {
    (1_usize..14).prop_flat_map(|len| {
        let node = 0..len as u32;
        let edges = proptest::collection::vec((node.clone(), node), 0..30);
        edges.prop_map(move |edges| (len, edges.into_iter().filter(|(p, c)| p != c).collect()))
    })
}

/// Edges in the direction of a random order of the objects: no cycles.
fn acyclic_edges() -> impl Strategy<Value = (usize, Vec<Edge>)> {
    any_edges().prop_flat_map(|(len, edges)| {
        Just((0..len as u32).collect::<Vec<_>>()).prop_shuffle().prop_map(move |rank| {
            let forward =
                |(p, c): &Edge| if rank[*p as usize] < rank[*c as usize] { (*p, *c) } else { (*c, *p) };
            (len, edges.iter().map(forward).collect())
        })
    })
}

/// `reach[a][b]`: there is a path of at least one edge from a to b. Warshall's three loops.
fn reach(len: usize, edges: &[Edge]) -> Vec<Vec<bool>> {
    let mut reach = vec![vec![false; len]; len];
    for (p, c) in edges {
        reach[*p as usize][*c as usize] = true;
    }
    for via in 0..len {
        for a in 0..len {
            for b in 0..len {
                reach[a][b] |= reach[a][via] && reach[via][b];
            }
        }
    }
    reach
}

/// Whether a walk along the edges meets an object that it is still on.
fn has_cycle(len: usize, edges: &[Edge]) -> bool {
    fn walk(at: u32, path: &mut Vec<u32>, edges: &[Edge]) -> bool {
        if path.contains(&at) {
            return true;
        }
        path.push(at);
        let found = edges.iter().filter(|(p, _)| *p == at).any(|(_, c)| walk(*c, path, edges));
        path.pop();
        found
    }
    // The number of walks without a cycle grows fast, but the graphs are small.
    let unique: Vec<Edge> = edges.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
    (0..len as u32).any(|start| walk(start, &mut Vec::new(), &unique))
}

/// The fewest edges of a cycle through `a`, by counting steps.
fn shortest_cycle(len: usize, edges: &[Edge], a: u32) -> Option<usize> {
    let mut at: BTreeSet<u32> = [a].into();
    for steps in 1..=len {
        at = edges.iter().filter(|(p, _)| at.contains(p)).map(|(_, c)| *c).collect();
        if at.contains(&a) {
            return Some(steps);
        }
    }
    None
}

fn longest_path(edges: &[Edge], weights: &[Millis], end: u32) -> Millis {
    let before = edges.iter().filter(|(_, c)| *c == end).map(|(p, _)| longest_path(edges, weights, *p));
    before.max().unwrap_or(0) + weights[end as usize]
}

proptest! {
    #[test]
    fn rows_are_the_set_of_edges_both_ways((len, edges) in any_edges()) {
        let graph = Graph::from_edges(len, &edges);
        let set: BTreeSet<Edge> = edges.iter().copied().collect();
        let down: Vec<Edge> =
            graph.indices().flat_map(|p| graph.dependants(p).iter().map(move |c| (p.0, c.0))).collect();
        let up: BTreeSet<Edge> =
            graph.indices().flat_map(|c| graph.dependencies(c).iter().map(move |p| (p.0, c.0))).collect();
        prop_assert_eq!(down, set.iter().copied().collect::<Vec<_>>());
        prop_assert_eq!(graph.edge_count(), up.len());
        prop_assert_eq!(up, set);
    }

    #[test]
    fn o9_a_cycle_is_found_exactly_when_there_is_one((len, edges) in any_edges()) {
        let graph = Graph::from_edges(len, &edges);
        let (found, more) = cycles(&graph, 20);
        prop_assert_eq!(!found.is_empty(), has_cycle(len, &edges));
        prop_assert_eq!(Order::of(&graph).is_complete(&graph), found.is_empty());
        // One for each group of objects that reach each other, and the shortest of the group.
        let reach = reach(len, &edges);
        let group = |a: usize| (0..len).filter(|b| reach[a][*b] && reach[*b][a]).collect::<BTreeSet<_>>();
        let groups: BTreeSet<BTreeSet<usize>> = (0..len).filter(|a| reach[*a][*a]).map(group).collect();
        prop_assert_eq!((found.len(), more), (groups.len(), 0));
        for (path, group) in found.iter().zip(&groups) {
            prop_assert!(path.iter().all(|ix| group.contains(&ix.usize())));
            prop_assert_eq!(path.iter().min(), path.first());
            for (i, ix) in path.iter().enumerate() {
                let next = path[(i + 1) % path.len()];
                prop_assert!(edges.contains(&(ix.0, next.0)));
            }
            let shortest = group.iter().filter_map(|a| shortest_cycle(len, &edges, *a as u32)).min();
            prop_assert_eq!(Some(path.len()), shortest);
        }
    }

    #[test]
    fn the_order_is_by_levels_of_the_longest_path((len, edges) in acyclic_edges()) {
        let graph = Graph::from_edges(len, &edges);
        let order = Order::of(&graph);
        prop_assert!(order.is_complete(&graph));
        let ones = vec![1; len];
        for (level, objects) in order.levels().enumerate() {
            prop_assert!(!objects.is_empty());
            for ix in objects {
                prop_assert_eq!(longest_path(&edges, &ones, ix.0), level as Millis + 1);
            }
        }
    }

    #[test]
    fn o3_needed_and_blocked_are_what_can_be_reached((len, edges) in any_edges(), targets in proptest::collection::vec(0_usize..14, 0..4)) {
        let graph = Graph::from_edges(len, &edges);
        let reach = reach(len, &edges);
        let targets: Vec<usize> = targets.into_iter().map(|t| t % len).collect();
        let needed = ancestors(&graph, targets.iter().map(|t| ObjectIx(*t as u32)));
        for (a, marked) in needed.iter().enumerate() {
            prop_assert_eq!(*marked, targets.iter().any(|t| *t == a || reach[a][*t]));
        }
        for (a, reached) in reach.iter().enumerate() {
            let expected: Vec<ObjectIx> = (0..len).filter(|b| *b != a && reached[*b]).map(|b| ObjectIx(b as u32)).collect();
            prop_assert_eq!(descendants(&graph, ObjectIx(a as u32)), expected);
        }
    }

    #[test]
    fn the_critical_path_is_the_heaviest((len, edges) in acyclic_edges(), weights in proptest::collection::vec(0_i64..9, 14)) {
        let found = critical_path(&Graph::from_edges(len, &edges), |ix| weights[ix.usize()]);
        let heaviest = (0..len as u32).map(|end| longest_path(&edges, &weights, end)).max();
        prop_assert_eq!(Some(found.total_ms), heaviest);
        prop_assert_eq!(found.objects.iter().map(|ix| weights[ix.usize()]).sum::<Millis>(), found.total_ms);
        for pair in found.objects.windows(2) {
            prop_assert!(edges.contains(&(pair[0].0, pair[1].0)));
        }
    }
}
