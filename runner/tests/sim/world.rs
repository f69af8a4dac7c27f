//! The simulated world: an agenda of what happens when, the log of each topic, and who is connected to it. Everything
//! happens in one thread and on tokio's paused clock, and what is left to chance is left to the dice of the seed.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, Weak};

use bytes::Bytes;
use orch_bus::{Message, Outgoing, Undelivered};
use orch_core::id::Millis;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use super::api::Api;
use super::dice::Dice;
use super::laws::{Attempt, Knowledge, Laws, Stands, process_name};
use super::operators::Operators;
use super::scenario::Scenario;
use super::workers::Workers;

/// The time at which a simulation begins.
const BEGIN: Millis = 1_800_000_000_000;

pub type Shared = Arc<Mutex<World>>;
type Act = Box<dyn FnOnce(&mut World) + Send>;
/// Topic and partition.
pub type Place = (Arc<str>, i32);

/// See the module.
pub struct World {
    pub scenario: Arc<Scenario>,
    pub dice: Dice,
    pub laws: Laws,
    pub api: Api,
    pub workers: Workers,
    pub operators: Operators,
    pub processes: Vec<Process>,
    readers: Vec<ReaderState>,
    log: BTreeMap<Arc<str>, Vec<Vec<Message>>>,
    agenda: BTreeMap<(Millis, u64), Act>,
    next_act: u64,
    begun: Instant,
    sleeps_until: Millis,
    pub wake: Arc<Notify>,
    pub me: Weak<Mutex<World>>,
    /// Nobody reaches the broker before this.
    pub broker_back_at: Millis,
    /// What went wrong on purpose, in order.
    pub history: Vec<String>,
    /// Everything that was written, in order.
    pub trace: Vec<String>,
    pub violation: Option<String>,
    pub is_finished: bool,
}

/// Which tokens somebody wants to hear of, and who.
pub type Listener = (fn(u64) -> bool, UnboundedSender<Vec<u64>>);

/// Whoever writes and reads: an operator from its start to its end, or a worker.
pub struct Process {
    pub owner: Owner,
    pub alive: bool,
    /// Hears no acknowledgements any more; it dies soon.
    pub deaf: bool,
    /// It stands still before this.
    pub frozen_until: Millis,
    lanes: BTreeMap<Place, Lane>,
    /// Written or not, and not acknowledged; by number.
    open: BTreeMap<u64, Flight>,
    next_flight: u64,
    pub listener: Option<Listener>,
    pub undelivered: Option<UnboundedSender<Undelivered>>,
    main_reader: Option<usize>,
    /// The highest term that it heard of from the API.
    pub known_epoch: u64,
    /// Topics whose end it was told wrongly.
    pub saw_stale_end: BTreeSet<Arc<str>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    Operator(usize),
    Worker(usize),
}

#[derive(Clone)]
struct Flight {
    record: Outgoing,
    /// Of a ready record: what it asks for.
    asks: Option<Attempt>,
}

/// Records of one process for one partition: written in their order.
#[derive(Default)]
struct Lane {
    waiting: VecDeque<u64>,
    is_moving: bool,
}

pub struct ReaderState {
    process: usize,
    place: Place,
    pub position: i64,
    visible: i64,
    pub goal: i64,
    pub is_told: bool,
    pub notify: Arc<Notify>,
}

pub fn lock(world: &Shared) -> MutexGuard<'_, World> {
    world.lock().unwrap()
}

/// Waits by the agenda.
pub async fn wait(world: &Shared, ms: Millis) {
    let (done, is_over) = oneshot::channel();
    // Whoever waited may be gone.
    lock(world).after(ms, |_| _ = done.send(()));
    let _ = is_over.await;
}

