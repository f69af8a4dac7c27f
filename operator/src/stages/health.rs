//! How the workers of a set are, and the condition that says so. Pure.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::Deployment;
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
    /// Whether a stage has workers of ours and none of them is ready.
    pub(crate) fn nobody_works_on(&self, stage: &str) -> bool {
        self.stages.iter().any(|(name, health)| name.as_str() == stage && health.ready == 0)
    }

    /// The same when no worker is wanted any more.
    pub(crate) fn at_rest(&self) -> Self {
        let stages = self.stages.keys().map(|stage| (stage.clone(), StageHealth::default())).collect();
        Self { stages, refused: None }
    }

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

/// Why the pods of a Deployment are not there, in the words of its controller: a quota or an admission refuses them.
pub(super) fn failure(deployment: &Deployment) -> Option<String> {
    let conditions = deployment.status.as_ref()?.conditions.iter().flatten();
    let is = |field: &Option<String>, value| field.as_deref() == Some(value);
    let mut failures = conditions.filter(|c| is(&c.type_, "ReplicaFailure") && is(&c.status, "True"));
    failures.next().and_then(|failure| failure.message.clone())
}

/// What is to be said of pods that have not become ready for a long time, when nobody gives a reason.
pub(super) fn no_reason(pods: &[Pod], deployment: &str) -> String {
    match pods.first() {
        None => format!("no pod is made: `kubectl describe deployment {deployment}` may say why"),
        Some(pod) => {
            let name = pod.name_any();
            format!("pod {name} is not ready: `kubectl describe pod {name}` may say why")
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn state(wanted: u32, ready: u32) -> WorkersState {
        let health = StageHealth { wanted, ready, problem: None };
        WorkersState { stages: BTreeMap::from([(StageName::parse("work").unwrap(), health)]), refused: None }
    }

    /// A run that had succeeded said for ever that its workers were on their way.
    #[test]
    fn a_run_that_is_over_waits_for_no_workers() {
        assert_eq!(state(2, 1).condition().reason, reasons::STARTING);
        assert_eq!(state(2, 1).at_rest().condition().reason, reasons::SCALED_TO_ZERO);
        assert_eq!(WorkersState::default().at_rest().condition().reason, reasons::EXTERNAL);
    }

    /// The pods were refused by a quota, and people were told to wait.
    #[test]
    fn pods_that_are_never_made_have_the_reason_of_their_deployment() {
        let condition =
            |type_: &str, status: &str| json!({"type": type_, "status": status, "message": type_});
        let of = |conditions: serde_json::Value| {
            failure(&serde_json::from_value(json!({"status": {"conditions": conditions}})).unwrap())
        };
        let progressing = condition("Progressing", "True");
        assert_eq!(of(json!([progressing])), None);
        assert_eq!(of(json!([progressing, condition("ReplicaFailure", "False")])), None);
        let refused = of(json!([progressing, condition("ReplicaFailure", "True")]));
        assert_eq!(refused.as_deref(), Some("ReplicaFailure"));
    }
}
