use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};
use std::io::Write as _;

use super::*;

/// `a` and then `b`.
fn run(letters: &str, loaded: u32, phase: &str) -> Value {
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(letters.as_bytes()).unwrap();
    let data = STANDARD.encode(packed.finish().unwrap());
    json!({
        "metadata": {"uid": "u"},
        "spec": {
            "stages": [{"name": "work", "retry": {"maxAttempts": 2}}],
            "objects": [{"id": "a"}, {"id": "b", "dependsOn": ["a"]}],
        },
        "status": {
            "phase": phase, "planDigest": "d", "stages": [{"name": "work", "topic": "t.work"}],
            "counts": {"total": 2, "loaded": loaded, "failed": letters.matches('F').count(),
                       "blocked": letters.matches('B').count(), "cancelled": letters.matches('X').count()},
            "phaseMap": {"encoding": "gzip+base64", "order": "spec", "data": data},
        },
    })
}

/// A log from values; each stands a millisecond after the one before.
#[derive(Default)]
struct Written(Log);

impl Written {
    fn add(mut self, topic: &str, key: &str, value: &Value) -> Self {
        let offset = self.0.iter().filter(|record| record.topic == topic).count() as i64;
        self.0.push(Record {
            topic: topic.to_owned(),
            partition: 0,
            offset,
            time_ms: self.0.len() as i64,
            key: key.to_owned(),
            value: value.to_string(),
        });
        self
    }

    fn leader(self, epoch: u64) -> Self {
        self.add("t.events", "", &json!({"event_type": "LeaderStarted", "epoch": epoch}))
    }

    fn begun() -> Self {
        let started = json!({"event_type": "RunStarted", "run_uid": "u", "epoch": 1, "plan_digest": "d"});
        Self::default().leader(1).add("t.events", "u", &started)
    }

    fn ready(self, id: &str, attempt: u64, epoch: u64) -> Self {
        let inputs = if id == "b" { json!([{"id": "a", "outputs": {"n": 1}}]) } else { json!([]) };
        self.ready_with(id, (attempt, epoch), &inputs)
    }

    fn ready_with(self, id: &str, (attempt, epoch): (u64, u64), inputs: &Value) -> Self {
        let value = json!({"event_type": "ObjectReady", "id_objet": id, "run_uid": "u", "attempt": attempt,
                           "epoch": epoch, "inputs": inputs});
        self.add("t.work", id, &value)
    }

    fn answer(self, kind: &str, id: &str, attempt: u64) -> Self {
        let value = json!({"event_type": kind, "id_objet": id, "run_uid": "u", "attempt": attempt, "outputs": {"n": 1}});
        self.add("t.events", id, &value)
    }

    fn loaded(self, id: &str, attempt: u64) -> Self {
        self.answer("ObjectLoaded", id, attempt)
    }

    fn cancelled(self, epoch: u64) -> Self {
        let value =
            json!({"event_type": "RunCancelled", "run_uid": "u", "epoch": epoch, "reason": "Cancelled"});
        self.add("t.events", "u", &value)
    }

    fn well() -> Self {
        Self::begun().ready("a", 1, 1).loaded("a", 1).ready("b", 1, 1).loaded("b", 1)
    }

    fn judged(&self, run: &Value) -> Verdict {
        let graph = Graph::of(run, &Sources::default()).unwrap();
        judge(run, &graph, &self.0, &Leave { cancel_ms: 2, incomplete: Vec::new() }).unwrap()
    }

    #[track_caller]
    fn is_found(&self, run: &Value, finding: &str) {
        let findings = self.judged(run).findings;
        assert!(findings.iter().any(|found| found.contains(finding)), "no `{finding}` in {findings:#?}");
    }

    #[track_caller]
    fn is_well(&self, run: &Value) -> Totals {
        let verdict = self.judged(run);
        assert_eq!(verdict.findings, Vec::<String>::new());
        verdict.totals
    }
}

fn succeeded() -> Value {
    run("LL", 2, "Succeeded")
}

#[test]
fn a_run_that_went_well_is_accepted() {
    let totals = Written::well().is_well(&succeeded());
    assert_eq!((totals.loaded, totals.lost, totals.published, totals.terms), (2, 0, 2, 1));
}

#[test]
fn what_comes_again_is_counted_and_changes_nothing() {
    let written =
        Written::well().loaded("a", 1).loaded("b", 7).loaded("nobody", 1).add("t.events", "", &json!("x"));
    let totals = written.is_well(&succeeded());
    let refused = [("duplicate", 1), ("future attempt", 1), ("malformed", 1), ("unknown object", 1)];
    assert_eq!(totals.refused.into_iter().collect::<Vec<_>>(), refused);
}

#[test]
fn a_lost_object_is_found() {
    let written = Written::begun().ready("a", 1, 1).loaded("a", 1).ready("b", 1, 1);
    written.is_found(&run("LQ", 1, "Running"), "1 objects have not ended: [\"b\"]");
}

#[test]
fn an_object_that_the_status_counts_twice_is_found() {
    let verdict = Written::well().judged(&run("LL", 3, "Succeeded"));
    assert_eq!(verdict.totals.counted_twice, 1);
    assert_eq!(verdict.findings, ["status.counts.loaded is 3, and the log says 2"]);
}

