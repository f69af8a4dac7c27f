//! The broker goes away and comes back. A test binary of its own, because it takes the broker away from everybody:
//! `ORCH_TEST_KAFKA` names the broker, `ORCH_TEST_KAFKA_RESTART` is the shell command that restarts it.
#![allow(clippy::unwrap_used, clippy::panic)]

// What the promises need and this test does not.
#[allow(dead_code, unused_imports, unused_macros)]
#[path = "../suite/mod.rs"]
mod suite;

use std::time::Duration;

use orch_bus::kafka::{KafkaBus, KafkaConfig};
use orch_bus::{Bus, Member};
use tokio::process::Command;

use suite::{finished, read, record, soon, take, token, tokens, topic, until, write};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_goes_on_after_an_outage() {
    let variable =
        |name: &str| std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run `make it-kafka`"));
    let (servers, command) = (variable("ORCH_TEST_KAFKA"), variable("ORCH_TEST_KAFKA_RESTART"));
    let bus = KafkaBus::new(KafkaConfig::plain(&servers)).unwrap();
    let topic = topic(&bus, "bus-test.outage.", "all", 1).await;
    let producer = bus.producer().await.unwrap();
    let mut undelivered = producer.undelivered().unwrap();
    let mut reader = bus.read(&topic, 0, 0..0).await.unwrap();
    let mut member = bus.join(&topic, &topic).await.unwrap();
    write(&*producer, &topic, 0, 0..100).await;
    let mut seen = read(&mut *reader, 100).await;
    // In work when the broker goes; finished while it is away, and some only after it is back.
    let mut taken = take(&mut *member, 100, 100).await;

    let mut restart = Command::new("sh").args(["-c", &command]).spawn().unwrap();
    until("the trouble", || async { bus.trouble() }).await;
    for record in &taken[..50] {
        member.finish(0, record.offset);
    }
    producer.send((100..20_100).map(|at| record(&topic, 0, at)).collect());
    assert!(restart.wait().await.unwrap().success());
    until("the trouble to go", || async { bus.trouble().is_none().then_some(()) }).await;

    soon("what waited to be written", producer.flush()).await.unwrap();
    seen.extend(read(&mut *reader, 20_000).await);
    assert!(seen.iter().enumerate().all(|(at, message)| token(message) == at as u64), "each once, in order");
    for record in &taken[50..] {
        member.finish(0, record.offset);
    }
    while taken.len() < 20_100 {
        let records = take(&mut *member, 100, 100).await;
        for record in &records {
            member.finish(0, record.offset);
        }
        taken.extend(records);
    }
    assert_eq!(tokens(&taken).len(), 20_100, "what was in work was not given again");
    until("the commit", || async { (finished(&bus, &topic, &topic, 0).await.len() == 20_100).then_some(()) })
        .await;
    assert!(undelivered.try_recv().is_err());
    goes_on_with_a_topic_made_anew(&bus, &topic, member).await;
    bus.delete_topics(&[topic]).await.unwrap();
}

/// Its leaders begin with their first term, below those from before the restart: a client that knew these took what it was
/// told for old, and never read again.
async fn goes_on_with_a_topic_made_anew(bus: &KafkaBus, topic: &str, member: Box<dyn Member>) {
    bus.delete_topics(&[topic.to_owned()]).await.unwrap();
    until("the member to end", || async { member.has_ended().then_some(()) }).await;
    let again = || async { bus.ensure_topics(&[suite::spec(topic, 1)], true).await.ok() };
    until("the topic is there again", again).await;
    write(&*bus.producer().await.unwrap(), topic, 0, 0..3).await;
    let mut next = soon("another member", bus.join(topic, topic)).await.unwrap();
    assert_eq!(tokens(&take(&mut *next, 3, 3).await).len(), 3);
    for member in [member, next] {
        let _ = tokio::time::timeout(Duration::from_secs(10), member.leave()).await;
    }
}
