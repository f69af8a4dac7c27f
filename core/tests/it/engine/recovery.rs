//! Take-over: the state comes back from the events topic, what was published from the ready topics.

use orch_core::spec::RunSpec;

use super::play::Play;

fn with_timeouts(spec: &mut RunSpec) {
    spec.stages[0].timeouts.queue_ms = Some(5_000);
    spec.stages[0].timeouts.run_ms = Some(20_000);
}

/// Plays on, and compares where every object stands and what was published in all.
#[track_caller]
fn check_take_over(graph: &str, script: &str, summary: &str, published: &str) {
    let play = Play::new(graph, |_| {}).run(script);
    assert_eq!((play.summary().as_str(), play.published().as_str()), (summary, published));
}

#[test]
fn o14_what_is_published_is_not_published_again() {
    check_take_over("a -> b", "takeover", "a Queued, b Pending", "a");
    check_take_over("a -> b", "start a, takeover", "a Running, b Pending", "a");
    check_take_over("a -> b", "load a, takeover, load b", "a Loaded, b Loaded", "a b");
}

#[test]
fn o14_an_unanswered_object_that_is_not_in_the_ready_topic_is_published_again() {
    check_take_over("a -> b", "lose a, takeover, load a, load b", "a Loaded, b Loaded", "a b");
}

#[test]
fn an_object_that_a_worker_has_begun_is_left_to_its_heartbeat() {
    check_take_over("a", "start a, lose a, takeover", "a Running", "");
    check_take_over("a", "start a, lose a, takeover, wait 30s, wait 1s", "a Queued#2", "a#2");
    check_take_over("a", "start a, lose a, takeover, load a", "a Loaded", "");
}

#[test]
fn a_retry_keeps_its_time() {
    check_take_over("a", "error a, takeover, wait 999ms", "a Retrying#2", "a");
    check_take_over("a", "error a, takeover, wait 1s", "a Queued#2", "a a#2");
    check_take_over("a", "error a, wait 1s, takeover, wait 1h", "a Queued#2", "a a#2");
}

#[test]
fn the_record_of_an_earlier_attempt_does_not_stand_for_the_next() {
    check_take_over("a", "hold, error a, takeover, deliver, wait 1s", "a Queued#2", "a a#2");
}

#[test]
fn timers_restart_from_append_times() {
    let play = |script| Play::new("a", with_timeouts).run(script).summary();
    assert_eq!(play("wait 4s, takeover, wait 999ms"), "a Queued");
    assert_eq!(play("wait 4s, takeover, wait 1s"), "a Retrying#2");
    assert_eq!(play("wait 4s, start a, wait 19s, takeover, wait 999ms"), "a Running");
    assert_eq!(play("wait 4s, start a, wait 19s, takeover, wait 1s"), "a Retrying#2");
}

#[test]
fn the_window_is_as_full_as_before() {
    let play = Play::with_window("a, b, c, d", 2, |_| {}).run("takeover");
    assert_eq!((play.published(), play.leader.windows[0].outstanding()), ("a b".into(), 2));
    assert_eq!(play.run("load a").published(), "a b c");
}

#[test]
fn a_record_that_stands_there_twice_takes_one_place() {
    let mut play = Play::with_window("a, b", 2, |_| {});
    let again = play.topics.ready[0];
    play.topics.ready.push(again);
    let play = play.run("takeover");
    assert_eq!(play.leader.windows[0].outstanding(), 2);
    assert_eq!(play.run("load a, load b").leader.windows[0].outstanding(), 0);
}

#[test]
fn a_take_over_before_the_start_starts_the_run() {
    let play = Play::before_start("a", 100, |_| {}).run("hold, wait 1s, takeover, wait 1s");
    assert_eq!(play.held.as_ref().unwrap().len(), 2);
    // Both leaders have asked; the record of the first one comes too late.
    let play = play.run("deliver");
    assert_eq!((play.refused(), play.published()), ("fenced".into(), "a".into()));
}

#[test]
fn an_expiry_that_the_former_leader_asked_for_is_asked_for_again() {
    let play = Play::new("a", with_timeouts).run("hold, wait 5s, takeover, wait 1s, deliver");
    // The record of the former leader was appended after the take-over: it is void.
    assert_eq!((play.summary(), play.refused()), ("a Retrying#2".into(), "fenced".into()));
}

#[test]
fn a_cancel_that_the_former_leader_asked_for_counts_once() {
    let play = Play::new("a", |_| {}).run("cancel, takeover, wait 1s");
    assert_eq!((play.outcome(), play.refused()), ("Cancelled Cancelled".into(), String::new()));
    let play = Play::new("a", |_| {}).run("hold, cancel, takeover, wait 1s, deliver");
    assert_eq!((play.outcome(), play.refused()), ("Cancelled Cancelled".into(), "fenced".into()));
}

#[test]
fn the_state_after_a_take_over_is_the_state_before_but_for_the_epoch() {
    let play = Play::new("a -> b, x, y", with_timeouts);
    let mut play = play.run("start a by w2, error x, load a, start y, wait 1s");
    let (before, view) = (play.leader.state.clone(), play.leader.view());
    play.take_over();
    assert_eq!(play.leader.state.epoch(), before.epoch() + 1);
    let after = play.leader.view();
    assert_eq!((after.epoch, &after.letters, &after.objects), (view.epoch + 1, &view.letters, &view.objects));
    assert_eq!((after.counts, after.failures), (view.counts, view.failures));
}
