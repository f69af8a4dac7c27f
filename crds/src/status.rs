//! The status of both kinds: the view of what the Kafka log says. One writer fills it.
//!
//! Texts from workers are cut with [`clip`] to the lengths given here before they are written: the API server refuses
//! a whole status for one text that is too long.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use k8s_openapi::jiff::Timestamp;
use orch_core::finding::{Finding, FindingKind};
use orch_core::id::Millis;
use orch_core::limits;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::Pipeline;
use crate::field::{self, JsonObject};
use crate::stage::StageSpec;

/// Longest `message`, in characters.
pub const MAX_MESSAGE: usize = 4_096;
/// Longest `reason`, in characters.
pub const MAX_REASON: usize = 253;
/// Longest `logTail`, in characters.
pub const MAX_LOG_TAIL: usize = 4_096;
/// Longest name of a worker, in characters.
pub const MAX_WORKER: usize = 253;
/// Most entries of `objects`.
pub const MAX_OBJECTS: usize = 2_000;
/// Most entries of `failures`.
pub const MAX_FAILURES: usize = 20;

/// What is known of a run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PipelineRunStatus {
    /// The generation of the resource that this status takes into account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Where the run stands: Pending, Running, Succeeded, Failed or Cancelled. The last three are final.
    pub phase: RunPhase,
    /// Loaded objects of all, for people: 37/120.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub progress: Option<String>,
    /// How many objects are in which phase.
    pub counts: Counts,
    /// The stages of the run, in the order of the spec.
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "atomic"))]
    pub stages: Vec<StageStatus>,
    /// The objects: all of them up to 1,000, beyond that those that need a person.
    #[schemars(length(max = MAX_OBJECTS), extend("x-kubernetes-list-type" = "atomic"))]
    pub objects: Vec<ObjectStatus>,
    /// The phase of every object, one letter each.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase_map: Option<PhaseMap>,
    /// The failed objects that block the most, at most 20.
    #[schemars(length(max = MAX_FAILURES), extend("x-kubernetes-list-type" = "atomic"))]
    pub failures: Vec<ObjectFailure>,
    /// Accepted, GraphValid, TopicsReady, WorkersReady, Progressing, Succeeded and Stalled.
    #[schemars(schema_with = "conditions")]
    pub conditions: Vec<Condition>,
    /// When the first object could start.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "time")]
    pub start_time: Option<String>,
    /// When the run ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "time")]
    pub completion_time: Option<String>,
    /// From the start to the end, for people: 3m05s.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub duration: Option<String>,
    /// The term of the operator that leads the run: raised by each that takes over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epoch: Option<u64>,
    /// Offset in the events topic from which the run is recovered; the log may be truncated below.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_offset: Option<i64>,
    /// The stages of the Pipeline as the run found them: an edit of the Pipeline applies to later runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pipeline: Option<PinnedPipeline>,
    /// Digest of everything that decides what is run; a run is never continued under another.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub plan_digest: Option<String>,
}

/// The stages of a Pipeline as a run found them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PinnedPipeline {
    /// Generation of the Pipeline at that time.
    pub generation: i64,
    /// Its stages, as spec.stages of a Pipeline holds them, but for what the pods look like: the workers are shared.
    #[schemars(schema_with = "pinned_stages")]
    pub stages: Vec<JsonObject>,
}

/// Free-form: the Pipeline's schema has checked them. And so they are read one run at a time, and never on a watch of
/// all runs, which one that is not readable would blind.
fn pinned_stages(generator: &mut SchemaGenerator) -> Schema {
    let stage = field::json_object(generator);
    json_schema!({"type": "array", "maxItems": limits::STAGES, "x-kubernetes-list-type": "atomic", "items": stage})
}

impl PinnedPipeline {
    /// Of the Pipeline as it is now.
    pub fn of(pipeline: &Pipeline) -> Self {
        let as_object = |stage: &StageSpec| match json!(stage.without_pods()) {
            Value::Object(stage) => stage,
            // A struct is an object.
            _ => JsonObject::new(),
        };
        let generation = pipeline.metadata.generation.unwrap_or_default();
        Self { generation, stages: pipeline.spec.stages.iter().map(as_object).collect() }
    }

