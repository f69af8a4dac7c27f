//! What happens before what: answer before finish, concurrency, duplicates.

use orch_wire::RunGate;
use serde_json::json;

use crate::spy::bus_with_hand;
use crate::support::{EVENTS, Puppet, READY, RUN, Running, Stage, ready_json, settings, soon, topic};

#[tokio::test(start_paused = true)]
async fn a_record_is_finished_only_after_its_answer_is_acknowledged() {
    let (bus, hand) = bus_with_hand();
    let mut stage = Stage::on(bus).await;
    stage.open();
    hand.hold_acknowledgements();
    let worker = Running::builtin(&stage, r#"{"simulate":{}}"#);
    stage.ready("1");
    stage.ready("2");
    assert_eq!(stage.events(2).await, ["ObjectLoaded 1", "ObjectLoaded 2"]);
    // Slots are free again: a third one is worked on while the answers are on their way.
    stage.ready("3");
    assert_eq!(stage.events(1).await, ["ObjectLoaded 3"]);
    assert_eq!(stage.position().await, 0);
    hand.release_acknowledgements();
    stage.position_reaches(3).await;
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_not_delivered_is_sent_again() {
    let stage = Stage::new().await;
    stage.open();
    let worker = Running::builtin(&stage, r#"{"simulate":{}}"#);
    stage.put(READY, "1", ready_json("1", 1, &json!({})).to_string(), Some("missing"));
    stage.ready("2");
    crate::support::until("both", async || (worker.counters.now().loaded == 2).then_some(())).await;
    assert_eq!(stage.position().await, 0);
    stage.bus.ensure_topics(&[topic("missing", 1)], true).await.unwrap();
    stage.position_reaches(2).await;
    let mut answers = stage.bus.read("missing", 0, 0..1).await.unwrap();
    assert_eq!(soon("the answer", answers.next()).await.unwrap().len(), 1);
    assert_eq!(worker.counters.now().loaded, 2, "it was not done again");
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_nobody_waits_for_does_not_hold_the_group_back() {
    let stage = Stage::new().await;
    stage.open();
    let worker = Running::builtin(&stage, r#"{"simulate":{}}"#);
    stage.put(READY, "1", ready_json("1", 1, &json!({})).to_string(), Some("missing"));
    crate::support::until("it", async || (worker.counters.now().loaded == 1).then_some(())).await;
    stage.gate(RUN, RunGate::Ended);
    stage.position_reaches(1).await;
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn concurrency_is_reached_and_never_exceeded() {
    let mut stage = Stage::new().await;
    let (puppet, mut began) = Puppet::new();
    stage.open();
    for n in 0..20 {
        stage.ready(&format!("wait-{n}"));
    }
    let worker = Running::start(&stage.bus, settings(3), puppet.processors());
    for _ in 0..3 {
        soon("a beginning", began.recv()).await;
    }
    // Whatever else could run runs now; a fourth one would have begun.
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    assert!(began.try_recv().is_err());
    puppet.release(20);
    let mut loaded = 0;
    while loaded < 20 {
        loaded += usize::from(stage.event().await["event_type"] == "ObjectLoaded");
    }
    assert_eq!(puppet.most_at_once(), 3);
    stage.position_reaches(20).await;
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_comes_again_while_it_is_in_work_is_done_once() {
    let mut stage = Stage::new().await;
    let (puppet, mut began) = Puppet::new();
    stage.open();
    stage.ready("wait");
    stage.ready("wait");
    stage.ready_with("wait", 2, &json!({}));
    stage.ready("1");
    let worker = Running::start(&stage.bus, settings(8), puppet.processors());
    let mut beginnings = Vec::new();
    for _ in 0..3 {
        beginnings.push(soon("a beginning", began.recv()).await.unwrap());
    }
    beginnings.sort();
    assert_eq!(beginnings, ["1", "wait", "wait"], "attempts 1 and 2");
    puppet.release(2);
    stage.position_reaches(4).await;
    assert_eq!(stage.events(3).await, ["ObjectLoaded 1", "ObjectLoaded wait", "ObjectLoaded wait"]);
    assert_eq!(stage.bus.bounds(EVENTS).await.unwrap()[0].high, 3);
    worker.stop().await;
}

#[tokio::test(start_paused = true)]
async fn two_workers_share_the_partitions_and_do_each_object_once() {
    let mut stage = Stage::new().await;
    stage.bus.delete_topics(&[READY.to_owned()]).await.unwrap();
    stage.bus.ensure_topics(&[topic(READY, 4)], true).await.unwrap();
    stage.open();
    let workers = [(); 2].map(|()| Running::builtin(&stage, r#"{"simulate":{"duration":"50ms"}}"#));
    let producer = stage.bus.producer().await.unwrap();
    for n in 0..200 {
        let object = format!("o-{n:03}");
        producer.send(vec![orch_bus::Outgoing {
            topic: READY.into(),
            partition: n % 4,
            key: object.clone().into(),
            value: ready_json(&object, 1, &json!({})).to_string().into(),
            headers: orch_wire::Headers::default(),
            token: 0,
        }]);
    }
    let mut events = stage.events(200).await;
    events.dedup();
    assert_eq!(events.len(), 200);
    let done = workers.each_ref().map(|worker| worker.counters.now().loaded);
    assert!(done[0] > 0 && done[1] > 0 && done[0] + done[1] == 200, "{done:?}");
    for worker in workers {
        worker.stop().await;
    }
}
