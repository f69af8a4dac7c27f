//! Random runs: a graph with the outcome of every attempt, and a world in which leaders and workers take turns in a
//! random order. Nothing here is left to the clock: it moves only when nobody can do anything at this time.

use std::collections::HashSet;
use std::sync::Arc;

use orch_core::engine::{Changes, Event, Failure, Orders, RunState};
use orch_core::engine::{ObjectPhase, Record};
use orch_core::id::{Attempt, Millis, ObjectIx, RunUid};
use orch_core::plan::{RunPlan, plan};
use orch_core::root_cause::root_causes;
use orch_core::spec::{FailurePolicy, RetryOverride, Targets, Timeouts};
use proptest::prelude::*;

use super::model::{Fate, Graph, Outcome};
use super::play::{Leader, Ready, START, Topics};
use super::text;

/// Everything that decides a run.
#[derive(Debug, Clone)]
pub struct Case {
    pub graph: Graph,
    pub window: u32,
    pub max_in_flight: u32,
    pub fail_fast: bool,
    /// What happens next, and to whom.
    pub choices: Vec<u32>,
}

/// Graphs of up to `objects` objects whose edges lead from a lower number to a higher.
pub fn cases(objects: usize) -> impl Strategy<Value = Case> {
    let graph = (1..=objects).prop_flat_map(|len| {
        let parents = prop::collection::vec(prop::collection::vec(any::<prop::sample::Index>(), 0..4), len);
        let outcomes = prop::collection::vec(outcomes(), len);
        let targets = prop::collection::vec(0..len, 1..=len);
        (parents, outcomes, prop::collection::vec(1_u32..4, len), targets)
    });
    let limits = (1_u32..6, 1_u32..6, prop::collection::vec(any::<u32>(), 1..64));
    (graph, limits).prop_map(
        |((parents, outcomes, max_attempts, targets), (window, max_in_flight, choices))| {
            let below = |(object, picks): (usize, Vec<prop::sample::Index>)| {
                picks.into_iter().filter(|_| object > 0).map(|pick| pick.index(object.max(1))).collect()
            };
            let parents = parents.into_iter().enumerate().map(below).collect();
            let graph = Graph { parents, outcomes, max_attempts, targets };
            Case { graph, window, max_in_flight, fail_fast: false, choices }
        },
    )
}

/// By attempt. Now and then its workers have to stop many times before anything else happens.
fn outcomes() -> impl Strategy<Value = Vec<Outcome>> {
    let drains = prop_oneof![9 => Just(0), 1 => 4_usize..9];
    (drains, prop::collection::vec(outcome(), 1..4))
        .prop_map(|(drains, then)| [vec![Outcome::Drains; drains], then].concat())
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        8 => Just(Outcome::Loads),
        2 => Just(Outcome::Errs),
        2 => Just(Outcome::Drains),
        1 => Just(Outcome::Fails),
        1 => Just(Outcome::IsSilent),
        1 => Just(Outcome::Hangs),
    ]
}

impl Case {
    fn plan(&self) -> RunPlan {
        let mut spec = text::spec("o0");
        let template = spec.objects.remove(0);
        for (n, parents) in self.graph.parents.iter().enumerate() {
            let mut object = template.clone();
            object.position = n as u32;
            object.id = format!("o{n}");
            object.depends_on = parents.iter().map(|parent| format!("o{parent}")).collect();
            let max_attempts = Some(self.graph.max_attempts[n]);
            object.retry = Some(Box::new(RetryOverride { max_attempts, ..RetryOverride::default() }));
            spec.objects.push(object);
        }
        spec.stages[0].retry.jitter = 0.2;
        spec.stages[0].timeouts =
            Timeouts { queue_ms: Some(5_000), run_ms: Some(60_000), heartbeat_ms: 2_000 };
        spec.targets = Targets::Ids(self.graph.targets.iter().map(|target| format!("o{target}")).collect());
        if self.fail_fast {
            spec.failure_policy = FailurePolicy::FailFast;
        }
        plan(spec).unwrap()
    }
}

/// What became of a ready record.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Handled {
    Not,
    Started,
    Done,
}

/// Topics, workers, and leaders, of which the last one is the true one.
pub struct World {
    pub case: Case,
    pub topics: Topics,
    pub leaders: Vec<Leader>,
    pub now: Millis,
    /// What former leaders are kept from reading: everything from here on.
    pub frozen_at: Option<usize>,
    /// Records that must change nothing.
    pub noise: HashSet<usize>,
    handled: Vec<Handled>,
    turns: usize,
}

