//! Writes. Records for a partition go to librdkafka in flights; those that come while one is in the air wait here and
//! make the next. A thread serves the acknowledgements and lets the next flights go.
//!
//! Without flights librdkafka would send the same records in many more and smaller requests, and spin while its five
//! requests a partition are on their way and it has more to send.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

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
use super::lanes::{Handed, Landed, Lanes};
use super::sight::Sight;
use crate::{BusError, Outgoing, Producer, Undelivered};

/// Acknowledgements are gathered this long, while any are expected. The thread sleeps meanwhile: `poll` with a timeout
/// does not return before that is over, and spins through its last millisecond.
const GATHER: Duration = Duration::from_micros(250);
/// The same when none came for a while: the broker is away.
const GATHER_AWAY: Duration = Duration::from_millis(20);
const AWAY: Duration = Duration::from_millis(500);
/// With nothing to do the thread looks this often for errors of the client.
const IDLE: Duration = Duration::from_millis(100);

type Client = BaseProducer<Deliveries>;

/// The async side. Dropping it gives up what is not acknowledged: flush first.
pub(super) struct KafkaProducer {
    shared: Arc<Shared>,
    undelivered: Mutex<Option<UnboundedReceiver<Undelivered>>>,
}

struct Shared {
    core: Arc<Core>,
    queue: Mutex<Queue>,
    /// Rings when there is something to wait for again.
    work: Condvar,
    /// Records handed over and neither acknowledged nor given up.
    open: AtomicUsize,
    /// Rings when `open` falls to 0.
    idle: Notify,
    stop: AtomicBool,
    acknowledged: OnceLock<UnboundedSender<Vec<u64>>>,
    undelivered: UnboundedSender<Undelivered>,
}

/// Its lock keeps the order of records.
struct Queue {
    client: Arc<Client>,
    lanes: Lanes<Outgoing>,
}

/// What the delivery callback noted since the last look.
struct Deliveries {
    health: Arc<Health>,
    sight: Sight,
    noted: Mutex<Noted>,
}

#[derive(Default)]
struct Noted {
    acknowledged: Vec<u64>,
    failed: Vec<Undelivered>,
    landed: Landed,
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

    fn delivery(&self, result: &DeliveryResult<'_>, token: usize) {
        let token = token as u64;
        let message = result.as_ref().unwrap_or_else(|(_, message)| message);
        let mut noted = self.noted();
        noted.landed.add(message.topic(), message.partition());
        match result {
            Ok(_) => noted.acknowledged.push(token),
            Err((error, message)) => {
                let error = self.health.explain(error, message.topic());
                noted.failed.push(Undelivered { token, topic: message.topic().into(), error });
            }
        }
    }
}

impl Deliveries {
    /// Notes everything that is known by now. A poll brings one event: an acknowledged batch, or an error.
    fn gather(&self, client: &Client) {
        let known = || {
            let noted = self.noted();
            noted.acknowledged.len() + noted.failed.len()
        };
        let mut before = known();
        loop {
            client.poll(Duration::ZERO);
            let now = known();
            if now == before {
                return;
            }
            before = now;
        }
    }

    fn noted(&self) -> MutexGuard<'_, Noted> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn client(core: &Core) -> Result<Arc<Client>, BusError> {
    let deliveries =
        Deliveries { health: core.health.clone(), sight: Sight::default(), noted: Mutex::default() };
    let client = core.config.producer().create_with_context(deliveries).map_err(|e| refused(&e))?;
    Ok(Arc::new(client))
}

/// Starts a producer.
pub(super) fn open(core: Arc<Core>) -> Result<KafkaProducer, BusError> {
    let (undelivered, receiver) = mpsc::unbounded_channel();
    let queue = Mutex::new(Queue { client: client(&core)?, lanes: Lanes::default() });
    let shared = Arc::new(Shared {
        core,
        queue,
        work: Condvar::new(),
        open: AtomicUsize::new(0),
        idle: Notify::new(),
        stop: AtomicBool::new(false),
        acknowledged: OnceLock::new(),
        undelivered,
    });
    let served = shared.clone();
    spawn("kafka-producer", move || served.serve())?;
    Ok(KafkaProducer { shared, undelivered: Mutex::new(Some(receiver)) })
}

#[async_trait]
impl Producer for KafkaProducer {
    fn send(&self, records: Vec<Outgoing>) {
        let shared = &self.shared;
        if records.is_empty() {
            return;
        }
        let mut queue = shared.queue();
        let before = shared.open.fetch_add(records.len(), Ordering::AcqRel);
        for record in records {
            let (topic, partition) = (record.topic.clone(), record.partition);
            queue.lanes.add(topic, partition, record);
        }
        queue.launch();
        drop(queue);
        if before == 0 {
            shared.work.notify_one();
        }
    }

