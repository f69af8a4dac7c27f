//! Runs that end before their objects: cancel, deadline, `FailFast`, another plan.

use orch_core::engine::{Changes, Phase, RunState};
use orch_core::id::RunUid;
use orch_core::spec::{FailurePolicy, RunSpec};

use super::play::{Play, START, check};

fn fail_fast(spec: &mut RunSpec) {
    spec.failure_policy = FailurePolicy::FailFast;
}

#[test]
fn cancel_ends_every_unfinished_object() {
    check(
        "a -> b, x, y, z",
        "load a, start x, fail y, cancel",
        "a Loaded, b Cancelled, x Cancelled, y Failed, z Cancelled",
    );
    let play = Play::new("a -> b", |_| {}).run("cancel, load a, wait 1h");
    assert_eq!(
        (play.outcome(), play.refused(), play.published()),
        ("Cancelled Cancelled".into(), "late".into(), "a".into())
    );
}

#[test]
fn a_blocked_object_stays_blocked_when_the_run_is_cancelled() {
    check("a -> b, x", "fail a, cancel", "a Failed, b Blocked(a), x Cancelled");
}

#[test]
fn a_cancelled_run_publishes_nothing_while_the_record_is_on_its_way() {
    let play = Play::new("a -> b, x", |_| {}).run("hold, cancel, load a");
    assert_eq!((play.published(), play.summary()), ("a x".into(), "a Loaded, b Ready, x Queued".into()));
    // The answer came before the record, and counts.
    assert_eq!(play.run("deliver").summary(), "a Loaded, b Cancelled, x Cancelled");
}

#[test]
fn cancel_is_asked_for_once() {
    let play = Play::new("a", |_| {}).run("hold, cancel, wait 1s, wait 1s");
    assert_eq!(play.held.unwrap().len(), 1);
}

#[test]
fn a_run_that_is_cancelled_before_it_starts_publishes_nothing() {
    let play = Play::before_start("a", 100, |_| {}).run("cancel");
    assert_eq!((play.outcome(), play.published()), ("Cancelled Cancelled".into(), String::new()));
}

#[test]
fn cancelling_a_run_that_has_ended_changes_nothing() {
    let play = Play::new("a", |_| {}).run("load a, cancel");
    assert_eq!(play.outcome(), "Succeeded Completed");
}

#[test]
fn the_deadline_counts_from_the_start_of_the_run_and_fails_it() {
    let play = Play::new("a -> b", |_| {}).run("timeout 1m, wait 59s");
    assert_eq!((play.outcome(), play.wake_at), ("Running".into(), Some(START + 60_000)));
    let play = play.run("wait 1s");
    assert_eq!(play.outcome(), "Failed DeadlineExceeded");
    assert_eq!(play.summary(), "a Cancelled, b Cancelled");
}

#[test]
fn a_person_who_cancels_wins_over_the_deadline() {
    let play = Play::new("a", |_| {}).run("hold, timeout 1m, cancel, wait 2m, deliver");
    assert_eq!(play.outcome(), "Cancelled Cancelled");
}

#[test]
fn fail_fast_cancels_what_is_not_published_and_lets_the_rest_end() {
    let play = Play::with_window("a -> b, c -> d, e, f", 3, fail_fast).run("start c, fail a");
    assert_eq!(play.summary(), "a Failed, b Blocked(a), c Running, d Cancelled, e Queued, f Cancelled");
    assert_eq!((play.outcome(), play.published()), ("Running".into(), "a c e".into()));
    let play = play.run("load c, load e");
    assert_eq!(play.summary(), "a Failed, b Blocked(a), c Loaded, d Cancelled, e Loaded, f Cancelled");
    assert_eq!((play.outcome(), play.published()), ("Failed ObjectsFailed".into(), "a c e".into()));
}

#[test]
fn fail_fast_starts_no_further_attempt() {
    let play = Play::new("a, b", fail_fast).run("fail a, error b, wait 1h");
    assert_eq!((play.summary(), play.published()), ("a Failed, b Cancelled#2".into(), "a b".into()));
    assert_eq!(play.outcome(), "Failed ObjectsFailed");
    let play = Play::new("a, b", fail_fast).run("error b, fail a, wait 1h");
    assert_eq!((play.summary(), play.published()), ("a Failed, b Cancelled#2".into(), "a b".into()));
}

#[test]
fn fail_fast_does_not_publish_again_what_the_bus_gave_up() {
    let play = Play::new("a, b, c", fail_fast).run("fail a, unpublish b, wait 10s");
    assert_eq!((play.summary(), play.published()), ("a Failed, b Cancelled, c Queued".into(), "a c".into()));
    assert_eq!(play.run("load c").outcome(), "Failed ObjectsFailed");
}

#[test]
fn fail_fast_ends_when_what_is_outstanding_times_out() {
    let play = Play::new("a, b", |spec| {
        fail_fast(spec);
        spec.stages[0].timeouts.queue_ms = Some(5_000);
    });
    let play = play.run("fail a, wait 5s");
    assert_eq!(
        (play.summary(), play.outcome()),
        ("a Failed, b Cancelled#2".into(), "Failed ObjectsFailed".into())
    );
}

#[test]
fn a_retryable_failure_does_not_trigger_fail_fast() {
    let play = Play::new("a, b -> c", fail_fast).run("error a, load b");
    assert_eq!(play.summary(), "a Retrying#2, b Loaded, c Queued");
}

#[test]
fn fail_fast_holds_after_a_take_over() {
    let play = Play::with_window("a -> b, c -> d, e, f", 3, fail_fast)
        .run("start c, fail a, takeover, load c, load e");
    assert_eq!(play.summary(), "a Failed, b Blocked(a), c Loaded, d Cancelled, e Loaded, f Cancelled");
    assert_eq!((play.outcome(), play.published()), ("Failed ObjectsFailed".into(), "a c e".into()));
}

/// That a run was over followed from what its leader had published: one that had been replaced told the workers so while
/// a record of the next was on its way, they left that record alone, and the run waited for ever.
#[test]
fn the_log_alone_says_that_a_run_that_failed_fast_is_over() {
    let play = Play::with_window("a, b, c", 2, fail_fast).run("fail a");
    let until_here = play.topics.events.len();
    let play = play.run("load b");
    let folded = [until_here, play.topics.events.len()].map(|records| {
        let mut state = RunState::new(play.plan.clone(), RunUid::new("uid"));
        for record in &play.topics.events[..records] {
            state.fold(record, &mut Changes::default()).unwrap();
        }
        (state.is_over(), state.counts().of(Phase::Ready))
    });
    assert_eq!(folded, [(false, 2), (true, 0)]);
    assert_eq!(play.outcome(), "Failed ObjectsFailed");
}

#[test]
fn another_plan_ends_the_run() {
    let play = Play::before_start("a -> b", 100, |_| {}).run("hold, started other, wait 1s, load a, wait 1s");
    assert_eq!((play.outcome(), play.published()), ("Failed PlanChanged".into(), String::new()));
    assert_eq!((play.summary(), play.refused()), ("a Cancelled, b Cancelled".into(), "late".into()));
}
