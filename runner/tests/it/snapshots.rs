//! Snapshots of a run in its log: a recovery that begins with one, and ones that are not right.

use std::sync::Arc;

use orch_bus::Bus;
use orch_core::engine::{ObjectPhase, RunPhase};
use orch_core::plan::RunPlan;
use orch_runner::{RunSettings, SnapshotRule};
use orch_wire::{Part, RunRecord, RunRecordKind, pack};
use serde_json::json;

use super::operator::Operator;
use super::plans;
use super::worker::{Say, Worker};
use super::world::{World, run};

const EAGER: SnapshotRule = SnapshotRule { records: 2, interval_ms: i64::MAX, at_least: 0 };

fn from_offset(plan: &Arc<RunPlan>, start_offset: i64) -> RunSettings {
    RunSettings { start_offset, ..run("r1", plan) }
}

/// A run of which objects have loaded, failed, been tried again and handed something on, with a snapshot behind all
/// of that, and `e` on its way.
async fn half_done() -> (World, Arc<RunPlan>, Operator, Worker, i64) {
    let plan = plans::graph("a -> c -> e, b -> d, x -> y, c -> f");
    let mut world = World::new(&plan).await;
    world.snapshots = EAGER;
    let operator = Operator::start(&world, vec![run("r1", &plan)]).await;
    let mut worker = Worker::join(&world, "work").await;
    let [a, b, x] = worker.take_all(["a", "b", "x"]).await;
    worker.end(&a, &Say::Outputs(r#"{"rows":1}"#.to_owned()));
    worker.end(&x, &Say::Failed);
    worker.end(&b, &Say::Error);
    let [b, c] = worker.take_all(["b", "c"]).await;
    worker.say(&b, &Say::Started);
    worker.end(&c, &Say::Outputs(r#"{"rows":2}"#.to_owned()));
    let is_done = |view: &orch_core::engine::RunView| view.counts.of(ObjectPhase::Loaded) == 2;
    let events = world.events().await.len() as i64;
    let kept =
        operator.until("r1", "kept behind the answers", |s| is_done(&s.view) && s.start_offset > 4).await;
    assert!(kept.start_offset <= world.events_end().await && events > 4);
    (world, plan, operator, worker, kept.start_offset)
}

#[tokio::test]
async fn a_recovery_from_a_snapshot_sees_what_one_from_the_start_sees() {
    let (mut world, plan, first, worker, start) = half_done().await;
    world.snapshots = SnapshotRule::NEVER;
    first.crash();
    let from_start = Operator::start(&world, vec![from_offset(&plan, 0)]).await;
    let expected = from_start.until("r1", "there", |_| true).await;
    from_start.crash();
    let second = Operator::start(&world, vec![from_offset(&plan, start)]).await;
    let found = second.until("r1", "there", |_| true).await;
    let at = |view: &orch_core::engine::RunView| orch_core::engine::RunView { epoch: 0, ..view.clone() };
    assert_eq!(at(&found.view), at(&expected.view));
    assert_eq!((found.start_offset, &found.problem), (start, &None));
    worker.load_everything();
    let over =
        second.until("r1", "without open objects", |s| s.view.counts.of(ObjectPhase::Queued) == 0).await;
    assert_eq!(over.view.counts.of(ObjectPhase::Blocked), 1);
    // `e` and `f` got what `c` had handed on before the snapshot.
    let ready = world.ready().await;
    let e = ready.iter().find(|line| line.key == "e").unwrap();
    assert_eq!(e.value["inputs"], json!([{"id": "c", "outputs": {"rows": 2}}]));
}

#[tokio::test]
async fn a_run_comes_to_a_leader_with_its_snapshot() {
    let (mut world, plan, first, _worker, start) = half_done().await;
    world.snapshots = SnapshotRule::NEVER;
    first.crash();
    let second = Operator::start(&world, vec![]).await;
    second.handle().add(from_offset(&plan, start));
    let found = second.until("r1", "there", |_| true).await;
    assert_eq!((found.view.counts.of(ObjectPhase::Loaded), found.problem), (2, None));
    assert_eq!(found.view.failures.len(), 1);
}

#[tokio::test]
async fn a_snapshot_of_another_plan_ends_the_run() {
    let (world, _, first, _worker, start) = half_done().await;
    first.crash();
    let other = plans::graph("a -> b");
    let second = Operator::start(&world, vec![from_offset(&other, start)]).await;
    let over = second.until_over("r1").await;
    assert_eq!((over.view.phase, over.view.reason), (RunPhase::Failed, Some("PlanChanged")));
}

#[tokio::test]
async fn an_idle_run_and_one_that_is_over_write_no_snapshot() {
    let plan = plans::graph("a, b");
    let mut world = World::new(&plan).await;
    world.snapshots = SnapshotRule { records: 1_000, interval_ms: 0, at_least: 3 };
    let operator = Operator::start(&world, vec![run("r1", &plan)]).await;
    let mut worker = Worker::join(&world, "work").await;
    let [a, b] = worker.take_all(["a", "b"]).await;
    worker.end(&a, &Say::Loaded);
    operator.until_count("r1", ObjectPhase::Loaded, 1).await;
    worker.end(&b, &Say::Loaded);
    let over = operator.until_over("r1").await;
    assert_eq!(over.start_offset, 0);
    assert!(world.events().await.iter().all(|line| !line.is("RunSnapshot")));
}

/// Writes a mark and these parts as a leader of this term would; the answer is the offset of the mark.
async fn write_snapshot(world: &World, epoch: u64, parts: &[Part<'static>]) -> i64 {
    let mark = world.events_end().await;
    let kinds = [None].into_iter().chain(parts.iter().cloned().map(Some));
    for part in kinds {
        let part = part.map(|part| Part { at: mark, ..part });
        let kind = RunRecordKind::RunSnapshot { id: "9.9".to_owned(), part };
        let record =
            RunRecord { run: Some(("default/r1".into(), orch_core::id::RunUid::new("r1"))), epoch, kind };
        world.write(&world.names.events(), "r1", record.encode(0)).await;
    }
    mark
}

#[tokio::test]
async fn what_cannot_be_restored_is_said_and_nothing_is_done_for_the_run() {
    let good = |plan: &RunPlan| {
        format!(
            "{{\"version\":1,\"run_uid\":\"r1\",\"plan_digest\":\"{}\",\"epoch\":1,\"started_at\":7,\"last_change\":7,\
             \"phases\":\"RP\",\"workers\":[],\"attempts\":[[0,1,null,0,null,-7]]}}",
            plan.digest
        )
    };
    let plan = plans::graph("a -> b");
    let pack = |text: String| pack(&text, 0);
    let broken = |change: fn(&mut Part<'static>)| {
        let mut parts = pack(good(&plan));
        change(&mut parts[0]);
        parts
    };
    let cases = [
        (vec![], 1, "parts of it are missing"),
        (broken(|part| part.data = "*".into()), 1, "part 0 is not base64"),
        (broken(|part| part.data = "AAAA".into()), 1, "not what they say"),
        (broken(|part| part.of = 2), 1, "parts of it are missing"),
        (pack("junk".to_owned()), 1, "not readable"),
        (pack(good(&plan).replace("\"version\":1", "\"version\":2")), 1, "the form 2"),
        (pack(good(&plan).replace("\"r1\"", "\"r2\"")), 1, "it is of the run r2"),
        (pack(good(&plan).replace("RP", "NP")), 1, "it runs and has not started"),
        (pack(good(&plan).replace("RP", "R?")), 1, "no phase has the letter `?`"),
        (pack(good(&plan).replace("RP", "R")), 1, "1 phases of 2 objects"),
        (pack(good(&plan).replace("[0,1,null", "[9,1,null")), 1, "there is no object 9"),
        (pack(good(&plan).replace("[0,1,null", "[0,1,3")), 1, "a worker without a name"),
        (pack(good(&plan).replace("[0,1,null", "[0,4,null")), 1, "too many attempts"),
    ];
    for (parts, epoch, problem) in cases {
        let world = World::new(&plan).await;
        let start = write_snapshot(&world, epoch, &parts).await;
        let operator = Operator::start(&world, vec![from_offset(&plan, start)]).await;
        let found = operator.until("r1", "there", |_| true).await;
        let said = found.problem.unwrap_or_default();
        assert!(said.contains(problem) && said.contains("offset 0"), "{problem}: {said}");
        operator.stop().await;
        let lines = world.events().await;
        assert!(lines.iter().all(|line| !line.is("RunStarted")), "{problem}");
        assert!(world.ready().await.is_empty());
    }
    // The same, as it should be.
    let world = World::new(&plan).await;
    let start = write_snapshot(&world, 1, &pack(good(&plan))).await;
    let operator = Operator::start(&world, vec![from_offset(&plan, start)]).await;
    let found = operator.until_count("r1", ObjectPhase::Queued, 1).await;
    assert_eq!(found.problem, None);
}

#[tokio::test]
async fn parts_of_a_leader_whose_term_was_over_count_for_nothing() {
    let plan = plans::graph("a -> b");
    let world = World::new(&plan).await;
    let start = write_snapshot(&world, 1, &[]).await;
    let leader = json!({"event_type": "LeaderStarted", "epoch": 2, "leader": "another"});
    world.write(&world.names.events(), "", leader.to_string()).await;
    let part = Part { at: start, ..pack("{}", 0).remove(0) };
    let kind = RunRecordKind::RunSnapshot { id: "9.9".to_owned(), part: Some(part) };
    let record =
        RunRecord { run: Some(("default/r1".into(), orch_core::id::RunUid::new("r1"))), epoch: 1, kind };
    world.write(&world.names.events(), "r1", record.encode(0)).await;
    let operator = Operator::start(&world, vec![from_offset(&plan, start)]).await;
    let found = operator.until("r1", "there", |_| true).await;
    assert!(found.problem.unwrap().contains("parts of it are missing"));
}

#[tokio::test]
async fn snapshots_that_somebody_else_writes_do_not_move_the_start_of_a_live_run() {
    let plan = plans::graph("a -> b");
    let world = World::new(&plan).await;
    let operator = Operator::start(&world, vec![run("r1", &plan)]).await;
    let mut worker = Worker::join(&world, "work").await;
    let a = worker.take().await;
    write_snapshot(&world, 1, &pack("{}", 0)).await;
    write_snapshot(&world, 0, &pack("{}", 0)).await;
    worker.end(&a, &Say::Loaded);
    let found = operator.until_count("r1", ObjectPhase::Loaded, 1).await;
    assert_eq!((found.start_offset, found.problem), (0, None));
    assert_eq!(operator.refused(orch_core::engine::Refused::Fenced), 2);
}

#[tokio::test]
async fn a_log_that_was_truncated_up_to_the_snapshot_is_enough() {
    let (mut world, plan, first, worker, _) = half_done().await;
    world.snapshots = SnapshotRule::NEVER;
    // Both at one moment: another snapshot may just come.
    let kept = first.until("r1", "there", |_| true).await;
    let (from, start) = (kept.needed_from, kept.start_offset);
    // `e` and `f` may get what `c` handed on, and that stands before the snapshot.
    assert!(from <= start && from > 0, "{from} {start}");
    assert!(first.handle().needed().await.unwrap().from >= Some(from));
    first.crash();
    let events = world.names.events();
    let c = world.events().await.iter().position(|line| line.key == "c" && line.is("ObjectLoaded")).unwrap();
    assert_eq!(from.min(start), start.min(c as i64));
    world.bus.inner.truncate(&events, 0, from).await.unwrap();
    let second = Operator::start(&world, vec![from_offset(&plan, start)]).await;
    let found = second.until("r1", "there", |_| true).await;
    assert_eq!((found.view.counts.of(ObjectPhase::Loaded), found.problem), (2, None));
    worker.load_everything();
    // A worker has `b` in hand, and `d` needs it.
    second.until_count("r1", ObjectPhase::Loaded, 4).await;
    second.stop().await;
    // Behind what the run needs: nobody makes a state up.
    world.bus.inner.truncate(&events, 0, start + 1).await.unwrap();
    let third = Operator::start(&world, vec![from_offset(&plan, start)]).await;
    let found = third.until("r1", "there", |_| true).await;
    assert!(found.problem.unwrap().contains("the log begins at offset"));
    third.stop().await;
    let later = Operator::start(&world, vec![]).await;
    later.handle().add(from_offset(&plan, start));
    let found = later.until("r1", "there", |_| true).await;
    assert!(found.problem.unwrap().contains("the log begins at offset"));
}
