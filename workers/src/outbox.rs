//! Answers on their way: encoded, sent, and kept until they are acknowledged.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use orch_bus::{Outgoing, Producer, Undelivered};
use orch_core::id::Millis;
use orch_wire::{Answer, AnswerKind};
use tracing::{debug, error, warn};

use crate::gate::{Gate, Verdict};
use crate::processor::truncate;
use crate::{Outputs, Work, WorkFailure};

/// What came of an attempt.
pub(crate) type Outcome = Result<Outputs, WorkFailure>;

/// An attempt that is over.
pub(crate) struct Done {
    pub(crate) work: Work,
    pub(crate) outcome: Outcome,
    /// How long it worked.
    pub(crate) elapsed: Duration,
}

/// Token of records that nobody waits for.
const SIGN: u64 = u64::MAX;
/// With the number of an attempt in work: the token of the record that hands it over.
const HAND_OVER: u64 = 1 << 63;
/// Longest `reason`.
const MAX_REASON_BYTES: usize = 64;

/// Where a ready record stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) partition: i32,
    pub(crate) offset: i64,
}

impl Place {
    /// Partition and offset as one number: Kafka's topics stay far below 32,768 partitions and 2^48 records.
    fn token(self) -> u64 {
        (u64::from(self.partition as u16 & 0x7fff) << 48) | (self.offset as u64 & 0xffff_ffff_ffff)
    }
}

/// What a worker has done since it began. Clones count together.
#[derive(Debug, Clone, Default)]
pub struct Counters(Arc<Cells>);

#[derive(Debug, Default)]
struct Cells {
    loaded: AtomicU64,
    failed: AtomicU64,
    skipped: AtomicU64,
    malformed: AtomicU64,
}

/// The counters at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Attempts answered with `ObjectLoaded`.
    pub loaded: u64,
    /// Attempts answered with `ObjectFailed`.
    pub failed: u64,
    /// Ready records of runs that were not open.
    pub skipped: u64,
    /// Records that could not be read.
    pub malformed: u64,
}

impl Counters {
    /// The counters now.
    pub fn now(&self) -> Counts {
        let read = |cell: &AtomicU64| cell.load(Ordering::Relaxed);
        let Cells { loaded, failed, skipped, malformed } = &*self.0;
        Counts {
            loaded: read(loaded),
            failed: read(failed),
            skipped: read(skipped),
            malformed: read(malformed),
        }
    }

    pub(crate) fn skipped(&self) {
        self.0.skipped.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns how many there are now.
    pub(crate) fn malformed(&self) -> u64 {
        self.0.malformed.fetch_add(1, Ordering::Relaxed) + 1
    }
}

/// An answer that is not acknowledged yet. Kept whole, so that it can be sent again.
struct Waiting {
    done: Done,
    place: Place,
    more_places: Vec<Place>,
}

/// Everything that this worker sends.
pub(crate) struct Outbox {
    producer: Box<dyn Producer>,
    worker: String,
    events_topic: Arc<str>,
    batch: Vec<Outgoing>,
    /// By token.
    waiting: HashMap<u64, Waiting>,
    /// Tokens of answers that the bus gave up.
    refused: Vec<u64>,
    counters: Counters,
}

impl Outbox {
    pub(crate) fn new(
        producer: Box<dyn Producer>,
        worker: String,
        events_topic: &str,
        counters: Counters,
    ) -> Self {
        let events_topic = Arc::from(events_topic);
        Self {
            producer,
            worker,
            events_topic,
            batch: Vec::new(),
            waiting: HashMap::new(),
            refused: Vec::new(),
            counters,
        }
    }

    /// Puts `ObjectStarted` or `ObjectProgress` into the batch.
    pub(crate) fn sign(&mut self, work: &Work, kind: AnswerKind<'_>) {
        self.put(work, None, kind, SIGN);
    }

    /// Puts the `ObjectStarted` into the batch that hands the attempt of this number over to its heartbeat.
    pub(crate) fn hand_over(&mut self, work: &Work, id: u64) {
        self.put(work, None, AnswerKind::Started, HAND_OVER | id);
    }

    /// Whether anything waits until the record of this token is written.
    pub(crate) fn is_waited_for(token: u64) -> bool {
        token != SIGN
    }

    /// The number of the attempt that the record of this token hands over, if it is one.
    pub(crate) fn handed_over(token: u64) -> Option<u64> {
        (token & HAND_OVER != 0 && Self::is_waited_for(token)).then_some(token & !HAND_OVER)
    }

    /// Waits until everything that was sent is acknowledged or given up.
    pub(crate) async fn flush(&self) {
        // What cannot be sent now will not be.
        let _ = self.producer.flush().await;
    }