impl World {
    pub fn new(scenario: Arc<Scenario>) -> Shared {
        let begun = Instant::now();
        Arc::new_cyclic(|me| {
            let mut log: BTreeMap<Arc<str>, Vec<Vec<Message>>> = BTreeMap::new();
            for (stage, partitions) in &scenario.stages {
                log.insert(scenario.names.ready(stage).into(), vec![Vec::new(); usize::from(*partitions)]);
            }
            log.insert(scenario.names.events().into(), vec![Vec::new()]);
            log.insert(scenario.names.control().into(), vec![Vec::new()]);
            let mut world = Self {
                dice: Dice::new(scenario.seed.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(1)),
                laws: Laws::new(scenario.clone()),
                api: Api::new(&scenario),
                workers: Workers::new(&scenario),
                operators: Operators::new(),
                processes: Vec::new(),
                readers: Vec::new(),
                log,
                agenda: BTreeMap::new(),
                next_act: 0,
                begun,
                sleeps_until: 0,
                wake: Arc::new(Notify::new()),
                me: me.clone(),
                broker_back_at: 0,
                history: Vec::new(),
                trace: Vec::new(),
                violation: None,
                is_finished: false,
                scenario,
            };
            world.operators_begin();
            world.workers_begin();
            world.faults_begin();
            Mutex::new(world)
        })
    }

    // --- time

    /// Milliseconds since the simulation began.
    pub fn elapsed(&self) -> Millis {
        self.begun.elapsed().as_millis() as Millis
    }

    /// The time of day, by the broker's clock.
    pub fn now(&self) -> Millis {
        BEGIN + self.elapsed()
    }

    pub fn is_calm(&self) -> bool {
        self.elapsed() >= self.scenario.calm_at
    }

    pub fn after(&mut self, ms: Millis, act: impl FnOnce(&mut World) + Send + 'static) {
        let at = self.elapsed() + ms.max(0);
        self.agenda.insert((at, self.next_act), Box::new(act));
        self.next_act += 1;
        if at < self.sleeps_until {
            self.wake.notify_one();
        }
    }

    /// How long a thing takes: mostly a little, sometimes much longer.
    pub fn delay(&mut self) -> Millis {
        let most = self.scenario.weather.delay_ms;
        let factor = if self.dice.percent(5) && !self.is_calm() { 20 } else { 1 };
        self.dice.between(1, most) * factor
    }

    /// Whether something goes wrong that does so in `chance` percent of all cases.
    pub fn goes_wrong(&mut self, chance: u32) -> bool {
        !self.is_calm() && self.dice.percent(chance)
    }

    pub fn note(&mut self, what: &str) {
        let line = format!("{:>8} ms  {what}", self.elapsed());
        self.trace.push(line.clone());
        self.history.push(line);
    }

    pub fn judge(&mut self, verdict: Result<(), String>) {
        if let (Err(problem), None) = (verdict, &self.violation) {
            self.violation = Some(problem);
            self.wake.notify_one();
        }
    }

    // --- the log

    pub fn records(&self, topic: &str, partition: i32) -> &[Message] {
        &self.log[topic][partition as usize]
    }

    /// Next offset of each partition.
    pub fn ends(&self, topic: &str) -> Vec<i64> {
        self.log[topic].iter().map(|records| records.len() as i64).collect()
    }

    pub fn append(&mut self, record: Outgoing) {
        let Outgoing { topic, partition, key, value, headers, .. } = record;
        let reply_topic = headers.reply_topic().cloned();
        let time = self.now();
        let records = &mut self.log.get_mut(&topic).unwrap()[partition as usize];
        let offset = records.len() as i64;
        records.push(Message {
            partition,
            offset,
            time,
            key: key.clone(),
            value: value.clone(),
            reply_topic,
        });
        self.trace.push(format!(
            "{:>8} ms  {topic}/{partition}@{offset} {}",
            self.elapsed(),
            shown(&key, &value)
        ));
        if *topic == *self.scenario.names.events() {
            self.laws.written(&key, &value);
        }
        let place = (topic, partition);
        let is_awaited =
            |n: &usize| self.readers[*n].place == place && self.processes[self.readers[*n].process].alive;
        let readers: Vec<usize> = (0..self.readers.len()).filter(is_awaited).collect();
        for reader in readers {
            let delay = self.delay();
            self.after(delay, move |world| world.show(reader, offset + 1));
        }
        self.workers_see(&place);
    }

    // --- reading

