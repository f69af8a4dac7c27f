//! Which pods go first when a stage needs fewer: those that do nothing. Kubernetes deletes the pod with the lowest
//! cost first, so a pod that works costs as much as it has in hand.

use std::collections::BTreeMap;

use futures::stream::{self, StreamExt};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{ListParams, Patch, PatchParams};
use kube::{Api, Client, Resource, ResourceExt};
use orch_core::id::StageName;
use serde_json::json;
use tracing::warn;

use super::StageSet;
use super::apply::selector;
use crate::error::found;

const COST: &str = "controller.kubernetes.io/pod-deletion-cost";
/// Pods that are written at the same time.
const CONCURRENCY: usize = 16;

/// Writes down what each pod of a stage has in hand; `busy` says it by pod. Best effort, as the deletion itself: a
/// worker that has to go ends what it has begun.
pub(crate) async fn spare_the_busy(
    client: &Client,
    set: &StageSet,
    stage: &StageName,
    busy: &BTreeMap<String, u32>,
) {
    let pods: Api<Pod> = Api::namespaced(client.clone(), &set.namespace);
    let listed =
        match pods.list_metadata(&ListParams::default().labels(&selector(&set.name, Some(stage)))).await {
            Ok(listed) => listed,
            Err(error) => return warn!(set = %set.name, %stage, %error, "the pods were not listed"),
        };
    let writes: Vec<(String, u32)> =
        listed.items.iter().filter_map(|pod| Some((pod.name_any(), new_cost(pod, busy)?))).collect();
    let writes = writes.into_iter().map(|(name, cost)| write(pods.clone(), name, cost));
    stream::iter(writes).buffer_unordered(CONCURRENCY).collect::<()>().await;
}

async fn write(pods: Api<Pod>, name: String, cost: u32) {
    let patch = Patch::Merge(json!({"metadata": {"annotations": {COST: cost.to_string()}}}));
    // One that has gone meanwhile need not be spared.
    if let Err(error) = found(pods.patch_metadata(&name, &PatchParams::default(), &patch).await) {
        warn!(pod = %name, %error, "the cost of the pod was not written");
    }
}

/// What has to be written on a pod; `None` when it stands there.
fn new_cost(pod: &impl Resource, busy: &BTreeMap<String, u32>) -> Option<u32> {
    let cost = busy.get(&pod.name_any()).copied().unwrap_or(0);
    let stands = pod.annotations().get(COST).map_or("0", String::as_str);
    (stands != cost.to_string()).then_some(cost)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(name: &str, cost: Option<&str>) -> Pod {
        let annotations = cost.map(|cost| BTreeMap::from([(COST.to_owned(), cost.to_owned())]));
        let metadata =
            kube::api::ObjectMeta { name: Some(name.to_owned()), annotations, ..Default::default() };
        Pod { metadata, ..Pod::default() }
    }

    #[test]
    fn only_what_has_changed_is_written() {
        let busy = BTreeMap::from([("a".to_owned(), 2)]);
        assert_eq!(new_cost(&pod("a", None), &busy), Some(2));
        assert_eq!(new_cost(&pod("a", Some("2")), &busy), None);
        assert_eq!(new_cost(&pod("b", None), &busy), None, "no annotation costs nothing");
        assert_eq!(new_cost(&pod("b", Some("3")), &busy), Some(0), "it has ended what it had");
    }
}
