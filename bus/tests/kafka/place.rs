//! A place in a group: who is killed and comes back under the same name has its partitions at once, who leaves gives
//! them up at once, and who never comes back loses them after its session.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use orch_bus::kafka::{KafkaBus, KafkaConfig};
use orch_bus::{Bus, Member};

use crate::killed::Process;
use crate::suite::{soon, take, topic, until, write};

/// Far below the session of 6 s, of which a dead member without a place has at least 5.5 s left.
const AT_ONCE: Duration = Duration::from_secs(4);

fn bus(place: &str) -> KafkaBus {
    KafkaBus::new(KafkaConfig::plain(&crate::servers()).with_place(place)).unwrap()
}

/// Writes a record to each of two partitions again and again, until `seen` has said that both came through here.
async fn until_both_are_with(member: &mut dyn Member, bus: &KafkaBus, topic: &str) {
    let producer = bus.producer().await.unwrap();
    let mut partitions = BTreeSet::new();
    let mut ticks = tokio::time::interval(Duration::from_millis(100));
    soon("both partitions", async {
        while partitions.len() < 2 {
            tokio::select! {
                records = member.next(100) => {
                    for record in records.unwrap() {
                        partitions.insert(record.partition);
                        member.finish(record.partition, record.offset);
                    }
                }
                _ = ticks.tick() => {
                    write(&*producer, topic, 0, 0..1).await;
                    write(&*producer, topic, 1, 0..1).await;
                }
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_is_killed_and_comes_back_has_its_partitions_at_once() {
    let (servers, watcher) = (crate::servers(), bus("watcher"));
    let topic = topic(&watcher, &crate::prefix("place-back"), "work", 1).await;
    let producer = watcher.producer().await.unwrap();
    write(&*producer, &topic, 0, 0..1).await;
    let mut first = Process::start(&servers, &topic, 0, "pod-a");
    assert_eq!(soon("the first record", first.done()).await, Some(0));
    until("the commit", || async {
        let committed = watcher.committed(&topic, &topic).await.unwrap();
        committed[0].as_ref().is_some_and(|committed| committed.offset == 1).then_some(())
    })
    .await;
    // SIGKILL.
    first.child.kill().await.unwrap();
    write(&*producer, &topic, 0, 1..2).await;
    let killed = Instant::now();
    let mut second = Process::start(&servers, &topic, 0, "pod-a");
    assert_eq!(soon("the second record", second.done()).await, Some(1), "the first is finished");
    let took = killed.elapsed();
    println!("back after {took:?}");
    assert!(took < AT_ONCE, "{took:?}");
    second.child.kill().await.unwrap();
    watcher.delete_topics(&[topic]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_leaves_gives_its_place_up_at_once() {
    let (a, b) = (bus("pod-a"), bus("pod-b"));
    let topic = topic(&a, &crate::prefix("place-left"), "work", 2).await;
    let mut leaving = a.join(&topic, &topic).await.unwrap();
    until_both_are_with(&mut *leaving, &a, &topic).await;
    let mut staying = b.join(&topic, &topic).await.unwrap();
    let began = Instant::now();
    soon("leaving", leaving.leave()).await.unwrap();
    let left = began.elapsed();
    until_both_are_with(&mut *staying, &b, &topic).await;
    let took = began.elapsed();
    println!("left after {left:?}, handed over after {took:?}");
    assert!(took < AT_ONCE, "{took:?}");
    // And it may come back.
    let mut again = a.join(&topic, &topic).await.unwrap();
    soon("leaving", staying.leave()).await.unwrap();
    until_both_are_with(&mut *again, &a, &topic).await;
    soon("leaving", again.leave()).await.unwrap();
    a.delete_topics(&[topic]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_partitions_of_a_place_that_stays_empty_go_to_others_after_its_session() {
    let (servers, b) = (crate::servers(), bus("pod-b"));
    let topic = topic(&b, &crate::prefix("place-empty"), "work", 2).await;
    let producer = b.producer().await.unwrap();
    write(&*producer, &topic, 0, 0..1).await;
    let mut gone = Process::start(&servers, &topic, 0, "pod-a");
    soon("the first record", gone.done()).await.unwrap();
    gone.child.kill().await.unwrap();
    let killed = Instant::now();
    let mut other = b.join(&topic, &topic).await.unwrap();
    until_both_are_with(&mut *other, &b, &topic).await;
    let took = killed.elapsed();
    println!("taken over after {took:?}");
    assert!(took < Duration::from_secs(15), "{took:?}");
    soon("leaving", other.leave()).await.unwrap();
    b.delete_topics(&[topic]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_in_one_place_the_newer_stays() {
    let (first, second) = (bus("pod-a"), bus("pod-a"));
    let topic = topic(&first, &crate::prefix("place-twice"), "work", 1).await;
    let producer = first.producer().await.unwrap();
    write(&*producer, &topic, 0, 0..1).await;
    let mut older = first.join(&topic, &topic).await.unwrap();
    take(&mut *older, 1, 1).await;
    let mut newer = second.join(&topic, &topic).await.unwrap();
    take(&mut *newer, 1, 1).await;
    let error = soon("the end of the older", older.next(1)).await.unwrap_err();
    println!("{error}");
    newer.finish(0, 0);
    let began = Instant::now();
    drop(older);
    soon("leaving", newer.leave()).await.unwrap();
    assert!(began.elapsed() < AT_ONCE, "{:?}", began.elapsed());
    first.delete_topics(&[topic]).await.unwrap();
}

/// A broker that comes back may fence a member that commits before it has joined again. What it had finished and not
/// committed was worked on a second time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_that_was_fenced_hands_what_it_knows_to_the_next_of_its_process() {
    let (here, elsewhere) = (bus("pod-a"), bus("pod-a"));
    let topic = topic(&here, &crate::prefix("place-fenced"), "work", 1).await;
    let producer = here.producer().await.unwrap();
    write(&*producer, &topic, 0, 0..6).await;
    let mut first = here.join(&topic, &topic).await.unwrap();
    take(&mut *first, 4, 4).await;
    let other = elsewhere.join(&topic, &topic).await.unwrap();
    until("the first is fenced", || async { first.has_ended().then_some(()) }).await;
    first.finish(0, 1);
    let mut next = here.join(&topic, &topic).await.unwrap();
    // Asked for through the old one: the next one is told.
    first.finish(0, 0);
    drop((first, other));
    let given = take(&mut *next, 2, 2).await;
    assert_eq!(given.iter().map(|record| record.offset).collect::<Vec<_>>(), [4, 5], "nobody had these");
    for offset in 2..6 {
        next.finish(0, offset);
    }
    until("the commit of all", || async {
        let committed = here.committed(&topic, &topic).await.unwrap();
        committed[0].as_ref().is_some_and(|committed| committed.offset == 6).then_some(())
    })
    .await;
    soon("leaving", next.leave()).await.unwrap();
    here.delete_topics(&[topic]).await.unwrap();
}
