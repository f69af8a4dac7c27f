//! How much of the texts of failed attempts a run keeps. A worker gives each up to 8 KiB, and 100,000 objects that fail three
//! times would be gigabytes. It follows from the records alone, so that every fold of the same log keeps the same.

use super::Failure;

/// Texts of one run at most; of what fails after that a line each is kept.
const HELD_BYTES: usize = 8 * 1024 * 1024;
/// That line.
const LINE_BYTES: usize = 256;

/// What the texts that are kept come to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct FailureTexts {
    held: usize,
}

impl FailureTexts {
    /// The failure as it is kept.
    pub(super) fn keep(&mut self, mut failure: Failure) -> Failure {
        if self.held + bytes(&failure) > HELD_BYTES {
            failure.log_tail = None;
            if failure.error.len() > LINE_BYTES {
                let end = failure.error.floor_char_boundary(LINE_BYTES);
                failure.error = format!("{}...", &failure.error[..end]).into();
            }
        }
        self.count(&failure);
        failure
    }

    /// Counts one that was kept before: recovery from a snapshot.
    pub(super) fn count(&mut self, failure: &Failure) {
        self.held = self.held.saturating_add(bytes(failure));
    }
}

fn bytes(failure: &Failure) -> usize {
    failure.error.len() + failure.log_tail.as_deref().map_or(0, str::len)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 100,000 objects that failed with a log each took the operator gigabytes.
    #[test]
    fn the_texts_of_failures_are_bounded_and_each_keeps_a_line() {
        let mut texts = FailureTexts::default();
        let large = Failure {
            error: "é".repeat(2_048).into(),
            log_tail: Some("l".repeat(4_096).into()),
            ..Failure::default()
        };
        let kept: Vec<Failure> = (0..10_000).map(|_| texts.keep(large.clone())).collect();
        assert_eq!((&kept[0], &kept[1_023]), (&large, &large), "8 MiB of them are as they were");
        let line = format!("{}...", "é".repeat(128));
        assert!(kept[1_024..].iter().all(|failure| *failure.error == *line && failure.log_tail.is_none()));
        let mut counted = FailureTexts::default();
        for failure in &kept {
            counted.count(failure);
        }
        assert_eq!(counted, texts, "as after a recovery from a snapshot");
    }
}