impl World {
    pub fn new(case: &Case) -> Self {
        let plan = Arc::new(case.plan());
        let mut leader = Leader::first(&plan, case.window);
        leader.orders = Orders { max_in_flight: case.max_in_flight, ..Orders::default() };
        Self {
            case: case.clone(),
            topics: Topics::default(),
            leaders: vec![leader],
            now: START,
            frozen_at: None,
            noise: HashSet::new(),
            handled: Vec::new(),
            turns: 0,
        }
    }

    pub fn leader(&self) -> &Leader {
        &self.leaders[self.leaders.len() - 1]
    }

    pub fn is_over(&self) -> bool {
        self.leader().state.is_over()
    }

    /// A number below `n` that the case decides.
    pub fn choose(&mut self, n: usize) -> usize {
        self.turns += 1;
        assert!(self.turns < 100_000, "the run does not end");
        let choice = self.case.choices[self.turns % self.case.choices.len()];
        // The high bits: the low ones of a product repeat after a few turns, and somebody would never have one.
        let mixed = (choice ^ self.turns as u32).wrapping_mul(0x9e37_79b9);
        (mixed ^ mixed >> 15).wrapping_mul(0x85eb_ca6b) as usize / 8 % n
    }

    /// Lets somebody do something, until the run is over.
    pub fn run_to_the_end(&mut self) {
        while !self.is_over() {
            self.step();
        }
    }

    pub fn step(&mut self) {
        let open = self.open_records();
        let last = self.leaders.len() - 1;
        match self.choose(4) {
            0 | 1 if !open.is_empty() => {
                let n = self.choose(open.len());
                self.work(open[n]);
            }
            2 => {
                let who = self.choose(self.leaders.len());
                self.read_one(who);
            }
            3 => {
                let who = self.choose(self.leaders.len());
                self.act(who);
            }
            _ => {
                while self.read_one(last) {}
                let appended = self.topics.events.len();
                let wake_at = self.act(last);
                if self.topics.events.len() == appended && self.open_records().is_empty() && !self.is_over() {
                    self.now = wake_at.expect("nobody can do anything, and nobody wakes up").max(self.now);
                }
            }
        }
    }

    fn open_records(&mut self) -> Vec<usize> {
        self.handled.resize(self.topics.ready.len(), Handled::Not);
        for (n, ready) in self.topics.ready.iter().enumerate() {
            let outcome = self.case.graph.outcome(object_number(ready.object), ready.publication.attempt);
            let gone = match self.handled[n] {
                Handled::Not => outcome == Outcome::IsSilent,
                Handled::Started => outcome == Outcome::Hangs,
                Handled::Done => true,
            };
            if gone {
                self.handled[n] = Handled::Done;
            }
        }
        (0..self.handled.len()).filter(|n| self.handled[*n] != Handled::Done).collect()
    }

    /// A worker starts the record, or ends it.
    fn work(&mut self, n: usize) {
        let Ready { object, publication, .. } = self.topics.ready[n];
        let attempt = publication.attempt;
        let outcome = self.case.graph.outcome(object_number(object), attempt);
        let starts = self.handled[n] == Handled::Not && (outcome == Outcome::Hangs || self.choose(2) == 0);
        if starts {
            self.handled[n] = Handled::Started;
            return self.append(Event::Started { object, attempt, worker: format!("w{n}").into() });
        }
        self.handled[n] = Handled::Done;
        self.append(ending(object, attempt, outcome));
    }

    pub fn append(&mut self, event: Event) {
        self.topics.append(self.now, event);
    }

    /// Reads one record as `who`. A record of noise must be refused.
    pub fn read_one(&mut self, who: usize) -> bool {
        let at = self.leaders[who].read;
        let is_former = who + 1 < self.leaders.len();
        if is_former && self.frozen_at.is_some_and(|frozen_at| at >= frozen_at) {
            return false;
        }
        let result = self.leaders[who].read(&self.topics);
        if self.noise.contains(&at) {
            assert!(
                matches!(result, Some(Err(_)) | None),
                "{:?} is noise, and counted",
                self.topics.events[at]
            );
        }
        result.is_some()
    }

    pub fn read_all(&mut self) {
        let last = self.leaders.len() - 1;
        while self.read_one(last) {}
    }

