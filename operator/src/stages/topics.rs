//! The topics of a set of stages: what they shall be, checked against what they are.

use orch_bus::{Bus, BusError, TopicMismatch, TopicSpec};
use orch_crds::pipeline::DeletionPolicy;

use super::StageSet;

/// What the operator's settings say of every topic.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct TopicDefaults {
    pub(crate) replication_factor: Option<i32>,
    pub(crate) min_insync_replicas: Option<i32>,
}

/// The topics that a set needs.
pub(crate) fn specs(set: &StageSet, defaults: TopicDefaults) -> Vec<TopicSpec> {
    let spec = |name: String, partitions: i32, mut config: Vec<(&'static str, String)>| {
        config.extend(defaults.min_insync_replicas.map(|min| ("min.insync.replicas", min.to_string())));
        TopicSpec { name, partitions, replication_factor: defaults.replication_factor, config }
    };
    // The time of an event is the broker's: workers' clocks decide nothing. Nothing is thrown away by age.
    let log =
        || vec![("message.timestamp.type", "LogAppendTime".to_owned()), ("retention.ms", "-1".to_owned())];
    let mut specs: Vec<TopicSpec> = set
        .stage_topics()
        .iter()
        .map(|(stage, partitions)| spec(set.names.ready(stage), i32::from(*partitions), log()))
        .collect();
    specs.push(spec(set.names.events(), 1, log()));
    specs.push(spec(set.names.control(), 1, vec![("cleanup.policy", "compact".to_owned())]));
    specs
}

/// Creates what is missing, where the set wants that, and says what differs.
pub(crate) async fn check(
    bus: &dyn Bus,
    set: &StageSet,
    defaults: TopicDefaults,
) -> Result<Vec<TopicMismatch>, BusError> {
    bus.ensure_topics(&specs(set, defaults), set.create_topics).await
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
