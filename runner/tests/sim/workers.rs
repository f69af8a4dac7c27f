//! Workers and their groups, written from the contract alone: take a record, do as chance says, answer, and finish the
//! record when the answer is acknowledged. Some do none of that.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use orch_bus::progress::Progress;
use orch_bus::{Committed, Outgoing};
use orch_core::id::Millis;
use serde_json::{Value, json};

use super::scenario::Scenario;
use super::world::{Owner, Place, World};

/// A group notices after this that a member is gone.
const SESSION_MS: Millis = 5_000;

/// All workers, and the group of each stage.
pub struct Workers {
    workers: Vec<Worker>,
    groups: Vec<Vec<Share>>,
}

struct Worker {
    stage: usize,
    slots: usize,
    alive: bool,
    /// Whether the group counts on it.
    is_member: bool,
    process: usize,
    /// Jobs of an earlier life are over.
    life: u64,
    jobs: BTreeMap<u64, Job>,
    next: u64,
    /// Records that are finished when the answer with this token is acknowledged.
    finishes: BTreeMap<u64, Job>,
    /// It has read the control topic up to here.
    control: i64,
}

/// One partition of a group.
#[derive(Default)]
struct Share {
    owner: Option<usize>,
    /// What members of an earlier generation commit is refused.
    generation: u64,
    next: i64,
    /// Everything below is committed.
    low: i64,
    finished: BTreeSet<i64>,
}

#[derive(Debug, Clone)]
struct Job {
    partition: usize,
    offset: i64,
    generation: u64,
    reply_topic: Arc<str>,
    id: Value,
    key: String,
    uid: String,
    stage: String,
    attempt: u32,
    heartbeat_ms: Millis,
}

/// What a worker does with a job beside the usual.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    Plain,
    SaysItTwice,
    SaysTheOpposite,
    Garbage,
    OldAttempt,
    NextAttempt,
    WrongStage,
    ForeignRun,
    UnknownObject,
    OtherKey,
    Late,
    Silent,
    Drains,
}

const MANNERS: [Manner; 12] = [
    Manner::SaysItTwice,
    Manner::SaysTheOpposite,
    Manner::Garbage,
    Manner::OldAttempt,
    Manner::NextAttempt,
    Manner::WrongStage,
    Manner::ForeignRun,
    Manner::UnknownObject,
    Manner::OtherKey,
    Manner::Late,
    Manner::Silent,
    Manner::Drains,
];

impl Workers {
    pub fn new(scenario: &Scenario) -> Self {
        let worker = |(stage, slots): &(usize, usize)| Worker {
            stage: *stage,
            slots: *slots,
            alive: false,
            is_member: false,
            process: 0,
            life: 0,
            jobs: BTreeMap::new(),
            next: 0,
            finishes: BTreeMap::new(),
            control: 0,
        };
        let group = |partitions: u16| (0..partitions).map(|_| Share::default()).collect();
        Self {
            workers: scenario.workers.iter().map(worker).collect(),
            groups: scenario.stages.iter().map(|(_, partitions)| group(*partitions)).collect(),
        }
    }

    /// Whether the group is done with a record.
    pub fn is_finished(&self, stage: usize, partition: i32, offset: i64) -> bool {
        let share = &self.groups[stage][partition as usize];
        offset < share.low || share.finished.contains(&offset)
    }
}

impl Job {
    fn record(&self, kind: &str, worker: &str, more: &Value) -> Value {
        let mut value = json!({
            "event_type": kind, "id_objet": self.id, "meta": {"worker": worker}, "run_uid": self.uid,
            "stage": self.stage, "attempt": self.attempt, "worker": worker,
        });
        for (field, content) in more.as_object().into_iter().flatten() {
            value[field] = content.clone();
        }
        value
    }
}

impl World {
    pub fn workers_begin(&mut self) {
        for worker in 0..self.workers.workers.len() {
            let delay = self.delay();
            self.after(delay, move |world| world.worker_starts(worker));
        }
    }

    fn worker_starts(&mut self, worker: usize) {
        if self.workers.workers[worker].alive {
            return;
        }
        let process = self.connect(Owner::Worker(worker));
        let of = &mut self.workers.workers[worker];
        (of.alive, of.is_member, of.process, of.control) = (true, true, process, 0);
        let stage = of.stage;
        // A new member, also where the group has not noticed that the old one is gone.
        for share in self.workers.groups[stage].iter_mut().filter(|share| share.owner == Some(worker)) {
            share.owner = None;
        }
        self.rebalance(stage);
    }

