//! How the workers of a set are, and the condition that says so. Pure.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use orch_core::id::StageName;
use orch_crds::condition::{types, workers_ready as reasons};

use crate::status::Condition;

/// What is known of the workers of a set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct WorkersState {
    pub(crate) stages: BTreeMap<StageName, StageHealth>,
    /// The API server refuses something, in its words.
    pub(crate) refused: Option<String>,
}

/// What is known of the workers of one stage.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct StageHealth {
    /// Replicas that its Deployment was asked for last.
    pub(crate) wanted: u32,
    pub(crate) ready: u32,
    /// Why pods do not become ready.
    pub(crate) problem: Option<String>,
}

impl WorkersState {
    /// The condition `WorkersReady`.
    pub(crate) fn condition(&self) -> Condition {
        let (status, reason, message) = self.judge();
        Condition::new(types::WORKERS_READY, status, reason, message)
    }

    fn judge(&self) -> (&'static str, &'static str, String) {
        if let Some(refused) = &self.refused {
            return ("False", reasons::DEPLOYMENT_REFUSED, refused.clone());
        }
        if self.stages.is_empty() {
            return ("True", reasons::EXTERNAL, String::new());
        }
        let waiting: Vec<_> = self.stages.iter().filter(|(_, health)| health.ready < health.wanted).collect();
        if waiting.is_empty() {
            let any = self.stages.values().any(|health| health.wanted > 0);
            return ("True", if any { reasons::READY } else { reasons::SCALED_TO_ZERO }, String::new());
        }
        let problems: Vec<String> = waiting
            .iter()
            .filter_map(|(stage, health)| Some(format!("stage {stage}: {}", health.problem.as_ref()?)))
            .collect();
        if problems.is_empty() {
            // Which stage it is changes with every scaling: the counts stand in status.stages.
            ("False", reasons::STARTING, "workers are on their way".to_owned())
        } else {
            ("False", reasons::PODS_NOT_READY, problems.join("; "))
        }
    }
}

/// Why a pod is not ready, in the kubelet's or the scheduler's words.
pub(super) fn pod_problem(pod: &Pod) -> Option<String> {
    let status = pod.status.as_ref()?;
    let containers =
        status.container_statuses.iter().flatten().chain(status.init_container_statuses.iter().flatten());
    let waiting = containers.filter_map(|container| {
        let waiting = container.state.as_ref()?.waiting.as_ref()?;
        let reason = waiting.reason.as_deref().filter(|reason| *reason != "ContainerCreating")?;
        let message = waiting.message.as_deref().unwrap_or_default();
        Some(format!("container {} of pod {}: {reason} {message}", container.name, pod.name_any()))
    });
    let unscheduled = status.conditions.iter().flatten().filter_map(|condition| {
        let refused = condition.type_ == "PodScheduled" && condition.status == "False";
        let message = condition.message.as_deref().unwrap_or("not scheduled");
        refused.then(|| format!("pod {}: {message}", pod.name_any()))
    });
    waiting.chain(unscheduled).next().map(|text| text.trim_end().to_owned())
}