    /// Puts the answer to an attempt into the batch. The record at `place`, and those at `more_places`, are finished
    /// when it is acknowledged.
    pub(crate) fn answer(&mut self, done: Done, place: Place, more_places: Vec<Place>) {
        let Done { work, outcome, .. } = &done;
        let counter = if outcome.is_ok() { &self.counters.0.loaded } else { &self.counters.0.failed };
        counter.fetch_add(1, Ordering::Relaxed);
        match outcome {
            Ok(_) => debug!(run = work.run(), object = %work.object(), attempt = work.attempt(), "loaded"),
            Err(failure) => {
                debug!(run = work.run(), object = %work.object(), attempt = work.attempt(), error = %failure, "failed");
            }
        }
        let waiting = Waiting { done, place, more_places };
        self.put_answer(&waiting);
        self.waiting.insert(place.token(), waiting);
    }

    /// Whether the record at `place` was answered and the answer is still on its way.
    pub(crate) fn holds(&self, place: Place) -> bool {
        self.waiting.contains_key(&place.token())
    }

    /// Sends the batch.
    pub(crate) fn send(&mut self) {
        if !self.batch.is_empty() {
            self.producer.send(std::mem::take(&mut self.batch));
        }
    }

    /// Whether nothing waits for an acknowledgement.
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// The record is written: hands out the places that are finished now.
    pub(crate) fn acknowledged(&mut self, token: u64, mut finish: impl FnMut(Place)) {
        if let Some(waiting) = self.waiting.remove(&token) {
            finish(waiting.place);
            waiting.more_places.into_iter().for_each(finish);
        }
    }

    /// The bus gave a record up. An answer is sent again by [`Outbox::retry`].
    pub(crate) fn undelivered(&mut self, record: &Undelivered) {
        if record.token & HAND_OVER != 0 {
            debug!(topic = &*record.topic, error = %record.error, "a sign of life was not delivered");
            return;
        }
        // Logged once for many: the same trouble mostly hits everything that is on its way.
        if self.refused.is_empty() {
            warn!(topic = &*record.topic, error = %record.error, "an answer was not delivered; it is sent again");
        }
        self.refused.push(record.token);
    }

    /// Sends what was given up again, as long as its run is open. Nobody waits for an answer of any other run: its
    /// record is finished, because a run that is deleted takes its topics along.
    pub(crate) fn retry(&mut self, gate: &Gate, mut finish: impl FnMut(Place)) {
        for token in std::mem::take(&mut self.refused) {
            let Some(waiting) = self.waiting.remove(&token) else { continue };
            if gate.verdict(waiting.done.work.run_uid()) == Verdict::Start {
                self.put_answer(&waiting);
                self.waiting.insert(token, waiting);
            } else {
                finish(waiting.place);
                waiting.more_places.into_iter().for_each(&mut finish);
            }
        }
        self.send();
    }

    fn put_answer(&mut self, waiting: &Waiting) {
        let Done { work, outcome, elapsed } = &waiting.done;
        let kind = match outcome {
            Ok(outputs) => AnswerKind::Loaded { outputs: outputs.json().map(Into::into) },
            Err(failure) => failed(failure),
        };
        let elapsed = Millis::try_from(elapsed.as_millis()).unwrap_or(Millis::MAX);
        self.put(work, Some(elapsed), kind, waiting.place.token());
    }

    fn put(&mut self, work: &Work, elapsed_ms: Option<Millis>, kind: AnswerKind<'_>, token: u64) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as Millis;
        let answer = Answer {
            run_uid: work.run_uid().as_str().into(),
            object: work.object().as_str().into(),
            stage: Some(work.stage().into()),
            attempt: work.attempt(),
            worker: self.worker.as_str().into(),
            elapsed_ms,
            kind,
        };
        let value = match answer.encode(work.run(), now) {
            Ok(value) => value,
            Err(error) => {
                // Outputs are checked where they are made, so this is a mistake of ours; the object fails all the same.
                error!(run = work.run(), object = %work.object(), %error, "an answer could not be written");
                return self.put(
                    work,
                    elapsed_ms,
                    failed(&WorkFailure::terminal("InvalidOutputs", error.to_string())),
                    token,
                );
            }
        };
        let topic = work.reply_topic().unwrap_or(&self.events_topic).clone();
        let key = Bytes::copy_from_slice(work.object().as_str().as_bytes());
        let headers = answer.headers(work.run_name(), work.run_uid(), now);
        self.batch.push(Outgoing { topic, partition: 0, key, value: value.into(), headers, token });
    }
}

/// The failure as a record. A processor may have filled its fields with anything, so they are bounded here.
fn failed(failure: &WorkFailure) -> AnswerKind<'_> {
    let mut reason = failure.reason.to_string();
    truncate(&mut reason, MAX_REASON_BYTES);
    let checked = WorkFailure::new(reason, failure.error.as_str());
    let checked = checked.with_log_tail(failure.log_tail.as_deref().unwrap_or_default());
    AnswerKind::Failed {
        reason: checked.reason,
        error: checked.error.into(),
        retryable: failure.retryable,
        retry_after_ms: failure
            .retry_after
            .map(|wait| Millis::try_from(wait.as_millis()).unwrap_or(Millis::MAX)),
        log_tail: checked.log_tail.map(Into::into),
    }
}
