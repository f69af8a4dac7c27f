//! Every graph of up to five objects, and every order of what can happen to it, against a model of a page.
//!
//! First every order one by one, where each object loads or fails, and of up to four objects also errs and is tried again.
//! Then with second attempts, with a cancel, and with every record that must change nothing in every state there is. There the orders that lead to equal states are followed
//! once: that they do lead to equal states is part of the test.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use orch_core::engine::{
    Append, Changes, Detail, Dispatch, Event, Failure, Orders, Record, RunEnd, RunState, Window, decide,
    invariants, project,
};
use orch_core::id::{Attempt, Millis, ObjectIx, RunUid};
use orch_core::plan::{RunPlan, plan};
use orch_core::spec::{FailurePolicy, RetryOverride};

use super::text;

/// Records have one time, and decisions are made when every retry is due.
const TIME: Millis = 1_000;
const NOW: Millis = 1_000_000;
const MAX_ATTEMPTS: Attempt = 2;

/// The parents of each object; they have lower numbers.
type Graph = Vec<Vec<usize>>;

/// All graphs of so many objects, one of each shape.
fn shapes(objects: usize) -> Vec<Graph> {
    let pairs: Vec<(usize, usize)> =
        (0..objects).flat_map(|child| (0..child).map(move |parent| (parent, child))).collect();
    let orders = permutations(objects);
    let mut seen = BTreeSet::new();
    let mut graphs = Vec::new();
    for edges in 0..1_u32 << pairs.len() {
        let edges: Vec<(usize, usize)> =
            pairs.iter().enumerate().filter(|(n, _)| edges >> n & 1 == 1).map(|(_, pair)| *pair).collect();
        let renamed = orders.iter().map(|order| {
            let mut renamed: Vec<_> = edges.iter().map(|(a, b)| (order[*a], order[*b])).collect();
            renamed.sort_unstable();
            renamed
        });
        if seen.insert(renamed.min().unwrap()) {
            let parents = |child| edges.iter().filter(|(_, c)| *c == child).map(|(p, _)| *p).collect();
            graphs.push((0..objects).map(parents).collect());
        }
    }
    graphs
}

fn permutations(len: usize) -> Vec<Vec<usize>> {
    if len == 0 {
        return vec![Vec::new()];
    }
    let shorter = permutations(len - 1);
    let with_last = |order: &Vec<usize>, at: usize| {
        let mut order = order.clone();
        order.insert(at, len - 1);
        order
    };
    shorter.iter().flat_map(|order| (0..len).map(move |at| with_last(order, at))).collect()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Stand {
    Waits,
    Published(Attempt),
    /// An attempt that `FailFast` keeps from being published.
    Kept(Attempt),
    Loaded(Attempt),
    Failed(Attempt),
    Blocked,
    Cancelled(Attempt),
}

/// What a worker says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Says {
    Loads,
    Errs,
    Fails,
}

/// The model: what the rules say, with loops.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Model {
    stands: Vec<Stand>,
    stopping: bool,
    cancelled: bool,
}

impl Model {
    fn new(graph: &Graph) -> Self {
        let mut model = Self { stands: vec![Stand::Waits; graph.len()], stopping: false, cancelled: false };
        model.publish(graph);
        model
    }

    fn publish(&mut self, graph: &Graph) {
        for (object, parents) in graph.iter().enumerate() {
            let is_loaded = |parent: &usize| matches!(self.stands[*parent], Stand::Loaded(_));
            if self.stands[object] == Stand::Waits && parents.iter().all(is_loaded) {
                self.stands[object] = Stand::Published(1);
            }
        }
    }

