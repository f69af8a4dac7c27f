//! The graph for programs: `{"nodes":[{"id","label","type"}],"edges":[{"source","target"}]}`; `type` is the stage, and
//! `phase` is there when it is known.

use std::borrow::Cow;

use serde::Serialize;

use super::Drawing;

#[derive(Serialize)]
struct Graph<'a> {
    nodes: Vec<Node<'a>>,
    edges: Vec<Edge<'a>>,
}

#[derive(Serialize)]
struct Node<'a> {
    id: &'a str,
    label: Cow<'a, str>,
    #[serde(rename = "type")]
    stage: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    phase: Option<&'static str>,
}

#[derive(Serialize)]
struct Edge<'a> {
    source: &'a str,
    target: &'a str,
}

pub(super) fn draw(drawing: &Drawing<'_>) -> String {
    let node = |ix| Node {
        id: drawing.id(ix),
        label: drawing.label(ix),
        stage: drawing.stage(ix),
        phase: drawing.phase(ix).map(orch_core::engine::ObjectPhase::as_str),
    };
    let edge = |(from, to)| Edge { source: drawing.id(from), target: drawing.id(to) };
    let graph =
        Graph { nodes: drawing.nodes().map(node).collect(), edges: drawing.edges().map(edge).collect() };
    // Structs of texts always serialise.
    serde_json::to_string(&graph).unwrap_or_default()
}
