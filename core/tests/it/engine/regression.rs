//! Bugs that were, each with what went wrong.

use std::fmt::Write as _;

use orch_core::engine::{Detail, project};
use orch_core::spec::{FailurePolicy, Timeouts, UndefinedPolicy};

use super::play::{Play, START};

/// `LeaderStarted` counted as a change of the run: each new leader moved the end time of runs that had ended.
#[test]
fn a_new_leader_does_not_move_the_end_of_a_run() {
    let play = Play::new("a", |_| {}).run("wait 1s, load a, wait 1h, takeover");
    assert_eq!(play.leader.view().ended_at, Some(START + 1_000));
}

/// A heartbeat of another worker restarted the clock like a start: two workers that ran the same attempt pushed its
/// run timeout away for ever.
#[test]
fn heartbeats_of_two_workers_do_not_push_the_run_timeout_away() {
    let play = Play::new("a", |spec| {
        spec.stages[0].timeouts = Timeouts { queue_ms: None, run_ms: Some(5_000), heartbeat_ms: 30_000 };
    });
    let play = play.run("start a by w1, wait 2s, beat a by w2, wait 2s, beat a by w1, wait 1s");
    assert_eq!(play.summary(), "a Retrying#2");
}

/// The worker of attempt 1 was shown as the one of attempt 2, which no worker ever took.
#[test]
fn the_worker_of_an_earlier_attempt_is_not_shown_for_the_next() {
    let play = Play::new("a", |spec| {
        spec.stages[0].retry.max_attempts = 2;
        spec.stages[0].timeouts.queue_ms = Some(5_000);
    });
    let play = play.run("error a by w1, wait 1s, wait 5s");
    let object = &play.leader.view().objects[0];
    assert_eq!((play.summary().as_str(), object.worker.as_deref()), ("a Failed#2", None));
}

/// What to wake up for was computed before publishing: a run whose first objects no worker took slept for ever, and
/// their queue timeout with it.
#[test]
fn a_leader_wakes_up_for_what_it_has_just_published() {
    let play = Play::new("a", |spec| spec.stages[0].timeouts.queue_ms = Some(5_000));
    assert_eq!(play.wake_at, Some(START + 5_000));
}

/// While attempt 2 waited for its time it was answered, and attempt 3 was then published at the time of attempt 2.
#[test]
fn an_attempt_that_was_answered_early_does_not_pull_the_next_one_forward() {
    let play = Play::new("a", |_| {}).run("error a, error a #2, wait 1s");
    assert_eq!((play.published(), play.wake_at), ("a".into(), Some(START + 2_000)));
    assert_eq!(play.run("wait 1s").published(), "a a#3");
}

/// The same for an object that waited for the window.
#[test]
fn an_object_that_was_answered_in_the_queue_keeps_the_back_off() {
    let play = Play::with_window("a, b", 1, |_| {}).run("error b, load a");
    assert_eq!(play.published(), "a");
    assert_eq!(play.run("wait 1s").published(), "a b#2");
}

/// A running object that is in no ready topic was marked as given up, and the mark stayed for its next attempt, which
/// then had no timeout.
#[test]
fn a_given_up_attempt_does_not_exempt_the_next_from_timeouts() {
    let play = Play::new("a", |_| {}).run("start a, lose a, takeover, wait 30s");
    assert_eq!(play.summary(), "a Retrying#2");
    // A record of the former leader brought attempt 2 to a worker before this one has published it.
    let play = play.run("start a #2, wait 30s");
    assert_eq!(play.summary(), "a Retrying#3");
}

/// A run that had stopped kept its share of a window that others could have used.
#[test]
fn a_run_that_stops_waits_for_no_window() {
    let stage = orch_core::id::StageIx(0);
    let fail_fast = |spec: &mut orch_core::spec::RunSpec| spec.failure_policy = FailurePolicy::FailFast;
    let play = Play::with_window("a, b, c, d", 2, fail_fast).run("fail a");
    assert_eq!(play.leader.dispatch.waiting(stage), 0);
    assert_eq!(play.run("takeover").leader.dispatch.waiting(stage), 0);
}

/// An object that is assumed to be loaded showed 1970 as its start and end.
#[test]
fn an_assumed_object_has_no_times() {
    let play = Play::new("?u -> a", |spec| spec.undefined_dependencies = UndefinedPolicy::AssumeLoaded);
    let assumed = &play.leader.view().objects[1];
    assert_eq!((assumed.started_at, assumed.ended_at), (None, None));
}

/// In a large run the running objects crowded out the failed ones, which are what a person looks for.
#[test]
fn running_objects_do_not_crowd_out_failed_ones() {
    let (mut graph, mut script) = ("z".to_owned(), "fail z".to_owned());
    for n in 0..9 {
        write!(graph, ", a{n}").unwrap();
        write!(script, ", start a{n}").unwrap();
    }
    let graph = graph.replacen("z, ", "", 1) + ", z";
    let play = Play::new(&graph, |_| {}).run(&script);
    let view = project(&play.leader.state, &play.leader.dispatch, Detail { objects: 5, ..Detail::default() });
    let listed: Vec<_> =
        view.objects.iter().map(|object| play.plan.object(object.object).id.as_str()).collect();
    assert_eq!(listed, ["z"]);
}

/// An outsider that gives no name: the text began with a space.
#[test]
fn a_worker_without_a_name_is_called_the_worker() {
    let mut play = Play::new("a", |_| {});
    let a = play.plan.find("a").unwrap();
    play.append(orch_core::engine::Event::Started { object: a, attempt: 1, worker: "".into() });
    play.settle();
    let play = play.run("wait 30s");
    let failed = play.leader.state.failed_attempts(a).last().unwrap();
    assert_eq!(&*failed.failure.error, "the worker showed no sign for 30s");
}

/// "Nothing times infinity" became the longest wait.
#[test]
fn a_policy_without_delay_never_waits() {
    let policy =
        orch_core::spec::RetryPolicy { initial_delay_ms: 0, ..orch_core::spec::RetryPolicy::default() };
    assert_eq!(orch_core::engine::backoff(&policy, 5_000, ("uid", "a")), 0);
}

/// As its documentation says.
#[test]
fn a_cell_takes_56_bytes() {
    assert_eq!(size_of::<orch_core::engine::Cell>(), 56);
}
