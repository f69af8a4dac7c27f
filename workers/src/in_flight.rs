//! The attempts that are being worked on, and the task of each. No I/O.

use std::any::Any;
use std::collections::{BTreeSet, HashMap};
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;

use orch_core::id::{Attempt, ObjectId, RunUid};
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::heartbeat::{Due, Pulse};
use crate::inputs::InputReader;
use crate::outbox::{Outcome, Place};
use crate::{Processor, Progress, Work, WorkFailure};

/// One attempt that is being worked on.
pub(crate) struct Running {
    pub(crate) work: Work,
    /// Where its ready record stands.
    pub(crate) place: Place,
    /// Where it stands again, after a take-over that published it once more.
    pub(crate) more_places: Vec<Place>,
    /// Its records are finished: from now on its heartbeat is its life.
    pub(crate) is_handed_over: bool,
    pub(crate) progress: Progress,
    pub(crate) began: Instant,
    pub(crate) pulse: Pulse,
    pub(crate) task: AbortHandle,
}

type AttemptKey = (RunUid, ObjectId, Attempt);

/// All attempts that are being worked on.
#[derive(Default)]
pub(crate) struct InFlight {
    running: HashMap<u64, Running>,
    by_attempt: HashMap<AttemptKey, u64>,
    /// When which of them needs a look.
    due: BTreeSet<(Instant, u64)>,
    last_id: u64,
}

impl InFlight {
    /// A number for the next one.
    pub(crate) fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    pub(crate) fn insert(&mut self, id: u64, running: Running) {
        self.due.insert((running.pulse.next(), id));
        self.by_attempt.insert(key(&running.work), id);
        self.running.insert(id, running);
    }

    /// Whether this attempt is being worked on already. Then the record at `place` is finished together with it.
    pub(crate) fn attach(&mut self, work: &Work, place: Place) -> bool {
        if self.running.is_empty() {
            return false;
        }
        let id = self.by_attempt.get(&key(work));
        let Some(running) = id.and_then(|id| self.running.get_mut(id)) else { return false };
        if running.place != place && !running.more_places.contains(&place) {
            running.more_places.push(place);
        }
        true
    }

    /// Takes one out. `None` if it was taken out before.
    pub(crate) fn remove(&mut self, id: u64) -> Option<Running> {
        let running = self.running.remove(&id)?;
        self.due.remove(&(running.pulse.next(), id));
        self.by_attempt.remove(&key(&running.work));
        Some(running)
    }

    pub(crate) fn get(&self, id: u64) -> Option<&Running> {
        self.running.get(&id)
    }

    pub(crate) fn get_mut(&mut self, id: u64) -> Option<&mut Running> {
        self.running.get_mut(&id)
    }

    /// All of them with their numbers.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, &Running)> {
        self.running.iter().map(|(id, running)| (*id, running))
    }

    /// When [`InFlight::due`] has something to say next.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at)
    }

    /// The next thing that is due by now.
    pub(crate) fn due(&mut self, now: Instant) -> Option<(u64, Due)> {
        let (at, id) = *self.due.first()?;
        if at > now {
            return None;
        }
        self.due.remove(&(at, id));
        let pulse = &mut self.running.get_mut(&id)?.pulse;
        let due = pulse.due(now);
        self.due.insert((pulse.next(), id));
        due.map(|due| (id, due))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.running.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.running.len()
    }

    /// Stops all of them.
    pub(crate) fn abort_all(&mut self) {
        self.running.values().for_each(|running| running.task.abort());
    }
}

fn key(work: &Work) -> AttemptKey {
    (work.run_uid().clone(), work.object().clone(), work.attempt())
}

/// The word that a task has ended.
pub(crate) struct Ended {
    pub(crate) id: u64,
    /// `None`: it was stopped.
    pub(crate) outcome: Option<Outcome>,
}

/// Sends [`Ended`] however the task ends. The slot is given back after that.
pub(crate) struct Report {
    id: u64,
    outcome: Option<Outcome>,
    to: UnboundedSender<Ended>,
    _slot: OwnedSemaphorePermit,
}

impl Report {
    pub(crate) fn new(id: u64, to: UnboundedSender<Ended>, slot: OwnedSemaphorePermit) -> Self {
        Self { id, outcome: None, to, _slot: slot }
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        // A worker that is gone needs no word.
        let _ = self.to.send(Ended { id: self.id, outcome: self.outcome.take() });
    }
}

/// Does the work of one attempt; a panic becomes its failure. Where `inputs` are given some have to be read first.
pub(crate) async fn attempt(
    processor: Arc<dyn Processor>,
    inputs: Option<InputReader>,
    work: Work,
    progress: Progress,
    mut report: Report,
) {
    report.outcome = Some(match inputs {
        None => guarded(processor.process(&work, &progress)).await,
        Some(inputs) => {
            guarded(async {
                let complete = inputs.complete(work).await?;
                processor.process(&complete.work, &progress).await
            })
            .await
        }
    });
}

/// [`Processor::process_now`]; a panic becomes the failure.
pub(crate) fn attempt_now(processor: &dyn Processor, work: &Work) -> Option<Outcome> {
    catch_unwind(AssertUnwindSafe(|| processor.process_now(work)))
        .unwrap_or_else(|panic| Some(Err(panicked(&*panic))))
}

/// After a panic the future is dropped and never looked at again, so that nothing half-done is seen.
async fn guarded(work: impl Future<Output = Outcome>) -> Outcome {
    let mut work = pin!(work);
    let polled = poll_fn(|context| {
        let poll = catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(context)));
        match poll {
            Ok(poll) => poll.map(Ok),
            Err(panic) => std::task::Poll::Ready(Err(panic)),
        }
    });
    polled.await.unwrap_or_else(|panic| Err(panicked(&*panic)))
}

fn panicked(panic: &(dyn Any + Send)) -> WorkFailure {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    WorkFailure::new("Panic", format!("the processor panicked: {}", text.unwrap_or("without a message")))
}
