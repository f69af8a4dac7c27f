//! `orch-operator leave`: what an uninstall does first. Afterwards nobody takes finalizers away or deletes topics, so
//! that it is done now: nothing may hang in `Terminating` for want of an operator.
//!
//! Runs that have ended and whatever is being deleted lose their workers and topics. Live runs and Pipelines lose their
//! workers and keep their topics: these are the record, and an operator that is installed again goes on from there.

use std::time::Duration;

use futures::stream::{self, StreamExt, TryStreamExt};
use k8s_openapi::api::apps::v1::Deployment;
use kube::api::{ListParams, Patch, PatchParams};
use kube::{Api, Client};
use orch_crds::{Pipeline, PipelineRun};
use orch_wire::TopicPrefix;
use serde_json::json;
use tokio::time::Instant;
use tracing::{info, warn};

use crate::api_server::ApiServer;
use crate::config::Config;
use crate::connection::Connections;
use crate::error::{found, is_conflict};
use crate::finalizer::{self, Finalized, is_held};
use crate::guarded::Guarded;
use crate::lease;
use crate::removal::{self, Left, left_behind};
use crate::stages::{StageSet, stop_workers};

/// The operator has so long to stop and to give the Lease back.
const HANDOVER: Duration = Duration::from_mins(1);
/// Resources of one page: each may be large.
const PAGE: u32 = 50;
/// Resources that are worked on at the same time.
const CONCURRENCY: usize = 8;

/// Leaves. `deployment` is the operator's own, which is stopped first.
pub(crate) async fn leave(
    ApiServer { client, lease }: ApiServer,
    config: &Config,
    connections: Connections,
    deployment: Option<&str>,
) -> Result<(), String> {
    let refused = |error: kube::Error| format!("the API server: {error}");
    if let Some(name) = deployment {
        let deployments: Api<Deployment> = Api::namespaced(client.clone(), &config.pod_namespace);
        let none = Patch::Merge(json!({"spec": {"replicas": 0}}));
        found(deployments.patch_scale(name, &PatchParams::default(), &none).await).map_err(refused)?;
        info!(deployment = name, "the operator is being stopped");
    }
    let lease = lease::hold(&lease, config);
    let lease = tokio::time::timeout(HANDOVER, lease).await;
    let lease = lease.map_err(|_| "an operator still leads: stop it first".to_owned())?;
    let until = Instant::now() + config.finalizer_deadline;
    let sweep = Sweep { client, connections, prefix: config.topic_prefix.clone(), until };
    for scope in config.scopes() {
        sweep.all(&scope.api::<Guarded<PipelineRun>>(&sweep.client)).await.map_err(refused)?;
        sweep.all(&scope.api::<Guarded<Pipeline>>(&sweep.client)).await.map_err(refused)?;
        info!(?scope, "nothing is held any more");
    }
    lease.release().await;
    Ok(())
}

/// What an uninstall has to know of a resource.
trait Leaves: Finalized {
    /// Its own stages.
    fn set(&self, prefix: &TopicPrefix) -> Option<StageSet>;
    /// Whether its topics are needed no more.
    fn is_over(&self) -> bool;
}

/// What cannot be read has nothing of ours but a finalizer.
impl<K: Leaves> Leaves for Guarded<K> {
    fn set(&self, prefix: &TopicPrefix) -> Option<StageSet> {
        self.0.as_ref().ok()?.set(prefix)
    }

    fn is_over(&self) -> bool {
        self.0.as_ref().map_or(true, |resource| resource.is_over())
    }
}

impl Leaves for PipelineRun {
    fn set(&self, prefix: &TopicPrefix) -> Option<StageSet> {
        StageSet::of_run(self, prefix)
    }

    fn is_over(&self) -> bool {
        self.status.as_ref().is_some_and(|status| status.completion_time.is_some())
    }
}

impl Leaves for Pipeline {
    fn set(&self, prefix: &TopicPrefix) -> Option<StageSet> {
        StageSet::of_pipeline(self, prefix)
    }

    fn is_over(&self) -> bool {
        false
    }
}

struct Sweep {
    client: Client,
    connections: Connections,
    prefix: TopicPrefix,
    /// Workers and topics are waited for until then.
    until: Instant,
}

impl Sweep {
    /// Lets all resources of a kind go.
    async fn all<K: Leaves + Send + Sync + 'static>(&self, api: &Api<K>) -> Result<(), kube::Error> {
        // What somebody changed meanwhile is read again.
        while self.pass(api).await? > 0 {}
        Ok(())
    }

    /// Looks at each once; says how many have to be looked at again.
    async fn pass<K: Leaves + Send + Sync + 'static>(&self, api: &Api<K>) -> Result<usize, kube::Error> {
        let mut again = 0;
        let mut page = ListParams::default().limit(PAGE);
        loop {
            // Without the definition there is no resource.
            let Some(list) = found(api.list(&page).await)? else { return Ok(0) };
            let held = list.items.into_iter().filter(is_held);
            let left = stream::iter(held).map(|resource| async move { self.let_go(&resource).await });
            let left: Vec<bool> = left.buffer_unordered(CONCURRENCY).try_collect().await?;
            again += left.iter().filter(|gone| !**gone).count();
            match list.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => page = page.continue_token(&token),
                None => return Ok(again),
            }
        }
    }

    /// Lets one go. False: it has changed meanwhile.
    async fn let_go<K: Leaves>(&self, resource: &K) -> Result<bool, kube::Error> {
        if let Some(set) = resource.set(&self.prefix) {
            if resource.is_over() || resource.meta().deletion_timestamp.is_some() {
                self.remove(&set).await?;
            } else {
                stop_workers(&self.client, &set).await?;
                info!(set = %set.name, topics = %set.names, "its workers are stopped, its topics stay");
            }
        }
        match finalizer::let_go(&self.client, resource).await {
            Ok(()) => Ok(true),
            Err(error) if is_conflict(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn remove(&self, set: &StageSet) -> Result<(), kube::Error> {
        loop {
            let late = Instant::now() >= self.until;
            match removal::remove(&self.client, &self.connections, set, late).await? {
                Left::Nothing => {
                    info!(set = %set.name, "removed");
                    return Ok(());
                }
                Left::Topics(problem) if late => {
                    warn!(set = %set.name, note = left_behind(set, &problem), "the deadline has passed");
                    return Ok(());
                }
                Left::Workers | Left::Topics(_) => tokio::time::sleep(removal::AGAIN).await,
            }
        }
    }
}
