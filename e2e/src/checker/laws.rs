//! What must hold between the topics of a run and its status.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use serde_json::Value;

use super::graph::{Graph, letters};
use super::ledger::{Ledger, Object, Place, Stand};
use super::log::{Log, Record};
use super::said;

/// So many findings are told; the rest is counted.
const TOLD: usize = 40;

/// What is known to be otherwise than the contract has it.
#[derive(Debug, Clone)]
pub struct Leave {
    /// A ready record may be on its way for so long when its run is cancelled.
    pub cancel_ms: i64,
    /// Topics that somebody deleted: records of theirs are missing.
    pub incomplete: Vec<String>,
}

impl Default for Leave {
    fn default() -> Self {
        Self { cancel_ms: 5_000, incomplete: Vec::new() }
    }
}

/// What was counted.
#[derive(Debug, Default)]
pub struct Totals {
    /// Objects of the run.
    pub objects: usize,
    /// Objects that were accepted as loaded, each once.
    pub loaded: usize,
    /// Failed for good, blocked by those, and cancelled.
    pub otherwise: usize,
    /// Objects that have not ended.
    pub lost: usize,
    /// Objects that the status counts more often than the log.
    pub counted_twice: usize,
    /// Attempts that were published.
    pub published: usize,
    /// Ready records beyond the first of an attempt.
    pub published_again: usize,
    /// Attempts beyond the first of an object.
    pub retried: usize,
    /// Terms of leaders.
    pub terms: usize,
    /// Records of the events topic that counted.
    pub accepted: usize,
    /// Those that did not, by reason.
    pub refused: BTreeMap<&'static str, usize>,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Verdict {
    /// What must not be.
    pub findings: Vec<String>,
    /// What was counted.
    pub totals: Totals,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let totals = &self.totals;
        writeln!(
            f,
            "{} objects: {} loaded, {} failed, blocked or cancelled, {} lost, {} counted twice",
            totals.objects, totals.loaded, totals.otherwise, totals.lost, totals.counted_twice
        )?;
        writeln!(
            f,
            "{} attempts published, {} of them again, {} retries, {} terms; {} records of events counted, not: {:?}",
            totals.published,
            totals.published_again,
            totals.retried,
            totals.terms,
            totals.accepted,
            totals.refused
        )?;
        for finding in self.findings.iter().take(TOLD) {
            writeln!(f, "finding: {finding}")?;
        }
        if self.findings.len() > TOLD {
            writeln!(f, "and {} more findings", self.findings.len() - TOLD)?;
        }
        Ok(())
    }
}

/// Judges a run, as `kubectl get -o json` shows it, by its records. An error: it cannot be judged.
pub fn judge(run: &Value, graph: &Graph, log: &Log, leave: &Leave) -> Result<Verdict, String> {
    let uid = run["metadata"]["uid"].as_str().ok_or("the run has no uid")?;
    let stage = &run["status"]["stages"][0];
    let (name, topic) = (stage["name"].as_str(), stage["topic"].as_str());
    let base = name.zip(topic).and_then(|(name, topic)| topic.strip_suffix(name));
    let base = base.ok_or("status.stages names no topic")?;
    let mut judge = Judge { uid, graph, base, leave, verdict: Verdict::default() };
    let ledger = judge.fold(log);
    let ready = judge.ready(&ledger, log);
    judge.published(&ledger, &ready);
    judge.status(&ledger, &run["status"])?;
    judge.count(&ledger, &ready);
    Ok(judge.verdict)
}

/// Append times of the ready records of an attempt, the earliest first.
type Ready = HashMap<(usize, u64), Vec<i64>>;

struct Judge<'a> {
    uid: &'a str,
    graph: &'a Graph,
    /// What its topics begin with, up to the last dot.
    base: &'a str,
    leave: &'a Leave,
    verdict: Verdict,
}

impl<'a> Judge<'a> {
    fn find(&mut self, finding: String) {
        self.verdict.findings.push(finding);
    }

