//! Writes. Records for a partition go to librdkafka in flights; those that come while one is in the air wait here and
//! make the next. One thread lets flights go, another hears what became of them.
//!
//! A flight is one request. With `linger.ms=0` librdkafka would send its first records alone, and spin until they are
//! acknowledged, because an idempotent producer may have no more than five records of a partition on their way. So it
//! lingers, and is told when a flight is complete: decision 14.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _, ProducerContext};
use rdkafka::statistics::Statistics;
use rdkafka::{ClientContext, Message as _};
use tokio::sync::Notify;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};

use super::admin::{Core, spawn};
use super::config::refused;
use super::context::{Health, log};
use super::lanes::{Flight, Lanes};
use super::native;
use super::sight::Sight;
use crate::listener::Listener;
use crate::{BusError, Outgoing, Producer, Undelivered};

/// librdkafka is told so long at most that a flight is complete. Meanwhile no other flight goes: one that is longer on
/// its way, or cannot go now, does not hold up other partitions.
const BOARDING: Duration = Duration::from_millis(1);
/// With nothing to do a thread looks this often whether it is still needed.
const IDLE: Duration = Duration::from_millis(100);
/// The other one listens for so long at a time, and then looks whether the client is broken or has lost its brokers.
/// The last millisecond of it rdkafka spends without a pause.
const LISTEN: Duration = Duration::from_millis(500);

/// So many does a record have at most.
const HEADERS: usize = 7;

type Client = BaseProducer<Deliveries>;

/// The async side. Dropping it gives up what is not acknowledged: flush first.
pub(super) struct KafkaProducer {
    traffic: Arc<Traffic>,
    undelivered: Mutex<Option<UnboundedReceiver<Undelivered>>>,
}

/// What the three sides share.
struct Traffic {
    /// Its lock keeps the order of records.
    lanes: Mutex<Lanes<Outgoing>>,
    /// Rings when a flight may go.
    departures: Condvar,
    /// Records handed over and neither acknowledged nor given up.
    open: AtomicUsize,
    /// Rings when `open` falls to 0.
    idle: Notify,
    stop: AtomicBool,
    listener: OnceLock<Listener>,
    undelivered: UnboundedSender<Undelivered>,
}

/// What became of the records of one partition, as far as it is known and not handed on.
#[derive(Default)]
struct Landed {
    topic: String,
    partition: i32,
    /// How many more are in the air.
    expected: usize,
    /// How many have come.
    count: usize,
    /// Those that somebody wants to know of.
    acknowledged: Vec<u64>,
    failed: Vec<Undelivered>,
}

/// The client's context: hears of each record what became of it.
struct Deliveries {
    health: Arc<Health>,
    sight: Sight,
    traffic: Arc<Traffic>,
    landed: Mutex<Landed>,
    has_failed: AtomicBool,
}

impl ClientContext for Deliveries {
    fn error(&self, error: KafkaError, reason: &str) {
        self.health.heard(&error, reason);
    }

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }

    fn stats(&self, statistics: Statistics) {
        self.sight.look(&statistics);
    }
}

impl ProducerContext for Deliveries {
    /// The record's token.
    type DeliveryOpaque = usize;

    /// Comes for the records of a request one after the other. When the last one of a flight has come, all of it is
    /// handed on.
    fn delivery(&self, result: &DeliveryResult<'_>, token: usize) {
        let token = token as u64;
        let message = result.as_ref().unwrap_or_else(|(_, message)| message);
        let (topic, partition) = (message.topic(), message.partition());
        let mut landed = self.landed();
        if landed.expected == 0 || landed.partition != partition || landed.topic != topic {
            self.traffic.land(&mut landed);
            topic.clone_into(&mut landed.topic);
            landed.partition = partition;
            landed.expected = self.traffic.lanes().in_the_air(topic, partition);
        }
        landed.count += 1;
        match result {
            Ok(_) => {
                if self.traffic.listener.get().is_some_and(|listener| listener.hears(token)) {
                    landed.acknowledged.push(token);
                }
            }
            Err((error, _)) => {
                let error = self.health.explain(error, topic);
                landed.failed.push(Undelivered { token, topic: topic.into(), error });
                self.has_failed.store(true, Ordering::Release);
            }
        }
        landed.expected = landed.expected.saturating_sub(1);
        if landed.expected == 0 {
            self.traffic.land(&mut landed);
        }
    }
}

