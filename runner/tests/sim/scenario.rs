//! What a seed means: graphs, runs, workers, and the faults that will come.

use std::sync::Arc;

use orch_core::id::{Millis, RunUid, StageName};
use orch_core::plan::{RunPlan, plan};
use orch_core::spec::{
    FailurePolicy, ObjectSpec, RetryPolicy, RunSpec, Source, SourceForm, StageSpec, Timeouts, WorkerPolicy,
};
use orch_wire::{TopicNames, TopicPrefix};

use super::dice::Dice;

/// Operators that may lead.
pub const OPERATORS: usize = 2;

/// One run, in plain words: the simulator's own idea of it, which the engine never sees.
#[derive(Debug)]
pub struct Run {
    pub uid: RunUid,
    pub name: String,
    /// By object.
    pub ids: Vec<String>,
    pub parents: Vec<Vec<usize>>,
    pub stage_of: Vec<usize>,
    pub max_attempts: u32,
    pub fail_fast: bool,
    pub queue_ms: Option<Millis>,
    pub max_in_flight: u32,
    pub timeout_ms: Option<Millis>,
    /// When its resource is applied.
    pub applied_at: Millis,
    pub plan: Arc<RunPlan>,
}

impl Run {
    pub fn object(&self, id: &str) -> Option<usize> {
        self.ids.iter().position(|known| known == id)
    }
}

/// What breaks, and for how long.
#[derive(Debug, Clone)]
pub enum Fault {
    /// An operator is killed; its acknowledgements were lost for so long before. It comes back after `back_ms`.
    Crash { operator: usize, deaf_ms: Millis, back_ms: Millis },
    /// An operator stands still, also past its Lease, and goes on.
    Freeze { operator: usize, ms: Millis },
    /// Another operator takes the Lease; the one that had it notices only after `both_ms`.
    LeaseMoves { both_ms: Millis },
    /// The clock of an operator jumps.
    ClockJump { operator: usize, ms: Millis },
    /// Nobody reaches the broker.
    BrokerAway { ms: Millis },
    /// The producer of an operator loses its place: what it had in flight comes back, written or not.
    ProducerReplaced { operator: usize },
    /// A worker is killed and comes back; its partitions move meanwhile.
    WorkerCrash { worker: usize, back_ms: Millis },
    /// A worker is told to stop: it hands its work back and commits.
    WorkerDrain { worker: usize, back_ms: Millis },
    /// The group gives a worker's partitions to others; it goes on with what it has.
    WorkerCutOff { worker: usize, back_ms: Millis },
    /// A person ends a run.
    Cancel { run: usize },
    /// Somebody writes to the events topic what nobody should.
    Noise { kind: usize },
}

/// How often, in percent, small things go wrong before `calm_at`, and how long things take.
#[derive(Debug, Clone, Copy)]
pub struct Weather {
    pub delay_ms: Millis,
    pub stale_bounds: u32,
    pub stale_api: u32,
    pub conflict: u32,
    pub given_up: u32,
    pub misbehaviour: u32,
    pub slow_job: u32,
}

/// See the module.
#[derive(Debug)]
pub struct Scenario {
    pub seed: u64,
    pub names: TopicNames,
    pub stages: Vec<(StageName, u16)>,
    pub window: u32,
    /// After so many records the state of a run is written into its log.
    pub snapshots: Option<u64>,
    pub runs: Vec<Run>,
    /// By worker: its stage and how many objects it runs at the same time.
    pub workers: Vec<(usize, usize)>,
    pub weather: Weather,
    /// By time.
    pub faults: Vec<(Millis, Fault)>,
    /// From here on nothing breaks any more.
    pub calm_at: Millis,
}

impl Scenario {
    pub fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let stages: Vec<(StageName, u16)> = ["work", "other", "third"][..dice.between(1, 3) as usize]
            .iter()
            .map(|name| (StageName::parse(name).unwrap(), dice.between(1, 3) as u16))
            .collect();
        let count = dice.pick(&[1, 1, 1, 2, 3]);
        let runs: Vec<Run> = (0..count).map(|n| run(&mut dice, n, &stages)).collect();
        let mut workers = Vec::new();
        for stage in 0..stages.len() {
            for _ in 0..dice.between(1, 3) {
                workers.push((stage, dice.between(1, 4) as usize));
            }
        }
        let calm_at = dice.between(2_000, 90_000);
        let weather = weather(&mut dice);
        let mut faults: Vec<(Millis, Fault)> = (0..dice.below(9))
            .map(|_| (dice.between(0, calm_at), fault(&mut dice, runs.len(), workers.len())))
            .collect();
        faults.sort_by_key(|(at, _)| *at);
        Self {
            seed,
            names: TopicNames::new(&TopicPrefix::default(), "default", "sim"),
            stages,
            snapshots: dice.percent(50).then(|| dice.between(1, 20) as u64),
            window: dice.pick(&[1, 2, 4, 16, 100]),
            runs,
            workers,
            weather,
            faults,
            calm_at,
        }
    }
}

