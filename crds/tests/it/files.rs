//! What is read from text, and what is said of text that cannot be read.

use std::time::Instant;

use orch_core::finding::Finding;
use orch_crds::{Resource, StatusField};
use serde_json::{Value, json};

use crate::cases::Kind;
use crate::read;

/// Kind and name of every resource in the text.
fn names(text: &str) -> Vec<String> {
    let name = |resource: &Resource| match resource {
        Resource::PipelineRun(run) => format!("run {}", run.metadata.name.as_deref().unwrap_or_default()),
        Resource::Pipeline(pipeline) => {
            format!("pipeline {}", pipeline.metadata.name.as_deref().unwrap_or_default())
        }
        Resource::ConfigMap(map) => format!("config {}", map.metadata.name.as_deref().unwrap_or_default()),
    };
    read(text).unwrap().iter().map(name).collect()
}

fn faults(text: &str) -> Vec<String> {
    read(text).unwrap_err().iter().map(Finding::to_string).collect()
}

const RUN: &str = "apiVersion: kafka-orchestrator.dev/v1alpha1\nkind: PipelineRun\nmetadata: {name: sales}\n";
const CONFIG: &str =
    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: objects}\nimmutable: true\ndata: {o.json: '[]'}\n";

#[test]
fn the_example_of_the_design_survives_reading_and_writing() {
    let text = include_str!("design.yaml");
    let Resource::PipelineRun(run) = read(text).unwrap().remove(0) else { unreachable!() };
    let written = serde_json::to_string(&run).unwrap();
    assert_eq!(read(&written).unwrap(), [Resource::PipelineRun(run.clone())]);
    assert_eq!(read(&serde_yaml::to_string(&run).unwrap()).unwrap(), [Resource::PipelineRun(run)]);
    let original: Value = serde_yaml::from_str(text).unwrap();
    let mut written: Value = serde_json::from_str(&written).unwrap();
    // Zeros of counts are written where the example leaves them out, and numbers are equal by value.
    written["status"]["stages"][0]["counts"] = original["status"]["stages"][0]["counts"].clone();
    written["spec"]["stages"][0]["retry"]["factor"] = json!(2);
    assert_eq!(written, original);
}