impl Deliveries {
    fn landed(&self) -> MutexGuard<'_, Landed> {
        self.landed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Starts a producer.
pub(super) fn open(core: Arc<Core>) -> Result<KafkaProducer, BusError> {
    let (undelivered, receiver) = mpsc::unbounded_channel();
    let traffic = Arc::new(Traffic {
        lanes: Mutex::default(),
        departures: Condvar::new(),
        open: AtomicUsize::new(0),
        idle: Notify::new(),
        stop: AtomicBool::new(false),
        listener: OnceLock::new(),
        undelivered,
    });
    let client = Mutex::new(new_client(&core, &traffic)?);
    let tower = Arc::new(Tower { core, client, traffic: traffic.clone() });
    let departing = tower.clone();
    spawn("kafka-departs", move || departing.let_go())?;
    spawn("kafka-lands", move || tower.hear())?;
    Ok(KafkaProducer { traffic, undelivered: Mutex::new(Some(receiver)) })
}

fn new_client(core: &Core, traffic: &Arc<Traffic>) -> Result<Arc<Client>, BusError> {
    let deliveries = Deliveries {
        health: core.health.clone(),
        sight: Sight::default(),
        traffic: traffic.clone(),
        landed: Mutex::default(),
        has_failed: AtomicBool::new(false),
    };
    let client = core.config.producer().create_with_context(deliveries).map_err(|e| refused(&e))?;
    Ok(Arc::new(client))
}

#[async_trait]
impl Producer for KafkaProducer {
    fn send(&self, records: Vec<Outgoing>) {
        let traffic = &self.traffic;
        if records.is_empty() {
            return;
        }
        traffic.open.fetch_add(records.len(), Ordering::AcqRel);
        let mut lanes = traffic.lanes();
        for record in records {
            let (topic, partition) = (record.topic.clone(), record.partition);
            let bytes = record.key.len() + record.value.len();
            lanes.add(&topic, partition, bytes, record);
        }
        drop(lanes);
        traffic.departures.notify_one();
    }

    async fn flush(&self) -> Result<(), BusError> {
        loop {
            let idle = self.traffic.idle.notified();
            if self.traffic.open.load(Ordering::Acquire) == 0 {
                return Ok(());
            }
            idle.await;
        }
    }

    fn acknowledged(&self, matters: fn(u64) -> bool) -> Option<UnboundedReceiver<Vec<u64>>> {
        let (listener, receiver) = Listener::new(matters);
        self.traffic.listener.set(listener).is_ok().then_some(receiver)
    }

