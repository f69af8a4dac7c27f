//! Local runs from the first topic to the summary.

use std::collections::HashMap;
use std::time::Instant;

use serde_json::Value;

use crate::program::{assert_said, file, orch, orch_in, orch_on};

#[test]
fn o4_o5_the_catalogue_of_the_project_succeeds() {
    let said = orch(&["run", "Objets.json", "--speed", "20"]);
    assert_said!(said, @r#"
    exit status 0
    ---- stdout
    objets: Succeeded in [time]

      STAGE        TOTAL  LOADED  FAILED  BLOCKED
      ingest          16      16       0        0
      standardize     16      16       0        0
      application     10      10       0        0
      all             42      42       0        0
    ---- stderr
    "#);
}

#[test]
fn o8_a_failed_object_blocks_its_descendants_and_nothing_else() {
    let said = orch(&["run", "Objets.json", "--fail", "2005", "--speed", "20"]);
    assert_said!(said, @r#"
    exit status 1
    ---- stdout
    objets: Failed in [time]

      STAGE        TOTAL  LOADED  FAILED  BLOCKED
      ingest          16      16       0        0
      standardize     16      15       1        0
      application     10       6       0        4
      all             42      37       1        4

    1 object failed:
      2005 Projects_Std: SimulatedFailure: object 2005 is set to fail (1 attempt, blocks 4)

    4 objects are blocked:
      by 2005: 3000, 3001, 3005, 3008
    ---- stderr
    "#);
}

/// The outcome of every object of a run that was printed with `-o json`.
fn phases(run: &Value) -> HashMap<&str, &str> {
    let objects = run["status"]["objects"].as_array().unwrap();
    objects.iter().map(|object| (object["id"].as_str().unwrap(), object["phase"].as_str().unwrap())).collect()
}

const EXAMPLE: &str = r#"[{"IdObjet":1010,"IdObjet_Parent":null},{"IdObjet":1020,"IdObjet_Parent":""},
    {"IdObjet":2040,"IdObjet_Parent":"1010, 1010"},{"IdObjet":2005,"IdObjet_Parent":1020},
    {"IdObjet":3030,"IdObjet_Parent":"2040"},{"IdObjet":3040,"IdObjet_Parent":["2040"]},
    {"IdObjet":3050,"IdObjet_Parent":"2005,2040"},{"IdObjet":1900,"IdObjet_Parent":null}]"#;

#[test]
fn o8_the_example_of_the_original_system_ends_as_it_describes() {
    let said = orch_on("run", "e.json", EXAMPLE, &["--fail", "2005", "--speed", "100", "-o", "json"]);
    assert_eq!(said.status, 1, "{}", said.err);
    let run = said.json();
    let phases = phases(&run);
    let expected = [
        ("1010", "Loaded"),
        ("1020", "Loaded"),
        ("2040", "Loaded"),
        ("2005", "Failed"),
        ("3030", "Loaded"),
        ("3040", "Loaded"),
        ("3050", "Blocked"),
    ];
    assert_eq!(phases, HashMap::from(expected), "1900 is pruned and appears nowhere");
    let failures = &run["status"]["failures"];
    assert_eq!((failures[0]["id"].as_str(), failures[0]["attempts"].as_u64()), (Some("2005"), Some(1)));
    assert_eq!(run["status"]["counts"]["total"], 7);
}

#[test]
fn o6_independent_objects_overlap() {
    let begun = Instant::now();
    let text = r#"[{"IdObjet":1000},{"IdObjet":2000,"IdObjet_Parent":"1000"},
        {"IdObjet":3000,"IdObjet_Parent":"2000"},{"IdObjet":3001,"IdObjet_Parent":"2000"}]"#;
    let said = orch_on("run", "four.json", text, &[]);
    let took = begun.elapsed().as_secs_f64();
    assert_eq!(said.status, 0, "{}", said.err);
    // 0.5 + 0.6 + 0.8 s; one after the other it would be 2.7.
    assert!((1.9..2.6).contains(&took), "{took}");
}