    /// It dies with everything in its hands.
    pub fn worker_crashes(&mut self, worker: usize, back_ms: Millis) {
        if !self.workers.workers[worker].alive {
            return;
        }
        let of = &mut self.workers.workers[worker];
        of.alive = false;
        of.life += 1;
        of.jobs.clear();
        of.finishes.clear();
        let (process, stage) = (of.process, of.stage);
        self.kill(process);
        self.after(SESSION_MS, move |world| {
            let of = &mut world.workers.workers[worker];
            of.is_member = of.alive;
            world.rebalance(stage);
        });
        self.after(back_ms, move |world| world.worker_starts(worker));
    }

    /// The group gives its partitions to others; it goes on all the same.
    pub fn worker_is_cut_off(&mut self, worker: usize, back_ms: Millis) {
        if !self.workers.workers[worker].alive {
            return;
        }
        let of = &mut self.workers.workers[worker];
        of.is_member = false;
        let stage = of.stage;
        self.rebalance(stage);
        self.after(back_ms, move |world| {
            let of = &mut world.workers.workers[worker];
            of.is_member = of.alive;
            world.rebalance(stage);
        });
    }

    /// It hands back what it has, leaves the group, and ends.
    pub fn worker_drains(&mut self, worker: usize, back_ms: Millis) {
        if !self.workers.workers[worker].alive {
            return;
        }
        let jobs: Vec<u64> = self.workers.workers[worker].jobs.keys().copied().collect();
        for job in jobs {
            self.end_job(
                worker,
                job,
                "ObjectFailed",
                &json!({"reason": "Drained", "error": "it stops", "retryable": true}),
            );
        }
        let life = self.workers.workers[worker].life;
        self.after(1_000, move |world| {
            if world.workers.workers[worker].life == life {
                world.worker_crashes(worker, back_ms);
            }
        });
    }

    /// Gives each partition of a stage to a member; those that stay where they are notice nothing.
    fn rebalance(&mut self, stage: usize) {
        let members: Vec<usize> = (0..self.workers.workers.len())
            .filter(|n| self.workers.workers[*n].stage == stage && self.workers.workers[*n].is_member)
            .collect();
        for (n, share) in self.workers.groups[stage].iter_mut().enumerate() {
            let owner = if members.is_empty() { None } else { Some(members[n % members.len()]) };
            if share.owner != owner {
                (share.owner, share.next) = (owner, share.low);
                share.generation += 1;
            }
        }
        for worker in members {
            self.poll_soon(worker);
        }
    }

    /// What a group has committed.
    pub fn committed(&self, topic: &str) -> Vec<Option<Committed>> {
        let Some(stage) = self.stage_of(topic) else { return vec![None] };
        let committed = |share: &Share| {
            let mut progress = Progress::new(share.low);
            for offset in share.low..share.finished.last().map_or(share.low, |last| last + 1) {
                progress.give(offset);
            }
            share.finished.iter().for_each(|offset| _ = progress.finish(*offset));
            let is_there = share.low > 0 || !share.finished.is_empty();
            is_there.then(|| Committed { offset: progress.position(), metadata: progress.metadata() })
        };
        self.workers.groups[stage].iter().map(committed).collect()
    }

    pub fn stage_of(&self, topic: &str) -> Option<usize> {
        let stages = &self.scenario.stages;
        stages.iter().position(|(stage, _)| self.scenario.names.ready(stage) == topic)
    }

    /// A record was written.
    pub fn workers_see(&mut self, place: &Place) {
        if let Some(stage) = self.stage_of(&place.0) {
            if let Some(owner) = self.workers.groups[stage][place.1 as usize].owner {
                self.poll_soon(owner);
            }
        } else if *place.0 == *self.scenario.names.control() {
            let end = self.ends(&place.0)[0];
            for worker in 0..self.workers.workers.len() {
                let delay = self.delay();
                self.after(delay, move |world| {
                    let of = &mut world.workers.workers[worker];
                    of.control = of.control.max(if of.alive { end } else { 0 });
                });
            }
        }
    }

    fn poll_soon(&mut self, worker: usize) {
        let delay = self.delay();
        self.after(delay, move |world| world.poll(worker));
    }

    /// Takes what there is, as far as it has slots.
    fn poll(&mut self, worker: usize) {
        if !self.workers.workers[worker].alive {
            return;
        }
        if self.elapsed() < self.broker_back_at {
            let wait = self.broker_back_at - self.elapsed();
            return self.after(wait, move |world| world.poll(worker));
        }
        let stage = self.workers.workers[worker].stage;
        let topic: Arc<str> = self.scenario.names.ready(&self.scenario.stages[stage].0).into();
        for (partition, end) in self.ends(&topic).into_iter().enumerate() {
            loop {
                let share = &mut self.workers.groups[stage][partition];
                let of = &self.workers.workers[worker];
                if share.owner != Some(worker) || share.next >= end || of.jobs.len() >= of.slots {
                    break;
                }
                let (offset, generation) = (share.next, share.generation);
                share.next += 1;
                if offset >= share.low && !share.finished.contains(&offset) {
                    self.take(worker, &topic, (partition, offset, generation));
                }
            }
        }
    }

