//! The operators: each takes the topics over when it believes to lead, hands runs over, follows the API, and looks at
//! what the actor shows.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use orch_bus::Bus;
use orch_core::engine::{Detail, ObjectPhase, Orders, RunView};
use orch_core::id::Millis;
use orch_runner::{
    Clock, Exit, Outlets, PipelineHandle, PipelineSettings, RunSettings, RunSnapshot, SnapshotRule, Stats,
};
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;

use super::api::Resource;
use super::bus::Connection;
use super::laws::process_name;
use super::ledger::Ledger;
use super::scenario::OPERATORS;
use super::world::{Owner, Shared, World, lock, wait};

/// With nothing in its way any more every run ends within this.
const ENDS_WITHIN_MS: Millis = 900_000;

/// See the module.
pub struct Operators {
    /// Who has the Lease.
    pub holder: usize,
    /// Whether each believes that it has it.
    pub leads: Vec<watch::Sender<bool>>,
    /// How far the clock of each is wrong.
    pub clock_ms: Vec<Millis>,
    /// The newest process of each.
    pub process: Vec<Option<usize>>,
    tasks: Vec<Option<AbortHandle>>,
}

impl Operators {
    pub fn new() -> Self {
        Self {
            holder: 0,
            leads: (0..OPERATORS).map(|n| watch::Sender::new(n == 0)).collect(),
            clock_ms: vec![0; OPERATORS],
            process: vec![None; OPERATORS],
            tasks: vec![None; OPERATORS],
        }
    }
}

impl World {
    pub fn operators_begin(&mut self) {
        for operator in 0..OPERATORS {
            self.after(operator as Millis, move |world| world.operator_starts(operator));
        }
    }

    pub fn operator_starts(&mut self, operator: usize) {
        let world = self.me.upgrade().unwrap();
        let task = tokio::spawn(operate(world, operator));
        self.operators.tasks[operator] = Some(task.abort_handle());
    }

    /// Nothing of it runs any more.
    pub fn operator_ends(&mut self, operator: usize) {
        if let Some(task) = self.operators.tasks[operator].take() {
            task.abort();
        }
        if let Some(process) = self.operators.process[operator].take() {
            self.kill(process);
        }
    }
}

/// The life of an operator.
async fn operate(world: Shared, operator: usize) {
    let mut leads = lock(&world).operators.leads[operator].subscribe();
    loop {
        until(&mut leads, true).await;
        let connection = {
            let mut it = lock(&world);
            let process = it.connect(Owner::Operator(operator));
            it.operators.process[operator] = Some(process);
            Connection { world: world.clone(), process }
        };
        if let Some(leader) = Leader::begin(connection.clone(), operator).await {
            leader.follow(&mut leads).await;
        }
        lock(&world).kill(connection.process);
        wait(&world, 500).await;
    }
}

/// Waits until it leads, or does not.
async fn until(leads: &mut watch::Receiver<bool>, wanted: bool) {
    // The sender lives as long as the world.
    let _ = leads.wait_for(|leads| *leads == wanted).await;
}

/// An operator that leads, or believes so.
struct Leader {
    connection: Connection,
    operator: usize,
    handle: PipelineHandle,
    /// The runs that were handed over.
    has: BTreeSet<usize>,
    /// By run: where a recovery may begin now.
    starts: BTreeMap<usize, i64>,
}

impl Leader {
    /// Takes the topics over with some of the runs; the others follow.
    async fn begin(connection: Connection, operator: usize) -> Option<Self> {
        let resources = list(&connection).await;
        let known_epoch = resources.iter().map(|(_, resource)| resource.epoch).max().unwrap_or(0);
        let mut runs = Vec::new();
        let mut has = BTreeSet::new();
        for (run, resource) in &resources {
            let world = &connection.world;
            let at_once = lock(world).dice.percent(60);
            if let (Some(settings), true) = (settings(&lock(world), *run, resource), at_once) {
                runs.push(settings);
                has.insert(*run);
            }
        }
        let handle = start(&connection, operator, known_epoch, runs).await?;
        Some(Self { connection, operator, handle, has, starts: BTreeMap::new() })
    }

    /// Follows the API until it leads no longer.
    async fn follow(mut self, leads: &mut watch::Receiver<bool>) {
        loop {
            let pause = lock(&self.connection.world).dice.between(50, 2_000);
            tokio::select! {
                biased;
                ended = self.handle.wait() => return self.hear_end(&ended.exit),
                () = until(leads, false) => {
                    self.connection.thaw().await;
                    self.handle.stop().await;
                    return;
                }
                () = wait(&self.connection.world, pause) => {}
            }
            self.connection.thaw().await;
            self.reconcile().await;
            if self.look().await {
                return self.finish().await;
            }
        }
    }

