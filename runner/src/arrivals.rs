//! Runs that come to an actor that leads already. Their own stretch of the events is read again for them, in a task
//! of its own: the runs that are here go on, and commands are answered, also while the bus is away.
//!
//! One task at a time; runs that come meanwhile go together into the next one. While it reads, the records that name
//! its runs are held, and folded on top of what it has read.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use orch_bus::{Bus, BusError, Message};
use orch_core::engine::Orders;
use orch_core::id::{Epoch, RunUid};
use orch_wire::{EventsRecord, decode_event};
use tokio_util::task::AbortOnDropHandle;
use tracing::warn;

use crate::handle::RunSettings;
use crate::records;
use crate::recovery::{Outstanding, Published, Stretch, of_run, positions, published, read_stretch};
use crate::run::Run;
use crate::stats::Stats;

/// While the bus does not answer it is asked again after this.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// A run that is not here yet.
struct Arriving {
    settings: RunSettings,
    slots: Vec<usize>,
    /// What stood in the log before this offset was counted when it came.
    count_from: i64,
}

/// Runs that a task has read.
pub(crate) struct Recovered {
    runs: Vec<Run>,
    published: Published,
    /// The highest term that one of them knew before our own began.
    pub(crate) former_term: Epoch,
}

/// See the module.
#[derive(Default)]
pub(crate) struct Arrivals {
    waiting: BTreeMap<RunUid, Arriving>,
    task: Option<AbortOnDropHandle<Result<Recovered, BusError>>>,
    /// The orders of those that the task reads.
    reading: BTreeMap<RunUid, Orders>,
    held: Vec<Message>,
    /// What a task has read, until the actor can take it.
    recovered: Option<Recovered>,
}

/// Where a task reads.
pub(crate) struct Source {
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) events: Arc<str>,
    pub(crate) ready_topics: Vec<Arc<str>>,
    /// The actor has read the events up to here.
    pub(crate) position: i64,
    /// Offset of our `LeaderStarted`.
    pub(crate) led_from: i64,
    pub(crate) stats: Arc<Stats>,
}

impl Arrivals {
    pub(crate) fn add(&mut self, settings: RunSettings, slots: Vec<usize>, position: i64) {
        let uid = settings.uid.clone();
        self.waiting.insert(uid, Arriving { settings, slots, count_from: position });
    }

    pub(crate) fn contains(&self, uid: &str) -> bool {
        self.waiting.contains_key(uid) || self.reading.contains_key(uid)
    }

    /// Whether there are no runs that are not here yet.
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.reading.is_empty() && self.recovered.is_none()
    }

    pub(crate) fn order(&mut self, uid: &RunUid, orders: Orders) {
        if let Some(arriving) = self.waiting.get_mut(uid) {
            arriving.settings.orders = orders;
        }
        if let Some(own) = self.reading.get_mut(uid) {
            *own = orders;
        }
    }

    pub(crate) fn remove(&mut self, uid: &RunUid) -> bool {
        let was_waiting = self.waiting.remove(uid).is_some();
        self.reading.remove(uid).is_some() || was_waiting
    }

    /// Keeps a record that one of the runs here has to see. Says whether it was such a one.
    pub(crate) fn hold(&mut self, uid: &str, message: &Message) -> bool {
        if self.reading.contains_key(uid) {
            self.held.push(message.clone());
        }
        // One that waits will find it in the log.
        self.contains(uid)
    }

    /// The same for a record that all runs have to see.
    pub(crate) fn hold_for_all(&mut self, message: &Message) {
        if !self.reading.is_empty() {
            self.held.push(message.clone());
        }
    }

    /// Whether there are runs that no task reads yet, and a task may be started.
    pub(crate) fn may_start(&self) -> bool {
        !self.waiting.is_empty() && self.task.is_none() && self.recovered.is_none()
    }

    /// The slots of the runs that wait.
    pub(crate) fn slots(&self) -> impl Iterator<Item = &usize> {
        self.waiting.values().flat_map(|arriving| &arriving.slots)
    }

    /// Starts a task for all runs that wait.
    pub(crate) fn start(&mut self, source: Source) {
        let runs: Vec<Arriving> = std::mem::take(&mut self.waiting).into_values().collect();
        self.reading = runs.iter().map(|run| (run.settings.uid.clone(), run.settings.orders)).collect();
        self.held.clear();
        self.task = Some(AbortOnDropHandle::new(tokio::spawn(recover(source, runs))));
    }

    /// What the task has read. Pending while there is none. Cancel-safe.
    pub(crate) async fn finished(&mut self) -> Result<Recovered, BusError> {
        let Some(task) = &mut self.task else { return std::future::pending().await };
        let result = task.await;
        self.task = None;
        result.unwrap_or_else(|error| Err(BusError::Other(format!("reading back ended early: {error}"))))
    }

    /// Keeps what a task has read until [`Arrivals::take`].
    pub(crate) fn park(&mut self, recovered: Recovered) {
        self.recovered = Some(recovered);
    }

    /// The runs that are complete now, each with what is published of it. Those that were removed meanwhile are not
    /// among them.
    pub(crate) fn take(&mut self, stats: &Stats) -> Vec<(Run, Outstanding)> {
        let Some(Recovered { runs, mut published, former_term: _ }) = self.recovered.take() else {
            return Vec::new();
        };
        let mut orders = std::mem::take(&mut self.reading);
        let held = std::mem::take(&mut self.held);
        let mut complete = Vec::new();
        for mut run in runs {
            let Some(orders) = orders.remove(run.uid()) else { continue };
            run.orders = orders;
            for message in &held {
                see(&mut run, message, Some(stats));
            }
            let published = of_run(&mut published, &run);
            complete.push((run, published));
        }
        complete
    }
}

