//! What is known of the log of a partition, also while it is not ours: a topic that was deleted and made again has other
//! records at the same offsets. No I/O.

use std::collections::BTreeSet;

use crate::Committed;
use crate::progress::Progress;

/// See the module.
pub(super) struct Known {
    pub(super) progress: Progress,
    /// The group has a position of it: the broker forgets that only with the topic.
    pub(super) is_committed: bool,
    /// The highest offset that was read, and the latest append time.
    last: Option<(i64, i64)>,
    /// In work, of the log that stood here before: the end of these says nothing of this one.
    former: BTreeSet<i64>,
}

impl Known {
    /// What was known before, and what the group says now.
    pub(super) fn of(lost: Option<Self>, committed: Option<&Committed>) -> Self {
        let committed_there = committed.map(|at| Progress::restore(at.offset, &at.metadata));
        let is_committed = committed.is_some();
        match (lost, committed_there) {
            (Some(lost), None) if lost.is_committed => lost.anew(),
            (Some(lost), None) => lost,
            (Some(lost), Some(there)) => Self { progress: lost.progress.merge(there), is_committed, ..lost },
            (None, there) => Self {
                progress: there.unwrap_or_else(|| Progress::new(0)),
                is_committed,
                last: None,
                former: BTreeSet::new(),
            },
        }
    }

    /// A record was read. Says whether the log began anew with it. Within a log nothing was appended later than what
    /// stands behind it; and where a broker's clock was put back, records run again at worst.
    pub(super) fn read(&mut self, offset: i64, time: i64) -> bool {
        let is_anew = self.last.is_some_and(|(last, latest)| offset <= last && time > latest);
        if is_anew {
            let known = std::mem::replace(self, Self::of(None, None));
            *self = known.anew();
        }
        let (last, latest) = self.last.unwrap_or((offset, time));
        self.last = Some((last.max(offset), latest.max(time)));
        is_anew
    }

    /// The record is done. Returns whether that was news.
    pub(super) fn finish(&mut self, offset: i64) -> bool {
        !self.former.remove(&offset) && self.progress.finish(offset)
    }

    fn anew(mut self) -> Self {
        self.former.extend(self.progress.unfinished());
        Self { progress: Progress::new(0), is_committed: false, last: None, former: self.former }
    }
}