    async fn flush(&self) -> Result<(), BusError> {
        loop {
            let idle = self.shared.idle.notified();
            if self.shared.open.load(Ordering::Acquire) == 0 {
                return Ok(());
            }
            idle.await;
        }
    }

    fn acknowledged(&self) -> Option<UnboundedReceiver<Vec<u64>>> {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.shared.acknowledged.set(sender).is_ok().then_some(receiver)
    }

    fn undelivered(&self) -> Option<UnboundedReceiver<Undelivered>> {
        self.undelivered.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Drop for KafkaProducer {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        self.shared.work.notify_one();
    }
}

impl Queue {
    /// Lets the flights go that may.
    fn launch(&mut self) {
        let Self { client, lanes } = self;
        lanes.launch(|record| produce(client, record));
    }
}

/// Hands a record to librdkafka.
fn produce(client: &Client, record: Outgoing) -> Handed<Outgoing> {
    let error = match client.send(base_record(&record)) {
        Ok(()) => return Handed::Taken,
        Err((error, _)) => error,
    };
    if error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull) {
        return Handed::Full(record);
    }
    let context = client.context();
    let error = context.health.explain(&error, &record.topic);
    context.noted().failed.push(Undelivered { token: record.token, topic: record.topic, error });
    Handed::Refused
}

fn base_record(record: &Outgoing) -> BaseRecord<'_, [u8], [u8], usize> {
    let headers = OwnedHeaders::new_with_capacity(record.headers.len());
    let headers = record
        .headers
        .iter()
        .fold(headers, |headers, (key, value)| headers.insert(Header { key, value: Some(value.as_bytes()) }));
    let base = BaseRecord::with_opaque_to(&record.topic, record.token as usize)
        .partition(record.partition)
        .key(&record.key[..])
        .headers(headers);
    // No value at all is what removes a key from a compacted topic.
    if record.value.is_empty() { base } else { base.payload(&record.value[..]) }
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The thread. The client is dropped here too, since that may take a while.
    fn serve(&self) {
        let mut last_answer = Instant::now();
        while !self.stop.load(Ordering::Acquire) {
            let client = self.wait_for_work();
            client.context().sight.restore(client.client(), self.core.config.servers());
            let open = self.open.load(Ordering::Acquire) > 0;
            client.context().gather(&client);
            let answered = self.hand_on(&client);
            if answered || !open {
                last_answer = Instant::now();
            }
            if open {
                let away = last_answer.elapsed() > AWAY;
                std::thread::sleep(if away { GATHER_AWAY } else { GATHER });
            }
        }
    }

    /// Returns at once while acknowledgements are expected.
    fn wait_for_work(&self) -> Arc<Client> {
        let queue = self.queue();
        let resting =
            |_: &mut Queue| self.open.load(Ordering::Acquire) == 0 && !self.stop.load(Ordering::Acquire);
        let waited = self.work.wait_timeout_while(queue, IDLE, resting);
        waited.unwrap_or_else(PoisonError::into_inner).0.client.clone()
    }

    /// Gives on what the callback noted. Returns whether there was anything.
    fn hand_on(&self, client: &Client) -> bool {
        let noted = std::mem::take(&mut *client.context().noted());
        let count = noted.acknowledged.len() + noted.failed.len();
        if count == 0 {
            return false;
        }
        if !noted.failed.is_empty() {
            self.replace_if_broken(client);
        }
        self.next_flights(noted.landed);
        if let Some(acknowledged) = self.acknowledged.get()
            && !noted.acknowledged.is_empty()
        {
            // Nobody listens any more: nobody wants to know.
            let _ = acknowledged.send(noted.acknowledged);
        }
        for failed in noted.failed {
            let _ = self.undelivered.send(failed);
        }
        if self.open.fetch_sub(count, Ordering::AcqRel) == count {
            self.idle.notify_waiters();
        }
        true
    }

    fn next_flights(&self, landed: Landed) {
        let mut queue = self.queue();
        for (topic, partition, count) in landed.into_counts() {
            queue.lanes.land(&topic, partition, count);
        }
        queue.launch();
    }

    /// An idempotent producer that lost its place in a partition (the broker lost records) refuses everything from
    /// then on. What it had comes back as undelivered; a new one goes on.
    fn replace_if_broken(&self, client: &Client) {
        let Some((code, reason)) = client.client().fatal_error() else { return };
        // All that it had fails by itself, which takes no broker.
        while client.in_flight_count() > 0 {
            client.poll(GATHER);
        }
        tracing::warn!(error = reason, %code, "the Kafka producer is replaced");
        let mut queue = self.queue();
        match self::client(&self.core) {
            Ok(new) => {
                let rest = std::mem::take(&mut *client.context().noted());
                *new.context().noted() = rest;
                queue.client = new;
            }
            Err(error) => tracing::error!(%error, "no new Kafka producer"),
        }
    }
}
