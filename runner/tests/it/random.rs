//! A property: whatever the graph, the answers and the moments at which operators go, a run ends as a naive model says,
//! and each object counts once.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use orch_bus::Bus;
use orch_core::engine::{Detail, ObjectPhase};
use orch_core::id::RunUid;
use orch_core::plan::RunPlan;
use orch_core::spec::RetryOverride;
use orch_runner::{RunSettings, SnapshotRule};
use proptest::prelude::*;

use super::operator::Operator;
use super::plans;
use super::worker::{Job, Say, Worker, answer};
use super::world::{Line, World, run};

/// What a worker makes of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    Loads,
    Errs,
    Fails,
}

/// How an operator goes.
#[derive(Debug, Clone, Copy)]
enum Going {
    Stops,
    Crashes,
    IsSuperseded,
}

/// Objects have numbers; their dependencies have lower ones.
#[derive(Debug, Clone)]
struct Case {
    parents: Vec<Vec<usize>>,
    /// By object and attempt; after the last one it loads.
    work: Vec<Vec<Work>>,
    max_attempts: u32,
    window: u32,
    /// After so many answers an operator goes.
    goings: BTreeMap<usize, Going>,
    /// Which answers come twice, and what else is said that must not count.
    noise: Vec<u8>,
}

fn cases() -> impl Strategy<Value = Case> {
    let work = || prop_oneof![6 => Just(Work::Loads), 2 => Just(Work::Errs), 1 => Just(Work::Fails)];
    let going = prop_oneof![Just(Going::Stops), Just(Going::Crashes), Just(Going::IsSuperseded)];
    (1_usize..14).prop_flat_map(move |len| {
        let picks = prop::collection::vec(prop::collection::vec(any::<prop::sample::Index>(), 0..3), len);
        let work = prop::collection::vec(prop::collection::vec(work(), 0..3), len);
        let goings = prop::collection::btree_map(0..len + 3, going.clone(), 0..4);
        let noise = prop::collection::vec(any::<u8>(), 1..40);
        (picks, work, 1_u32..4, 1_u32..6, goings, noise).prop_map(
            |(picks, work, max_attempts, window, goings, noise)| {
                let below = |(n, picks): (usize, Vec<prop::sample::Index>)| {
                    picks.into_iter().filter(|_| n > 0).map(|pick| pick.index(n.max(1))).collect()
                };
                let parents = picks.into_iter().enumerate().map(below).collect();
                Case { parents, work, max_attempts, window, goings, noise }
            },
        )
    })
}

impl Case {
    fn plan(&self) -> Arc<RunPlan> {
        let mut spec = plans::spec("o0, other:other");
        spec.objects.clear();
        for (n, parents) in self.parents.iter().enumerate() {
            let mut object = plans::object(&format!("o{n}"), if n % 3 == 2 { "other" } else { "work" }, n);
            object.depends_on = parents.iter().map(|parent| format!("o{parent}")).collect();
            let max_attempts = Some(self.max_attempts);
            object.retry = Some(Box::new(RetryOverride { max_attempts, ..RetryOverride::default() }));
            spec.objects.push(object);
        }
        plans::checked(spec)
    }

    fn work(&self, object: usize, attempt: u32) -> Work {
        self.work[object].get(attempt as usize - 1).copied().unwrap_or(Work::Loads)
    }

    /// How each object ends: the naive model.
    fn fates(&self) -> Vec<ObjectPhase> {
        let mut fates = Vec::new();
        for (object, parents) in self.parents.iter().enumerate() {
            let decided =
                (1..=self.max_attempts).map(|attempt| self.work(object, attempt)).find(|w| *w != Work::Errs);
            fates.push(match decided {
                _ if parents.iter().any(|parent| fates[*parent] != ObjectPhase::Loaded) => {
                    ObjectPhase::Blocked
                }
                Some(Work::Loads) => ObjectPhase::Loaded,
                _ => ObjectPhase::Failed,
            });
        }
        fates
    }
}

fn number(job: &Job) -> usize {
    job.object[1..].parse().unwrap()
}

/// What is said to an attempt: noise, the answer, and more noise. What comes before the answer must not end the
/// attempt: it answers another one. Where the attempt was asked for twice, the next one may have begun.
fn answers(case: &Case, job: &Job, turn: usize, is_first: bool) -> Vec<orch_bus::Outgoing> {
    let noise = case.noise[turn % case.noise.len()];
    let say = match case.work(number(job), job.attempt) {
        Work::Loads => Say::Loaded,
        Work::Errs => Say::Error,
        Work::Fails => Say::Failed,
    };
    let other_attempt = |attempt| Job { attempt, ..job.clone() };
    let mut records = Vec::new();
    if noise & 1 != 0 && is_first {
        records.push(answer(&other_attempt(job.attempt + 1), &Say::Loaded));
    }
    if noise & 2 != 0 && job.attempt > 1 {
        records.push(answer(&other_attempt(job.attempt - 1), &Say::Loaded));
    }
    if noise & 4 != 0 {
        records.push(answer(job, &Say::Started));
    }
    if noise & 8 != 0 {
        records.push(orch_bus::Outgoing { value: b"{\"event_type\":".to_vec().into(), ..answer(job, &say) });
    }
    records.push(answer(job, &say));
    if noise & 16 != 0 {
        records.push(answer(job, &Say::Loaded));
        records.push(answer(job, &Say::Failed));
    }
    records
}

