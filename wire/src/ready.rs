//! `ObjectReady`: the operator asks for one attempt at one object.

use std::sync::Arc;

use orch_core::engine::Handed;
use orch_core::id::{Attempt, Epoch, Millis, RunUid};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::headers::Headers;
use crate::json::JsonBuffer;

/// What a dependency hands on.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// Id of the dependency.
    pub id: &'a str,
    /// Its outputs, or where they stand.
    pub handed: Handed<'a>,
}

/// An `ObjectReady` to write. All texts ending in `_json` are JSON already and are copied as they are.
#[derive(Debug, Clone, Copy)]
pub struct Ready<'a> {
    /// Id of the object.
    pub object: &'a str,
    /// The object's whole record as the user gave it.
    pub meta_json: &'a str,
    /// `<namespace>/<name>` of the run.
    pub run: &'a Arc<str>,
    /// Uid of the run.
    pub run_uid: &'a RunUid,
    /// Stage of the object.
    pub stage: &'a str,
    /// Attempt that is asked for.
    pub attempt: Attempt,
    /// Term of the leader.
    pub epoch: Epoch,
    /// Run timeout of the attempt.
    pub run_timeout_ms: Option<Millis>,
    /// The worker shows a sign at least so often.
    pub heartbeat_ms: Millis,
    /// Parameters.
    pub params_json: Option<&'a str>,
    /// Processor, where the object overrides its stage's.
    pub processor_json: Option<&'a str>,
}

impl Ready<'_> {
    /// Headers: CloudEvents and `reply_topic`.
    pub fn headers(&self, reply_topic: &Arc<str>, now: Millis) -> Headers {
        Headers::event("ObjectReady", self.run, Some(self.run_uid), self.attempt, now)
            .with_reply_topic(reply_topic)
    }

    /// The value as JSON, with what the dependencies hand on.
    pub fn encode<'i>(&self, inputs: impl Iterator<Item = Input<'i>>, now: Millis) -> Vec<u8> {
        let given = [Some(self.meta_json), self.params_json, self.processor_json];
        let given: usize = given.into_iter().flatten().map(str::len).sum();
        let mut json = JsonBuffer::with_capacity(384 + given);
        json.raw(r#"{"event_type":"ObjectReady","id_objet":"#).id(self.object);
        json.raw(r#","meta":"#).raw(self.meta_json);
        json.raw(r#","event_datetime":"#).time(now);
        json.raw(r#","run":"#).text(self.run);
        json.raw(r#","run_uid":"#).text(self.run_uid.as_str());
        json.raw(r#","stage":"#).text(self.stage);
        json.raw(r#","attempt":"#).number(self.attempt);
        json.raw(r#","epoch":"#).number(self.epoch);
        if let Some(ms) = self.run_timeout_ms {
            json.raw(r#","run_timeout_ms":"#).number(ms);
        }
        json.raw(r#","heartbeat_ms":"#).number(self.heartbeat_ms);
        json.raw(r#","params":"#).raw(self.params_json.unwrap_or("{}"));
        if let Some(processor) = self.processor_json {
            json.raw(r#","processor":"#).raw(processor);
        }
        json.raw(r#","inputs":["#);
        for (n, input) in inputs.enumerate() {
            json.raw(if n == 0 { r#"{"id":"# } else { r#",{"id":"# }).id(input.id);
            match input.handed {
                Handed::Text(outputs) => json.raw(r#","outputs":"#).raw(outputs),
                Handed::Offset(offset) => json.raw(r#","events_offset":"#).number(offset),
            };
            json.raw("}");
        }
        json.raw("]}");
        json.finish()
    }
}

/// An `ObjectReady` as a worker reads it. Fields that it does not know are ignored.
#[derive(Debug, Deserialize, Serialize)]
pub struct ReadyView<'a> {
    /// Always `ObjectReady`.
    pub event_type: &'a str,
    /// The id as JSON wrote it: number or string. The record's key is the id as text.
    #[serde(borrow)]
    pub id_objet: &'a RawValue,
    /// The object's whole record.
    #[serde(borrow)]
    pub meta: &'a RawValue,
    /// `<namespace>/<name>` of the run.
    pub run: std::borrow::Cow<'a, str>,
    /// Uid of the run.
    pub run_uid: std::borrow::Cow<'a, str>,
    /// Stage of the object.
    pub stage: std::borrow::Cow<'a, str>,
    /// Attempt that is asked for.
    pub attempt: Attempt,
    /// Term of the leader.
    pub epoch: Epoch,
    /// Run timeout of the attempt.
    #[serde(default)]
    pub run_timeout_ms: Option<Millis>,
    /// Show a sign at least so often.
    pub heartbeat_ms: Millis,
    /// Parameters.
    #[serde(borrow, default)]
    pub params: Option<&'a RawValue>,
    /// Processor, where the object overrides its stage's.
    #[serde(borrow, default)]
    pub processor: Option<&'a RawValue>,
    /// What the dependencies hand on.
    #[serde(borrow, default)]
    pub inputs: Option<&'a RawValue>,
}

impl<'a> ReadyView<'a> {
    /// Reads a value.
    pub fn decode(value: &'a [u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(value)
    }
}
