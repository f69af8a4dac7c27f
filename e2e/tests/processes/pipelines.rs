//! Stages that many runs share.

use kube::api::{Api, Patch, PatchParams};
use orch_crds::Pipeline;
use orch_crds::status::RunPhase;
use orch_e2e::api::{delete, delete_run};
use orch_e2e::graphs::{layered, objects_json};
use orch_e2e::history::topics;
use orch_e2e::setup::{LIMIT, Setup};
use serde_json::{Value, json};

const CHAIN: &str = "[{id: a}, {id: b, dependsOn: [a]}]";

fn uses_medallion(name: &str, objects: &str) -> String {
    format!(
        "{{apiVersion: kafka-orchestrator.dev/v1alpha1, kind: PipelineRun, metadata: {{name: {name}}}, \
          spec: {{pipelineRef: {{name: medallion}}, objects: {objects}}}}}"
    )
}

async fn edit(setup: &Setup, stages: &Value) {
    let api: Api<Pipeline> = Api::namespaced(setup.client.clone(), &setup.namespace);
    let patch = Patch::Merge(json!({"spec": {"stages": stages}}));
    api.patch("medallion", &PatchParams::default(), &patch).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn two_runs_share_a_pipeline_and_deleting_one_leaves_the_other() {
    let setup = Setup::new("shared").await;
    let _operator = setup.operator("operator");
    let stages = json!([{"name": "work", "processor": {"simulate": {"duration": "20ms"}}}]);
    setup.pipeline("medallion", &stages).await;
    let graph = layered(5, 20, 2);
    for name in ["first", "second"] {
        setup.create(&uses_medallion(name, &objects_json(&graph))).await;
    }
    for name in ["first", "second"] {
        let run = setup.end_of(name).await;
        assert_eq!(run.status.as_ref().unwrap().phase, RunPhase::Succeeded, "{name}");
        let story = setup.story(&run).await;
        story.assert_complete(&graph);
        story.assert_once();
        story.assert_order(&graph);
    }
    delete_run(&setup.client, &setup.namespace, "first", LIMIT).await;
    assert_eq!(topics(&setup.bootstrap, "shared.").len(), 3, "the Pipeline's topics stay");
    assert_eq!(setup.end_of("second").await.status.unwrap().phase, RunPhase::Succeeded);
    setup.kubelet.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_of_a_pipeline_leaves_its_live_runs_going() {
    let setup = Setup::new("edited").await;
    let _operator = setup.operator("operator");
    let gate = setup.folder.path().join("gate");
    let script = format!("while [ ! -e {} ]; do sleep 0.05; done", gate.display());
    let stages = |idle: u32| {
        json!([{"name": "work", "processor": {"exec": {"command": ["sh", "-c", script]}},
                "worker": {"maxReplicas": 1, "idleSeconds": idle}}])
    };
    setup.pipeline("medallion", &stages(60)).await;
    let mut epochs = Vec::new();
    for name in ["first", "second"] {
        setup.create(&uses_medallion(name, CHAIN)).await;
        let status = setup.until(name, "running", |status| status.counts.running == 1).await;
        epochs.push(status.epoch);
    }
    edit(&setup, &stages(61)).await;
    for (name, before) in ["first", "second"].into_iter().zip(epochs) {
        setup.until(name, "with the next actor", |status| status.epoch > before).await;
    }
    std::fs::write(gate, "").unwrap();
    for name in ["first", "second"] {
        let status = setup.end_of(name).await.status.unwrap();
        assert_eq!((status.phase, status.counts.loaded), (RunPhase::Succeeded, 2), "{name}");
    }
    setup.kubelet.stop();
}

/// A live run was planned again by the Pipeline as it had become, and ended with `PlanChanged`; and its objects were
/// done by the stage's new processor.
#[tokio::test(flavor = "multi_thread")]
async fn an_edit_of_a_pipeline_applies_to_later_runs_only() {
    let setup = Setup::new("pinned").await;
    let mut operator = setup.operator("first");
    let gate = setup.folder.path().join("gate");
    let script = format!("while [ ! -e {} ]; do sleep 0.05; done", gate.display());
    setup
        .pipeline(
            "medallion",
            &json!([{"name": "work", "processor": {"exec": {"command": ["sh", "-c", script]}}}]),
        )
        .await;
    setup.create(&uses_medallion("before", CHAIN)).await;
    let running = setup.until("before", "running", |status| status.counts.running == 1).await;
    let fails = json!({"name": "work", "processor": {"simulate": {"failIds": ["a", "b"]}}, "retry": {"maxAttempts": 9}});
    let more = json!({"name": "more", "processor": {"simulate": {}}});
    edit(&setup, &json!([fails, more])).await;
    setup.create(&uses_medallion("after", CHAIN)).await;
    assert_eq!(setup.end_of("after").await.status.unwrap().phase, RunPhase::Failed);
    operator.kill();
    let _next = setup.operator("second");
    setup.until("before", "taken over", |status| status.epoch > running.epoch).await;
    std::fs::write(gate, "").unwrap();
    let status = setup.end_of("before").await.status.unwrap();
    assert_eq!((status.phase, status.counts.loaded), (RunPhase::Succeeded, 2), "{:#?}", status.conditions);
    assert_eq!(status.plan_digest, running.plan_digest);
    let pinned = status.pipeline.unwrap();
    assert_eq!((pinned.generation, pinned.stages.len()), (1, 1));
    setup.kubelet.stop();
}

/// It was bound to the stages that it found when its topics were not there yet. Made anew with others, the Pipeline got a
/// run with a stage that had no topic, and its actor broke again and again, for all runs.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_only_waits_is_not_bound_to_the_stages_of_its_pipeline() {
    let setup = Setup::new("unbound").await;
    let _operator = setup.operator("operator");
    let former = json!([{"name": "former", "processor": {"simulate": {}}}]);
    setup.pipeline_with("medallion", json!({"stages": former, "topics": {"create": false}})).await;
    setup.create(&uses_medallion("waits", CHAIN)).await;
    setup.until_reason("waits", "TopicsReady", "TopicNotFound").await;
    assert_eq!(setup.get("waits").await.status.unwrap().pipeline, None);
    delete::<Pipeline>(&setup.client, &setup.namespace, "medallion", LIMIT).await;
    setup.pipeline("medallion", &json!([{"name": "work", "processor": {"simulate": {}}}])).await;
    let status = setup.end_of("waits").await.status.unwrap();
    assert_eq!((status.phase, status.stages[0].name.as_str()), (RunPhase::Succeeded, "work"));
    setup.kubelet.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipeline_made_anew_holds_only_the_run_that_needs_what_it_lacks() {
    let setup = Setup::new("lacking").await;
    let _operator = setup.operator("operator");
    let gate = setup.folder.path().join("gate");
    let script = format!("while [ ! -e {} ]; do sleep 0.05; done", gate.display());
    // The API server writes 2 for 2.0.
    let retry = json!({"factor": 2, "jitter": 0});
    let work =
        json!({"name": "work", "processor": {"exec": {"command": ["sh", "-c", script]}}, "retry": retry});
    let more = json!({"name": "more", "processor": {"simulate": {}}});
    let keeps = |stages: Value| json!({"stages": stages, "deletionPolicy": "Retain"});
    setup.pipeline_with("medallion", keeps(json!([work, more]))).await;
    let objects = "[{id: a, stage: work}, {id: b, stage: more, dependsOn: [a]}]";
    setup.create(&uses_medallion("before", objects)).await;
    setup.until("before", "running", |status| status.counts.running == 1).await;
    delete::<Pipeline>(&setup.client, &setup.namespace, "medallion", LIMIT).await;
    setup.pipeline_with("medallion", keeps(json!([work]))).await;
    let message = setup.until_reason("before", "Accepted", "PipelineChanged").await;
    assert!(message.contains("has no stage `more`"), "{message}");
    std::fs::write(gate, "").unwrap();
    setup.create(&uses_medallion("after", CHAIN)).await;
    assert_eq!(setup.end_of("after").await.status.unwrap().phase, RunPhase::Succeeded);
    edit(&setup, &json!([work, more])).await;
    let status = setup.end_of("before").await.status.unwrap();
    assert_eq!((status.phase, status.counts.loaded), (RunPhase::Succeeded, 2), "{:#?}", status.conditions);
    setup.kubelet.stop();
}

/// It was thrown away whole, and the pods were others than people had written.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_pod_template_is_named_on_the_pipeline_and_on_its_runs() {
    let setup = Setup::new("template").await;
    let _operator = setup.operator("operator");
    let template = json!({"spec": {"containers": [{"name": "worker", "image": 5}]}});
    let work = json!({"name": "work", "processor": {"simulate": {}}, "worker": {"podTemplate": template}});
    setup.pipeline("medallion", &json!([work])).await;
    setup.create(&uses_medallion("waits", CHAIN)).await;
    let message = setup.until_reason("waits", "Accepted", "PodTemplateInvalid").await;
    let place = "spec.stages[0].worker.podTemplate.spec.containers[0].image: ";
    assert!(message.starts_with(place), "{message}");
    edit(&setup, &json!([{"name": "work", "processor": {"simulate": {}}}])).await;
    assert_eq!(setup.end_of("waits").await.status.unwrap().phase, RunPhase::Succeeded);
    setup.kubelet.stop();
}
