//! Random input, against models of a few lines that share no code with the readers.

use std::collections::{BTreeSet, HashSet};
use std::fmt::Write;

use orch_core::catalogue;
use orch_core::graph::Graph;
use orch_core::id::ObjectIx;
use orch_core::plan::plan;
use orch_core::spec::RunSpec;
use proptest::prelude::*;

use super::read;

/// Edges of a graph without cycles, as numbers with the parent below the child.
fn edges() -> impl Strategy<Value = Vec<(u16, u16)>> {
    proptest::collection::vec((0_u16..60, 1_u16..60), 0..150)
        .prop_map(|pairs| pairs.into_iter().map(|(a, d)| (a, a + d)).collect())
}

fn name(node: u16) -> String {
    // Some names are longer than a machine word, some share a prefix of one.
    if node.is_multiple_of(3) { format!("a-long-name-{node}") } else { format!("n{node}") }
}

fn named_edges(graph: &Graph, ids: &[&str]) -> BTreeSet<(String, String)> {
    let mut named = BTreeSet::new();
    for child in graph.indices() {
        for parent in graph.dependencies(child) {
            named.insert((ids[parent.usize()].to_owned(), ids[child.usize()].to_owned()));
        }
    }
    named
}

proptest! {
    #[test]
    fn an_edge_list_gives_back_its_edges(edges in edges(), isolated in proptest::collection::vec(0_u16..200, 0..10), breaks in any::<u64>()) {
        let mut text = String::new();
        for (i, (parent, child)) in edges.iter().enumerate() {
            let end = if breaks >> (i % 64) & 1 == 0 { "\n" } else { "\r\n# between\n\n" };
            write!(text, "{}\t{}{end}", name(*parent), name(*child)).unwrap();
        }
        for node in &isolated {
            writeln!(text, "{}", name(*node)).unwrap();
        }
        let nodes: BTreeSet<String> =
            edges.iter().flat_map(|(p, c)| [*p, *c]).chain(isolated).map(name).collect();
        prop_assume!(!edges.is_empty());
        let plan = plan(read(&text)).unwrap();
        let ids: Vec<&str> = plan.objects.iter().map(|object| object.id.as_str()).collect();
        prop_assert_eq!(ids.iter().map(|id| (*id).to_owned()).collect::<BTreeSet<_>>(), nodes);
        let expected: BTreeSet<_> = edges.iter().map(|(p, c)| (name(*p), name(*c))).collect();
        prop_assert_eq!(named_edges(&plan.graph, &ids), expected);
        for (position, id) in ids.iter().enumerate() {
            prop_assert_eq!(plan.find(id), Some(ObjectIx(position as u32)));
        }
        prop_assert_eq!(plan.find("somebody else"), None);
    }

    #[test]
    fn o2_a_parent_list_is_the_set_of_its_tokens(tokens in proptest::collection::vec(prop_oneof![
        3 => (1_000_u32..1_020).prop_map(|id| id.to_string()),
        1 => Just(String::new()),
        1 => Just("  ".to_owned()),
        1 => (1_000_u32..1_020).prop_map(|id| format!(" {id}  ")),
    ], 0..12), separators in any::<u16>()) {
        let mut list = String::new();
        for (i, token) in tokens.iter().enumerate() {
            if i > 0 {
                list.push(if separators >> (i % 16) & 1 == 0 { ',' } else { ';' });
            }
            list.push_str(token);
        }
        let spec = read(&format!(r#"[{{"IdObjet": 3000, "IdObjet_Parent": "{list}"}}]"#));
        let found = &spec.objects[0].depends_on;
        let expected: HashSet<&str> = tokens.iter().map(|token| token.trim()).filter(|token| !token.is_empty()).collect();
        prop_assert_eq!(found.len(), expected.len());
        prop_assert_eq!(found.iter().map(String::as_str).collect::<HashSet<_>>(), expected);
    }

    #[test]
    fn no_bytes_end_the_program(bytes in proptest::collection::vec(any::<u8>(), 0..200), gzip in any::<bool>()) {
        let input = if gzip { [&[0x1f, 0x8b], bytes.as_slice()].concat() } else { bytes };
        let mut spec = RunSpec::default();
        let _ = catalogue::append_objects(&mut spec, &mut catalogue::Room::default(), "f", &input);
        let _ = catalogue::append_catalogue(&mut spec, &mut catalogue::Room::default(), "f", &input);
        if let Ok((spec, _)) = catalogue::read("f", &input) {
            let _ = plan(spec);
        }
    }

    #[test]
    fn no_json_ends_the_program(text in r#"\[(\{("(id|IdObjet|dependsOn|IdObjet_Parent|meta|retry)":("a"|1|1e999|null|\[1,"b"\]|\{"a":-99999999999999999\}|"\\ud800"),?){0,4}\},?){0,4}\]?"#) {
        if let Ok((spec, _)) = catalogue::read("f", text.as_bytes()) {
            let _ = plan(spec);
        }
    }
}
