//! Follows the control topic: passes its records on, and says when everything up to now was read.

use std::sync::Arc;
use std::time::Duration;

use orch_bus::{Bounds, Bus, BusError, Message, Reader};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use crate::trouble::Trouble;

/// Compaction may have removed the records before the end of the topic, so that none comes any more. Silence of this
/// length, on a bus that answers, counts as the end.
const SILENCE: Duration = Duration::from_secs(3);

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
        let opened = self.open().await;
        let mut reader = match opened {
            Ok(reader) => reader,
            Err(error) => return error.into(),
        };
        loop {
            if let Some(number) = *open {
                if let Err(stop) = self.read_to_end(&mut *reader).await {
                    return stop;
                }
                if self.updates.send(ControlUpdate::Synced(number)).await.is_err() {
                    return Stop::Gone;
                }
                *open = None;
            }
            let step = tokio::select! {
                question = questions.recv() => match question {
                    Some(number) => {
                        *open = Some(newest(questions, number));
                        Ok(())
                    }
                    None => return Stop::Gone,
                },
                batch = reader.next() => self.pass_on(batch).await,
            };
            if let Err(stop) = step {
                return stop;
            }
        }
    }

    async fn open(&mut self) -> Result<Box<dyn Reader>, BusError> {
        let bounds = self.bounds().await?;
        if !(bounds.low..=bounds.high).contains(&self.position) {
            // Truncated, or deleted and made anew.
            self.position = bounds.low;
        }
        let reader = self.bus.read(&self.topic, 0, self.position).await?;
        self.trouble.clear();
        Ok(reader)
    }

    async fn bounds(&self) -> Result<Bounds, BusError> {
        let bounds = self.bus.bounds(&self.topic).await?;
        bounds.first().copied().ok_or_else(|| BusError::UnknownTopic(self.topic.clone()))
    }

    async fn read_to_end(&mut self, reader: &mut dyn Reader) -> Result<(), Stop> {
        let end = self.bounds().await?.high;
        while self.position < end {
            match timeout(SILENCE, reader.next()).await {
                Ok(batch) => self.pass_on(batch).await?,
                Err(_) if self.bus.trouble().is_none() && self.bounds().await.is_ok() => break,
                Err(_) => {}
            }
        }
        Ok(())
    }

    async fn pass_on(&mut self, batch: Result<Vec<Message>, BusError>) -> Result<(), Stop> {
        let records = batch?;
        let Some(last) = records.last() else { return Ok(()) };
        let position = last.offset + 1;
        self.updates.send(ControlUpdate::Records(records)).await.map_err(|_| Stop::Gone)?;
        self.position = position;
        Ok(())
    }
}

/// One answer serves all questions that are waiting.
fn newest(questions: &mut mpsc::UnboundedReceiver<u64>, mut number: u64) -> u64 {
    while let Ok(next) = questions.try_recv() {
        number = next;
    }
    number
}
