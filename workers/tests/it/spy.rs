//! The in-memory bus with a hand on it: acknowledgements can be held back, joining and reading can fail.

use std::sync::{Arc, Mutex};

use orch_bus::memory::MemoryBus;
use orch_bus::memory::tapped::{Question, Tap, Tapped};
use orch_bus::{Bus, BusError, Member, Message, Outgoing, Producer, Reader, Undelivered};
use orch_workers::async_trait;
use tokio::sync::{mpsc, watch};

/// What to do to the worker.
#[derive(Default)]
pub(crate) struct Hand {
    hold: watch::Sender<bool>,
    /// Readers of this topic get no records.
    lagging: watch::Sender<Option<&'static str>>,
    joins_to_fail: Mutex<usize>,
    reads_to_fail: Mutex<usize>,
    /// So many members have ended: the first ones.
    ended: Mutex<usize>,
    pub(crate) joins: Mutex<usize>,
}

pub(crate) fn bus_with_hand() -> (Arc<dyn Bus>, Arc<Hand>) {
    let bus = Tapped::new(MemoryBus::new(), Hand::default());
    let hand = bus.tap.clone();
    (Arc::new(bus), hand)
}

impl Hand {
    /// Acknowledgements of what is sent from now on wait, and so does whoever waits for all of them or leaves its group.
    pub(crate) fn hold_acknowledgements(&self) {
        self.hold.send_replace(true);
    }

    pub(crate) fn release_acknowledgements(&self) {
        self.hold.send_replace(false);
    }

    /// The broker of this topic lags: it shows none of the records to readers that are opened from now on.
    pub(crate) fn lag(&self, topic: &'static str) {
        self.lagging.send_replace(Some(topic));
    }

    pub(crate) fn catch_up(&self) {
        self.lagging.send_replace(None);
    }

    pub(crate) fn fail_joins(&self, count: usize) {
        *self.joins_to_fail.lock().unwrap() = count;
    }

    pub(crate) fn fail_member_reads(&self, count: usize) {
        *self.reads_to_fail.lock().unwrap() = count;
    }

    /// All members that are there now end for good.
    pub(crate) fn end_members(&self) {
        *self.ended.lock().unwrap() = *self.joins.lock().unwrap();
    }

    fn fails(count: &Mutex<usize>) -> Result<(), BusError> {
        let mut left = count.lock().unwrap();
        if *left == 0 {
            return Ok(());
        }
        *left -= 1;
        Err(BusError::Unreachable { servers: "nowhere:9092".to_owned(), reason: "told to fail".to_owned() })
    }
}

impl Tap for Hand {
    fn asked(&self, question: Question) -> Result<(), BusError> {
        if question != Question::Join {
            return Ok(());
        }
        *self.joins.lock().unwrap() += 1;
        Self::fails(&self.joins_to_fail)
    }

    fn reader(self: &Arc<Self>, topic: &str, inner: Box<dyn Reader>) -> Box<dyn Reader> {
        let lagging = self.lagging.subscribe();
        Box::new(SpyReader { inner, topic: topic.to_owned(), lagging, held: None })
    }

    fn producer(self: &Arc<Self>, inner: Box<dyn Producer>) -> Box<dyn Producer> {
        Box::new(SpyProducer { inner, hold: self.hold.subscribe() })
    }

    fn member(self: &Arc<Self>, inner: Box<dyn Member>) -> Box<dyn Member> {
        Box::new(SpyMember { inner, number: *self.joins.lock().unwrap(), hand: self.clone() })
    }
}

struct SpyReader {
    inner: Box<dyn Reader>,
    topic: String,
    lagging: watch::Receiver<Option<&'static str>>,
    /// Records that are not shown yet.
    held: Option<Vec<Message>>,
}

#[async_trait]
impl Reader for SpyReader {
    async fn next(&mut self) -> Result<Vec<Message>, BusError> {
        if self.held.is_none() {
            self.held = Some(self.inner.next().await?);
        }
        // An end that is reached is told of all the same.
        if self.held.as_ref().is_some_and(|records| !records.is_empty()) {
            let _ = self.lagging.wait_for(|topic| *topic != Some(self.topic.as_str())).await;
        }
        Ok(self.held.take().unwrap_or_default())
    }
}

struct SpyProducer {
    inner: Box<dyn Producer>,
    hold: watch::Receiver<bool>,
}

#[async_trait]
impl Producer for SpyProducer {
    fn send(&self, records: Vec<Outgoing>) {
        self.inner.send(records);
    }

    async fn flush(&self) -> Result<(), BusError> {
        let _ = self.hold.clone().wait_for(|held| !held).await;
        self.inner.flush().await
    }

    fn acknowledged(&self, matters: fn(u64) -> bool) -> Option<mpsc::UnboundedReceiver<Vec<u64>>> {
        let mut inner = self.inner.acknowledged(matters)?;
        let (sender, receiver) = mpsc::unbounded_channel();
        let mut hold = self.hold.clone();
        tokio::spawn(async move {
            while let Some(tokens) = inner.recv().await {
                if hold.wait_for(|held| !held).await.is_err() || sender.send(tokens).is_err() {
                    return;
                }
            }
        });
        Some(receiver)
    }

    fn undelivered(&self) -> Option<mpsc::UnboundedReceiver<Undelivered>> {
        self.inner.undelivered()
    }
}

struct SpyMember {
    inner: Box<dyn Member>,
    /// Which of the members it is, from 1.
    number: usize,
    hand: Arc<Hand>,
}

#[async_trait]
impl Member for SpyMember {
    async fn next(&mut self, max: usize) -> Result<Vec<Message>, BusError> {
        Hand::fails(&self.hand.reads_to_fail)?;
        if self.has_ended() {
            return Err(BusError::Other("it has ended".to_owned()));
        }
        self.inner.next(max).await
    }

    fn has_ended(&self) -> bool {
        self.number <= *self.hand.ended.lock().unwrap()
    }

    fn finish(&self, partition: i32, offset: i64) {
        self.inner.finish(partition, offset);
    }

    async fn leave(self: Box<Self>) -> Result<(), BusError> {
        let _ = self.hand.hold.subscribe().wait_for(|held| !held).await;
        self.inner.leave().await
    }
}
