//! One attempt at one object, as its ready record describes it. No I/O.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use orch_core::id::{Attempt, InvalidName, Millis, ObjectId, RunUid, canonical_number};
use orch_wire::{MAX_RECORD_BYTES, ReadyView};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use thiserror::Error;

/// Heartbeats shorter than this would be all that a worker does.
const MIN_HEARTBEAT: Duration = Duration::from_millis(30);

/// One attempt at one object: what a [`crate::Processor`] gets.
///
/// JSON members stay text, exactly as the record has them; [`Work::parse_params`] and its like read them.
/// Clones share the record's bytes.
#[derive(Debug, Clone)]
pub struct Work {
    object: ObjectId,
    attempt: Attempt,
    run: Arc<str>,
    run_uid: RunUid,
    stage: Arc<str>,
    heartbeat: Duration,
    run_timeout: Option<Duration>,
    meta: Bytes,
    params: Option<Bytes>,
    inputs: Option<Bytes>,
    processor: Option<Bytes>,
    record: Bytes,
    reply_topic: Option<Arc<str>>,
}

/// What the records of a run's stage have in common.
#[derive(Clone)]
pub(crate) struct Names {
    run: Arc<str>,
    run_uid: RunUid,
    stage: Arc<str>,
}

/// Why a record of a ready topic cannot be worked on. It is counted, reported and skipped.
#[derive(Debug, Error)]
pub enum MalformedReady {
    /// Larger than the contract allows.
    #[error("{0} bytes, the limit is {MAX_RECORD_BYTES}")]
    TooLarge(usize),
    /// Not JSON, or a field is missing or of the wrong type.
    #[error("not readable as ObjectReady: {0}")]
    Json(#[from] serde_json::Error),
    /// Another event.
    #[error("the event type is `{0}`, not `ObjectReady`")]
    EventType(String),
    /// The key is no UTF-8.
    #[error("the key is not UTF-8")]
    Key,
    /// Neither the key nor `id_objet` is an object id.
    #[error(transparent)]
    Object(#[from] InvalidName),
    /// Key and `id_objet` name different objects.
    #[error("the key is `{key}`, `id_objet` says `{id_objet}`")]
    KeyConflict {
        /// The record's key.
        key: String,
        /// The value's id, as JSON.
        id_objet: String,
    },
    /// Attempts count from 1.
    #[error("`attempt` is 0")]
    Attempt,
    /// The run has no uid.
    #[error("`run_uid` is empty")]
    RunUid,
}

impl Work {
    /// Reads a record of a ready topic. Fields that are not known are ignored.
    pub fn decode(key: &[u8], value: &Bytes, reply_topic: Option<Arc<str>>) -> Result<Self, MalformedReady> {
        Self::decode_like(&mut None, key, value, reply_topic)
    }

    /// The same. Names that are those of the work before are shared with it: they hardly ever change.
    pub(crate) fn decode_like(
        before: &mut Option<Names>,
        key: &[u8],
        value: &Bytes,
        reply_topic: Option<Arc<str>>,
    ) -> Result<Self, MalformedReady> {
        if value.len() > MAX_RECORD_BYTES {
            return Err(MalformedReady::TooLarge(value.len()));
        }
        let view = ReadyView::decode(value)?;
        if view.event_type != "ObjectReady" {
            return Err(MalformedReady::EventType(view.event_type.chars().take(80).collect()));
        }
        if view.attempt == 0 {
            return Err(MalformedReady::Attempt);
        }
        if view.run_uid.is_empty() {
            return Err(MalformedReady::RunUid);
        }
        let shared = |raw: &RawValue| value.slice_ref(raw.get().as_bytes());
        let object = object_id(key, view.id_objet)?;
        let same = before.take().filter(|names| {
            (&*names.run, names.run_uid.as_str(), &*names.stage) == (&*view.run, &*view.run_uid, &*view.stage)
        });
        let names = same.unwrap_or_else(|| Names {
            run: view.run.as_ref().into(),
            run_uid: RunUid::new(&view.run_uid),
            stage: view.stage.as_ref().into(),
        });
        *before = Some(names.clone());
        let Names { run, run_uid, stage } = names;
        Ok(Self {
            object,
            attempt: view.attempt,
            run,
            run_uid,
            stage,
            heartbeat: millis(view.heartbeat_ms).max(MIN_HEARTBEAT),
            run_timeout: view.run_timeout_ms.map(millis),
            meta: shared(view.meta),
            params: view.params.map(shared),
            inputs: view.inputs.map(shared),
            processor: view.processor.map(shared),
            record: value.clone(),
            reply_topic,
        })
    }

    /// Id of the object.
    pub fn object(&self) -> &ObjectId {
        &self.object
    }

    /// Which attempt at it this is, from 1. Work may be done twice with the same number after a crash.
    pub fn attempt(&self) -> Attempt {
        self.attempt
    }

    /// `<namespace>/<name>` of the run.
    pub fn run(&self) -> &str {
        &self.run
    }

    pub(crate) fn run_name(&self) -> &Arc<str> {
        &self.run
    }

    /// Uid of the run.
    pub fn run_uid(&self) -> &RunUid {
        &self.run_uid
    }

    /// Stage of the object.
    pub fn stage(&self) -> &str {
        &self.stage
    }

    /// The object's whole record as the user gave it, as JSON text; `null` for an object that nobody defined.
    pub fn meta(&self) -> &str {
        text(&self.meta)
    }

    /// Parameters of the object as JSON text; `{}` when it has none.
    pub fn params(&self) -> &str {
        self.params.as_ref().map_or("{}", text)
    }

    /// What the dependencies hand on, as JSON text: `[{"id": 1005, "outputs": {"rows": 200}}]`.
    pub fn inputs(&self) -> &str {
        self.inputs.as_ref().map_or("[]", text)
    }

    /// Reads [`Work::params`] into a type.
    pub fn parse_params<'a, T: Deserialize<'a>>(&'a self) -> Result<T, serde_json::Error> {
        serde_json::from_str(self.params())
    }

    /// Reads [`Work::meta`] into a type.
    pub fn parse_meta<'a, T: Deserialize<'a>>(&'a self) -> Result<T, serde_json::Error> {
        serde_json::from_str(self.meta())
    }

    /// Whether inputs may stand elsewhere: a glance, since most records have none that do.
    pub(crate) fn may_have_distant_inputs(&self) -> bool {
        self.inputs().contains("\"events_offset\"")
    }

    /// The same work, as if its record had held these inputs.
    pub(crate) fn with_inputs(self, json: &str) -> Self {
        let Some(old) = &self.inputs else { return self };
        let from = old.as_ptr() as usize - self.record.as_ptr() as usize;
        let parts = [&self.record[..from], json.as_bytes(), &self.record[from + old.len()..]];
        let record = Bytes::from(parts.concat());
        Self { inputs: Some(record.slice(from..from + json.len())), record, ..self }
    }

    /// The outputs of the dependency `id`, read into a type; `None` when there is no such dependency.
    pub fn input<'a, T: Deserialize<'a>>(&'a self, id: &str) -> Result<Option<T>, serde_json::Error> {
        #[derive(Deserialize)]
        struct Input<'a> {
            id: Value,
            #[serde(borrow)]
            outputs: &'a RawValue,
        }
        let inputs: Vec<Input<'a>> = serde_json::from_str(self.inputs())?;
        let found = inputs.iter().find(|input| is_id(&input.id, id));
        found.map(|input| serde_json::from_str(input.outputs.get())).transpose()
    }

    /// The processor that the object asks for instead of its stage's, as JSON text.
    pub fn processor(&self) -> Option<&str> {
        self.processor.as_ref().map(text)
    }

    /// The whole ready record, JSON.
    pub fn record(&self) -> &Bytes {
        &self.record
    }

    /// How often a sign of life is due.
    pub fn heartbeat(&self) -> Duration {
        self.heartbeat
    }

    /// How long the attempt may take. The runtime sees to it.
    pub fn run_timeout(&self) -> Option<Duration> {
        self.run_timeout
    }

    /// Where the answer goes, if the record says so.
    pub(crate) fn reply_topic(&self) -> Option<&Arc<str>> {
        self.reply_topic.as_ref()
    }
}

/// The texts are slices of a record that was read as JSON, so they are UTF-8.
fn text(bytes: &Bytes) -> &str {
    std::str::from_utf8(bytes).unwrap_or("null")
}

fn millis(ms: Millis) -> Duration {
    Duration::from_millis(ms.max(0) as u64)
}

/// Key or `id_objet` suffices; both and different is malformed.
fn object_id(key: &[u8], id_objet: &RawValue) -> Result<ObjectId, MalformedReady> {
    let key = std::str::from_utf8(key).map_err(|_| MalformedReady::Key)?;
    // A canonical number is written in one way only.
    if !key.is_empty() && id_objet.get() == key && canonical_number(key).is_some() {
        return Ok(ObjectId::parse(key)?);
    }
    let id: Value = serde_json::from_str(id_objet.get())?;
    if !key.is_empty() {
        if id.is_null() || is_id(&id, key) {
            return Ok(ObjectId::parse(key)?);
        }
        return Err(MalformedReady::KeyConflict { key: key.to_owned(), id_objet: id.to_string() });
    }
    match &id {
        Value::String(id) => Ok(ObjectId::parse(id)?),
        Value::Number(number) => Ok(ObjectId::parse(&number.to_string())?),
        _ => Ok(ObjectId::parse("")?),
    }
}

pub(crate) fn is_id(json: &Value, id: &str) -> bool {
    match json {
        Value::String(text) => text == id,
        Value::Number(number) => number.as_u64().is_some_and(|number| canonical_number(id) == Some(number)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(key: &str, value: &str) -> Result<Work, MalformedReady> {
        Work::decode(key.as_bytes(), &Bytes::copy_from_slice(value.as_bytes()), None)
    }

    /// The golden record's value, with `change` made to it.
    fn golden(change: impl FnOnce(&mut serde_json::Map<String, Value>)) -> String {
        let file = include_str!("../../wire/golden/ready.json");
        let mut file: Value = serde_json::from_str(file).unwrap();
        let value = file["value"].as_object_mut().unwrap();
        change(value);
        Value::Object(value.clone()).to_string()
    }

    #[test]
    fn a_ready_record_is_read_and_its_members_stay_as_they_are() {
        let work = decode("2005", &golden(|_| {})).unwrap();
        assert_eq!((work.object().as_str(), work.attempt(), work.run()), ("2005", 1, "default/sales"));
        assert_eq!(work.run_timeout(), Some(Duration::from_mins(10)));
        assert_eq!(work.heartbeat(), Duration::from_secs(30));
        assert!(work.meta().contains("\"Criticité\":\"high\""), "{}", work.meta());
        assert!(work.meta().contains("500.0"), "{}", work.meta());
        let params: Value = work.parse_params().unwrap();
        assert_eq!(params["year"], 2026);
        let outputs: Option<Value> = work.input("1006").unwrap();
        assert_eq!(outputs.unwrap()["path"], "raw/tasks");
        assert!(work.input::<Value>("1007").unwrap().is_none());
    }

    #[test]
    fn what_is_absent_has_a_neutral_form() {
        let bare = r#"{"event_type":"ObjectReady","id_objet":7,"meta":null,"run":"a/b","run_uid":"u","stage":"s","attempt":1,"epoch":1,"heartbeat_ms":-5}"#;
        let work = decode("", bare).unwrap();
        assert_eq!(work.object().as_str(), "7");
        assert_eq!((work.meta(), work.params(), work.inputs(), work.processor()), ("null", "{}", "[]", None));
        assert_eq!((work.heartbeat(), work.run_timeout()), (MIN_HEARTBEAT, None));
    }

    #[test]
    fn what_is_malformed_says_why() {
        let cases: [(&str, String, &str); 8] = [
            ("2005", "junk".to_owned(), "not readable"),
            ("2005", "[".repeat(1000), "not readable"),
            ("2005", golden(|v| _ = v.insert("event_type".into(), "ObjectLoaded".into())), "`ObjectLoaded`"),
            ("2006", golden(|_| {}), "the key is `2006`"),
            ("2005", golden(|v| _ = v.insert("attempt".into(), 0.into())), "`attempt` is 0"),
            ("2005", golden(|v| _ = v.remove("run_uid")), "run_uid"),
            ("2005", golden(|v| _ = v.insert("run_uid".into(), "".into())), "`run_uid` is empty"),
            ("", golden(|v| _ = v.insert("id_objet".into(), "a b".into())), "no object id"),
        ];
        for (key, value, expected) in cases {
            let text = decode(key, &value).unwrap_err().to_string();
            assert!(text.contains(expected), "{text}");
        }
        let large = format!("\"{}\"", "x".repeat(MAX_RECORD_BYTES));
        assert_eq!(decode("1", &large).unwrap_err().to_string(), "524290 bytes, the limit is 524288");
    }
}
