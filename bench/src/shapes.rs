//! Graphs of the shapes that people have, made by number: the same ones on every machine.

use std::fmt::Write as _;

use orch_e2e::graphs::{Graph, layered};

/// The layered graph: as many objects as the circuit, and as deep.
pub(crate) const LAYERED: (usize, usize, usize) = (70, 210, 2);

/// Levels of the circuit, and how much narrower they become: 15,000 gates, most of them near the inputs.
const CIRCUIT_LEVELS: usize = 71;
const CIRCUIT_WIDTH: f64 = 1_000.0;
const CIRCUIT_TAPER: i32 = 4;

/// Too large for a cluster run, as edge lists: name, objects, edges, levels.
pub(crate) const LARGE: [(&str, usize, usize, usize); 2] =
    [("circuit, very deep", 214_591, 429_182, 24_802), ("layered, very large", 1_000_000, 5_000_000, 100)];

/// How the lines of an edge list follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// By parent.
    Sorted,
    /// By chance.
    Shuffled,
}

/// An edge list of this size: each object below the first level has a parent on the level above, the other edges come
/// from anywhere above.
pub(crate) fn edge_lines(objects: usize, edges: usize, levels: usize, order: Order) -> String {
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    let start = |level: usize| level * objects / levels;
    let mut pairs = Vec::with_capacity(edges);
    for level in 1..levels {
        for child in start(level)..start(level + 1) {
            pairs.push((random.within(start(level - 1)..start(level)), child));
        }
    }
    while pairs.len() < edges {
        let child = random.within(start(1)..objects);
        let level = (child * levels / objects).max(1);
        pairs.push((random.within(0..start(level).min(child)), child));
    }
    match order {
        Order::Sorted => pairs.sort_unstable(),
        // Fisher and Yates.
        Order::Shuffled => (1..pairs.len()).rev().for_each(|n| pairs.swap(n, random.within(0..n + 1))),
    }
    let mut text = String::new();
    for (parent, child) in pairs {
        let _ = writeln!(text, "n{parent}\tn{child}");
    }
    text
}

/// Everything that is made.
pub(crate) fn all() -> Vec<(&'static str, Graph)> {
    vec![
        ("layered", layered(LAYERED.0, LAYERED.1, LAYERED.2)),
        ("montage-like", montage()),
        ("circuit-like", circuit()),
        ("chain of 1,000", chain(1_000)),
        ("fan of 10,000", fan(10_000)),
        ("join of 1,000", join(1_000)),
    ]
}

/// One that is over soon.
pub(crate) fn small() -> Vec<(&'static str, Graph)> {
    vec![("layered", layered(20, 50, 2))]
}

/// Each depends on the one before.
fn chain(objects: usize) -> Graph {
    (0..objects).map(|n| (name(n), if n == 0 { Vec::new() } else { vec![name(n - 1)] })).collect()
}

/// One, and then all others.
fn fan(objects: usize) -> Graph {
    let leaf = |n| (name(n), vec![name(0)]);
    std::iter::once((name(0), Vec::new())).chain((1..=objects).map(leaf)).collect()
}

/// Many, and then one that needs all of them.
fn join(objects: usize) -> Graph {
    let mut graph: Graph = (0..objects).map(|n| (name(n), Vec::new())).collect();
    let all = graph.iter().map(|(id, _)| id.clone()).collect();
    graph.push((name(objects), all));
    graph
}

/// A mosaic of 108 pictures in three colours, as Montage makes it: project each, compare 1,890 pairs, fit, model,
/// correct each, add, shrink, show.
fn montage() -> Graph {
    const PICTURES: usize = 108;
    const PAIRS: usize = 1_890;
    const COLOURS: usize = 3;
    let mut graph = Graph::new();
    let mut level = |count: usize, parents: &mut dyn FnMut(usize) -> Vec<usize>| {
        let first = graph.len();
        for n in 0..count {
            graph.push((name(first + n), parents(n).into_iter().map(name).collect()));
        }
        first
    };
    let all = |first: usize, of: usize, colour: usize| {
        (0..of).filter(|n| n % COLOURS == colour).map(|n| first + n).collect::<Vec<_>>()
    };
    let projected = level(PICTURES, &mut |_| Vec::new());
    // A pair lies in one colour: neighbours at a distance that grows with the number of the pair.
    let compared = level(PAIRS, &mut |n| {
        let distance = COLOURS * (1 + n / PICTURES);
        vec![projected + n % PICTURES, projected + (n + distance) % PICTURES]
    });
    let fitted = level(COLOURS, &mut |colour| all(compared, PAIRS, colour));
    let modelled = level(COLOURS, &mut |colour| vec![fitted + colour]);
    let corrected = level(PICTURES, &mut |n| vec![modelled + n % COLOURS, projected + n]);
    let added = level(COLOURS, &mut |colour| all(corrected, PICTURES, colour));
    let shrunk = level(COLOURS, &mut |colour| vec![added + colour]);
    level(COLOURS + 1, &mut |n| {
        if n < COLOURS { vec![shrunk + n] } else { (0..COLOURS).map(|c| shrunk + c).collect() }
    });
    graph
}

