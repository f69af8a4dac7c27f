//! The projection: what people see.

use orch_core::engine::{Detail, ObjectPhase, project};
use orch_core::spec::UndefinedPolicy;

use super::play::{Play, START};

#[test]
fn letters_are_in_plan_order_and_complete() {
    let play = Play::with_window("a -> b, c, d -> e, f, g", 3, |_| {}).run("start a, error c, fail d");
    let letters = String::from_utf8(play.leader.view().letters).unwrap();
    assert_eq!(
        (play.summary().as_str(), letters.as_str()),
        ("a Running, b Pending, c Retrying#2, d Failed, e Blocked(d), f Queued, g Queued", "NPTFBQQ",)
    );
}

#[test]
fn letters_and_words_are_one_to_one() {
    for phase in ObjectPhase::ALL {
        assert_eq!(ObjectPhase::from_letter(phase.letter()), Some(phase));
    }
    assert_eq!(ObjectPhase::from_letter(b'?'), None);
}

#[test]
fn counts_are_of_the_run_and_of_each_stage() {
    let view = Play::new("a -> b:other, x:other", |_| {}).run("load a, start x").leader.view();
    let of = |phase| [view.counts.of(phase), view.stages[0].of(phase), view.stages[1].of(phase)];
    assert_eq!(of(ObjectPhase::Loaded), [1, 1, 0]);
    assert_eq!(of(ObjectPhase::Queued), [1, 0, 1]);
    assert_eq!(of(ObjectPhase::Running), [1, 0, 1]);
    assert_eq!([view.counts.total(), view.stages[0].total(), view.stages[1].total()], [3, 1, 2]);
}

#[test]
fn failures_are_ranked_by_what_they_block() {
    let play = Play::new("a -> b, c -> d, c -> e, f", |_| {}).run("fail f, fail a, fail c");
    let view = play.leader.view();
    let ranked: Vec<_> = view
        .failures
        .iter()
        .map(|failure| (play.plan.object(failure.object).id.as_str(), failure.blocks))
        .collect();
    assert_eq!(ranked, [("c", 2), ("a", 1), ("f", 0)]);
    let two = project(&play.leader.state, &play.leader.dispatch, Detail { failures: 2, ..Detail::default() });
    assert_eq!(two.failures, view.failures[..2]);
}

#[test]
fn a_failure_lists_all_its_attempts() {
    let view = Play::new("a", |_| {}).run("error a, wait 1s, fail a").leader.view();
    let attempts: Vec<_> = view.failures[0].attempts.iter().map(|failed| failed.attempt).collect();
    assert_eq!(attempts, [1, 2]);
}

#[test]
fn an_object_has_the_times_of_its_attempt() {
    let times = |script: &str| {
        let view = Play::new("a", |_| {}).run(script).leader.view();
        let object = &view.objects[0];
        (
            object.started_at.map(|time| time - START),
            object.ended_at.map(|time| time - START),
            object.worker.clone(),
        )
    };
    let w1 = || Some("w1".to_owned());
    assert_eq!(times("wait 1s"), (Some(0), None, None));
    assert_eq!(times("wait 1s, start a, wait 1s, beat a"), (Some(1_000), None, w1()));
    assert_eq!(times("wait 1s, start a, wait 1s, load a"), (Some(1_000), Some(2_000), w1()));
    assert_eq!(times("wait 1s, load a"), (Some(0), Some(1_000), w1()));
    assert_eq!(times("wait 1s, start a, wait 1s, fail a"), (Some(1_000), Some(2_000), w1()));
    assert_eq!(times("wait 1s, error a"), (None, None, None));
    // What the worker measured is the work alone: no time in the queue, and all of what came before `ObjectStarted`.
    assert_eq!(times("wait 1s, load a worked 10ms"), (Some(990), Some(1_000), w1()));
    assert_eq!(times("wait 1s, start a, wait 1s, fail a worked 1200ms"), (Some(800), Some(2_000), w1()));
    assert_eq!(times("wait 1s, load a worked 5h"), (Some(0), Some(1_000), w1()), "it could not start before");
}

#[test]
fn an_object_tells_its_last_failure_until_it_is_loaded() {
    let message = |script: &str| Play::new("a", |_| {}).run(script).leader.view().objects[0].message.clone();
    assert_eq!(message("error a").as_deref(), Some("it did not work"));
    assert_eq!(message("error a, wait 1s, start a").as_deref(), Some("it did not work"));
    assert_eq!(message("error a, wait 1s, load a"), None);
}

#[test]
fn the_run_ends_with_its_last_record() {
    let view =
        Play::new("a, b", |_| {}).run("wait 1s, load a, wait 1s, load b, wait 5s, load b").leader.view();
    assert_eq!((view.started_at, view.ended_at), (Some(START), Some(START + 2_000)));
}

#[test]
fn above_the_limit_only_what_needs_a_person_is_listed() {
    let play =
        Play::new("a, b, c, d, ?u -> e", |spec| spec.undefined_dependencies = UndefinedPolicy::AssumeLoaded);
    let play = play.run("start a, load b, fail c, error d");
    let listed = |objects| {
        let view =
            project(&play.leader.state, &play.leader.dispatch, Detail { objects, ..Detail::default() });
        view.objects
            .iter()
            .map(|object| play.plan.object(object.object).id.to_string())
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(listed(6), "a b c d e ?u");
    assert_eq!(listed(5), "c d");
    assert_eq!(listed(1), "c");
}
