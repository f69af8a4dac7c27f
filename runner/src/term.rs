//! Who leads, as the `LeaderStarted` records of the events topic say it. Pure: no I/O, no clock.

use orch_core::engine::{EPOCH_STEP, Refused, may_lead};
use orch_core::id::{Epoch, MAX_EPOCH};

/// What a `LeaderStarted` meant to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Heard {
    /// It is the one that we asked for: from here on our records are in force.
    Ours,
    /// Another operator leads from here on.
    Theirs,
    /// It began no term: the word says why.
    Void(Refused),
}

/// Our term, and the highest that anybody had.
#[derive(Debug)]
pub(crate) struct Term {
    /// Stands in our `LeaderStarted`. No two actors have the same, so that nobody takes another's record for its own.
    name: String,
    own: Epoch,
    highest: Epoch,
    asked: Option<Epoch>,
}

impl Term {
    /// Nobody leads yet; `known` is the highest term that is known from elsewhere. One that leaves no room above it
    /// cannot be right.
    pub(crate) fn new(name: String, known: Epoch) -> Self {
        let highest = if known < MAX_EPOCH - EPOCH_STEP { known } else { 0 };
        Self { name, own: 0, highest, asked: None }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Our term as far as it was read back; 0 while we do not lead.
    pub(crate) fn own(&self) -> Epoch {
        self.own
    }

    /// The term for the next record: a `LeaderStarted` that is on its way stands before it.
    pub(crate) fn writes(&self) -> Epoch {
        self.asked.unwrap_or(self.own)
    }

    /// Raises the term above all that are known and above `seen`: the one that our next `LeaderStarted` says. What no
    /// `LeaderStarted` can have begun is not gone after.
    pub(crate) fn ask(&mut self, seen: Epoch) -> Epoch {
        if may_lead(self.highest, seen).is_ok() {
            self.highest = seen;
        }
        let epoch = self.highest + 1;
        self.asked = Some(epoch);
        epoch
    }

    /// Whether our last `LeaderStarted` is still on its way.
    pub(crate) fn is_asking(&self) -> bool {
        self.asked.is_some()
    }

    /// Takes a `LeaderStarted` in. The first of a term counts.
    pub(crate) fn hear(&mut self, epoch: Epoch, leader: &str) -> Heard {
        if let Err(why) = may_lead(self.highest, epoch) {
            return Heard::Void(why);
        }
        self.highest = epoch;
        if self.asked == Some(epoch) && leader == self.name {
            self.own = epoch;
            self.asked = None;
            return Heard::Ours;
        }
        if self.asked.is_some_and(|asked| asked <= epoch) {
            self.asked = None;
        }
        Heard::Theirs
    }

    /// The term of the operator that leads instead of us.
    pub(crate) fn superseded_by(&self) -> Option<Epoch> {
        (self.highest > self.own && self.asked.is_none()).then_some(self.highest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leading(epoch: Epoch) -> Term {
        let mut term = Term::new("me".to_owned(), epoch - 1);
        assert_eq!(term.ask(0), epoch);
        assert_eq!(term.hear(epoch, "me"), Heard::Ours);
        term
    }

    #[test]
    fn the_first_record_of_a_term_counts() {
        let mut term = Term::new("me".to_owned(), 4);
        assert_eq!(term.ask(0), 5);
        assert_eq!(term.hear(5, "you"), Heard::Theirs);
        assert_eq!(term.hear(5, "me"), Heard::Void(Refused::Fenced));
        assert_eq!((term.own(), term.superseded_by()), (0, Some(5)));
        assert_eq!(term.ask(0), 6);
        assert_eq!(term.hear(6, "me"), Heard::Ours);
        assert_eq!((term.own(), term.superseded_by()), (6, None));
    }

    #[test]
    fn a_higher_term_of_another_ends_ours() {
        let mut term = leading(3);
        assert_eq!(term.hear(2, "you"), Heard::Void(Refused::Fenced));
        assert_eq!(term.superseded_by(), None);
        assert_eq!(term.hear(4, "you"), Heard::Theirs);
        assert_eq!(term.superseded_by(), Some(4));
    }

    #[test]
    fn a_leader_may_raise_its_own_term() {
        let mut term = leading(1);
        assert_eq!(term.ask(7), 8);
        // Terms below the one that is asked for do not stop us: ours follows. What we write follows it.
        assert!(term.is_asking() && term.superseded_by().is_none());
        assert_eq!((term.own(), term.writes()), (1, 8));
        assert_eq!(term.hear(2, "you"), Heard::Void(Refused::Fenced));
        assert_eq!(term.hear(8, "me"), Heard::Ours);
        assert_eq!((term.own(), term.superseded_by()), (8, None));
    }

    #[test]
    fn whoever_passes_the_term_that_was_asked_for_leads() {
        let mut term = leading(1);
        term.ask(7);
        assert_eq!(term.hear(9, "you"), Heard::Theirs);
        assert_eq!(term.superseded_by(), Some(9));
    }

    #[test]
    fn no_record_makes_a_term_that_nobody_can_follow() {
        for far in [MAX_EPOCH, Epoch::MAX, 3 + EPOCH_STEP + 1] {
            let mut term = leading(3);
            assert_eq!(term.hear(far, "you"), Heard::Void(Refused::Malformed));
            assert_eq!((term.own(), term.superseded_by()), (3, None));
            assert_eq!(term.ask(far), 4);
            assert_eq!(term.hear(4, "me"), Heard::Ours);
        }
        for known in [MAX_EPOCH, Epoch::MAX, MAX_EPOCH - 1] {
            assert_eq!(Term::new("me".to_owned(), known).ask(7), 8);
        }
    }

    #[test]
    fn the_furthest_term_that_counts_is_followed_by_another() {
        let mut term = leading(3);
        assert_eq!(term.hear(3 + EPOCH_STEP, "you"), Heard::Theirs);
        assert_eq!(term.ask(0), 4 + EPOCH_STEP);
        assert_eq!(term.hear(4 + EPOCH_STEP, "me"), Heard::Ours);
    }
}