    /// Whether both say the same. As JSON they may differ all the same: the API server gives 2 for 2.0.
    pub fn says_the_same_as(&self, other: &Self) -> bool {
        self.generation == other.generation && self.stages().ok() == other.stages().ok()
    }

    /// The stages; the finding names the one that nobody can read.
    pub fn stages(&self) -> Result<Vec<StageSpec>, Finding> {
        let read = |(n, stage): (usize, &JsonObject)| {
            serde_json::from_value(Value::Object(stage.clone())).map_err(|error| {
                let place = format!("status.pipeline.stages[{n}]");
                let remedy =
                    "the operator writes it, and nobody else: put back what stood there, or delete the run";
                Finding::new(FindingKind::Malformed, place, error.to_string(), remedy)
            })
        };
        self.stages.iter().enumerate().map(read).collect()
    }
}

/// Where a run stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum RunPhase {
    /// It has not started: something it needs is missing, or not ready yet.
    #[default]
    Pending,
    /// Its objects are at work.
    Running,
    /// Every target is loaded.
    Succeeded,
    /// A target failed or is blocked, the graph was refused, or the deadline passed.
    Failed,
    /// A person ended it.
    Cancelled,
}

impl RunPhase {
    /// Whether nothing can change any more.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }
}

/// Where an object stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ObjectPhase {
    /// A dependency is not loaded yet.
    #[default]
    Pending,
    /// It may start and waits for room in the window.
    Ready,
    /// Its ready record is in Kafka; no worker has started it.
    Queued,
    /// A worker has started it.
    Running,
    /// An attempt failed and another will come.
    Retrying,
    /// Done.
    Loaded,
    /// No attempt is left.
    Failed,
    /// An object that it depends on failed; `rootCause` names it.
    Blocked,
    /// The run ended before it did.
    Cancelled,
}

/// How many objects are in which phase. Objects that no target needs are in none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Counts {
    /// All objects of the run.
    pub total: u32,
    /// Wait for a dependency.
    pub pending: u32,
    /// May start, and wait for room in the window.
    pub ready: u32,
    /// Are in Kafka, and no worker has started them.
    pub queued: u32,
    /// A worker has started them.
    pub running: u32,
    /// An attempt failed and another will come.
    pub retrying: u32,
    /// Are done.
    pub loaded: u32,
    /// Have no attempt left.
    pub failed: u32,
    /// Depend on an object that failed.
    pub blocked: u32,
    /// Were unfinished when the run ended.
    pub cancelled: u32,
}

/// One stage of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct StageStatus {
    /// Name of the stage.
    #[schemars(length(max = 40))]
    pub name: String,
    /// Topic with the objects that are ready.
    #[schemars(length(max = 249))]
    pub topic: String,
    /// Workers that are wanted now.
    pub replicas: u32,
    /// How many of the stage's objects are in which phase.
    pub counts: Counts,
}

/// One object of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ObjectStatus {
    /// Id of the object.
    #[schemars(length(max = 253))]
    pub id: String,
    /// Its stage.
    #[schemars(length(max = 40))]
    pub stage: String,
    /// Where it stands.
    pub phase: ObjectPhase,
    /// Number of the newest attempt, from 1; 0 before the first.
    pub attempt: u32,
    /// Who worked on it last.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = MAX_WORKER))]
    pub worker: Option<String>,
    /// When the work of the newest attempt began; where its worker does not say, when it could begin.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "time")]
    pub start_time: Option<String>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "time")]
    pub end_time: Option<String>,
    /// Why it is where it is, in one word.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = MAX_REASON))]
    pub reason: Option<String>,
    /// The same for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = MAX_MESSAGE))]
    pub message: Option<String>,
    /// Id of the failed object that blocks this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub root_cause: Option<String>,
}

/// An object that failed for good.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ObjectFailure {
    /// Id of the object.
    #[schemars(length(max = 253))]
    pub id: String,
    /// Attempts that were made.
    pub attempts: u32,
    /// Why the last one failed, in one word.
    #[schemars(length(max = MAX_REASON))]
    pub reason: String,
    /// The same for people.
    #[schemars(length(max = MAX_MESSAGE))]
    pub message: String,
    /// Objects that cannot start because of it.
    pub blocks: u32,
    /// Who made the last attempt.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = MAX_WORKER))]
    pub worker: Option<String>,
    /// The last lines of its log.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = MAX_LOG_TAIL))]
    pub log_tail: Option<String>,
}

