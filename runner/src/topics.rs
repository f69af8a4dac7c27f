//! The topics that an actor and its workers need.

use orch_bus::TopicSpec;
use orch_core::id::StageName;
use orch_wire::TopicNames;

/// The topics of these stages, each with the partitions of its ready topic, as the contract wants them.
pub fn topics<'a>(
    names: &TopicNames,
    stages: impl IntoIterator<Item = (&'a StageName, u16)>,
) -> Vec<TopicSpec> {
    let spec = |name: String, partitions: u16, config| TopicSpec {
        name,
        partitions: i32::from(partitions),
        replication_factor: None,
        config,
    };
    // The time of an event is the broker's: workers' clocks decide nothing. Nothing is thrown away by age.
    let log =
        || vec![("message.timestamp.type", "LogAppendTime".to_owned()), ("retention.ms", "-1".to_owned())];
    let ready = stages.into_iter().map(|(stage, partitions)| spec(names.ready(stage), partitions, log()));
    let mut specs: Vec<TopicSpec> = ready.collect();
    specs.push(spec(names.events(), 1, log()));
    specs.push(spec(names.control(), 1, vec![("cleanup.policy", "compact".to_owned())]));
    specs
}
