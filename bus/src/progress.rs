//! What is finished of one partition: the lowest unfinished offset and, above it, which offsets are finished.
//! Pure: no I/O, no clock.
//!
//! Only offsets that were given out can be unfinished. An offset that the log skips (compaction, control records)
//! counts as finished as soon as a later one is given out, so a gap never holds the position back.
//!
//! The position is committed with metadata `b1:<base64>`: bit `i` of the bitmap (lowest bit of the first byte first)
//! says that offset `position + 1 + i` is finished. At most [`WINDOW`] offsets make at most 687 characters; Kafka's
//! default for `offset.metadata.max.bytes` is 4096.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Offsets from the lowest unfinished to the highest one that may be given out, both included.
pub const WINDOW: i64 = 4096;

const WORDS: usize = WINDOW as usize / 64;
const PREFIX: &str = "b1:";

/// The answer to "may this record be given out?".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Give {
    /// Yes; it counts as unfinished from now on.
    Now,
    /// It was finished before: skip it.
    Finished,
    /// It lies beyond the window: ask again when something below is finished.
    Later,
}

/// Progress of one partition.
#[derive(Debug, Clone)]
pub struct Progress {
    /// Everything below is finished.
    low: i64,
    /// Everything from here on was not looked at yet, unless its bit is set. Never below `low`.
    next: i64,
    /// A ring: the bit of an offset in `low .. low + WINDOW` is at `offset % WINDOW`. The bit of `low` is never set.
    finished: Box<[u64; WORDS]>,
}

impl Progress {
    /// Nothing below `offset` is of interest.
    pub fn new(offset: i64) -> Self {
        Self { low: offset, next: offset, finished: Box::new([0; WORDS]) }
    }

    /// Takes over from what was committed. Metadata of an unknown form says nothing: what is above runs again.
    pub fn restore(offset: i64, metadata: &str) -> Self {
        let mut progress = Self::new(offset);
        let bitmap =
            metadata.strip_prefix(PREFIX).and_then(|text| STANDARD.decode(text).ok()).unwrap_or_default();
        for (at, byte) in
            (0..WINDOW - 1).zip(bitmap.iter().flat_map(|byte| (0..8).map(move |bit| byte >> bit & 1)))
        {
            if byte == 1 {
                progress.set(offset + 1 + at);
            }
        }
        progress
    }

    /// Asks for the record at `offset`. Records must be asked for in rising order; after [`Give::Later`] the same one
    /// again.
    pub fn give(&mut self, offset: i64) -> Give {
        if offset < self.next {
            return Give::Finished;
        }
        if self.is_drained() {
            self.skip_to(offset);
        }
        if offset < self.low {
            return Give::Finished;
        }
        if offset >= self.low + WINDOW {
            return Give::Later;
        }
        for gap in self.next..offset {
            self.set(gap);
        }
        self.next = offset + 1;
        if self.is_set(offset) { Give::Finished } else { Give::Now }
    }

    /// The record is done. Returns whether that was news. It may come for a record of an earlier assignment that was
    /// not given out again yet: the work is done all the same.
    pub fn finish(&mut self, offset: i64) -> bool {
        if offset < self.low || offset >= self.low + WINDOW || self.is_set(offset) {
            return false;
        }
        self.set(offset);
        self.advance();
        true
    }

    /// What either of the two calls finished; what `self` gave out stays given out.
    #[must_use]
    pub fn merge(mut self, other: Self) -> Self {
        if other.low >= self.low + WINDOW {
            return other;
        }
        for offset in self.low..(other.low + WINDOW).min(self.low + WINDOW) {
            if offset < other.low || other.is_set(offset) {
                self.set(offset);
            }
        }
        self.advance();
        self
    }

    /// What was given out and is unfinished.
    pub fn unfinished(&self) -> impl Iterator<Item = i64> {
        (self.low..self.next).filter(|offset| !self.is_set(*offset))
    }

    /// Everything that was given out and is unfinished may be given out again.
    pub fn rewind(&mut self) {
        self.next = self.low;
    }

    /// The position to commit: everything below is finished.
    pub fn position(&self) -> i64 {
        self.low
    }

    /// Whether everything that was given out is finished.
    pub fn is_drained(&self) -> bool {
        self.low == self.next
    }

    /// The metadata to commit with [`Progress::position`].
    pub fn metadata(&self) -> String {
        let mut bitmap = vec![0u8; WINDOW as usize / 8];
        for at in 0..WINDOW - 1 {
            if self.is_set(self.low + 1 + at) {
                bitmap[at as usize / 8] |= 1 << (at % 8);
            }
        }
        let used = bitmap.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        format!("{PREFIX}{}", STANDARD.encode(&bitmap[..used]))
    }

    /// Nothing is unfinished below `offset`, and nothing between was ever given out.
    fn skip_to(&mut self, offset: i64) {
        if offset >= self.low + WINDOW {
            self.finished.fill(0);
            self.low = offset;
        }
        while self.low < offset {
            self.clear(self.low);
            self.low += 1;
        }
        self.advance();
    }

    fn advance(&mut self) {
        while self.is_set(self.low) {
            self.clear(self.low);
            self.low += 1;
        }
        self.next = self.next.max(self.low);
    }

    fn is_set(&self, offset: i64) -> bool {
        let (word, mask) = place(offset);
        self.finished[word] & mask != 0
    }

    fn set(&mut self, offset: i64) {
        let (word, mask) = place(offset);
        self.finished[word] |= mask;
    }

    fn clear(&mut self, offset: i64) {
        let (word, mask) = place(offset);
        self.finished[word] &= !mask;
    }
}

fn place(offset: i64) -> (usize, u64) {
    let at = offset.rem_euclid(WINDOW) as usize;
    (at / 64, 1 << (at % 64))
}

#[cfg(test)]
mod tests;
