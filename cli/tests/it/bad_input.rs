//! What is refused, and how it is said.

use std::fmt::Write as _;
use std::time::Instant;

use crate::program::{assert_said, orch_on};

#[test]
fn broken_json_names_line_and_column() {
    let said = orch_on("run", "broken.json", "[{\"IdObjet\": 1001,\n  \"IdObjet_Parent\": }]", &[]);
    assert_said!(said, @"");
}

#[test]
fn o2_a_junk_parent_names_object_and_token() {
    let text = r#"[{"IdObjet":1000},{"IdObjet":3000,"IdObjet_Parent":"1000, x12"},{"IdObjet":3001,"IdObjet_Parent":"10.5"}]"#;
    assert_said!(orch_on("run", "junk.json", text, &[]), @"");
}

#[test]
fn o9_a_cycle_is_named_with_its_path() {
    let text = r#"[{"IdObjet":1000},{"IdObjet":2000,"IdObjet_Parent":"1000,3000"},{"IdObjet":3000,"IdObjet_Parent":"2000"}]"#;
    assert_said!(orch_on("run", "cycle.json", text, &[]), @"");
    assert_said!(orch_on("validate", "cycle.tsv", "a\tb\nb\tc\nc\ta\n", &[]), @"");
}

#[test]
fn o10_an_unknown_parent_is_refused_by_default() {
    assert_said!(orch_on("validate", "unknown.json", r#"[{"id":"a","dependsOn":["b"]}]"#, &[]), @"");
}

#[test]
fn o7_an_id_without_a_stage_is_refused() {
    assert_said!(orch_on("run", "low.json", r#"[{"IdObjet":999},{"IdObjet":3000,"IdObjet_Parent":"999"}]"#, &[]), @"");
}

#[test]
fn every_fault_is_reported_at_once() {
    let text =
        r#"[{"IdObjet":"x"},{"NomObjet":"no id"},{"IdObjet":3000,"IdObjet_Parent":"a,b"},{"IdObjet":3000}]"#;
    assert_said!(orch_on("validate", "many.json", text, &[]), @"");
}

#[test]
fn resources_are_read_strictly() {
    let text = "apiVersion: kafka-orchestrator.dev/v1alpha1\nkind: PipelineRun\nmetadata: {name: slip}\nspec:\n  \
        stages: [{name: a, processor: {simulate: {}}}]\n  objects:\n  - {id: 7, dependson: []}\n";
    assert_said!(orch_on("validate", "slip.yaml", text, &[]), @"");
}

#[test]
fn files_that_are_not_there_or_hold_nothing_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    assert_said!(crate::program::orch_in(folder.path(), &["validate", "nothing.json"]), @"");
    assert_said!(orch_on("validate", "empty.json", "[]", &[]), @"");
}

#[test]
fn two_hundred_thousand_objects_are_checked_within_seconds() {
    let mut text = String::from("[");
    for n in 0..200_000_u32 {
        let comma = if n == 0 { "" } else { "," };
        let _ = write!(text, r#"{comma}{{"id":"{n}","dependsOn":["{}","{}"]}}"#, n / 2, n / 3);
    }
    text.push(']');
    let text = text.replace(r#""dependsOn":["0","0"]"#, r#""dependsOn":[]"#);
    let begun = Instant::now();
    let said = orch_on("validate", "large.json", &text, &[]);
    let took = begun.elapsed().as_secs_f64();
    assert_eq!(said.status, 0, "{}", said.err);
    assert!(said.out.contains("200000 objects, "), "{}", said.out);
    assert!(took < 10.0, "{took}");
}
