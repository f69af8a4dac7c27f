//! A run that is deleted leaves nothing, whenever the deletion comes, and nothing is made for it afterwards.

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Secret};
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Resource, ResourceExt};
use orch_crds::PipelineRun;
use orch_crds::status::RunPhase;
use orch_e2e::api::until;
use orch_e2e::graphs::{layered, objects_json};
use orch_e2e::history::topics;
use orch_e2e::process::Process;
use orch_e2e::setup::{LIMIT, Setup};
use serde_json::json;

fn manifest(name: &str, source: &str) -> String {
    format!(
        "{{apiVersion: kafka-orchestrator.dev/v1alpha1, kind: PipelineRun, metadata: {{name: {name}}}, spec: {{stages: \
         [{{name: work, processor: {{simulate: {{duration: 100ms}}}}}}], {source}}}}}"
    )
}

const SMALL: &str = "objects: [{id: a}, {id: b, dependsOn: [a]}]";

fn runs(setup: &Setup) -> Api<PipelineRun> {
    Api::namespaced(setup.client.clone(), &setup.namespace)
}

async fn delete(setup: &Setup, name: &str) {
    runs(setup).delete(name, &DeleteParams::background()).await.unwrap();
}

/// What is there of a run whose name begins so, in Kubernetes and in Kafka.
async fn left(setup: &Setup, begin: &str) -> Vec<String> {
    let mut left = names::<PipelineRun>(setup, begin).await;
    left.extend(names::<Deployment>(setup, begin).await);
    left.extend(names::<ConfigMap>(setup, begin).await);
    left.extend(names::<Secret>(setup, begin).await);
    left.extend(topics(&setup.bootstrap, &format!("{0}.{0}.{begin}", setup.namespace)));
    left
}

async fn names<K>(setup: &Setup, begin: &str) -> Vec<String>
where
    K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
        + Clone
        + std::fmt::Debug
        + serde::de::DeserializeOwned,
{
    let api: Api<K> = Api::namespaced(setup.client.clone(), &setup.namespace);
    let items = api.list(&ListParams::default()).await.unwrap().items;
    let ours = items.iter().filter(|item| item.name_any().starts_with(begin));
    ours.map(|item| format!("{} {}", K::kind(&()), item.name_any())).collect()
}

/// Waits until nothing is left of a run, and then until another one has come to its end: what was on its way for the
/// first has come by then.
async fn nothing_is_left(setup: &Setup, name: &str) {
    let begin = format!("{name}-");
    let gone = async || {
        let left = [left(setup, &begin).await, names::<PipelineRun>(setup, name).await].concat();
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
    };
    until(&format!("nothing is left of {name}"), LIMIT, gone).await;
    let witness = format!("after-{name}");
    setup.create(&manifest(&witness, SMALL)).await;
    assert_eq!(setup.end_of(&witness).await.status.unwrap().phase, RunPhase::Succeeded);
    assert_eq!(left(setup, &begin).await, Vec::<String>::new(), "made after the deletion of {name}");
}