/// An operator, which has the run from the start or gets it later.
async fn operator(case: &Case, world: &World, plan: &Arc<RunPlan>, (turn, start): (usize, i64)) -> Operator {
    let arrives_later = case.noise[turn % case.noise.len()] & 32 != 0;
    let run = RunSettings { start_offset: start, ..run("r1", plan) };
    let now = if arrives_later { vec![] } else { vec![run.clone()] };
    let operator = Operator::start(world, now).await;
    operator.handle().add(run);
    operator
}

/// Where a recovery may begin, as it would be kept outside of the log now.
async fn kept(operator: &Operator, before: i64) -> i64 {
    let seen = operator.handle().snapshot(&RunUid::new("r1"), Detail::default()).await;
    assert!(seen.as_ref().is_none_or(|seen| seen.problem.is_none()), "{seen:?}");
    seen.map_or(before, |seen| seen.start_offset.max(before))
}

/// Answers as the case says, and lets operators go.
async fn play(case: &Case, world: &World, plan: &Arc<RunPlan>) -> Vec<ObjectPhase> {
    let mut start = 0;
    let mut operator = self::operator(case, world, plan, (0, start)).await;
    let mut former = Vec::new();
    let mut workers = [Worker::join(world, "work").await, Worker::join(world, "other").await];
    let voice = world.bus.inner.producer().await.unwrap();
    let (mut turn, mut seen) = (0, HashSet::new());
    loop {
        if case.noise[turn % case.noise.len()] & 64 != 0 {
            start = kept(&operator, start).await;
        }
        match case.goings.get(&turn) {
            None => {}
            Some(Going::IsSuperseded) => {
                operator.until("r1", "there", |_| true).await;
                former.push(std::mem::replace(
                    &mut operator,
                    self::operator(case, world, plan, (turn, start)).await,
                ));
            }
            Some(Going::Stops) => {
                operator.stop().await;
                operator = self::operator(case, world, plan, (turn, start)).await;
            }
            Some(Going::Crashes) => {
                operator.crash();
                operator = self::operator(case, world, plan, (turn, start)).await;
            }
        }
        let [work, other] = &mut workers;
        let (job, worker) = tokio::select! {
            job = work.take() => (job, &*work),
            job = other.take() => (job, &*other),
            over = operator.until_over("r1") => {
                let phase = |letter: &u8| ObjectPhase::from_letter(*letter).unwrap();
                return over.view.letters.iter().map(phase).collect();
            }
        };
        let is_first = seen.insert((job.object.clone(), job.attempt));
        voice.send(answers(case, &job, turn, is_first));
        worker.finish(&job);
        turn += 1;
    }
}

/// What counts in the log, judged anew: the first ending of the current attempt of an object whose dependencies are
/// loaded. By object: how often it was loaded.
fn loaded_in(case: &Case, events: &[Line]) -> Vec<u32> {
    let mut loaded = vec![0; case.parents.len()];
    let mut attempts: HashMap<usize, u32> = HashMap::new();
    let mut ended = HashSet::new();
    for line in events.iter().filter(|line| line.is("ObjectLoaded") || line.is("ObjectFailed")) {
        let object: usize = line.key[1..].parse().unwrap();
        let attempt = attempts.entry(object).or_insert(1);
        let may_run = case.parents[object].iter().all(|parent| loaded[*parent] > 0);
        if !may_run || ended.contains(&object) || line.value["attempt"].as_u64() != Some(u64::from(*attempt))
        {
            continue;
        }
        if line.is("ObjectLoaded") {
            loaded[object] += 1;
            ended.insert(object);
        } else if line.value["retryable"] == true && *attempt < case.max_attempts {
            *attempt += 1;
        } else {
            ended.insert(object);
        }
    }
    loaded
}

async fn check(case: Case) {
    let plan = case.plan();
    let mut world = World::new(&plan).await;
    world.window = case.window;
    let records = 1 + u64::from(case.noise[0] % 7);
    world.snapshots = SnapshotRule { records, interval_ms: i64::MAX, at_least: 0 };
    let ended = play(&case, &world, &plan).await;
    let fates = case.fates();
    assert_eq!(ended, fates);
    let expected: Vec<u32> = fates.iter().map(|fate| u32::from(*fate == ObjectPhase::Loaded)).collect();
    assert_eq!(loaded_in(&case, &world.events().await), expected);
    let ready = world.ready().await;
    let asked: HashSet<_> =
        ready.iter().map(|line| (line.key.clone(), line.value["attempt"].as_u64())).collect();
    // Where no two operators were there at the same time, nothing was asked for twice.
    if !case.goings.values().any(|going| matches!(going, Going::IsSuperseded)) {
        assert_eq!(asked.len(), ready.len(), "{}", world.asked().await);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn o4_o5_o14_a_run_ends_as_the_model_says_and_each_object_counts_once(case in cases()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(check(case));
    }
}
