//! The types of the conditions and their reasons. A reason is one of a closed set, fit for a metric label.

/// What a condition judges.
pub mod types {
    /// The resource is understood, and everything that it names is there.
    pub const ACCEPTED: &str = "Accepted";
    /// The graph can be run. A refused graph is final.
    pub const GRAPH_VALID: &str = "GraphValid";
    /// Kafka answers, and every topic is as it should be.
    pub const TOPICS_READY: &str = "TopicsReady";
    /// The workers that are wanted now are there.
    pub const WORKERS_READY: &str = "WorkersReady";
    /// The run is on its way.
    pub const PROGRESSING: &str = "Progressing";
    /// Every target is loaded. `kubectl wait --for=condition=Succeeded` waits for it.
    pub const SUCCEEDED: &str = "Succeeded";
    /// Nothing has happened for longer than it should.
    pub const STALLED: &str = "Stalled";

    /// The types of a run's conditions, in the order in which the status lists them.
    pub const OF_A_RUN: [&str; 7] =
        [ACCEPTED, GRAPH_VALID, TOPICS_READY, WORKERS_READY, PROGRESSING, SUCCEEDED, STALLED];
    /// The types of a Pipeline's conditions, in the order in which the status lists them.
    pub const OF_A_PIPELINE: [&str; 3] = [ACCEPTED, TOPICS_READY, WORKERS_READY];
}

/// Reasons of `Accepted`.
pub mod accepted {
    /// True: the resource is understood, and everything that it names is there.
    pub const ACCEPTED: &str = "Accepted";
    /// False: a ConfigMap of `objectsFrom` does not exist yet.
    pub const CONFIG_MAP_NOT_FOUND: &str = "ConfigMapNotFound";
    /// False: a ConfigMap of `objectsFrom` has no such key.
    pub const CONFIG_MAP_KEY_NOT_FOUND: &str = "ConfigMapKeyNotFound";
    /// False: a ConfigMap of `objectsFrom` is not `immutable: true`.
    pub const CONFIG_MAP_NOT_IMMUTABLE: &str = "ConfigMapNotImmutable";
    /// False: the Pipeline of `pipelineRef` does not exist yet.
    pub const PIPELINE_NOT_FOUND: &str = "PipelineNotFound";
    /// False: the Pipeline of `pipelineRef` is being deleted.
    pub const PIPELINE_DELETING: &str = "PipelineDeleting";
    /// False: the Pipeline cannot be read; the message says why.
    pub const PIPELINE_UNREADABLE: &str = "PipelineUnreadable";
    /// False: the Pipeline was made anew without a stage that the run began with.
    pub const PIPELINE_CHANGED: &str = "PipelineChanged";
    /// False: what the operator keeps in the status of the run was overwritten, and cannot be read.
    pub const STATUS_UNREADABLE: &str = "StatusUnreadable";
    /// False: a Pipeline's `worker.podTemplate` is no pod template; the message names the fields.
    pub const POD_TEMPLATE_INVALID: &str = "PodTemplateInvalid";
    /// False: a Secret that is named does not exist yet.
    pub const SECRET_NOT_FOUND: &str = "SecretNotFound";
    /// False: the Secret with the Kafka connection lacks a key or cannot be read.
    pub const SECRET_INVALID: &str = "SecretInvalid";
}

/// Reasons of `GraphValid`. When it is False and all findings are of one kind, the reason is that kind, see
/// [`orch_core::finding::FindingKind::reason`].
pub mod graph_valid {
    /// True: every object is known and routed, and there is no cycle.
    pub const VALID: &str = "Valid";
    /// False: findings of several kinds; the message lists them.
    pub const INVALID: &str = "Invalid";
    /// Unknown: something that the resource names is not there yet.
    pub const NOT_CHECKED: &str = "NotChecked";
}