    /// Opens a reader. The end of the log may be seen late.
    pub fn open_reader(&mut self, process: usize, place: Place, from: i64, goal: i64) -> usize {
        let end = self.ends(&place.0)[place.1 as usize];
        let is_main = *place.0 == *self.scenario.names.events();
        let visible = self.dice.between(from.min(end), end);
        let notify = Arc::new(Notify::new());
        self.readers.push(ReaderState {
            process,
            place,
            position: from,
            visible,
            goal,
            is_told: false,
            notify,
        });
        let reader = self.readers.len() - 1;
        if is_main && self.processes[process].main_reader.is_none() {
            self.processes[process].main_reader = Some(reader);
            self.laws.begins(process, from, self.processes[process].known_epoch);
        }
        let delay = self.delay();
        self.after(delay, move |world| world.show(reader, end));
        reader
    }

    fn show(&mut self, reader: usize, end: i64) {
        let reader = &mut self.readers[reader];
        reader.visible = reader.visible.max(end);
        reader.notify.notify_one();
    }

    pub fn reader(&mut self, reader: usize) -> &mut ReaderState {
        &mut self.readers[reader]
    }

    /// What a reader is given now, if anything.
    pub fn give(&mut self, number: usize) -> Option<Vec<Message>> {
        let reader = &self.readers[number];
        if !self.reaches(reader.process) {
            return None;
        }
        if reader.position >= reader.goal && !reader.is_told {
            self.readers[number].is_told = true;
            return Some(Vec::new());
        }
        let (from, most) = (reader.position, reader.visible - reader.position);
        if most <= 0 {
            return None;
        }
        let place = reader.place.clone();
        let until = from + self.dice.between(1, most);
        self.readers[number].position = until;
        Some(self.records(&place.0, place.1)[from as usize..until as usize].to_vec())
    }

    /// What a process has read of the events.
    pub fn knowledge(&self, process: usize) -> Knowledge {
        let events = self.scenario.names.events();
        let own =
            self.readers.iter().filter(|reader| reader.process == process && *reader.place.0 == *events);
        let at_most = own.map(|reader| reader.position).max().unwrap_or(0);
        let main = self.processes[process].main_reader;
        Knowledge { surely: main.map_or(0, |reader| self.readers[reader].position), at_most }
    }

    // --- processes

    pub fn connect(&mut self, owner: Owner) -> usize {
        self.processes.push(Process {
            owner,
            alive: true,
            deaf: false,
            frozen_until: 0,
            lanes: BTreeMap::new(),
            open: BTreeMap::new(),
            next_flight: 0,
            listener: None,
            undelivered: None,
            main_reader: None,
            known_epoch: 0,
            saw_stale_end: BTreeSet::new(),
        });
        self.processes.len() - 1
    }

    /// Whether a process runs and the broker answers it.
    pub fn reaches(&self, process: usize) -> bool {
        let process = &self.processes[process];
        process.alive && self.elapsed() >= process.frozen_until && self.elapsed() >= self.broker_back_at
    }

    /// When that is so again, at the earliest.
    pub fn back_at(&self, process: usize) -> Millis {
        self.processes[process].frozen_until.max(self.broker_back_at)
    }

    /// Everybody who waits for records looks again.
    pub fn wake_readers(&mut self) {
        for reader in &self.readers {
            reader.notify.notify_one();
        }
    }

    /// Ends a process. Of what it had handed over a part may be on its way; the rest is lost.
    pub fn kill(&mut self, process: usize) {
        self.processes[process].alive = false;
        let places: Vec<Place> = self.processes[process].lanes.keys().cloned().collect();
        for place in places {
            let waiting = self.processes[process].lanes[&place].waiting.len();
            let kept = if self.dice.percent(50) { 0 } else { self.dice.below(waiting + 1) };
            self.processes[process].lanes.get_mut(&place).unwrap().waiting.truncate(kept);
        }
    }

    // --- writing

