//! A leader of one run, its topics and a clock.

use std::collections::HashSet;
use std::sync::Arc;

use orch_core::engine::{
    Append, Changes, Detail, Dispatch, Event, ObjectPhase, Orders, Phase, Publication, Record, Refused,
    RunState, RunView, Window, decide, invariants, project,
};
use orch_core::id::{Attempt, Epoch, Millis, ObjectIx, RunUid};
use orch_core::plan::{RunPlan, plan};
use orch_core::root_cause::root_causes;
use orch_core::spec::RunSpec;

use super::text;

/// When each play begins.
pub const START: Millis = 1_700_000_000_000;

/// What Kafka holds.
#[derive(Debug, Clone, Default)]
pub struct Topics {
    pub events: Vec<Record>,
    pub ready: Vec<Ready>,
}

/// One record of a ready topic.
#[derive(Debug, Clone, Copy)]
pub struct Ready {
    pub object: ObjectIx,
    pub publication: Publication,
    /// Records on the events topic when it was written.
    pub after: usize,
}

impl Topics {
    /// Appends a record: its offset is its place.
    pub fn append(&mut self, time: Millis, event: Event) {
        let offset = self.events.len() as i64;
        self.events.push(Record { offset, time, event });
    }

    /// What a new leader finds in the ready topics.
    pub fn published(&self) -> Vec<(ObjectIx, Publication)> {
        self.ready.iter().map(|ready| (ready.object, ready.publication)).collect()
    }
}

/// An operator at work.
#[derive(Debug, Clone)]
pub struct Leader {
    pub epoch: Epoch,
    pub state: RunState,
    pub dispatch: Dispatch,
    pub windows: Vec<Window>,
    pub orders: Orders,
    /// Records that it has read.
    pub read: usize,
    pub refused: Vec<Refused>,
    /// What it has published or found published.
    published: HashSet<(ObjectIx, Attempt)>,
    window: u32,
}

fn windows(plan: &RunPlan, limit: u32) -> Vec<Window> {
    plan.stages.iter().map(|stage| Window::new(limit, stage.partitions)).collect()
}

impl Leader {
    pub fn first(plan: &Arc<RunPlan>, window: u32) -> Self {
        let state = RunState::new(Arc::clone(plan), RunUid::new("uid"));
        Self {
            epoch: 1,
            dispatch: Dispatch::new(&state),
            state,
            windows: windows(plan, window),
            orders: Orders::default(),
            read: 0,
            refused: Vec::new(),
            published: HashSet::new(),
            window,
        }
    }

    /// The five steps of a recovery. `published` is what the ready topics still hold.
    pub fn recovered(&self, topics: &mut Topics, published: &[(ObjectIx, Publication)], now: Millis) -> Self {
        let mut leader = Self::first(self.state.plan(), self.window);
        leader.orders = self.orders;
        leader.epoch = self.epoch + 1;
        topics.append(now, Event::LeaderStarted { epoch: leader.epoch });
        let mut changes = Changes::default();
        for record in &topics.events {
            if let Err(refused) = leader.state.fold(record, &mut changes) {
                leader.refused.push(refused);
            }
        }
        leader.read = topics.events.len();
        leader.dispatch = Dispatch::recover(&leader.state, published, &mut leader.windows);
        leader.published = published.iter().map(|(object, record)| (*object, record.attempt)).collect();
        leader.assert_invariants();
        leader
    }

    /// Reads one record, if there is one.
    pub fn read(&mut self, topics: &Topics) -> Option<Result<(), Refused>> {
        let record = topics.events.get(self.read)?;
        self.read += 1;
        let mut changes = Changes::default();
        let before = self.state.clone();
        let result = self.state.fold(record, &mut changes);
        if let Err(refused) = result {
            assert_eq!(
                (&before, Changes::default()),
                (&self.state, changes.clone()),
                "{record:?}: a refused record"
            );
            self.refused.push(refused);
        }
        self.dispatch.absorb(&self.state, &changes, &mut self.windows);
        self.assert_invariants();
        Some(result)
    }

    /// Decides, publishes, and appends to `appended`. Answers when to decide again.
    pub fn act(&mut self, topics: &mut Topics, appended: &mut Vec<Event>, now: Millis) -> Option<Millis> {
        let allowance: Vec<u32> = self.windows.iter().map(Window::room).collect();
        let effects =
            decide(&self.state, &mut self.dispatch, now, &self.orders, (&mut self.windows, &allowance));
        let full = self.dispatch.in_flight() > self.orders.max_in_flight;
        assert!(effects.publish.is_empty() || !full, "maxInFlight is passed");
        for publish in effects.publish {
            let id = &self.state.plan().object(publish.object).id;
            for parent in self.state.plan().graph.dependencies(publish.object) {
                assert_eq!(
                    self.state.cell(*parent).phase,
                    Phase::Loaded,
                    "{id} is published before its dependency"
                );
            }
            let first = self.published.insert((publish.object, publish.attempt));
            assert!(first, "{id} attempt {} is published again", publish.attempt);
            let publication = Publication::new(publish.attempt, publish.partition, now);
            topics.ready.push(Ready { object: publish.object, publication, after: topics.events.len() });
        }
        for append in effects.append {
            appended.push(self.event(append));
        }
        self.assert_invariants();
        effects.wake_at
    }

