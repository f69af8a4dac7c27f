//! Brings a set of stages into being: connection, topics, and whoever drives it. Runs and Pipelines both come here.

use std::sync::Arc;
use std::time::Duration;

use kube::api::ListParams;
use kube::{Api, Client, ResourceExt};
use orch_bus::{Bus, BusError};
use orch_core::id::Epoch;
use orch_crds::PipelineRun;
use orch_crds::condition::accepted;
use orch_runner::{Notice, Outlets};
use tokio::sync::mpsc;
use tracing::{info, warn};

use crate::connection::{self, Files};
use crate::context::Context;
use crate::error::Error;
use crate::findings;
use crate::guarded::Guarded;
use crate::missing::Missing;
use crate::outage;
use crate::stages::{
    Drive, NotDriven, Prepared, SetHandle, SetKey, StageSet, TopicDefaults, Unready, WorkerDefaults, build,
    check_topics, owner_stays,
};
use crate::status::Condition;

/// What a Pipeline's runs need and is not there is looked for once more after this, before people are told that it is lost.
const SETTLE: Duration = Duration::from_secs(2);

/// A set that is driven.
pub(crate) struct Ensured {
    pub(crate) handle: Arc<SetHandle>,
    pub(crate) bus: Arc<dyn Bus>,
}

/// Why a set is not driven yet.
pub(crate) enum NotEnsured {
    /// Something that it names is not there.
    Missing(Missing),
    /// Kafka or its topics are not as they must be: the condition that says so.
    Topics(Condition),
    /// Another operator leads.
    Yielded(Epoch),
    /// Its owner is going, or does not hold the finalizer yet, or this operator leads no more: nothing may be made for it.
    Leaving,
}

/// The set as it is driven already, unchanged and over the same connection: nothing is made for it and nothing is looked
/// at, because many of its runs may come at once. The Pipeline itself looks at its topics again and again.
pub(crate) async fn driven(context: &Context, set: &StageSet) -> Result<Option<Ensured>, Error> {
    let Some(handle) = context.registry.get(&SetKey::of_set(set)).await else { return Ok(None) };
    let Ok(files) = connection::of_set(&context.client, &context.connections, set).await? else {
        return Ok(None);
    };
    let is_same = handle.is_driven_as(set, &files) && !handle.is_away();
    Ok(is_same.then(|| Ensured { bus: handle.bus.clone(), handle }))
}

/// Checks connection and topics, and drives the set.
///
/// The owner is looked at once more with the set's place in hand. Its deletion needs that place too, so it comes either
/// before, and is seen, or afterwards, and finds all that was made.
pub(crate) async fn ensure(
    context: &Arc<Context>,
    set: StageSet,
    known_epoch: Epoch,
) -> Result<Result<Ensured, NotEnsured>, Error> {
    let refused = |error: &BusError| NotEnsured::Topics(Condition::of_bus(error, set.secret.as_deref()));
    let files = match connection::of_set(&context.client, &context.connections, &set).await? {
        Ok(files) => files,
        Err(missing) => return Ok(Err(NotEnsured::Missing(missing))),
    };
    let bus = match context.connections.bus(&files) {
        Ok(bus) => bus,
        Err(error) => return Ok(Err(refused(&error))),
    };
    let workers = worker_defaults(context, &files);
    let servers = workers.bootstrap_servers.clone();
    // To ask again takes long, and others wait for this place among the reconciles.
    if let Some(reason) = bus.trouble() {
        return Ok(Err(refused(&BusError::Unreachable { servers, reason })));
    }
    let prepared = match build(&set, &files, &workers) {
        Ok(prepared) => prepared,
        Err(wrong) => {
            let (reason, message) = (accepted::POD_TEMPLATE_INVALID, findings::list(&wrong));
            return Ok(Err(NotEnsured::Missing(Missing { reason, message })));
        }
    };
    let defaults = TopicDefaults {
        replication_factor: context.config.replication_factor,
        min_insync_replicas: context.config.min_insync_replicas,
    };
    let mut is_missing = false;
    match check_topics(&*bus, &set, defaults, false).await {
        Ok(()) => {}
        Err(Unready::Missing(topics)) => {
            if let Some(condition) = lost_log(&context.client, &*bus, &set, &topics, known_epoch).await? {
                return Ok(Err(NotEnsured::Topics(condition)));
            }
            if !set.create_topics {
                return Ok(Err(refused(&BusError::MissingTopics(topics))));
            }
            is_missing = true;
        }
        Err(Unready::Wrong(condition)) => return Ok(Err(NotEnsured::Topics(condition))),
    }
    let mut place = context.registry.place(&SetKey::of_set(&set)).await;
    if !owner_stays(&context.client, &set).await? {
        info!(set = %set.name, "nothing is made: the owner is going, or is not held yet");
        return Ok(Err(NotEnsured::Leaving));
    }
    if is_missing && let Err(unready) = check_topics(&*bus, &set, defaults, true).await {
        return Ok(Err(NotEnsured::Topics(unready.into_condition())));
    }
    let means = Means { files: &files, servers, bus: bus.clone(), prepared };
    let ensured = place.ensure(&set, &files, || drive(context, &set, known_epoch, means)).await;
    Ok(match ensured {
        Ok(handle) => Ok(Ensured { handle, bus }),
        Err(NotDriven::Bus(error)) => Err(refused(&error)),
        Err(NotDriven::Yielded(epoch)) => Err(NotEnsured::Yielded(epoch)),
        Err(NotDriven::NotLeading) => Err(NotEnsured::Leaving),
    })
}

