//! Graphs of the shapes that people have, as manifests.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::Read as _;
use std::path::Path;

/// Objects and the ids that each depends on.
pub type Graph = Vec<(String, Vec<String>)>;

/// `levels` levels of `width` objects; each depends on up to `parents` of the level before. The same numbers give the
/// same graph.
pub fn layered(levels: usize, width: usize, parents: usize) -> Graph {
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move || {
        // xorshift64: Marsaglia, 2003.
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random as usize
    };
    let mut graph = Graph::new();
    for level in 0..levels {
        for n in 0..width {
            let mut of: Vec<String> = (0..if level == 0 { 0 } else { parents })
                .map(|_| format!("n{}-{}", level - 1, next() % width))
                .collect();
            of.sort();
            of.dedup();
            graph.push((format!("n{level}-{n}"), of));
        }
    }
    graph
}

/// The objects as a JSON array, for `spec.objects` or a ConfigMap.
pub fn objects_json(graph: &Graph) -> String {
    let mut text = String::from("[");
    for (n, (id, dependencies)) in graph.iter().enumerate() {
        let comma = if n == 0 { "" } else { "," };
        let _ = write!(text, "{comma}{{\"id\":\"{id}\"");
        if !dependencies.is_empty() {
            let _ = write!(text, ",\"dependsOn\":{}", serde_json::to_string(dependencies).unwrap());
        }
        text.push('}');
    }
    text.push(']');
    text
}

/// The graph in a file of `parent<TAB>child` lines, compressed by gzip. A line with one field is a lone object.
pub fn edge_list(file: &Path) -> Graph {
    let mut text = String::new();
    flate2::read::GzDecoder::new(std::fs::File::open(file).unwrap()).read_to_string(&mut text).unwrap();
    let mut positions: HashMap<&str, usize> = HashMap::new();
    let mut graph = Graph::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (first, second) =
            line.split_once('\t').map_or((line, None), |(parent, child)| (parent, Some(child)));
        let mut position = |id| {
            *positions.entry(id).or_insert_with(|| {
                graph.push((id.to_owned(), Vec::new()));
                graph.len() - 1
            })
        };
        position(first);
        if let Some(child) = second.map(position) {
            graph[child].1.push(first.to_owned());
        }
    }
    graph
}

/// How many objects stand on each level: a level above the highest of the objects that they depend on.
pub fn level_sizes(graph: &Graph) -> Vec<usize> {
    let positions: HashMap<&str, usize> =
        graph.iter().enumerate().map(|(position, (id, _))| (id.as_str(), position)).collect();
    let mut dependants = vec![Vec::new(); graph.len()];
    let mut open: Vec<usize> = graph.iter().map(|(_, of)| of.len()).collect();
    for (position, (_, of)) in graph.iter().enumerate() {
        for id in of {
            dependants[positions[id.as_str()]].push(position);
        }
    }
    let mut level: Vec<usize> = (0..graph.len()).filter(|position| open[*position] == 0).collect();
    let mut sizes = Vec::new();
    while !level.is_empty() {
        sizes.push(level.len());
        let mut next = Vec::new();
        for dependant in level.iter().flat_map(|position| &dependants[*position]) {
            open[*dependant] -= 1;
            if open[*dependant] == 0 {
                next.push(*dependant);
            }
        }
        level = next;
    }
    sizes
}