    pub fn send(&mut self, process: usize, records: Vec<Outgoing>) {
        // Nobody hears a process that was killed.
        if !self.processes[process].alive {
            return;
        }
        for record in records {
            let asks = match self.processes[process].owner {
                Owner::Operator(_) => self.looked_at(process, &record),
                Owner::Worker(_) => None,
            };
            let Process { lanes, open, next_flight, .. } = &mut self.processes[process];
            let place = (record.topic.clone(), record.partition);
            open.insert(*next_flight, Flight { record, asks });
            lanes.entry(place.clone()).or_default().waiting.push_back(*next_flight);
            *next_flight += 1;
            self.move_on(process, &place);
        }
    }

    /// Judges what an operator hands over.
    fn looked_at(&mut self, process: usize, record: &Outgoing) -> Option<Attempt> {
        let knows = self.knowledge(process);
        let names = &self.scenario.names;
        if *record.topic == *names.control() {
            return None;
        }
        if *record.topic == *names.events() {
            let verdict = self.laws.may_write(process, knows, &record.key, &record.value);
            self.blame(process, record, verdict);
            return None;
        }
        let verdict = self.laws.may_ask(process, knows, &record.topic, (&record.key, &record.value));
        match verdict {
            Ok(asks) => {
                let forgotten = self.was_asked_for_before(process, asks);
                self.blame(process, record, forgotten);
                Some(asks)
            }
            Err(problem) => {
                self.blame(process, record, Err(problem));
                None
            }
        }
    }

    fn blame(&mut self, process: usize, record: &Outgoing, verdict: Result<(), String>) {
        let verdict = verdict.map_err(|problem| {
            let text = shown(&record.key, &record.value);
            format!("{}: {problem}\n    {text}", process_name(process))
        });
        self.judge(verdict);
    }

    fn move_on(&mut self, process: usize, place: &Place) {
        let delay = self.delay();
        let wait = (self.back_at(process) - self.elapsed()).max(0) + delay;
        let lane = self.processes[process].lanes.get_mut(place).unwrap();
        if lane.is_moving || lane.waiting.is_empty() {
            return;
        }
        lane.is_moving = true;
        let place = place.clone();
        self.after(wait, move |world| world.write(process, &place));
    }

    fn write(&mut self, process: usize, place: &Place) {
        let is_held = self.elapsed() < self.back_at(process);
        let of = &mut self.processes[process];
        let lane = of.lanes.get_mut(place).unwrap();
        lane.is_moving = false;
        if is_held {
            return self.move_on(process, place);
        }
        let count = lane.waiting.len().min(1 + self.dice.below(8));
        let flights: Vec<u64> = lane.waiting.drain(..count).collect();
        let chance = self.scenario.weather.given_up;
        let mut written = Vec::new();
        for flight in flights {
            let Some(Flight { record, asks }) = self.processes[process].open.get(&flight).cloned() else {
                continue;
            };
            let is_operator = matches!(self.processes[process].owner, Owner::Operator(_));
            if is_operator && self.processes[process].alive && self.goes_wrong(chance) {
                self.note(&format!(
                    "{} gets a record back: {}",
                    process_name(process),
                    shown(&record.key, &record.value)
                ));
                self.give_back(process, flight);
                continue;
            }
            self.append(record.clone());
            self.stands(asks, &record);
            written.push(flight);
        }
        let delay = self.delay();
        self.after(delay, move |world| world.acknowledge(process, &written));
        self.move_on(process, place);
    }

    /// Notes where a ready record stands that was written just now.
    fn stands(&mut self, asks: Option<Attempt>, record: &Outgoing) {
        if let Some(asks) = asks {
            let offset = self.ends(&record.topic)[record.partition as usize] - 1;
            self.laws.now_stands(asks, (record.topic.clone(), record.partition), offset);
        }
    }

    /// A new leader asks for nothing that it must have found in the ready topics, not finished by the group.
    fn was_asked_for_before(&self, process: usize, asks: Attempt) -> Result<(), String> {
        let mut found = self.laws.stood_before(process, asks);
        let must_have_found = |stands: &Stands| {
            let is_stale = self.processes[process].saw_stale_end.contains(&stands.place.0);
            let stage = self.stage_of(&stands.place.0).unwrap();
            !is_stale && !self.workers.is_finished(stage, stands.place.1, stands.offset)
        };
        match found.find(|stands| must_have_found(stands)) {
            Some(stands) => {
                Err(format!("it asks again for what stands in {:?} at {}", stands.place, stands.offset))
            }
            None => Ok(()),
        }
    }

