//! How much the texts of one run may hold in sum: a ConfigMap of a mebibyte unpacks to gigabytes, and a run names a
//! thousand of them.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::{fields, text};
use crate::finding::{Finding, FindingKind};

/// Text of all entries of `objectsFrom` after decompression: 200,000 objects of more than a thousand bytes each.
const MAX_BYTES: usize = 256 << 20;
/// Objects of all entries of `objectsFrom`.
const MAX_OBJECTS: usize = 1_000_000;

/// What is left for the next texts of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    bytes: usize,
    objects: usize,
    is_spent: bool,
}

impl Default for Room {
    fn default() -> Self {
        Self { bytes: MAX_BYTES, objects: MAX_OBJECTS, is_spent: false }
    }
}

impl Room {
    /// Whether a text was refused because of those before it: the next ones need not be looked at.
    pub fn is_spent(&self) -> bool {
        self.is_spent
    }

    /// The text of a source, plain or gzip.
    pub(super) fn text<'b>(&mut self, source: &str, bytes: &'b [u8]) -> Result<Cow<'b, str>, Vec<Finding>> {
        let limit = text::CHUNK_MAX_BYTES.min(self.bytes);
        match text::decode(source, bytes, limit) {
            Ok(text) => {
                self.bytes -= text.len();
                Ok(text)
            }
            Err(findings) if limit == self.bytes && findings[0].kind == FindingKind::TooLarge => {
                Err(self.too_much(source, &format!("{} MiB of text", MAX_BYTES >> 20)))
            }
            Err(findings) => Err(findings),
        }
    }

    /// The entries of a source's JSON array.
    pub(super) fn entries<'t>(
        &mut self,
        source: &str,
        text: &'t str,
    ) -> Result<Vec<&'t RawValue>, Vec<Finding>> {
        match fields::array(source, text, self.objects)? {
            Some(entries) => {
                self.objects -= entries.len();
                Ok(entries)
            }
            None => Err(self.too_much(source, &format!("{MAX_OBJECTS} objects"))),
        }
    }

    fn too_much(&mut self, source: &str, what: &str) -> Vec<Finding> {
        self.is_spent = true;
        let problem = format!("it and the sources before it hold more than {what}");
        vec![Finding::new(FindingKind::TooLarge, source, problem, "split the run into several")]
    }
}
