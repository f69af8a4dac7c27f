//! `ObjectReady`: the operator asks for one attempt at one object.

use orch_core::engine::Handed;
use orch_core::id::{Attempt, Epoch, Millis};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::headers::{HEADER_REPLY_TOPIC, Headers, event_headers};
use crate::{id_json, rfc3339};

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
    pub run: &'a str,
    /// Uid of the run.
    pub run_uid: &'a str,
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
    pub fn headers(&self, reply_topic: &str, now: Millis) -> Headers {
        let mut headers =
            event_headers("ObjectReady", self.run, self.run_uid, self.object, self.attempt, now);
        headers.push((HEADER_REPLY_TOPIC, reply_topic.to_owned().into()));
        headers
    }

    /// The value as JSON, with what the dependencies hand on.
    pub fn encode<'i>(&self, inputs: impl Iterator<Item = Input<'i>>, now: Millis) -> Vec<u8> {
        let mut out = Vec::with_capacity(384 + self.meta_json.len());
        let mut text = |part: &str| out.extend_from_slice(part.as_bytes());
        text(r#"{"event_type":"ObjectReady","id_objet":"#);
        text(&id_json(self.object).to_string());
        text(r#","meta":"#);
        text(self.meta_json);
        text(r#","event_datetime":""#);
        text(&rfc3339(now));
        text(r#"","run":"#);
        text(&quoted(self.run));
        text(r#","run_uid":"#);
        text(&quoted(self.run_uid));
        text(r#","stage":"#);
        text(&quoted(self.stage));
        text(&format!(r#","attempt":{},"epoch":{}"#, self.attempt, self.epoch));
        if let Some(ms) = self.run_timeout_ms {
            text(&format!(r#","run_timeout_ms":{ms}"#));
        }
        text(&format!(r#","heartbeat_ms":{},"params":"#, self.heartbeat_ms));
        text(self.params_json.unwrap_or("{}"));
        if let Some(processor) = self.processor_json {
            text(r#","processor":"#);
            text(processor);
        }
        text(r#","inputs":["#);
        for (n, input) in inputs.enumerate() {
            if n > 0 {
                text(",");
            }
            text(r#"{"id":"#);
            text(&id_json(input.id).to_string());
            match input.handed {
                Handed::Text(outputs) => {
                    text(r#","outputs":"#);
                    text(outputs);
                }
                Handed::Offset(offset) => text(&format!(r#","events_offset":{offset}"#)),
            }
            text("}");
        }
        text("]}");
        out
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// An `ObjectReady` as a worker reads it. Fields that it does not know are ignored.
#[derive(Debug, Deserialize, Serialize)]
pub struct ReadyView<'a> {
    /// Always `ObjectReady`.
    pub event_type: &'a str,
    /// The id as JSON wrote it: number or string. The record's key is the id as text.
    pub id_objet: serde_json::Value,
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
