//! PipelineRun: one run of a graph of objects.

use kube::{CustomResource, KubeSchema};
use orch_core::limits;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::cel;
use crate::field::{self, DNS_LABEL, Duration};
use crate::object::{ObjectSpec, ObjectsFrom};
use crate::pipeline::{DeletionPolicy, KafkaSpec, TopicsSpec};
use crate::stage::StageSpec;
use crate::status::PipelineRunStatus;

/// What is run, and how. Only cancel, maxInFlight and timeout can be changed after creation.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, CustomResource, KubeSchema)]
#[kube(
    group = "kafka-orchestrator.dev",
    version = "v1alpha1",
    kind = "PipelineRun",
    namespaced,
    plural = "pipelineruns",
    shortname = "orun",
    status = "PipelineRunStatus",
    derive = "PartialEq",
    doc = "PipelineRun is one run of a graph of objects: each starts when all that it depends on is loaded.",
    validation = cel::resource_name(),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(
        name = "Progress",
        type_ = "string",
        json_path = ".status.progress",
        description = "Loaded objects of all"
    ),
    printcolumn(name = "Running", type_ = "integer", json_path = ".status.counts.running"),
    printcolumn(name = "Failed", type_ = "integer", json_path = ".status.counts.failed"),
    printcolumn(
        name = "Blocked",
        type_ = "integer",
        json_path = ".status.counts.blocked",
        description = "Objects that wait for one that failed"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(
        name = "Queued",
        type_ = "integer",
        json_path = ".status.counts.queued",
        priority = 1,
        description = "Objects in Kafka that no worker has started"
    ),
    printcolumn(name = "Retrying", type_ = "integer", json_path = ".status.counts.retrying", priority = 1),
    printcolumn(name = "Started", type_ = "date", json_path = ".status.startTime", priority = 1),
    printcolumn(name = "Duration", type_ = "string", json_path = ".status.duration", priority = 1),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Succeeded\")].reason",
        priority = 1,
        description = "Reason of the condition Succeeded"
    )
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = cel::refuse_unless(
    "has(self.stages) != has(self.pipelineRef)",
    "a run has either stages or pipelineRef",
))]
#[x_kube(validation = cel::refuse_unless(
    "has(self.objects) || has(self.objectsFrom)",
    "a run has objects or objectsFrom",
))]
#[x_kube(validation = cel::refuse_unless(
    "!has(self.pipelineRef) || (!has(self.kafka) && !has(self.topics) && !has(self.deletionPolicy))",
    "kafka, topics and deletionPolicy are the Pipeline's: leave them out with pipelineRef",
))]
#[x_kube(validation = cel::refuse_unless(
    "!has(self.timeout) || duration(self.timeout) > duration('0s')",
    "timeout must be longer than 0s; leave it out for none",
).field_path(".timeout"))]
#[x_kube(validation = cel::refuse_unless(
    "!oldSelf.cancel || self.cancel",
    "a cancelled run stays cancelled: create another one",
).field_path(".cancel"))]
#[x_kube(validation = cel::stage_names_are_unique())]
#[x_kube(validation = cel::id_ranges_are_disjoint())]
#[x_kube(validation = cel::immutable("stages"))]
#[x_kube(validation = cel::immutable("pipelineRef"))]
#[x_kube(validation = cel::immutable("objects"))]
#[x_kube(validation = cel::immutable("objectsFrom"))]
#[x_kube(validation = cel::immutable("targets"))]
#[x_kube(validation = cel::immutable("undefinedDependencies"))]
#[x_kube(validation = cel::immutable("failurePolicy"))]
#[x_kube(validation = cel::immutable("deletionPolicy"))]
#[x_kube(validation = cel::immutable("kafka"))]
#[x_kube(validation = cel::immutable("topics"))]
pub struct PipelineRunSpec {
    /// The stages of this run alone. Either this or pipelineRef.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = limits::STAGES), extend("x-kubernetes-list-type" = "atomic"))]
    pub stages: Option<Vec<StageSpec>>,
    /// The Pipeline whose stages this run shares with others. Either this or stages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pipeline_ref: Option<PipelineRef>,
    /// The objects: at most 200 KiB as JSON. `orch convert` and `orch submit` write more into ConfigMaps.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 20_000), extend("x-kubernetes-list-type" = "atomic"))]
    pub objects: Option<Vec<ObjectSpec>>,
    /// More objects, in immutable ConfigMaps of the same namespace; they come after those of objects, in this order.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 1024), extend("x-kubernetes-list-type" = "atomic"))]
    pub objects_from: Option<Vec<ObjectsFrom>>,
    /// What must be loaded. Objects that no target needs are left out of the run. Default: every object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub targets: Option<TargetsSpec>,
    /// What a dependency that no entry defines means. Reject: the graph is refused. AssumeLoaded: it counts as loaded.
    /// Run: it is run like any object, with meta null.
    #[serde(default)]
    pub undefined_dependencies: UndefinedDependencies,
    /// What a failed object means for those that do not depend on it. ContinueIndependent: they go on. FailFast: what
    /// has not been published is cancelled.
    #[serde(default)]
    pub failure_policy: FailurePolicy,
    /// Objects of this run, over all stages, that may be in Kafka or at work at the same time. Default: as many as the
    /// stages take.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_in_flight: Option<u32>,
    /// Ends the run: every unfinished object becomes Cancelled. It cannot be taken back.
    #[serde(default)]
    pub cancel: bool,
    /// The run ends as Failed when it takes longer. Default: no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
    /// What becomes of the topics of this run's own stages when it is deleted. Default: Delete.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deletion_policy: Option<DeletionPolicy>,
    /// Another Kafka than the operator's, for this run's own stages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kafka: Option<KafkaSpec>,
    /// How the topics of this run's own stages come into being.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topics: Option<TopicsSpec>,
}

/// The name of a Pipeline.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PipelineRef {
    /// Name of the Pipeline, in the same namespace.
    #[schemars(length(min = 1, max = 48), regex(pattern = DNS_LABEL))]
    pub name: String,
}

/// What must be loaded. Exactly one field is set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = cel::refuse_unless(
    "has(self.ids) != has(self.stage)",
    "targets is exactly one of ids and stage",
))]
pub struct TargetsSpec {
    /// These objects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "target_ids")]
    pub ids: Option<Vec<String>>,
    /// Every object of this stage.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 40), regex(pattern = DNS_LABEL))]
    pub stage: Option<String>,
}

fn target_ids(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    field::object_ids(10_000)
}

/// What a dependency that no entry defines means.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum UndefinedDependencies {
    /// The graph is refused, with every such id.
    #[default]
    Reject,
    /// It counts as loaded from the start.
    AssumeLoaded,
    /// It is run like any other object, with `meta` null.
    Run,
}

/// What a failed object means for the objects that do not depend on it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum FailurePolicy {
    /// They go on.
    #[default]
    ContinueIndependent,
    /// What has not been published yet is cancelled.
    FailFast,
}