/// Folds a record into a run if it names it.
fn see(run: &mut Run, message: &Message, stats: Option<&Stats>) {
    match decode_event(&message.key, &message.value) {
        Ok(EventsRecord::LeaderStarted { epoch, .. }) => run.fold_leader(epoch, message),
        Ok(record) if records::run_uid(&record) == run.uid().as_str() => {
            // A record that changes nothing is counted, and no more.
            let _ = run.fold(record, message, stats);
        }
        // What is not readable was noticed when it came.
        Ok(_) | Err(_) => {}
    }
}

/// Reads until it has succeeded; only what no waiting mends is an error.
async fn recover(source: Source, arriving: Vec<Arriving>) -> Result<Recovered, BusError> {
    loop {
        match read_back(&source, &arriving).await {
            Err(error @ BusError::Unreachable { .. }) => {
                warn!(events = %source.events, %error, "runs wait to be read back");
                tokio::time::sleep(ASK_AGAIN).await;
            }
            result => return result,
        }
    }
}

async fn read_back(source: &Source, arriving: &[Arriving]) -> Result<Recovered, BusError> {
    let Source { bus, events, ready_topics, position, .. } = source;
    let positions = positions(&**bus, ready_topics.clone()).await?;
    let end = bus.bounds(events).await?.first().map_or(0, |bounds| bounds.high).max(*position);
    let mut readings: BTreeMap<RunUid, Reading> =
        arriving.iter().map(|arriving| (arriving.settings.uid.clone(), Reading::new(arriving))).collect();
    let from = readings.values().map(|reading| reading.run.from).min().unwrap_or(end).min(end);
    let stretch = Stretch { topic: events.clone(), partition: 0, from, until: end };
    let mut former_term = 0;
    read_stretch(&**bus, &stretch, |message| {
        let Ok(record) = decode_event(&message.key, &message.value) else { return };
        let mut former = |run: &Run| {
            if message.offset < source.led_from {
                former_term = former_term.max(run.state.epoch());
            }
        };
        if let EventsRecord::LeaderStarted { epoch, .. } = record {
            for Reading { run, .. } in readings.values_mut() {
                run.fold_leader(epoch, message);
                former(run);
            }
        } else if let Some(Reading { run, count_from }) = readings.get_mut(records::run_uid(&record)) {
            let stats = (message.offset >= *count_from).then_some(&*source.stats);
            let _ = run.fold(record, message, stats);
            former(run);
        }
    })
    .await?;
    let mut runs: Vec<Run> = readings.into_values().map(|reading| reading.run).collect();
    // Asked when all was read: what goes meanwhile was not read in part.
    let low = bus.bounds(events).await?.first().map_or(0, |bounds| bounds.low);
    for run in &mut runs {
        run.is_read_back(low);
        run.from = end;
    }
    let started = runs.iter().any(|run| run.state.started_at().is_some());
    let published = if started { published(&**bus, positions).await? } else { Published::new() };
    Ok(Recovered { runs, published, former_term })
}

/// A run that is read back.
struct Reading {
    run: Run,
    count_from: i64,
}

impl Reading {
    fn new(arriving: &Arriving) -> Self {
        let run = Run::new(arriving.settings.clone(), arriving.slots.clone());
        Self { run, count_from: arriving.count_from }
    }
}
