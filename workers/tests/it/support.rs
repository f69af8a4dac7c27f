//! A bus with the topics of one stage, and what tests put into and take out of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use orch_bus::memory::MemoryBus;
use orch_bus::{Bus, Outgoing, Producer, Reader, TopicSpec};
use orch_core::drain::Drain;
use orch_wire::{ControlRecord, Headers, RunGate};
use orch_workers::{
    Counters, Health, Outputs, Processor, Processors, Progress, Registry, Settings, Work, WorkFailure,
    Worker, async_trait,
};
use serde_json::{Value, json};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub(crate) const READY: &str = "o.default.sales.ingest";
pub(crate) const EVENTS: &str = "o.default.sales.events";
pub(crate) const CONTROL: &str = "o.default.sales.control";
pub(crate) const RUN: &str = "6f1c2d5e";

/// No test waits longer than this for anything; on a paused clock it costs nothing.
pub(crate) const DEADLINE: Duration = Duration::from_mins(1);

/// Waits for something that has to happen.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    let in_time = tokio::time::timeout(DEADLINE, future).await;
    in_time.unwrap_or_else(|_| panic!("waited {DEADLINE:?} for {what}"))
}

/// Asks again and again for something that nobody tells of.
pub(crate) async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let looking = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    soon(what, looking).await
}

pub(crate) fn topic(name: &str, partitions: i32) -> TopicSpec {
    TopicSpec { name: name.to_owned(), partitions, replication_factor: None, config: Vec::new() }
}

pub(crate) fn settings(concurrency: usize) -> Settings {
    Settings {
        worker: "worker-1".to_owned(),
        ready_topic: READY.to_owned(),
        events_topic: EVENTS.to_owned(),
        control_topic: CONTROL.to_owned(),
        group: READY.to_owned(),
        concurrency,
        drain: Drain::within(Duration::from_mins(10)),
    }
}

/// The value of a ready record, with `more` put into it.
pub(crate) fn ready_json(object: &str, attempt: u32, more: &Value) -> Value {
    let mut value = json!({
        "event_type": "ObjectReady", "id_objet": object, "meta": {"IdObjet": object, "Criticité": "low"},
        "event_datetime": "2026-11-21T08:00:00.123Z", "run": "default/sales", "run_uid": RUN, "stage": "ingest",
        "attempt": attempt, "epoch": 1, "heartbeat_ms": 30_000, "params": {}, "inputs": [],
    });
    for (name, member) in more.as_object().into_iter().flatten() {
        value[name] = member.clone();
    }
    value
}

pub(crate) fn work(object: &str, more: &Value) -> Work {
    Work::decode(object.as_bytes(), &Bytes::from(ready_json(object, 1, more).to_string()), None).unwrap()
}

/// The topics of a stage, and the operator's side of them.
pub(crate) struct Stage {
    pub(crate) bus: Arc<dyn Bus>,
    producer: Box<dyn Producer>,
    events: Box<dyn Reader>,
    unread: std::collections::VecDeque<Value>,
}

impl Stage {
    pub(crate) async fn new() -> Self {
        Self::on(Arc::new(MemoryBus::new())).await
    }

    pub(crate) async fn on(bus: Arc<dyn Bus>) -> Self {
        let topics = [topic(READY, 1), topic(EVENTS, 1), topic(CONTROL, 1)];
        bus.ensure_topics(&topics, true).await.unwrap();
        let producer = bus.producer().await.unwrap();
        let events = bus.read(EVENTS, 0, 0..0).await.unwrap();
        Self { bus, producer, events, unread: std::collections::VecDeque::new() }
    }

    pub(crate) fn put(&self, topic: &str, key: &str, value: impl Into<Bytes>, reply_topic: Option<&str>) {
        let headers = reply_topic.map(|to| Headers::default().with_reply_topic(&to.into()));
        self.producer.send(vec![Outgoing {
            topic: topic.into(),
            partition: 0,
            key: Bytes::copy_from_slice(key.as_bytes()),
            value: value.into(),
            headers: headers.unwrap_or_default(),
            token: 0,
        }]);
    }

    pub(crate) fn gate(&self, run_uid: &str, state: RunGate) {
        let record = ControlRecord { run_uid: run_uid.to_owned(), state };
        self.put(CONTROL, run_uid, record.encode(), None);
    }

    pub(crate) fn open(&self) {
        self.gate(RUN, RunGate::Open);
    }

