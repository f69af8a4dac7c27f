//! Clocks and limits: retries, timeouts, the window and `maxInFlight`, with a `now` of the test's choice.

use orch_core::id::Millis;
use orch_core::spec::{RunSpec, Timeouts};

use super::play::{Play, START};

fn timeouts(queue_ms: Option<Millis>, run_ms: Option<Millis>, heartbeat_ms: Millis) -> impl Fn(&mut RunSpec) {
    move |spec| spec.stages[0].timeouts = Timeouts { queue_ms, run_ms, heartbeat_ms }
}

/// Plays on `a -> b` with these timeouts and compares `a` and the reason of its last failure.
#[track_caller]
fn check_timeouts(adjust: impl Fn(&mut RunSpec), script: &str, expected: &str) {
    let play = Play::new("a", adjust).run(script);
    let a = play.plan.find("a").unwrap();
    let reason = play.leader.state.failed_attempts(a).last().map(|failed| failed.failure.reason.to_string());
    assert_eq!([Some(play.summary()), reason].into_iter().flatten().collect::<Vec<_>>().join(": "), expected);
}

#[test]
fn a_retry_waits_for_its_time() {
    let at = |script: &str| Play::new("a", |_| {}).run(script).published();
    assert_eq!(at("error a, wait 999ms"), "a");
    assert_eq!(at("error a, wait 999ms, wait 1ms"), "a a#2");
    assert_eq!(at("error a, wait 1s, error a, wait 1999ms"), "a a#2");
    assert_eq!(at("error a, wait 1s, error a, wait 2s"), "a a#2 a#3");
}

#[test]
fn a_leader_wakes_up_when_a_retry_is_due() {
    assert_eq!(Play::new("a", |_| {}).run("error a").wake_at, Some(START + 1_000));
}

#[test]
fn retry_after_is_the_least_wait() {
    let at = |script: &str| Play::new("a", |_| {}).run(script).published();
    assert_eq!(at("error a after 5s, wait 4999ms"), "a");
    assert_eq!(at("error a after 5s, wait 5s"), "a a#2");
    // The policy's own wait is longer.
    assert_eq!(at("error a after 10ms, wait 999ms"), "a");
}

#[test]
fn without_timeouts_a_queued_object_waits_for_ever() {
    check_timeouts(timeouts(None, None, 30_000), "wait 1000h", "a Queued");
}

#[test]
fn the_queue_timeout_counts_from_the_ready_record_to_the_first_sign() {
    let queue = || timeouts(Some(5_000), None, 30_000);
    check_timeouts(queue(), "wait 4999ms", "a Queued");
    check_timeouts(queue(), "wait 5s", "a Retrying#2: QueueTimeout");
    check_timeouts(queue(), "wait 4s, start a, wait 4s", "a Running");
    check_timeouts(queue(), "wait 4s, beat a, wait 4s", "a Running");
    check_timeouts(queue(), "wait 5s, wait 1s, wait 5s, wait 2s, wait 5s", "a Failed#3: QueueTimeout");
}

#[test]
fn an_object_that_waits_for_the_window_has_no_queue_timeout() {
    let mut play = Play::with_window("a, b", 1, timeouts(Some(5_000), None, 30_000));
    play = play.run("start a, wait 17s, wait 3s");
    assert_eq!(play.summary(), "a Running, b Ready");
    // It counts from the record, not from when the object became ready.
    play = play.run("load a, wait 4s");
    assert_eq!(play.summary(), "a Loaded, b Queued");
    assert_eq!(play.run("wait 1s").summary(), "a Loaded, b Retrying#2");
}

#[test]
fn the_run_timeout_counts_from_the_start() {
    let run = || timeouts(None, Some(5_000), 30_000);
    check_timeouts(run(), "wait 100s", "a Queued");
    check_timeouts(run(), "wait 10s, start a, wait 4999ms", "a Running");
    check_timeouts(run(), "wait 10s, start a, wait 5s", "a Retrying#2: RunTimeout");
    // Heartbeats do not push it away.
    check_timeouts(run(), "start a, wait 4s, beat a, wait 1s", "a Retrying#2: RunTimeout");
}

#[test]
fn any_record_of_an_attempt_is_a_heartbeat() {
    let heartbeat = || timeouts(None, None, 30_000);
    check_timeouts(heartbeat(), "start a, wait 29999ms", "a Running");
    check_timeouts(heartbeat(), "start a, wait 30s", "a Retrying#2: HeartbeatLost");
    check_timeouts(heartbeat(), "start a, wait 29s, beat a, wait 29s, start a, wait 29s", "a Running");
    check_timeouts(heartbeat(), "start a, wait 29s, beat a, wait 30s", "a Retrying#2: HeartbeatLost");
}

