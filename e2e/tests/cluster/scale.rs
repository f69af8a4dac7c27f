//! A stage that scales down: the pod that works stays.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt};
use orch_crds::status::{ObjectPhase, PipelineRunStatus, RunPhase};
use orch_e2e::api::{create_run, namespace, until, wait_for, wait_for_end};

use crate::command::run;

const LIMIT: Duration = Duration::from_mins(2);
/// `younger` becomes ready when the pod of `older` has long been there, so that its own pod is the younger one: the one
/// that Kubernetes would rather delete.
const MANIFEST: &str = "
apiVersion: kafka-orchestrator.dev/v1alpha1
kind: PipelineRun
metadata: {name: two}
spec:
  stages:
  - {name: gate, processor: {simulate: {duration: 4s}}}
  - name: work
    partitions: 2
    worker: {concurrency: 1, maxReplicas: 2, idleSeconds: 1}
    processor: {simulate: {duration: 20s}}
  objects:
  - {id: older, stage: work}
  - {id: gate, stage: gate}
  - {id: younger, stage: work, dependsOn: [gate], processor: {simulate: {duration: 35s}}}
";

pub(crate) async fn the_pod_that_works_stays_when_a_stage_scales_down(client: &Client) {
    namespace(client, "scale").await;
    create_run(client, "scale", MANIFEST).await;
    let at_work = |status: &PipelineRunStatus| {
        [worker(status, "older"), worker(status, "younger")].iter().all(Option::is_some)
    };
    let seen = wait_for(client, "scale", "two", ("at work on both", LIMIT), at_work).await.status.unwrap();
    let (older, younger) = (worker(&seen, "older").unwrap(), worker(&seen, "younger").unwrap());
    assert_ne!(older, younger, "one object a pod");
    let pods: Api<Pod> = Api::namespaced(client.clone(), "scale");
    let stage = ListParams::default().labels("kafka-orchestrator.dev/stage=work");
    let one_stays = async || {
        let pods = pods.list(&stage).await.unwrap().items;
        let stay: Vec<_> = pods.iter().filter(|pod| pod.metadata.deletion_timestamp.is_none()).collect();
        match stay[..] {
            [pod] => Ok(pod.name_any()),
            _ => Err(format!("{} pods", stay.len())),
        }
    };
    assert_eq!(until("one pod stays", LIMIT, one_stays).await, younger);
    let status = wait_for_end(client, "scale", "two", LIMIT).await.status.unwrap();
    assert_eq!(status.phase, RunPhase::Succeeded);
    let object = status.objects.iter().find(|object| object.id == "younger").unwrap();
    assert_eq!((object.attempt, object.worker.as_deref()), (1, Some(younger.as_str())));
    run("kubectl", &["delete", "namespace", "scale", "--timeout=60s"], &[0]);
}

/// Who works on an object now.
fn worker(status: &PipelineRunStatus, id: &str) -> Option<String> {
    let object = status.objects.iter().find(|object| object.id == id)?;
    object.worker.clone().filter(|_| object.phase == ObjectPhase::Running)
}
