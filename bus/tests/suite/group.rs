//! Consumer groups: sharing, redelivery, bitmaps, hand-over.

use std::collections::BTreeSet;
use std::time::Duration;

use orch_bus::progress::WINDOW;
use orch_bus::{Bus, Member, Message};

use super::{committed, finished, nothing_more, read, soon, take, token, tokens, topic, write};

fn finish_all(member: &dyn Member, records: &[Message]) {
    for record in records {
        member.finish(record.partition, record.offset);
    }
}

fn offsets(range: std::ops::Range<i64>) -> BTreeSet<i64> {
    range.collect()
}

pub(crate) async fn shares_partitions_and_gives_each_record_once(bus: &dyn Bus, prefix: &str) {
    let name = topic(bus, prefix, "share", 4).await;
    let producer = bus.producer().await.unwrap();
    for partition in 0..4 {
        write(&*producer, &name, partition, partition as u64 * 1_000..partition as u64 * 1_000 + 500).await;
    }
    let (mut a, mut b) = (bus.join(&name, &name).await.unwrap(), bus.join(&name, &name).await.unwrap());
    let (mut seen, mut by_a, mut by_b) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
    // New records keep coming until both have two partitions each: the sharing needs no particular time.
    let mut round = 500;
    soon("both to have two partitions", async {
        let mut due = 2_000;
        loop {
            tokio::select! {
                records = a.next(64) => {
                    let records = records.unwrap();
                    finish_all(&*a, &records);
                    by_a = &by_a | &records.iter().map(|record| record.partition).collect();
                    seen.extend(records);
                }
                records = b.next(64) => {
                    let records = records.unwrap();
                    finish_all(&*b, &records);
                    by_b = &by_b | &records.iter().map(|record| record.partition).collect();
                    seen.extend(records);
                }
            }
            if seen.len() < due {
                continue;
            }
            if by_a.len() == 2 && by_b.len() == 2 {
                break;
            }
            (by_a, by_b) = (BTreeSet::new(), BTreeSet::new());
            for partition in 0..4 {
                let first = partition as u64 * 1_000_000 + round;
                write(&*producer, &name, partition, first..first + 1).await;
            }
            due += 4;
            round += 1_000;
        }
    })
    .await;
    assert!(by_a.is_disjoint(&by_b), "{by_a:?} {by_b:?}");
    tokens(&seen);
    assert!(seen.iter().all(|record| record.reply_topic.as_deref() == Some("answers")));
    for partition in 0..4 {
        let of = seen.iter().filter(|record| record.partition == partition);
        let order: Vec<i64> = of.map(|record| record.offset).collect();
        assert!(order.is_sorted(), "partition {partition} in order");
    }
    soon("leaving", a.leave()).await.unwrap();
    soon("leaving", b.leave()).await.unwrap();
}

pub(crate) async fn gives_unfinished_records_again_and_no_others(bus: &dyn Bus, prefix: &str) {
    let name = topic(bus, prefix, "again", 1).await;
    let producer = bus.producer().await.unwrap();
    write(&*producer, &name, 0, 0..300).await;
    let mut first = bus.join(&name, &name).await.unwrap();
    let records = take(&mut *first, 200, 50).await;
    let (done, left): (Vec<Message>, Vec<Message>) =
        records.into_iter().partition(|r| !token(r).is_multiple_of(3));
    finish_all(&*first, &done);
    committed(bus, &name, &name, 0, &done.iter().map(|record| record.offset).collect()).await;
    drop(first);
    let mut second = bus.join(&name, &name).await.unwrap();
    let again = take(&mut *second, left.len() + 100, 1_000).await;
    let expected: BTreeSet<u64> = &tokens(&left) | &(200..300).collect();
    assert_eq!(tokens(&again), expected);
    nothing_more(&mut *second).await;
    finish_all(&*second, &again);
    soon("leaving", second.leave()).await.unwrap();
    assert_eq!(finished(bus, &name, &name, 0).await, offsets(0..300));
}

pub(crate) async fn resumes_from_bitmap_after_leaving(bus: &dyn Bus, prefix: &str) {
    let name = topic(bus, prefix, "bitmap", 1).await;
    let producer = bus.producer().await.unwrap();
    write(&*producer, &name, 0, 0..WINDOW as u64).await;
    let mut first = bus.join(&name, &name).await.unwrap();
    let records = take(&mut *first, WINDOW as usize, 5_000).await;
    // One long object, 4,095 finished ones above it: only the long one may run again.
    finish_all(&*first, &records[1..]);
    soon("leaving", first.leave()).await.unwrap();
    let at = bus.committed(&name, &name).await.unwrap();
    assert_eq!(at[0].as_ref().map(|committed| committed.offset), Some(0));
    let mut second = bus.join(&name, &name).await.unwrap();
    assert_eq!(tokens(&take(&mut *second, 1, 10).await), BTreeSet::from([0]));
    nothing_more(&mut *second).await;
    second.finish(0, 0);
    committed(bus, &name, &name, 0, &offsets(0..WINDOW)).await;
    soon("leaving", second.leave()).await.unwrap();
}