#[test]
fn the_final_resource_is_what_kubectl_would_print() {
    let said = orch(&["run", "examples/objects/failing.yaml", "--speed", "100", "-o", "json"]);
    assert_eq!(said.status, 1, "{}", said.err);
    let run = said.json();
    assert_eq!(run["apiVersion"], "kafka-orchestrator.dev/v1alpha1");
    assert_eq!(run["kind"], "PipelineRun");
    let metadata = run["metadata"].as_object().unwrap();
    for key in ["name", "namespace", "uid", "creationTimestamp", "generation"] {
        assert!(metadata.contains_key(key), "{key}");
    }
    assert_eq!(run["status"]["phase"], "Failed");
    assert_eq!(run["status"]["progress"], "4/8");
    assert!(said.out.starts_with("{\n    \"apiVersion\""), "{}", said.out);
    let succeeded =
        run["status"]["conditions"].as_array().unwrap().iter().find(|c| c["type"] == "Succeeded").unwrap();
    assert_eq!(
        (succeeded["status"].as_str(), succeeded["reason"].as_str()),
        (Some("False"), Some("ObjectsFailed"))
    );
    // What was printed can be read again.
    let folder = file("run.json", &said.out);
    let status = orch_in(folder.path(), &["status", "run.json"]);
    assert!(status.out.starts_with("objects-failing: Failed"), "{}", status.all());
    let yaml = orch(&["run", "examples/objects/small.yaml", "--speed", "100", "-o", "yaml"]);
    assert_eq!(yaml.status, 0);
    assert!(
        yaml.out.starts_with("apiVersion: kafka-orchestrator.dev/v1alpha1\nkind: PipelineRun\n"),
        "{}",
        yaml.out
    );
}

