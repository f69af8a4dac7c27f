//! What a reader was asked for, and how far it is. Pure.

use std::ops::Range;

/// The stretch of a partition that somebody waits for. That it is complete is said once.
#[derive(Debug)]
pub(crate) struct Goal {
    /// Everything below was given, or holds no record.
    position: i64,
    until: i64,
    is_said: bool,
}

impl Goal {
    pub(crate) fn new(stretch: Range<i64>) -> Self {
        Self { position: stretch.start, until: stretch.end, is_said: false }
    }

    /// Everything below `position` was given, or holds no record.
    pub(crate) fn reached(&mut self, position: i64) {
        self.position = self.position.max(position);
    }

    /// The log itself has nothing from `end` on, whatever it had when the stretch was asked for.
    pub(crate) fn ends_at(&mut self, end: i64) {
        self.until = self.until.min(end);
    }

    pub(crate) fn is_complete(&self) -> bool {
        self.position >= self.until
    }

    /// Whether it is to be said now that all of it was given: once.
    pub(crate) fn is_news(&mut self) -> bool {
        self.is_complete() && !std::mem::replace(&mut self.is_said, true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether it is said after each of the steps.
    fn said(stretch: Range<i64>, steps: &[fn(&mut Goal)]) -> Vec<bool> {
        let mut goal = Goal::new(stretch);
        let mut say = |step: &fn(&mut Goal)| {
            step(&mut goal);
            goal.is_news()
        };
        steps.iter().map(&mut say).collect()
    }

    #[test]
    fn it_is_said_once_when_the_end_that_was_asked_for_is_reached() {
        let steps: [fn(&mut Goal); 4] =
            [|_| {}, |goal| goal.reached(9), |goal| goal.reached(10), |goal| goal.reached(11)];
        assert_eq!(said(0..10, &steps), [false, false, true, false]);
        assert_eq!(said(9..10, &steps), [false, false, true, false]);
        assert_eq!(said(10..10, &steps), [true, false, false, false], "there is nothing to wait for");
        assert_eq!(
            said(Range { start: 50, end: 10 }, &steps),
            [true, false, false, false],
            "a topic that was made anew"
        );
    }

    #[test]
    fn a_log_that_turns_out_shorter_is_not_waited_for() {
        let steps: [fn(&mut Goal); 3] =
            [|goal| goal.reached(3), |goal| goal.ends_at(5), |goal| goal.reached(5)];
        assert_eq!(said(0..10, &steps), [false, false, true]);
        assert_eq!(said(7..10, &steps), [false, true, false]);
        let longer: [fn(&mut Goal); 2] = [|goal| goal.ends_at(90), |goal| goal.reached(10)];
        assert_eq!(said(0..10, &longer), [false, true], "what came later is not waited for");
    }
}