#[test]
fn the_sooner_of_run_timeout_and_heartbeat_is_named() {
    check_timeouts(timeouts(None, Some(5_000), 9_000), "start a, wait 20s", "a Retrying#2: RunTimeout");
    check_timeouts(timeouts(None, Some(9_000), 5_000), "start a, wait 20s", "a Retrying#2: HeartbeatLost");
}

#[test]
fn redelivery_to_another_worker_restarts_the_clock() {
    let run = || timeouts(None, Some(5_000), 30_000);
    check_timeouts(run(), "start a by w1, wait 4s, start a by w2, wait 4s", "a Running");
    check_timeouts(run(), "start a by w1, wait 4s, start a by w2, wait 5s", "a Retrying#2: RunTimeout");
    // The same worker twice is one start.
    check_timeouts(run(), "start a by w1, wait 4s, start a by w1, wait 1s", "a Retrying#2: RunTimeout");
}

#[test]
fn a_timeout_is_asked_for_once_and_competes_with_the_answer() {
    let play = || Play::new("a", timeouts(Some(5_000), None, 30_000)).run("hold, wait 5s, wait 5s, wait 5s");
    assert_eq!(play().held.unwrap().len(), 1);
    assert_eq!(play().run("deliver").summary(), "a Retrying#2");
    let answered = play().run("load a, deliver");
    assert_eq!((answered.summary(), answered.refused()), ("a Loaded".into(), "duplicate".into()));
}

#[test]
fn what_the_operator_gave_up_says_so() {
    let play =
        Play::new("a, b, c", timeouts(Some(5_000), Some(60_000), 30_000)).run("start b by w7, wait 30s");
    let text = |id: &str| {
        let failed = play.leader.state.failed_attempts(play.plan.find(id).unwrap()).last().unwrap();
        format!("{}: {}", failed.worker, failed.failure.error)
    };
    assert_eq!(text("a"), "operator: no worker showed a sign within the queue timeout of 5.0s");
    assert_eq!(text("b"), "operator: w7 showed no sign for 30s");
}

#[test]
fn a_record_that_cannot_be_written_fails_for_good() {
    let play = Play::new("a -> b", |_| {}).run("expire a RecordTooLarge");
    assert_eq!(play.summary(), "a Failed, b Blocked(a)");
}

#[test]
fn max_in_flight_holds_over_all_stages() {
    let play = Play::before_start("a, b, x:other, y:other", 100, |_| {}).run("max 3");
    assert_eq!(play.published(), "a b x");
    let play = play.run("load a");
    assert_eq!(play.published(), "a b x y");
    // A lower limit takes nothing back.
    let play = play.run("max 1, load b, load x, load y");
    assert_eq!(play.outcome(), "Succeeded Completed");
}

#[test]
fn max_in_flight_may_be_raised_while_the_run_goes_on() {
    let play = Play::before_start("a, b, c, d", 100, |_| {}).run("max 1");
    assert_eq!(
        (play.published(), play.summary()),
        ("a".into(), "a Queued, b Ready, c Ready, d Ready".into())
    );
    assert_eq!(play.run("max 3").published(), "a b c");
}

#[test]
fn a_stage_holds_what_its_window_allows() {
    let play = Play::with_window("a, b, c, x:other", 2, |_| {});
    assert_eq!(
        (play.published(), play.summary()),
        ("a b x".into(), "a Queued, b Queued, c Ready, x Queued".into())
    );
    // A start frees no place, an end does.
    assert_eq!(play.run("start a").published(), "a b x");
    assert_eq!(Play::with_window("a, b, c", 2, |_| {}).run("load b").published(), "a b c");
    assert_eq!(Play::with_window("a, b, c", 2, |_| {}).run("error b").published(), "a b c");
}

#[test]
fn records_go_to_the_partition_with_the_least_outstanding_work() {
    let play = Play::with_window("a, b, c, d", 3, |_| {}).run("load b");
    let partitions: Vec<u16> = play.topics.ready.iter().map(|ready| ready.publication.partition).collect();
    assert_eq!(partitions, [0, 1, 0, 1]);
}

#[test]
fn a_record_that_the_bus_gave_up_is_published_again() {
    let play = Play::with_window("a, b", 1, |_| {}).run("unpublish a");
    assert_eq!((play.published(), play.summary()), ("b".into(), "a Ready, b Queued".into()));
    let play = play.run("load b, wait 1s");
    assert_eq!((play.published(), play.summary()), ("b a".into(), "a Queued, b Loaded".into()));
}
