//! How much the sources of one run may hold in sum: a ConfigMap of a mebibyte unpacks to gigabytes, and a run names a
//! thousand of them. What is beyond is refused while it is read, before it takes memory.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::{fields, text};
use crate::finding::{Finding, FindingKind};
use crate::limits;

/// What is left for the next sources of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    bytes: usize,
    objects: usize,
    dependencies: usize,
    is_spent: bool,
}

impl Default for Room {
    fn default() -> Self {
        Self { bytes: Self::MAX_BYTES, ..Self::of_file() }
    }
}

impl Room {
    /// Text of all entries of `objectsFrom` after decompression: 200,000 objects of more than a thousand bytes each.
    pub const MAX_BYTES: usize = 256 << 20;

    /// The room of a file that is a whole run.
    pub(super) fn of_file() -> Self {
        Self {
            bytes: text::FILE_MAX_BYTES,
            objects: limits::OBJECTS,
            dependencies: limits::DEPENDENCIES,
            is_spent: false,
        }
    }

    /// Whether a source was refused because of those before it: the next ones need not be looked at.
    pub fn is_spent(&self) -> bool {
        self.is_spent
    }

    /// The text of an entry of `objectsFrom`, plain or gzip. One that is refused takes its room too: it was unpacked.
    pub(super) fn text<'b>(&mut self, source: &str, bytes: &'b [u8]) -> Result<Cow<'b, str>, Vec<Finding>> {
        let limit = text::CHUNK_MAX_BYTES.min(self.bytes);
        match text::decode(source, bytes, limit) {
            Ok(text) => {
                self.bytes -= text.len();
                Ok(text)
            }
            Err(refused) if limit == self.bytes && refused.unpacked_bytes > limit => {
                self.is_spent = true;
                let what = format!("{} MiB of text", Self::MAX_BYTES >> 20);
                let problem = format!("it and the sources before it hold more than {what}");
                Err(vec![Finding::new(FindingKind::TooLarge, source, problem, "split the run into several")])
            }
            Err(refused) => {
                self.bytes = self.bytes.saturating_sub(refused.unpacked_bytes);
                Err(refused.findings)
            }
        }
    }

    /// The entries of a source's JSON array.
    pub(super) fn entries<'t>(
        &mut self,
        source: &str,
        text: &'t str,
    ) -> Result<Vec<&'t RawValue>, Vec<Finding>> {
        let Some(entries) = fields::array(source, text, self.objects)? else {
            self.is_spent = true;
            return Err(vec![limits::too_large(source, limits::OBJECTS, "objects")]);
        };
        self.objects -= entries.len();
        Ok(entries)
    }

    /// Takes the dependencies of one object, whose field stands at `place`.
    pub(super) fn dependencies(
        &mut self,
        count: usize,
        place: impl FnOnce() -> String,
    ) -> Result<(), Finding> {
        if count > limits::DEPENDENCIES_OF_ONE {
            return Err(limits::too_many_dependencies(place()));
        }
        if count > self.dependencies {
            self.is_spent = true;
            return Err(limits::too_large(place(), limits::DEPENDENCIES, "dependencies"));
        }
        self.dependencies -= count;
        Ok(())
    }
}