/// Gates of two inputs: one from the level before, one from any before, the first gate of a level more often than the
/// last, so that a few are read by very many.
fn circuit() -> Graph {
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    let mut graph = Graph::new();
    let mut before = 0..0;
    for level in 0..CIRCUIT_LEVELS {
        let left = 1.0 - level as f64 / CIRCUIT_LEVELS as f64;
        let width = (CIRCUIT_WIDTH * left.powi(CIRCUIT_TAPER)).ceil() as usize;
        let first = graph.len();
        for n in 0..width {
            let mut of = Vec::new();
            if level > 0 {
                of.push(name(random.within(before.clone())));
                let other = name(random.early(0..first));
                if of[0] != other {
                    of.push(other);
                }
            }
            graph.push((name(first + n), of));
        }
        before = first..graph.len();
    }
    graph
}

fn name(n: usize) -> String {
    format!("n{n}")
}

/// xorshift64: Marsaglia, 2003.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn within(&mut self, range: std::ops::Range<usize>) -> usize {
        range.start + (self.next() % range.len() as u64) as usize
    }

    /// The lower the likelier: of ten thousand the lowest comes once in twenty times.
    fn early(&mut self, range: std::ops::Range<usize>) -> usize {
        let part = self.next() as f64 / u64::MAX as f64;
        (range.start + (range.len() as f64 * part.powi(3)) as usize).min(range.end - 1)
    }
}

#[cfg(test)]
mod tests {
    use orch_e2e::graphs::level_sizes;

    use super::*;

    fn edges(graph: &Graph) -> usize {
        graph.iter().map(|(_, of)| of.len()).sum()
    }

    #[test]
    fn shapes_are_those_of_the_graphs_that_they_stand_for() {
        let levels = level_sizes(&montage());
        assert_eq!(levels, [108, 1_890, 3, 3, 108, 3, 3, 4]);
        assert_eq!(edges(&montage()), 6_006);
        let circuit = circuit();
        assert_eq!(level_sizes(&circuit).len(), CIRCUIT_LEVELS);
        assert!((14_500..15_700).contains(&circuit.len()), "{}", circuit.len());
        assert_eq!(level_sizes(&chain(5)), [1; 5]);
        assert_eq!(level_sizes(&fan(5)), [1, 5]);
        assert_eq!(level_sizes(&join(5)), [5, 1]);
    }

    #[test]
    fn a_circuit_has_gates_that_many_others_read() {
        let mut readers = std::collections::HashMap::<String, usize>::new();
        for parent in circuit().into_iter().flat_map(|(_, of)| of) {
            *readers.entry(parent).or_default() += 1;
        }
        let mut readers: Vec<usize> = readers.into_values().collect();
        readers.sort_unstable();
        let (median, most) = (readers[readers.len() / 2], readers[readers.len() - 1]);
        assert!(median <= 2 && most >= 200, "median {median}, most {most}");
    }

    #[test]
    fn an_edge_list_has_the_depth_and_the_edges_that_were_asked_for() {
        for order in [Order::Sorted, Order::Shuffled] {
            let text = edge_lines(1_000, 3_000, 100, order);
            assert_eq!(text.lines().count(), 3_000);
            let (spec, _) = orch_core::catalogue::read("made", text.as_bytes()).unwrap();
            let plan = orch_core::plan::plan(spec).unwrap();
            assert_eq!(orch_core::graph::Order::of(&plan.graph).depth(), 100);
        }
        let lines = |order| {
            let text = edge_lines(1_000, 3_000, 100, order);
            let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
            lines.sort();
            (text, lines)
        };
        let (sorted, shuffled) = (lines(Order::Sorted), lines(Order::Shuffled));
        assert!(sorted.0 != shuffled.0 && sorted.1 == shuffled.1, "the same lines in another order");
        // Those of the first kind are made in the order of the children.
        let children = shuffled.0.lines().take(100).map(|line| line.split_once("\tn").unwrap().1);
        assert!(!children.map(|child| child.parse::<usize>().unwrap()).is_sorted());
    }

    #[test]
    fn nothing_depends_on_itself_or_twice_on_the_same() {
        for (shape, graph) in all() {
            for (id, of) in graph {
                let mut distinct = of.clone();
                distinct.sort();
                distinct.dedup();
                assert!(distinct.len() == of.len() && !of.contains(&id), "{shape}: {id} depends on {of:?}");
            }
        }
    }
}
