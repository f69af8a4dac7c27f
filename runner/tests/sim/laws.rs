//! What must always hold. Looked at with every record that an operator hands over, and with every record that is written.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use super::ledger::{self, Ledger, Said};
use super::scenario::{Run, Scenario};
use super::world::Place;

/// An object's attempt: run, object, attempt.
pub type Attempt = (usize, usize, u32);

/// What an operator has read of the events when it hands a record over.
#[derive(Debug, Clone, Copy)]
pub struct Knowledge {
    /// Its main reader gave it everything below.
    pub surely: i64,
    /// None of its readers gave it more.
    pub at_most: i64,
}

/// An attempt that was asked for by one process.
#[derive(Debug, Clone, Copy, Default)]
struct Asked {
    times: u32,
    /// Times that the bus gave it back.
    given_back: u32,
}

/// A ready record that is written.
#[derive(Debug, Clone)]
pub struct Stands {
    pub place: Place,
    pub offset: i64,
    events: i64,
}

/// See the module.
pub struct Laws {
    scenario: Arc<Scenario>,
    stages: Vec<String>,
    events: Vec<Said>,
    /// By run; there once its start offset is known.
    pub ledgers: Vec<Option<Ledger>>,
    starts: Vec<Option<i64>>,
    /// By process: where it began to read, and the highest term that it knew then.
    begins: BTreeMap<usize, (i64, u64)>,
    asked: BTreeMap<(usize, Attempt), Asked>,
    /// What operators have written to the events topic. A record that the bus gave up is written again as it was.
    wrote: BTreeSet<(usize, Vec<u8>)>,
    /// Where an attempt stands in a ready topic, and how long the events were when it was written there.
    stands: BTreeMap<Attempt, Vec<Stands>>,
    /// Processes that were told that the workers know a run to be open.
    open: BTreeSet<(usize, String)>,
    /// Of which runs somebody has ordered the end.
    pub cancel_ordered: BTreeSet<usize>,
}

impl Laws {
    pub fn new(scenario: Arc<Scenario>) -> Self {
        let runs = scenario.runs.len();
        Self {
            stages: scenario.stages.iter().map(|(name, _)| name.as_str().to_owned()).collect(),
            scenario,
            events: Vec::new(),
            ledgers: vec![None; runs],
            starts: vec![None; runs],
            begins: BTreeMap::new(),
            asked: BTreeMap::new(),
            wrote: BTreeSet::new(),
            stands: BTreeMap::new(),
            open: BTreeSet::new(),
            cancel_ordered: BTreeSet::new(),
        }
    }

    /// Where the records of a run begin is known now.
    pub fn claimed(&mut self, run: usize, start: i64) {
        self.starts[run] = Some(start);
        self.ledgers[run] = Some(self.ledger_at(run, self.events.len() as i64));
    }

    /// The ledger of a run before the record at `offset`.
    pub fn ledger_at(&self, run: usize, offset: i64) -> Ledger {
        let of = &self.scenario.runs[run];
        let mut ledger = Ledger::new(of);
        let start = self.starts[run].unwrap_or(0);
        for at in start..offset {
            ledger.take(of, &self.stages, at, &self.events[at as usize]);
        }
        ledger
    }

    /// A record was written to the events topic.
    pub fn written(&mut self, key: &[u8], value: &[u8]) {
        let offset = self.events.len() as i64;
        let said = ledger::read(key, value);
        for (run, ledger) in self.scenario.runs.iter().zip(&mut self.ledgers) {
            if let Some(ledger) = ledger {
                ledger.take(run, &self.stages, offset, &said);
            }
        }
        self.events.push(said);
    }

    /// A process that knows of terms up to `known` reads the events from `from` on.
    pub fn begins(&mut self, process: usize, from: i64, known: u64) {
        self.begins.insert(process, (from, known));
    }

    pub fn told_open(&mut self, process: usize, uid: &str) {
        self.open.insert((process, uid.to_owned()));
    }

    pub fn given_back(&mut self, process: usize, attempt: Attempt) {
        self.asked.entry((process, attempt)).or_default().given_back += 1;
    }

    /// A ready record is written.
    pub fn now_stands(&mut self, asks: Attempt, place: Place, offset: i64) {
        let events = self.events.len() as i64;
        self.stands.entry(asks).or_default().push(Stands { place, offset, events });
    }

