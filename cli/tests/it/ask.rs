//! `status` and `why`, from resources alone.

use crate::program::{assert_said, file, orch, orch_in};

/// The failing example after a run, as `kubectl get -o json` would print it.
fn failed_run() -> tempfile::TempDir {
    let said = orch(&["run", "examples/objects/failing.yaml", "--speed", "20", "-o", "json"]);
    assert_eq!(said.status, 1, "{}", said.err);
    file("run.json", &said.out)
}

#[test]
fn o8_why_names_the_root_cause_and_not_the_nearest_parent() {
    let folder = failed_run();
    let why = |id| orch_in(folder.path(), &["why", "run.json", id]);
    assert_said!(why("3005"), @r#"
    exit status 0
    ---- stdout
    3005 GroupReport (application): Blocked
    It needs `2005`, which failed: SimulatedFailure: object 2005 is set to fail.

      needs      3000 (Blocked)
    ---- stderr
    "#);
    assert_said!(why("2005"), @r#"
    exit status 0
    ---- stdout
    2005 Projects_Std (standardize): Failed
    It failed at [date]: SimulatedFailure: object 2005 is set to fail.

      attempt    1, worker standardize-local
      needs      1005 (Loaded)
      needed by  3000 (Blocked), 3001 (Blocked)
      blocks     3 objects
    ---- stderr
    "#);
    assert_said!(why("9"), @r#"
    exit status 2
    ---- stdout
    ---- stderr
    error: `objects-failing` has no object `9`

    hint: `orch graph run.json -o json` lists them
    "#);
    let loaded = why("3004");
    assert!(
        loaded.out.contains("3004 SupplierScorecard (application): Loaded\nIt was loaded at 20"),
        "{}",
        loaded.out
    );
}

#[test]
fn why_of_a_file_that_was_not_run_says_so() {
    assert_said!(orch(&["why", "examples/objects/small.yaml", "3005"]), @r#"
    exit status 0
    ---- stdout
    3005 GroupReport (application): Pending
    The run has not started; its conditions say what it waits for.

      needs      3000 (Pending)
    ---- stderr
    note: `objects-small` has no status: it has not been run; only its graph is known
    "#);
}

#[test]
fn status_shows_slowest_objects_critical_path_and_failures() {
    let folder = failed_run();
    let said = orch_in(folder.path(), &["status", "run.json"]);
    assert_eq!(said.status, 0, "{}", said.err);
    for part in [
        "objects-failing: Failed in ",
        "  application      4       1       0        3\n",
        "1 object failed:\n  2005 Projects_Std: SimulatedFailure: ",
        "3 objects are blocked:\n  by 2005: 3000, 3001, 3005",
        "slowest objects:\n",
        "critical path, ",
    ] {
        assert!(said.out.contains(part), "{part}\n{}", said.out);
    }
    let path = said.out.split("critical path").nth(1).unwrap();
    for id in ["1008", "2008", "3004"] {
        assert!(path.contains(id), "{}", said.out);
    }
}

#[test]
fn status_of_what_was_not_run_says_what_to_do() {
    assert_said!(orch(&["status", "examples/objects/small.yaml"]), @r#"
    exit status 2
    ---- stdout
    ---- stderr
    error: `objects-small` has no status: it has not been run

    hint: run it: `orch run examples/objects/small.yaml -o json > run.json`, then `orch status run.json`
    "#);
}

#[test]
fn graph_shows_phases_of_a_run() {
    let folder = failed_run();
    assert_said!(orch_in(folder.path(), &["graph", "run.json"]), @r#"
    exit status 0
    ---- stdout
    objects-failing: 8 objects, 7 dependencies, 4 levels

    level 1
      Loaded     1005 Projects           ingest
      Loaded     1008 Invoices           ingest

    level 2
      Failed     2005 Projects_Std       standardize  <- 1005
      Loaded     2008 Invoices_Std       standardize  <- 1008

    level 3
      Blocked    3000 ProjectDashboard   application  <- 2005
      Blocked    3001 ProjectMargin      application  <- 2005, 2008
      Loaded     3004 SupplierScorecard  application  <- 2008

    level 4
      Blocked    3005 GroupReport        application  <- 3000

    2005 failed; `orch why` says what that means for an object.
    ---- stderr
    "#);
    let dot = orch_in(folder.path(), &["graph", "run.json", "-o", "dot"]).out;
    assert!(
        dot.contains(r##""2005" [label="Projects_Std", class="standardize", fillcolor="#fca5a5"];"##),
        "{dot}"
    );
}

#[test]
fn completion_scripts_name_the_commands() {
    for shell in ["bash", "zsh", "fish"] {
        let said = orch(&["completion", shell]);
        assert!(said.status == 0 && said.out.contains("validate"), "{shell}");
    }
}

/// `kubectl get orun -o yaml` prints a run without its Pipeline; the stages that it runs by stand in its status.
#[test]
fn a_run_of_a_pipeline_answers_without_it_once_it_has_begun() {
    let run = "apiVersion: kafka-orchestrator.dev/v1alpha1\nkind: PipelineRun\nmetadata: {name: sales}\n\
        spec: {pipelineRef: {name: medallion}, objects: [{id: a}, {id: b, dependsOn: [a]}]}\n\
        status: {phase: Pending, pipeline: {generation: 1, stages: [{name: kept, processor: {simulate: {}}}]}}\n";
    let folder = file("run.yaml", run);
    let graph = orch_in(folder.path(), &["graph", "run.yaml", "-o", "json"]);
    assert_eq!(graph.status, 0, "{}", graph.err);
    assert!(graph.out.contains("\"kept\""), "{}", graph.out);
    let why = orch_in(folder.path(), &["why", "run.yaml", "b"]);
    assert!(why.out.starts_with("b (kept): Pending"), "{}{}", why.out, why.err);
}