    fn act(&mut self, who: usize) -> Option<Millis> {
        let mut appended = Vec::new();
        let wake_at = self.leaders[who].act(&mut self.topics, &mut appended, self.now);
        for event in appended {
            self.topics.append(self.now, event);
        }
        wake_at
    }

    /// Another leader takes over; the former ones do not know it yet.
    pub fn take_over(&mut self) {
        let published = self.topics.published();
        let now = self.now;
        let next = self.leaders[self.leaders.len() - 1].recovered(&mut self.topics, &published, now);
        self.leaders.push(next);
    }

    /// This world at the moment when the events topic had `len` records, with another leader. Of the ready topics it
    /// finds what the crash and the commits have left: see [`Self::left`].
    pub fn restarted_at(&mut self, len: usize) -> Self {
        let mut world = Self::new(&self.case);
        world.turns = self.turns;
        world.topics.events = self.topics.events[..len].to_vec();
        world.now = world.topics.events.last().map_or(START, |record| record.time);
        let state = folded(self.leader().state.plan(), &world.topics.events);
        world.topics.ready = self.left(len, &state);
        let published = world.topics.published();
        let next = world.leaders[0].recovered(&mut world.topics, &published, world.now);
        world.leaders = vec![next];
        world
    }

    /// Of the ready records at that moment some of those that have ended are committed and gone, and some of the last
    /// ones were never written.
    fn left(&mut self, len: usize, state: &RunState) -> Vec<Ready> {
        let written: Vec<Ready> =
            self.topics.ready.iter().filter(|ready| ready.after <= len).copied().collect();
        let mut left = Vec::new();
        for ready in written {
            let cell = state.cell(ready.object);
            let ended = cell.phase.is_terminal() || cell.attempt > ready.publication.attempt;
            let may_be_gone = ended || ready.after == len;
            if !may_be_gone || self.choose(2) == 0 {
                left.push(ready);
            }
        }
        left
    }

    /// The newest leader has read everything and sees what the naive model says.
    pub fn assert_ends_as_the_model_says(&mut self) {
        self.read_all();
        let leader = self.leader();
        let view = leader.view();
        let phase = |ix: ObjectIx| ObjectPhase::from_letter(view.letters[ix.usize()]);
        let causes = root_causes(leader.state.plan(), phase);
        for (n, fate) in self.case.graph.fates().into_iter().enumerate() {
            let ix = leader.state.plan().find(&format!("o{n}")).unwrap();
            let phase = phase(ix).unwrap();
            let cause = causes.get(&ix).copied().map(object_number);
            let as_expected = match &fate {
                Fate::Pruned => phase == ObjectPhase::Pruned,
                Fate::Loaded => phase == ObjectPhase::Loaded,
                Fate::Failed => phase == ObjectPhase::Failed,
                Fate::Blocked(causes) => {
                    phase == ObjectPhase::Blocked && cause.is_some_and(|cause| causes.contains(&cause))
                }
            };
            assert!(as_expected, "o{n} is {phase:?} because of {cause:?}; the model says {fate:?}");
        }
    }
}

/// Objects are in plan order because no one is undefined.
pub fn object_number(ix: ObjectIx) -> usize {
    ix.usize()
}

pub fn ending(object: ObjectIx, attempt: Attempt, outcome: Outcome) -> Event {
    let worker: std::sync::Arc<str> = "w".into();
    match outcome {
        Outcome::Loads => {
            // Two of three hand something on.
            let outputs = (!object.0.is_multiple_of(3)).then(|| format!("{{\"rows\":{}}}", object.0).into());
            Event::Loaded { object, attempt, worker, elapsed: None, outputs }
        }
        Outcome::Errs | Outcome::Drains | Outcome::Fails | Outcome::IsSilent | Outcome::Hangs => {
            let retryable = outcome != Outcome::Fails;
            let reason = if outcome == Outcome::Drains { Failure::DRAINED } else { "WorkerError" };
            let failure =
                Failure { reason: reason.into(), error: "no".into(), retryable, ..Failure::default() };
            Event::Failed { object, attempt, worker, elapsed: None, failure: Box::new(failure) }
        }
    }
}

/// The state that these records make.
pub fn folded(plan: &Arc<RunPlan>, events: &[Record]) -> RunState {
    let mut state = RunState::new(Arc::clone(plan), RunUid::new("uid"));
    for record in events {
        let _ = state.fold(record, &mut Changes::default());
    }
    state
}