    fn fold(&mut self, log: &Log) -> Ledger<'a> {
        let events = format!("{}events", self.base);
        let mut ledger = Ledger::new(self.graph, self.uid);
        let mut next: Option<i64> = None;
        for record in log.iter().filter(|record| record.topic == events) {
            if let Some(next) = next.filter(|next| *next != record.offset) {
                self.find(format!("{events}: offset {next} is followed by {}", record.offset));
            }
            next = Some(record.offset + 1);
            let place = Place { offset: record.offset, time_ms: record.time_ms };
            ledger.take(place, said::said(record).as_ref());
        }
        if ledger.refused.contains_key("started twice") {
            self.find("the run was started twice: its second leader did not know the first".to_owned());
        }
        ledger
    }

    fn ready(&mut self, ledger: &Ledger, log: &Log) -> Ready {
        let (mut ready, base) = (Ready::new(), self.base);
        for record in log.iter().filter(|record| record.topic.starts_with(base)) {
            let Some(value) = said::json(record).filter(|value| value["event_type"] == "ObjectReady") else {
                continue;
            };
            if value["run_uid"] == self.uid
                && let Err(finding) = self.ready_record(ledger, record, &value, &mut ready)
            {
                self.find(format!("{}/{} at {}: {finding}", record.topic, record.partition, record.offset));
            }
        }
        ready
    }

    fn ready_record(
        &self,
        ledger: &Ledger,
        record: &Record,
        value: &Value,
        ready: &mut Ready,
    ) -> Result<(), String> {
        let id = said::object(record, value).ok_or("a ready record whose key is another object's")?;
        let attempt = value["attempt"].as_u64().ok_or("a ready record without an attempt")?;
        let name = format!("{id} #{attempt}");
        let known = self.graph.positions.get(&id);
        let position = *known.ok_or_else(|| format!("{name} is ready, and nobody's"))?;
        if record.topic != format!("{}{}", self.base, self.graph.stages[position]) {
            return Err(format!("{name} is ready in another stage"));
        }
        let begun = ledger.begun.get(&(position, attempt));
        let begun = begun.ok_or_else(|| format!("{name} is ready, and never could begin"))?;
        if begun.time_ms > record.time_ms {
            return Err(format!("{name} was ready {} ms early", begun.time_ms - record.time_ms));
        }
        ready.entry((position, attempt)).or_default().push(record.time_ms);
        if let Some((place, reason, epoch)) = &ledger.cancelled {
            let is_later = value["epoch"].as_u64().is_some_and(|of| of > *epoch);
            if is_later || record.time_ms > place.time_ms + self.leave.cancel_ms {
                return Err(format!("{name} is ready {} ms after {reason}", record.time_ms - place.time_ms));
            }
        }
        Self::in_its_term(ledger, (record, value), &name, (position, attempt))?;
        self.inputs(ledger, value, position).map_err(|finding| format!("{name}: {finding}"))
    }

    /// Whoever leads has read everything before its own term.
    fn in_its_term(
        ledger: &Ledger,
        (record, value): (&Record, &Value),
        name: &str,
        key: (usize, u64),
    ) -> Result<(), String> {
        let epoch = value["epoch"].as_u64().ok_or("a ready record without a term")?;
        let term = ledger.terms.get(&epoch);
        let term = term.ok_or_else(|| format!("{name} is ready in term {epoch}, which nobody has"))?;
        if term.time_ms > record.time_ms {
            return Err(format!("{name} was ready before its term {epoch} began"));
        }
        match ledger.over.get(&key) {
            Some(over) if over.offset < term.offset => {
                Err(format!("{name} was over before term {epoch} began, which published it again"))
            }
            _ => Ok(()),
        }
    }

    /// What the parents handed on, as it was accepted, and nothing else.
    fn inputs(&self, ledger: &Ledger, value: &Value, position: usize) -> Result<(), String> {
        let mut listed = HashMap::new();
        for input in value["inputs"].as_array().into_iter().flatten() {
            let id = input["id"].as_str().map_or_else(|| input["id"].to_string(), str::to_owned);
            listed.insert(id, input);
        }
        for parent in &self.graph.parents[position] {
            let id = &self.graph.ids[*parent];
            let (outputs, input) = (&ledger.objects[*parent].outputs, listed.remove(id));
            let offset = ledger.loaded_at(*parent).map(|place| place.offset);
            let is_right = match (outputs, input) {
                (None, None) => true,
                (Some(outputs), Some(input)) => {
                    input.get("outputs") == Some(outputs)
                        || offset.is_some() && input["events_offset"].as_i64() == offset
                }
                _ => false,
            };
            if !is_right {
                return Err(format!(
                    "its input of {id} is {input:?}, and {id} handed on {outputs:?} at {offset:?}"
                ));
            }
        }
        match listed.keys().next() {
            Some(id) => Err(format!("it has an input of {id}, on which it does not depend")),
            None => Ok(()),
        }
    }

    /// Nothing is answered that was not asked for.
    fn published(&mut self, ledger: &Ledger, ready: &Ready) {
        let mut unasked = Vec::new();
        for (key @ (position, attempt), over) in &ledger.over {
            let topic = format!("{}{}", self.base, self.graph.stages[*position]);
            let was_cancelled = ledger.objects[*position].stand == Stand::Cancelled;
            if was_cancelled || self.leave.incomplete.contains(&topic) {
                continue;
            }
            let first = ready.get(key).and_then(|times| times.iter().min());
            if first.is_none_or(|first| *first > over.time_ms) {
                unasked.push(format!(
                    "{} #{attempt} was accepted, and not published before",
                    self.graph.ids[*position]
                ));
            }
        }
        unasked.sort();
        self.verdict.findings.extend(unasked);
    }

    fn status(&mut self, ledger: &Ledger, status: &Value) -> Result<(), String> {
        let has_failed = ledger.objects.iter().any(|object| object.stand == Stand::Failed);
        let phase = match ledger.cancelled.as_ref().map(|(_, reason, _)| reason.as_str()) {
            Some("Cancelled") => "Cancelled",
            Some(_) => "Failed",
            None if has_failed => "Failed",
            None => "Succeeded",
        };
        if status["phase"] != phase {
            self.find(format!("status.phase is {}, and the log says {phase}", status["phase"]));
        }
        let digest = ledger.started.as_ref().map(|(_, digest)| digest.as_str());
        if digest.is_none() || status["planDigest"].as_str() != digest {
            self.find(format!(
                "status.planDigest is {}, and the run began with {digest:?}",
                status["planDigest"]
            ));
        }
        for (field, stand) in [
            ("loaded", Stand::Loaded),
            ("failed", Stand::Failed),
            ("blocked", Stand::Blocked),
            ("cancelled", Stand::Cancelled),
        ] {
            let counted = ledger.objects.iter().filter(|object| object.stand == stand).count();
            let shown = status["counts"][field].as_u64().unwrap_or(0) as usize;
            self.verdict.totals.counted_twice += shown.saturating_sub(counted);
            if shown != counted {
                self.find(format!("status.counts.{field} is {shown}, and the log says {counted}"));
            }
        }
        if status["counts"]["total"].as_u64() != Some(self.graph.ids.len() as u64) {
            self.find(format!("status.counts.total is {}", status["counts"]["total"]));
        }
        let letters = letters(status)?;
        if letters.len() != self.graph.ids.len() {
            self.find(format!("status.phaseMap has {} letters", letters.len()));
        }
        for ((letter, object), id) in letters.iter().zip(&ledger.objects).zip(&self.graph.ids) {
            if *letter != shown_as(object) {
                let letter = char::from(*letter);
                self.verdict
                    .findings
                    .push(format!("status.phaseMap shows {id} as {letter}, it is {:?}", object.stand));
            }
        }
        Ok(())
    }

    fn count(&mut self, ledger: &Ledger, ready: &Ready) {
        let with =
            |stands: &[Stand]| ledger.objects.iter().filter(|object| stands.contains(&object.stand)).count();
        let open: Vec<&String> = ledger
            .objects
            .iter()
            .zip(&self.graph.ids)
            .filter(|(object, _)| matches!(object.stand, Stand::Waits | Stand::MayRun | Stand::Runs))
            .map(|(_, id)| id)
            .collect();
        let lost = open.len();
        if lost > 0 {
            let first: Vec<_> = open.into_iter().take(10).collect();
            self.verdict.findings.push(format!("{lost} objects have not ended: {first:?}"));
        }
        let totals = &mut self.verdict.totals;
        totals.objects = self.graph.ids.len();
        totals.loaded = with(&[Stand::Loaded]);
        totals.otherwise = with(&[Stand::Failed, Stand::Blocked, Stand::Cancelled]);
        totals.lost = lost;
        totals.published = ready.len();
        totals.published_again = ready.values().map(|times| times.len() - 1).sum();
        totals.retried = ledger.begun.keys().filter(|(_, attempt)| *attempt > 1).count();
        totals.terms = ledger.terms.len();
        totals.accepted = ledger.accepted;
        totals.refused = ledger.refused.clone();
    }
}

/// The letter of an object when its run is over.
fn shown_as(object: &Object) -> u8 {
    match object.stand {
        Stand::Waits => b'P',
        Stand::MayRun => b'Q',
        Stand::Runs => b'N',
        Stand::Loaded => b'L',
        Stand::Failed => b'F',
        Stand::Blocked => b'B',
        Stand::Cancelled => b'X',
    }
}
