//! A stage: one ready topic and the workers that read it. Shared by runs with inline stages and by Pipelines.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1 as k8s;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use kube::KubeSchema;
use orch_core::limits;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::cel;
use crate::field::{self, CONFIG_KEY, DNS_LABEL, DNS_SUBDOMAIN, Duration, JsonObject};

/// One stage: a topic with the objects that are ready, and the workers that read it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = cel::refuse_unless(
    "!(self.name in ['events', 'dlq', 'control', 'data'])",
    "events, dlq, control and data are names of topics that every pipeline has: no stage can have them",
).field_path(".name"))]
#[x_kube(validation = cel::refuse_unless(
    "!(has(self.processor.external) && has(self.worker))",
    "a stage with the processor external has no workers of ours: leave worker out",
))]
pub struct StageSpec {
    /// Name of the stage, unique in its list: a DNS label of at most 40 characters, not events, dlq, control or data.
    #[schemars(length(min = 1, max = 40), regex(pattern = DNS_LABEL))]
    pub name: String,
    /// Objects with a numeric id in this range, and without a stage of their own, belong to this stage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id_range: Option<IdRange>,
    /// What is done with an object of this stage that names no processor of its own. Exactly one field is set.
    pub processor: ProcessorSpec,
    /// How many workers of which width, and what their pods look like. Not with the processor external.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub worker: Option<WorkerSpec>,
    /// Partitions of the stage's topic, and so the most workers that can work at the same time. Default: maxReplicas.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = limits::PARTITIONS))]
    pub partitions: Option<u16>,
    /// What happens after a failed attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry: Option<RetrySpec>,
    /// How long one attempt may take.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeouts: Option<TimeoutsSpec>,
}

/// A range of numeric object ids.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = cel::refuse_unless("self.from <= self.to", "idRange.from is greater than idRange.to"))]
pub struct IdRange {
    /// First id of the range.
    #[schemars(range(min = 0, max = 9_007_199_254_740_991_u64))]
    pub from: u64,
    /// Last id of the range; it belongs to the range.
    #[schemars(range(min = 0, max = 9_007_199_254_740_991_u64))]
    pub to: u64,
}

/// What is done with an object. Exactly one field is set.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = cel::refuse_unless(
    "[has(self.simulate), has(self.exec), has(self.http), has(self.external)].exists_one(set, set)",
    "a processor is exactly one of simulate, exec, http and external",
))]
pub struct ProcessorSpec {
    /// Waits, and fails when told to: for trying out a graph.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub simulate: Option<SimulateSpec>,
    /// Runs a program of the worker's image for each object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exec: Option<ExecSpec>,
    /// Sends each object to an HTTP server, often a side-car in the same pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpSpec>,
    /// Leaves the work to a program of yours that reads the stage's topic: a topic and no Deployment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub external: Option<ExternalSpec>,
}

/// The processor that waits.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SimulateSpec {
    /// How long an object takes. Default: 0s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration: Option<Duration>,
    /// Part of the duration that is spread: 0.2 means 80 % to 120 %. Default: 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1))]
    pub jitter: Option<f64>,
    /// Ids of objects that fail for good, without another attempt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "fail_ids")]
    pub fail_ids: Option<Vec<String>>,
    /// Part of the attempts that fail and may be tried again: 0.1 is one in ten. Default: 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1))]
    pub failure_rate: Option<f64>,
}

fn fail_ids(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    field::object_ids(1_000)
}

/// The processor that runs a program. It gets the ready record as JSON on its standard input; its exit status and its
/// last line decide.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ExecSpec {
    /// The program and its arguments; no shell reads them.
    #[schemars(length(min = 1, max = 128), inner(length(max = 8192)), extend("x-kubernetes-list-type" = "atomic"))]
    pub command: Vec<String>,
    /// Environment variables in addition to the worker's own. Secrets belong into worker.env with valueFrom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "exec_env")]
    pub env: Option<BTreeMap<String, String>>,
    /// Folder in which the program runs. Default: the worker's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096))]
    pub cwd: Option<String>,
}

fn exec_env(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    field::text_map(128, 8_192)
}

/// The processor that sends the ready record to an HTTP server with POST; the status of the answer decides.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = cel::refuse_unless(
    "!has(self.timeout) || duration(self.timeout) > duration('0s')",
    "http.timeout must be longer than 0s; leave it out for none",
).field_path(".timeout"))]
pub struct HttpSpec {
    /// Where to send it, such as http://localhost:8000/load.
    #[schemars(length(max = 2048), regex(pattern = r"^https?://[^/\s]\S*$"))]
    pub url: String,
    /// Headers in addition to content-type and the record's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "headers")]
    pub headers: Option<BTreeMap<String, String>>,
    /// How long to wait for the answer. Default: until the attempt's own timeout.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Duration>,
}

fn headers(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    field::text_map(64, 8_192)
}

/// The processor that is somebody else's program. It has no settings.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ExternalSpec {}