    fn hear_end(&self, exit: &Exit) {
        let mut world = lock(&self.connection.world);
        if let Exit::Broken(error) = exit {
            let text = format!("{} broke: {error}", process_name(self.connection.process));
            world.judge(Err(text));
        }
    }

    /// Hands over what is new, and what people have changed.
    async fn reconcile(&mut self) {
        for (run, resource) in list(&self.connection).await {
            if resource.start_offset.is_none() {
                self.claim(run, resource).await;
                continue;
            }
            let Some(settings) = settings(&lock(&self.connection.world), run, &resource) else { continue };
            if self.has.insert(run) {
                self.handle.add(settings);
            } else {
                self.handle.order(&settings.uid, settings.orders);
            }
            let epoch = self.handle.epoch().max(resource.epoch);
            let start_offset = resource.start_offset.max(self.starts.get(&run).copied());
            if (epoch, start_offset) != (resource.epoch, resource.start_offset) {
                put(&self.connection, run, Resource { start_offset, epoch, ..resource }).await;
            }
        }
    }

    /// Keeps where the records of a run begin, before anything is written of it.
    async fn claim(&self, run: usize, resource: Resource) {
        let events = lock(&self.connection.world).scenario.names.events();
        let Ok(bounds) = self.connection.bounds(&events).await else { return };
        let start = bounds[0].high;
        put(&self.connection, run, Resource { start_offset: Some(start), ..resource }).await;
    }

    /// Compares what the actor shows of each run with the log. Says whether everything has ended.
    async fn look(&mut self) -> bool {
        let runs = lock(&self.connection.world).scenario.runs.len();
        let mut over = 0;
        for run in self.has.clone() {
            let from = lock(&self.connection.world).knowledge(self.connection.process).surely;
            let uid = lock(&self.connection.world).scenario.runs[run].uid.clone();
            let Some(seen) = self.handle.snapshot(&uid, Detail::default()).await else { continue };
            let mut world = lock(&self.connection.world);
            let until = world.knowledge(self.connection.process).at_most;
            let verdict = world.agrees(run, &seen.view, from..=until);
            world.judge(
                verdict.map_err(|problem| format!("{}: {problem}", process_name(self.connection.process))),
            );
            if let Some(problem) = &seen.problem {
                world.judge(Err(format!("run {run} cannot be read: {problem}")));
            }
            self.starts.insert(run, seen.start_offset);
            over += usize::from(world.is_over(run, &seen));
        }
        let world = lock(&self.connection.world);
        world.is_calm() && over == runs && world.operators.holder == self.operator
    }

    /// Everything has ended: whoever takes over now sees the same.
    async fn finish(self) {
        let world = self.connection.world.clone();
        let Some(before) = views(&self.handle, &world).await else { return };
        self.handle.stop().await;
        // Another operator may still be on its way to a term of its own.
        let after = loop {
            let process = lock(&world).connect(Owner::Operator(self.operator));
            let connection = Connection { world: world.clone(), process };
            let resources = list(&connection).await;
            let settings =
                resources.iter().filter_map(|(run, resource)| settings(&lock(&world), *run, resource));
            let runs = settings.collect();
            if let Some(handle) = start(&connection, self.operator, 0, runs).await
                && let Some(after) = views(&handle, &world).await
            {
                break after;
            }
        };
        let mut world = lock(&world);
        for (run, (before, after)) in before.iter().zip(&after).enumerate() {
            if before != after {
                let text = format!("run {run} is seen otherwise after a take-over:\n{before:#?}\n{after:#?}");
                world.judge(Err(text));
            }
        }
        world.is_finished = true;
        world.wake.notify_one();
    }
}

/// What an actor shows of all runs; `None` when it has ended. The term of whoever leads is no part of it.
async fn views(handle: &PipelineHandle, world: &Shared) -> Option<Vec<RunView>> {
    let uids: Vec<_> = lock(world).scenario.runs.iter().map(|run| run.uid.clone()).collect();
    let mut views = Vec::new();
    for uid in uids {
        let seen = handle.snapshot(&uid, Detail::default()).await?;
        views.push(RunView { epoch: 0, ..seen.view });
    }
    Some(views)
}

async fn start(
    connection: &Connection,
    operator: usize,
    known_epoch: u64,
    runs: Vec<RunSettings>,
) -> Option<PipelineHandle> {
    let world = &connection.world;
    let time = world.clone();
    let (notices, _nobody) = mpsc::channel(1);
    let settings = {
        let mut world = lock(world);
        world.processes[connection.process].known_epoch = known_epoch;
        PipelineSettings {
            names: world.scenario.names.clone(),
            stages: world.scenario.stages.clone(),
            window: world.scenario.window,
            leader: process_name(connection.process),
            known_epoch,
            snapshots: world.scenario.snapshots.map_or(SnapshotRule::NEVER, |records| SnapshotRule {
                records,
                interval_ms: Millis::MAX,
                at_least: 0,
            }),
            clock: Clock::new(move || {
                let world = lock(&time);
                world.now() + world.operators.clock_ms[operator]
            }),
        }
    };
    let outlets = Outlets { stats: Arc::new(Stats::default()), notices };
    PipelineHandle::start(Arc::new(connection.clone()), settings, runs, outlets).await.ok()
}

