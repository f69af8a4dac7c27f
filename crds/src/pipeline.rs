//! Pipeline: long-lived stages that many runs share.

use kube::{CustomResource, KubeSchema};
use orch_core::limits;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::cel;
use crate::field::DNS_SUBDOMAIN;
use crate::stage::StageSpec;
use crate::status::PipelineStatus;

/// What the stages of a Pipeline are. A change of processor, idRange, retry and timeouts applies to runs that begin
/// afterwards, one of worker at once: the workers are shared. The partitions of a stage cannot be changed, and so not
/// maxReplicas either while partitions is not set.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, CustomResource, KubeSchema)]
#[kube(
    group = "kafka-orchestrator.dev",
    version = "v1alpha1",
    kind = "Pipeline",
    namespaced,
    plural = "pipelines",
    shortname = "opl",
    status = "PipelineStatus",
    derive = "PartialEq",
    doc = "Pipeline holds long-lived stages, each with its topic and its workers, that many PipelineRuns share.",
    validation = cel::resource_name(),
    printcolumn(name = "Runs", type_ = "integer", json_path = ".status.runs", description = "Live runs"),
    printcolumn(
        name = "Topics",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"TopicsReady\")].status",
        description = "Whether the topics are as they should be"
    ),
    printcolumn(
        name = "Workers",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"WorkersReady\")].status",
        description = "Whether the workers that are wanted are there"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = cel::stage_names_are_unique())]
#[x_kube(validation = cel::id_ranges_are_disjoint())]
#[x_kube(validation = cel::immutable("kafka"))]
#[x_kube(validation = cel::refuse_unless(
    "oldSelf.stages.all(old, self.stages.exists(new, new.name == old.name \
     && has(new.processor.external) == has(old.processor.external)))",
    "a stage cannot be removed or renamed, nor become external or cease to be: its topic is there, and so are those who \
     read it. Add a stage, or create another Pipeline",
).field_path(".stages"))]
#[x_kube(validation = cel::refuse_unless(
    &format!(
        "oldSelf.stages.all(old, self.stages.all(new, new.name != old.name || {} == {}))",
        partitions("new"), partitions("old"),
    ),
    "the partitions of a stage cannot be changed: its topic is there. Where `partitions` is not set they are maxReplicas: \
     set it to what they were",
).field_path(".stages"))]
pub struct PipelineSpec {
    /// The stages. Each has a topic and, unless its processor is external, a Deployment of workers.
    #[schemars(length(min = 1, max = limits::STAGES), extend("x-kubernetes-list-type" = "atomic"))]
    pub stages: Vec<StageSpec>,
    /// Another Kafka than the operator's. It cannot be changed, added or removed, because the topics are there; what
    /// stands in the Secret can.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kafka: Option<KafkaSpec>,
    /// How the topics come into being.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topics: Option<TopicsSpec>,
    /// What becomes of the topics when this resource is deleted. Default: Delete.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deletion_policy: Option<DeletionPolicy>,
}

/// The partitions of a stage in CEL, as [`StageSpec::partitions`] has them.
fn partitions(stage: &str) -> String {
    let default = orch_core::spec::WorkerPolicy::default().max_replicas;
    format!(
        "(has({stage}.partitions) ? {stage}.partitions : has({stage}.worker) ? {stage}.worker.maxReplicas : {default})"
    )
}

/// A connection to Kafka.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KafkaSpec {
    /// A Secret in the same namespace with the key client.properties and, where needed, ca.crt, tls.crt and tls.key.
    pub secret_ref: SecretRef,
}

/// The name of a Secret.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretRef {
    /// Name of the Secret.
    #[schemars(length(min = 1, max = 253), regex(pattern = DNS_SUBDOMAIN))]
    pub name: String,
}

/// How the topics come into being.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct TopicsSpec {
    /// Whether the operator creates the topics, and deletes them with deletionPolicy Delete. With false they must be
    /// there; a topic that is missing or has other settings is reported in the condition TopicsReady.
    pub create: bool,
}

impl Default for TopicsSpec {
    fn default() -> Self {
        Self { create: true }
    }
}

/// What becomes of the topics when the resource that they belong to is deleted. Delete: they are deleted with it.
/// Retain: they stay. Default: Delete.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DeletionPolicy {
    /// They are deleted with it.
    #[default]
    Delete,
    /// They stay.
    Retain,
}