    /// The records of an attempt that stood in the ready topic before a process began to lead: it must have found them.
    pub fn stood_before(&self, process: usize, asks: Attempt) -> impl Iterator<Item = &Stands> {
        let is_own = |said: &Said| matches!(said, Said::Leader { name, .. } if is_of(name, process));
        let from = self.events.iter().position(is_own).unwrap_or(0) as i64;
        self.stands.get(&asks).into_iter().flatten().filter(move |stands| stands.events <= from)
    }

    /// An operator hands a record of its own for the events topic over.
    pub fn may_write(
        &mut self,
        process: usize,
        knows: Knowledge,
        key: &[u8],
        value: &[u8],
    ) -> Result<(), String> {
        let said = ledger::read(key, value);
        let is_news = self.wrote.insert((process, value.to_vec()));
        match &said {
            Said::Nothing => Err("it writes what nobody can read".to_owned()),
            Said::Leader { .. } => Ok(()),
            Said::RunStarted { epoch, .. } | Said::Snapshot { epoch } => self.in_term(process, knows, *epoch),
            Said::RunCancelled { uid, epoch, reason } => {
                self.in_term(process, knows, *epoch)?;
                let run = self.run(uid)?;
                let may = match reason.as_str() {
                    "Cancelled" => self.cancel_ordered.contains(&run),
                    "ObjectsFailed" => is_before(self.ledger(run)?.stopped_at, knows.at_most),
                    _ => self.scenario.runs[run].timeout_ms.is_some(),
                };
                must(may, "it ends a run that nobody ended")?;
                let ledger = self.ledger(run)?;
                must(
                    !is_news || !is_before(ledger.cancelled_at, knows.surely),
                    "it ends a run that it knows to be ended",
                )
            }
            Said::Attempt { uid, object, attempt, by, .. } => {
                self.in_term(process, knows, by.unwrap_or(0))?;
                let run = self.run(uid)?;
                let n = self.scenario.runs[run].object(object).ok_or("it gives an unknown object up")?;
                let ledger = self.ledger(run)?;
                let begun = ledger.begun_at.get(&(n, *attempt)).copied();
                must(is_before(begun, knows.at_most), "it gives an attempt up that does not exist")?;
                let over = ledger.over_at.get(&(n, *attempt)).copied();
                must(
                    !is_news || !is_before(over, knows.surely),
                    "it gives an attempt up that it knows to be over",
                )
            }
        }
    }

    /// An operator hands a ready record over. Says which attempt it asks for.
    pub fn may_ask(
        &mut self,
        process: usize,
        knows: Knowledge,
        topic: &str,
        (key, value): (&[u8], &[u8]),
    ) -> Result<Attempt, String> {
        let value: Value = serde_json::from_slice(value).map_err(|error| error.to_string())?;
        let run_number = self.run(value["run_uid"].as_str().unwrap_or_default())?;
        let run = &self.scenario.runs[run_number];
        let id = String::from_utf8_lossy(key);
        let object = run.object(&id).ok_or("it asks for an unknown object")?;
        let attempt = value["attempt"].as_u64().unwrap_or(0) as u32;
        let asked = (run_number, object, attempt);
        self.in_term(process, knows, value["epoch"].as_u64().unwrap_or(0))?;
        let stage = &self.scenario.stages[run.stage_of[object]].0;
        must(topic == self.scenario.names.ready(stage), "it asks in the topic of another stage")?;
        let is_open = self.open.contains(&(process, run.uid.as_str().to_owned()));
        must(is_open, "it asks before the workers know that the run is open")?;
        let ledger = self.ledger(run_number)?;
        for parent in &run.parents[object] {
            let loaded = ledger.loaded_at.get(parent).copied();
            must(
                is_before(loaded, knows.at_most),
                &format!("{id} is asked for before its parent {}", run.ids[*parent]),
            )?;
        }
        must(!is_before(ledger.cancelled_at, knows.surely), "it asks for an object of a run that is ended")?;
        must(!is_before(ledger.stopped_at, knows.surely), "it asks for an object of a run that fails fast")?;
        let begun = ledger.begun_at.get(&(object, attempt)).copied();
        must(is_before(begun, knows.at_most), &format!("{id}#{attempt} is asked for and does not exist"))?;
        let over = ledger.over_at.get(&(object, attempt)).copied();
        must(!is_before(over, knows.surely), &format!("{id}#{attempt} is asked for although it is over"))?;
        inputs_are_those_of_the_parents(run, object, ledger, &value)?;
        let record = self.asked.entry((process, asked)).or_default();
        record.times += 1;
        must(record.times <= 1 + record.given_back, &format!("{id}#{attempt} is asked for twice"))?;
        self.within_limits(process, knows, run_number)?;
        Ok(asked)
    }