    /// The published attempt of `object` is answered.
    fn hear(&mut self, graph: &Graph, object: usize, says: Says, fail_fast: bool) {
        let Stand::Published(attempt) = self.stands[object] else { unreachable!("only what is published") };
        match says {
            Says::Loads => self.stands[object] = Stand::Loaded(attempt),
            Says::Errs if attempt < MAX_ATTEMPTS && self.stopping => {
                self.stands[object] = Stand::Kept(attempt + 1);
            }
            Says::Errs if attempt < MAX_ATTEMPTS => self.stands[object] = Stand::Published(attempt + 1),
            Says::Errs | Says::Fails => {
                self.stands[object] = Stand::Failed(attempt);
                // Lower numbers first: a parent is looked at before its children.
                for (child, parents) in graph.iter().enumerate().skip(object + 1) {
                    let is_lost =
                        |parent: &usize| *parent == object || self.stands[*parent] == Stand::Blocked;
                    if self.stands[child] == Stand::Waits && parents.iter().any(is_lost) {
                        self.stands[child] = Stand::Blocked;
                    }
                }
                if fail_fast && !self.stopping {
                    self.stopping = true;
                    for stand in self.stands.iter_mut().filter(|stand| **stand == Stand::Waits) {
                        *stand = Stand::Cancelled(0);
                    }
                }
            }
        }
        self.publish(graph);
        if self.stopping && self.published().is_empty() {
            for stand in &mut self.stands {
                if let Stand::Kept(attempt) = *stand {
                    *stand = Stand::Cancelled(attempt);
                }
            }
        }
    }

    fn cancel(&mut self) {
        self.cancelled = true;
        for stand in &mut self.stands {
            *stand = match *stand {
                Stand::Waits => Stand::Cancelled(0),
                Stand::Published(attempt) | Stand::Kept(attempt) => Stand::Cancelled(attempt),
                ended => ended,
            };
        }
    }

    fn published(&self) -> Vec<(usize, Attempt)> {
        let published = |(object, stand): (usize, &Stand)| match stand {
            Stand::Published(attempt) => Some((object, *attempt)),
            _ => None,
        };
        self.stands.iter().enumerate().filter_map(published).collect()
    }

    /// What `status.phaseMap` shows.
    fn letters(&self) -> Vec<u8> {
        let letter = |stand: &Stand| match stand {
            Stand::Waits => b'P',
            Stand::Published(_) => b'Q',
            Stand::Loaded(_) => b'L',
            Stand::Failed(_) => b'F',
            Stand::Blocked => b'B',
            Stand::Kept(_) | Stand::Cancelled(_) => b'X',
        };
        self.stands.iter().map(letter).collect()
    }

    fn attempt(&self, object: usize) -> Attempt {
        match self.stands[object] {
            Stand::Waits | Stand::Blocked => 0,
            Stand::Published(attempt)
            | Stand::Kept(attempt)
            | Stand::Loaded(attempt)
            | Stand::Failed(attempt)
            | Stand::Cancelled(attempt) => attempt,
        }
    }
}

/// The engine, and everything that it has published.
#[derive(Clone)]
struct Engine {
    state: RunState,
    dispatch: Dispatch,
    windows: Vec<Window>,
}

impl Engine {
    fn new(plan: &Arc<RunPlan>) -> (Self, BTreeSet<(usize, Attempt)>) {
        let state = RunState::new(plan.clone(), RunUid::new("uid"));
        let windows = plan.stages.iter().map(|_| Window::new(100, 1)).collect();
        let mut engine = Self { dispatch: Dispatch::new(&state), state, windows };
        let digest = plan.digest.clone();
        let published = engine.hear(Event::RunStarted { digest, epoch: 1 }).expect("the run starts");
        (engine, published)
    }

    /// Folds a record and decides; answers what is published then. `None`: it changed nothing.
    fn hear(&mut self, event: Event) -> Option<BTreeSet<(usize, Attempt)>> {
        let mut changes = Changes::default();
        self.state.fold(&Record { offset: 0, time: TIME, event }, &mut changes).ok()?;
        self.dispatch.absorb(&self.state, &changes, &mut self.windows);
        let room: Vec<u32> = self.windows.iter().map(Window::room).collect();
        let orders = Orders::default();
        let effects = decide(&self.state, &mut self.dispatch, NOW, &orders, (&mut self.windows, &room));
        if let [Append::Cancel(reason)] = effects.append[..] {
            assert!(self.state.is_stopping(), "{effects:?}");
            return self.hear(Event::RunCancelled { reason, epoch: 1 });
        }
        assert!(effects.append.is_empty(), "{effects:?}");
        invariants(&self.state, &self.dispatch, &self.windows).unwrap();
        let published: Vec<_> = effects.publish.iter().map(|p| (p.object.usize(), p.attempt)).collect();
        let once: BTreeSet<_> = published.iter().copied().collect();
        assert_eq!(published.len(), once.len(), "something is published twice");
        Some(once)
    }
}

