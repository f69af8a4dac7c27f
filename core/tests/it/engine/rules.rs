//! The life cycle of an object: what each answer does, and which records change nothing.

use orch_core::engine::{Event, Handed};
use orch_core::spec::{Targets, UndefinedPolicy};

use super::play::{Play, check, check_refused};

#[test]
fn objects_without_dependencies_are_published_at_the_start() {
    let play = Play::new("a -> b, x", |_| {});
    assert_eq!(play.published(), "a x");
    assert_eq!(play.summary(), "a Queued, b Pending, x Queued");
}

#[test]
fn nothing_is_published_before_run_started_is_read_back() {
    let play = Play::before_start("a", 100, |_| {}).run("hold, wait 1s");
    assert_eq!((play.published(), play.outcome()), (String::new(), "Pending".to_owned()));
    let play = play.run("deliver");
    assert_eq!((play.published(), play.outcome()), ("a".to_owned(), "Running".to_owned()));
}

#[test]
fn run_started_is_asked_for_once() {
    let play = Play::before_start("a", 100, |_| {}).run("hold, wait 1s, wait 1s, wait 1s, deliver");
    assert_eq!((play.topics.events.len(), play.refused()), (1, String::new()));
}

#[test]
fn o5_a_child_is_published_after_every_parent_is_loaded() {
    let play = Play::new("a -> c, b -> c", |_| {}).run("load a");
    assert_eq!((play.published(), play.summary()), ("a b".into(), "a Loaded, c Pending, b Queued".into()));
    assert_eq!(play.run("load b").published(), "a b c");
}

#[test]
fn o4_an_object_that_two_children_need_is_published_once() {
    let play = Play::new("a -> b, a -> c", |_| {}).run("load a, load b, load c");
    assert_eq!((play.published(), play.outcome()), ("a b c".into(), "Succeeded Completed".into()));
}

#[test]
fn an_answer_starts_runs_and_ends_an_object() {
    check("a", "start a", "a Running");
    check("a", "beat a", "a Running");
    check("a", "start a, beat a, load a", "a Loaded");
    check("a", "load a", "a Loaded");
    check("a", "start a, fail a", "a Failed");
    check("a", "fail a", "a Failed");
}

#[test]
fn a_failed_object_blocks_its_descendants_and_nothing_else() {
    check("a -> b -> c, x", "fail a, load x", "a Failed, b Blocked(a), c Blocked(a), x Loaded");
    check("a -> c, b -> c -> d", "fail b, load a", "a Loaded, c Blocked(b), b Failed, d Blocked(b)");
}

#[test]
fn o8_the_example_of_the_object_orchestrator_ends_as_it_says() {
    let graph = "1010 -> 2040 -> 3030, 2040 -> 3040, 1020 -> 2005 -> 3050, 2040 -> 3050, 1900";
    let mut play = Play::new(graph, |spec| {
        spec.targets = Targets::Ids(["3030", "3040", "3050"].map(str::to_owned).into());
    });
    play = play.run("load 1010, load 1020, fail 2005, load 2040, load 3030, load 3040");
    assert_eq!(play.published(), "1010 1020 2040 2005 3030 3040");
    assert_eq!(
        play.summary(),
        "1010 Loaded, 2040 Loaded, 3030 Loaded, 3040 Loaded, 1020 Loaded, 2005 Failed, 3050 Blocked(2005), 1900 Pruned"
    );
    assert_eq!(play.outcome(), "Failed ObjectsFailed");
}

#[test]
fn an_object_that_two_failures_block_names_the_nearest_and_then_the_first_of_the_plan() {
    check("a -> c, b -> c", "fail b, fail a", "a Failed, c Blocked(a), b Failed");
    let far_and_near = "far -> x -> y -> z, near -> w -> z";
    let end = "far Failed, x Blocked(far), y Blocked(far), z Blocked(near), near Failed, w Blocked(near)";
    check(far_and_near, "fail far, fail near", end);
    check(far_and_near, "fail near, fail far", end);
}

#[test]
fn the_end_of_a_run_follows_from_its_objects() {
    for (script, outcome) in [
        ("", "Running"),
        ("load a", "Running"),
        ("load a, load b", "Succeeded Completed"),
        ("fail a", "Failed ObjectsFailed"),
        ("load a, fail b", "Failed ObjectsFailed"),
    ] {
        assert_eq!(Play::new("a -> b", |_| {}).run(script).outcome(), outcome, "{script}");
    }
}

#[test]
fn a_failed_attempt_is_tried_again_until_the_attempts_are_used_up() {
    check("a -> b", "error a", "a Retrying#2, b Pending");
    check("a -> b", "error a, wait 1s", "a Queued#2, b Pending");
    check("a -> b", "error a, wait 1s, load a", "a Loaded#2, b Queued");
    check("a -> b", "error a, wait 1s, error a, wait 2s, error a", "a Failed#3, b Blocked(a)");
    check("a -> b", "error a, wait 1s, fail a", "a Failed#2, b Blocked(a)");
}

