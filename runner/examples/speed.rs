//! How many objects a second the actor moves: an in-memory bus, and a worker in this process that answers at once.
//!
//! `cargo run --release -p orch-runner --example speed [OBJECTS [LAYERS]]`

#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use orch_bus::memory::MemoryBus;
use orch_bus::{Bus, Member, Message, Outgoing, Producer, TopicSpec};
use orch_core::engine::{Detail, Orders, RunPhase};
use orch_core::id::RunUid;
use orch_core::plan::{RunPlan, plan};
use orch_core::spec::{
    ObjectSpec, RetryPolicy, RunSpec, Source, SourceForm, StageSpec, Timeouts, WorkerPolicy,
};
use orch_runner::{
    Clock, Outlets, PipelineHandle, PipelineSettings, RunSettings, SnapshotRule, Stats, now_ms,
};
use orch_wire::{Answer, AnswerKind, ReadyView, TopicNames, TopicPrefix};

const ROUNDS: usize = 5;

#[tokio::main]
async fn main() {
    let mut numbers = std::env::args().skip(1).map(|text| text.parse::<usize>().unwrap());
    let objects = numbers.next().unwrap_or(50_000);
    let layers = numbers.next().unwrap_or(50);
    let plan = Arc::new(layered(objects, objects.div_ceil(layers)));
    let mut rates: Vec<f64> = Vec::new();
    for round in 1..=ROUNDS {
        let took = run(&plan).await;
        rates.push(objects as f64 / took.as_secs_f64());
        println!("round {round}: {objects} objects in {took:.3?}: {:.0} objects/s", rates[round - 1]);
    }
    rates.sort_by(f64::total_cmp);
    println!("median {:.0} objects/s", rates[ROUNDS / 2]);
}

/// Each object needs two of the layer before.
fn layered(objects: usize, width: usize) -> RunPlan {
    let stage = StageSpec {
        name: "work".to_owned(),
        id_range: None,
        processor: r#"{"external":{}}"#.to_owned(),
        worker: WorkerPolicy::default(),
        partitions: 1,
        retry: RetryPolicy::default(),
        timeouts: Timeouts::default(),
    };
    let object = |n: usize| ObjectSpec {
        position: n as u32,
        id: n.to_string(),
        stage: Some("work".to_owned()),
        entry: format!(r#"{{"id":"{n}"}}"#),
        ..ObjectSpec::default()
    };
    let parents = |n: usize| {
        let layer = n / width * width;
        // Two different ones, spread over the layer before.
        [n % width, (n * 7 + 1) % width].map(|at| ((layer - width + at) as u32, n as u32))
    };
    let mut edges: Vec<(u32, u32)> = (width..objects).flat_map(parents).collect();
    edges.dedup();
    let sources = vec![Source::new("layers", SourceForm::Objects)];
    let objects = (0..objects).map(object).collect();
    plan(RunSpec { stages: vec![stage], objects, edges, sources, ..RunSpec::default() }).unwrap()
}

/// One run in topics of its own.
async fn run(plan: &Arc<RunPlan>) -> Duration {
    let bus: Arc<dyn Bus> = Arc::new(MemoryBus::new());
    let names = TopicNames::new(&TopicPrefix::default(), "default", "speed");
    let ready = names.ready(&plan.stages[0].name);
    let topic =
        |name: String| TopicSpec { name, partitions: 1, replication_factor: None, config: Vec::new() };
    bus.ensure_topics(&[ready.clone(), names.events(), names.control()].map(topic), true).await.unwrap();
    let worker = Worker {
        member: bus.join(&ready, &ready).await.unwrap(),
        producer: bus.producer().await.unwrap(),
        events: names.events().into(),
    };
    let worker = tokio::spawn(worker.work());

    let settings = PipelineSettings {
        names,
        stages: vec![(plan.stages[0].name.clone(), 1)],
        window: 4_096,
        leader: "speed".to_owned(),
        known_epoch: 0,
        snapshots: SnapshotRule::NEVER,
        clock: Clock::default(),
    };
    let uid = RunUid::new("speed-uid");
    let orders = Orders { max_in_flight: u32::MAX, ..Orders::default() };
    let run = RunSettings {
        uid: uid.clone(),
        run: "default/speed".to_owned(),
        plan: plan.clone(),
        orders,
        start_offset: 0,
        names_processors: false,
    };
    let stats = Arc::new(Stats::default());
    let outlets = Outlets { stats: stats.clone(), notices: tokio::sync::mpsc::channel(1).0 };
    let begun = Instant::now();
    let handle = PipelineHandle::start(bus, settings, vec![run], outlets).await.unwrap();
    // The counter, because a look at all objects would take the actor's time.
    while stats.loaded.load(Ordering::Relaxed) < plan.objects.len() as u64 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let took = begun.elapsed();
    let view = handle.snapshot(&uid, Detail::default()).await.unwrap().view;
    assert_eq!(view.phase, RunPhase::Succeeded);
    worker.abort();
    handle.stop().await;
    took
}

/// Loads whatever comes.
struct Worker {
    member: Box<dyn Member>,
    producer: Box<dyn Producer>,
    events: Arc<str>,
}

impl Worker {
    async fn work(mut self) {
        while let Ok(records) = self.member.next(4_096).await {
            let answers = records.iter().map(|record| self.answer(record)).collect();
            self.producer.send(answers);
            for record in records {
                self.member.finish(record.partition, record.offset);
            }
        }
    }

    fn answer(&self, record: &Message) -> Outgoing {
        let ready = ReadyView::decode(&record.value).unwrap();
        let answer = Answer {
            run_uid: ready.run_uid,
            object: std::str::from_utf8(&record.key).unwrap().into(),
            stage: Some(ready.stage),
            attempt: ready.attempt,
            worker: "speed".into(),
            elapsed_ms: None,
            kind: AnswerKind::Loaded { outputs: None },
        };
        let now = now_ms();
        Outgoing {
            topic: self.events.clone(),
            partition: 0,
            key: record.key.clone(),
            value: answer.encode(&ready.run, now).unwrap().into(),
            headers: answer.headers(&ready.run, now),
            token: 0,
        }
    }
}