/// The topic with all that happened is not made a second time behind live runs: the condition that says so, when it is
/// among the missing ones.
async fn lost_log(
    client: &Client,
    bus: &dyn Bus,
    set: &StageSet,
    missing: &[String],
    known_epoch: Epoch,
) -> Result<Option<Condition>, kube::Error> {
    let log = set.names.events();
    if !missing.contains(&log) {
        return Ok(None);
    }
    let begun = if set.inline { Vec::new() } else { begun_in(client, set).await? };
    if known_epoch == 0 && begun.is_empty() {
        return Ok(None);
    }
    // A broker that has just started may not know yet what it has.
    tokio::time::sleep(SETTLE).await;
    Ok(match bus.bounds(&log).await {
        Ok(_) => None,
        Err(BusError::UnknownTopic(_)) => Some(Condition::of_lost_log(missing, &set.owner, &begun)),
        Err(error) => Some(Condition::of_bus(&error, set.secret.as_deref())),
    })
}

/// Live runs of a Pipeline that have begun.
async fn begun_in(client: &Client, set: &StageSet) -> Result<Vec<String>, kube::Error> {
    let runs: Api<Guarded<PipelineRun>> = Api::namespaced(client.clone(), &set.namespace);
    let has_begun = |run: &PipelineRun| {
        let is_of = run.spec.pipeline_ref.as_ref().is_some_and(|of| of.name == set.owner.name);
        let status = run.status.as_ref();
        is_of && status.is_some_and(|status| status.start_time.is_some() && status.completion_time.is_none())
    };
    // One that cannot be read has never begun.
    let all = runs.list(&ListParams::default()).await?.items.into_iter().filter_map(|run| run.0.ok());
    Ok(all.filter(|run| has_begun(run)).map(|run| run.name_any()).collect())
}

fn worker_defaults(context: &Context, files: &Files) -> WorkerDefaults {
    let config = &context.config;
    WorkerDefaults {
        image: config.worker_image(),
        pull_policy: config.worker_image_pull_policy.clone(),
        log: config.log.clone(),
        bootstrap_servers: connection::servers(files),
    }
}

/// What a set is driven by, checked.
struct Means<'f> {
    files: &'f Files,
    servers: String,
    bus: Arc<dyn Bus>,
    prepared: Prepared,
}

fn drive(context: &Arc<Context>, set: &StageSet, known_epoch: Epoch, means: Means<'_>) -> Drive {
    let Means { files, servers, bus, prepared } = means;
    let (config, secret) = (&context.config, set.secret.clone());
    let describe = move |reason| {
        let error = BusError::Unreachable { servers: servers.clone(), reason };
        Condition::of_bus(&error, secret.as_deref())
    };
    Drive {
        client: context.client.clone(),
        connection: files.clone(),
        prepared,
        outage: outage::follow(bus.clone(), describe),
        bus,
        window: config.stage_window,
        snapshots: config.snapshots(),
        leader: config.identity(),
        known_epoch,
        outlets: Outlets { stats: context.metrics.stats().clone(), notices: notices(context.clone(), set) },
    }
}

/// Tells people what the actor notices: an Event on the resource that owns the stages.
fn notices(context: Arc<Context>, set: &StageSet) -> mpsc::Sender<Notice> {
    // Small: a flood of bad records is one Event with a count.
    let (sender, mut receiver) = mpsc::channel(16);
    let about = k8s_openapi::api::core::v1::ObjectReference {
        api_version: Some(set.owner.api_version.clone()),
        kind: Some(set.owner.kind.clone()),
        name: Some(set.owner.name.clone()),
        namespace: Some(set.namespace.clone()),
        uid: Some(set.owner.uid.clone()),
        ..Default::default()
    };
    tokio::spawn(async move {
        while let Some(notice) = receiver.recv().await {
            let (reason, note) = match notice {
                Notice::BadRecord { offset, problem } => (
                    "BadRecord",
                    format!("the record at offset {offset} of the events topic is skipped: {problem}"),
                ),
                Notice::Undelivered { object, problem, .. } => {
                    ("Undelivered", format!("the ready record of {object} was not written: {problem}"))
                }
            };
            warn!(%reason, %note, "noticed");
            context.tell(&about, kube::runtime::events::EventType::Warning, reason, &note).await;
        }
    });
    sender
}
