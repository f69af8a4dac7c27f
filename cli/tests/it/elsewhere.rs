//! What comes from elsewhere, such as the words of workers and the status of another version, is shown as it is and
//! does nothing to a terminal.

use serde_json::{Value, json};

use crate::program::{Said, file, orch_in, orch_on};

/// Red, a new line, a title of the terminal, a C1 control character, and text from right to left.
const NASTY: &str = "\u{1b}[31mred\r\nforged: \u{1b}]0;title\u{7}\u{9b}2J\u{202e}txt";

/// Every character that a terminal would act on.
fn active(text: &str) -> Vec<char> {
    text.chars().filter(|c| (c.is_control() && *c != '\n') || *c == '\u{202e}').collect()
}

#[track_caller]
fn is_harmless(said: &Said) {
    assert_eq!(active(&format!("{}{}", said.out, said.err)), [], "{}", said.all());
    let forged = |text: &str| text.lines().any(|line| line.starts_with("forged"));
    assert!(!forged(&said.out) && !forged(&said.err), "{}", said.all());
}

/// A run of three objects whose names, messages and logs are nasty.
fn nasty_run() -> Value {
    let exec = json!({"exec": {"command": ["sh", "-c", "printf \"$0\" >&2; exit 1", NASTY]}});
    json!({
        "apiVersion": "kafka-orchestrator.dev/v1alpha1", "kind": "PipelineRun", "metadata": {"name": "nasty"},
        "spec": {
            "stages": [{"name": "work", "processor": {"simulate": {}}}],
            "objects": [
                {"id": "a", "name": NASTY, "stage": "work", "processor": exec, "retry": {"maxAttempts": 1}},
                {"id": "b\u{202e}", "name": NASTY, "stage": "work", "dependsOn": ["a"]},
                {"id": "c", "stage": "work", "name": NASTY},
            ],
        },
    })
}

#[test]
fn control_characters_of_names_and_workers_reach_no_terminal() {
    let folder = file("nasty.json", &nasty_run().to_string());
    let orch = |args: &[&str]| orch_in(folder.path(), args);
    let summary = orch(&["run", "nasty.json"]);
    assert_eq!(summary.status, 1, "{}", summary.all());
    assert!(summary.out.contains("\\u{1b}[31mred"), "{}", summary.out);
    is_harmless(&summary);
    let run = orch(&["run", "nasty.json", "-o", "json"]);
    assert_eq!(run.json()["spec"]["objects"][0]["name"], NASTY, "JSON keeps every character");
    std::fs::write(folder.path().join("run.json"), &run.out).unwrap();
    for args in [
        &["why", "run.json", "a"][..],
        &["why", "run.json", "b\u{202e}"],
        &["why", "run.json", NASTY],
        &["status", "run.json"],
        &["status", "run.json", "-o", "wide"],
        &["graph", "run.json"],
        &["graph", "run.json", "-o", "dot"],
        &["graph", "run.json", "-o", "mermaid"],
        &["validate", "run.json"],
        &["validate", NASTY],
        &["run", "nasty.json", "--fail", NASTY],
        &["run", "nasty.json", "--run", NASTY],
    ] {
        is_harmless(&orch(args));
    }
}

#[test]
fn control_characters_of_a_refused_file_reach_no_terminal() {
    for text in [
        json!([{"id": NASTY}]).to_string(),
        json!([{"id": "a", "stage": NASTY}, {"id": "b", "dependsOn": [NASTY]}]).to_string(),
        json!([{"id": "a", NASTY: 1, "timeouts": {"run": NASTY}}]).to_string(),
        json!([{"IdObjet": NASTY, "IdObjet_Parent": NASTY}]).to_string(),
        json!({"apiVersion": "kafka-orchestrator.dev/v1alpha1", "kind": NASTY}).to_string(),
        format!("{NASTY}\tb\n"),
    ] {
        let said = orch_on("validate", "refused.json", &text, &[]);
        assert_eq!(said.status, 2, "{}", said.all());
        is_harmless(&said);
    }
}

