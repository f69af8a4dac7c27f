//! Graphs of the shapes that people have, as manifests.

use std::fmt::Write as _;

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
