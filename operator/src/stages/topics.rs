//! The topics of a set of stages: what they shall be, checked against what they are.

use orch_bus::{Bus, BusError, TopicSpec};
use orch_crds::pipeline::DeletionPolicy;
use orch_runner::topics;

use super::StageSet;
use crate::status::Condition;

/// What the operator's settings say of every topic.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct TopicDefaults {
    pub(crate) replication_factor: Option<i32>,
    pub(crate) min_insync_replicas: Option<i32>,
}

/// The topics that a set needs.
pub(crate) fn specs(set: &StageSet, defaults: TopicDefaults) -> Vec<TopicSpec> {
    let stages = set.stage_topics();
    let mut specs = topics(&set.names, stages.iter().map(|(stage, partitions)| (stage, *partitions)));
    for spec in &mut specs {
        spec.replication_factor = defaults.replication_factor;
        let min = defaults.min_insync_replicas.map(|min| ("min.insync.replicas", min.to_string()));
        spec.config.extend(min);
    }
    specs
}

/// Why topics are not ready.
pub(crate) enum Unready {
    /// These are not there.
    Missing(Vec<String>),
    /// Something else, which waits for a person or for Kafka.
    Wrong(Condition),
}

impl Unready {
    /// As people are told.
    pub(crate) fn into_condition(self) -> Condition {
        match self {
            Self::Missing(topics) => Condition::of_bus(&BusError::MissingTopics(topics), None),
            Self::Wrong(condition) => condition,
        }
    }
}

/// Compares the topics of a set with what they shall be; with `create` those that are missing are created, where the set
/// wants that.
pub(crate) async fn check(
    bus: &dyn Bus,
    set: &StageSet,
    defaults: TopicDefaults,
    create: bool,
) -> Result<(), Unready> {
    match bus.ensure_topics(&specs(set, defaults), create && set.create_topics).await {
        Ok(mismatches) if mismatches.is_empty() => Ok(()),
        Ok(mismatches) => Err(Unready::Wrong(Condition::of_mismatches(&mismatches))),
        Err(BusError::MissingTopics(topics)) => Err(Unready::Missing(topics)),
        Err(error) => Err(Unready::Wrong(Condition::of_bus(&error, set.secret.as_deref()))),
    }
}

/// Deletes the topics of a set that go with it, and looks once again: a worker or a producer that was slow to end
/// may have made one anew where the broker creates topics by itself.
pub(crate) async fn delete(bus: &dyn Bus, set: &StageSet) -> Result<(), BusError> {
    if set.deletion_policy == DeletionPolicy::Retain || !set.create_topics {
        return Ok(());
    }
    let names: Vec<String> =
        specs(set, TopicDefaults::default()).into_iter().map(|topic| topic.name).collect();
    bus.delete_topics(&names).await?;
    bus.delete_topics(&names).await
}
