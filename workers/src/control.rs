//! Follows the control topic: passes its records on, and says when everything up to now was read.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;

use orch_bus::{Bounds, Bus, BusError, Message, Reader};
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use crate::trouble::Trouble;

/// What comes from the control topic.
#[derive(Debug)]
pub(crate) enum ControlUpdate {
    /// Records in order.
    Records(Vec<Message>),
    /// Everything that was in the topic when the question of this number was asked has been passed on.
    Synced(u64),
}

/// A task that reads the control topic for as long as this lives.
pub(crate) struct ControlFeed {
    updates: mpsc::Receiver<ControlUpdate>,
    questions: mpsc::UnboundedSender<u64>,
    asked: u64,
    _task: AbortOnDropHandle<()>,
}

impl ControlFeed {
    /// Begins to read from the first record on.
    pub(crate) fn start(bus: Arc<dyn Bus>, topic: String) -> Self {
        let (to_worker, updates) = mpsc::channel(16);
        let (questions, from_worker) = mpsc::unbounded_channel();
        let trouble = Trouble::with("the control topic");
        let follower = Follower { bus, topic, trouble, position: 0, updates: to_worker };
        let task = tokio::spawn(follower.follow(from_worker));
        Self { updates, questions, asked: 0, _task: AbortOnDropHandle::new(task) }
    }

    /// Asks for everything up to now. The number comes back with [`ControlUpdate::Synced`].
    pub(crate) fn ask(&mut self) -> u64 {
        self.asked += 1;
        // The task lives as long as this does.
        let _ = self.questions.send(self.asked);
        self.asked
    }

    /// The next update. Cancel-safe. `None` only after a panic of the task.
    pub(crate) async fn next(&mut self) -> Option<ControlUpdate> {
        self.updates.recv().await
    }
}

struct Follower {
    bus: Arc<dyn Bus>,
    topic: String,
    trouble: Trouble,
    /// Offset of the record to read next.
    position: i64,
    updates: mpsc::Sender<ControlUpdate>,
}

/// Why a follower stopped reading.
enum Stop {
    /// Nobody listens any more.
    Gone,
    /// Open the topic again and go on.
    Trouble(BusError),
}

impl From<BusError> for Stop {
    fn from(error: BusError) -> Self {
        Self::Trouble(error)
    }
}

impl Follower {
    async fn follow(mut self, mut questions: mpsc::UnboundedReceiver<u64>) {
        let mut open_question = None;
        loop {
            match self.read(&mut questions, &mut open_question).await {
                Stop::Gone => return,
                Stop::Trouble(error) => tokio::time::sleep(self.trouble.report(&error.to_string())).await,
            }
        }
    }

    async fn read(&mut self, questions: &mut mpsc::UnboundedReceiver<u64>, open: &mut Option<u64>) -> Stop {
        match self.read_on(questions, open).await {
            Ok(never) => match never {},
            Err(stop) => stop,
        }
    }

    async fn read_on(
        &mut self,
        questions: &mut mpsc::UnboundedReceiver<u64>,
        open: &mut Option<u64>,
    ) -> Result<Infallible, Stop> {
        loop {
            // A reader tells of the end that it was opened with: only one that is opened after the question knows the one
            // to wait for.
            let mut reader = self.open().await?;
            if let Some(number) = *open {
                while self.pass_on(reader.next().await).await? {}
                self.tell(ControlUpdate::Synced(number)).await?;
                *open = None;
            }
            while open.is_none() {
                tokio::select! {
                    question = questions.recv() => {
                        let number = newest(questions, question.ok_or(Stop::Gone)?);
                        *open = Some(number);
                        if self.reaches_end(&mut *reader).await? {
                            self.tell(ControlUpdate::Synced(number)).await?;
                            *open = None;
                        }
                    }
                    batch = reader.next() => {
                        self.pass_on(batch).await?;
                    }
                }
            }
        }
    }

    /// Asks where the end is, and reads on meanwhile. Says whether that was enough, as it mostly is: compaction may have
    /// removed the last records.
    async fn reaches_end(&mut self, reader: &mut dyn Reader) -> Result<bool, Stop> {
        let (bus, topic) = (self.bus.clone(), self.topic.clone());
        let mut asked = pin!(bounds(&*bus, &topic));
        loop {
            tokio::select! {
                bounds = &mut asked => return Ok(self.position >= bounds?.high),
                batch = reader.next() => {
                        self.pass_on(batch).await?;
                    }
            }
        }
    }

    async fn open(&mut self) -> Result<Box<dyn Reader>, BusError> {
        let bounds = bounds(&*self.bus, &self.topic).await?;
        if !(bounds.low..=bounds.high).contains(&self.position) {
            // Truncated, or deleted and made anew.
            self.position = bounds.low;
        }
        let reader = self.bus.read(&self.topic, 0, self.position..bounds.high).await?;
        self.trouble.clear();
        Ok(reader)
    }

    /// Passes records on. `false` when there are none: the reader has given all that it was opened for.
    async fn pass_on(&mut self, batch: Result<Vec<Message>, BusError>) -> Result<bool, Stop> {
        let records = batch?;
        let Some(last) = records.last() else { return Ok(false) };
        let position = last.offset + 1;
        self.tell(ControlUpdate::Records(records)).await?;
        self.position = position;
        Ok(true)
    }

    async fn tell(&self, update: ControlUpdate) -> Result<(), Stop> {
        self.updates.send(update).await.map_err(|_| Stop::Gone)
    }
}

async fn bounds(bus: &dyn Bus, topic: &str) -> Result<Bounds, BusError> {
    let bounds = bus.bounds(topic).await?;
    bounds.first().copied().ok_or_else(|| BusError::UnknownTopic(topic.to_owned()))
}

/// One answer serves all questions that are waiting.
fn newest(questions: &mut mpsc::UnboundedReceiver<u64>, mut number: u64) -> u64 {
    while let Ok(next) = questions.try_recv() {
        number = next;
    }
    number
}
