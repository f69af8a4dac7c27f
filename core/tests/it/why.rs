//! "Why has it not started, or what happened to it": a row an answer.

use orch_core::engine::{ObjectPhase, RunPhase};
use orch_core::id::ObjectIx;
use orch_core::plan::plan;
use orch_core::spec::{FailurePolicy, RunSpec, UndefinedPolicy};
use orch_core::why::{Facts, Why, why};

use crate::engine::text;

/// A run as the resource shows it. `letters`: the phases in plan order, as in `status.phaseMap`.
struct Row {
    name: &'static str,
    graph: &'static str,
    letters: &'static str,
    object: &'static str,
    adjust: fn(&mut RunSpec),
    run: RunPhase,
    max_in_flight: u32,
    replicas: Option<u32>,
    /// Last failed attempts: id, reason, message.
    failures: &'static [(&'static str, &'static str, &'static str)],
    ended_at: Option<&'static str>,
}

const ROW: Row = Row {
    name: "",
    graph: "a -> b -> c",
    letters: "PPP",
    object: "c",
    adjust: |_| {},
    run: RunPhase::Running,
    max_in_flight: 100,
    replicas: Some(1),
    failures: &[],
    ended_at: None,
};

fn answer(row: &Row) -> Why {
    let mut spec = text::spec(row.graph);
    (row.adjust)(&mut spec);
    let plan = plan(spec).unwrap();
    let phases: Vec<Option<ObjectPhase>> = row.letters.bytes().map(ObjectPhase::from_letter).collect();
    let in_flight = row.letters.chars().filter(|letter| "QN".contains(*letter)).count() as u32;
    let failures = |ix: ObjectIx| {
        let id = plan.object(ix).id.as_str();
        let known = row.failures.iter().find(|failure| failure.0 == id);
        known.map(|(_, reason, message)| ((*reason).to_owned(), (*message).to_owned()))
    };
    let ended_at = |_: ObjectIx| row.ended_at.map(str::to_owned);
    let facts = Facts {
        run_phase: row.run,
        phases: &phases,
        failures: &failures,
        ended_at: &ended_at,
        max_in_flight: row.max_in_flight,
        in_flight,
        stage_replicas: &[row.replicas],
    };
    why(&plan, &facts, plan.find(row.object).unwrap())
}

#[track_caller]
fn check(row: &Row, reason: &str, message: &str) {
    let answer = answer(row);
    assert_eq!((answer.reason, answer.message.as_str()), (reason, message), "{}", row.name);
}

const TEN: &str = "p0 -> z, p1 -> z, p2 -> z, p3 -> z, p4 -> z, p5 -> z, p6 -> z, p7 -> z, p8 -> z, p9 -> z";

#[test]
fn an_object_that_waits_says_for_what() {
    for (row, reason, message) in [
        (
            Row { name: "no target needs it", letters: "NP-", ..ROW },
            "Pruned",
            "No target needs it, so it is not run.",
        ),
        (
            Row { name: "the run waits for its ConfigMap", run: RunPhase::Pending, ..ROW },
            "RunNotStarted",
            "The run has not started; its conditions say what it waits for.",
        ),
        (
            Row { name: "one dependency", letters: "LNP", ..ROW },
            "DependenciesNotLoaded",
            "It waits for `b` (Running).",
        ),
        (
            Row { name: "three", graph: "a -> d, b -> d, c -> d", letters: "NPTP", object: "d", ..ROW },
            "DependenciesNotLoaded",
            "It waits for `a` (Running), `b` (Retrying) and `c` (Pending).",
        ),
        (
            Row { name: "many", graph: TEN, letters: "LPNNNNNNNNN", object: "z", ..ROW },
            "DependenciesNotLoaded",
            "It waits for `p1` (Running), `p2` (Running), `p3` (Running) and 6 more.",
        ),
        (
            Row { name: "the run is full", graph: "a, b, c", letters: "NQR", max_in_flight: 2, ..ROW },
            "MaxInFlight",
            "It may start, but 2 objects of the run are in flight and maxInFlight is 2.",
        ),
        (
            Row { name: "the stage is full", graph: "a, b, c", letters: "NQR", ..ROW },
            "WindowFull",
            "It may start and waits for a place in the window of stage `work`.",
        ),
        (
            Row { name: "about to be ready", letters: "LLP", ..ROW },
            "WindowFull",
            "It may start and waits for a place in the window of stage `work`.",
        ),
        (
            Row { name: "nobody works", letters: "LLQ", replicas: Some(0), ..ROW },
            "NoWorker",
            "It is in the queue of stage `work`, which has no worker that is ready.",
        ),
        (
            Row { name: "workers are busy", letters: "LLQ", ..ROW },
            "Queued",
            "It is in the queue of stage `work` and no worker has started it yet.",
        ),
        (
            Row { name: "nobody counts external workers", letters: "LLQ", replicas: None, ..ROW },
            "Queued",
            "It is in the queue of stage `work` and no worker has started it yet.",
        ),
    ] {
        check(&row, reason, message);
    }
}