fn answer(object: usize, attempt: Attempt, says: Says) -> Event {
    let (object, worker, elapsed) = (ObjectIx(object as u32), "w".into(), None);
    let failed = |retryable| {
        let failure = Failure { reason: "Error".into(), error: "e".into(), retryable, ..Failure::default() };
        Event::Failed { object, attempt, worker: "w".into(), elapsed, failure: Box::new(failure) }
    };
    match says {
        Says::Loads => Event::Loaded { object, attempt, worker, elapsed, outputs: None },
        Says::Errs => failed(true),
        Says::Fails => failed(false),
    }
}

/// A graph, how it is played, and how much of it was.
struct Game {
    graph: Graph,
    plan: Arc<RunPlan>,
    fail_fast: bool,
    /// Records that were folded.
    records: usize,
    /// Orders of all records from the first to the last.
    orders: usize,
}

impl Game {
    fn new(graph: &Graph, fail_fast: bool) -> Self {
        let mut spec = text::spec("o0");
        if fail_fast {
            spec.failure_policy = FailurePolicy::FailFast;
        }
        let template = spec.objects.remove(0);
        for (n, parents) in graph.iter().enumerate() {
            let mut object = template.clone();
            object.position = n as u32;
            object.id = format!("o{n}");
            object.depends_on = parents.iter().map(|parent| format!("o{parent}")).collect();
            let max_attempts = Some(MAX_ATTEMPTS);
            object.retry = Some(Box::new(RetryOverride { max_attempts, ..RetryOverride::default() }));
            spec.objects.push(object);
        }
        Self { graph: graph.clone(), plan: Arc::new(plan(spec).unwrap()), fail_fast, records: 0, orders: 0 }
    }

    fn begin(&self) -> (Model, Engine) {
        let model = Model::new(&self.graph);
        let (engine, published) = Engine::new(&self.plan);
        assert_eq!(published, model.published().into_iter().collect(), "{:?}", self.graph);
        (model, engine)
    }

    /// Answers one published attempt in both, and compares them.
    fn step(
        &mut self,
        model: &Model,
        engine: &Engine,
        (object, attempt, says): (usize, Attempt, Says),
    ) -> (Model, Engine) {
        let (mut next, mut engine) = (model.clone(), engine.clone());
        let before: BTreeSet<_> = model.published().into_iter().collect();
        next.hear(&self.graph, object, says, self.fail_fast);
        let published = engine.hear(answer(object, attempt, says)).expect("the answer counts");
        self.records += 1;
        let expected: BTreeSet<_> =
            next.published().into_iter().filter(|one| !before.contains(one)).collect();
        let context = || format!("{:?}: {model:?}, then {object}#{attempt} {says:?}", self.graph);
        assert_eq!(published, expected, "published: {}", context());
        self.compare(&next, &engine, &context);
        (next, engine)
    }

    fn compare(&self, model: &Model, engine: &Engine, context: &dyn Fn() -> String) {
        let view = project(&engine.state, &engine.dispatch, Detail { objects: 0, failures: 0 });
        assert_eq!(view.letters, model.letters(), "{}", context());
        let is_over = !model.stands.iter().any(|stand| matches!(stand, Stand::Waits | Stand::Published(_)));
        assert_eq!(view.phase.is_terminal(), is_over, "{}", context());
        for object in 0..self.graph.len() {
            let attempt = engine.state.cell(ObjectIx(object as u32)).attempt;
            assert_eq!(attempt, model.attempt(object), "{}", context());
        }
    }

    /// Every order, one by one.
    fn play_all_orders(&mut self, model: &Model, engine: &Engine, all: &[Says]) {
        let published = model.published();
        self.orders += usize::from(published.is_empty());
        for (object, attempt) in published {
            for says in all.iter().copied() {
                let (model, engine) = self.step(model, engine, (object, attempt, says));
                self.play_all_orders(&model, &engine, all);
            }
        }
    }