    fn acknowledge(&mut self, process: usize, flights: &[u64]) {
        let of = &self.processes[process];
        if !of.alive || of.deaf {
            return;
        }
        if self.elapsed() < self.back_at(process) {
            let wait = self.back_at(process) - self.elapsed() + 1;
            let flights = flights.to_vec();
            return self.after(wait, move |world| world.acknowledge(process, &flights));
        }
        let control = self.scenario.names.control();
        let mut tokens = Vec::new();
        for flight in flights {
            // It may have come back meanwhile.
            let Some(Flight { record, .. }) = self.processes[process].open.remove(flight) else { continue };
            if *record.topic == *control && String::from_utf8_lossy(&record.value).contains("\"Open\"") {
                self.laws.told_open(process, &String::from_utf8_lossy(&record.key));
            }
            tokens.push(record.token);
        }
        match self.processes[process].owner {
            Owner::Operator(_) => {
                let Some((matters, listener)) = &self.processes[process].listener else { return };
                let tokens: Vec<u64> = tokens.into_iter().filter(|token| matters(*token)).collect();
                if !tokens.is_empty() {
                    let _ = listener.send(tokens);
                }
            }
            Owner::Worker(worker) => self.answers_acknowledged(worker, process, &tokens),
        }
    }

    /// The bus gives a record up.
    fn give_back(&mut self, process: usize, flight: u64) {
        let Some(Flight { record, asks }) = self.processes[process].open.remove(&flight) else { return };
        if let Some(asks) = asks {
            self.laws.given_back(process, asks);
        }
        let error = orch_bus::BusError::Other("the producer lost its place".to_owned());
        let gone = Undelivered { token: record.token, topic: record.topic, error };
        if let Some(undelivered) = &self.processes[process].undelivered {
            let _ = undelivered.send(gone);
        }
    }

    /// Everything that is not acknowledged comes back, also what is written, or will be in a moment.
    pub fn replace_producer(&mut self, process: usize) {
        let flights: Vec<u64> = self.processes[process].open.keys().copied().collect();
        for flight in flights {
            let mut is_waiting = false;
            for lane in self.processes[process].lanes.values_mut() {
                is_waiting |= lane.waiting.contains(&flight);
                lane.waiting.retain(|waiting| *waiting != flight);
            }
            if is_waiting && self.dice.percent(30) {
                let Flight { record, asks } = self.processes[process].open[&flight].clone();
                self.append(record.clone());
                self.stands(asks, &record);
            }
            self.give_back(process, flight);
        }
    }

    /// Whether everything that a process handed over is acknowledged or given up.
    pub fn is_flushed(&self, process: usize) -> bool {
        let process = &self.processes[process];
        !process.alive || process.open.is_empty()
    }

    // --- the agenda

    /// When the next thing happens.
    pub fn next_at(&mut self) -> Instant {
        let next = self.agenda.keys().next().map_or(Millis::MAX, |(at, _)| *at);
        // Beyond this nothing is waited for anyway.
        self.sleeps_until = next.min(self.elapsed() + 60_000);
        self.begun + std::time::Duration::from_millis(self.sleeps_until as u64)
    }

    /// Does what is due.
    pub fn happen(&mut self) {
        while self.violation.is_none()
            && let Some(first) = self.agenda.first_entry()
            && first.key().0 <= self.begun.elapsed().as_millis() as Millis
        {
            first.remove()(self);
        }
    }
}

/// A record in one line. What tells the actors of a process apart is left out: it differs from one test to the next.
fn shown(key: &Bytes, value: &Bytes) -> String {
    let value = String::from_utf8_lossy(value);
    let leader = value.find(r#""leader":"process-"#).map(|at| at + r#""leader":""#.len());
    let value = match leader.and_then(|at| Some((at + value[at..].find('/')?, at + value[at..].find('"')?))) {
        Some((from, to)) if from < to => format!("{}{}", &value[..from], &value[to..]),
        _ => value.into_owned(),
    };
    format!("{} {value}", String::from_utf8_lossy(key))
}
