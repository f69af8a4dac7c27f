//! What loaded objects handed on: where it stands in the log, and the text itself for as long as it may be needed soon.
//!
//! A run of 100,000 objects may hand on 400 MB. So the text is kept only while a dependant that has not ended may get
//! it, and only up to a limit a run; of all others the offset suffices. All of it follows from the records, so that every
//! fold of the same log makes the same ready records.

use std::collections::HashMap;

use crate::id::ObjectIx;

/// Texts of one run at most, each with [`TEXT_OVERHEAD`].
const HELD_BYTES: usize = 8 * 1024 * 1024;
/// What a text costs beside its bytes.
const TEXT_OVERHEAD: usize = 64;
/// Inputs above this in sum go by offset, all of them.
pub(super) const INLINE_BYTES: usize = 256 * 1024;

/// What one object handed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handed<'a> {
    /// The outputs as JSON text.
    Text(&'a str),
    /// The offset of the record in the events topic that has them.
    Offset(i64),
}

/// Where the outputs of one object stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// Negative: it handed nothing on.
    pub(super) offset: i64,
    pub(super) bytes: u32,
    /// Dependants that have not ended.
    pub(super) needed_by: u32,
}

const NOWHERE: Place = Place { offset: -1, bytes: 0, needed_by: 0 };

/// See the module.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Outputs {
    /// By object; empty until one hands something on.
    places: Vec<Place>,
    texts: HashMap<ObjectIx, Box<str>>,
    /// Cost of the texts.
    held: usize,
}

impl Outputs {
    /// Whether nothing was handed on so far: the usual case, and then nothing has to be followed.
    pub(super) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Takes in what the record at `offset` says that an object of a run of `objects` hands on.
    pub(super) fn insert(
        &mut self,
        objects: usize,
        ix: ObjectIx,
        (offset, needed_by): (i64, u32),
        text: &str,
    ) {
        if self.places.is_empty() {
            self.places = vec![NOWHERE; objects];
        }
        self.places[ix.usize()] = Place { offset, bytes: text.len() as u32, needed_by };
        if needed_by > 0 && self.held + cost(text) <= HELD_BYTES {
            self.hold(ix, text.into());
        }
    }

    /// Takes a place over from a snapshot, with the text if that was held.
    pub(super) fn restore(&mut self, objects: usize, ix: ObjectIx, place: Place, text: Option<Box<str>>) {
        if self.places.is_empty() {
            self.places = vec![NOWHERE; objects];
        }
        self.places[ix.usize()] = place;
        if let Some(text) = text {
            self.hold(ix, text);
        }
    }

    fn hold(&mut self, ix: ObjectIx, text: Box<str>) {
        self.held += cost(&text);
        self.texts.insert(ix, text);
    }

    /// A dependant of `ix` has ended.
    pub(super) fn release(&mut self, ix: ObjectIx) {
        let Some(place) = self.places.get_mut(ix.usize()) else { return };
        // One that handed nothing on counts nobody.
        place.needed_by = place.needed_by.saturating_sub(1);
        if place.needed_by == 0
            && let Some(text) = self.texts.remove(&ix)
        {
            self.held -= cost(&text);
        }
    }

    /// Where the outputs of an object stand; `None` when it handed nothing on.
    pub(super) fn place(&self, ix: ObjectIx) -> Option<Place> {
        self.places.get(ix.usize()).copied().filter(|place| place.offset >= 0)
    }

    /// The text, where it is held.
    pub(super) fn text(&self, ix: ObjectIx) -> Option<&str> {
        self.texts.get(&ix).map(|text| &**text)
    }

    /// Offset of the first record that a dependant may still need.
    pub(super) fn first_needed(&self) -> Option<i64> {
        let needed = self.places.iter().filter(|place| place.needed_by > 0 && place.offset >= 0);
        needed.map(|place| place.offset).min()
    }

    /// Whether the cost of what is held is counted right, and within the limit.
    pub(super) fn is_counted_right(&self) -> bool {
        self.held == self.texts.values().map(|text| cost(text)).sum::<usize>() && self.held <= HELD_BYTES
    }
}

fn cost(text: &str) -> usize {
    text.len() + TEXT_OVERHEAD
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_held_until_its_last_dependant_has_ended() {
        let (mut outputs, ix) = (Outputs::default(), ObjectIx(1));
        outputs.insert(3, ix, (7, 2), "{}");
        outputs.release(ix);
        assert_eq!((outputs.text(ix), outputs.first_needed()), (Some("{}"), Some(7)));
        outputs.release(ix);
        assert_eq!((outputs.text(ix), outputs.held, outputs.first_needed()), (None, 0, None));
        assert_eq!(outputs.place(ix).map(|place| place.offset), Some(7), "where it stands stays known");
        assert_eq!(outputs.place(ObjectIx(0)), None);
    }

    #[test]
    fn texts_that_nobody_needs_and_those_above_the_limit_are_not_held() {
        let mut outputs = Outputs::default();
        let text = "x".repeat(4_096);
        let fit = (HELD_BYTES / cost(&text)) as u32;
        for n in 0..fit + 2 {
            outputs.insert(fit as usize + 3, ObjectIx(n), (i64::from(n), 1), &text);
        }
        outputs.insert(fit as usize + 3, ObjectIx(fit + 2), (9, 0), "{}");
        assert!(outputs.text(ObjectIx(fit - 1)).is_some() && outputs.text(ObjectIx(fit)).is_none());
        assert!(outputs.text(ObjectIx(fit + 2)).is_none());
        // What was freed is there for the next one, and not for those that came too late.
        outputs.release(ObjectIx(0));
        assert!(outputs.text(ObjectIx(fit)).is_none() && outputs.is_counted_right());
    }
}