#[test]
fn documents_lists_and_both_forms_are_read() {
    let run = Kind::PipelineRun.valid().to_string();
    let pipeline = Kind::Pipeline.valid().to_string();
    assert_eq!(names(&run), ["run sales"]);
    assert_eq!(names(&format!("\u{feff}{run}\n{pipeline}")), ["run sales", "pipeline sales"]);
    assert_eq!(
        names(&format!("# a comment\n---\n{CONFIG}---\n\n--- # nothing\n---\n{run}\n")),
        ["config objects", "run sales"]
    );
    assert_eq!(names(&format!("{CONFIG}---\r\n{pipeline}")), ["config objects", "pipeline sales"]);
    let list = format!(r#"{{"apiVersion": "v1", "kind": "List", "items": [{run}, {pipeline}]}}"#);
    assert_eq!(names(&list), ["run sales", "pipeline sales"]);
    let yaml: Value = serde_json::from_str(&list).unwrap();
    assert_eq!(names(&serde_yaml::to_string(&yaml).unwrap()), ["run sales", "pipeline sales"]);
    assert_eq!(names(""), [""; 0]);
}

#[test]
fn faults_have_their_line_counted_through_the_file() {
    let text = format!(
        "{CONFIG}---\n{RUN}spec:\n  stages:\n  - name: a\n    processor: {{simulate: {{}}}}\n  objects:\n  - id: 2005\n"
    );
    assert_eq!(
        faults(&text),
        [
            "line 15, column 9: spec.objects[0].id: invalid type: integer `2005`, expected a string; put it into quotes"
        ]
    );
    assert_eq!(
        faults(&format!("{CONFIG}---\n{RUN}spec:\n  maxInFlight: 7\n  timeout: [1h]\n")),
        ["line 12, column 12: spec.timeout: invalid type: list, expected a string"]
    );
    assert_eq!(
        faults(&format!("{CONFIG}---\n{RUN}spec:\n  objects: [{{id: a}}\n")),
        [
            "line 12, column 1: did not find expected ',' or ']', while parsing a flow sequence at line 11 column 12"
        ]
    );
    let json = "{\n\"apiVersion\": \"kafka-orchestrator.dev/v1alpha1\", \"kind\": \"PipelineRun\",\n\"metadata\": {}, \"spec\": {\"objects\": [{\"id\": 1}]}}";
    assert_eq!(
        faults(json),
        [
            "line 3, column 45: spec.objects[0].id: invalid type: integer `1`, expected a string; put it into quotes"
        ]
    );
    assert_eq!(faults("{\n\"a\": 1,,}"), ["line 2, column 8: key must be a string"]);
}

#[test]
fn unknown_fields_are_refused_all_of_them() {
    let text =
        format!("{RUN}spec:\n  priority: 3\n  objects: [{{id: a, dependson: [b], meta: {{any: thing}}}}]\n");
    assert_eq!(
        faults(&text),
        [
            "line 5, column 13: spec.priority: nobody knows this field",
            "line 6, column 32: spec.objects[0].dependson: nobody knows this field",
        ]
    );
}

#[test]
fn what_is_no_resource_of_ours_is_said() {
    let remedy = "write a PipelineRun or Pipeline of kafka-orchestrator.dev/v1alpha1, or a ConfigMap of v1";
    assert_eq!(
        faults("---\napiVersion: apps/v1\nkind: Deployment\n"),
        [format!("line 1: `Deployment` of `apps/v1` is not read here; {remedy}")]
    );
    assert_eq!(faults("{\"id\": 1}"), [format!("line 1: there is no apiVersion and kind; {remedy}")]);
    assert_eq!(
        faults(" [{\"id\": \"a\"}]"),
        ["line 1: a JSON array is a catalogue or a list of objects, not a resource"]
    );
    assert!(faults("just text")[0].starts_with("line 1"));
}

#[test]
fn one_wrong_field_hides_no_other() {
    let text = format!(
        "{CONFIG}---\n{RUN}spec:\n  maxInFlight: many\n  priorty: 3\n  objects:\n  - id: 2005\n  - {{id: a, stage: [b]}}\n  \
         - {{id: b, dependsOn: c}}\n  stages:\n  - {{name: a, procesor: {{simulate: {{}}}}}}\n---\n{RUN}spec: {{timeout: 7}}\n"
    );
    assert_eq!(
        faults(&text),
        [
            "line 11, column 16: spec.maxInFlight: invalid type: string \"many\", expected a whole number from 0 on",
            "line 12, column 12: spec.priorty: nobody knows this field",
            "line 14, column 9: spec.objects[0].id: invalid type: integer `2005`, expected a string; put it into quotes",
            "line 15, column 20: spec.objects[1].stage: invalid type: list, expected a string",
            "line 16, column 24: spec.objects[2].dependsOn: invalid type: string \"c\", expected a list",
            "line 18, column 5: spec.stages[0]: missing field `processor`",
            "line 18, column 25: spec.stages[0].procesor: nobody knows this field",
            "line 23, column 17: spec.timeout: invalid type: integer `7`, expected a string; put it into quotes",
        ]
    );
}

#[test]
fn a_status_of_another_version_is_read_and_a_broken_one_ignored_by_who_needs_none() {
    let with = |status: &str| format!("{RUN}spec: {{objects: [], stages: []}}\nstatus: {status}\n");
    let run = |text: &str, of| orch_crds::read(text, of).map(|mut resources| resources.remove(0));
    let newer = with("{phase: Failed, weather: fine, counts: {total: 7, melted: 1}}");
    let Resource::PipelineRun(read) = run(&newer, StatusField::Read).unwrap() else { unreachable!() };
    assert_eq!(read.status.unwrap().counts.total, 7);
    for status in ["{phase: Molten}", "text", "[1]", "{counts: {total: many}, weather: fine}"] {
        let findings = run(&with(status), StatusField::Read).unwrap_err();
        assert!(findings.iter().all(|finding| finding.place.0.contains("line 5, column ")), "{findings:?}");
        let Resource::PipelineRun(read) = run(&with(status), StatusField::Ignored).unwrap() else {
            unreachable!()
        };
        assert_eq!(read.status, None, "{status}");
        // What is wrong beside it is still refused.
        let slip = with(status).replace("stages: []", "stages: [], priorty: 1");
        let findings = run(&slip, StatusField::Ignored).unwrap_err();
        assert_eq!(findings.len(), 1, "{findings:?}");
    }
}

#[test]
fn brackets_that_nest_deep_are_refused_at_once() {
    for (open, close) in [("[", "]"), ("{a: ", "}"), ("[{? ", "}]")] {
        let text = format!("{RUN}spec:\n  x: {}1{}\n", open.repeat(100_000), close.repeat(100_000));
        let before = Instant::now();
        let said = faults(&text);
        let took = before.elapsed();
        assert!(said[0].starts_with("line 5: brackets nest deeper than 100 levels"), "{said:?}");
        assert!(took.as_secs() < 2, "{took:?}");
    }
    let meta = format!("{}1{}", "{a: ".repeat(95), "}".repeat(95));
    assert!(read(&format!("{RUN}spec:\n  objects: [{{id: a, meta: {meta}}}]\n")).is_ok());
}

#[test]
fn many_documents_are_not_counted_again_for_each() {
    for document in ["---\napiVersion: v1\nkind: x\n", "---\n[1]\n", "---\n\n", "{\"a\": 1}\n"] {
        let text = document.repeat(20_000);
        let before = Instant::now();
        let said = read(&text).err().unwrap_or_default();
        assert!(
            said.len() <= 100 && before.elapsed().as_secs() < 10,
            "{:?}: {}",
            before.elapsed(),
            said.len()
        );
    }
}

#[test]
fn a_file_cannot_break_the_reader() {
    let deep = |open: &str, close: &str| {
        format!("{{\"apiVersion\": {}{}}}", open.repeat(1_000), close.repeat(1_000))
    };
    assert!(read(&deep("[", "]")).is_err());
    assert!(read(&format!("apiVersion: {}{}", "[".repeat(1_000), "]".repeat(1_000))).is_err());
    let bomb: Vec<String> =
        (1..12).map(|i| format!("a{i}: &a{i} [{}]", format!("*a{}, ", i - 1).repeat(9))).collect();
    let bomb = bomb.join("\n");
    assert!(read(&format!("a0: &a0 [x]\n{bomb}")).is_err());
}

#[test]
fn two_hundred_thousand_objects_are_read_in_seconds() {
    let record = json!({"IdObjet": 1005, "NomObjet": "Projects", "Criticité": "low", "FileLimit": 500.0, "URL": "https://example.org"});
    let object = |id: usize| json!({"id": id.to_string(), "dependsOn": [id.saturating_sub(1).to_string()], "meta": record});
    let mut run = Kind::PipelineRun.valid();
    run["spec"]["objects"] = (0..200_000).map(object).collect();
    let text = run.to_string();
    let before = Instant::now();
    let resources = read(&text).unwrap();
    println!("{} MiB read in {:?}", text.len() >> 20, before.elapsed());
    let Resource::PipelineRun(run) = &resources[0] else { unreachable!() };
    let before = Instant::now();
    let spec = orch_crds::conversion::run_spec(&run.spec, None, &[]).unwrap().spec;
    println!("converted in {:?}", before.elapsed());
    assert_eq!(spec.objects.len(), 200_000);
}