    /// What a process has asked for and does not know to be over stays below the limits of the run and of each stage.
    fn within_limits(&self, process: usize, knows: Knowledge, run: usize) -> Result<(), String> {
        let mut of_run = 0;
        let mut of_stages = vec![0; self.stages.len()];
        for ((by, (of, object, attempt)), asked) in
            self.asked.range((process, (0, 0, 0))..(process + 1, (0, 0, 0)))
        {
            let ledger = self.ledger(*of)?;
            let over = ledger.over_at.get(&(*object, *attempt)).copied();
            let is_out = *by == process && asked.times > asked.given_back && !is_before(over, knows.surely);
            of_run += u32::from(is_out && *of == run);
            of_stages[self.scenario.runs[*of].stage_of[*object]] += u32::from(is_out);
        }
        must(of_run <= self.scenario.runs[run].max_in_flight, "more is out than maxInFlight")?;
        must(
            of_stages.iter().all(|out| *out <= self.scenario.window),
            "more is out than the window of the stage",
        )
    }

    /// Whoever has read of a higher term writes nothing any more.
    fn in_term(&self, process: usize, knows: Knowledge, epoch: u64) -> Result<(), String> {
        let (from, known) = self.begins.get(&process).copied().unwrap_or_default();
        let (mut highest, mut leader) = (known, "somebody");
        for said in &self.events[from as usize..knows.surely as usize] {
            if let Said::Leader { epoch, name } = said
                && *epoch > highest
                && *epoch - highest <= ledger::FAR
            {
                (highest, leader) = (*epoch, name);
            }
        }
        let is_own = epoch > highest || (epoch == highest && is_of(leader, process));
        must(is_own, &format!("it writes in term {epoch} and has read that {leader} leads in {highest}"))
    }

    fn run(&self, uid: &str) -> Result<usize, String> {
        let runs = &self.scenario.runs;
        runs.iter().position(|run| run.uid.as_str() == uid).ok_or(format!("there is no run `{uid}`"))
    }

    fn ledger(&self, run: usize) -> Result<&Ledger, String> {
        self.ledgers[run].as_ref().ok_or_else(|| "its start offset is not kept anywhere".to_owned())
    }
}

fn inputs_are_those_of_the_parents(
    run: &Run,
    object: usize,
    ledger: &Ledger,
    ready: &Value,
) -> Result<(), String> {
    let mut expected = BTreeMap::new();
    let mut found = BTreeMap::new();
    for parent in &run.parents[object] {
        if let Some(outputs) = &ledger.objects[*parent].outputs {
            expected.insert(run.ids[*parent].clone(), (outputs.clone(), ledger.loaded_at[parent]));
        }
    }
    for input in ready["inputs"].as_array().into_iter().flatten() {
        let id = input["id"].as_str().map_or_else(|| input["id"].to_string(), str::to_owned);
        // What is too much, or not held any more, is named by the offset of its record.
        let (outputs, offset) = expected.get(&id).cloned().unwrap_or_default();
        let handed = input.get("outputs").unwrap_or(&outputs);
        let at = input["events_offset"].as_i64().unwrap_or(offset);
        found.insert(id, (handed.clone(), at));
    }
    must(found == expected, &format!("{} gets {found:?} and not {expected:?}", run.ids[object]))
}

fn is_of(leader: &str, process: usize) -> bool {
    leader.split('/').next() == Some(&process_name(process))
}

/// What a process calls itself.
pub fn process_name(process: usize) -> String {
    format!("process-{process}")
}

fn is_before(offset: Option<i64>, position: i64) -> bool {
    offset.is_some_and(|offset| offset < position)
}

fn must(holds: bool, problem: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(problem.to_owned()) }
}