pub(crate) async fn hands_over_when_work_is_finished(bus: &dyn Bus, prefix: &str) {
    let name = topic(bus, prefix, "handover", 2).await;
    let producer = bus.producer().await.unwrap();
    write(&*producer, &name, 0, 0..1).await;
    write(&*producer, &name, 1, 1..2).await;
    let mut old = bus.join(&name, &name).await.unwrap();
    // One of each partition is in work for long.
    let long = take(&mut *old, 2, 1).await;
    let mut new = bus.join(&name, &name).await.unwrap();
    // The old one goes on with the others, until it is about to hand a partition over: then it gets no more of it.
    let (mut by_old, mut written) = (long.clone(), 2);
    let second = Duration::from_secs(1);
    while by_old.len() as u64 == written {
        write(&*producer, &name, 0, written..written + 1).await;
        write(&*producer, &name, 1, written + 1..written + 2).await;
        written += 2;
        while let Ok(records) = tokio::time::timeout(second, old.next(10)).await {
            let records = records.unwrap();
            finish_all(&*old, &records);
            by_old.extend(records);
            if by_old.len() as u64 == written {
                break;
            }
        }
    }
    nothing_more(&mut *new).await;
    write(&*producer, &name, 0, written..written + 1).await;
    write(&*producer, &name, 1, written + 1..written + 2).await;
    written += 2;
    finish_all(&*old, &long);
    // Now it goes over, without what was finished; the other one stays.
    let mut by_new = Vec::new();
    while (by_old.len() + by_new.len()) as u64 != written {
        let (records, to) = soon("the rest of the records", async {
            tokio::select! {
                records = old.next(10) => (records.unwrap(), &mut by_old),
                records = new.next(10) => (records.unwrap(), &mut by_new),
            }
        })
        .await;
        to.extend(records);
    }
    assert!(!by_new.is_empty());
    let all: Vec<Message> = by_old.iter().chain(&by_new).cloned().collect();
    assert_eq!(tokens(&all), (0..written).collect(), "each to one of them");
    soon("leaving", old.leave()).await.unwrap();
    soon("leaving", new.leave()).await.unwrap();
}

pub(crate) async fn stops_at_the_window(bus: &dyn Bus, prefix: &str) {
    let name = topic(bus, prefix, "window", 1).await;
    let producer = bus.producer().await.unwrap();
    let window = WINDOW as usize;
    write(&*producer, &name, 0, 0..WINDOW as u64 + 500).await;
    let mut member = bus.join(&name, &name).await.unwrap();
    let records = take(&mut *member, window, 1_000).await;
    nothing_more(&mut *member).await;
    finish_all(&*member, &records[1..]);
    nothing_more(&mut *member).await;
    member.finish(0, 0);
    let rest = take(&mut *member, 500, 1_000).await;
    assert_eq!(tokens(&rest), (WINDOW as u64..WINDOW as u64 + 500).collect());
    soon("leaving", member.leave()).await.unwrap();
}

pub(crate) async fn tells_what_is_committed(bus: &dyn Bus, prefix: &str) {
    let name = topic(bus, prefix, "committed", 2).await;
    let producer = bus.producer().await.unwrap();
    assert_eq!(bus.committed(&name, &name).await.unwrap(), [None, None]);
    write(&*producer, &name, 1, 0..10).await;
    let mut member = bus.join(&name, &name).await.unwrap();
    let records = take(&mut *member, 10, 10).await;
    for at in [0, 1, 2, 5, 9] {
        member.finish(1, records[at].offset);
    }
    committed(bus, &name, &name, 1, &BTreeSet::from([0, 1, 2, 5, 9])).await;
    let both = bus.committed(&name, &name).await.unwrap();
    assert_eq!(both[0], None);
    assert_eq!(both[1].as_ref().map(|committed| committed.offset), Some(3));
    // A reader from the committed offset sees what the group has not finished, and a little more.
    let mut reader = bus.read(&name, 1, 3..3).await.unwrap();
    assert_eq!(
        read(&mut *reader, 7).await.iter().map(token).collect::<Vec<_>>(),
        (3..10).collect::<Vec<_>>()
    );
    soon("leaving", member.leave()).await.unwrap();
}

pub(crate) async fn gives_partitions_of_a_member_that_left(bus: &dyn Bus, prefix: &str) {
    let name = topic(bus, prefix, "left", 3).await;
    let producer = bus.producer().await.unwrap();
    let mut stays = bus.join(&name, &name).await.unwrap();
    let mut leaves = bus.join(&name, &name).await.unwrap();
    let (mut done, mut written) = (Vec::new(), 0);
    // Records keep coming until the second one has some; it leaves in the middle of them.
    soon("the second member's records", async {
        let quiet = Duration::from_millis(20);
        loop {
            for partition in 0..3 {
                write(&*producer, &name, partition, written..written + 5).await;
                written += 5;
            }
            if let Ok(records) = tokio::time::timeout(quiet, stays.next(5)).await {
                let records = records.unwrap();
                finish_all(&*stays, &records);
                done.extend(records);
            }
            let Ok(records) = tokio::time::timeout(quiet, leaves.next(5)).await else { continue };
            let mut records = records.unwrap();
            records.truncate(records.len() / 2);
            finish_all(&*leaves, &records);
            done.extend(records.iter().cloned());
            if !records.is_empty() {
                return;
            }
        }
    })
    .await;
    soon("leaving", leaves.leave()).await.unwrap();
    let left = written as usize - done.len();
    done.extend(take(&mut *stays, left, 50).await);
    assert_eq!(tokens(&done), (0..written).collect(), "each once, none missing");
    soon("leaving", stays.leave()).await.unwrap();
}
