//! Whether the resource that owns a set of stages stays. Asked before anything is made for it: an answer from the cache
//! may be older than a deletion, and what is made after that is removed by nobody.

use kube::{Api, Client, Resource};
use orch_crds::{Pipeline, PipelineRun};

use super::StageSet;
use crate::finalizer::{Finalized, is_held};

/// Whether the owner is there, is the same, holds our finalizer and is not being deleted. Then a deletion that comes
/// later waits for us.
pub(crate) async fn stays(client: &Client, set: &StageSet) -> Result<bool, kube::Error> {
    if set.inline { ask::<PipelineRun>(client, set).await } else { ask::<Pipeline>(client, set).await }
}

async fn ask<K: Finalized>(client: &Client, set: &StageSet) -> Result<bool, kube::Error> {
    let api: Api<K> = Api::namespaced(client.clone(), &set.namespace);
    let owner = api.get_metadata_opt(&set.owner.name).await?;
    Ok(owner.is_some_and(|owner| is_kept(&owner, &set.owner.uid)))
}

fn is_kept(owner: &impl Resource, uid: &str) -> bool {
    owner.meta().uid.as_deref() == Some(uid) && owner.meta().deletion_timestamp.is_none() && is_held(owner)
}