fn made_again(operator: &Process) -> Vec<String> {
    let again = |line: &&str| line.contains("made again") || line.contains("4294967295");
    operator.log().lines().filter(again).map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_run_that_is_deleted_while_its_graph_is_checked_leaves_nothing() {
    let setup = Setup::new("large").await;
    let operator = setup.operator_with("operator", &[("ORCH_LOG", "info,orch_operator=debug")]);
    let graph = layered(30, 400, 2);
    setup.config_map("objects", &objects_json(&graph)).await;
    setup.create(&manifest("big", "objectsFrom: [{configMap: {name: objects, key: objects.json}}]")).await;
    // At once: the graph takes longer than the deletion, and the run holds no finalizer yet.
    delete(&setup, "big").await;
    nothing_is_left(&setup, "big").await;
    assert_eq!(made_again(&operator), Vec::<String>::new());
    setup.kubelet.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_deleted_at_any_moment_leaves_nothing() {
    let setup = Setup::new("moments").await;
    let operator = setup.operator("operator");
    // Before acceptance: it waits for a ConfigMap.
    setup.create(&manifest("waits", "objectsFrom: [{configMap: {name: none, key: objects.json}}]")).await;
    setup.until("waits", "where it is to be deleted", |status| !status.conditions.is_empty()).await;
    delete(&setup, "waits").await;
    nothing_is_left(&setup, "waits").await;
    // As soon as the operator holds it: its topics are being made.
    setup.create(&manifest("held", SMALL)).await;
    let held = async || {
        let run = runs(&setup).get("held").await.unwrap();
        if run.finalizers().is_empty() { Err("without a finalizer".to_owned()) } else { Ok(()) }
    };
    until("the operator holds it", LIMIT, held).await;
    delete(&setup, "held").await;
    nothing_is_left(&setup, "held").await;
    // As soon as a topic is there: the actor is about to take over.
    setup.create(&manifest("topics", SMALL)).await;
    let made = async || match topics(&setup.bootstrap, "moments.moments.topics-").len() {
        0 => Err("no topic".to_owned()),
        _ => Ok(()),
    };
    until("a topic is there", LIMIT, made).await;
    delete(&setup, "topics").await;
    nothing_is_left(&setup, "topics").await;
    // As soon as the actor may have it.
    setup.create(&manifest("begun", SMALL)).await;
    setup.until("begun", "where it is to be deleted", |status| status.start_offset.is_some()).await;
    delete(&setup, "begun").await;
    nothing_is_left(&setup, "begun").await;
    // Right after the end.
    setup.create(&manifest("ended", SMALL)).await;
    setup.until("ended", "where it is to be deleted", |status| status.phase.is_final()).await;
    delete(&setup, "ended").await;
    nothing_is_left(&setup, "ended").await;
    assert_eq!(made_again(&operator), Vec::<String>::new());
    setup.kubelet.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_that_somebody_deletes_is_made_again_and_one_whose_owner_goes_is_not() {
    let setup = Setup::new("remade").await;
    let operator = setup.operator("operator");
    setup.create(&manifest("long", "objects: [{id: a, processor: {simulate: {duration: 1h}}}]")).await;
    setup.until("long", "where it is to be deleted", |status| status.counts.running == 1).await;
    let deployments: Api<Deployment> = Api::namespaced(setup.client.clone(), &setup.namespace);
    let the_one = async || {
        let items = deployments.list(&ListParams::default()).await.unwrap().items;
        items.first().map(|deployment| (deployment.name_any(), deployment.uid().unwrap()))
    };
    let (name, uid) = the_one().await.unwrap();
    deployments.delete(&name, &DeleteParams::background()).await.unwrap();
    let another = async || match the_one().await {
        Some((_, other)) if other != uid => Ok(()),
        seen => Err(format!("{seen:?}")),
    };
    until("the Deployment is made again", LIMIT, another).await;
    assert!(!operator.log().contains("4294967295"), "{}", operator.log());
    // The API server deletes the dependants first: the operator sees its Deployment go while the run is still there.
    runs(&setup).delete("long", &DeleteParams::foreground()).await.unwrap();
    nothing_is_left(&setup, "long").await;
    assert_eq!(made_again(&operator).len(), 1, "{:?}", made_again(&operator));
    setup.kubelet.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_of_a_pipeline_that_is_deleted_at_work_is_forgotten() {
    let setup = Setup::new("forgotten").await;
    let _operator = setup.operator("operator");
    let pipeline = "{apiVersion: kafka-orchestrator.dev/v1alpha1, kind: Pipeline, metadata: {name: shared}, \
                     spec: {stages: [{name: work, worker: {concurrency: 1, maxReplicas: 1}, processor: {simulate: {duration: 1s}}}]}}";
    let pipelines: Api<orch_crds::Pipeline> = Api::namespaced(setup.client.clone(), &setup.namespace);
    pipelines
        .create(&kube::api::PostParams::default(), &serde_yaml::from_str(pipeline).unwrap())
        .await
        .unwrap();
    let run = |name: &str, objects: usize| {
        let objects: Vec<_> = (0..objects).map(|n| format!("{{id: '{n}'}}")).collect();
        format!(
            "{{apiVersion: kafka-orchestrator.dev/v1alpha1, kind: PipelineRun, metadata: {{name: {name}}}, \
              spec: {{pipelineRef: {{name: shared}}, objects: [{}]}}}}",
            objects.join(",")
        )
    };
    // Ten minutes of work; what is deleted gives way at once, and is not done in secret.
    setup.create(&run("first", 600)).await;
    setup.until("first", "where it is to be deleted", |status| status.counts.loaded >= 1).await;
    delete(&setup, "first").await;
    setup.create(&run("second", 2)).await;
    assert_eq!(setup.end_of("second").await.status.unwrap().phase, RunPhase::Succeeded);
    assert_eq!(names::<PipelineRun>(&setup, "first").await, Vec::<String>::new());
    let pipeline = pipelines.get("shared").await.unwrap().status.unwrap();
    assert!(pipeline.epoch >= Some(1), "{pipeline:?}");
    setup.kubelet.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_whose_worker_does_not_end_in_time_leaves_no_topic() {
    let setup = Setup::new("busy").await;
    let _operator = setup.operator("operator");
    setup.create(&manifest("busy", SMALL)).await;
    setup.end_of("busy").await;
    let deployments: Api<Deployment> = Api::namespaced(setup.client.clone(), &setup.namespace);
    let made = deployments.list(&ListParams::default()).await.unwrap();
    // It stays for as long as somebody holds it.
    let pod = json!({
        "metadata": {
            "name": "busy-worker", "finalizers": ["test.example/at-work"],
            "labels": made.items[0].spec.template.metadata.as_ref().unwrap().labels,
        },
        "spec": {"containers": [{"name": "worker", "image": "none"}]},
    });
    let pods: Api<Pod> = Api::namespaced(setup.client.clone(), &setup.namespace);
    pods.create(&PostParams::default(), &serde_json::from_value(pod).unwrap()).await.unwrap();
    delete(&setup, "busy").await;
    until("the run is gone", LIMIT, async || {
        let left = names::<PipelineRun>(&setup, "busy").await;
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?}")) }
    })
    .await;
    assert_eq!(topics(&setup.bootstrap, "busy."), Vec::<String>::new());
    let let_go = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    pods.patch("busy-worker", &PatchParams::default(), &let_go).await.unwrap();
    setup.kubelet.stop();
}
