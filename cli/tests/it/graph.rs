//! Drawings: every form shows the same graph.

use std::collections::{BTreeMap, BTreeSet};

use crate::program::{assert_said, orch, orch_on};

/// The reduced graph of the project's catalogue, computed without any of our code: (id, name) and edges.
fn independent() -> (BTreeMap<String, String>, BTreeSet<(String, String)>) {
    let text = std::fs::read_to_string(crate::program::project().join("Objets.json")).unwrap();
    let records: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
    let parents = |record: &serde_json::Value| -> Vec<String> {
        let list = record["IdObjet_Parent"].as_str().unwrap_or_default();
        list.split(',').map(|token| token.trim().to_owned()).filter(|token| !token.is_empty()).collect()
    };
    let by_id: BTreeMap<String, &serde_json::Value> =
        records.iter().map(|record| (record["IdObjet"].to_string(), record)).collect();
    let mut kept: BTreeSet<String> = BTreeSet::new();
    let mut open: Vec<String> =
        by_id.keys().filter(|id| id.parse::<u32>().unwrap() >= 3000).cloned().collect();
    while let Some(id) = open.pop() {
        if kept.insert(id.clone()) {
            open.extend(by_id.get(&id).map(|record| parents(record)).unwrap_or_default());
        }
    }
    let name = |id: &String| {
        by_id.get(id).map_or_else(|| format!("Obj{id}"), |r| r["NomObjet"].as_str().unwrap().to_owned())
    };
    let edges = kept
        .iter()
        .flat_map(|id| parents(by_id[id]).into_iter().map(|parent| (parent, id.clone())))
        .collect();
    (kept.iter().map(|id| (id.clone(), name(id))).collect(), edges)
}

#[test]
fn o3_o13_json_and_dot_agree_with_an_independent_computation() {
    let (nodes, edges) = independent();
    let json = orch(&["graph", "Objets.json", "-o", "json"]).json();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let of_json: BTreeMap<String, String> = json["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|node| (text(&node["id"]), text(&node["label"])))
        .collect();
    assert_eq!(of_json, nodes);
    for node in json["nodes"].as_array().unwrap() {
        let stage = match text(&node["id"]).as_bytes()[0] {
            b'1' => "ingest",
            b'2' => "standardize",
            _ => "application",
        };
        assert_eq!(node["type"], stage);
    }
    let of_json: BTreeSet<(String, String)> = json["edges"]
        .as_array()
        .unwrap()
        .iter()
        .map(|edge| (text(&edge["source"]), text(&edge["target"])))
        .collect();
    assert_eq!(of_json, edges);

    let dot = orch(&["graph", "Objets.json", "-o", "dot"]).out;
    let quoted = |line: &str| line.split('"').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
    let (arrows, others): (Vec<&str>, Vec<&str>) = dot.lines().partition(|line| line.contains(" -> "));
    let of_dot: BTreeSet<(String, String)> =
        arrows.iter().map(|line| quoted(line)).map(|q| (q[0].clone(), q[1].clone())).collect();
    assert_eq!(of_dot, edges);
    let labelled = others.iter().filter(|line| line.contains("[label="));
    let of_dot: BTreeMap<String, String> =
        labelled.map(|line| quoted(line)).map(|q| (q[0].clone(), q[1].clone())).collect();
    assert_eq!(of_dot, nodes);

    let mermaid = orch(&["graph", "Objets.json", "--format", "mermaid"]).out;
    assert_eq!(mermaid.lines().filter(|line| line.contains("-->")).count(), edges.len());
    let ascii = orch(&["graph", "Objets.json"]).out;
    assert!(ascii.contains(&format!("{} objects, {} dependencies", nodes.len(), edges.len())), "{ascii}");
}

#[test]
fn o3_undefined_ids_are_nodes_counted_once_each() {
    let text = r#"[{"IdObjet":3000,"IdObjet_Parent":"1001,1002"},{"IdObjet":3001,"IdObjet_Parent":"1002"},{"IdObjet":1500}]"#;
    let said = orch_on("graph", "u.json", text, &["-o", "json", "--undefined", "run"]);
    assert_said!(said, @r#"
    exit status 0
    ---- stdout
    {"nodes":[{"id":"3000","label":"Obj3000","type":"application"},{"id":"3001","label":"Obj3001","type":"application"},{"id":"1001","label":"Obj1001","type":"ingest"},{"id":"1002","label":"Obj1002","type":"ingest"}],"edges":[{"source":"1001","target":"3000"},{"source":"1002","target":"3000"},{"source":"1002","target":"3001"}]}
    ---- stderr
    warning: u.json[0].IdObjet_Parent: 2 dependencies are defined nowhere and run without a record of their own: `1001`, `1002`
    "#);
}

#[test]
fn small_graphs_are_readable() {
    assert_said!(orch(&["graph", "examples/objects/small.yaml"]), @r#"
    exit status 0
    ---- stdout
    objects-small: 8 objects, 7 dependencies, 4 levels

    level 1
      1005 Projects           ingest
      1008 Invoices           ingest

    level 2
      2005 Projects_Std       standardize  <- 1005
      2008 Invoices_Std       standardize  <- 1008

    level 3
      3000 ProjectDashboard   application  <- 2005
      3001 ProjectMargin      application  <- 2005, 2008
      3004 SupplierScorecard  application  <- 2008

    level 4
      3005 GroupReport        application  <- 3000
    ---- stderr
    "#);
    assert_said!(orch_on("graph", "q.json", r#"[{"id":"a\"b","name":"<é>"},{"id":"c\\d","dependsOn":["a\"b"]}]"#, &["-o", "mermaid"]), @r#"
    exit status 0
    ---- stdout
    flowchart LR
      n0["a#quot;b #lt;é#gt;"]
      n1["c\d Objc\d"]
      n0 --> n1
    ---- stderr
    "#);
}

#[test]
fn large_graphs_say_so() {
    let lines: Vec<String> = (0..300).map(|n| format!("root\tleaf{n}")).collect();
    assert_said!(orch_on("graph", "star.tsv", &lines.join("\n"), &[]), @r#"
    exit status 0
    ---- stdout
    star: 301 objects, 300 dependencies, 2 levels
    Too large to read as text; `-o dot`, `-o mermaid` and `-o json` have every object.

    level 1: 1 object
    level 2: 300 objects
    ---- stderr
    "#);
}