/// The workers of a stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase", default)]
// By name, because `KubeSchema` copies the type and not its `Default`.
#[schemars(default = "WorkerSpec::default")]
#[x_kube(validation = cel::refuse_unless(
    "self.minReplicas <= self.maxReplicas",
    "worker.minReplicas is greater than worker.maxReplicas",
))]
pub struct WorkerSpec {
    /// Objects that one worker works on at the same time.
    #[schemars(range(min = 1, max = limits::CONCURRENCY))]
    pub concurrency: u32,
    /// Workers that stay even when nothing is to be done: of inline stages while the run is live, of a Pipeline always.
    #[schemars(range(min = 0, max = limits::REPLICAS))]
    pub min_replicas: u32,
    /// Workers at most.
    #[schemars(range(min = 1, max = limits::REPLICAS))]
    pub max_replicas: u32,
    /// How long workers stay when there is nothing to be done.
    #[schemars(range(min = 0, max = 604_800))]
    pub idle_seconds: u32,
    /// CPU and memory that a worker asks for and may use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    /// Environment variables of the worker's container.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 128), extend("x-kubernetes-list-type" = "atomic"))]
    pub env: Vec<EnvVar>,
    /// A pod template that is merged over ours, containers by name: `worker` is ours. For images, volumes, pull
    /// secrets, tolerations and side-cars; `kubectl explain pod.spec` names the fields. A
    /// `terminationGracePeriodSeconds` is the time that workers have to end their work; give them some 30 s at least.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "field::json_object")]
    pub pod_template: Option<JsonObject>,
}

impl Default for WorkerSpec {
    fn default() -> Self {
        let policy = orch_core::spec::WorkerPolicy::default();
        Self {
            concurrency: policy.concurrency,
            min_replicas: policy.min_replicas,
            max_replicas: policy.max_replicas,
            idle_seconds: policy.idle_seconds,
            resources: None,
            env: Vec::new(),
            pod_template: None,
        }
    }
}

/// CPU and memory of a worker.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Resources {
    /// What a node must have free, such as cpu: 100m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "field::quantities")]
    pub requests: Option<BTreeMap<String, Quantity>>,
    /// What a worker may use at most, such as memory: 256Mi.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "field::quantities")]
    pub limits: Option<BTreeMap<String, Quantity>>,
}

impl From<&Resources> for k8s::ResourceRequirements {
    fn from(resources: &Resources) -> Self {
        Self { requests: resources.requests.clone(), limits: resources.limits.clone(), claims: None }
    }
}

/// An environment variable: its value, or where the value comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = cel::refuse_unless(
    "!(has(self.value) && has(self.valueFrom))",
    "an environment variable has either value or valueFrom",
))]
pub struct EnvVar {
    /// Name of the variable.
    #[schemars(length(min = 1, max = 253), regex(pattern = "^[-._a-zA-Z][-._a-zA-Z0-9]*$"))]
    pub name: String,
    /// Its value. Default: empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32_768))]
    pub value: Option<String>,
    /// A Secret or ConfigMap in which the value stands. Exactly one field is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value_from: Option<EnvVarSource>,
}

/// Where the value of an environment variable stands. Exactly one field is set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = cel::refuse_unless(
    "has(self.secretKeyRef) != has(self.configMapKeyRef)",
    "valueFrom is exactly one of secretKeyRef and configMapKeyRef",
))]
pub struct EnvVarSource {
    /// A key of a Secret in the same namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_key_ref: Option<KeyRef>,
    /// A key of a ConfigMap in the same namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub config_map_key_ref: Option<KeyRef>,
}

/// A key of a Secret or ConfigMap.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct KeyRef {
    /// Name of the Secret or ConfigMap.
    #[schemars(length(min = 1, max = 253), regex(pattern = DNS_SUBDOMAIN))]
    pub name: String,
    /// The key in it.
    #[schemars(length(min = 1, max = 253), regex(pattern = CONFIG_KEY))]
    pub key: String,
    /// Whether the worker starts without it. Default: false.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub optional: Option<bool>,
}

impl From<&EnvVar> for k8s::EnvVar {
    fn from(var: &EnvVar) -> Self {
        let value_from = var.value_from.as_ref().map(|source| k8s::EnvVarSource {
            secret_key_ref: source.secret_key_ref.as_ref().map(|key| k8s::SecretKeySelector {
                name: key.name.clone(),
                key: key.key.clone(),
                optional: key.optional,
            }),
            config_map_key_ref: source.config_map_key_ref.as_ref().map(|key| k8s::ConfigMapKeySelector {
                name: key.name.clone(),
                key: key.key.clone(),
                optional: key.optional,
            }),
            ..k8s::EnvVarSource::default()
        });
        Self { name: var.name.clone(), value: var.value.clone(), value_from }
    }
}

/// What happens after a failed attempt.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RetrySpec {
    /// Attempts in all. Default: 3.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = limits::ATTEMPTS))]
    pub max_attempts: Option<u32>,
    /// Wait before the second attempt. Default: 1s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initial_delay: Option<Duration>,
    /// Each further wait is this many times the one before. Default: 2.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = limits::BACKOFF_FACTOR))]
    pub factor: Option<f64>,
    /// No wait is longer. Default: 60s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_delay: Option<Duration>,
    /// Part of the wait that is spread: 0.2 means 80 % to 120 %. Default: 0.2.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 1))]
    pub jitter: Option<f64>,
}

/// How long one attempt may take.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = cel::refuse_unless(
    "[has(self.queue) ? self.queue : '1s', has(self.run) ? self.run : '1s', \
     has(self.heartbeat) ? self.heartbeat : '1s'].all(timeout, duration(timeout) > duration('0s'))",
    "a timeout must be longer than 0s; leave it out for none",
))]
pub struct TimeoutsSpec {
    /// From the ready record to the first sign of a worker. Default: for ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue: Option<Duration>,
    /// From the start of the work to its end. Default: for ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<Duration>,
    /// From one sign of the worker to the next, once it has started. Default: 30s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heartbeat: Option<Duration>,
}
