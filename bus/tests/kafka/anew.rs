//! A topic that somebody deletes and makes again while a group reads it. `make chaos` found that its first records were
//! taken for finished, because those of the former topic at the same offsets were.

use std::collections::BTreeSet;

use orch_bus::kafka::{KafkaBus, KafkaConfig};
use orch_bus::{Bus, Member};

use crate::suite::{committed, soon, spec, take, tokens, topic, until, write};

async fn remake(bus: &KafkaBus, topic: &str) {
    bus.delete_topics(&[topic.to_owned()]).await.unwrap();
    until("the topic is gone", || async { bus.bounds(topic).await.is_err().then_some(()) }).await;
    until("the topic is there again", || async { bus.ensure_topics(&[spec(topic, 1)], true).await.ok() })
        .await;
}

/// The next records; a member that has ended, because it saw that the topic was gone, joins anew.
async fn next(bus: &KafkaBus, topic: &str, member: &mut Box<dyn Member>, count: usize) -> BTreeSet<u64> {
    let mut seen = Vec::new();
    soon("the records of the new topic", async {
        while seen.len() < count {
            match member.next(100).await {
                Ok(records) => seen.extend(records),
                Err(_) if member.has_ended() => {
                    *member = until("a member", || async { bus.join(topic, topic).await.ok() }).await;
                }
                Err(_) => {}
            }
        }
    })
    .await;
    for record in &seen {
        member.finish(record.partition, record.offset);
    }
    tokens(&seen)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_reads_a_topic_that_was_made_anew_from_its_beginning() {
    let bus = KafkaBus::new(KafkaConfig::plain(&crate::servers()).with_place("pod-a")).unwrap();
    let topic = topic(&bus, &crate::prefix("anew"), "work", 1).await;
    let producer = bus.producer().await.unwrap();
    let mut member = bus.join(&topic, &topic).await.unwrap();
    for round in [0..10, 10..13, 13..15] {
        write(&*producer, &topic, 0, round.clone()).await;
        let (count, wanted) = ((round.end - round.start) as usize, round.collect::<BTreeSet<u64>>());
        assert_eq!(next(&bus, &topic, &mut member, count).await, wanted);
        committed(&bus, &topic, &topic, 0, &(0..count as i64).collect()).await;
        remake(&bus, &topic).await;
    }
    soon("leaving", member.leave()).await.unwrap();
    bus.delete_topics(&[topic]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_whose_topic_is_gone_ends() {
    let bus = KafkaBus::new(KafkaConfig::plain(&crate::servers()).with_place("pod-a")).unwrap();
    let topic = topic(&bus, &crate::prefix("back"), "work", 1).await;
    let producer = bus.producer().await.unwrap();
    let mut member = bus.join(&topic, &topic).await.unwrap();
    write(&*producer, &topic, 0, 0..10).await;
    assert_eq!(next(&bus, &topic, &mut member, 10).await.len(), 10);
    bus.delete_topics(std::slice::from_ref(&topic)).await.unwrap();
    until("the member to end", || async { member.has_ended().then_some(()) }).await;
    until("the topic is there again", || async { bus.ensure_topics(&[spec(&topic, 1)], true).await.ok() })
        .await;
    write(&*producer, &topic, 0, 10..13).await;
    assert_eq!(next(&bus, &topic, &mut member, 3).await, BTreeSet::from([10, 11, 12]));
    soon("leaving", member.leave()).await.unwrap();
    bus.delete_topics(&[topic]).await.unwrap();
}

/// What a worker commits late stands behind the end of the new topic.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_position_behind_the_end_of_a_topic_is_none() {
    let bus = KafkaBus::new(KafkaConfig::plain(&crate::servers())).unwrap();
    let topic = topic(&bus, &crate::prefix("behind"), "work", 1).await;
    let producer = bus.producer().await.unwrap();
    write(&*producer, &topic, 0, 0..3).await;
    commit_behind_the_end(topic.clone()).await;
    let mut member = bus.join(&topic, &topic).await.unwrap();
    assert_eq!(tokens(&take(&mut *member, 3, 3).await), BTreeSet::from([0, 1, 2]));
    soon("leaving", member.leave()).await.unwrap();
    bus.delete_topics(&[topic]).await.unwrap();
}

async fn commit_behind_the_end(topic: String) {
    use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
    use rdkafka::{ClientConfig, Offset, TopicPartitionList};
    let servers = crate::servers();
    tokio::task::spawn_blocking(move || {
        let consumer: BaseConsumer =
            ClientConfig::new().set("bootstrap.servers", servers).set("group.id", &topic).create().unwrap();
        let mut positions = TopicPartitionList::new();
        positions.add_partition_offset(&topic, 0, Offset::Offset(100)).unwrap();
        consumer.commit(&positions, CommitMode::Sync).unwrap();
    })
    .await
    .unwrap();
}