#[test]
fn an_object_that_has_begun_or_ended_says_what_happened() {
    const FAILURES: &[(&str, &str, &str)] =
        &[("c", "ExitStatus", "exit status 2"), ("a", "WorkerError", "disk full!")];
    for (row, reason, message) in [
        (Row { name: "running", letters: "LLN", ..ROW }, "Running", "A worker runs it."),
        (
            Row { name: "running again", letters: "LLN", failures: FAILURES, ..ROW },
            "Running",
            "A worker runs it again after its last attempt failed: ExitStatus: exit status 2.",
        ),
        (
            Row { name: "retrying", letters: "LLT", failures: FAILURES, ..ROW },
            "Retrying",
            "It waits for its next attempt, because the last one failed: ExitStatus: exit status 2.",
        ),
        (
            Row { name: "loaded", letters: "LLL", ended_at: Some("2026-11-21T08:00:00Z"), ..ROW },
            "Loaded",
            "It was loaded at 2026-11-21T08:00:00Z.",
        ),
        (Row { name: "loaded, time unknown", letters: "LLL", ..ROW }, "Loaded", "It was loaded."),
        (
            Row {
                name: "assumed",
                graph: "?u -> a",
                letters: "QL",
                object: "?u",
                adjust: |spec| spec.undefined_dependencies = UndefinedPolicy::AssumeLoaded,
                ..ROW
            },
            "Loaded",
            "Nobody defined it, and undefinedDependencies is AssumeLoaded.",
        ),
        (
            Row { name: "failed", letters: "LLF", failures: FAILURES, ended_at: Some("08:00:00Z"), ..ROW },
            "Failed",
            "It failed at 08:00:00Z: ExitStatus: exit status 2.",
        ),
        (Row { name: "failed, not listed", letters: "LLF", ..ROW }, "Failed", "It failed."),
        (
            Row {
                name: "blocked by a far one",
                letters: "FBB",
                failures: FAILURES,
                run: RunPhase::Failed,
                ..ROW
            },
            "DependencyFailed",
            "It needs `a`, which failed: WorkerError: disk full!",
        ),
    ] {
        check(&row, reason, message);
    }
}

#[test]
fn a_blocked_object_names_the_nearest_failure_and_never_a_blocked_dependency() {
    let far_and_near = "far -> x -> y -> z, near -> w -> z";
    let failures = &[("near", "WorkerError", "")];
    let row = Row { graph: far_and_near, letters: "FBBBFB", object: "z", failures, ..ROW };
    check(&row, "DependencyFailed", "It needs `near`, which failed: WorkerError.");
    // A failure that is listed nowhere is named all the same; an inconsistent map breaks nothing.
    check(&Row { failures: &[], ..row }, "DependencyFailed", "It needs `near`, which failed.");
    check(&Row { letters: "LLB", ..ROW }, "DependencyFailed", "Something that it needs failed.");
}

#[test]
fn a_phase_that_nothing_says_is_unknown_and_never_pending() {
    let unknown =
        "Its phase is unknown: the status of the run does not say it in a way that can be read here.";
    check(&Row { letters: "F", ..ROW }, "PhaseUnknown", unknown);
    check(&Row { letters: "L?P", ..ROW }, "DependenciesNotLoaded", "It waits for `b` (Unknown).");
}

#[test]
fn an_object_of_a_run_that_ended_says_how_it_ended() {
    let fail_fast = |spec: &mut RunSpec| spec.failure_policy = FailurePolicy::FailFast;
    let cancelled = "The run was cancelled before this object ended.";
    let failed = "The run is Failed and ended before this object did.";
    let stopped = "`a` failed, and the run's failurePolicy is FailFast: nothing more is started.";
    for (row, reason, message) in [
        (Row { name: "cancelled", letters: "LXX", run: RunPhase::Cancelled, ..ROW }, "RunEnded", cancelled),
        (Row { name: "deadline", letters: "LXX", run: RunPhase::Failed, ..ROW }, "RunEnded", failed),
        (
            Row { name: "stops", graph: "a, b, c", letters: "FNX", adjust: fail_fast, ..ROW },
            "FailFast",
            stopped,
        ),
        (
            Row {
                name: "stopped",
                graph: "a, b, c",
                letters: "FLX",
                adjust: fail_fast,
                run: RunPhase::Failed,
                ..ROW
            },
            "FailFast",
            stopped,
        ),
        (
            Row {
                name: "cancelled while it stopped",
                graph: "a, b, c",
                letters: "FXX",
                adjust: fail_fast,
                run: RunPhase::Cancelled,
                ..ROW
            },
            "RunEnded",
            cancelled,
        ),
    ] {
        check(&row, reason, message);
    }
}

#[test]
fn the_first_check_that_applies_is_the_answer() {
    for (row, reason) in [
        (Row { name: "pruned before not started", letters: "PP-", run: RunPhase::Pending, ..ROW }, "Pruned"),
        (Row { name: "pruned before ended", letters: "LL-", run: RunPhase::Cancelled, ..ROW }, "Pruned"),
        (Row { name: "not started before dependencies", run: RunPhase::Pending, ..ROW }, "RunNotStarted"),
        (Row { name: "ended before dependencies", run: RunPhase::Cancelled, ..ROW }, "RunEnded"),
        (
            Row { name: "its own end before the run's", letters: "LLL", run: RunPhase::Cancelled, ..ROW },
            "Loaded",
        ),
        (
            Row { name: "its own end before the run's", letters: "LLF", run: RunPhase::Cancelled, ..ROW },
            "Failed",
        ),
        (
            Row { name: "blocked before ended", letters: "FBB", run: RunPhase::Cancelled, ..ROW },
            "DependencyFailed",
        ),
        (
            Row { name: "dependencies before limits", letters: "NPP", max_in_flight: 1, ..ROW },
            "DependenciesNotLoaded",
        ),
        (Row { name: "run before stage", letters: "LLR", max_in_flight: 0, ..ROW }, "MaxInFlight"),
        (Row { name: "no worker before queued", letters: "LLQ", replicas: Some(0), ..ROW }, "NoWorker"),
        (Row { name: "running, whatever the replicas", letters: "LLN", replicas: Some(0), ..ROW }, "Running"),
    ] {
        assert_eq!(answer(&row).reason, reason, "{}", row.name);
    }
}