/// The failing example after a run.
fn failed_run() -> Value {
    let said = crate::program::orch(&["run", "examples/objects/failing.yaml", "--speed", "20", "-o", "json"]);
    assert_eq!(said.status, 1, "{}", said.err);
    said.json()
}

/// What `why`, `graph` and `status -o wide` say of a run.
fn answers(run: &Value, id: &str) -> [Said; 3] {
    let folder = file("run.json", &run.to_string());
    [&["why", "run.json", id][..], &["graph", "run.json"], &["status", "run.json", "-o", "wide"]]
        .map(|args| orch_in(folder.path(), args))
}

#[test]
fn a_phase_map_that_cannot_be_read_is_told_and_the_listed_objects_are_used() {
    let good = failed_run();
    let wanted = answers(&good, "3005");
    for (map, problem) in [
        (json!({"encoding": "gzip+base64", "order": "spec", "data": "AAAA"}), "the phaseMap is damaged"),
        (json!({"encoding": "zstd", "order": "spec", "data": "x"}), "encoding `zstd`"),
        (Value::Null, "the status has no phaseMap"),
    ] {
        let mut run = good.clone();
        run["status"]["phaseMap"] = map;
        for (said, wanted) in answers(&run, "3005").iter().zip(&wanted) {
            assert_eq!((said.status, &said.out), (0, &wanted.out), "{}", said.err);
            assert!(said.err.contains(problem), "{}", said.err);
        }
    }
}

#[test]
fn a_phase_that_nothing_says_is_shown_as_unknown() {
    let mut run = failed_run();
    run["status"]["phaseMap"]["data"] = "AAAA".into();
    run["status"]["objects"].as_array_mut().unwrap().retain(|object| object["id"] == "2005");
    let [why, graph, wide] = answers(&run, "3005");
    assert!(
        why.out.starts_with("3005 GroupReport (application): Unknown\nIts phase is unknown: "),
        "{}",
        why.out
    );
    assert!(why.err.contains("the phase of 7 objects is unknown"), "{}", why.err);
    assert!(graph.out.contains("  Unknown    1005 Projects"), "{}", graph.out);
    assert!(graph.out.contains("  Failed     2005 Projects_Std"), "{}", graph.out);
    assert!(wide.out.contains("Unknown") && !wide.out.contains("Pending"), "{}", wide.out);
}

#[test]
fn why_names_the_root_cause_that_the_status_names() {
    // The failure that is further away comes first, and last.
    for slow in ["far", "near"] {
        let text = format!(
            r#"[{{"id":"far"}},{{"id":"x","dependsOn":["far"]}},{{"id":"y","dependsOn":["x"]}},
            {{"id":"near"}},{{"id":"z","dependsOn":["y","near"]}},
            {{"id":"{slow}-first"}}]"#
        )
        .replace(
            &format!(r#"{{"id":"{slow}"}}"#),
            &format!(
                r#"{{"id":"{slow}","processor":{{"simulate":{{"duration":"200ms"}}}},"dependsOn":["{slow}-first"]}}"#
            ),
        );
        let folder = file("two.json", &text);
        let run =
            orch_in(folder.path(), &["run", "two.json", "--fail", "far", "--fail", "near", "-o", "json"]);
        std::fs::write(folder.path().join("run.json"), &run.out).unwrap();
        let run = run.json();
        let objects = run["status"]["objects"].as_array().unwrap();
        let of_status = objects.iter().find(|object| object["id"] == "z").unwrap()["rootCause"].clone();
        let why = orch_in(folder.path(), &["why", "run.json", "z"]);
        let says = format!("It needs `{}`, which failed", of_status.as_str().unwrap());
        assert!(why.out.contains(&says), "{slow}: {says}: {}", why.out);
    }
}
