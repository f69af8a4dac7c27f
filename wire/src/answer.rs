//! Records of the events topic: what workers answer, and how any record there is read.

use std::borrow::Cow;
use std::sync::Arc;

use orch_core::duration;
use orch_core::engine::{OperatorReason, RunEnd};
use orch_core::id::{Attempt, Epoch, MAX_EPOCH, Millis, RunUid, canonical_number};
use orch_core::plan::is_deeper_than;
use serde::Deserialize;
use serde_json::value::RawValue;
use thiserror::Error;

use crate::headers::Headers;
use crate::json::JsonBuffer;
use crate::run_record::OPERATOR_WORKER;
use crate::snapshot::{self, Snapshot};
use crate::{MAX_ERROR_BYTES, MAX_NESTING, MAX_OUTPUTS_BYTES, MAX_RECORD_BYTES, MAX_WORD_BYTES};

/// What a worker says about one attempt.
#[derive(Debug, Clone)]
pub struct Answer<'a> {
    /// Uid of the run, from the ready record.
    pub run_uid: Cow<'a, str>,
    /// Id of the object.
    pub object: Cow<'a, str>,
    /// Stage, from the ready record; outsiders may leave it out.
    pub stage: Option<Cow<'a, str>>,
    /// Attempt, from the ready record.
    pub attempt: Attempt,
    /// Name of the worker; empty where an outsider gave none.
    pub worker: Cow<'a, str>,
    /// How long the attempt has been at work, without the time in the queue; outsiders may leave it out.
    pub elapsed_ms: Option<Millis>,
    /// What it says.
    pub kind: AnswerKind<'a>,
}

/// The four things a worker can say.
#[derive(Debug, Clone)]
pub enum AnswerKind<'a> {
    /// It has begun. Optional for short work.
    Started,
    /// It is still at it: a heartbeat.
    Progress {
        /// 0 to 1.
        progress: Option<f64>,
        /// For people.
        message: Option<Cow<'a, str>>,
    },
    /// It is done.
    Loaded {
        /// What the dependants get, as JSON text of at most 4 KiB.
        outputs: Option<Cow<'a, str>>,
    },
    /// It went wrong.
    Failed {
        /// A word for machines.
        reason: Cow<'a, str>,
        /// For people, never empty.
        error: Cow<'a, str>,
        /// Whether another attempt may help.
        retryable: bool,
        /// Wait at least so long before the next attempt.
        retry_after_ms: Option<Millis>,
        /// The last lines of the log, at most 4 KiB.
        log_tail: Option<Cow<'a, str>>,
    },
}