/// The runs that are applied; each as it is, or as it was a while ago.
async fn list(connection: &Connection) -> Vec<(usize, Resource)> {
    travel(connection).await;
    let mut world = lock(&connection.world);
    let mut resources = Vec::new();
    for run in 0..world.scenario.runs.len() {
        let chance = world.scenario.weather.stale_api;
        let ago = if world.goes_wrong(chance) { world.dice.below(4) } else { 0 };
        resources.extend(world.api.get(run, world.elapsed(), ago).map(|resource| (run, resource)));
    }
    resources
}

/// Writes a resource; a conflict leaves it as it is, and the next look sees what it is.
async fn put(connection: &Connection, run: usize, resource: Resource) {
    travel(connection).await;
    let mut world = lock(&connection.world);
    let chance = world.scenario.weather.conflict;
    if world.goes_wrong(chance) {
        world.note(&format!("somebody else writes the resource of run {run}"));
        world.api.change(run, |_| {});
    }
    let start = resource.start_offset;
    let is_claimed = world.laws.ledgers[run].is_some();
    if world.api.put(run, resource)
        && !is_claimed
        && let Some(start) = start
    {
        world.laws.claimed(run, start);
    }
}

async fn travel(connection: &Connection) {
    let delay = lock(&connection.world).delay();
    wait(&connection.world, delay).await;
    connection.thaw().await;
}

fn settings(world: &World, run: usize, resource: &Resource) -> Option<RunSettings> {
    let of = &world.scenario.runs[run];
    Some(RunSettings {
        uid: of.uid.clone(),
        run: of.name.clone(),
        plan: of.plan.clone(),
        orders: Orders {
            cancel: resource.cancel,
            timeout_ms: of.timeout_ms,
            max_in_flight: of.max_in_flight,
        },
        start_offset: resource.start_offset?,
        names_processors: false,
    })
}

impl World {
    /// Nothing takes so long that nothing is in the way of.
    pub fn gives_up(&mut self) {
        if self.elapsed() > self.scenario.calm_at + ENDS_WITHIN_MS {
            let ledgers: Vec<String> = self.laws.ledgers.iter().flatten().map(Ledger::text).collect();
            let process = self.operators.process[self.operators.holder];
            self.judge(Err(format!("it does not end; {process:?} leads, the log says {ledgers:#?}")));
        }
    }

    /// What is shown of a run is what the log says, up to a record that was read then.
    fn agrees(&self, run: usize, view: &RunView, at: std::ops::RangeInclusive<i64>) -> Result<(), String> {
        let attempts: Vec<u32> = view.objects.iter().map(|object| object.attempt).collect();
        let mut ledgers = at.clone().map(|offset| self.laws.ledger_at(run, offset));
        let shown: Vec<_> = view.letters.iter().map(|letter| ObjectPhase::from_letter(*letter)).collect();
        let counted =
            |phase: &ObjectPhase| shown.iter().filter(|shown| **shown == Some(*phase)).count() as u32;
        let miscounted = ObjectPhase::ALL.iter().find(|phase| view.counts.of(**phase) != counted(phase));
        if let Some(phase) = miscounted {
            return Err(format!("run {run} is shown with {} {}", view.counts.of(*phase), phase.as_str()));
        }
        let agrees = ledgers.any(|ledger| {
            let is_over = view.phase.is_terminal();
            let same_end =
                !is_over || (view.phase.as_str(), view.reason.unwrap_or_default()) == ledger.outcome();
            ledger.agrees(&view.letters, &attempts) && same_end && ledger.started == view.started_at.is_some()
        });
        if agrees {
            return Ok(());
        }
        let ledger = self.laws.ledger_at(run, *at.end()).text();
        let letters = String::from_utf8_lossy(&view.letters);
        Err(format!(
            "run {run} is shown as {:?} {:?} {letters} {attempts:?}, the log up to one of {at:?} says {ledger}",
            view.phase, view.reason
        ))
    }

    /// Whether a run has ended, is seen to have ended, and everybody was told.
    fn is_over(&self, run: usize, seen: &RunSnapshot) -> bool {
        let end = self.ends(&self.scenario.names.events())[0];
        seen.view.phase.is_terminal() && seen.settled && self.agrees(run, &seen.view, end..=end).is_ok()
    }
}
