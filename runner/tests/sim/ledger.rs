//! What the events topic means, worked out anew: a second reading of the contract, with JSON values and loops. It shares
//! no code with the engine, and is what the engine is held against.

use std::collections::BTreeMap;

use serde_json::Value;

use super::scenario::Run;

/// A term further above the highest one is out of reach.
pub const FAR: u64 = 1 << 32;
/// So many drains in a row use up no attempt.
const FREE_DRAINS: u32 = 5;

/// What a record says.
#[derive(Debug, Clone)]
pub enum Said {
    /// Nothing that anybody can read.
    Nothing,
    Leader {
        epoch: u64,
        name: String,
    },
    /// A mark or a part of what an operator knows of a run: it says nothing new.
    Snapshot {
        epoch: u64,
    },
    RunStarted {
        uid: String,
        epoch: u64,
    },
    RunCancelled {
        uid: String,
        epoch: u64,
        reason: String,
    },
    /// About an attempt; `by` is the term of an operator's own word.
    Attempt {
        uid: String,
        object: String,
        stage: Option<String>,
        attempt: u32,
        by: Option<u64>,
        word: Word,
    },
}

#[derive(Debug, Clone, PartialEq)]
pub enum Word {
    Sign,
    Loaded { outputs: Option<Value> },
    Failed { again: bool, drained: bool },
}

/// Reads a record.
pub fn read(key: &[u8], value: &[u8]) -> Said {
    try_read(key, value).unwrap_or(Said::Nothing)
}

