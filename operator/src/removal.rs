//! The end of a resource: the workers of its stages, then their topics. A deadline sees to it that no namespace hangs on
//! us.

use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use kube::runtime::controller::Action;
use kube::runtime::events::EventType;
use kube::{Client, Resource};
use tracing::{info, warn};

use crate::connection::{self, Connections};
use crate::context::Context;
use crate::error::Error;
use crate::finalizer::{self, Finalized, is_held};
use crate::stages::{SetKey, StageSet, delete_topics, delete_workers};

/// What is not gone yet is looked at again after this.
pub(crate) const AGAIN: Duration = Duration::from_secs(1);

/// The resource of a set of stages is going: what was made for it goes first.
pub(crate) async fn finalize<K: Finalized>(
    context: &Context,
    resource: &K,
    set: StageSet,
) -> Result<Action, Error> {
    // First of all: from here on nothing is made for it any more.
    context.registry.drop_set(&SetKey::of_set(&set)).await;
    if !is_held(resource) {
        return Ok(Action::await_change());
    }
    let late = waited(resource) >= context.config.finalizer_deadline;
    match remove(&context.client, &context.connections, &set, late).await? {
        Left::Nothing => {}
        Left::Workers => return Ok(Action::requeue(AGAIN)),
        Left::Topics(problem) if !late => {
            warn!(set = %set.name, %problem, "the topics are not deleted yet");
            return Ok(Action::requeue(AGAIN));
        }
        Left::Topics(problem) => {
            let note = left_behind(&set, &problem);
            warn!(set = %set.name, %note, "the deadline has passed");
            context.tell(&resource.object_ref(&()), EventType::Warning, "TopicsLeftBehind", &note).await;
        }
    }
    finalizer::let_go(&context.client, resource).await?;
    info!(set = %set.name, "deleted");
    Ok(Action::await_change())
}

/// What is left of a set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Left {
    /// Nothing.
    Nothing,
    /// Pods that are still ending; the topics were not looked at. Not when it is late.
    Workers,
    /// Topics, and why.
    Topics(String),
}

/// Deletes the workers of a set and, when their pods are gone or it is `late`, its topics. To be called until nothing is
/// left.
pub(crate) async fn remove(
    client: &Client,
    connections: &Connections,
    set: &StageSet,
    late: bool,
) -> Result<Left, kube::Error> {
    match delete_workers(client, set).await {
        Ok(true) => {}
        // What a worker still does for a run that is gone is of no use to anybody: its topics need not wait for it for
        // ever, nor for an API server that refuses.
        Ok(false) | Err(_) if late => {}
        Ok(false) => return Ok(Left::Workers),
        Err(error) => return Err(error),
    }
    let files = match connection::of_set(client, connections, set).await {
        Ok(Ok(files)) => files,
        Ok(Err(missing)) => return Ok(Left::Topics(missing.message)),
        Err(error) if late => return Ok(Left::Topics(error.to_string())),
        Err(error) => return Err(error),
    };
    let deleted = match connections.bus(&files) {
        Ok(bus) => delete_topics(&*bus, set).await,
        Err(error) => Err(error),
    };
    Ok(deleted.err().map_or(Left::Nothing, |error| Left::Topics(error.to_string())))
}

/// What a person has to know of what is left when nobody waits any longer.
pub(crate) fn left_behind(set: &StageSet, problem: &str) -> String {
    format!("topics {} may be left behind: {problem}", set.names)
}

/// How long the resource has been going.
fn waited<K: Resource>(resource: &K) -> Duration {
    let Some(since) = resource.meta().deletion_timestamp.as_ref() else { return Duration::ZERO };
    Timestamp::now().duration_since(since.0).try_into().unwrap_or(Duration::ZERO)
}