#[test]
fn max_attempts_one_means_no_second_attempt() {
    let play = Play::new("a", |spec| spec.stages[0].retry.max_attempts = 1).run("error a");
    assert_eq!(play.summary(), "a Failed");
}

#[test]
fn every_failed_attempt_is_kept_with_its_worker_and_text() {
    let play = Play::new("a", |_| {}).run("error a by w1, wait 1s, error a by w2, wait 2s, fail a by w3");
    let attempts = play.leader.state.failed_attempts(play.plan.find("a").unwrap());
    let kept: Vec<_> =
        attempts.iter().map(|failed| (failed.attempt, &*failed.worker, &*failed.failure.error)).collect();
    let text = "it did not work";
    assert_eq!(kept, [(1, "w1", text), (2, "w2", text), (3, "w3", text)]);
}

#[test]
fn outputs_are_those_of_the_attempt_that_loaded() {
    let play = Play::new("a -> b", |_| {}).run("error a, wait 1s, load a");
    let inputs: Vec<_> =
        play.leader.state.inputs(play.plan.find("b").unwrap()).map(|(_, handed)| handed).collect();
    assert_eq!(inputs, [Handed::Text(r#"{"rows":1}"#)]);
}

#[test]
fn inputs_above_256_kib_in_sum_go_by_offset() {
    for (parents, by_text) in [(64, true), (65, false)] {
        let graph: Vec<String> = (0..parents).map(|n| format!("p{n} -> join")).collect();
        let mut play = Play::new(&graph.join(", "), |_| {});
        for n in 0..parents {
            let object = play.plan.find(&format!("p{n}")).unwrap();
            let outputs = Some("x".repeat(4_096).into());
            play.append(Event::Loaded { object, attempt: 1, worker: "w".into(), elapsed: None, outputs });
        }
        play.settle();
        let join = play.plan.find("join").unwrap();
        let handed: Vec<_> = play.leader.state.inputs(join).map(|(_, handed)| handed).collect();
        assert_eq!(handed.len(), parents);
        if by_text {
            assert!(handed.iter().all(|handed| matches!(handed, Handed::Text(text) if text.len() == 4_096)));
        } else {
            // `RunStarted` is the first record.
            assert!((1..=65).map(Handed::Offset).eq(handed));
        }
        let before = (play.leader.state.first_outputs_needed(), play.run("load join").leader);
        assert_eq!((before.0, before.1.state.first_outputs_needed()), (Some(1), None));
    }
}

#[test]
fn the_first_terminal_record_of_an_attempt_wins() {
    check("a", "load a, fail a #1", "a Loaded");
    check("a", "fail a, load a #1", "a Failed");
    check("a", "error a, load a #1", "a Retrying#2");
    check("a", "expire a QueueTimeout, load a #1", "a Retrying#2");
    check("a", "load a, expire a QueueTimeout", "a Loaded");
}

#[test]
fn records_that_change_nothing_are_counted_by_reason() {
    for (script, reason) in [
        ("error a, load a #1", "stale_attempt"),
        ("error a, start a #1", "stale_attempt"),
        ("error a, wait 1s, load a, error a #1", "stale_attempt"),
        ("load a #2", "future_attempt"),
        ("start a #2", "future_attempt"),
        ("load b #1", "future_attempt"),
        ("error a, load a #3", "future_attempt"),
        ("load a, load a #2", "future_attempt"),
        ("load a, load a", "duplicate"),
        ("load a, fail a", "duplicate"),
        ("fail a, fail a", "duplicate"),
        ("load a, start a", "late"),
        ("load a, beat a", "late"),
        ("fail a, load b #1", "late"),
        ("cancel, load a", "late"),
        ("cancelled, cancelled", "late"),
        ("load a, load b, cancelled", "late"),
        ("started", "duplicate"),
        ("leader 2, cancelled epoch 1", "fenced"),
        ("leader 2, expire a QueueTimeout epoch 1", "fenced"),
        ("leader 2, started epoch 1", "fenced"),
        ("leader 2, leader 2", "fenced"),
        ("leader 3, leader 2", "fenced"),
        ("leader 4294967298", "malformed"),
        ("leader 9007199254740991", "malformed"),
        ("leader 18446744073709551615", "malformed"),
    ] {
        check_refused("a -> b", script, reason);
    }
}

#[test]
fn an_answer_before_the_run_has_started_belongs_to_another_run() {
    let play = Play::before_start("a", 100, |_| {}).run("hold, load a, start a, cancelled, deliver");
    assert_eq!(play.refused(), "foreign_run foreign_run foreign_run");
    assert_eq!(play.summary(), "a Queued");
}

#[test]
fn an_answer_for_a_pruned_object_is_for_an_unknown_one() {
    let play =
        Play::new("a, x", |spec| spec.targets = Targets::Ids(vec!["a".to_owned()])).run("load x, load a");
    assert_eq!(play.refused(), "unknown_object");
    assert_eq!((play.summary(), play.outcome()), ("a Loaded, x Pruned".into(), "Succeeded Completed".into()));
}

#[test]
fn o3_pruned_objects_get_no_record_and_are_in_no_count() {
    let play = Play::new("a -> b, a -> c -> d", |spec| spec.targets = Targets::Ids(vec!["b".to_owned()]));
    let play = play.run("load a, load b");
    assert_eq!(play.published(), "a b");
    assert_eq!(play.leader.view().counts.total(), 2);
    assert_eq!(play.outcome(), "Succeeded Completed");
}

#[test]
fn attempt_k_plus_one_exists_from_the_end_of_attempt_k() {
    // Nobody has published attempt 2 yet, and its back-off is not over: the answer counts.
    let play = Play::new("a -> b", |_| {}).run("error a, load a #2");
    assert_eq!((play.summary(), play.published()), ("a Loaded#2, b Queued".into(), "a b".into()));
    check("a", "error a, start a #2", "a Running#2");
    check("a", "error a, error a #2, fail a #3", "a Failed#3");
    // It is not published when its time comes.
    assert_eq!(Play::new("a", |_| {}).run("error a, start a #2, wait 10s").published(), "a");
}

#[test]
fn an_attempt_whose_worker_had_to_stop_uses_up_none() {
    // Two attempts of its own, and some of others.
    let play = Play::new("a -> b", |spec| spec.stages[0].retry.max_attempts = 2);
    let play = play.run("start a, drain a, error a");
    assert_eq!(play.published(), "a a#2", "at once, and only after a failure of its own later");
    check("a", "drain a, load a", "a Loaded#2");
    let play = play.run("wait 1m, drain a, fail a");
    assert_eq!(play.summary(), "a Failed#4, b Blocked(a)");
    assert_eq!(
        Play::new("a", |spec| spec.stages[0].retry.max_attempts = 1).run("drain a, error a").summary(),
        "a Failed#2"
    );
}

/// Without a bound an object whose workers are stopped before it can end runs for ever, as fast as they start.
#[test]
fn workers_that_have_to_stop_again_and_again_are_waited_for_and_count_in_the_end() {
    let one_attempt = |spec: &mut orch_core::spec::RunSpec| spec.stages[0].retry.max_attempts = 1;
    let play = Play::new("a", one_attempt).run("drain a, drain a");
    assert_eq!(play.published(), "a a#2", "the first one costs no time, the second does");
    let play = play.run("wait 1s, drain a, wait 1s");
    assert_eq!(play.published(), "a a#2 a#3", "and the third more");
    let play = play.run("wait 1m, drain a, wait 1m, drain a, wait 1m");
    assert_eq!(play.summary(), "a Queued#6", "five are free");
    assert_eq!(play.run("drain a").summary(), "a Failed#6");
    // A failure of its own in between begins a new row.
    let two_attempts = |spec: &mut orch_core::spec::RunSpec| spec.stages[0].retry.max_attempts = 2;
    let four = "drain a, wait 1m, drain a, wait 1m, drain a, wait 1m, drain a, wait 1m";
    let play = Play::new("a", two_attempts).run(&format!("{four}, error a, wait 1m, {four}"));
    assert_eq!(play.summary(), "a Queued#10");
}

#[test]
fn o10_assumed_loaded_means_no_record_and_the_children_go_on() {
    let play = Play::new("?u -> a -> b", |spec| spec.undefined_dependencies = UndefinedPolicy::AssumeLoaded);
    assert_eq!((play.published(), play.summary()), ("a".into(), "a Queued, b Pending, ?u Loaded".into()));
    let play = play.run("load a, load b");
    assert_eq!(play.outcome(), "Succeeded Completed");
    assert_eq!(play.leader.view().counts.total(), 3);
}

#[test]
fn o10_an_answer_for_an_assumed_object_changes_nothing() {
    let play = Play::new("?u -> a", |spec| spec.undefined_dependencies = UndefinedPolicy::AssumeLoaded);
    assert_eq!(play.run("fail ?u").refused(), "future_attempt");
}

#[test]
fn o10_run_treats_an_undefined_object_like_any_other() {
    let undefined_runs =
        |spec: &mut orch_core::spec::RunSpec| spec.undefined_dependencies = UndefinedPolicy::Run;
    let play = Play::new("?u -> a", undefined_runs);
    assert_eq!((play.published(), play.summary()), ("?u".into(), "a Pending, ?u Queued".into()));
    assert_eq!(play.run("fail ?u").summary(), "a Blocked(?u), ?u Failed");
    assert_eq!(Play::new("?u -> a", undefined_runs).run("load ?u").summary(), "a Queued, ?u Loaded");
}

#[test]
fn a_run_of_nothing_but_assumed_objects_succeeds_at_once() {
    let play = Play::new("?u -> a", |spec| {
        spec.undefined_dependencies = UndefinedPolicy::AssumeLoaded;
        spec.targets = Targets::Ids(vec!["?u".to_owned()]);
    });
    assert_eq!((play.outcome(), play.published()), ("Succeeded Completed".into(), String::new()));
}