    /// Every state that any order leads to, and every record in each of them.
    fn play_all_states(&mut self) -> usize {
        let (model, engine) = self.begin();
        let mut seen = HashMap::from([(model.clone(), engine.state.clone())]);
        let mut open = vec![(model, engine)];
        while let Some((model, engine)) = open.pop() {
            self.refuse_the_rest(&model, &engine);
            let mut nexts = Vec::new();
            for (object, attempt) in model.published() {
                for says in [Says::Loads, Says::Errs, Says::Fails] {
                    nexts.push(self.step(&model, &engine, (object, attempt, says)));
                }
            }
            nexts.extend(self.cancel(&model, &engine));
            for (model, engine) in nexts {
                // Each failed attempt is kept with its words: two ways to the same end may differ in these.
                if let Some(state) = seen.get(&model) {
                    assert!(are_equal(state, &engine.state), "{:?}: {model:?}", self.graph);
                } else {
                    seen.insert(model.clone(), engine.state.clone());
                    open.push((model, engine));
                }
            }
        }
        seen.len()
    }

    fn cancel(&mut self, model: &Model, engine: &Engine) -> Option<(Model, Engine)> {
        let (mut next, mut engine) = (model.clone(), engine.clone());
        let is_open = |stand: &Stand| matches!(stand, Stand::Waits | Stand::Published(_) | Stand::Kept(_));
        let counts = !model.cancelled && model.stands.iter().any(is_open);
        let published = engine.hear(Event::RunCancelled { reason: RunEnd::Cancelled, epoch: 1 });
        self.records += 1;
        assert_eq!(published.is_some(), counts, "{:?}: {model:?}, cancelled", self.graph);
        let published = published?;
        assert!(published.is_empty(), "{:?}: {model:?}, cancelled, publishes {published:?}", self.graph);
        next.cancel();
        self.compare(&next, &engine, &|| format!("{:?}: {model:?}, cancelled", self.graph));
        Some((next, engine))
    }

    /// Duplicates, stale attempts, attempts to come: whatever answers no current attempt changes nothing.
    fn refuse_the_rest(&mut self, model: &Model, engine: &Engine) {
        let mut changes = Changes::default();
        let mut state = engine.state.clone();
        for object in 0..self.graph.len() {
            for attempt in 1..=MAX_ATTEMPTS + 1 {
                let stand = model.stands[object];
                if matches!(stand, Stand::Published(now) | Stand::Kept(now) if now == attempt) {
                    continue;
                }
                for says in [Says::Loads, Says::Fails] {
                    let record = Record { offset: 0, time: TIME, event: answer(object, attempt, says) };
                    let taken = state.fold(&record, &mut changes);
                    assert!(taken.is_err(), "{:?}: {model:?}, then {record:?}", self.graph);
                    self.records += 1;
                }
            }
        }
        assert_eq!((&state, changes), (&engine.state, Changes::default()), "{:?}: {model:?}", self.graph);
    }
}

/// Whether two states mean the same for what comes: the words of failed attempts aside.
fn are_equal(one: &RunState, other: &RunState) -> bool {
    one.counts() == other.counts()
        && one.is_stopping() == other.is_stopping()
        && one.ended_by() == other.ended_by()
        && one.plan().indices().all(|ix| one.cell(ix) == other.cell(ix))
}

#[test]
fn there_are_as_many_graphs_as_there_should_be() {
    let counts: Vec<usize> = (1..=5).map(|objects| shapes(objects).len()).collect();
    // Acyclic graphs by number of nodes, up to their names.
    assert_eq!(counts, [1, 2, 6, 31, 302]);
}

#[test]
fn all_orders_of_all_graphs_of_up_to_five_objects_end_as_the_model_says() {
    let (mut orders, mut records) = (0, 0);
    for graph in (1..=5).flat_map(shapes) {
        for fail_fast in [false, true] {
            let mut game = Game::new(&graph, fail_fast);
            let (model, engine) = game.begin();
            // With second attempts five objects would have a hundred times as many orders.
            let says: &[Says] = if graph.len() < 5 {
                &[Says::Loads, Says::Errs, Says::Fails]
            } else {
                &[Says::Loads, Says::Fails]
            };
            game.play_all_orders(&model, &engine, says);
            orders += game.orders;
            records += game.records;
        }
    }
    // So that nobody takes cases away unnoticed.
    assert_eq!((orders, records), (761_490, 1_080_124));
}

#[test]
fn all_states_of_all_graphs_of_up_to_five_objects_take_every_record_as_the_model_says() {
    let (mut states, mut records) = (0, 0);
    for graph in (1..=5).flat_map(shapes) {
        for fail_fast in [false, true] {
            let mut game = Game::new(&graph, fail_fast);
            states += game.play_all_states();
            records += game.records;
        }
    }
    assert_eq!((states, records), (506_896, 15_778_640));
}
