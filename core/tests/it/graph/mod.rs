//! The algorithms on graphs. `tables`: small graphs written as text; `properties`: random ones, against models of a few
//! lines that share no code.

mod properties;
mod tables;

use orch_core::graph::Graph;
use orch_core::id::ObjectIx;

/// `0>1 1>2 5`: edges from dependency to dependant; the largest number says how many objects there are.
fn graph(text: &str) -> Graph {
    let number = |text: &str| text.parse::<u32>().unwrap();
    let words = || text.split_whitespace();
    let len = words().flat_map(|word| word.split('>')).map(|n| number(n) + 1).max().unwrap_or(0);
    let edges: Vec<(u32, u32)> =
        words().filter_map(|word| word.split_once('>')).map(|(p, c)| (number(p), number(c))).collect();
    Graph::from_edges(len as usize, &edges)
}

fn numbers(objects: &[ObjectIx]) -> String {
    objects.iter().map(|ix| ix.0.to_string()).collect::<Vec<_>>().join(" ")
}