    fn take(&mut self, worker: usize, topic: &str, (partition, offset, generation): (usize, i64, u64)) {
        let record = self.records(topic, partition as i32)[offset as usize].clone();
        let value: Value = serde_json::from_slice(&record.value).unwrap();
        let job = Job {
            partition,
            offset,
            generation,
            reply_topic: record.reply_topic.unwrap(),
            id: value["id_objet"].clone(),
            key: String::from_utf8(record.key.to_vec()).unwrap(),
            uid: value["run_uid"].as_str().unwrap().to_owned(),
            stage: value["stage"].as_str().unwrap().to_owned(),
            attempt: value["attempt"].as_u64().unwrap() as u32,
            heartbeat_ms: value["heartbeat_ms"].as_i64().unwrap(),
        };
        let of = &mut self.workers.workers[worker];
        let (number, life) = (of.next, of.life);
        of.next += 1;
        of.jobs.insert(number, job.clone());
        if let Some(word) = self.word_on(&job.uid, self.workers.workers[worker].control) {
            return self.begin(worker, number, word == "Open");
        }
        // Not heard of: the control topic is read to its end first.
        let delay = self.delay();
        self.after(delay, move |world| {
            if world.workers.workers[worker].life == life {
                let end = world.ends(&world.scenario.names.control())[0];
                world.workers.workers[worker].control = end;
                let is_open = world.word_on(&job.uid, end).is_some_and(|word| word == "Open");
                world.begin(worker, number, is_open);
            }
        });
    }

    /// The newest word on a run in the control topic before an offset.
    fn word_on(&self, uid: &str, before: i64) -> Option<String> {
        let records = &self.records(&self.scenario.names.control(), 0)[..before as usize];
        let newest = records.iter().rev().find(|record| record.key == uid)?;
        let value: Value = serde_json::from_slice(&newest.value).ok()?;
        Some(value["state"].as_str()?.to_owned())
    }

    fn begin(&mut self, worker: usize, number: u64, is_open: bool) {
        let Some(job) = self.workers.workers[worker].jobs.get(&number).cloned() else { return };
        if !is_open {
            self.workers.workers[worker].jobs.remove(&number);
            self.finish(worker, &job);
            return self.poll_soon(worker);
        }
        let weather = self.scenario.weather;
        let manner =
            if self.goes_wrong(weather.misbehaviour) { self.dice.pick(&MANNERS) } else { Manner::Plain };
        if manner != Manner::Plain {
            self.note(&format!(
                "worker {worker} does {}#{} in this manner: {manner:?}",
                job.key, job.attempt
            ));
        }
        let is_slow = self.dice.percent(weather.slow_job);
        let takes = match manner {
            Manner::Late => job.heartbeat_ms * self.dice.between(1, 4),
            _ if is_slow => self.dice.between(200, job.heartbeat_ms * 2),
            _ => self.dice.between(1, 150),
        };
        self.says_beforehand(worker, &job, manner);
        if manner == Manner::Silent {
            return self.goes_silent(worker, number, &job);
        }
        if takes >= 200 {
            self.say(worker, &job, "ObjectStarted", &json!({}));
            if manner != Manner::Late {
                self.heartbeat(worker, number);
            }
        }
        let life = self.workers.workers[worker].life;
        self.after(takes, move |world| {
            if world.workers.workers[worker].life == life {
                world.answer(worker, number, manner);
            }
        });
    }

    /// What must not count.
    fn says_beforehand(&mut self, worker: usize, job: &Job, manner: Manner) {
        let foreign = match manner {
            Manner::OldAttempt => Job { attempt: job.attempt.saturating_sub(1), ..job.clone() },
            Manner::NextAttempt => Job { attempt: job.attempt + 1, ..job.clone() },
            Manner::WrongStage => Job { stage: "nowhere".to_owned(), ..job.clone() },
            Manner::ForeignRun => Job { uid: "uid-of-another".to_owned(), ..job.clone() },
            Manner::UnknownObject => Job { id: json!("nobody"), key: "nobody".to_owned(), ..job.clone() },
            Manner::OtherKey => Job { id: json!("nobody"), ..job.clone() },
            Manner::Garbage => {
                let record = outgoing(job, b"{\"event_type\":".to_vec(), 0);
                return self.send(self.workers.workers[worker].process, vec![record]);
            }
            _ => return,
        };
        self.say(worker, &foreign, "ObjectLoaded", &json!({}));
    }