    fn undelivered(&self) -> Option<UnboundedReceiver<Undelivered>> {
        self.undelivered.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Drop for KafkaProducer {
    fn drop(&mut self) {
        self.traffic.stop.store(true, Ordering::Release);
        self.traffic.departures.notify_one();
    }
}

impl Traffic {
    fn lanes(&self) -> MutexGuard<'_, Lanes<Outgoing>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_over(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// Hands on what became of some records, and makes room in the air.
    fn land(&self, landed: &mut Landed) {
        let count = std::mem::take(&mut landed.count);
        if count == 0 {
            return;
        }
        let (acknowledged, failed) =
            (std::mem::take(&mut landed.acknowledged), std::mem::take(&mut landed.failed));
        self.lanes().land(&landed.topic, landed.partition, count);
        self.departures.notify_one();
        if let Some(listener) = self.listener.get() {
            listener.tell(acknowledged);
        }
        for failed in failed {
            let _ = self.undelivered.send(failed);
        }
        if self.open.fetch_sub(count, Ordering::AcqRel) == count {
            self.idle.notify_waiters();
        }
    }

    /// Waits for flights that may go; none come when there was nothing for a while.
    fn boarded(&self) -> Vec<Flight<Outgoing>> {
        let mut lanes = self.lanes();
        let flights = lanes.board();
        if !flights.is_empty() || self.is_over() {
            return flights;
        }
        let waited = self.departures.wait_timeout(lanes, IDLE);
        lanes = waited.unwrap_or_else(PoisonError::into_inner).0;
        lanes.board()
    }
}

/// What both threads have.
struct Tower {
    core: Arc<Core>,
    /// Locked while records are handed to it: only then may it be replaced.
    client: Mutex<Arc<Client>>,
    traffic: Arc<Traffic>,
}

impl Tower {
    fn client(&self) -> MutexGuard<'_, Arc<Client>> {
        self.client.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The thread that lets flights go.
    fn let_go(&self) {
        while !self.traffic.is_over() {
            let flights = self.traffic.boarded();
            if flights.is_empty() {
                continue;
            }
            let client = self.client();
            for flight in flights {
                self.hand_over(&client, flight);
            }
            let complete = client.clone();
            drop(client);
            native::flush(complete.client(), BOARDING);
        }
    }

    /// Hands a flight to librdkafka.
    fn hand_over(&self, client: &Client, mut flight: Flight<Outgoing>) {
        while let Some((bytes, record)) = flight.records.pop_front() {
            let error = match client.send(base_record(&record)) {
                Ok(()) => continue,
                Err((error, _)) => error,
            };
            if error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull) {
                flight.records.push_front((bytes, record));
                return self.traffic.lanes().turn_back(flight);
            }
            // A client that is broken for good may never come to sending, and so to a delivery that fails.
            client.context().has_failed.store(true, Ordering::Release);
            let error = client.context().health.explain(&error, &record.topic);
            let mut refused = Landed {
                topic: record.topic.as_ref().to_owned(),
                partition: record.partition,
                count: 1,
                failed: vec![Undelivered { token: record.token, topic: record.topic, error }],
                ..Landed::default()
            };
            self.traffic.land(&mut refused);
        }
    }

    /// The thread that hears what became of them. The client is dropped here too, since that may take a while.
    fn hear(&self) {
        while !self.traffic.is_over() {
            let client = self.client().clone();
            client.context().sight.restore(client.client(), self.core.config.servers());
            client.poll(LISTEN);
            // Of a flight that came in parts.
            self.traffic.land(&mut client.context().landed());
            if client.context().has_failed.swap(false, Ordering::AcqRel) {
                self.replace_if_broken(&client);
            }
        }
    }

    /// An idempotent producer that lost its place in a partition (the broker lost records) refuses everything from
    /// then on. What it had comes back as undelivered; a new one goes on.
    fn replace_if_broken(&self, client: &Client) {
        let Some((code, reason)) = client.client().fatal_error() else { return };
        let mut current = self.client();
        // All that it had fails by itself, which takes no broker.
        while client.in_flight_count() > 0 {
            client.poll(BOARDING);
        }
        self.traffic.land(&mut client.context().landed());
        tracing::warn!(error = reason, %code, "the Kafka producer is replaced");
        match new_client(&self.core, &self.traffic) {
            Ok(new) => *current = new,
            Err(error) => tracing::error!(%error, "no new Kafka producer"),
        }
    }
}

fn base_record(record: &Outgoing) -> BaseRecord<'_, [u8], [u8], usize> {
    let mut headers = OwnedHeaders::new_with_capacity(HEADERS);
    // Every key of ours is a text; of another one there are no headers to tell.
    let key = std::str::from_utf8(&record.key).unwrap_or_default();
    record.headers.each(key, |key, value| {
        headers = std::mem::take(&mut headers).insert(Header { key, value: Some(value) });
    });
    let base = BaseRecord::with_opaque_to(&record.topic, record.token as usize)
        .partition(record.partition)
        .key(&record.key[..])
        .headers(headers);
    // No value at all is what removes a key from a compacted topic.
    if record.value.is_empty() { base } else { base.payload(&record.value[..]) }
}