    pub(crate) fn ready(&self, object: &str) {
        self.ready_with(object, 1, &json!({}));
    }

    pub(crate) fn ready_with(&self, object: &str, attempt: u32, more: &Value) {
        self.put(READY, object, ready_json(object, attempt, more).to_string(), Some(EVENTS));
    }

    /// The next record of the events topic.
    pub(crate) async fn event(&mut self) -> Value {
        while self.unread.is_empty() {
            let records = soon("an event", self.events.next()).await.unwrap();
            for record in records {
                let value: Value = serde_json::from_slice(&record.value).unwrap();
                let id =
                    value["id_objet"].as_str().map_or_else(|| value["id_objet"].to_string(), str::to_owned);
                assert_eq!(record.key, id.as_bytes(), "the key is the id");
                self.unread.push_back(value);
            }
        }
        self.unread.pop_front().unwrap()
    }

    /// The next `count` records of the events topic as `<type> <id>`, sorted.
    pub(crate) async fn events(&mut self, count: usize) -> Vec<String> {
        let mut events = Vec::new();
        for _ in 0..count {
            let event = self.event().await;
            events.push(format!("{} {}", text(&event, "event_type"), event["id_objet"]).replace('"', ""));
        }
        events.sort();
        events
    }

    /// Position of the group in the ready topic.
    pub(crate) async fn position(&self) -> i64 {
        let committed = self.bus.committed(READY, READY).await.unwrap();
        committed[0].as_ref().map_or(0, |committed| committed.offset)
    }

    pub(crate) async fn position_reaches(&self, offset: i64) {
        let reached = async || (self.position().await >= offset).then_some(());
        until(&format!("position {offset}"), reached).await;
    }
}

pub(crate) fn text<'a>(event: &'a Value, member: &str) -> &'a str {
    event[member].as_str().unwrap_or_else(|| panic!("no text `{member}` in {event}"))
}

/// A worker that runs beside the test.
pub(crate) struct Running {
    pub(crate) health: Health,
    pub(crate) counters: Counters,
    pub(crate) shutdown: CancellationToken,
    pub(crate) task: JoinHandle<()>,
}

impl Running {
    pub(crate) fn start(bus: &Arc<dyn Bus>, settings: Settings, processors: Processors) -> Self {
        let worker = Worker::new(bus.clone(), settings, processors);
        let (health, counters) = (worker.health(), worker.counters());
        let shutdown = CancellationToken::new();
        let running = worker.run(shutdown.clone());
        let task = tokio::spawn(async move { running.await.unwrap() });
        Self { health, counters, shutdown, task }
    }

    /// A worker of the built-in processors.
    pub(crate) fn builtin(stage: &Stage, processor: &str) -> Self {
        Self::start(&stage.bus, settings(4), Registry::builtin().for_stage(processor))
    }

    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        soon("the worker to stop", self.task).await.unwrap();
    }
}

/// Tells when an object begins, and does what the beginning of its id says:
/// `wait…` waits for [`Puppet::release`], `panic…` panics, everything else is loaded at once.
#[derive(Clone)]
pub(crate) struct Puppet {
    began: mpsc::UnboundedSender<String>,
    released: Arc<Semaphore>,
    running: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
}

impl Puppet {
    pub(crate) fn new() -> (Self, mpsc::UnboundedReceiver<String>) {
        let (began, beginnings) = mpsc::unbounded_channel();
        let puppet = Self {
            began,
            released: Arc::new(Semaphore::new(0)),
            running: Arc::default(),
            most: Arc::default(),
        };
        (puppet, beginnings)
    }

    pub(crate) fn processors(&self) -> Processors {
        Registry::single(self.clone()).for_stage("{}")
    }

    /// Lets `count` objects that wait, or will wait, end.
    pub(crate) fn release(&self, count: usize) {
        self.released.add_permits(count);
    }

    pub(crate) fn most_at_once(&self) -> usize {
        self.most.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Processor for Puppet {
    async fn process(&self, work: &Work, progress: &Progress) -> Result<Outputs, WorkFailure> {
        let now = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        let id = work.object().as_str();
        self.began.send(id.to_owned()).unwrap();
        progress.report(0.5);
        progress.say("half way");
        if id.starts_with("wait") {
            self.released.acquire().await.unwrap().forget();
        }
        self.running.fetch_sub(1, Ordering::SeqCst);
        assert!(!id.starts_with("panic"), "cannot do {id}");
        Outputs::of(&json!({"object": id}))
    }
}
