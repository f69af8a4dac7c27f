//! A stage that scales down: the pod that works stays.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt};
use orch_crds::status::{ObjectPhase, PipelineRunStatus, RunPhase};
use orch_e2e::api::{create_run, namespace, until, wait_for, wait_for_end};

use crate::command::delete_namespace;

const LIMIT: Duration = Duration::from_mins(2);
const COST: &str = "controller.kubernetes.io/pod-deletion-cost";
/// The first two bring two pods up, which share the partitions then; of the other two each pod gets one.
const MANIFEST: &str = "
apiVersion: kafka-orchestrator.dev/v1alpha1
kind: PipelineRun
metadata: {name: two}
spec:
  stages:
  - name: work
    partitions: 2
    worker: {concurrency: 1, maxReplicas: 2, idleSeconds: 7}
    processor: {simulate: {duration: 6s}}
  objects:
  - {id: one}
  - {id: other}
  - {id: short, dependsOn: [one, other], processor: {simulate: {duration: 1s}}}
  - {id: long, dependsOn: [one, other], processor: {simulate: {duration: 16s}}}
";

pub(crate) async fn the_pod_that_works_stays_when_a_stage_scales_down(client: &Client) {
    namespace(client, "scale").await;
    create_run(client, "scale", MANIFEST).await;
    let at_work = |status: &PipelineRunStatus| worker(status, "long").is_some();
    let seen = wait_for(client, "scale", "two", ("at work", LIMIT), at_work).await.status.unwrap();
    let busy = worker(&seen, "long").unwrap();
    let pods: Api<Pod> = Api::namespaced(client.clone(), "scale");
    // Those that are not being deleted, with what their deletion costs.
    let stay = async || {
        let pods = pods.list(&ListParams::default()).await.unwrap().items;
        let stay = pods.iter().filter(|pod| pod.metadata.deletion_timestamp.is_none());
        stay.map(|pod| (pod.name_any(), pod.annotations().get(COST).cloned())).collect::<Vec<_>>()
    };
    assert_eq!(stay().await.len(), 2);
    let one_stays = async || match &stay().await[..] {
        [one] => Ok(one.clone()),
        more => Err(format!("{more:?}")),
    };
    assert_eq!(until("one pod stays", LIMIT, one_stays).await, (busy.clone(), Some("1".to_owned())));
    let status = wait_for_end(client, "scale", "two", LIMIT).await.status.unwrap();
    assert_eq!(status.phase, RunPhase::Succeeded);
    let object = status.objects.iter().find(|object| object.id == "long").unwrap();
    assert_eq!((object.attempt, object.worker.as_deref()), (1, Some(busy.as_str())));
    delete_namespace("scale");
}

/// Who works on an object now.
fn worker(status: &PipelineRunStatus, id: &str) -> Option<String> {
    let object = status.objects.iter().find(|object| object.id == id)?;
    object.worker.clone().filter(|_| object.phase == ObjectPhase::Running)
}
