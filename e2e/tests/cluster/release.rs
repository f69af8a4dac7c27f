//! The release itself: upgraded and uninstalled while runs are at work, and installed for one namespace.

use std::time::{Duration, Instant};

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{ListParams, PostParams};
use kube::{Api, Client, ResourceExt};
use orch_crds::status::{PipelineRunStatus, RunPhase};
use orch_crds::{Pipeline, PipelineRun};
use orch_e2e::api::{create_run, delete_run, namespace, until, variable, wait_for, wait_for_end};
use orch_e2e::history::{self, Story, topics};
use serde_json::Value;

use crate::command::{delete_namespace, run, until_gone};

const LIMIT: Duration = Duration::from_mins(2);
const OPERATOR: &str = "kafka-orchestrator";
const CHART: &str = "charts/kafka-orchestrator";

/// So many objects of 300 ms, two at a time.
fn manifest(name: &str, objects: usize) -> String {
    let objects: Vec<_> = (0..objects).map(|n| format!("{{id: '{n}'}}")).collect();
    format!(
        "{{apiVersion: kafka-orchestrator.dev/v1alpha1, kind: PipelineRun, metadata: {{name: {name}}}, spec: {{stages: \
         [{{name: work, worker: {{concurrency: 2, maxReplicas: 1}}, processor: {{simulate: {{duration: 300ms}}}}}}], objects: [{}]}}}}",
        objects.join(",")
    )
}

fn begun(status: &PipelineRunStatus) -> bool {
    status.counts.loaded >= 4
}

async fn story(resource: &PipelineRun, namespace: &str) -> Story {
    let bootstrap = variable("KAFKA", "`make cluster-up` writes it");
    let (prefix, uid) = (format!("orchestrator.{namespace}."), resource.uid().unwrap());
    tokio::task::spawn_blocking(move || Story::of(&history::read(&bootstrap, &prefix), &uid)).await.unwrap()
}

async fn deployment(client: &Client, namespace: &str) -> Deployment {
    let api: Api<Deployment> = Api::namespaced(client.clone(), namespace);
    api.list(&ListParams::default()).await.unwrap().items.remove(0)
}

async fn pods(client: &Client, namespace: &str) -> Vec<String> {
    let api: Api<Pod> = Api::namespaced(client.clone(), namespace);
    api.list(&ListParams::default()).await.unwrap().items.iter().map(ResourceExt::name_any).collect()
}

pub(crate) async fn an_upgrade_in_mid_run_replaces_no_worker(client: &Client) {
    namespace(client, "upgrade").await;
    create_run(client, "upgrade", &manifest("goes-on", 80)).await;
    wait_for(client, "upgrade", "goes-on", ("begun", LIMIT), begun).await;
    let (before, at_work) = (deployment(client, "upgrade").await, pods(client, "upgrade").await);
    let changed =
        ["--reuse-values", "--set", "log.level=debug,stageWindow=2048", "--wait", "--timeout", "2m"];
    run("helm", &[&["-n", OPERATOR, "upgrade", OPERATOR, CHART][..], &changed].concat(), &[0]);
    let taken_over = |status: &PipelineRunStatus| status.epoch >= Some(2);
    wait_for(client, "upgrade", "goes-on", ("taken over", LIMIT), taken_over).await;
    let after = deployment(client, "upgrade").await;
    assert_eq!(before.spec.template, after.spec.template);
    assert_eq!(at_work, pods(client, "upgrade").await);
    let resource = wait_for_end(client, "upgrade", "goes-on", LIMIT).await;
    assert_eq!(resource.status.as_ref().unwrap().phase, RunPhase::Succeeded);
    let story = story(&resource, "upgrade").await;
    assert_eq!((story.loaded().len(), story.published_again(), story.repeated()), (80, 0, 0));
    delete_run(client, "upgrade", "goes-on", LIMIT).await;
    delete_namespace("upgrade");
}

