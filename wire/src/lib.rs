//! The Kafka record contract: types, JSON, headers and topic names. No client, no decision.
//!
//! A record's key is the object's id (authoritative), its value JSON of at most [`MAX_RECORD_BYTES`]. The first four
//! fields of every value (`event_type`, `id_objet`, `meta`, `event_datetime`) are those of the system this contract
//! comes from, so that its readers keep working.

mod answer;
mod control;
mod headers;
mod json;
mod ready;
mod run_record;
mod snapshot;
mod time;
mod topic;

pub use answer::{Answer, AnswerKind, EventsRecord, Malformed, decode_event};
pub use control::{ControlRecord, RunGate};
pub use headers::{HEADER_REPLY_TOPIC, Headers};
pub use ready::{Input, Ready, ReadyView};
pub use run_record::{RunRecord, RunRecordKind};
pub use snapshot::{Assembly, BrokenSnapshot, Part, Snapshot, pack, unpack};
pub use time::{parse_rfc3339, rfc3339};
pub use topic::{TopicNames, TopicPrefix};

/// Largest value of a record.
pub const MAX_RECORD_BYTES: usize = 512 * 1024;
/// Largest `outputs` of an answer; `log_tail` has the same limit.
pub const MAX_OUTPUTS_BYTES: usize = 4 * 1024;
/// Longest `error` of a failure: what is beyond is cut.
pub const MAX_ERROR_BYTES: usize = 4 * 1024;
/// Longest `worker` and `reason`: what is beyond is cut. A run keeps the names of all its workers.
pub const MAX_WORD_BYTES: usize = 253;
/// Deepest nesting of any field of an answer, as of `meta` and `params`: dependants get `outputs` some levels further in.
pub const MAX_NESTING: usize = orch_core::plan::MAX_DEPTH;

/// An id as JSON writes it: a number for canonical decimals up to 2^53 - 1, else a string.
pub(crate) fn id_json(id: &str) -> serde_json::Value {
    match orch_core::id::canonical_number(id) {
        Some(number) => number.into(),
        None => id.into(),
    }
}
