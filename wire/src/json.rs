//! JSON written straight into a buffer: records come by the hundred thousand.

use std::io::Write as _;

use orch_core::id::{Millis, canonical_number};
use serde::Serialize;

use crate::time::write_rfc3339;

/// A record that is being written.
pub(crate) struct JsonBuffer(Vec<u8>);

impl JsonBuffer {
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes))
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.0
    }

    /// A text as it is: JSON already.
    pub(crate) fn raw(&mut self, json: &str) -> &mut Self {
        self.0.extend_from_slice(json.as_bytes());
        self
    }

    /// A text in quotes.
    pub(crate) fn text(&mut self, text: &str) -> &mut Self {
        let is_plain = |byte: u8| byte >= b' ' && byte != b'"' && byte != b'\\';
        if text.bytes().all(is_plain) {
            self.0.push(b'"');
            self.raw(text);
            self.0.push(b'"');
            self
        } else {
            self.value(&text)
        }
    }

    /// An id: a number for canonical decimals up to 2^53 - 1, else a text.
    pub(crate) fn id(&mut self, id: &str) -> &mut Self {
        if canonical_number(id).is_some() { self.raw(id) } else { self.text(id) }
    }

    /// A whole number.
    pub(crate) fn number(&mut self, number: impl std::fmt::Display) -> &mut Self {
        // A `Vec` takes everything, here and below.
        let _ = write!(self.0, "{number}");
        self
    }

    /// A time in quotes.
    pub(crate) fn time(&mut self, time: Millis) -> &mut Self {
        self.0.push(b'"');
        write_rfc3339(&mut self.0, time);
        self.0.push(b'"');
        self
    }

    /// Anything else.
    pub(crate) fn value(&mut self, value: &impl Serialize) -> &mut Self {
        let _ = serde_json::to_writer(&mut self.0, value);
        self
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::id_json;

    fn written(write: impl FnOnce(&mut JsonBuffer)) -> String {
        let mut json = JsonBuffer::with_capacity(0);
        write(&mut json);
        String::from_utf8(json.finish()).unwrap()
    }

    #[test]
    fn ids_are_numbers_where_every_reader_keeps_them() {
        for (id, expected) in [
            ("7", "7"),
            ("007", "\"007\""),
            ("9007199254740991", "9007199254740991"),
            ("9007199254740992", "\"9007199254740992\""),
            ("a\"b\\c", r#""a\"b\\c""#),
            ("été", "\"été\""),
        ] {
            assert_eq!(written(|json| _ = json.id(id)), expected);
        }
    }

    proptest! {
        #[test]
        fn texts_and_ids_are_what_the_library_writes(text in ".*") {
            let value = serde_json::Value::from(text.as_str());
            prop_assert_eq!(written(|json| _ = json.text(&text)), value.to_string());
            prop_assert_eq!(written(|json| _ = json.id(&text)), id_json(&text).to_string());
        }
    }
}