    /// It takes the record and is not heard of again. Without a queue timeout it says first that it has begun: nobody else
    /// could ever tell.
    fn goes_silent(&mut self, worker: usize, number: u64, job: &Job) {
        let run = self.scenario.runs.iter().find(|run| run.uid.as_str() == job.uid);
        let has_queue_timeout = run.is_some_and(|run| run.queue_ms.is_some());
        self.workers.workers[worker].jobs.remove(&number);
        if has_queue_timeout {
            self.finish(worker, job);
        } else {
            let token = self.say(worker, job, "ObjectStarted", &json!({}));
            self.workers.workers[worker].finishes.insert(token, job.clone());
        }
        self.poll_soon(worker);
    }

    fn heartbeat(&mut self, worker: usize, number: u64) {
        let of = &self.workers.workers[worker];
        let (Some(job), life) = (of.jobs.get(&number).cloned(), of.life) else { return };
        self.after(job.heartbeat_ms / 3, move |world| {
            let of = &world.workers.workers[worker];
            if of.life == life && of.jobs.contains_key(&number) {
                world.say(worker, &job, "ObjectProgress", &json!({"progress": 0.5}));
                world.heartbeat(worker, number);
            }
        });
    }

    fn answer(&mut self, worker: usize, number: u64, manner: Manner) {
        let Some(job) = self.workers.workers[worker].jobs.get(&number).cloned() else { return };
        let loaded = json!({"outputs": {"of": job.key, "attempt": job.attempt}, "elapsed_ms": 5});
        let failed = |retryable: bool| json!({"reason": "WorkerError", "error": "it did not work", "retryable": retryable});
        let drained = json!({"reason": "Drained", "error": "it stops", "retryable": true});
        let (kind, more) = match self.dice.below(100) {
            _ if manner == Manner::Drains => ("ObjectFailed", drained),
            0..75 => ("ObjectLoaded", loaded.clone()),
            75..94 => ("ObjectFailed", failed(true)),
            _ => ("ObjectFailed", failed(false)),
        };
        self.end_job(worker, number, kind, &more);
        match manner {
            Manner::SaysItTwice => _ = self.say(worker, &job, kind, &more),
            Manner::SaysTheOpposite if kind == "ObjectLoaded" => {
                _ = self.say(worker, &job, "ObjectFailed", &failed(false));
            }
            Manner::SaysTheOpposite => _ = self.say(worker, &job, "ObjectLoaded", &loaded),
            _ => {}
        }
    }

    /// The answer that ends a job; its record is finished when the answer is acknowledged.
    fn end_job(&mut self, worker: usize, number: u64, kind: &str, more: &Value) {
        let Some(job) = self.workers.workers[worker].jobs.remove(&number) else { return };
        let token = self.say(worker, &job, kind, more);
        self.workers.workers[worker].finishes.insert(token, job);
        self.poll_soon(worker);
    }

    fn say(&mut self, worker: usize, job: &Job, kind: &str, more: &Value) -> u64 {
        let of = &mut self.workers.workers[worker];
        let (token, process) = (of.next, of.process);
        of.next += 1;
        let value = job.record(kind, &format!("w{worker}.{}", of.life), more);
        let record = outgoing(job, serde_json::to_vec(&value).unwrap(), token);
        self.send(process, vec![record]);
        token
    }

    pub fn answers_acknowledged(&mut self, worker: usize, process: usize, tokens: &[u64]) {
        if self.workers.workers[worker].process != process {
            return;
        }
        for token in tokens {
            if let Some(job) = self.workers.workers[worker].finishes.remove(token) {
                self.finish(worker, &job);
            }
        }
    }

    /// The record is done; that is committed a little later, if the partition is still this worker's.
    fn finish(&mut self, worker: usize, job: &Job) {
        let stage = self.workers.workers[worker].stage;
        let (partition, offset, generation) = (job.partition, job.offset, job.generation);
        let delay = self.delay();
        self.after(delay, move |world| {
            let share = &mut world.workers.groups[stage][partition];
            if share.generation == generation && offset >= share.low {
                share.finished.insert(offset);
                while share.finished.remove(&share.low) {
                    share.low += 1;
                }
            }
        });
    }
}

fn outgoing(job: &Job, value: Vec<u8>, token: u64) -> Outgoing {
    Outgoing {
        topic: job.reply_topic.clone(),
        partition: 0,
        key: job.key.clone().into(),
        value: value.into(),
        headers: orch_wire::Headers::default(),
        token,
    }
}