#[test]
fn a_letter_that_is_not_what_the_log_says_is_found() {
    Written::well().is_found(&run("LF", 2, "Succeeded"), "status.phaseMap shows b as F, it is Loaded");
}

#[test]
fn a_child_before_its_parent_is_found() {
    let written = Written::begun().ready("a", 1, 1).ready("b", 1, 1).loaded("a", 1).loaded("b", 1);
    written.is_found(&succeeded(), "t.work/0 at 1: b #1 was ready 1 ms early");
}

#[test]
fn a_child_of_a_failed_parent_is_found() {
    let written = Written::begun().ready("a", 1, 1).answer("ObjectFailed", "a", 1).ready("a", 2, 1);
    let written = written.answer("ObjectFailed", "a", 2);
    written.is_well(&run("FB", 0, "Failed"));
    written.ready("b", 1, 1).is_found(&run("FB", 0, "Failed"), "b #1 is ready, and never could begin");
}

#[test]
fn an_attempt_before_the_one_before_it_has_ended_is_found() {
    let written =
        Written::begun().ready("a", 1, 1).ready("a", 2, 1).answer("ObjectFailed", "a", 1).loaded("a", 2);
    written.ready("b", 1, 1).loaded("b", 1).is_found(&succeeded(), "a #2 was ready 1 ms early");
}

#[test]
fn an_answer_that_nobody_asked_for_is_found() {
    let written = Written::begun().ready("a", 1, 1).loaded("a", 1).loaded("b", 1);
    written.is_found(&succeeded(), "b #1 was accepted, and not published before");
}

#[test]
fn a_term_that_publishes_what_was_over_before_it_is_found() {
    let again = Written::well().leader(2).ready("a", 1, 2);
    again.is_found(&succeeded(), "a #1 was over before term 2 began, which published it again");
    // The leader of the first term may be late with it.
    assert_eq!(Written::well().leader(2).ready("a", 1, 1).is_well(&succeeded()).published_again, 1);
}

#[test]
fn a_term_that_nobody_has_is_found() {
    let written = Written::begun().ready("a", 1, 1).loaded("a", 1).ready("b", 1, 9).loaded("b", 1);
    written.is_found(&succeeded(), "b #1 is ready in term 9, which nobody has");
}

#[test]
fn a_word_of_a_fenced_leader_changes_nothing() {
    let expired = json!({"event_type": "ObjectFailed", "id_objet": "b", "run_uid": "u", "attempt": 1, "epoch": 1,
                         "worker": "operator", "reason": "HeartbeatLost"});
    let written = Written::begun().ready("a", 1, 1).loaded("a", 1).ready("b", 1, 1).leader(2);
    let totals = written.add("t.events", "b", &expired).loaded("b", 1).is_well(&succeeded());
    assert_eq!(totals.refused["fenced"], 1);
}

#[test]
fn a_run_that_is_started_twice_is_found() {
    let again = json!({"event_type": "RunStarted", "run_uid": "u", "epoch": 2, "plan_digest": "d"});
    Written::well()
        .leader(2)
        .add("t.events", "u", &again)
        .is_found(&succeeded(), "the run was started twice");
}

#[test]
fn what_is_published_after_a_cancel_is_found() {
    let cancelled = Written::begun().ready("a", 1, 1).loaded("a", 1).cancelled(1);
    let status = run("LX", 1, "Cancelled");
    Written(cancelled.0.clone()).is_well(&status);
    // On its way when the run was cancelled.
    Written(cancelled.0.clone()).ready("b", 1, 1).is_well(&status);
    let later = Written(cancelled.0.clone()).loaded("x", 1).loaded("x", 1).ready("b", 1, 1);
    later.is_found(&status, "b #1 is ready 3 ms after Cancelled");
    cancelled.leader(2).ready("b", 1, 2).is_found(&status, "b #1 is ready 2 ms after Cancelled");
}

#[test]
fn inputs_that_nobody_handed_on_are_found() {
    let wrong = json!([{"id": "a", "outputs": {"n": 2}}]);
    for inputs in
        [wrong, json!([]), json!([{"id": "a", "events_offset": 1}]), json!([{"id": "c", "outputs": {}}])]
    {
        let written = Written::begun().ready("a", 1, 1).loaded("a", 1).ready_with("b", (1, 1), &inputs);
        written.loaded("b", 1).is_found(&succeeded(), "b #1: ");
    }
    let distant = json!([{"id": "a", "events_offset": 2}]);
    let written = Written::begun().ready("a", 1, 1).loaded("a", 1).ready_with("b", (1, 1), &distant);
    written.loaded("b", 1).is_well(&succeeded());
}

#[test]
fn records_that_are_missing_are_found() {
    let mut written = Written::well();
    written.0.retain(|record| record.topic != "t.events" || record.offset != 2);
    written.is_found(&succeeded(), "t.events: offset 2 is followed by 3");
}

#[test]
fn a_dump_is_read_as_it_was_written() {
    let (log, mut dump) = (Written::well().0, Vec::new());
    for record in &log {
        write_record(&mut dump, record).unwrap();
    }
    let read = read_dump(dump.as_slice()).unwrap();
    assert_eq!(format!("{read:?}"), format!("{log:?}"));
}
