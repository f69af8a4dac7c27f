//! Writing and reading outside any group.

use std::collections::BTreeSet;

use bytes::Bytes;
use orch_bus::{Bus, BusError, Outgoing, Reader};

use super::{committed, read, record, soon, take, token, topic, write};

pub(crate) async fn keeps_the_order_of_a_partition(bus: &dyn Bus, prefix: &str) {
    let name = topic(bus, prefix, "order", 3).await;
    let producer = bus.producer().await.unwrap();
    let all: Vec<Outgoing> = (0..9_000).map(|at| record(&name, (at % 3) as i32, at)).collect();
    for part in all.chunks(777) {
        producer.send(part.to_vec());
    }
    for partition in 0..3 {
        let mut reader = bus.read(&name, partition, 0..0).await.unwrap();
        let records = read(&mut *reader, 3_000).await;
        for (at, message) in records.iter().enumerate() {
            assert_eq!((message.partition, message.offset), (partition, at as i64));
            assert_eq!(token(message), at as u64 * 3 + partition as u64);
            assert_eq!(message.key, format!("k{}", token(message)));
        }
        let times: Vec<i64> = records.iter().map(|message| message.time).collect();
        assert!(times.is_sorted() && times[0] > 1_600_000_000_000, "{:?}", times.first());
    }
    let bounds = bus.bounds(&name).await.unwrap();
    assert!(bounds.iter().all(|bounds| (bounds.low, bounds.high) == (0, 3_000)), "{bounds:?}");
}

pub(crate) async fn reads_from_an_offset(bus: &dyn Bus, prefix: &str) {
    let name = topic(bus, prefix, "offset", 1).await;
    let producer = bus.producer().await.unwrap();
    write(&*producer, &name, 0, 0..100).await;
    let mut reader = bus.read(&name, 0, 60..60).await.unwrap();
    let records = read(&mut *reader, 40).await;
    assert_eq!(records.iter().map(token).collect::<Vec<_>>(), (60..100).collect::<Vec<_>>());
    let mut at_end = bus.read(&name, 0, 100..100).await.unwrap();
    write(&*producer, &name, 0, 100..101).await;
    assert_eq!(token(&read(&mut *at_end, 1).await[0]), 100);
}

pub(crate) async fn wakes_a_waiting_reader(bus: &dyn Bus, prefix: &str) {
    let name = topic(bus, prefix, "wake", 1).await;
    let producer = bus.producer().await.unwrap();
    let mut reader = bus.read(&name, 0, 0..0).await.unwrap();
    for round in 0..200 {
        // The reader is asked first, so that it waits when the record is written.
        let (records, ()) = tokio::join!(read(&mut *reader, 1), async {
            producer.send(vec![record(&name, 0, round)]);
        });
        assert_eq!(records.iter().map(token).collect::<Vec<_>>(), [round]);
    }
}

pub(crate) async fn acknowledges_every_token_that_matters(bus: &dyn Bus, prefix: &str) {
    let name = topic(bus, prefix, "acks", 2).await;
    let producer = bus.producer().await.unwrap();
    let mut acknowledged = producer.acknowledged(|token| token != 7).unwrap();
    assert!(producer.acknowledged(|_| true).is_none(), "it can be taken once");
    producer.send((0..5_000).map(|at| record(&name, (at % 2) as i32, at)).collect());
    let mut seen = BTreeSet::from([7]);
    while seen.len() < 5_000 {
        for token in soon("acknowledgements", acknowledged.recv()).await.unwrap() {
            assert!(seen.insert(token), "{token} was acknowledged twice");
        }
    }
    assert_eq!(seen.last(), Some(&4_999));
    let ends: Vec<i64> = bus.bounds(&name).await.unwrap().iter().map(|bounds| bounds.high).collect();
    assert_eq!(ends, [2_500, 2_500], "what is acknowledged is there");
}

pub(crate) async fn gives_back_what_cannot_be_written(bus: &dyn Bus, prefix: &str) {
    let name = topic(bus, prefix, "oversize", 1).await;
    let producer = bus.producer().await.unwrap();
    let mut undelivered = producer.undelivered().unwrap();
    assert!(producer.undelivered().is_none(), "it can be taken once");
    let large = Outgoing { value: Bytes::from(vec![b'x'; 3_000_000]), ..record(&name, 0, 1) };
    let elsewhere = record(&name, 9, 3);
    producer.send(vec![record(&name, 0, 0), large, elsewhere, record(&name, 0, 2)]);
    let mut back = Vec::new();
    for _ in 0..2 {
        back.push(soon("what cannot be written", undelivered.recv()).await.unwrap());
    }
    back.sort_by_key(|record| record.token);
    assert_eq!(back[0].token, 1);
    assert!(matches!(&back[0].error, BusError::TooLarge(topic) if *topic == name), "{}", back[0].error);
    assert_eq!(back[1].token, 3);
    assert!(matches!(&back[1].error, BusError::UnknownTopic(_)), "{}", back[1].error);
    let mut reader = bus.read(&name, 0, 0..0).await.unwrap();
    assert_eq!(read(&mut *reader, 2).await.iter().map(token).collect::<Vec<_>>(), [0, 2], "the others are");
}

pub(crate) async fn flushes_large_sends(bus: &dyn Bus, prefix: &str) {
    let name = topic(bus, prefix, "flush", 1).await;
    let producer = bus.producer().await.unwrap();
    // More than a client queues.
    write(&*producer, &name, 0, 0..150_000).await;
    assert_eq!(bus.bounds(&name).await.unwrap()[0].high, 150_000);
    let mut reader = bus.read(&name, 0, 0..0).await.unwrap();
    let records = read(&mut *reader, 150_000).await;
    assert!(records.iter().enumerate().all(|(at, message)| token(message) == at as u64));
}