#[test]
fn a_file_with_a_pipeline_and_several_runs_asks_which() {
    let said = orch(&["run", "examples/objects/pipeline.yaml"]);
    assert_said!(said, @r#"
    exit status 2
    ---- stdout
    ---- stderr
    error: `pipeline.yaml` holds 2 runs: `medallion-projects`, `medallion-fleet`

    hint: choose one: `--run medallion-projects`
    "#);
    let said = orch(&[
        "run",
        "examples/objects/pipeline.yaml",
        "--run",
        "medallion-fleet",
        "--speed",
        "50",
        "-o",
        "json",
    ]);
    assert_eq!((said.status, &said.json()["status"]["counts"]["total"]), (0, &5.into()), "{}", said.err);
}

#[test]
fn o10_each_policy_for_undefined_dependencies_does_what_it_says() {
    let text = r#"[{"IdObjet":3000,"IdObjet_Parent":"1001,1002"},{"IdObjet":3001,"IdObjet_Parent":"1002"}]"#;
    let refused = orch_on("run", "undefined.json", text, &[]);
    assert_said!(refused, @r#"
    exit status 2
    ---- stdout
    ---- stderr
    error: `undefined.json` is refused: 2 findings

      undefined.json[0].IdObjet_Parent: `3000` depends on `1001`, which is defined nowhere
        hint: define it, correct the id, or set `undefinedDependencies` to AssumeLoaded or Run
      undefined.json[0].IdObjet_Parent: `3000`, `3001` depend on `1002`, which is defined nowhere
        hint: define it, correct the id, or set `undefinedDependencies` to AssumeLoaded or Run

    hint: `--undefined assume-loaded` or `--undefined run` sets the policy for this command
    "#);
    let run = |policy| {
        let said =
            orch_on("run", "undefined.json", text, &["--undefined", policy, "--speed", "100", "-o", "json"]);
        assert_eq!(said.status, 0, "{}", said.err);
        said
    };
    let assumed = run("assume-loaded");
    assert!(assumed.err.contains("counted as loaded from the start: `1001`, `1002`"), "{}", assumed.err);
    let ran = run("run");
    let objects = ran.json()["status"]["objects"].clone();
    let undefined = objects.as_array().unwrap().iter().find(|object| object["id"] == "1001").unwrap().clone();
    assert_eq!((&undefined["phase"], &undefined["stage"]), (&"Loaded".into(), &"ingest".into()));
    let worker = |run: &Value| {
        run["status"]["objects"].as_array().unwrap().iter().filter(|o| !o["worker"].is_null()).count()
    };
    assert_eq!((worker(&assumed.json()), worker(&ran.json())), (2, 4), "nothing assumed is worked on");
}

#[test]
fn arguments_that_do_not_fit_are_refused() {
    let said = orch(&["run", "Objets.json", "--fail", "9"]);
    assert_said!(said, @r#"
    exit status 2
    ---- stdout
    ---- stderr
    error: --fail 9: there is no object `9`

    hint: `orch graph FILE -o json` lists them
    "#);
    let said = orch(&["run", "Objets.json", "--speed", "0"]);
    assert_said!(said, @r#"
    exit status 2
    ---- stdout
    ---- stderr
    error: --speed must be greater than 0

    hint: `--speed 10` makes simulated work ten times as fast
    "#);
    let said = orch(&["run", "Objets.json", "--timeout", "soon"]);
    assert_said!(said, @r#"
    exit status 2
    ---- stdout
    ---- stderr
    error: --timeout: `soon` is no duration: write numbers with ms, s, m or h, such as 500ms, 1.5s or 2h30m
    "#);
    let external = "apiVersion: kafka-orchestrator.dev/v1alpha1\nkind: PipelineRun\nmetadata: {name: ext}\nspec:\n  \
        stages: [{name: theirs, processor: {external: {}}}]\n  objects: [{id: a, stage: theirs}]\n";
    let said = orch_on("run", "ext.yaml", external, &[]);
    assert_said!(said, @r#"
    exit status 2
    ---- stdout
    ---- stderr
    error: stage `theirs` is left to a program of yours (processor external), which cannot reach a run in memory

    hint: run it over a broker: --kafka HOST:PORT
    "#);
}

#[test]
fn an_address_of_kafka_that_nobody_could_mean_is_refused_at_once() {
    for (address, problem) in [
        ("", "an address is missing"),
        ("localhost:9092,", "an address is missing"),
        ("http://localhost:9092", "`http://localhost:9092` is more than a host and a port"),
        ("user@localhost:9092", "more than a host and a port"),
        ("localhost", "`localhost` has no port"),
        (":9092", "`:9092` has no host"),
        ("::1:9092", "needs brackets"),
        ("localhost:", "`` is no port"),
        ("localhost:0", "`0` is no port"),
        ("localhost:65536", "`65536` is no port: a number from 1 to 65535"),
        ("localhost:kafka", "`kafka` is no port"),
    ] {
        let said = orch(&["run", "Objets.json", "--kafka", address]);
        assert_eq!(said.status, 2, "{}", said.all());
        let hint = "hint: write HOST:PORT, or several with commas";
        assert!(said.err.contains(problem) && said.err.contains(hint), "{address}: {}", said.err);
    }
}

#[test]
fn a_run_that_takes_too_long_ends_failed() {
    let said = orch_on(
        "run",
        "slow.json",
        r#"[{"id": "a", "processor": {"simulate": {"duration": "1h"}}}]"#,
        &["--timeout", "300ms"],
    );
    assert_said!(said, @r#"
    exit status 1
    ---- stdout
    slow: Failed in [time]
      DeadlineExceeded: it took longer than its timeout of 300ms

      STAGE  TOTAL  LOADED  FAILED  BLOCKED  CANCELLED
      work       1       0       0        0          1
    ---- stderr
    "#);
}

#[cfg(unix)]
#[test]
fn an_interrupt_cancels_the_run_and_shows_its_summary() {
    use std::io::Read as _;
    use std::process::{Command, Stdio};

    let folder = file(
        "slow.json",
        r#"[{"id": "a", "processor": {"simulate": {"duration": "1100ms"}}},
            {"id": "b", "processor": {"simulate": {"duration": "1h"}}}]"#,
    );
    let mut child = Command::new(env!("CARGO_BIN_EXE_orch"))
        .args(["run", "slow.json"])
        .current_dir(folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The first line of progress, when `a` is loaded, says that signals are listened to.
    let mut err = child.stderr.take().unwrap();
    let mut first = [0_u8; 1];
    err.read_exact(&mut first).unwrap();
    let kill = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(kill.success());
    let mut out = String::new();
    child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1));
    assert!(out.starts_with("slow: Cancelled"), "{out}");
    assert!(out.contains("LOADED") && out.contains("CANCELLED"), "{out}");
}

#[test]
fn a_hundred_thousand_objects_end() {
    use std::fmt::Write as _;
    let mut text = String::new();
    for n in 0..100_000 {
        let _ =
            writeln!(text, "{}\t{n}", if n < 10_000 { format!("root{n}") } else { (n - 10_000).to_string() });
    }
    let said = orch_on("run", "wide.tsv", &text, &["-q"]);
    assert_eq!(said.status, 0, "{}", said.all());
    assert!(said.out.contains("work   110000  110000       0        0"), "{}", said.out);
}
