//! What every bus must do: run by `tests/it` on the one in memory and by `tests/kafka` on a real broker.
//!
//! A promise is an `async fn(&dyn Bus, &str)`; the text is a prefix of topic names that nobody else uses.

pub(crate) mod group;
pub(crate) mod log;
pub(crate) mod topics;

use std::collections::BTreeSet;
use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use orch_bus::{Bus, Member, Message, Outgoing, Producer, Reader, TopicSpec};
use orch_wire::Headers;

/// What nothing here needs on a machine that works.
pub(crate) const DEADLINE: Duration = Duration::from_mins(1);

/// Waits for `future`, at most [`DEADLINE`].
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    let outcome = tokio::time::timeout(DEADLINE, future).await;
    outcome.unwrap_or_else(|_| panic!("waited {DEADLINE:?} for {what}"))
}

/// Calls `look` until it gives something.
pub(crate) async fn until<T, F: Future<Output = Option<T>>>(what: &str, mut look: impl FnMut() -> F) -> T {
    let every = Duration::from_millis(20);
    soon(what, async {
        loop {
            match look().await {
                Some(value) => return value,
                None => tokio::time::sleep(every).await,
            }
        }
    })
    .await
}

pub(crate) fn spec(name: &str, partitions: i32) -> TopicSpec {
    let config =
        vec![("message.timestamp.type", "LogAppendTime".to_owned()), ("retention.ms", "-1".to_owned())];
    TopicSpec { name: name.to_owned(), partitions, replication_factor: None, config }
}

/// A topic of that many partitions, named after the promise.
pub(crate) async fn topic(bus: &dyn Bus, prefix: &str, name: &str, partitions: i32) -> String {
    let name = format!("{prefix}{name}");
    let mismatches = soon("a topic", bus.ensure_topics(&[spec(&name, partitions)], true)).await.unwrap();
    assert_eq!(mismatches, []);
    name
}

/// A record whose value is its token.
pub(crate) fn record(topic: &str, partition: i32, token: u64) -> Outgoing {
    Outgoing {
        topic: topic.into(),
        partition,
        key: Bytes::from(format!("k{token}")),
        value: Bytes::from(token.to_string()),
        headers: Headers::default().with_reply_topic(&"answers".into()),
        token,
    }
}

/// Writes the tokens of `range` to one partition and waits until they are there.
pub(crate) async fn write(producer: &dyn Producer, topic: &str, partition: i32, range: std::ops::Range<u64>) {
    producer.send(range.map(|token| record(topic, partition, token)).collect());
    soon("the records to be written", producer.flush()).await.unwrap();
}

pub(crate) fn token(message: &Message) -> u64 {
    std::str::from_utf8(&message.value).unwrap().parse().unwrap()
}

/// Reads until there are `count` records.
pub(crate) async fn read(reader: &mut dyn Reader, count: usize) -> Vec<Message> {
    let mut records = Vec::new();
    while records.len() < count {
        let batch = soon("records", reader.next()).await.unwrap();
        records.extend(batch);
    }
    records
}

/// Takes until there are `count` records, in calls of at most `max`.
pub(crate) async fn take(member: &mut dyn Member, count: usize, max: usize) -> Vec<Message> {
    let mut records = Vec::new();
    while records.len() < count {
        let most = max.min(count - records.len());
        let batch = soon("records of the group", member.next(most)).await.unwrap();
        assert!(batch.len() <= most, "{} records, asked for {most}", batch.len());
        records.extend(batch);
    }
    records
}

pub(crate) fn tokens(records: &[Message]) -> BTreeSet<u64> {
    let set: BTreeSet<u64> = records.iter().map(token).collect();
    assert_eq!(set.len(), records.len(), "a record came twice");
    set
}

/// Everything above the given position that a committed bitmap calls finished, and all below it.
pub(crate) async fn finished(bus: &dyn Bus, group: &str, topic: &str, partition: i32) -> BTreeSet<i64> {
    let committed = bus.committed(group, topic).await.unwrap();
    let Some(committed) = &committed[partition as usize] else { return BTreeSet::new() };
    let mut progress = orch_bus::progress::Progress::restore(committed.offset, &committed.metadata);
    let above = committed.offset..committed.offset + orch_bus::progress::WINDOW;
    let above = above.filter(|offset| progress.give(*offset) == orch_bus::progress::Give::Finished);
    (0..committed.offset).chain(above.collect::<Vec<_>>()).collect()
}

/// Waits until the commit says that exactly these offsets are finished.
pub(crate) async fn committed(
    bus: &dyn Bus,
    group: &str,
    topic: &str,
    partition: i32,
    wanted: &BTreeSet<i64>,
) {
    until("the commit", || async { (finished(bus, group, topic, partition).await == *wanted).then_some(()) })
        .await;
}

/// An empty wait: long enough for a record that comes by mistake, since the right ones came before it.
pub(crate) async fn nothing_more(member: &mut dyn Member) {
    let quiet = Duration::from_millis(300);
    let deadline = tokio::time::Instant::now() + quiet;
    while let Ok(batch) = tokio::time::timeout_at(deadline, member.next(100)).await {
        let batch = batch.unwrap();
        assert!(batch.is_empty(), "not expected: {:?}", batch.iter().map(token).collect::<Vec<_>>());
    }
}

/// One test for each promise: `run_all!(bus, setup)`.
macro_rules! every_promise {
    ($run:path) => {
        $crate::suite::every_promise!($run;
            topics: creates_lists_and_deletes, compares_what_exists, does_not_create_when_told,
                    unknown_topics_are_named;
            log: keeps_the_order_of_a_partition, reads_from_an_offset, wakes_a_waiting_reader,
                 acknowledges_every_token_that_matters, gives_back_what_cannot_be_written, flushes_large_sends,
                 ends_a_reader_of_a_deleted_topic, tells_once_that_it_gave_what_was_asked_for,
                 does_not_wait_for_what_the_log_has_lost, truncates_the_beginning_of_a_partition;
            group: shares_partitions_and_gives_each_record_once, gives_unfinished_records_again_and_no_others,
                   resumes_from_bitmap_after_leaving, hands_over_when_work_is_finished,
                   stops_at_the_window, tells_what_is_committed, gives_partitions_of_a_member_that_left;
        );
    };
    ($run:path; $($module:ident: $($name:ident),+;)+) => {
        $(mod $module {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                $run(stringify!($name), async |bus, prefix| $crate::suite::$module::$name(bus, prefix).await).await;
            })+
        })+
    };
}

pub(crate) use every_promise;
