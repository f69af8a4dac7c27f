//! The topics of a local run, as the operator would make them.

use orch_bus::TopicSpec;
use orch_core::id::RunUid;
use orch_core::plan::RunPlan;
use orch_wire::{TopicNames, TopicPrefix};

/// The namespace in the names of a local run's topics.
const NAMESPACE: &str = "local";

/// The names of the topics of a run.
pub(super) fn names(run: &str, uid: &RunUid) -> TopicNames {
    TopicNames::new(&TopicPrefix::default(), NAMESPACE, &TopicNames::inline_name(run, uid))
}

/// The topics of a run.
pub(super) fn specs(names: &TopicNames, plan: &RunPlan) -> Vec<TopicSpec> {
    let spec = |name: String, partitions: u16, config: Vec<(&'static str, String)>| TopicSpec {
        name,
        partitions: i32::from(partitions),
        replication_factor: None,
        config,
    };
    let log =
        || vec![("message.timestamp.type", "LogAppendTime".to_owned()), ("retention.ms", "-1".to_owned())];
    let mut specs: Vec<TopicSpec> =
        plan.stages.iter().map(|stage| spec(names.ready(&stage.name), stage.partitions, log())).collect();
    specs.push(spec(names.events(), 1, log()));
    specs.push(spec(names.control(), 1, vec![("cleanup.policy", "compact".to_owned())]));
    specs
}
