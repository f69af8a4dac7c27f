//! Records that the operator writes to the events topic: rare, and in force only when they are read back.

use std::sync::Arc;

use orch_core::engine::{OperatorReason, RunEnd};
use orch_core::id::{Attempt, Epoch, Millis, RunUid};
use serde_json::{Value, json};

use crate::Part;
use crate::headers::Headers;
use crate::{id_json, rfc3339};

/// One record of the operator.
#[derive(Debug, Clone, PartialEq)]
pub struct RunRecord {
    /// `<namespace>/<name>` and uid of the run; `None` for [`RunRecordKind::LeaderStarted`].
    pub run: Option<(Arc<str>, RunUid)>,
    /// Term of the leader.
    pub epoch: Epoch,
    /// What happened.
    pub kind: RunRecordKind,
}

/// What the operator says.
#[derive(Debug, Clone, PartialEq)]
pub enum RunRecordKind {
    /// A run begins under this plan.
    RunStarted {
        /// Digest of the plan.
        plan_digest: String,
        /// `ContinueIndependent` or `FailFast`.
        failure_policy: &'static str,
        /// `Reject`, `AssumeLoaded` or `Run`.
        undefined_dependencies: &'static str,
    },
    /// An operator takes over the topics.
    LeaderStarted {
        /// Who.
        leader: String,
    },
    /// A run ends, whatever is unfinished.
    RunCancelled {
        /// Why.
        reason: RunEnd,
    },
    /// The state of a run.
    RunSnapshot {
        /// Which one.
        id: String,
        /// A part of it; `None`: the mark.
        part: Option<Part<'static>>,
    },
    /// An attempt is given up.
    ObjectFailed {
        /// Id of the object.
        object: String,
        /// Its stage.
        stage: String,
        /// Which attempt.
        attempt: Attempt,
        /// Why.
        reason: OperatorReason,
        /// For people.
        error: String,
    },
}

/// Who signs the operator's own `ObjectFailed`.
pub(crate) const OPERATOR_WORKER: &str = "operator";

impl RunRecord {
    fn event_type(&self) -> &'static str {
        match self.kind {
            RunRecordKind::RunStarted { .. } => "RunStarted",
            RunRecordKind::LeaderStarted { .. } => "LeaderStarted",
            RunRecordKind::RunCancelled { .. } => "RunCancelled",
            RunRecordKind::RunSnapshot { .. } => "RunSnapshot",
            RunRecordKind::ObjectFailed { .. } => "ObjectFailed",
        }
    }

    /// The key: the object's id, else the run's uid, else empty.
    pub fn key(&self) -> &str {
        match (&self.kind, &self.run) {
            (RunRecordKind::ObjectFailed { object, .. }, _) => object,
            (_, Some((_, uid))) => uid.as_str(),
            (_, None) => "",
        }
    }

    /// CloudEvents headers.
    pub fn headers(&self, now: Millis) -> Headers {
        let attempt = if let RunRecordKind::ObjectFailed { attempt, .. } = self.kind { attempt } else { 0 };
        let (run, uid) = match &self.run {
            Some((run, uid)) => (run, Some(uid)),
            None => (&Arc::from(""), None),
        };
        let headers = Headers::event(self.event_type(), run, uid, attempt, now);
        let RunRecordKind::RunSnapshot { id, part } = &self.kind else { return headers };
        // A run has many of them.
        let part = part.as_ref().map_or_else(|| "mark".to_owned(), |part| part.number.to_string());
        headers.told_apart_by(&format!("{id}/{part}"))
    }

    /// The value as JSON.
    pub fn encode(&self, now: Millis) -> Vec<u8> {
        let mut value = json!({
            "event_type": self.event_type(), "id_objet": null, "meta": null,
            "event_datetime": rfc3339(now), "epoch": self.epoch,
        });
        if let Some((run, uid)) = &self.run {
            value["run"] = run.as_ref().into();
            value["run_uid"] = uid.as_str().into();
        }
        match &self.kind {
            RunRecordKind::RunStarted { plan_digest, failure_policy, undefined_dependencies } => {
                value["plan_digest"] = plan_digest.as_str().into();
                value["policies"] = json!({
                    "failure_policy": failure_policy, "undefined_dependencies": undefined_dependencies,
                });
            }
            RunRecordKind::LeaderStarted { leader } => value["leader"] = leader.as_str().into(),
            RunRecordKind::RunCancelled { reason } => {
                value["reason"] = reason.as_str().into();
                value["requested_by"] = Value::Null;
            }
            RunRecordKind::RunSnapshot { id, part } => {
                value["snapshot"] = id.as_str().into();
                if let Some(Part { at, number, of, digest, data }) = part {
                    value["at"] = (*at).into();
                    value["part"] = (*number).into();
                    value["parts"] = (*of).into();
                    value["digest"] = digest.as_ref().into();
                    value["data"] = data.as_ref().into();
                }
            }
            RunRecordKind::ObjectFailed { object, stage, attempt, reason, error } => {
                value["id_objet"] = id_json(object);
                value["meta"] = json!({"worker": OPERATOR_WORKER, "error": error});
                value["stage"] = stage.as_str().into();
                value["attempt"] = (*attempt).into();
                value["worker"] = OPERATOR_WORKER.into();
                value["reason"] = reason.as_str().into();
                value["error"] = error.as_str().into();
                value["retryable"] = reason.is_retryable().into();
            }
        }
        // A `Value` always serialises.
        serde_json::to_vec(&value).unwrap_or_default()
    }
}
