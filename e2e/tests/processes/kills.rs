//! SIGKILL at moments that nobody chose: nothing is lost, nothing counts twice.

use std::path::Path;
use std::time::Duration;

use orch_crds::status::{PipelineRunStatus, RunPhase};
use orch_e2e::executions::{self, held, now_ms, processor, times};
use orch_e2e::graphs::{layered, objects_json};
use orch_e2e::setup::Setup;
use serde_json::json;

/// A run whose workers write down what they do.
fn manifest(log: &Path) -> String {
    json!({
        "apiVersion": "kafka-orchestrator.dev/v1alpha1", "kind": "PipelineRun", "metadata": {"name": "killed"},
        "spec": {
            "stages": [{
                "name": "work", "partitions": 4, "processor": processor(log, Duration::from_millis(50)),
                "worker": {"concurrency": 2, "minReplicas": 2, "maxReplicas": 2},
            }],
            "objectsFrom": [{"configMap": {"name": "objects", "key": "objects.json"}}],
        },
    })
    .to_string()
}

fn loaded(at_least: u32) -> impl Fn(&PipelineRunStatus) -> bool {
    move |status| status.counts.loaded >= at_least
}

#[tokio::test(flavor = "multi_thread")]
async fn o14_a_killed_operator_loses_nothing_and_runs_nothing_twice() {
    let setup = Setup::new("o14").await;
    let graph = layered(20, 30, 2);
    let log = setup.folder.path().join("executions");
    setup.config_map("objects", &objects_json(&graph)).await;
    // One object is not done before the last kill: what the status shows comes late on a busy machine, and an operator
    // that finds the run ended does not lead it.
    let held = held(&log, "n19-0");
    std::fs::write(&held, "").unwrap();
    let mut operator = setup.operator("operator-0");
    let run = setup.create(&manifest(&log)).await;
    for (n, part) in [50, 150, 250, 350].into_iter().enumerate() {
        // Each operator has led before it dies: a status that was far ahead already says nothing of the new one.
        let led = |status: &PipelineRunStatus| loaded(part)(status) && status.epoch > Some(n as u64);
        setup.until("killed", "further", led).await;
        operator.kill();
        operator = setup.operator(&format!("operator-{}", n + 1));
    }
    std::fs::remove_file(&held).unwrap();
    let status = setup.end_of("killed").await.status.unwrap();
    assert_eq!((status.phase, status.counts.loaded), (RunPhase::Succeeded, 600));
    assert!(status.epoch >= Some(5), "each operator had a term of its own: {:?}", status.epoch);
    let story = setup.story(&run).await;
    story.assert_complete(&graph);
    story.assert_order(&graph);
    assert_eq!(story.repeated(), 0);
    let executions = executions::read(&log);
    assert_eq!(times(&executions).len(), 600);
    assert_eq!(executions.len(), 600, "no worker died: nothing runs twice");
    setup.kubelet.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_worker_repeats_only_what_it_had_in_hand() {
    let setup = Setup::new("killworker").await;
    // So large that every worker that comes back finds work, however late the counts are that the kills wait for.
    let graph = layered(40, 30, 2);
    let log = setup.folder.path().join("executions");
    setup.config_map("objects", &objects_json(&graph)).await;
    let _operator = setup.operator("operator");
    let run = setup.create(&manifest(&log)).await;
    let kills = [50, 200, 350];
    let mut restarted = Vec::new();
    for part in kills {
        setup.until("killed", "further", loaded(part)).await;
        let worker = setup.kubelet.names().pop().unwrap();
        restarted.push((now_ms(), setup.kubelet.kill_and_restart(&worker).next));
    }
    let status = setup.end_of("killed").await.status.unwrap();
    assert_eq!((status.phase, status.counts.loaded), (RunPhase::Succeeded, 1_200));
    let story = setup.story(&run).await;
    story.assert_complete(&graph);
    story.assert_order(&graph);
    assert_eq!(story.published_again(), 0);
    let executions = executions::read(&log);
    let again = executions.len() - times(&executions).len();
    // At its death a worker has at most `concurrency` objects in hand, and some that are answered and not committed yet.
    assert!(again <= kills.len() * 8, "{again} executions again");
    // It has its place in the group: the session of the one that died is not waited for, of which 5.5 seconds are left at
    // least.
    for (killed_ms, life) in restarted {
        let first =
            executions.iter().find(|execution| execution.worker == life).map(|it| it.begin_ms - killed_ms);
        assert!(first.is_some_and(|after_ms| after_ms < 5_000), "worker {life} worked after {first:?} ms");
    }
    setup.kubelet.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_behind_a_long_object_of_a_worker_that_is_stopped_goes_to_another() {
    let setup = Setup::new("stopped").await;
    let log = setup.folder.path().join("executions");
    let held = held(&log, "n0-0");
    std::fs::write(&held, "").unwrap();
    // One partition and one slot: everything waits behind the first object.
    let run = json!({
        "apiVersion": "kafka-orchestrator.dev/v1alpha1", "kind": "PipelineRun", "metadata": {"name": "killed"},
        "spec": {
            "stages": [{
                "name": "work", "partitions": 1, "processor": processor(&log, Duration::from_millis(10)),
                "worker": {"concurrency": 1, "minReplicas": 2, "maxReplicas": 2},
            }],
            "objectsFrom": [{"configMap": {"name": "objects", "key": "objects.json"}}],
        },
    });
    let graph = layered(1, 20, 0);
    setup.config_map("objects", &objects_json(&graph)).await;
    let _operator = setup.operator("operator");
    let run = setup.create(&run.to_string()).await;
    setup.until("killed", "at work", |status| status.counts.running == 1).await;
    let first = executions::read(&log).remove(0);
    assert_eq!(first.object, "n0-0");
    setup.kubelet.ask_to_end(first.worker);
    let asked = now_ms();
    setup.until("killed", "all but one", loaded(19)).await;
    assert_eq!(executions::ended(&log), 19, "the first one is still at it");
    let next = executions::read(&log).remove(1);
    println!("another worker began after {} ms", next.begin_ms - asked);
    assert!(next.worker != first.worker && next.begin_ms - asked < 10_000, "{next:?}");
    std::fs::remove_file(&held).unwrap();
    let status = setup.end_of("killed").await.status.unwrap();
    assert_eq!((status.phase, status.counts.loaded), (RunPhase::Succeeded, 20));
    assert_eq!(executions::read(&log).len(), 20, "nothing ran twice");
    let story = setup.story(&run).await;
    story.assert_complete(&graph);
    assert_eq!((story.repeated(), story.published_again()), (0, 0));
    setup.kubelet.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_operator_stands_by_and_takes_over() {
    let setup = Setup::new("standby").await;
    let graph = layered(10, 20, 2);
    let log = setup.folder.path().join("executions");
    setup.config_map("objects", &objects_json(&graph)).await;
    let mut first = setup.operator("first");
    setup.create(&manifest(&log)).await;
    setup.until("killed", "begun", loaded(20)).await;
    let _second = setup.operator("second");
    first.kill();
    let status = setup.end_of("killed").await.status.unwrap();
    assert_eq!((status.phase, status.counts.loaded), (RunPhase::Succeeded, 200));
    assert_eq!(executions::read(&log).len(), 200, "no worker died: nothing runs twice");
    setup.kubelet.stop();
}