fn weather(dice: &mut Dice) -> Weather {
    Weather {
        delay_ms: dice.pick(&[2, 10, 60, 400]),
        stale_bounds: often(dice, 50),
        stale_api: often(dice, 50),
        conflict: often(dice, 50),
        given_up: often(dice, 15),
        misbehaviour: often(dice, 40),
        slow_job: often(dice, 40),
    }
}

fn often(dice: &mut Dice, most: i64) -> u32 {
    if dice.percent(50) { 0 } else { dice.between(1, most) as u32 }
}

fn fault(dice: &mut Dice, runs: usize, workers: usize) -> Fault {
    let operator = dice.below(OPERATORS);
    let worker = dice.below(workers);
    let back_ms = dice.between(1, 20_000);
    match dice.below(16) {
        0..=2 => {
            let deaf_ms = if dice.percent(50) { dice.between(1, 1_500) } else { 0 };
            Fault::Crash { operator, deaf_ms, back_ms: back_ms / 4 }
        }
        3 | 4 => Fault::Freeze { operator, ms: dice.between(10, 40_000) },
        5 | 6 => Fault::LeaseMoves { both_ms: dice.between(0, 30_000) },
        7 => Fault::ClockJump { operator, ms: dice.between(-120_000, 120_000) },
        8 => Fault::BrokerAway { ms: dice.between(10, 30_000) },
        9 => Fault::ProducerReplaced { operator },
        10 | 11 => Fault::WorkerCrash { worker, back_ms },
        12 => Fault::WorkerDrain { worker, back_ms },
        13 => Fault::WorkerCutOff { worker, back_ms },
        14 if dice.percent(60) => Fault::Cancel { run: dice.below(runs) },
        _ => Fault::Noise { kind: dice.below(8) },
    }
}

fn run(dice: &mut Dice, number: usize, stages: &[(StageName, u16)]) -> Run {
    let objects = dice.pick(&[1, 2, 3, 5, 8, 13, 21, 40]);
    let width = dice.between(1, 3) as usize;
    let parents: Vec<Vec<usize>> = (0..objects)
        .map(|object: usize| {
            let count = if object == 0 { 0 } else { dice.below(width + 1) };
            // Mostly of those just before: deep graphs.
            let mut own: Vec<usize> = (0..count)
                .map(|_| {
                    if dice.percent(70) { object - 1 - dice.below(object.min(4)) } else { dice.below(object) }
                })
                .collect();
            own.sort_unstable();
            own.dedup();
            own
        })
        .collect();
    let stage_of: Vec<usize> = (0..objects).map(|_| dice.below(stages.len())).collect();
    let ids: Vec<String> =
        (0..objects).map(|n| if n % 2 == 0 { (1_000 + n).to_string() } else { format!("o{n}") }).collect();
    let max_attempts = dice.between(1, 3) as u32;
    let fail_fast = dice.percent(25);
    let queue_ms = dice.percent(50).then(|| dice.between(3_000, 60_000));
    let heartbeat_ms = dice.between(2_000, 30_000);
    let mut spec = RunSpec {
        stages: stages.iter().map(|(name, partitions)| stage(name, *partitions)).collect(),
        sources: vec![Source::new("simulated", SourceForm::Objects)],
        failure_policy: if fail_fast { FailurePolicy::FailFast } else { FailurePolicy::ContinueIndependent },
        ..RunSpec::default()
    };
    for stage in &mut spec.stages {
        stage.retry.max_attempts = max_attempts;
        stage.timeouts = Timeouts { queue_ms, run_ms: None, heartbeat_ms };
    }
    for (n, id) in ids.iter().enumerate() {
        spec.objects.push(ObjectSpec {
            position: n as u32,
            id: id.clone(),
            stage: Some(stages[stage_of[n]].0.as_str().to_owned()),
            depends_on: parents[n].iter().map(|parent| ids[*parent].clone()).collect(),
            entry: format!(r#"{{"id":"{id}"}}"#),
            ..ObjectSpec::default()
        });
    }
    Run {
        uid: RunUid::new(&format!("uid-{number}")),
        name: format!("default/r{number}"),
        ids,
        parents,
        stage_of,
        max_attempts,
        fail_fast,
        queue_ms,
        max_in_flight: dice.pick(&[1, 3, 10, 4_096]),
        timeout_ms: dice.percent(10).then(|| dice.between(5_000, 120_000)),
        applied_at: if number == 0 { 0 } else { dice.between(0, 20_000) },
        plan: Arc::new(plan(spec).unwrap()),
    }
}

fn stage(name: &StageName, partitions: u16) -> StageSpec {
    StageSpec {
        name: name.as_str().to_owned(),
        id_range: None,
        processor: r#"{"simulate":{}}"#.to_owned(),
        worker: WorkerPolicy::default(),
        partitions,
        retry: RetryPolicy { initial_delay_ms: 200, max_delay_ms: 2_000, ..RetryPolicy::default() },
        timeouts: Timeouts::default(),
    }
}
