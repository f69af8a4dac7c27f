//! Reading back: the events of a stretch, and what the ready topics still hold.
//!
//! The order decides: first the positions of the groups, then the events, then the ready topics. A worker commits a
//! record when its answer is acknowledged, so every record below those positions has its answer among the events that
//! are read afterwards. The other way round an answer could fall between the two, and its object would run again.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use orch_bus::progress::{Give, Progress};
use orch_bus::{Bus, BusError, Committed, Message, Reader};
use orch_core::engine::Publication;
use orch_core::id::{ObjectIx, RunUid};
use orch_wire::ReadyView;

use crate::run::Run;

/// Without a record for so long the bus is asked whether it still answers.
const SILENCE: Duration = Duration::from_secs(3);
/// Questions and readers at the same time: each of them costs a connection.
const CONCURRENCY: usize = 8;

/// The next records. `None` when none came for a while although the bus answers.
pub(crate) async fn next_batch(
    bus: &dyn Bus,
    topic: &str,
    reader: &mut dyn Reader,
) -> Result<Option<Vec<Message>>, BusError> {
    match tokio::time::timeout(SILENCE, reader.next()).await {
        Ok(batch) => batch.map(Some),
        Err(_) => bus.bounds(topic).await.map(|_| None),
    }
}

/// A stretch of one partition, from `from` to `until` (exclusive).
#[derive(Debug, Clone)]
pub(crate) struct Stretch {
    pub(crate) topic: Arc<str>,
    pub(crate) partition: i32,
    pub(crate) from: i64,
    pub(crate) until: i64,
}

/// Reads a stretch, batch by batch, to its end: the reader says when all of it was given.
pub(crate) async fn read_stretch(
    bus: &dyn Bus,
    stretch: &Stretch,
    mut take: impl FnMut(&Message) + Send,
) -> Result<(), BusError> {
    let Stretch { topic, partition, from, until } = stretch;
    if from >= until {
        return Ok(());
    }
    let mut reader = bus.read(topic, *partition, *from..*until).await?;
    loop {
        let Some(batch) = next_batch(bus, topic, &mut *reader).await? else { continue };
        for message in batch.iter().filter(|message| message.offset < *until) {
            take(message);
        }
        if batch.last().is_none_or(|last| last.offset + 1 >= *until) {
            return Ok(());
        }
    }
}

/// How far the group of each ready topic is, by partition.
pub(crate) struct Positions(Vec<(Arc<str>, Vec<Option<Committed>>)>);

/// Asks for the positions. To be done before the events are read: see the module.
pub(crate) async fn positions(bus: &dyn Bus, topics: Vec<Arc<str>>) -> Result<Positions, BusError> {
    let ask = |topic: Arc<str>| async move { Ok((topic.clone(), bus.committed(&topic, &topic).await?)) };
    stream::iter(topics.into_iter().map(ask)).buffer_unordered(CONCURRENCY).try_collect().await.map(Positions)
}

/// Ready records that are not finished, by run: key of the object, and what was published.
pub(crate) type Published = HashMap<RunUid, Vec<(Bytes, Publication)>>;

/// Reads each ready topic from its group's position to its present end.
pub(crate) async fn published(bus: &dyn Bus, positions: Positions) -> Result<Published, BusError> {
    let stretches = stream::iter(positions.0.into_iter().map(|of_topic| unfinished(bus, of_topic)));
    let stretches: Vec<Vec<(Stretch, Progress)>> =
        stretches.buffer_unordered(CONCURRENCY).try_collect().await?;
    let records = stream::iter(stretches.into_iter().flatten().map(|stretch| ready_records(bus, stretch)));
    let mut found = Published::new();
    let mut records = records.buffer_unordered(CONCURRENCY);
    while let Some(records) = records.try_next().await? {
        for (uid, record) in records {
            found.entry(uid).or_default().push(record);
        }
    }
    Ok(found)
}

async fn unfinished(
    bus: &dyn Bus,
    (topic, committed): (Arc<str>, Vec<Option<Committed>>),
) -> Result<Vec<(Stretch, Progress)>, BusError> {
    let bounds = bus.bounds(&topic).await?;
    let stretch = |(partition, bounds): (usize, &orch_bus::Bounds)| {
        let committed = committed.get(partition).and_then(Option::as_ref);
        let progress =
            committed.map_or_else(|| Progress::new(bounds.low), |c| Progress::restore(c.offset, &c.metadata));
        let from = progress.position().max(bounds.low);
        let (topic, partition) = (topic.clone(), partition as i32);
        (Stretch { topic, partition, from, until: bounds.high }, progress)
    };
    Ok(bounds.iter().enumerate().map(stretch).filter(|(stretch, _)| stretch.from < stretch.until).collect())
}

async fn ready_records(
    bus: &dyn Bus,
    (stretch, mut progress): (Stretch, Progress),
) -> Result<Vec<(RunUid, (Bytes, Publication))>, BusError> {
    let mut found = Vec::new();
    read_stretch(bus, &stretch, |message| {
        // Finished above the group's position. Whoever finished it without an answer did not do the work.
        if progress.give(message.offset) == Give::Finished {
            return;
        }
        // What is not readable is none of ours: workers skip it too.
        let Ok(ready) = ReadyView::decode(&message.value) else { return };
        let partition = u16::try_from(message.partition).unwrap_or(0);
        let publication = Publication::new(ready.attempt, partition, message.time);
        found.push((RunUid::new(&ready.run_uid), (message.key.clone(), publication)));
    })
    .await?;
    Ok(found)
}

/// What is published of one run.
pub(crate) type Outstanding = Vec<(ObjectIx, Publication)>;

/// Those of one run, by object.
pub(crate) fn of_run(found: &mut Published, run: &Run) -> Outstanding {
    let plan = run.state.plan();
    let object = |key: &Bytes| std::str::from_utf8(key).ok().and_then(|id| plan.find(id));
    let records = found.remove(run.uid()).unwrap_or_default();
    records.into_iter().filter_map(|(key, publication)| Some((object(&key)?, publication))).collect()
}
