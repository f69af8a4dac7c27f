//! How long a take-over of a large run takes: from its first record, and from a snapshot.
//!
//! `cargo run --release -p orch-runner --example recovery -- [OBJECTS]`

#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use orch_bus::memory::MemoryBus;
use orch_bus::{Bus, Outgoing, TopicSpec};
use orch_core::engine::{Detail, ObjectPhase, Orders};
use orch_core::id::RunUid;
use orch_core::plan::{RunPlan, plan};
use orch_core::spec::{
    ObjectSpec, RetryPolicy, RunSpec, Source, SourceForm, StageSpec, Timeouts, WorkerPolicy,
};
use orch_runner::{
    Clock, Outlets, PipelineHandle, PipelineSettings, RunSettings, RunSnapshot, SnapshotRule, Stats,
};
use orch_wire::{Answer, AnswerKind, RunRecord, RunRecordKind, TopicNames, TopicPrefix};

const UID: &str = "6f1c2d5e-8a0b-4c3d-9e7f-1a2b3c4d5e6f";

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let objects = std::env::args().nth(1).map_or(200_000, |text| text.parse().unwrap());
    let plan = Arc::new(layers(objects, 1_000));
    let names = TopicNames::new(&TopicPrefix::default(), "default", "recovery");
    let bus: Arc<dyn Bus> = Arc::new(MemoryBus::new());
    let topic =
        |name: String| TopicSpec { name, partitions: 1, replication_factor: None, config: Vec::new() };
    let ready = names.ready(&plan.stages[0].name);
    bus.ensure_topics(&[ready, names.events(), names.control()].map(topic), true).await.unwrap();
    write_log(&*bus, &names, &plan).await;
    let records = bus.bounds(&names.events()).await.unwrap()[0].high;

    let rule = SnapshotRule { records: 1, interval_ms: i64::MAX, at_least: 0 };
    let (handle, took) = take_over(&bus, &names, &plan, (0, SnapshotRule::NEVER)).await;
    println!("{objects} objects, {records} records: {took:?} from the first one");
    handle.stop().await;

    let (handle, _) = take_over(&bus, &names, &plan, (0, rule)).await;
    let asked = Instant::now();
    let mut changed = handle.changed();
    let start = loop {
        let start = look(&handle).await.start_offset;
        if start > 0 {
            break start;
        }
        changed.changed().await.unwrap();
    };
    println!("the snapshot: {:?}, at offset {start}", asked.elapsed());
    handle.stop().await;
    let (handle, took) = take_over(&bus, &names, &plan, (start, SnapshotRule::NEVER)).await;
    println!("from the snapshot: {took:?}");
    let counts = look(&handle).await.view.counts;
    assert_eq!(counts.of(ObjectPhase::Loaded) as usize, objects - 1);
}

async fn look(handle: &PipelineHandle) -> RunSnapshot {
    handle.snapshot(&RunUid::new(UID), Detail { objects: 0, failures: 0 }).await.unwrap()
}

async fn take_over(
    bus: &Arc<dyn Bus>,
    names: &TopicNames,
    plan: &Arc<RunPlan>,
    (start_offset, snapshots): (i64, SnapshotRule),
) -> (PipelineHandle, Duration) {
    let settings = PipelineSettings {
        names: names.clone(),
        stages: vec![(plan.stages[0].name.clone(), 1)],
        window: 4_096,
        leader: "recovery".to_owned(),
        known_epoch: 0,
        snapshots,
        clock: Clock::default(),
    };
    let run = RunSettings {
        uid: RunUid::new(UID),
        run: "default/recovery".to_owned(),
        plan: plan.clone(),
        orders: Orders::default(),
        start_offset,
        names_processors: false,
    };
    let outlets = Outlets { stats: Arc::new(Stats::default()), notices: tokio::sync::mpsc::channel(1).0 };
    let begun = Instant::now();
    let handle = PipelineHandle::start(bus.clone(), settings, vec![run], outlets).await.unwrap();
    let found = look(&handle).await;
    assert_eq!(found.problem, None);
    (handle, begun.elapsed())
}

/// `RunStarted`, and of every object but the last that it was begun and loaded.
async fn write_log(bus: &dyn Bus, names: &TopicNames, plan: &RunPlan) {
    let producer = bus.producer().await.unwrap();
    let record = |key: &str, value: Vec<u8>| Outgoing {
        topic: names.events().into(),
        partition: 0,
        key: key.to_owned().into(),
        value: value.into(),
        headers: orch_wire::Headers::default(),
        token: 0,
    };
    let started = RunRecordKind::RunStarted {
        plan_digest: plan.digest.clone(),
        failure_policy: "ContinueIndependent",
        undefined_dependencies: "Reject",
    };
    let run = Some(("default/recovery".into(), RunUid::new(UID)));
    let mut records = vec![record(UID, RunRecord { run, epoch: 1, kind: started }.encode(0))];
    for object in &plan.objects[..plan.objects.len() - 1] {
        for kind in [AnswerKind::Started, AnswerKind::Loaded { outputs: Some(r#"{"rows":200}"#.into()) }] {
            let answer = Answer {
                run_uid: UID.into(),
                object: object.id.as_str().into(),
                stage: None,
                attempt: 1,
                worker: "worker-7d9f4".into(),
                elapsed_ms: None,
                kind,
            };
            records.push(record(object.id.as_str(), answer.encode("default/recovery", 0).unwrap()));
        }
    }
    producer.send(records);
    producer.flush().await.unwrap();
}

/// Layers of that width; each object needs two of the layer before, and one needs all of the last.
fn layers(objects: usize, width: usize) -> RunPlan {
    let stage = StageSpec {
        name: "work".to_owned(),
        id_range: None,
        processor: r#"{"simulate":{}}"#.to_owned(),
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
        [n % width, (n * 7 + 1) % width].map(|at| ((layer - width + at) as u32, n as u32))
    };
    let mut edges: Vec<(u32, u32)> = (width..objects).flat_map(parents).collect();
    edges.dedup();
    let sources = vec![Source::new("layers", SourceForm::Objects)];
    let objects = (0..objects).map(object).collect();
    plan(RunSpec { stages: vec![stage], objects, edges, sources, ..RunSpec::default() }).unwrap()
}
