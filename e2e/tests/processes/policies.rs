//! What a manifest can ask for, each once with processes: the rules themselves are tested in `core`.

use orch_crds::status::{ObjectPhase, PipelineRunStatus, RunPhase};
use orch_e2e::api::condition;
use orch_e2e::setup::Setup;
use serde_json::{Value, json};

/// A run with one stage.
fn manifest(name: &str, stage: &Value, spec: &Value) -> String {
    let mut run = json!({
        "apiVersion": "kafka-orchestrator.dev/v1alpha1", "kind": "PipelineRun", "metadata": {"name": name},
        "spec": spec,
    });
    run["spec"]["stages"] = json!([stage]);
    run["spec"]["stages"][0]["name"] = "work".into();
    run.to_string()
}

fn at_once() -> Value {
    json!({"processor": {"simulate": {"duration": "0s"}}})
}

fn phase(status: &PipelineRunStatus, id: &str) -> ObjectPhase {
    status.objects.iter().find(|object| object.id == id).unwrap().phase
}

async fn end(setup: &Setup, name: &str) -> PipelineRunStatus {
    setup.end_of(name).await.status.unwrap()
}

/// `a` fails at once while `x` works; `b` needs `a`, `y` needs `x`.
#[tokio::test(flavor = "multi_thread")]
async fn a_failure_stops_what_the_policy_says() {
    let setup = Setup::new("failures").await;
    let _operator = setup.operator("operator");
    let stage = json!({"processor": {"simulate": {"duration": "2s"}}, "retry": {"maxAttempts": 1}});
    for (name, policy) in [("fast", "FailFast"), ("independent", "ContinueIndependent")] {
        let spec = json!({
            "failurePolicy": policy,
            "objects": [
                {"id": "x"},
                {"id": "a", "processor": {"simulate": {"duration": "0s", "failIds": ["a"]}}},
                {"id": "b", "dependsOn": ["a"]},
                {"id": "y", "dependsOn": ["x"], "processor": {"simulate": {"duration": "0s"}}},
            ],
        });
        setup.create(&manifest(name, &stage, &spec)).await;
    }
    for (name, of_y) in [("fast", ObjectPhase::Cancelled), ("independent", ObjectPhase::Loaded)] {
        let status = end(&setup, name).await;
        let phases = ["a", "b", "x", "y"].map(|id| phase(&status, id));
        assert_eq!(status.phase, RunPhase::Failed, "{name}");
        assert_eq!(
            (phases[0], phases[2], phases[3]),
            (ObjectPhase::Failed, ObjectPhase::Loaded, of_y),
            "{name}"
        );
        assert_eq!(phases[1], ObjectPhase::Blocked, "{name}");
    }
    setup.kubelet.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dependency_that_nobody_defines_is_refused_assumed_or_run() {
    let setup = Setup::new("undefined").await;
    let _operator = setup.operator("operator");
    let objects = json!([{"id": "b", "dependsOn": ["ghost"]}]);
    let mut runs = Vec::new();
    for (name, policy) in [("reject", "Reject"), ("assume", "AssumeLoaded"), ("run", "Run")] {
        let spec = json!({"undefinedDependencies": policy, "objects": objects});
        runs.push(setup.create(&manifest(name, &at_once(), &spec)).await);
    }
    let rejected = end(&setup, "reject").await;
    let (valid, reason, message) = condition(&rejected, "GraphValid").unwrap();
    assert_eq!((rejected.phase, valid, reason), (RunPhase::Failed, "False", "UnknownDependency"));
    assert!(message.contains("ghost"), "{message}");
    for (run, executed) in runs[1..].iter().zip([false, true]) {
        let name = run.metadata.name.as_deref().unwrap();
        let status = end(&setup, name).await;
        assert_eq!((status.phase, status.counts.loaded), (RunPhase::Succeeded, 2), "{name}");
        let story = setup.story(run).await;
        story.assert_once();
        assert_eq!(
            (story.end("b", 1), story.end("ghost", 1).is_some()),
            (Some("ObjectLoaded"), executed),
            "{name}"
        );
    }
    setup.kubelet.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_the_targets_need_is_run() {
    let setup = Setup::new("targets").await;
    let _operator = setup.operator("operator");
    let spec = json!({
        "targets": {"ids": ["b"]},
        "objects": [{"id": "a"}, {"id": "b", "dependsOn": ["a"]}, {"id": "c", "dependsOn": ["b"]}, {"id": "d"}],
    });
    let run = setup.create(&manifest("some", &at_once(), &spec)).await;
    let status = end(&setup, "some").await;
    assert_eq!((status.phase, status.counts.total, status.counts.loaded), (RunPhase::Succeeded, 2, 2));
    assert_eq!(status.phase_map.unwrap().decode().unwrap(), "LL--");
    let story = setup.story(&run).await;
    assert_eq!(story.ready.len(), 2, "nobody is asked for what is pruned: {:?}", story.ready);
    setup.kubelet.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_is_asked_for_than_max_in_flight_allows() {
    let setup = Setup::new("inflight").await;
    let _operator = setup.operator("operator");
    let ids: Vec<Value> = (0..30).map(|n| json!({"id": format!("n{n}")})).collect();
    let stage = json!({"processor": {"simulate": {"duration": "20ms"}}});
    let run = setup.create(&manifest("few", &stage, &json!({"maxInFlight": 3, "objects": ids}))).await;
    let status = end(&setup, "few").await;
    assert_eq!((status.phase, status.counts.loaded), (RunPhase::Succeeded, 30));
    let story = setup.story(&run).await;
    story.assert_once();
    let ends: Vec<i64> = story.loaded().into_values().collect();
    for (object, _, at) in &story.ready {
        // The first four were asked for before anything had ended; a record and an answer may have the same time.
        let asked = story.ready.iter().filter(|(_, _, time)| time <= at).count();
        let ended = ends.iter().filter(|time| *time <= at).count();
        assert!(asked <= ended + 3, "{asked} asked for, {ended} ended when {object} was asked for");
    }
    setup.kubelet.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_ends_at_its_timeout() {
    let setup = Setup::new("timeout").await;
    let _operator = setup.operator("operator");
    let stage = json!({"processor": {"simulate": {"duration": "1h"}}});
    let spec = json!({"timeout": "2s", "objects": [{"id": "a"}, {"id": "b", "dependsOn": ["a"]}]});
    setup.create(&manifest("late", &stage, &spec)).await;
    let status = end(&setup, "late").await;
    assert_eq!((status.phase, status.counts.cancelled), (RunPhase::Failed, 2));
    assert_eq!(condition(&status, "Succeeded").unwrap().1, "DeadlineExceeded");
    setup.kubelet.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_is_tried_again_as_often_as_it_may() {
    let setup = Setup::new("retries").await;
    let _operator = setup.operator("operator");
    // `third` fails until its third attempt, `never` always.
    let script = "read -r r; case \"$r\" in *'\"id_objet\":\"third\"'*'\"attempt\":3'*) ;; *) echo not yet >&2; exit 1;; esac";
    let stage = json!({
        "processor": {"exec": {"command": ["sh", "-c", script]}},
        "retry": {"maxAttempts": 3, "initialDelay": "100ms", "factor": 1},
    });
    let spec =
        json!({"objects": [{"id": "third"}, {"id": "never"}, {"id": "child", "dependsOn": ["never"]}]});
    let run = setup.create(&manifest("again", &stage, &spec)).await;
    let status = end(&setup, "again").await;
    assert_eq!(status.phase, RunPhase::Failed);
    assert_eq!(phase(&status, "third"), ObjectPhase::Loaded);
    assert_eq!(phase(&status, "child"), ObjectPhase::Blocked);
    let failure = &status.failures[0];
    assert_eq!((failure.id.as_str(), failure.attempts, failure.message.as_str()), ("never", 3, "not yet"));
    let story = setup.story(&run).await;
    story.assert_once();
    let ends = [1, 2, 3, 4].map(|attempt| story.end("third", attempt));
    assert_eq!(ends, [Some("ObjectFailed"), Some("ObjectFailed"), Some("ObjectLoaded"), None]);
    assert_eq!(story.answers.len(), 6, "three attempts each");
    setup.kubelet.stop();
}
