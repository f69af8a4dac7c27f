//! A bus in memory whose broker can go away, refuse records, or keep its acknowledgements back.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use orch_bus::memory::MemoryBus;
use orch_bus::{
    Bounds, Bus, BusError, Committed, Member, Outgoing, Producer, Reader, TopicMismatch, TopicSpec,
    Undelivered,
};
use tokio::sync::{mpsc, watch};

/// What is called when the positions of a group are asked for.
pub type Hook = Box<dyn FnOnce() + Send>;

/// See the module.
pub struct FaultyBus {
    inner: MemoryBus,
    faults: Arc<Faults>,
}

struct Faults {
    /// Questions are refused; readers and producers stay silent.
    away: watch::Sender<bool>,
    questions: watch::Sender<usize>,
    keep_acknowledgements: watch::Sender<bool>,
    /// By end of the topic's name: so many records are given up, with this error.
    refusals: Mutex<HashMap<String, (usize, BusError)>>,
    on_committed: Mutex<Option<Hook>>,
    /// A reader that has given a record with this text gives nothing more.
    last_word: watch::Sender<Option<String>>,
    sent: Mutex<Vec<Outgoing>>,
    /// Goes away as soon as somebody has begun to read.
    leave_at_read: AtomicBool,
}

impl FaultyBus {
    pub fn new(inner: MemoryBus) -> Self {
        let faults = Faults {
            away: watch::Sender::new(false),
            questions: watch::Sender::new(0),
            keep_acknowledgements: watch::Sender::new(false),
            refusals: Mutex::default(),
            on_committed: Mutex::default(),
            last_word: watch::Sender::new(None),
            sent: Mutex::default(),
            leave_at_read: AtomicBool::new(false),
        };
        Self { inner, faults: Arc::new(faults) }
    }

    /// The bus without its faults.
    pub fn inner(&self) -> &MemoryBus {
        &self.inner
    }

    pub fn go_away(&self, away: bool) {
        self.faults.away.send_replace(away);
    }

    /// Counts the questions that were refused.
    pub fn refused_questions(&self) -> watch::Receiver<usize> {
        self.faults.questions.subscribe()
    }

    pub fn keep_acknowledgements(&self, keep: bool) {
        self.faults.keep_acknowledgements.send_replace(keep);
    }

    /// The next `count` records for topics that end so are given up.
    pub fn refuse(&self, topic_end: &str, count: usize, error: BusError) {
        self.faults.refusals.lock().unwrap().insert(topic_end.to_owned(), (count, error));
    }

    /// Calls this when the positions of a group are asked for, once, before they are looked up.
    pub fn on_committed(&self, hook: impl FnOnce() + Send + 'static) {
        *self.faults.on_committed.lock().unwrap() = Some(Box::new(hook));
    }

    /// A reader that has given a record with this text gives nothing more until this is taken back.
    pub fn set_last_word(&self, text: Option<&str>) {
        self.faults.last_word.send_replace(text.map(str::to_owned));
    }

    /// Everything that was handed over so far.
    pub fn sent(&self) -> Vec<Outgoing> {
        self.faults.sent.lock().unwrap().clone()
    }

    /// Goes away as soon as somebody has begun to read.
    pub fn leave_at_read(&self) {
        self.faults.leave_at_read.store(true, Ordering::SeqCst);
    }

    fn ask(&self) -> Result<(), BusError> {
        if !*self.faults.away.borrow() {
            return Ok(());
        }
        self.faults.questions.send_modify(|questions| *questions += 1);
        Err(unreachable())
    }
}

pub fn unreachable() -> BusError {
    BusError::Unreachable { servers: "nowhere".to_owned(), reason: "it is away".to_owned() }
}

#[async_trait]
impl Bus for FaultyBus {
    async fn ensure_topics(
        &self,
        topics: &[TopicSpec],
        create: bool,
    ) -> Result<Vec<TopicMismatch>, BusError> {
        self.inner.ensure_topics(topics, create).await
    }

    async fn delete_topics(&self, topics: &[String]) -> Result<(), BusError> {
        self.inner.delete_topics(topics).await
    }

    async fn list_topics(&self, prefix: &str) -> Result<Vec<String>, BusError> {
        self.inner.list_topics(prefix).await
    }

    async fn bounds(&self, topic: &str) -> Result<Vec<Bounds>, BusError> {
        self.ask()?;
        self.inner.bounds(topic).await
    }