/// Reasons of `TopicsReady`.
pub mod topics_ready {
    /// True: every topic is there with the settings it should have.
    pub const READY: &str = "TopicsReady";
    /// Unknown: the topics are being created or looked at.
    pub const CHECKING: &str = "Checking";
    /// False: no broker answers.
    pub const KAFKA_UNREACHABLE: &str = "KafkaUnreachable";
    /// False: the broker refuses the user, the password or the certificate.
    pub const KAFKA_AUTHENTICATION_FAILED: &str = "KafkaAuthenticationFailed";
    /// False: the broker does not let the operator create, describe, write or read a topic.
    pub const KAFKA_NOT_AUTHORIZED: &str = "KafkaNotAuthorized";
    /// False: a topic does not exist, and `topics.create` is false.
    pub const TOPIC_NOT_FOUND: &str = "TopicNotFound";
    /// False: a topic has other settings than it should; the message names topic and setting.
    pub const TOPIC_MISMATCH: &str = "TopicMismatch";
    /// False: records of the events topic that the run needs are gone, or not what they should be.
    pub const LOG_DAMAGED: &str = "LogDamaged";
    /// False: the broker refuses to create a topic.
    pub const TOPIC_REFUSED: &str = "TopicRefused";
    /// False, of a Pipeline: another operator has taken its topics over.
    pub const ANOTHER_OPERATOR: &str = "AnotherOperator";
}

/// Reasons of `WorkersReady`.
pub mod workers_ready {
    /// True: every worker that is wanted is ready.
    pub const READY: &str = "WorkersReady";
    /// True: no worker is wanted now.
    pub const SCALED_TO_ZERO: &str = "ScaledToZero";
    /// True: every stage is worked on by programs that are not ours.
    pub const EXTERNAL: &str = "External";
    /// False: workers are on their way.
    pub const STARTING: &str = "Starting";
    /// False: the API server refuses a Deployment; the message says why.
    pub const DEPLOYMENT_REFUSED: &str = "DeploymentRefused";
    /// False: pods do not become ready; the message says why.
    pub const PODS_NOT_READY: &str = "PodsNotReady";
}

/// Reasons of `Progressing`.
pub mod progressing {
    /// True: objects are at work.
    pub const RUNNING: &str = "Running";
    /// False: it has not started; another condition says what it waits for.
    pub const WAITING: &str = "Waiting";
    /// False: it has ended.
    pub const FINISHED: &str = "Finished";
}

/// Reasons of `Succeeded`.
pub mod succeeded {
    /// Unknown: the run has not started.
    pub const PENDING: &str = "Pending";
    /// Unknown: the run has not ended.
    pub const RUNNING: &str = "Running";
    /// True: every target is loaded.
    pub const ALL_LOADED: &str = "AllLoaded";
    /// False: a target failed or is blocked.
    pub const OBJECTS_FAILED: &str = "ObjectsFailed";
    /// False: the graph was refused; `GraphValid` lists the findings.
    pub const GRAPH_INVALID: &str = "GraphInvalid";
    /// False: a person ended the run.
    pub const CANCELLED: &str = "Cancelled";
    /// False: `spec.timeout` passed.
    pub const DEADLINE_EXCEEDED: &str = "DeadlineExceeded";
    /// False: a new leader read another plan than the one that was started.
    pub const PLAN_CHANGED: &str = "PlanChanged";
}

/// Reasons of `Stalled`.
pub mod stalled {
    /// False: things happen, or nothing is expected to.
    pub const MOVING: &str = "Moving";
    /// True: objects are queued, and their stage has no worker that is ready.
    pub const NO_WORKERS: &str = "NoWorkers";
    /// True: no broker answers, or it refuses who we are.
    pub const KAFKA_UNREACHABLE: &str = "KafkaUnreachable";
    /// True: a topic is missing or not as it should be; `TopicsReady` says which.
    pub const TOPICS_NOT_READY: &str = "TopicsNotReady";
    /// True: something that the run began with is not there any more; `Accepted` says what.
    pub const NOT_ACCEPTED: &str = "NotAccepted";
    /// True: another operator has taken the topics over, and does not drive this run.
    pub const ANOTHER_OPERATOR: &str = "AnotherOperator";
}
