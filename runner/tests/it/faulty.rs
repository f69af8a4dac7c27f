//! A bus in memory whose broker can go away, refuse records, or keep its acknowledgements back.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use orch_bus::memory::tapped::{Question, Tap, Tapped};
use orch_bus::{BusError, Outgoing, Producer, Reader, Undelivered};
use tokio::sync::{mpsc, watch};

/// What is called when the positions of a group are asked for.
pub type Hook = Box<dyn FnOnce() + Send>;

/// See the module.
pub type FaultyBus = Tapped<Faults>;

#[derive(Default)]
pub struct Faults {
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

impl Faults {
    pub fn go_away(&self, away: bool) {
        self.away.send_replace(away);
    }

    /// Counts the questions that were refused.
    pub fn refused_questions(&self) -> watch::Receiver<usize> {
        self.questions.subscribe()
    }

    pub fn keep_acknowledgements(&self, keep: bool) {
        self.keep_acknowledgements.send_replace(keep);
    }

    /// The next `count` records for topics that end so are given up.
    pub fn refuse(&self, topic_end: &str, count: usize, error: BusError) {
        self.refusals.lock().unwrap().insert(topic_end.to_owned(), (count, error));
    }

    /// Calls this when the positions of a group are asked for, once, before they are looked up.
    pub fn on_committed(&self, hook: impl FnOnce() + Send + 'static) {
        *self.on_committed.lock().unwrap() = Some(Box::new(hook));
    }

    /// A reader that has given a record with this text gives nothing more until this is taken back.
    pub fn set_last_word(&self, text: Option<&str>) {
        self.last_word.send_replace(text.map(str::to_owned));
    }

    /// Everything that was handed over so far.
    pub fn sent(&self) -> Vec<Outgoing> {
        self.sent.lock().unwrap().clone()
    }

    /// Goes away as soon as somebody has begun to read.
    pub fn leave_at_read(&self) {
        self.leave_at_read.store(true, Ordering::SeqCst);
    }
}

pub fn unreachable() -> BusError {
    BusError::Unreachable { servers: "nowhere".to_owned(), reason: "it is away".to_owned() }
}

impl Tap for Faults {
    fn asked(&self, question: Question) -> Result<(), BusError> {
        let is_refused =
            matches!(question, Question::Bounds | Question::Committed | Question::Read | Question::Producer);
        if is_refused && *self.away.borrow() {
            self.questions.send_modify(|questions| *questions += 1);
            return Err(unreachable());
        }
        if question == Question::Committed {
            let hook = self.on_committed.lock().unwrap().take();
            if let Some(hook) = hook {
                hook();
            }
        }
        Ok(())
    }

    fn answered(&self, question: Question) -> Result<(), BusError> {
        if question == Question::Read && self.leave_at_read.load(Ordering::SeqCst) {
            self.go_away(true);
        }
        Ok(())
    }

    fn reader(self: &Arc<Self>, _: &str, inner: Box<dyn Reader>) -> Box<dyn Reader> {
        Box::new(FaultyReader { inner, faults: self.clone(), is_done: false })
    }

    fn producer(self: &Arc<Self>, inner: Box<dyn Producer>) -> Box<dyn Producer> {
        let (undelivered, undelivered_out) = mpsc::unbounded_channel();
        let undelivered_out = Mutex::new(Some(undelivered_out));
        Box::new(FaultyProducer { inner, undelivered, undelivered_out, faults: self.clone() })
    }

    fn trouble(&self) -> Option<String> {
        self.away.borrow().then(|| unreachable().to_string())
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

    fn acknowledged(&self, matters: fn(u64) -> bool) -> Option<mpsc::UnboundedReceiver<Vec<u64>>> {
        let mut inner = self.inner.acknowledged(matters)?;
        let (sender, receiver) = mpsc::unbounded_channel();
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
