//! Leadership: one replica drives, the others stand by. The Lease is a hint; what fences is the term in the log.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, Client};
use kube_lease_manager::{LeaseManager, LeaseManagerBuilder};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::config::Config;
use crate::context::Context;
use crate::controller;

/// How often a replica looks whether the Lease is still what it was.
const LOOK: Duration = Duration::from_secs(2);

/// Takes part in the election until `stop`; drives while it leads.
pub(crate) async fn lead(context: Arc<Context>, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let candidate = tokio::select! {
            candidate = Candidate::stand(&context.lease, &context.config) => candidate,
            () = stop.cancelled() => return,
        };
        let Candidate { mut leading, task } = candidate;
        {
            // Gone with the block: the Lease is given back when nobody listens any more.
            let free = free(&context.lease, &context.config, leading.clone());
            tokio::pin!(free);
            while follow(&context, &mut leading, &stop, free.as_mut()).await {}
        }
        Candidate { leading, task }.release().await;
    }
}

/// Waits until the Lease is ours. While it is, no other operator drives.
pub(crate) async fn hold(client: &Client, config: &Config) -> Candidate {
    loop {
        let mut candidate = Candidate::stand(client, config).await;
        if candidate.leading.wait_for(|leads| *leads).await.is_ok() {
            return candidate;
        }
    }
}

/// A part in the election.
pub(crate) struct Candidate {
    leading: watch::Receiver<bool>,
    task: JoinHandle<kube_lease_manager::Result<LeaseManager>>,
}

impl Candidate {
    /// Stands; the API server may be away.
    async fn stand(client: &Client, config: &Config) -> Self {
        loop {
            let built = LeaseManagerBuilder::new(client.clone(), &config.lease_name)
                .with_namespace(lease_namespace(config))
                .with_identity(config.identity())
                .with_field_manager(config.identity())
                .with_duration(config.lease_seconds)
                // Renewed with a third of its time left.
                .with_grace((config.lease_seconds / 3).max(1))
                .build()
                .await;
            match built {
                Ok(manager) => {
                    let (leading, task) = manager.watch().await;
                    return Self { leading, task };
                }
                Err(error) => {
                    warn!(%error, lease = %config.lease_name, "the Lease cannot be read; tried again");
                    tokio::time::sleep(Duration::from_secs(2)).await;
                }
            }
        }
    }

    /// Gives the Lease back, so that the next leader need not wait.
    pub(crate) async fn release(mut self) {
        drop(self.leading);
        if tokio::time::timeout(Duration::from_secs(5), &mut self.task).await.is_err() {
            warn!("the Lease was not given back");
            self.task.abort();
        }
    }
}

/// Ends when there is a reason to stand anew: the Lease was deleted, and nobody else makes it again, or it was given back,
/// and whoever stands by would wait until it had run out.
async fn free(client: &Client, config: &Config, leading: watch::Receiver<bool>) {
    let leases: Api<Lease> = Api::namespaced(client.clone(), lease_namespace(config));
    loop {
        tokio::time::sleep(LOOK).await;
        // An API server that does not answer says nothing of the Lease.
        let Ok(lease) = leases.get_opt(&config.lease_name).await else { continue };
        let Some(lease) = lease else {
            return warn!(lease = %config.lease_name, "the Lease was deleted; it is made again");
        };
        let holder = lease.spec.and_then(|spec| spec.holder_identity).unwrap_or_default();
        if holder.is_empty() && !*leading.borrow() {
            return info!(lease = %config.lease_name, "the Lease was given back");
        }
    }
}

fn lease_namespace(config: &Config) -> &str {
    config.lease_namespace.as_deref().unwrap_or(&config.pod_namespace)
}

/// Waits for the lead, drives until it is lost. False: the election is over for this candidate, as when the Lease is free.
async fn follow(
    context: &Arc<Context>,
    leading: &mut watch::Receiver<bool>,
    stop: &CancellationToken,
    mut free: Pin<&mut impl Future<Output = ()>>,
) -> bool {
    info!("standing for the Lease");
    tokio::select! {
        leads = leading.wait_for(|leads| *leads) => if leads.is_err() { return false },
        () = free.as_mut() => return false,
        () = stop.cancelled() => return false,
    }
    info!("leading");
    context.metrics.leading(true);
    context.registry.lead();
    let drive = stop.child_token();
    let controllers = tokio::spawn(controller::watch(context.clone(), drive.clone()));
    let lost = tokio::select! {
        lost = leading.wait_for(|leads| !leads) => lost.is_ok(),
        () = free => false,
        () = stop.cancelled() => false,
    };
    if lost {
        warn!("the Lease was lost; standing by");
    }
    drive.cancel();
    context.writers.clear();
    context.registry.clear().await;
    if let Err(error) = controllers.await {
        warn!(%error, "the controllers ended");
    }
    // A reconcile that was under way may have begun a writer after the first clearing.
    context.writers.clear();
    context.metrics.leading(false);
    lost
}