/// The phase of every object, one letter each: P(ending), R(eady), Q(ueued), (ru)N(ning), (re)T(rying), L(oaded),
/// F(ailed), B(locked), X for cancelled, and - for one that no target needs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PhaseMap {
    /// How data is written: gzip+base64.
    #[schemars(length(max = 32))]
    pub encoding: String,
    /// Order of the letters. spec: spec.objects, then each entry of objectsFrom, then objects that nobody defined.
    #[schemars(length(max = 32))]
    pub order: String,
    /// The letters.
    #[schemars(length(max = 921_600))]
    pub data: String,
}

/// What is known of a Pipeline.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PipelineStatus {
    /// The generation of the resource that this status takes into account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Accepted, TopicsReady and WorkersReady.
    #[schemars(schema_with = "conditions")]
    pub conditions: Vec<Condition>,
    /// Live runs that use this Pipeline.
    pub runs: u32,
    /// Term of the operator that led its topics last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epoch: Option<u64>,
    /// Its stages, in the order of the spec.
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "atomic"))]
    pub stages: Vec<PipelineStageStatus>,
}

/// One stage of a Pipeline.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PipelineStageStatus {
    /// Name of the stage.
    #[schemars(length(max = 40))]
    pub name: String,
    /// Topic with the objects that are ready.
    #[schemars(length(max = 249))]
    pub topic: String,
    /// Workers that are wanted now.
    pub replicas: u32,
}

/// The text, cut to `max` characters; a cut is marked by an ellipsis.
pub fn clip(text: &str, max: usize) -> String {
    match text.char_indices().nth(max) {
        None => text.to_owned(),
        Some(_) => text.chars().take(max.saturating_sub(1)).chain(['…']).collect(),
    }
}

/// A time as the status writes it: RFC 3339 in UTC with milliseconds. `None` for a time that no calendar has.
pub fn timestamp(ms: Millis) -> Option<String> {
    let time = Timestamp::from_millisecond(ms).ok()?;
    Some(time.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string())
}

/// The milliseconds of a time in the status.
pub fn parse_timestamp(text: &str) -> Option<Millis> {
    text.parse::<Timestamp>().ok().map(Timestamp::as_millisecond)
}

fn time(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "format": "date-time"})
}

/// The schema of the conditions, by the Kubernetes API conventions (`metav1.Condition`).
fn conditions(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array", "maxItems": 16,
        "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"],
        "items": {
            "type": "object",
            "required": ["lastTransitionTime", "message", "reason", "status", "type"],
            "properties": {
                "type": {"type": "string", "maxLength": 316, "description": "What is judged."},
                "status": {
                    "type": "string", "enum": ["True", "False", "Unknown"],
                    "description": "Whether it is so: True, False or Unknown.",
                },
                "reason": {"type": "string", "maxLength": 1024, "description": "Why, in one word."},
                "message": {"type": "string", "maxLength": 32_768, "description": "Why, for people."},
                "lastTransitionTime": {
                    "type": "string", "format": "date-time", "description": "When the status last changed.",
                },
                "observedGeneration": {
                    "type": "integer", "format": "int64", "minimum": 0,
                    "description": "The generation of the resource that was judged.",
                },
            },
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_by_characters_and_the_cut_is_marked() {
        assert_eq!(clip("été", 3), "été");
        assert_eq!(clip("étés", 3), "ét…");
        assert_eq!(clip("", 3), "");
    }

    #[test]
    fn times_keep_their_milliseconds() {
        let text = timestamp(1_795_248_000_123).unwrap();
        assert_eq!(text, "2026-11-21T08:00:00.123Z");
        assert_eq!(parse_timestamp(&text), Some(1_795_248_000_123));
        assert_eq!(timestamp(i64::MAX), None);
        assert_eq!(parse_timestamp("yesterday"), None);
    }
}