/// With a run at work, one that has ended, and a Pipeline: nothing hangs afterwards, what has ended is gone, and what
/// lives goes on with the next operator, which here has the rights of one namespace alone.
pub(crate) async fn an_uninstall_strands_nothing_and_the_next_operator_goes_on(client: &Client) {
    let bootstrap = variable("KAFKA", "`make cluster-up` writes it");
    for name in ["stays", "elsewhere"] {
        namespace(client, name).await;
    }
    // The pod of the uninstall has to be admitted too.
    let label = "pod-security.kubernetes.io/enforce=restricted";
    run("kubectl", &["label", "namespace", OPERATOR, label], &[0]);
    let shared = hold_a_pipeline(client).await;
    create_run(client, "stays", &manifest("ended", 1)).await;
    create_run(client, "elsewhere", &manifest("at-work", 2_000)).await;
    create_run(client, "stays", &manifest("alive", 150)).await;
    wait_for_end(client, "stays", "ended", LIMIT).await;
    for (namespace, name) in [("elsewhere", "at-work"), ("stays", "alive")] {
        wait_for(client, namespace, name, ("begun", LIMIT), begun).await;
    }
    let start = Instant::now();
    run("helm", &["-n", OPERATOR, "uninstall", OPERATOR, "--wait", "--timeout", "3m"], &[0]);
    println!("helm uninstall with live runs: {:.1?}", start.elapsed());
    let runs: Api<PipelineRun> = Api::all(client.clone());
    for resource in runs.list(&ListParams::default()).await.unwrap() {
        assert_eq!(resource.finalizers(), &[] as &[String], "{}", resource.name_any());
    }
    assert_eq!(shared.get("shared").await.unwrap().finalizers(), &[] as &[String]);
    assert_eq!(topics(&bootstrap, "orchestrator.stays.ended-"), Vec::<String>::new());
    assert_eq!(topics(&bootstrap, "orchestrator.stays.alive-").len(), 3, "they are the record of a live run");
    let hooks =
        ["get", "job,serviceaccount,role,rolebinding,clusterrole,clusterrolebinding", "-A", "-o", "name"];
    let label = ["-l", "app.kubernetes.io/name=kafka-orchestrator"];
    assert_eq!(run("kubectl", &[&hooks[..], &label].concat(), &[0]), "", "nothing of the release is left");
    delete_namespace("elsewhere");

    namespace(client, "elsewhere-2").await;
    create_run(client, "elsewhere-2", &manifest("not-ours", 1)).await;
    let one = ["--set", "watchNamespaces={stays},aggregateRoles=false", "--wait", "--timeout", "2m"];
    let values = ["--values", "local/.run/values.yaml"];
    run("helm", &[&["-n", OPERATOR, "install", OPERATOR, CHART][..], &values, &one].concat(), &[0]);
    assert_eq!(cluster_wide(), "", "no right outside of that namespace");
    let resource = wait_for_end(client, "stays", "alive", LIMIT).await;
    assert_eq!(resource.status.as_ref().unwrap().phase, RunPhase::Succeeded);
    let story = story(&resource, "stays").await;
    assert_eq!((story.loaded().len(), story.repeated()), (150, 0));
    delete_run(client, "stays", "alive", LIMIT).await;
    run("kubectl", &["-n", "stays", "delete", "pipeline", "shared", "--timeout=60s"], &[0]);
    assert_eq!(topics(&bootstrap, "orchestrator.stays."), Vec::<String>::new());
    let not_ours: Api<PipelineRun> = Api::namespaced(client.clone(), "elsewhere-2");
    assert_eq!(not_ours.get("not-ours").await.unwrap().status, None);
    for name in ["stays", "elsewhere-2"] {
        delete_namespace(name);
    }
    until_gone(&["upgrade", "elsewhere", "stays", "elsewhere-2"]);
}

/// A Pipeline that the operator holds.
async fn hold_a_pipeline(client: &Client) -> Api<Pipeline> {
    let manifest = "{apiVersion: kafka-orchestrator.dev/v1alpha1, kind: Pipeline, metadata: {name: shared}, \
                     spec: {stages: [{name: work, processor: {simulate: {}}}]}}";
    let pipelines: Api<Pipeline> = Api::namespaced(client.clone(), "stays");
    pipelines.create(&PostParams::default(), &serde_yaml::from_str(manifest).unwrap()).await.unwrap();
    let held = async || match pipelines.get("shared").await.unwrap().finalizers() {
        [] => Err("without a finalizer".to_owned()),
        _ => Ok(()),
    };
    until("the operator holds the Pipeline", LIMIT, held).await;
    pipelines
}

/// The cluster-wide roles of the release.
fn cluster_wide() -> String {
    let roles = [
        "get",
        "clusterrole,clusterrolebinding",
        "-l",
        "app.kubernetes.io/name=kafka-orchestrator",
        "-o",
        "name",
    ];
    run("kubectl", &roles, &[0])
}

/// What the chart grants to the pod of an uninstall.
pub(crate) fn hooks() -> Vec<Value> {
    use serde::Deserialize;
    let text = run("helm", &["-n", OPERATOR, "get", "hooks", OPERATOR], &[0]);
    serde_yaml::Deserializer::from_str(&text).map(|document| Value::deserialize(document).unwrap()).collect()
}
