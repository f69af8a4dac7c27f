//! A state as text: the form that later releases have to read, and texts that are none.

use std::sync::Arc;

use orch_core::engine::{Phase, RunState, SnapshotFault};
use orch_core::id::RunUid;
use serde_json::Value;

use super::play::Play;

/// A run in which something of everything has happened.
fn play() -> Play {
    Play::new("a -> c, b -> d, x -> y", |_| {})
        .run("load a by w1, wait 1s, error b by w2, fail x by w1, start c by w3")
}

/// The golden file, for the plan of [`play`]: its digest is another matter.
fn golden(play: &Play) -> String {
    include_str!("../../golden/snapshot_v1.json").replace("PLAN", &play.plan.digest)
}

fn restored(play: &Play, text: &str) -> Result<RunState, SnapshotFault> {
    RunState::of_snapshot(Arc::clone(&play.plan), RunUid::new("uid"), text.as_bytes())
}

/// A file of an older release is never changed: runs of that release are in logs.
#[test]
fn the_form_of_each_release_is_read_and_that_of_this_one_written() {
    let play = play();
    let golden = golden(&play);
    assert_eq!(restored(&play, &golden).as_ref(), Ok(&play.leader.state));
    let written: Value = serde_json::from_str(&play.leader.state.to_snapshot().unwrap()).unwrap();
    assert_eq!(written, serde_json::from_str::<Value>(&golden).unwrap());
}

#[test]
fn a_snapshot_of_another_plan_is_a_run_whose_plan_has_changed() {
    let text = golden(&play()).replace("sha256:", "sha256:0");
    let play = play();
    let state = restored(&play, &text).unwrap();
    assert!(state.plan_changed());
    assert!(play.plan.indices().all(|ix| state.cell(ix).phase == Phase::Cancelled));
    assert_eq!((state.epoch(), state.to_snapshot()), (1, None));
}

#[test]
fn what_does_not_fit_together_is_refused() {
    let play = play();
    let good = golden(&play);
    let fault = |from: &str, to: &str| {
        assert!(good.contains(from), "{from}");
        restored(&play, &good.replacen(from, to, 1)).map(|_| ()).unwrap_err().to_string()
    };
    for (from, to, expected) in [
        ("\"version\": 1", "\"version\": 2", "the form 2"),
        ("\"version\": 1", "\"version\": 0", "the form 0"),
        ("\"uid\"", "\"other\"", "of the run other"),
        ("LNRPFB", "LNRPFBP", "7 phases of 6 objects"),
        ("LNRPFB", "LNRPF?", "no phase has the letter"),
        ("LNRPFB", "PNRPFB", "before it was loaded"),
        ("LNRPFB", "LNRPLB", "loaded by another attempt"),
        ("[0, 1, 0,", "[6, 1, 0,", "no object 6"),
        ("[0, 1, 0,", "[0, 1, 3,", "a worker without a name"),
        ("[2, 2,", "[2, 1,", "does not follow the last failed one"),
        ("[[0, 1, 10,", "[[0, -1, 10,", "no place"),
        ("[[0, 1, 10,", "[[0, 1, 11,", "another size"),
        ("[[0, 1, 10,", "[[3, 1, 10,", "before it was loaded"),
        ("\"ended\": null", "\"ended\": \"Tired\"", "nothing ends as `Tired`"),
        ("\"ended\": null", "\"ended\": \"Cancelled\"", "objects are unfinished"),
        ("\"stopping\": false", "\"stopping\": true", "without a failure under FailFast"),
        ("\"workers\"", "\"hands\"", "not readable"),
    ] {
        let said = fault(from, to);
        assert!(said.contains(expected), "{from} -> {to}: {said}");
    }
    for junk in ["", "[]", "{}", "null", "{\"version\": -1}", &"[".repeat(100_000)] {
        assert!(matches!(restored(&play, junk), Err(SnapshotFault::Unreadable(_))), "{junk:.20}");
    }
}

#[test]
fn a_run_that_has_not_begun_or_has_another_plan_has_no_snapshot() {
    assert_eq!(Play::before_start("a", 100, |_| {}).run("hold").leader.state.to_snapshot(), None);
    assert_eq!(
        Play::before_start("a", 100, |_| {}).run("hold, started other").leader.state.to_snapshot(),
        None
    );
}
