//! `Objets.json` on the real cluster, and one manifest three ways.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use k8s_openapi::api::apps::v1::Deployment;
use kube::api::ListParams;
use kube::{Api, Client};
use orch_crds::status::RunPhase;
use orch_e2e::api::{delete_run, namespace, variable, wait_for_end};
use orch_e2e::history::topics;
use serde_json::Value;

use crate::command::{delete_namespace, json, run};

/// A pod of a stage, the broker's first topic, and everything else that is slow on a busy machine.
const LIMIT: Duration = Duration::from_secs(90);
/// From zero workers, with the durations 0.5, 0.6 and 0.8 s.
const GOAL: Duration = Duration::from_secs(15);

pub(crate) async fn objets_json_ends_succeeded_and_deletion_leaves_nothing(client: &Client) {
    namespace(client, "catalogue").await;
    let manifest = std::env::temp_dir().join(format!("objets-{}.yaml", std::process::id()));
    let yaml = run("orch", &["convert", "Objets.json", "--name", "objets"], &[0]);
    std::fs::write(&manifest, yaml).unwrap();
    let start = Instant::now();
    run("kubectl", &["-n", "catalogue", "apply", "-f", manifest.to_str().unwrap()], &[0]);
    let resource = wait_for_end(client, "catalogue", "objets", LIMIT).await;
    let took = start.elapsed();
    std::fs::remove_file(manifest).unwrap();
    let status = resource.status.unwrap();
    println!("Objets.json: {} in {took:.1?} from apply", status.progress.as_deref().unwrap_or_default());
    assert_eq!(status.phase, RunPhase::Succeeded);
    assert!(took < GOAL, "it took {took:?}");
    let workers: BTreeSet<_> = status.objects.iter().filter_map(|object| object.worker.clone()).collect();
    // Work for the second pod of a stage may be over before that pod is up.
    assert!(workers.len() >= 3, "a pod a stage at least: {workers:?}");
    let table = run("kubectl", &["-n", "catalogue", "get", "pipelineruns"], &[0]);
    assert!(table.contains("Succeeded"), "{table}");
    run(
        "kubectl",
        &["-n", "catalogue", "wait", "--for=condition=Succeeded", "pipelinerun/objets", "--timeout=5s"],
        &[0],
    );
    delete_run(client, "catalogue", "objets", LIMIT).await;
    let bootstrap = variable("KAFKA", "`make cluster-up` writes it");
    assert_eq!(topics(&bootstrap, "orchestrator.catalogue."), Vec::<String>::new());
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), "catalogue");
    assert_eq!(deployments.list(&ListParams::default()).await.unwrap().items.len(), 0);
    delete_namespace("catalogue");
}

/// Object, attempt, outcome and root cause: what must not depend on where a run ran.
type Outcome = BTreeSet<(String, i64, String, String)>;

fn outcome(resource: &Value) -> (String, Value, Outcome) {
    let status = &resource["status"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let objects = status["objects"].as_array().unwrap().iter().map(|object| {
        let attempt = object["attempt"].as_i64().unwrap();
        (text(&object["id"]), attempt, text(&object["phase"]), text(&object["rootCause"]))
    });
    (text(&status["phase"]), status["counts"].clone(), objects.collect())
}

pub(crate) async fn one_manifest_ends_the_same_three_ways(client: &Client) {
    let file = "examples/objects/failing.yaml";
    let bootstrap = variable("KAFKA", "`make cluster-up` writes it");
    let memory = json("orch", &["run", file, "-o", "json"], &[1]);
    let kafka = json("orch", &["run", file, "--kafka", &bootstrap, "-o", "json"], &[1]);
    namespace(client, "threeways").await;
    run("kubectl", &["-n", "threeways", "apply", "-f", file], &[0]);
    let name = memory["metadata"]["name"].as_str().unwrap();
    wait_for_end(client, "threeways", name, LIMIT).await;
    let cluster = json("kubectl", &["-n", "threeways", "get", "pipelinerun", name, "-o", "json"], &[0]);
    assert_eq!(outcome(&memory), outcome(&kafka), "in memory and over Kafka");
    assert_eq!(outcome(&memory), outcome(&cluster), "in memory and in the cluster");
    assert_eq!(
        topics(&bootstrap, "orchestrator.local."),
        Vec::<String>::new(),
        "a local run leaves no topic"
    );
    delete_namespace("threeways");
}