    fn event(&self, append: Append) -> Event {
        let epoch = self.epoch;
        match append {
            Append::Start => Event::RunStarted { digest: self.state.plan().digest.clone(), epoch },
            Append::Cancel(reason) => Event::RunCancelled { reason, epoch },
            Append::Expire(object, attempt, reason) => Event::Expired { object, attempt, reason, epoch },
        }
    }

    pub fn unpublish(&mut self, object: ObjectIx, not_before: Millis) {
        let attempt = self.state.cell(object).attempt;
        self.published.remove(&(object, attempt));
        self.dispatch.unpublish(&self.state, object, (attempt, not_before), &mut self.windows);
    }

    pub fn view(&self) -> RunView {
        project(&self.state, &self.dispatch, Detail::default())
    }

    fn assert_invariants(&self) {
        invariants(&self.state, &self.dispatch, &self.windows).unwrap();
    }
}

/// A leader that reads and acts at once, and what happens to it.
pub struct Play {
    pub plan: Arc<RunPlan>,
    pub topics: Topics,
    pub leader: Leader,
    pub now: Millis,
    /// The leader's records while they are on their way; `None`: they arrive at once.
    pub held: Option<Vec<Event>>,
    pub wake_at: Option<Millis>,
}

impl Play {
    /// A run that has begun. `adjust` may change the spec.
    pub fn new(graph: &str, adjust: impl FnOnce(&mut RunSpec)) -> Self {
        Self::with_window(graph, 100, adjust)
    }

    pub fn with_window(graph: &str, window: u32, adjust: impl FnOnce(&mut RunSpec)) -> Self {
        let mut play = Self::before_start(graph, window, adjust);
        play.settle();
        play
    }

    /// A run of which nothing was written yet.
    pub fn before_start(graph: &str, window: u32, adjust: impl FnOnce(&mut RunSpec)) -> Self {
        let mut spec = text::spec(graph);
        adjust(&mut spec);
        let plan = Arc::new(plan(spec).unwrap());
        let leader = Leader::first(&plan, window);
        Self { plan, topics: Topics::default(), leader, now: START, held: None, wake_at: None }
    }

    pub fn run(mut self, script: &str) -> Self {
        text::run(&mut self, script);
        self
    }

    /// Adds a record to the events topic.
    pub fn append(&mut self, event: Event) {
        self.topics.append(self.now, event);
    }

    /// Reads everything and acts until there is nothing more to do now.
    pub fn settle(&mut self) {
        loop {
            while self.leader.read(&self.topics).is_some() {}
            let mut appended = Vec::new();
            self.wake_at = self.leader.act(&mut self.topics, &mut appended, self.now);
            match &mut self.held {
                Some(held) => held.append(&mut appended),
                None if appended.is_empty() => return,
                None => appended.into_iter().for_each(|event| self.topics.append(self.now, event)),
            }
            if self.held.is_some() {
                return;
            }
        }
    }

    /// Another operator takes over with what the topics hold.
    pub fn take_over(&mut self) {
        let published = self.topics.published();
        self.leader = self.leader.recovered(&mut self.topics, &published, self.now);
    }

    pub fn unpublish(&mut self, object: ObjectIx) {
        let dropped = self.topics.ready.iter().rposition(|ready| ready.object == object).unwrap();
        self.topics.ready.remove(dropped);
        self.leader.unpublish(object, self.now + 1_000);
    }

    /// `a Loaded, b Failed#3, c Blocked(b)`: the attempt where it is not the first.
    pub fn summary(&self) -> String {
        let view = self.leader.view();
        let phase = |letter: &u8| ObjectPhase::from_letter(*letter);
        let causes = root_causes(&self.plan, |ix| view.letters.get(ix.usize()).and_then(phase));
        let objects = self.plan.indices().zip(&view.letters).map(|(ix, letter)| {
            let phase = phase(letter).unwrap().as_str();
            let cell = self.leader.state.cell(ix);
            let cause = causes.get(&ix).map(|cause| format!("({})", self.plan.object(*cause).id));
            let attempt = (cell.attempt > 1).then(|| format!("#{}", cell.attempt));
            format!(
                "{} {phase}{}{}",
                self.plan.object(ix).id,
                cause.unwrap_or_default(),
                attempt.unwrap_or_default()
            )
        });
        objects.collect::<Vec<_>>().join(", ")
    }

    /// `Running`, `Failed ObjectsFailed`.
    pub fn outcome(&self) -> String {
        let view = self.leader.view();
        [view.phase.as_str()].into_iter().chain(view.reason).collect::<Vec<_>>().join(" ")
    }

    /// `a b a#2`: everything that stands in the ready topics, in order.
    pub fn published(&self) -> String {
        let records = self.topics.ready.iter().map(|ready| match ready.publication.attempt {
            1 => self.plan.object(ready.object).id.to_string(),
            attempt => format!("{}#{attempt}", self.plan.object(ready.object).id),
        });
        records.collect::<Vec<_>>().join(" ")
    }

    /// `stale_attempt late`: why records changed nothing, in order.
    pub fn refused(&self) -> String {
        self.leader.refused.iter().map(|refused| refused.as_str()).collect::<Vec<_>>().join(" ")
    }
}

/// Plays `script` on `graph` and compares where every object stands.
#[track_caller]
pub fn check(graph: &str, script: &str, expected: &str) {
    assert_eq!(Play::new(graph, |_| {}).run(script).summary(), expected);
}

/// Plays `script` on `graph` and compares why records changed nothing.
#[track_caller]
pub fn check_refused(graph: &str, script: &str, expected: &str) {
    assert_eq!(Play::new(graph, |_| {}).run(script).refused(), expected);
}
