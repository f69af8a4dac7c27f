//! Topics that are not there, or not as they should be.

use orch_crds::Pipeline;
use orch_crds::status::{PipelineRunStatus, RunPhase};
use orch_e2e::api::{condition, delete, delete_run};
use orch_e2e::history::topics;
use orch_e2e::setup::{LIMIT, Setup};
use orch_e2e::topics::{self as kafka_topics, create, create_ready};
use serde_json::json;

/// The names between backticks.
fn named(message: &str) -> Vec<String> {
    let mut names: Vec<_> = message.split('`').skip(1).step_by(2).map(str::to_owned).collect();
    names.sort();
    names
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_that_nobody_made_are_all_named_and_the_run_goes_on_when_they_are_there() {
    let setup = Setup::new("byhand").await;
    let _operator = setup.operator("operator");
    let run = json!({
        "apiVersion": "kafka-orchestrator.dev/v1alpha1", "kind": "PipelineRun", "metadata": {"name": "byhand"},
        "spec": {
            "topics": {"create": false},
            "stages": [{"name": "work", "partitions": 2, "processor": {"simulate": {"duration": "0s"}}}],
            "objects": [{"id": "a"}, {"id": "b", "dependsOn": ["a"]}],
        },
    });
    setup.create(&run.to_string()).await;
    let message = setup.until_reason("byhand", "TopicsReady", "TopicNotFound").await;
    let missing = named(&message);
    assert_eq!(missing.len(), 3, "{message}");
    assert_eq!(topics(&setup.bootstrap, "byhand."), Vec::<String>::new(), "and none is made");
    for name in &missing {
        if name.contains(".control") {
            create(&setup.bootstrap, name, 1, &[("cleanup.policy", "compact")]).await;
        } else {
            create_ready(&setup.bootstrap, name, if name.contains(".work") { 2 } else { 1 }).await;
        }
    }
    assert_eq!(setup.end_of("byhand").await.status.unwrap().phase, RunPhase::Succeeded);
    delete_run(&setup.client, &setup.namespace, "byhand", LIMIT).await;
    assert_eq!(topics(&setup.bootstrap, "byhand."), missing, "what others made stays");
    for name in &missing {
        kafka_topics::delete(&setup.bootstrap, name).await;
    }
    setup.kubelet.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_that_are_deleted_in_mid_run_are_all_named() {
    let setup = Setup::new("deleted").await;
    let _operator = setup.operator("operator");
    setup
        .create(
            "{apiVersion: kafka-orchestrator.dev/v1alpha1, kind: PipelineRun, metadata: {name: bereft}, spec: {stages: \
             [{name: work, processor: {simulate: {duration: 1h}}}], objects: [{id: a}, {id: b, dependsOn: [a]}]}}",
        )
        .await;
    setup.until("bereft", "running", |status| status.counts.running == 1).await;
    let all = topics(&setup.bootstrap, "deleted.");
    for name in &all {
        kafka_topics::delete(&setup.bootstrap, name).await;
    }
    // The actor that ends knows of one; the next look at the topics knows all.
    let all_named = |status: &PipelineRunStatus| {
        condition(status, "TopicsReady")
            .is_some_and(|(_, reason, message)| reason == "TopicNotFound" && named(message) == all)
    };
    setup.until("bereft", "without all of its topics", all_named).await;
    let status = setup.until("bereft", "stalled", |status| {
        condition(status, "Stalled")
            .is_some_and(|(value, reason, _)| (value, reason) == ("True", "TopicsNotReady"))
    });
    assert_eq!(status.await.phase, RunPhase::Running);
    assert_eq!(
        topics(&setup.bootstrap, "deleted."),
        Vec::<String>::new(),
        "none is made anew behind its back"
    );
    delete_run(&setup.client, &setup.namespace, "bereft", LIMIT).await;
    setup.kubelet.stop();
}

/// The topics of a Pipeline were made anew, and its live runs began from nothing: what was done was done again.
#[tokio::test(flavor = "multi_thread")]
async fn a_pipeline_whose_log_is_gone_makes_no_other_behind_its_runs() {
    let setup = Setup::new("nolog").await;
    let _operator = setup.operator("operator");
    let stages = json!([{"name": "work", "processor": {"simulate": {"duration": "1h"}}}]);
    setup.pipeline("medallion", &stages).await;
    let run = |name: &str| {
        format!(
            "{{apiVersion: kafka-orchestrator.dev/v1alpha1, kind: PipelineRun, metadata: {{name: {name}}}, \
              spec: {{pipelineRef: {{name: medallion}}, objects: [{{id: a}}]}}}}"
        )
    };
    setup.create(&run("bereft")).await;
    setup.until("bereft", "running", |status| status.counts.running == 1).await;
    for name in topics(&setup.bootstrap, "nolog.") {
        kafka_topics::delete(&setup.bootstrap, &name).await;
    }
    let names_the_run = |status: &PipelineRunStatus| {
        condition(status, "TopicsReady")
            .is_some_and(|(_, reason, message)| reason == "TopicNotFound" && message.contains("runs bereft"))
    };
    setup.until("bereft", "without its log", names_the_run).await;
    assert_eq!(topics(&setup.bootstrap, "nolog."), Vec::<String>::new());
    delete_run(&setup.client, &setup.namespace, "bereft", LIMIT).await;
    setup.create(&run("next")).await;
    let message = setup.until_reason("next", "TopicsReady", "TopicNotFound").await;
    assert!(message.contains("delete the Pipeline medallion"), "{message}");
    delete::<Pipeline>(&setup.client, &setup.namespace, "medallion", LIMIT).await;
    setup.pipeline("medallion", &stages).await;
    setup.until("next", "running in new topics", |status| status.counts.running == 1).await;
    setup.kubelet.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_with_other_settings_is_named_until_it_is_right() {
    let setup = Setup::new("mismatch").await;
    let topic = "mismatch.mismatch.medallion.work";
    create(&setup.bootstrap, topic, 3, &[("retention.ms", "60000")]).await;
    let _operator = setup.operator("operator");
    setup
        .pipeline(
            "medallion",
            &json!([{"name": "work", "partitions": 4, "processor": {"simulate": {"duration": "0s"}}}]),
        )
        .await;
    setup
        .create(
            "{apiVersion: kafka-orchestrator.dev/v1alpha1, kind: PipelineRun, metadata: {name: other}, \
              spec: {pipelineRef: {name: medallion}, objects: [{id: a}]}}",
        )
        .await;
    let message = setup.until_reason("other", "TopicsReady", "TopicMismatch").await;
    for part in [topic, "partitions is 3, it should be 4", "retention.ms is 60000, it should be -1"] {
        assert!(message.contains(part), "`{part}` is not in: {message}");
    }
    kafka_topics::delete(&setup.bootstrap, topic).await;
    assert_eq!(setup.end_of("other").await.status.unwrap().phase, RunPhase::Succeeded);
    setup.kubelet.stop();
}
