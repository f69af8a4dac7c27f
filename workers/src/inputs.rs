//! Inputs that a ready record only names: too much for one record, they stand in the events topic, each in the
//! `ObjectLoaded` of its object. They are read before the processor sees the work, which then looks as if the record
//! had held them.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use orch_bus::{Bus, BusError, Message};
use orch_wire::{Answer, AnswerKind, EventsRecord, MAX_OUTPUTS_BYTES, decode_event};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::work::is_id;
use crate::{Work, WorkFailure};

/// Inputs that all works of a worker hold at a time. One work that needs more waits until it is alone.
const ROOM_BYTES: usize = 64 * 1024 * 1024;
/// What one permit stands for: the outputs of one object.
const PERMITS: usize = ROOM_BYTES / MAX_OUTPUTS_BYTES;
/// Records that are read over rather than opening another reader.
const GAP: i64 = 20_000;
/// While the bus does not answer it is asked again after this.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// Reads inputs from the events topic.
#[derive(Clone)]
pub(crate) struct InputReader {
    bus: Arc<dyn Bus>,
    /// Where a ready record without `reply_topic` has its answers.
    events_topic: Arc<str>,
    room: Arc<Semaphore>,
}

/// A work with all its inputs, and the room that they take.
pub(crate) struct Complete {
    pub(crate) work: Work,
    _room: Option<OwnedSemaphorePermit>,
}

/// One input of a ready record.
#[derive(Deserialize)]
struct InputView<'a> {
    #[serde(borrow)]
    id: &'a RawValue,
    #[serde(borrow, default)]
    outputs: Option<&'a RawValue>,
    #[serde(default)]
    events_offset: Option<i64>,
}

impl InputReader {
    pub(crate) fn new(bus: Arc<dyn Bus>, events_topic: &str) -> Self {
        Self { bus, events_topic: events_topic.into(), room: Arc::new(Semaphore::new(PERMITS)) }
    }

    /// Reads what the record only names. While the bus is away it waits; what is gone from the topic is gone for good.
    pub(crate) async fn complete(&self, work: Work) -> Result<Complete, WorkFailure> {
        let inputs: Vec<InputView<'_>> = serde_json::from_str(work.inputs()).map_err(|error| {
            WorkFailure::terminal("InputUnreadable", format!("the inputs of the ready record: {error}"))
        })?;
        let mut wanted = Vec::new();
        for (n, input) in inputs.iter().enumerate() {
            match (input.outputs, input.events_offset) {
                (Some(_), _) => {}
                (None, Some(offset)) if offset >= 0 => wanted.push((offset, n)),
                (None, _) => {
                    let error = format!("input {} has neither outputs nor a place of them", input.id);
                    return Err(WorkFailure::terminal("InputUnreadable", error));
                }
            }
        }
        if wanted.is_empty() {
            return Ok(Complete { work, _room: None });
        }
        wanted.sort_unstable();
        let permits = wanted.len().min(PERMITS) as u32;
        // It is never closed.
        let room = self.room.clone().acquire_many_owned(permits).await.ok();
        let mut texts: Vec<Option<String>> = vec![None; inputs.len()];
        for stretch in wanted.chunk_by(|(before, _), (after, _)| after - before <= GAP) {
            self.read_stretch(&work, stretch, &inputs, &mut texts).await?;
        }
        let text = |(input, text): (&InputView<'_>, &Option<String>)| {
            let outputs = text.as_deref().or(input.outputs.map(RawValue::get)).unwrap_or("null");
            format!("{{\"id\":{},\"outputs\":{outputs}}}", input.id)
        };
        let json: Vec<String> = inputs.iter().zip(&texts).map(text).collect();
        let json = format!("[{}]", json.join(","));
        let work = work.with_inputs(&json);
        Ok(Complete { work, _room: room })
    }

    /// Reads `wanted` (offset, and number of the input; sorted) with one reader.
    async fn read_stretch(
        &self,
        work: &Work,
        wanted: &[(i64, usize)],
        inputs: &[InputView<'_>],
        texts: &mut [Option<String>],
    ) -> Result<(), WorkFailure> {
        let topic = work.reply_topic().unwrap_or(&self.events_topic);
        let (first, last) = (wanted[0].0, wanted[wanted.len() - 1].0);
        let found = loop {
            match self.records(topic, first..last + 1, wanted).await {
                Err(BusError::Unreachable { .. }) => tokio::time::sleep(ASK_AGAIN).await,
                Err(error) => return Err(WorkFailure::new("InputUnreadable", error.to_string())),
                Ok(found) => break found,
            }
        };
        for (offset, n) in wanted {
            let id: Value = serde_json::from_str(inputs[*n].id.get())?;
            let message = found.binary_search_by_key(offset, |message| message.offset).map(|at| &found[at]);
            let outputs = message.ok().and_then(|message| outputs(work, &id, message));
            texts[*n] = Some(outputs.ok_or_else(|| {
                // No attempt will ever find it.
                let error = format!("the outputs of {id} are not at offset {offset} of `{topic}` any more");
                WorkFailure::terminal("InputLost", error)
            })?);
        }
        Ok(())
    }

    /// The records at the wanted offsets, as far as they are there.
    async fn records(
        &self,
        topic: &str,
        stretch: Range<i64>,
        wanted: &[(i64, usize)],
    ) -> Result<Vec<Message>, BusError> {
        let mut found = Vec::with_capacity(wanted.len());
        let last = stretch.end - 1;
        let mut reader = self.bus.read(topic, 0, stretch).await?;
        loop {
            let batch = reader.next().await?;
            let Some(end) = batch.last().map(|message| message.offset) else { return Ok(found) };
            let is_wanted = |message: &Message| wanted.binary_search_by_key(&message.offset, |w| w.0).is_ok();
            found.extend(batch.into_iter().filter(is_wanted));
            if end >= last {
                return Ok(found);
            }
        }
    }
}

/// The outputs that a record hands on, if it is the right one.
fn outputs(work: &Work, id: &Value, message: &Message) -> Option<String> {
    match decode_event(&message.key, &message.value) {
        Ok(EventsRecord::Answer(Answer {
            run_uid,
            object,
            kind: AnswerKind::Loaded { outputs: Some(outputs) },
            ..
        })) if run_uid == work.run_uid().as_str() && is_id(id, &object) => Some(outputs.into_owned()),
        _ => None,
    }
}
