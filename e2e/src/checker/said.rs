//! What a record of the events topic says.

use serde_json::Value;

use super::log::Record;

/// Larger values are nobody's.
const MAX_BYTES: usize = 512 * 1024;
/// Whoever nests deeper is not read.
const MAX_DEPTH: usize = 100;
/// Terms above are not read.
const MAX_EPOCH: u64 = (1 << 53) - 1;

#[derive(Debug)]
pub(super) enum Said {
    Leader { epoch: u64 },
    RunStarted { uid: String, epoch: u64, digest: String },
    RunCancelled { uid: String, epoch: u64, reason: String },
    Snapshot { uid: String },
    About(About),
}

/// A word about an attempt.
#[derive(Debug)]
pub(super) struct About {
    pub(super) uid: String,
    pub(super) object: String,
    pub(super) stage: Option<String>,
    pub(super) attempt: u64,
    /// The term of an operator's own word.
    pub(super) by: Option<u64>,
    pub(super) word: Word,
}

#[derive(Debug)]
pub(super) enum Word {
    Sign,
    Loaded { outputs: Option<Value> },
    Failed { again: bool, drained: bool },
}

/// A JSON object that is not too large and not too deep.
pub(super) fn json(record: &Record) -> Option<Value> {
    if record.value.len() > MAX_BYTES {
        return None;
    }
    let value: Value = serde_json::from_str(&record.value).ok()?;
    (value.is_object() && depth(&value) <= MAX_DEPTH).then_some(value)
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(of) => 1 + of.iter().map(depth).max().unwrap_or(0),
        Value::Object(of) => 1 + of.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

/// `None`: nothing that anybody can read.
pub(super) fn said(record: &Record) -> Option<Said> {
    let value = json(record)?;
    let text = |field: &str| value[field].as_str().map(str::to_owned);
    let epoch = value.get("epoch").and_then(Value::as_u64).filter(|epoch| *epoch <= MAX_EPOCH);
    match value["event_type"].as_str()? {
        "LeaderStarted" => Some(Said::Leader { epoch: epoch? }),
        "RunStarted" => {
            Some(Said::RunStarted { uid: text("run_uid")?, epoch: epoch?, digest: text("plan_digest")? })
        }
        "RunCancelled" => {
            Some(Said::RunCancelled { uid: text("run_uid")?, epoch: epoch?, reason: text("reason")? })
        }
        "RunSnapshot" => Some(Said::Snapshot { uid: text("run_uid")? }),
        kind => about(record, &value, kind, epoch),
    }
}

fn about(record: &Record, value: &Value, kind: &str, epoch: Option<u64>) -> Option<Said> {
    let text = |field: &str| value[field].as_str().map(str::to_owned);
    let object = object(record, value)?;
    let attempt = value["attempt"].as_u64().filter(|attempt| *attempt > 0)?;
    let by = epoch.filter(|_| kind == "ObjectFailed" && value["worker"] == "operator");
    let reason = text("reason").unwrap_or_default();
    let word = match kind {
        "ObjectStarted" | "ObjectProgress" => Word::Sign,
        "ObjectLoaded" => Word::Loaded { outputs: value.get("outputs").filter(|of| !of.is_null()).cloned() },
        "ObjectFailed" => {
            let again = if by.is_some() { reason != "RecordTooLarge" } else { value["retryable"] != false };
            Word::Failed { again, drained: again && by.is_none() && reason == "Drained" }
        }
        _ => return None,
    };
    Some(Said::About(About { uid: text("run_uid")?, object, stage: text("stage"), attempt, by, word }))
}

/// The id, by the key or by the value; both and different is nothing.
pub(super) fn object(record: &Record, value: &Value) -> Option<String> {
    let id = match &value["id_objet"] {
        Value::String(id) => id.clone(),
        Value::Number(id) => id.to_string(),
        _ => return Some(record.key.clone()).filter(|key| !key.is_empty()),
    };
    (record.key.is_empty() || record.key == id).then_some(id)
}