/// A record of the events topic, read.
#[derive(Debug, Clone)]
pub enum EventsRecord<'a> {
    /// A worker's answer.
    Answer(Answer<'a>),
    /// The operator gave an attempt up.
    Expired {
        /// Uid of the run.
        run_uid: Cow<'a, str>,
        /// Id of the object.
        object: Cow<'a, str>,
        /// Which attempt.
        attempt: Attempt,
        /// Why.
        reason: OperatorReason,
        /// Term of the leader.
        epoch: Epoch,
    },
    /// A run began.
    RunStarted {
        /// Uid of the run.
        run_uid: Cow<'a, str>,
        /// Digest of its plan.
        plan_digest: Cow<'a, str>,
        /// Term of the leader.
        epoch: Epoch,
    },
    /// An operator took over.
    LeaderStarted {
        /// Its term.
        epoch: Epoch,
        /// Who.
        leader: Cow<'a, str>,
    },
    /// A run was ended.
    RunCancelled {
        /// Uid of the run.
        run_uid: Cow<'a, str>,
        /// Why.
        reason: RunEnd,
        /// Term of the leader.
        epoch: Epoch,
    },
    /// The state of a run, or a part of it.
    RunSnapshot(Snapshot<'a>),
}

/// Why a record of the events topic cannot be read. It is counted, reported and skipped.
#[derive(Debug, Error)]
pub enum Malformed {
    /// Larger than the contract allows.
    #[error("{0} bytes, the limit is {MAX_RECORD_BYTES}")]
    TooLarge(usize),
    /// A field, known or not, nests deeper than the contract allows.
    #[error("a field nests more than {MAX_NESTING} levels deep")]
    TooDeep,
    /// Not JSON, not an object, or a field of the wrong type.
    #[error("not readable as JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// A field that this event type needs is absent or empty.
    #[error("`{0}` is missing")]
    Missing(&'static str),
    /// A field holds what it may not.
    #[error("`{0}` is not valid")]
    Invalid(&'static str),
    /// Key and `id_objet` name different objects.
    #[error("the key is `{key}`, `id_objet` says `{id_objet}`")]
    KeyConflict {
        /// The record's key.
        key: String,
        /// The value's id.
        id_objet: String,
    },
    /// Not a type that belongs on this topic.
    #[error("unknown event type `{0}`")]
    UnknownType(String),
}

/// A text that borrows where it has no escapes. `Option<Cow<str>>` alone would always copy.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(crate) struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

#[derive(Deserialize)]
struct Flat<'a> {
    #[serde(borrow)]
    event_type: Text<'a>,
    #[serde(borrow)]
    id_objet: Option<&'a RawValue>,
    #[serde(borrow)]
    meta: Option<&'a RawValue>,
    #[serde(borrow)]
    run_uid: Option<Text<'a>>,
    #[serde(borrow)]
    stage: Option<Text<'a>>,
    attempt: Option<Attempt>,
    epoch: Option<Epoch>,
    #[serde(borrow)]
    worker: Option<Text<'a>>,
    elapsed_ms: Option<u64>,
    progress: Option<f64>,
    #[serde(borrow)]
    message: Option<Text<'a>>,
    #[serde(borrow)]
    outputs: Option<&'a RawValue>,
    #[serde(borrow)]
    reason: Option<Text<'a>>,
    #[serde(borrow)]
    error: Option<Text<'a>>,
    retryable: Option<bool>,
    #[serde(borrow)]
    retry_after: Option<Text<'a>>,
    #[serde(borrow)]
    log_tail: Option<Text<'a>>,
    #[serde(borrow)]
    plan_digest: Option<Text<'a>>,
    #[serde(borrow)]
    leader: Option<Text<'a>>,
}

/// The fields that the original system kept in `meta` of an answer.
#[derive(Default, Deserialize)]
struct AnswerMeta<'a> {
    #[serde(borrow)]
    worker: Option<Text<'a>>,
    #[serde(borrow)]
    error: Option<Text<'a>>,
}

/// Reads a record of the events topic. Fields that are not known are ignored.
pub fn decode_event<'a>(key: &'a [u8], value: &'a [u8]) -> Result<EventsRecord<'a>, Malformed> {
    if value.len() > MAX_RECORD_BYTES {
        return Err(Malformed::TooLarge(value.len()));
    }
    // What is kept as text or ignored is not limited by the reader. The record itself is one level.
    if is_deeper_than(value, MAX_NESTING + 1) {
        return Err(Malformed::TooDeep);
    }
    let flat: Flat<'a> = serde_json::from_slice(value)?;
    match flat.event_type.0.as_ref() {
        "RunStarted" => Ok(EventsRecord::RunStarted {
            run_uid: required(flat.run_uid, "run_uid")?,
            plan_digest: required(flat.plan_digest, "plan_digest")?,
            epoch: epoch(flat.epoch)?,
        }),
        "LeaderStarted" => Ok(EventsRecord::LeaderStarted {
            epoch: epoch(flat.epoch)?,
            leader: flat.leader.map_or(Cow::Borrowed(""), |text| text.0),
        }),
        "RunCancelled" => Ok(EventsRecord::RunCancelled {
            run_uid: required(flat.run_uid, "run_uid")?,
            reason: RunEnd::parse(&flat.reason.ok_or(Malformed::Missing("reason"))?.0)
                .ok_or(Malformed::Invalid("reason"))?,
            epoch: epoch(flat.epoch)?,
        }),
        "RunSnapshot" => snapshot::decode(value).map(EventsRecord::RunSnapshot),
        "ObjectStarted" | "ObjectProgress" | "ObjectLoaded" | "ObjectFailed" => decode_answer(key, flat),
        other => Err(Malformed::UnknownType(other.chars().take(80).collect())),
    }
}

/// A text that is there and not empty.
pub(crate) fn required<'a>(field: Option<Text<'a>>, name: &'static str) -> Result<Cow<'a, str>, Malformed> {
    field.map(|text| text.0).filter(|text| !text.is_empty()).ok_or(Malformed::Missing(name))
}

pub(crate) fn epoch(field: Option<Epoch>) -> Result<Epoch, Malformed> {
    match field {
        None => Err(Malformed::Missing("epoch")),
        Some(epoch) if epoch > MAX_EPOCH => Err(Malformed::Invalid("epoch")),
        Some(epoch) => Ok(epoch),
    }
}

fn decode_answer<'a>(key: &'a [u8], flat: Flat<'a>) -> Result<EventsRecord<'a>, Malformed> {
    let object = object_id(key, flat.id_objet)?;
    let attempt = flat.attempt.filter(|attempt| *attempt > 0).ok_or(Malformed::Missing("attempt"))?;
    let run_uid = required(flat.run_uid, "run_uid")?;
    let failed = flat.event_type.0 == "ObjectFailed";
    let meta = match flat.meta {
        Some(raw) if flat.worker.is_none() || (failed && flat.error.is_none()) => {
            // Free text of an outsider: what is not there or of another shape is simply not used.
            serde_json::from_str(raw.get()).unwrap_or_default()
        }
        _ => AnswerMeta::default(),
    };
    let worker = flat.worker.or(meta.worker).map_or(Cow::Borrowed(""), |text| head(text.0, MAX_WORD_BYTES));
    if failed && worker == OPERATOR_WORKER && flat.epoch.is_some() {
        let epoch = epoch(flat.epoch)?;
        let reason = flat.reason.as_ref().and_then(|text| OperatorReason::parse(&text.0));
        let reason = reason.ok_or(Malformed::Invalid("reason"))?;
        return Ok(EventsRecord::Expired { run_uid, object, attempt, reason, epoch });
    }
    let kind = match flat.event_type.0.as_ref() {
        "ObjectStarted" => AnswerKind::Started,
        "ObjectProgress" => {
            AnswerKind::Progress { progress: flat.progress, message: flat.message.map(|text| text.0) }
        }
        "ObjectLoaded" => AnswerKind::Loaded { outputs: outputs(flat.outputs)? },
        _ => AnswerKind::Failed {
            reason: flat.reason.map_or(Cow::Borrowed("WorkerError"), |text| head(text.0, MAX_WORD_BYTES)),
            error: flat
                .error
                .or(meta.error)
                .map(|text| head(text.0, MAX_ERROR_BYTES))
                .filter(|text| !text.trim().is_empty())
                .unwrap_or(Cow::Borrowed("the worker gave no reason")),
            retryable: flat.retryable.unwrap_or(true),
            retry_after_ms: match flat.retry_after {
                Some(text) => Some(duration::parse(&text.0).map_err(|_| Malformed::Invalid("retry_after"))?),
                None => None,
            },
            log_tail: flat.log_tail.map(|text| tail(text.0)),
        },
    };
    Ok(EventsRecord::Answer(Answer {
        run_uid,
        object,
        stage: flat.stage.map(|text| text.0),
        attempt,
        worker,
        elapsed_ms: flat.elapsed_ms.map(|ms| Millis::try_from(ms).unwrap_or(Millis::MAX)),
        kind,
    }))
}

fn outputs(raw: Option<&RawValue>) -> Result<Option<Cow<'_, str>>, Malformed> {
    match raw.map(RawValue::get) {
        None | Some("null") => Ok(None),
        Some(text) if text.len() > MAX_OUTPUTS_BYTES => Err(Malformed::Invalid("outputs")),
        Some(text) => Ok(Some(Cow::Borrowed(text))),
    }
}