    async fn committed(&self, group: &str, topic: &str) -> Result<Vec<Option<Committed>>, BusError> {
        self.ask()?;
        let hook = self.faults.on_committed.lock().unwrap().take();
        if let Some(hook) = hook {
            hook();
        }
        self.inner.committed(group, topic).await
    }

    async fn read(
        &self,
        topic: &str,
        partition: i32,
        stretch: Range<i64>,
    ) -> Result<Box<dyn Reader>, BusError> {
        self.ask()?;
        let inner = self.inner.read(topic, partition, stretch).await?;
        if self.faults.leave_at_read.load(Ordering::SeqCst) {
            self.go_away(true);
        }
        Ok(Box::new(FaultyReader { inner, faults: self.faults.clone(), is_done: false }))
    }

    async fn producer(&self) -> Result<Box<dyn Producer>, BusError> {
        self.ask()?;
        let inner = self.inner.producer().await?;
        let acknowledged = Mutex::new(inner.acknowledged().unwrap());
        let (undelivered, undelivered_out) = mpsc::unbounded_channel();
        let undelivered_out = Mutex::new(Some(undelivered_out));
        Ok(Box::new(FaultyProducer {
            inner,
            acknowledged,
            undelivered,
            undelivered_out,
            faults: self.faults.clone(),
        }))
    }

    async fn join(&self, group: &str, topic: &str) -> Result<Box<dyn Member>, BusError> {
        self.inner.join(group, topic).await
    }

    fn trouble(&self) -> Option<String> {
        self.faults.away.borrow().then(|| unreachable().to_string())
    }
}

struct FaultyReader {
    inner: Box<dyn Reader>,
    /// It has given the last word.
    is_done: bool,
    faults: Arc<Faults>,
}

#[async_trait]
impl Reader for FaultyReader {
    async fn next(&mut self) -> Result<Vec<orch_bus::Message>, BusError> {
        // As Kafka's: while the broker is away nothing comes.
        let mut away = self.faults.away.subscribe();
        let _ = away.wait_for(|away| !away).await;
        let mut last_word = self.faults.last_word.subscribe();
        if self.is_done {
            let _ = last_word.wait_for(Option::is_none).await;
        }
        let batch = self.inner.next().await?;
        if let Some(text) = &*last_word.borrow() {
            self.is_done |=
                batch.iter().any(|message| String::from_utf8_lossy(&message.value).contains(text));
        }
        Ok(batch)
    }
}

struct FaultyProducer {
    inner: Box<dyn Producer>,
    acknowledged: Mutex<mpsc::UnboundedReceiver<Vec<u64>>>,
    undelivered: mpsc::UnboundedSender<Undelivered>,
    undelivered_out: Mutex<Option<mpsc::UnboundedReceiver<Undelivered>>>,
    faults: Arc<Faults>,
}

impl FaultyProducer {
    /// Why a record is given up, if it is.
    fn refusal(&self, record: &Outgoing) -> Option<BusError> {
        let mut refusals = self.faults.refusals.lock().unwrap();
        let (_, (left, error)) =
            refusals.iter_mut().find(|(end, (left, _))| record.topic.ends_with(*end) && *left > 0)?;
        *left -= 1;
        Some(error.clone())
    }
}

#[async_trait]
impl Producer for FaultyProducer {
    fn send(&self, records: Vec<Outgoing>) {
        self.faults.sent.lock().unwrap().extend(records.iter().cloned());
        let mut written = Vec::new();
        for record in records {
            match self.refusal(&record) {
                Some(error) => {
                    let gone = Undelivered { token: record.token, topic: record.topic, error };
                    let _ = self.undelivered.send(gone);
                }
                None => written.push(record),
            }
        }
        self.inner.send(written);
    }

    async fn flush(&self) -> Result<(), BusError> {
        self.inner.flush().await
    }

    fn acknowledged(&self) -> Option<mpsc::UnboundedReceiver<Vec<u64>>> {
        let (sender, receiver) = mpsc::unbounded_channel();
        let mut inner =
            std::mem::replace(&mut *self.acknowledged.lock().unwrap(), mpsc::unbounded_channel().1);
        let mut kept = self.faults.keep_acknowledgements.subscribe();
        tokio::spawn(async move {
            while let Some(tokens) = inner.recv().await {
                let _ = kept.wait_for(|kept| !kept).await;
                let _ = sender.send(tokens);
            }
        });
        Some(receiver)
    }

    fn undelivered(&self) -> Option<mpsc::UnboundedReceiver<Undelivered>> {
        self.undelivered_out.lock().unwrap().take()
    }
}
