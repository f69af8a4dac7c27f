use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

fn restored(progress: &Progress) -> Progress {
    Progress::restore(progress.position(), &progress.metadata())
}

#[test]
fn in_order_the_position_follows() {
    let mut progress = Progress::new(7);
    for offset in 7..10_000 {
        assert_eq!(progress.give(offset), Give::Now);
        assert!(!progress.is_drained());
        assert!(progress.finish(offset));
        assert!(!progress.finish(offset), "the second time is no news");
        assert!(progress.is_drained());
        assert_eq!(progress.position(), offset + 1);
        assert_eq!(progress.metadata(), "b1:");
    }
}

#[test]
fn the_bitmap_is_as_documented() {
    let mut progress = Progress::new(100);
    for offset in 100..112 {
        progress.give(offset);
    }
    progress.finish(101);
    progress.finish(109);
    // Bit 0 is offset 101, bit 8 is offset 109.
    assert_eq!(progress.metadata(), format!("b1:{}", STANDARD.encode([1, 1])));
    let mut next = restored(&progress);
    let again: Vec<i64> = (100..112).filter(|offset| next.give(*offset) == Give::Now).collect();
    assert_eq!(again, [100, 102, 103, 104, 105, 106, 107, 108, 110, 111]);
}

#[test]
fn the_window_ends_what_is_given_out() {
    let mut progress = Progress::new(0);
    for offset in 0..WINDOW {
        assert_eq!(progress.give(offset), Give::Now);
    }
    assert_eq!(progress.give(WINDOW), Give::Later);
    for offset in 1..WINDOW {
        progress.finish(offset);
    }
    assert_eq!(progress.give(WINDOW), Give::Later);
    assert!(progress.metadata().len() <= 687, "{}", progress.metadata().len());
    let mut next = restored(&progress);
    assert_eq!(next.give(0), Give::Now);
    assert!((1..WINDOW).all(|offset| next.give(offset) == Give::Finished));
    progress.finish(0);
    assert_eq!(progress.position(), WINDOW);
    assert_eq!(progress.give(WINDOW), Give::Now);
}

#[test]
fn gaps_do_not_hold_the_position_back() {
    let mut progress = Progress::new(0);
    progress.give(3);
    assert_eq!(progress.position(), 3, "nothing was there before");
    progress.give(10);
    progress.finish(3);
    assert_eq!(progress.position(), 10);
    assert_eq!(progress.give(50_000), Give::Later, "10 is unfinished and too far away");
    progress.finish(10);
    assert_eq!(progress.give(50_000), Give::Now);
    assert_eq!(progress.position(), 50_000);
}

#[test]
fn strange_metadata_says_nothing() {
    for text in ["", "b1:", "b1:%%%", "b2:AQ==", "hello"] {
        let mut progress = Progress::restore(5, text);
        assert_eq!(progress.give(5), Give::Now, "{text}");
        assert_eq!(progress.give(6), Give::Now, "{text}");
    }
    let long = format!("b1:{}", STANDARD.encode([0xff; 2000]));
    assert_eq!(Progress::restore(5, &long).give(6), Give::Finished);
}

/// What happens to a partition.
#[derive(Debug, Clone)]
enum Step {
    /// The reader goes on to the next record of the log.
    Read,
    /// The n-th unfinished record ends.
    Finish(usize),
    /// Another member takes over from what is committed.
    Restore,
    /// The group gives out again what is unfinished.
    Rewind,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => Just(Step::Read),
        6 => any::<usize>().prop_map(Step::Finish),
        1 => Just(Step::Restore),
        1 => Just(Step::Rewind),
    ];
    prop::collection::vec(step, 0..400)
}

proptest! {
    /// The naive model keeps sets; records lie at offsets with random gaps, some as wide as the window.
    #[test]
    fn agrees_with_sets(
        gaps in prop::collection::vec(prop_oneof![6 => 1i64..2, 3 => 1i64..40, 1 => 1000i64..9000], 1..200),
        steps in steps(),
    ) {
        let log: Vec<i64> = gaps.iter().scan(-1, |at, gap| { *at += gap; Some(*at) }).collect();
        let mut progress = Progress::new(0);
        let (mut at, mut running, mut finished) = (0, BTreeSet::new(), BTreeSet::new());
        for step in steps {
            match step {
                Step::Read => if let Some(offset) = log.get(at) {
                    let lowest = running.first().copied().unwrap_or(*offset);
                    let given = progress.give(*offset);
                    if finished.contains(offset) {
                        prop_assert_eq!(given, Give::Finished);
                    } else if *offset >= lowest + WINDOW {
                        prop_assert_eq!(given, Give::Later);
                        continue;
                    } else {
                        prop_assert_eq!(given, Give::Now);
                        running.insert(*offset);
                    }
                    at += 1;
                },
                Step::Finish(n) => if let Some(offset) = running.iter().nth(n % running.len().max(1)).copied() {
                    prop_assert!(progress.finish(offset));
                    running.remove(&offset);
                    finished.insert(offset);
                },
                Step::Restore => {
                    progress = restored(&progress);
                    at = log.partition_point(|offset| *offset < progress.position());
                    running.clear();
                },
                Step::Rewind => {
                    progress.rewind();
                    at = log.partition_point(|offset| *offset < progress.position());
                    running.clear();
                },
            }
            prop_assert_eq!(progress.is_drained(), running.is_empty());
            if let Some(lowest) = running.first() {
                prop_assert_eq!(progress.position(), *lowest);
            }
            // Nothing that is not finished lies below the position.
            prop_assert!(log.iter().all(|offset| *offset >= progress.position() || finished.contains(offset)));
        }
    }
}