/// The last [`MAX_OUTPUTS_BYTES`] of a log, cut at a character.
/// The beginning of a text.
fn head(text: Cow<'_, str>, max_bytes: usize) -> Cow<'_, str> {
    let end = text.floor_char_boundary(max_bytes);
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(&text[..end]),
        Cow::Owned(mut text) => {
            text.truncate(end);
            Cow::Owned(text)
        }
    }
}

fn tail(text: Cow<'_, str>) -> Cow<'_, str> {
    if text.len() <= MAX_OUTPUTS_BYTES {
        return text;
    }
    let mut from = text.len() - MAX_OUTPUTS_BYTES;
    while !text.is_char_boundary(from) {
        from += 1;
    }
    Cow::Owned(text[from..].to_owned())
}

/// Key or `id_objet` suffices; both and different is malformed.
fn object_id<'a>(key: &'a [u8], raw: Option<&'a RawValue>) -> Result<Cow<'a, str>, Malformed> {
    let key = std::str::from_utf8(key).map_err(|_| Malformed::Invalid("key"))?;
    let id: Option<Cow<'a, str>> = match raw.map(RawValue::get) {
        None | Some("null") => None,
        Some(text) if text.starts_with('"') => Some(serde_json::from_str::<Text<'a>>(text)?.0),
        Some(text) if canonical_number(text).is_some() => Some(Cow::Borrowed(text)),
        Some(_) => return Err(Malformed::Invalid("id_objet")),
    };
    match id {
        Some(id) if key.is_empty() || id == key => Ok(id),
        Some(id) => Err(Malformed::KeyConflict { key: key.to_owned(), id_objet: id.into_owned() }),
        None if key.is_empty() => Err(Malformed::Missing("id_objet")),
        None => Ok(Cow::Borrowed(key)),
    }
}

impl Answer<'_> {
    /// Name of the event.
    pub fn event_type(&self) -> &'static str {
        match self.kind {
            AnswerKind::Started => "ObjectStarted",
            AnswerKind::Progress { .. } => "ObjectProgress",
            AnswerKind::Loaded { .. } => "ObjectLoaded",
            AnswerKind::Failed { .. } => "ObjectFailed",
        }
    }

    /// CloudEvents headers; `run` is `<namespace>/<name>`.
    pub fn headers(&self, run: &Arc<str>, run_uid: &RunUid, now: Millis) -> Headers {
        Headers::event(self.event_type(), run, Some(run_uid), self.attempt, now)
    }

    /// The value as JSON; `run` is `<namespace>/<name>`. Outputs that are not JSON are an error of the caller.
    pub fn encode(&self, run: &str, now: Millis) -> Result<Vec<u8>, serde_json::Error> {
        let mut json = JsonBuffer::with_capacity(512);
        json.raw(r#"{"event_type":"#).text(self.event_type());
        json.raw(r#","id_objet":"#).id(&self.object);
        json.raw(r#","meta":{"worker":"#).text(&self.worker);
        if let AnswerKind::Failed { error, .. } = &self.kind {
            json.raw(r#","error":"#).text(error);
        }
        json.raw(r#"},"event_datetime":"#).time(now);
        json.raw(r#","run":"#).text(run);
        json.raw(r#","run_uid":"#).text(&self.run_uid);
        if let Some(stage) = &self.stage {
            json.raw(r#","stage":"#).text(stage);
        }
        json.raw(r#","attempt":"#).number(self.attempt);
        json.raw(r#","worker":"#).text(&self.worker);
        if let Some(elapsed) = self.elapsed_ms {
            json.raw(r#","elapsed_ms":"#).number(elapsed);
        }
        self.encode_kind(&mut json)?;
        json.raw("}");
        Ok(json.finish())
    }

    fn encode_kind(&self, json: &mut JsonBuffer) -> Result<(), serde_json::Error> {
        match &self.kind {
            AnswerKind::Started | AnswerKind::Loaded { outputs: None } => {}
            AnswerKind::Progress { progress, message } => {
                if let Some(progress) = progress {
                    json.raw(r#","progress":"#).value(progress);
                }
                if let Some(message) = message {
                    json.raw(r#","message":"#).text(message);
                }
            }
            AnswerKind::Loaded { outputs: Some(outputs) } => {
                let outputs: &RawValue = serde_json::from_str(outputs)?;
                json.raw(r#","outputs":"#).raw(outputs.get());
            }
            AnswerKind::Failed { reason, error, retryable, retry_after_ms, log_tail } => {
                json.raw(r#","reason":"#).text(reason);
                json.raw(r#","error":"#).text(error);
                json.raw(r#","retryable":"#).value(retryable);
                if let Some(ms) = retry_after_ms {
                    json.raw(r#","retry_after":""#).number(ms).raw("ms\"");
                }
                if let Some(tail) = log_tail {
                    json.raw(r#","log_tail":"#).text(tail);
                }
            }
        }
        Ok(())
    }
}
