//! O16: whatever stands on the events topic, the run goes on.

use orch_core::engine::{Detail, ObjectPhase, Refused};
use orch_core::id::MAX_EPOCH;
use orch_core::spec::Targets;
use orch_runner::Notice;

use super::operator::{Operator, outcome};
use super::plans;
use super::worker::{Say, Worker};
use super::world::{World, run};

const LOADED: &str = r#"{"event_type":"ObjectLoaded","run_uid":"r1","attempt":1,"id_objet":"#;

/// A record, by key and value, and how it is counted.
fn bad_records() -> Vec<(&'static str, Vec<u8>, Refused)> {
    let deep = format!("{}{}", "[".repeat(5_000), "]".repeat(5_000));
    let large = format!(r#"{LOADED}"a","meta":"{}"}}"#, "x".repeat(600 * 1024));
    let loaded = |id: &str, rest: &str| format!("{LOADED}{id}{rest}}}").into_bytes();
    vec![
        ("a", b"not JSON".to_vec(), Refused::Malformed),
        ("a", Vec::new(), Refused::Malformed),
        ("a", vec![0xff, 0xfe, 0], Refused::Malformed),
        ("a", b"[]".to_vec(), Refused::Malformed),
        ("a", deep.into_bytes(), Refused::Malformed),
        ("a", format!("{{\"event_type\":{}", "{\"a\":".repeat(5_000)).into_bytes(), Refused::Malformed),
        ("a", large.into_bytes(), Refused::Malformed),
        ("x", loaded(r#""a""#, ""), Refused::Malformed),
        ("", loaded("null", ""), Refused::Malformed),
        ("a", loaded(r#""a""#, r#","attempt":-1"#), Refused::Malformed),
        ("a", br#"{"event_type":"Nonsense","run_uid":"r1"}"#.to_vec(), Refused::Malformed),
        (
            "a",
            br#"{"event_type":"ObjectLoaded","run_uid":"other","attempt":1}"#.to_vec(),
            Refused::ForeignRun,
        ),
        ("nobody", loaded(r#""nobody""#, ""), Refused::UnknownObject),
        ("pruned", loaded(r#""pruned""#, ""), Refused::UnknownObject),
        ("a", loaded(r#""a""#, r#","stage":"other""#), Refused::WrongStage),
        (
            "a",
            br#"{"event_type":"ObjectLoaded","run_uid":"r1","attempt":2}"#.to_vec(),
            Refused::FutureAttempt,
        ),
        ("b", loaded(r#""b""#, ""), Refused::FutureAttempt),
        ("", br#"{"event_type":"LeaderStarted","epoch":1,"leader":"former"}"#.to_vec(), Refused::Fenced),
        ("", leader(u64::MAX), Refused::Malformed),
        ("", leader(MAX_EPOCH), Refused::Malformed),
        ("", leader(1 << 40), Refused::Malformed),
        (
            "r1",
            br#"{"event_type":"RunCancelled","run_uid":"r1","epoch":0,"reason":"Cancelled"}"#.to_vec(),
            Refused::Fenced,
        ),
        (
            "r1",
            br#"{"event_type":"RunStarted","run_uid":"r1","epoch":9,"plan_digest":"x"}"#.to_vec(),
            Refused::Duplicate,
        ),
    ]
}

fn leader(epoch: u64) -> Vec<u8> {
    format!(r#"{{"event_type":"LeaderStarted","epoch":{epoch},"leader":"broken"}}"#).into_bytes()
}

#[tokio::test]
async fn o16_bad_records_are_counted_told_and_skipped() {
    let plan = plans::with("a -> b, pruned", |spec| spec.targets = Targets::Ids(vec!["b".to_owned()]));
    let world = World::new(&plan).await;
    let mut operator = Operator::start(&world, vec![run("r1", &plan)]).await;
    operator.until_count("r1", ObjectPhase::Queued, 1).await;
    let mut malformed = 0;
    for (key, value, why) in bad_records() {
        let before = operator.refused(why);
        let text = String::from_utf8_lossy(&value[..value.len().min(80)]).into_owned();
        world.write(&world.names.events(), key, value).await;
        operator.until_refused("r1", why, before + 1).await;
        assert_eq!(operator.refused(why), before + 1, "{text}");
        malformed += u64::from(why == Refused::Malformed);
    }
    assert_eq!(operator.stats.refused().map(|(_, count)| count).sum::<u64>(), bad_records().len() as u64);
    for _ in 0..malformed {
        let Notice::BadRecord { problem, .. } = operator.notice().await else { panic!("another notice") };
        assert!(!problem.is_empty());
    }
    Worker::join(&world, "work").await.load_everything();
    assert_eq!(outcome(&operator.until_over("r1").await, &plan), "Succeeded Completed: a Loaded, b Loaded");
}

/// `RawValue` and unknown fields know no limit of their own: before there was one, these counted as loaded, and the
/// dependants got what no reader of theirs takes.
#[tokio::test]
async fn answers_that_nest_too_deep_are_malformed_and_reach_no_dependant() {
    let plan = plans::graph("a -> b");
    let world = World::new(&plan).await;
    let operator = Operator::start(&world, vec![run("r1", &plan)]).await;
    operator.until_count("r1", ObjectPhase::Queued, 1).await;
    let mut refused = 0;
    for field in ["outputs", "meta", "error", "unheard_of"] {
        for levels in [101, 128, 1_000] {
            let (open, close) = (r#"{"a":"#.repeat(levels), "}".repeat(levels));
            let value = format!(r#"{LOADED}"a","{field}":{open}1{close}}}"#);
            world.write(&world.names.events(), "a", value).await;
            refused += 1;
            operator.until_refused("r1", Refused::Malformed, refused).await;
        }
    }
    let deepest = format!("{}1{}", r#"{"a":"#.repeat(100), "}".repeat(100));
    world.write(&world.names.events(), "a", format!(r#"{LOADED}"a","outputs":{deepest}}}"#)).await;
    operator.until_count("r1", ObjectPhase::Loaded, 1).await;
    operator.until_count("r1", ObjectPhase::Queued, 1).await;
    let inputs = world.ready().await.into_iter().find(|line| line.text("id_objet") == "b").unwrap();
    assert_eq!(inputs.value["inputs"][0]["outputs"].to_string(), deepest);
    assert_eq!(operator.refused(Refused::Malformed), refused);
}

#[tokio::test]
async fn o16_bad_ready_records_stop_no_recovery() {
    let plan = plans::graph("a -> b");
    let world = World::new(&plan).await;
    let first = Operator::start(&world, vec![run("r1", &plan)]).await;
    first.until_count("r1", ObjectPhase::Queued, 1).await;
    first.stop().await;
    let ready = world.names.ready(&plan.stages[0].name);
    let deep = "[".repeat(5_000);
    for (key, value) in
        [("a", "junk"), ("", ""), ("a", &deep), ("a", r#"{"event_type":"ObjectReady","attempt":"x"}"#)]
    {
        world.write(&ready, key, value).await;
    }
    let second = Operator::start(&world, vec![run("r1", &plan)]).await;
    second.until_count("r1", ObjectPhase::Queued, 1).await;
    let readable: Vec<_> =
        world.ready().await.into_iter().filter(|line| line.text("run_uid") == "r1").collect();
    assert_eq!(readable.len(), 1);
}

#[tokio::test]
async fn an_answer_counts_once() {
    let plan = plans::graph("a -> b");
    let world = World::new(&plan).await;
    let operator = Operator::start(&world, vec![run("r1", &plan)]).await;
    let mut worker = Worker::join(&world, "work").await;
    let job = worker.take().await;
    for say in [Say::Loaded, Say::Loaded, Say::Failed, Say::Started] {
        worker.say(&job, &say);
    }
    worker.finish(&job);
    operator.until_refused("r1", Refused::Duplicate, 2).await;
    operator.until_refused("r1", Refused::Late, 1).await;
    worker.load_everything();
    assert_eq!(outcome(&operator.until_over("r1").await, &plan), "Succeeded Completed: a Loaded, b Loaded");
    let loaded = operator.stats.loaded.load(std::sync::atomic::Ordering::Relaxed);
    let published = operator.stats.published.load(std::sync::atomic::Ordering::Relaxed);
    assert_eq!((loaded, published), (2, 2));
    let view =
        operator.handle().snapshot(&orch_core::id::RunUid::new("r1"), Detail::default()).await.unwrap().view;
    assert_eq!(view.counts.of(ObjectPhase::Loaded), 2);
}
