//! The topics of a local run, as the operator would make them.

use orch_bus::TopicSpec;
use orch_core::id::RunUid;
use orch_core::plan::RunPlan;
use orch_runner::topics;
use orch_wire::{TopicNames, TopicPrefix};

/// The namespace in the names of a local run's topics.
const NAMESPACE: &str = "local";

/// The names of the topics of a run.
pub(super) fn names(run: &str, uid: &RunUid) -> TopicNames {
    TopicNames::new(&TopicPrefix::default(), NAMESPACE, &TopicNames::inline_name(run, uid))
}

/// The topics of a run.
pub(super) fn specs(names: &TopicNames, plan: &RunPlan) -> Vec<TopicSpec> {
    topics(names, plan.stages.iter().map(|stage| (&stage.name, stage.partitions)))
}
