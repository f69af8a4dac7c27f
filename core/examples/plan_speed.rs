//! How long it takes to read, check and index large graphs: `cargo run --release -p orch-core --example plan_speed`.
//! The graphs are generated, the same ones every time. Without arguments: a circuit of 214,591 objects and depth
//! 24,802, and a million objects with five million edges, each with its lines sorted and shuffled, plain and gzip.

#![allow(clippy::unwrap_used)]

use std::fmt::Write as _;
use std::io::Write as _;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use orch_core::catalogue;
use orch_core::graph::Order;
use orch_core::plan::plan;

/// Timings of each case; the median is printed, with the fastest and the slowest.
const ROUNDS: usize = 5;

fn main() {
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    for (what, nodes, edges, depth) in
        [("circuit", 214_591, 429_182, 24_802), ("layered", 1_000_000, 5_000_000, 100)]
    {
        let sorted = layered(&mut random, nodes, edges, depth);
        let mut shuffled = sorted.clone();
        random.shuffle(&mut shuffled);
        for (order, list) in [("sorted", &sorted), ("shuffled", &shuffled)] {
            let text = text_of(nodes, list);
            measure(&format!("{what}, {order}"), text.as_bytes());
            if order == "sorted" {
                measure(&format!("{what}, {order}, gzip"), &gzip(text.as_bytes()));
            }
        }
    }
    let catalogue = catalogue_of(100_000);
    measure("catalogue records", catalogue.as_bytes());
}

fn measure(what: &str, bytes: &[u8]) {
    let mut reads = Vec::new();
    let mut plans = Vec::new();
    let mut shape = (0, 0, 0);
    for _ in 0..ROUNDS {
        let begin = Instant::now();
        let (spec, _) = catalogue::read("graph", bytes).unwrap();
        reads.push(begin.elapsed());
        let begin = Instant::now();
        let plan = plan(spec).unwrap();
        plans.push(begin.elapsed());
        shape = (plan.objects.len(), plan.graph.edge_count(), Order::of(&plan.graph).depth());
    }
    let totals: Vec<Duration> = reads.iter().zip(&plans).map(|(read, plan)| *read + *plan).collect();
    let (objects, edges, depth) = shape;
    println!(
        "{what:<24} {objects:>9} objects {edges:>9} edges depth {depth:>6} {:>5} MB: read {:>5} plan {:>5} total {:>5} ms (from {} to {})",
        bytes.len() / 1_000_000,
        median_ms(reads),
        median_ms(plans),
        median_ms(totals.clone()),
        totals.iter().min().unwrap().as_millis(),
        totals.iter().max().unwrap().as_millis(),
    );
}

fn median_ms(mut times: Vec<Duration>) -> u128 {
    times.sort_unstable();
    times[times.len() / 2].as_millis()
}

/// Edges (parent, child) of a graph of this depth: each object below the first level has a parent on the level above,
/// the other edges come from anywhere above. Sorted by parent.
fn layered(random: &mut Random, nodes: usize, edges: usize, depth: usize) -> Vec<(u32, u32)> {
    let level_start = |level: usize| level * nodes / depth;
    let mut list = Vec::with_capacity(edges);
    let mut level = 1;
    for child in level_start(1)..nodes {
        if level + 1 < depth && child >= level_start(level + 1) {
            level += 1;
        }
        let above = level_start(level - 1)..level_start(level);
        list.push((random.within(above) as u32, child as u32));
    }
    while list.len() < edges {
        let child = random.within(level_start(1)..nodes);
        let level = (child * depth / nodes).max(1);
        let parent = random.within(0..level_start(level).min(child));
        list.push((parent as u32, child as u32));
    }
    list.sort_unstable();
    list
}

fn text_of(nodes: usize, edges: &[(u32, u32)]) -> String {
    let mut text = String::from("# generated\n");
    let mut linked = vec![false; nodes];
    for (parent, child) in edges {
        linked[*parent as usize] = true;
        linked[*child as usize] = true;
        writeln!(text, "n{parent}\tn{child}").unwrap();
    }
    for isolated in (0..nodes).filter(|node| !linked[*node]) {
        writeln!(text, "n{isolated}").unwrap();
    }
    text
}

/// Records of about a kilobyte in three stages.
fn catalogue_of(objects: usize) -> String {
    let mut text = String::from("[");
    let filler = "x".repeat(880);
    for i in 0..objects {
        let (id, parents) = match i {
            0..1_000 => (1_000 + i, "null".to_owned()),
            1_000..2_000 => (1_000 + i, format!("\"{}, {}\"", i, 1_000 + (i * 7) % 1_000)),
            _ => (1_000 + i, format!("\"{}, {}, {}\"", 1_000 + i % 2_000, 2_000 + i % 1_000, i)),
        };
        let comma = if i == 0 { "" } else { ",\n" };
        write!(
            text,
            r#"{comma}{{"IdObjet":{id},"IdObjet_Parent":{parents},"NomObjet":"Objet {i}","Description_Objet":"{filler}","Criticité":"low","EtatObjet":"actif","FileLimit":500.0}}"#
        )
        .unwrap();
    }
    text.push(']');
    text
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// xorshift64: the same numbers on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn within(&mut self, range: std::ops::Range<usize>) -> usize {
        range.start + (self.next() % (range.len().max(1) as u64)) as usize
    }

    fn shuffle<T>(&mut self, list: &mut [T]) {
        for i in (1..list.len()).rev() {
            list.swap(i, self.within(0..i + 1));
        }
    }
}