fn try_read(key: &[u8], value: &[u8]) -> Option<Said> {
    let value: Value = serde_json::from_slice(value).ok()?;
    let text = |field: &str| value[field].as_str().map(str::to_owned);
    let epoch = value["epoch"].as_u64();
    let kind = text("event_type")?;
    match kind.as_str() {
        "LeaderStarted" => {
            return Some(Said::Leader { epoch: epoch?, name: text("leader").unwrap_or_default() });
        }
        "RunSnapshot" => return Some(Said::Snapshot { epoch: epoch? }),
        "RunStarted" => return Some(Said::RunStarted { uid: text("run_uid")?, epoch: epoch? }),
        "RunCancelled" => {
            return Some(Said::RunCancelled {
                uid: text("run_uid")?,
                epoch: epoch?,
                reason: text("reason")?,
            });
        }
        _ => {}
    }
    let key = String::from_utf8(key.to_vec()).ok()?;
    let id = match &value["id_objet"] {
        Value::Null => key.clone(),
        Value::String(id) => id.clone(),
        other => other.to_string(),
    };
    let attempt = value["attempt"].as_u64().and_then(|attempt| u32::try_from(attempt).ok())?;
    if attempt == 0 || (!key.is_empty() && key != id) {
        return None;
    }
    let reason = text("reason").unwrap_or_default();
    let is_operator =
        kind == "ObjectFailed" && text("worker").as_deref() == Some("operator") && epoch.is_some();
    let word = match kind.as_str() {
        "ObjectStarted" | "ObjectProgress" => Word::Sign,
        "ObjectLoaded" => Word::Loaded { outputs: value.get("outputs").filter(|v| !v.is_null()).cloned() },
        "ObjectFailed" => {
            let again = if is_operator { reason != "RecordTooLarge" } else { value["retryable"] != false };
            Word::Failed { again, drained: again && !is_operator && reason == "Drained" }
        }
        _ => return None,
    };
    let by = epoch.filter(|_| is_operator);
    Some(Said::Attempt { uid: text("run_uid")?, object: id, stage: text("stage"), attempt, by, word })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stand {
    Waits,
    MayRun,
    Runs,
    Loaded,
    Failed,
    Blocked,
    Cancelled,
}

#[derive(Debug, Clone)]
pub struct Object {
    pub stand: Stand,
    pub attempt: u32,
    used: u32,
    drains: u32,
    pub outputs: Option<Value>,
}

/// What is known of one run after some of its records.
#[derive(Debug, Clone)]
pub struct Ledger {
    epoch: u64,
    pub started: bool,
    pub ended: Option<String>,
    pub stopping: bool,
    pub objects: Vec<Object>,
    /// Offset at which something became so: by object and attempt, that it exists and that it ended.
    pub begun_at: BTreeMap<(usize, u32), i64>,
    pub over_at: BTreeMap<(usize, u32), i64>,
    pub loaded_at: BTreeMap<usize, i64>,
    pub cancelled_at: Option<i64>,
    pub stopped_at: Option<i64>,
}

impl Ledger {
    pub fn new(run: &Run) -> Self {
        let waits = Object { stand: Stand::Waits, attempt: 0, used: 0, drains: 0, outputs: None };
        Self {
            epoch: 0,
            started: false,
            ended: None,
            stopping: false,
            objects: vec![waits; run.ids.len()],
            begun_at: BTreeMap::new(),
            over_at: BTreeMap::new(),
            loaded_at: BTreeMap::new(),
            cancelled_at: None,
            stopped_at: None,
        }
    }

    /// Takes the record at `offset` in.
    pub fn take(&mut self, run: &Run, stages: &[String], offset: i64, said: &Said) {
        let own = |uid: &String| uid == run.uid.as_str();
        match said {
            Said::Leader { epoch, .. } if *epoch > self.epoch && *epoch - self.epoch <= FAR => {
                self.epoch = *epoch;
            }
            Said::RunStarted { uid, epoch } if own(uid) && *epoch >= self.epoch && !self.started => {
                (self.started, self.epoch) = (true, *epoch);
                self.look_for_ready(run, offset);
            }
            Said::RunCancelled { uid, epoch, reason } if own(uid) && *epoch >= self.epoch => {
                let has_open = self.objects.iter().any(|object| is_open(object.stand));
                if self.started && self.ended.is_none() && has_open {
                    self.ended = Some(reason.clone());
                    self.cancelled_at = Some(offset);
                    self.cancel(offset, is_open);
                }
            }
            Said::Attempt { uid, object, stage, attempt, by, word } if own(uid) && self.started => {
                let Some(n) = run.object(object) else { return };
                let is_wrong = stage.as_ref().is_some_and(|stage| *stage != stages[run.stage_of[n]]);
                let is_void = by.is_some_and(|epoch| epoch < self.epoch);
                let is_current = matches!(self.objects[n].stand, Stand::MayRun | Stand::Runs)
                    && self.objects[n].attempt == *attempt;
                // The stage of an operator's own word is not looked at.
                if (!is_wrong || by.is_some()) && !is_void && is_current {
                    self.hear(run, n, word, offset);
                }
            }
            _ => {}
        }
    }

    fn hear(&mut self, run: &Run, n: usize, word: &Word, offset: i64) {
        let attempt = self.objects[n].attempt;
        match word {
            Word::Sign => self.objects[n].stand = Stand::Runs,
            Word::Loaded { outputs } => {
                self.over_at.insert((n, attempt), offset);
                self.loaded_at.insert(n, offset);
                self.objects[n].stand = Stand::Loaded;
                self.objects[n].outputs.clone_from(outputs);
                self.look_for_ready(run, offset);
            }
            Word::Failed { again, drained } => {
                self.over_at.insert((n, attempt), offset);
                let object = &mut self.objects[n];
                object.drains = if *drained { object.drains + 1 } else { 0 };
                if !(1..=FREE_DRAINS).contains(&object.drains) {
                    object.used += 1;
                }
                if *again && object.used < run.max_attempts {
                    object.stand = Stand::MayRun;
                    object.attempt += 1;
                    self.begun_at.insert((n, attempt + 1), offset);
                } else {
                    object.stand = Stand::Failed;
                    self.block(run, n);
                    if run.fail_fast && !self.stopping {
                        self.stopping = true;
                        self.stopped_at = Some(offset);
                        self.cancel(offset, |stand| stand == Stand::Waits);
                    }
                }
            }
        }
    }

    fn look_for_ready(&mut self, run: &Run, offset: i64) {
        for n in 0..self.objects.len() {
            let is_loaded = |parent: &usize| self.objects[*parent].stand == Stand::Loaded;
            if self.objects[n].stand == Stand::Waits && run.parents[n].iter().all(is_loaded) {
                self.objects[n].stand = Stand::MayRun;
                self.objects[n].attempt = 1;
                self.begun_at.insert((n, 1), offset);
            }
        }
    }

    fn block(&mut self, run: &Run, failed: usize) {
        for n in 0..self.objects.len() {
            if self.objects[n].stand == Stand::Waits && run.parents[n].contains(&failed) {
                self.objects[n].stand = Stand::Blocked;
                self.block(run, n);
            }
        }
    }

    fn cancel(&mut self, offset: i64, which: impl Fn(Stand) -> bool) {
        for (n, object) in self.objects.iter_mut().enumerate() {
            if which(object.stand) {
                object.stand = Stand::Cancelled;
                self.over_at.insert((n, object.attempt), offset);
            }
        }
    }

    /// Whether a view with these letters and attempts says the same. What is published is not in the log: several letters
    /// stand for an object that may run.
    pub fn agrees(&self, letters: &[u8], attempts: &[u32]) -> bool {
        let same = |(object, (letter, attempt)): (&Object, (&u8, &u32))| {
            let letters: &[u8] = match object.stand {
                Stand::Waits => b"P",
                Stand::MayRun if self.stopping => b"RQTX",
                Stand::MayRun => b"RQT",
                Stand::Runs => b"N",
                Stand::Loaded => b"L",
                Stand::Failed => b"F",
                Stand::Blocked => b"B",
                Stand::Cancelled => b"X",
            };
            letters.contains(letter) && *attempt == object.attempt
        };
        self.objects.len() == letters.len() && self.objects.iter().zip(letters.iter().zip(attempts)).all(same)
    }

    /// The phase and the reason of a run that is over.
    pub fn outcome(&self) -> (&'static str, &str) {
        let has_failed = self.objects.iter().any(|object| object.stand == Stand::Failed);
        match self.ended.as_deref() {
            Some("Cancelled") => ("Cancelled", "Cancelled"),
            Some(reason) => ("Failed", reason),
            None if has_failed => ("Failed", "ObjectsFailed"),
            None => ("Succeeded", "Completed"),
        }
    }

    pub fn text(&self) -> String {
        let of = |object: &Object| format!("{:?}#{}", object.stand, object.attempt);
        let objects: Vec<String> = self.objects.iter().map(of).collect();
        format!("ended {:?}, stopping {}: {}", self.ended, self.stopping, objects.join(" "))
    }
}

fn is_open(stand: Stand) -> bool {
    matches!(stand, Stand::Waits | Stand::MayRun | Stand::Runs)
}
