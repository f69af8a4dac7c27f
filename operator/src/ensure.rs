//! Brings a set of stages into being: connection, topics, and whoever drives it. Runs and Pipelines both come here.

use std::sync::Arc;

use orch_bus::{Bus, BusError, TopicMismatch};
use orch_core::id::Epoch;
use orch_crds::condition::topics_ready as reasons;
use orch_runner::{Notice, Outlets};
use tokio::sync::mpsc;
use tracing::warn;

use crate::connection;
use crate::context::Context;
use crate::outage;
use crate::run::{Error, Missing, kafka, topics_condition};
use crate::stages::{Drive, SetHandle, StageSet, TopicDefaults, WorkerDefaults, build, check_topics};
use crate::status::Condition;

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
}

/// Checks connection and topics, and drives the set.
pub(crate) async fn ensure(
    context: &Arc<Context>,
    set: StageSet,
    known_epoch: Epoch,
) -> Result<Result<Ensured, NotEnsured>, Error> {
    let own = context.connections.own();
    let files = match kafka(&context.client, &set.namespace, set.secret.as_deref(), own).await? {
        Ok(files) => files,
        Err(missing) => return Ok(Err(NotEnsured::Missing(missing))),
    };
    let bus = match context.connections.bus(&files) {
        Ok(bus) => bus,
        Err(error) => return Ok(Err(NotEnsured::Topics(condition(&error, &set)))),
    };
    let config = &context.config;
    let defaults = TopicDefaults {
        replication_factor: config.replication_factor,
        min_insync_replicas: config.min_insync_replicas,
    };
    match check_topics(&*bus, &set, defaults).await {
        Ok(mismatches) if mismatches.is_empty() => {}
        Ok(mismatches) => return Ok(Err(NotEnsured::Topics(mismatch(&mismatches)))),
        Err(error) => return Ok(Err(NotEnsured::Topics(condition(&error, &set)))),
    }
    let drive = || {
        let workers = WorkerDefaults {
            image: config.worker_image.clone(),
            pull_policy: config.worker_image_pull_policy.clone(),
            log: config.log.clone(),
            bootstrap_servers: connection::servers(&files),
        };
        let (servers, own) = (workers.bootstrap_servers.clone(), set.clone());
        let describe =
            move |reason| condition(&BusError::Unreachable { servers: servers.clone(), reason }, &own);
        Drive {
            client: context.client.clone(),
            prepared: build(&set, &files, &workers),
            outage: outage::follow(bus.clone(), describe),
            bus: bus.clone(),
            window: config.stage_window,
            leader: config.identity(),
            known_epoch,
            outlets: Outlets {
                stats: context.metrics.stats().clone(),
                notices: notices(context.clone(), &set),
            },
        }
    };
    match context.registry.ensure(set.clone(), drive).await {
        Ok(handle) => Ok(Ok(Ensured { handle, bus })),
        Err(error) => Ok(Err(NotEnsured::Topics(condition(&error, &set)))),
    }
}

/// What the bus said, as the condition `TopicsReady`, and what to do about it.
pub(crate) fn condition(error: &BusError, set: &StageSet) -> Condition {
    let place = match &set.secret {
        Some(name) => format!("the Secret `{name}`"),
        None => "the operator's own connection".to_owned(),
    };
    let (reason, remedy) = match error {
        BusError::Unreachable { reason, .. } if is_refusal(reason) => (
            reasons::KAFKA_AUTHENTICATION_FAILED,
            format!("; correct user, password or certificates in {place}"),
        ),
        BusError::Unreachable { .. } => (
            reasons::KAFKA_UNREACHABLE,
            format!("; everything goes on when it answers. `bootstrap.servers` stands in {place}"),
        ),
        BusError::UnknownTopic(_) | BusError::MissingTopics(_) => {
            (reasons::TOPIC_NOT_FOUND, "; the operator creates none here: create what is missing".to_owned())
        }
        BusError::Denied(_) => (reasons::KAFKA_NOT_AUTHORIZED, format!("; allow it to the user of {place}")),
        BusError::TooLarge(_) | BusError::Config(_) | BusError::Other(_) => {
            (reasons::TOPIC_REFUSED, String::new())
        }
    };
    topics_condition(reason, format!("{error}{remedy}"))
}

/// librdkafka has no code for "the broker knows you not": its texts do.
fn is_refusal(reason: &str) -> bool {
    ["authentication", "Authentication", "certificate", "credentials", "SSL handshake"]
        .iter()
        .any(|word| reason.contains(word))
}

fn mismatch(mismatches: &[TopicMismatch]) -> Condition {
    let lines: Vec<String> = mismatches
        .iter()
        .map(|m| format!("topic `{}`: {} is {}, it should be {}", m.topic, m.setting, m.actual, m.wanted))
        .collect();
    topics_condition(reasons::TOPIC_MISMATCH, lines.join("; "))
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
