//! Which runs may start work, as the control topic says. Pure: no I/O, no clock.

use std::collections::HashMap;

use orch_bus::Message;
use orch_core::id::RunUid;
use orch_wire::{ControlRecord, RunGate};

/// What to do with the ready record of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Its run is open.
    Start,
    /// Its run was cancelled or is over.
    Skip,
    /// Nothing was said about its run so far: read the topic to its end, then ask again.
    Unknown,
}

/// The newest word about each run.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    runs: HashMap<RunUid, RunGate>,
}

impl Gate {
    /// Takes over records of the control topic; returns how many could not be read.
    pub(crate) fn apply(&mut self, records: &[Message]) -> usize {
        records.iter().filter(|record| !self.apply_one(record)).count()
    }

    fn apply_one(&mut self, record: &Message) -> bool {
        let Ok(key) = std::str::from_utf8(&record.key) else { return false };
        if record.value.is_empty() {
            self.runs.remove(&RunUid::new(key));
            return true;
        }
        match ControlRecord::decode(&record.value) {
            // A key of another form speaks of less than a run: a record of a later version, not for this one.
            Some(control) if control.run_uid != key => true,
            Some(control) => {
                self.runs.insert(RunUid::new(key), control.state);
                true
            }
            None => false,
        }
    }

    /// What to do with a ready record of this run.
    pub(crate) fn verdict(&self, run: &RunUid) -> Verdict {
        match self.runs.get(run) {
            Some(RunGate::Open) => Verdict::Start,
            Some(RunGate::Cancelled | RunGate::Ended) => Verdict::Skip,
            None => Verdict::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn record(key: &str, value: &str) -> Message {
        let text = |text: &str| Bytes::copy_from_slice(text.as_bytes());
        Message { partition: 0, offset: 0, time: 0, key: text(key), value: text(value), reply_topic: None }
    }

    fn control(run: &str, state: RunGate) -> Message {
        let value = ControlRecord { run_uid: run.to_owned(), state }.encode();
        record(run, std::str::from_utf8(&value).unwrap())
    }

    #[test]
    fn the_newest_record_of_a_run_counts() {
        let mut gate = Gate::default();
        let run = RunUid::new("u-1");
        assert_eq!(gate.verdict(&run), Verdict::Unknown);
        let steps = [
            (control("u-1", RunGate::Open), Verdict::Start),
            (control("u-2", RunGate::Cancelled), Verdict::Start),
            (control("u-1", RunGate::Cancelled), Verdict::Skip),
            (control("u-1", RunGate::Ended), Verdict::Skip),
            (record("u-1", ""), Verdict::Unknown),
        ];
        for (record, expected) in steps {
            assert_eq!(gate.apply(&[record]), 0);
            assert_eq!(gate.verdict(&run), expected);
        }
    }

    #[test]
    fn garbage_is_counted_and_changes_nothing() {
        let mut gate = Gate::default();
        let garbage = [
            record("u-1", "junk"),
            record("u-1", r#"{"run_uid":"u-1"}"#),
            record("u-1", r#"{"run_uid":"u-1","state":"Perhaps"}"#),
            record("u-1", &"[".repeat(100_000)),
        ];
        assert_eq!(gate.apply(&[control("u-1", RunGate::Open)]), 0);
        assert_eq!(gate.apply(&garbage), 4);
        assert_eq!(gate.verdict(&RunUid::new("u-1")), Verdict::Start);
    }

    #[test]
    fn a_record_about_one_object_does_not_speak_of_its_run() {
        let mut gate = Gate::default();
        let object =
            record("u-1/2005", r#"{"run_uid":"u-1","state":"Cancelled","object":"2005","below_attempt":3}"#);
        assert_eq!(gate.apply(&[control("u-1", RunGate::Open), object]), 0);
        assert_eq!(gate.verdict(&RunUid::new("u-1")), Verdict::Start);
    }

    #[test]
    fn golden_control_records_are_read() {
        for (file, expected) in [
            (include_str!("../../wire/golden/control_open.json"), Verdict::Start),
            (include_str!("../../wire/golden/control_cancelled.json"), Verdict::Skip),
            (include_str!("../../wire/golden/control_ended.json"), Verdict::Skip),
        ] {
            let file: serde_json::Value = serde_json::from_str(file).unwrap();
            let key = file["key"].as_str().unwrap();
            let mut gate = Gate::default();
            assert_eq!(gate.apply(&[record(key, &file["value"].to_string())]), 0);
            assert_eq!(gate.verdict(&RunUid::new(key)), expected);
        }
    }
}