pub(crate) async fn ends_a_reader_of_a_deleted_topic(bus: &dyn Bus, prefix: &str) {
    let name = topic(bus, prefix, "gone", 1).await;
    let mut reader = bus.read(&name, 0, 0..0).await.unwrap();
    assert!(soon("the end", reader.next()).await.unwrap().is_empty());
    let (error, ()) = tokio::join!(soon("the reader to notice", reader.next()), async {
        bus.delete_topics(std::slice::from_ref(&name)).await.unwrap();
    });
    let error = error.unwrap_err();
    assert!(matches!(&error, BusError::UnknownTopic(topic) if *topic == name), "{error}");
}

pub(crate) async fn tells_once_that_it_gave_what_was_asked_for(bus: &dyn Bus, prefix: &str) {
    let name = topic(bus, prefix, "end", 1).await;
    let producer = bus.producer().await.unwrap();
    for (written, from) in [(0, 0), (5_000, 0), (5_000, 4_990), (5_000, 5_000), (5_000, 9_000)] {
        let there = bus.bounds(&name).await.unwrap()[0].high;
        write(&*producer, &name, 0, there as u64..written).await;
        let mut reader = bus.read(&name, 0, from..written as i64).await.unwrap();
        let seen = all_of_it(&mut *reader).await;
        assert_eq!(seen, (from..written as i64).collect::<Vec<_>>(), "all of it before the end");
    }
    // What comes later is no second end.
    let mut reader = bus.read(&name, 0, 4_999..5_000).await.unwrap();
    assert_eq!(token(&read(&mut *reader, 1).await[0]), 4_999);
    assert!(soon("the end", reader.next()).await.unwrap().is_empty());
    for at in 5_000..5_010 {
        write(&*producer, &name, 0, at..at + 1).await;
        let batch = soon("a record", reader.next()).await.unwrap();
        assert_eq!(batch.iter().map(token).collect::<Vec<_>>(), [at]);
    }
}

pub(crate) async fn does_not_wait_for_what_the_log_has_lost(bus: &dyn Bus, prefix: &str) {
    let name = topic(bus, prefix, "lost", 1).await;
    let producer = bus.producer().await.unwrap();
    write(&*producer, &name, 0, 0..10).await;
    // As it was before the topic was deleted and made anew.
    for (stretch, left) in [(4..1_000, 4..10), (10..1_000, 10..10), (500..1_000, 10..10)] {
        let mut reader = bus.read(&name, 0, stretch).await.unwrap();
        assert_eq!(all_of_it(&mut *reader).await, left.collect::<Vec<_>>());
    }
}

/// The offsets of everything until the reader says that this was all.
async fn all_of_it(reader: &mut dyn Reader) -> Vec<i64> {
    let mut seen = Vec::new();
    loop {
        let batch = soon("records or the end", reader.next()).await.unwrap();
        if batch.is_empty() {
            return seen;
        }
        seen.extend(batch.iter().map(|record| record.offset));
    }
}

pub(crate) async fn truncates_the_beginning_of_a_partition(bus: &dyn Bus, prefix: &str) {
    let name = topic(bus, prefix, "truncate", 2).await;
    let producer = bus.producer().await.unwrap();
    for partition in 0..2 {
        write(&*producer, &name, partition, 0..100).await;
    }
    let mut member = bus.join(&name, &name).await.unwrap();
    for record in take(&mut *member, 200, 200).await.iter().filter(|record| record.offset < 60) {
        member.finish(record.partition, record.offset);
    }
    committed(bus, &name, &name, 1, &(0..60).collect()).await;
    member.leave().await.unwrap();
    // Twice, and less than before: nothing more happens.
    for before in [60, 60, 20] {
        soon("the truncation", bus.truncate(&name, 1, before)).await.unwrap();
    }
    let bounds = bus.bounds(&name).await.unwrap();
    let seen: Vec<_> = bounds.iter().map(|bounds| (bounds.low, bounds.high)).collect();
    assert_eq!(seen, [(0, 100), (60, 100)], "the other partition stays as it is");
    for from in [0, 59, 60] {
        let mut reader = bus.read(&name, 1, from..100).await.unwrap();
        let records = read(&mut *reader, 40).await;
        assert_eq!(records.iter().map(token).collect::<Vec<_>>(), (60..100).collect::<Vec<_>>(), "{from}");
        assert!(soon("the end of the stretch", reader.next()).await.unwrap().is_empty());
    }
    // All of a stretch is gone.
    let mut reader = bus.read(&name, 1, 10..30).await.unwrap();
    let mut batch = soon("what is left, or the end", reader.next()).await.unwrap();
    while !batch.is_empty() {
        assert!(batch[0].offset >= 60);
        batch = soon("the end of the stretch", reader.next()).await.unwrap();
    }
    let mut member = bus.join(&name, &name).await.unwrap();
    let again = take(&mut *member, 80, 100).await;
    assert!(
        again.iter().all(|record| record.offset >= 60),
        "what is unfinished comes again, and nothing else"
    );
    write(&*producer, &name, 1, 100..101).await;
    assert_eq!(take(&mut *member, 1, 10).await[0].offset, 100);
    soon("the truncation", bus.truncate(&name, 1, 101)).await.unwrap();
    assert_eq!(bus.bounds(&name).await.unwrap()[1], orch_bus::Bounds { low: 101, high: 101 });
    let error = bus.truncate(&format!("{prefix}nowhere"), 0, 1).await.unwrap_err();
    assert!(matches!(error, BusError::UnknownTopic(_)), "{error}");
}
