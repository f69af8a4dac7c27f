//! From librdkafka's messages to ours.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use orch_core::id::Millis;
use orch_wire::HEADER_REPLY_TOPIC;
use rdkafka::Message as _;
use rdkafka::message::{BorrowedMessage, Headers as _};

use crate::Message;

/// Keys and values are copied into chunks of this size, so that a record costs no allocation of its own. A record that
/// is kept keeps its chunk, hence no larger.
const CHUNK: usize = 64 * 1024;

/// The last millisecond of the year 9999.
const LAST: Millis = 253_402_300_799_999;

/// When a record was written. Where whoever writes says that, as in a topic that somebody else has made, it may be any
/// number: within these bounds timeouts can be added to it, and it can be shown.
fn time(said: Option<i64>) -> Millis {
    said.unwrap_or(0).clamp(0, LAST)
}

/// Copies messages.
#[derive(Default)]
pub(super) struct Copier {
    chunk: BytesMut,
    /// Whether headers are looked at: librdkafka takes each of them apart for it.
    with_headers: bool,
    /// The last one: it hardly ever changes.
    reply_topic: Option<Arc<str>>,
}

impl Copier {
    pub(super) fn with_headers() -> Self {
        Self { with_headers: true, ..Self::default() }
    }

    pub(super) fn copy(&mut self, message: &BorrowedMessage<'_>) -> Message {
        Message {
            partition: message.partition(),
            offset: message.offset(),
            time: time(message.timestamp().to_millis()),
            key: self.bytes(message.key()),
            value: self.bytes(message.payload()),
            reply_topic: if self.with_headers { self.reply_topic(message) } else { None },
        }
    }

    fn bytes(&mut self, bytes: Option<&[u8]>) -> Bytes {
        let bytes = bytes.unwrap_or_default();
        if self.chunk.capacity() - self.chunk.len() < bytes.len() {
            self.chunk = BytesMut::with_capacity(CHUNK.max(bytes.len()));
        }
        self.chunk.extend_from_slice(bytes);
        self.chunk.split().freeze()
    }

    fn reply_topic(&mut self, message: &BorrowedMessage<'_>) -> Option<Arc<str>> {
        let headers = message.headers()?;
        // Ours writes it last.
        let mut all = (0..headers.count()).rev().map(|n| headers.get(n));
        let header = all.find(|header| header.key == HEADER_REPLY_TOPIC)?;
        let found = std::str::from_utf8(header.value?).ok()?;
        if self.reply_topic.as_deref() != Some(found) {
            self.reply_topic = Some(found.into());
        }
        self.reply_topic.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_time_a_record_says_it_has_one_that_can_be_reckoned_with() {
        let said = [None, Some(i64::MIN), Some(-1), Some(1_795_000_000_000), Some(i64::MAX)];
        assert_eq!(said.map(time), [0, 0, 0, 1_795_000_000_000, LAST]);
    }
}
