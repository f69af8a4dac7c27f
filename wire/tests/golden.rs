//! The golden records, typed by hand from the contract: our types read each, and write the same.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::borrow::Cow;
use std::path::Path;

use orch_core::engine::{Handed, OperatorReason, RunEnd};
use orch_core::id::RunUid;
use orch_wire::{
    Answer, AnswerKind, Assembly, ControlRecord, EventsRecord, Input, Part, Ready, ReadyView, RunGate,
    RunRecord, RunRecordKind, decode_event, parse_rfc3339, unpack,
};
use serde_json::Value;

const UID: &str = "6f1c2d5e-8a0b-4c3d-9e7f-1a2b3c4d5e6f";
const RUN: &str = "default/sales";
const WORKER: &str = "medallion-standardize-7d9f4";

struct Golden {
    key: String,
    headers: Value,
    value: Value,
}

impl Golden {
    fn read(name: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(name);
        let text =
            std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let json: Value = serde_json::from_str(&text).unwrap();
        Self {
            key: json["key"].as_str().unwrap().to_owned(),
            headers: json["headers"].clone(),
            value: json["value"].clone(),
        }
    }

    fn bytes(&self) -> Vec<u8> {
        serde_json::to_vec(&self.value).unwrap()
    }

    fn time(&self) -> i64 {
        parse_rfc3339(self.value["event_datetime"].as_str().unwrap()).unwrap()
    }

    /// What we wrote says the same. `null` and absent are the same.
    fn assert_same(&self, written: &[u8]) {
        let written: Value = serde_json::from_slice(written).unwrap();
        assert_eq!(without_nulls(&written), without_nulls(&self.value));
    }

    fn assert_headers(&self, written: &orch_wire::Headers) {
        let mut names = Vec::new();
        written.each(&self.key, |name, value| {
            names.push(name);
            if name != "ce_id" {
                assert_eq!(self.headers[name], Value::from(value), "{name}");
            }
        });
        let of_others = |name: &&str| *name == "traceparent";
        let mut expected: Vec<_> = self.headers.as_object().unwrap().keys().map(String::as_str).collect();
        expected.retain(|name| !of_others(name));
        names.sort_unstable();
        expected.sort_unstable();
        assert_eq!(names, expected);
    }
}

fn without_nulls(value: &Value) -> Value {
    let Value::Object(members) = value else { return value.clone() };
    // Of `meta` nulls are the user's own.
    members
        .iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

#[test]
fn ready_is_written_and_read() {
    let golden = Golden::read("ready.json");
    let (meta, params) = (golden.value["meta"].to_string(), golden.value["params"].to_string());
    let ready = Ready {
        object: "2005",
        meta_json: &meta,
        run: &RUN.into(),
        run_uid: &RunUid::new(UID),
        stage: "standardize",
        attempt: 1,
        epoch: 3,
        run_timeout_ms: Some(600_000),
        heartbeat_ms: 30_000,
        params_json: Some(&params),
        processor_json: None,
    };
    let inputs = [("1005", r#"{"rows":200}"#), ("1006", r#"{"rows":41,"path":"raw/tasks"}"#)];
    let inputs = inputs.iter().map(|(id, outputs)| Input { id, handed: Handed::Text(outputs) });
    let written = ready.encode(inputs, golden.time());
    golden.assert_same(&written);
    golden.assert_headers(&ready.headers(&"orchestrator.default.medallion.events".into(), golden.time()));
    let bytes = golden.bytes();
    let view = ReadyView::decode(&bytes).unwrap();
    assert_eq!((view.run_uid.as_ref(), view.attempt, view.run_timeout_ms), (UID, 1, Some(600_000)));
    assert!(view.meta.get().contains("Criticité"));
}

#[test]
fn ready_of_a_named_object_has_text_as_id() {
    let golden = Golden::read("ready_named.json");
    let (meta, processor) = (golden.value["meta"].to_string(), golden.value["processor"].to_string());
    let ready = Ready {
        object: "orders-by-customer",
        meta_json: &meta,
        run: &RUN.into(),
        run_uid: &RunUid::new(UID),
        stage: "application",
        attempt: 2,
        epoch: 3,
        run_timeout_ms: Some(90_000),
        heartbeat_ms: 30_000,
        params_json: None,
        processor_json: Some(&processor),
    };
    let inputs = [("orders", r#"{"rows":12}"#), ("0042", "{}")];
    golden.assert_same(&ready.encode(
        inputs.iter().map(|(id, outputs)| Input { id, handed: Handed::Text(outputs) }),
        golden.time(),
    ));
}

#[test]
fn inputs_that_are_too_much_for_one_record_name_their_place() {
    let golden = Golden::read("ready_distant.json");
    let ready = Ready {
        object: "3000",
        meta_json: r#"{"IdObjet":3000}"#,
        run: &RUN.into(),
        run_uid: &RunUid::new(UID),
        stage: "application",
        attempt: 1,
        epoch: 3,
        run_timeout_ms: None,
        heartbeat_ms: 30_000,
        params_json: None,
        processor_json: None,
    };
    let inputs = [
        ("2005", Handed::Offset(1_204_411)),
        ("orders", Handed::Offset(0)),
        ("2006", Handed::Text(r#"{"rows":41}"#)),
    ];
    let written = ready.encode(inputs.into_iter().map(|(id, handed)| Input { id, handed }), golden.time());
    golden.assert_same(&written);
    golden.assert_headers(&ready.headers(&"orchestrator.default.medallion.events".into(), golden.time()));
}

#[test]
fn ready_of_an_object_that_nobody_defined_has_meta_null() {
    let golden = Golden::read("ready_undefined.json");
    let bytes = golden.bytes();
    let view = ReadyView::decode(&bytes).unwrap();
    assert_eq!(view.meta.get(), "null");
}

fn answer(golden: &Golden) -> Answer<'static> {
    let bytes = Box::leak(golden.bytes().into_boxed_slice());
    let key = Box::leak(golden.key.clone().into_boxed_str());
    match decode_event(key.as_bytes(), bytes).unwrap() {
        EventsRecord::Answer(answer) => answer,
        other => panic!("{other:?}"),
    }
}

#[test]
fn answers_are_read_and_written_again() {
    for name in ["started.json", "progress.json", "loaded.json", "loaded_elapsed.json", "failed.json"] {
        let golden = Golden::read(name);
        let answer = answer(&golden);
        assert_eq!((answer.run_uid.as_ref(), answer.worker.as_ref()), (UID, WORKER), "{name}");
        let mut written: Value = serde_json::from_slice(&answer.encode(RUN, golden.time()).unwrap()).unwrap();
        // "30s" and "30000ms" are the same time.
        if golden.value.get("retry_after").is_some() {
            assert_eq!(written["retry_after"], "30000ms");
            written["retry_after"] = golden.value["retry_after"].clone();
        }
        golden.assert_same(&serde_json::to_vec(&written).unwrap());
        golden.assert_headers(&answer.headers(&RUN.into(), &RunUid::new(UID), golden.time()));
    }
}

#[test]
fn a_failure_says_why() {
    let AnswerKind::Failed { reason, error, retryable, retry_after_ms, log_tail } =
        answer(&Golden::read("failed.json")).kind
    else {
        panic!("no failure")
    };
    assert_eq!((reason.as_ref(), error.as_ref()), ("WorkerError", "column «durée» is missing"));
    assert_eq!((retryable, retry_after_ms), (true, Some(30_000)));
    assert!(log_tail.unwrap().starts_with("reading"));
}

#[test]
fn an_answer_says_how_long_the_work_took_or_nothing() {
    assert_eq!(answer(&Golden::read("loaded_elapsed.json")).elapsed_ms, Some(20_177));
    assert_eq!(answer(&Golden::read("loaded.json")).elapsed_ms, None);
}

#[test]
fn the_least_that_an_outsider_sends_is_enough() {
    let answer = answer(&Golden::read("loaded_minimal.json"));
    assert!(matches!(answer.kind, AnswerKind::Loaded { outputs: None }));
    assert_eq!((answer.worker.as_ref(), answer.stage), ("", None));
}

#[test]
fn the_operators_own_failure_is_told_apart() {
    let golden = Golden::read("failed_by_operator.json");
    let bytes = golden.bytes();
    let read = decode_event(golden.key.as_bytes(), &bytes).unwrap();
    let EventsRecord::Expired { run_uid, object, attempt, reason, epoch } = read else { panic!("{read:?}") };
    assert_eq!((run_uid.as_ref(), object.as_ref(), attempt, epoch), (UID, "2005", 1, 3));
    assert_eq!(reason, OperatorReason::RunTimeout);
    let record = RunRecord {
        run: Some((RUN.into(), RunUid::new(UID))),
        epoch,
        kind: RunRecordKind::ObjectFailed {
            object: object.into_owned(),
            stage: "standardize".to_owned(),
            attempt,
            reason,
            error: golden.value["error"].as_str().unwrap().to_owned(),
        },
    };
    assert_eq!(record.key(), golden.key);
    golden.assert_same(&record.encode(golden.time()));
}

#[test]
fn run_records_are_read_and_written() {
    let run = || Some((RUN.into(), RunUid::new(UID)));
    let started = RunRecordKind::RunStarted {
        plan_digest: Golden::read("run_started.json").value["plan_digest"].as_str().unwrap().to_owned(),
        failure_policy: "ContinueIndependent",
        undefined_dependencies: "Reject",
    };
    let cases = [
        ("run_started.json", RunRecord { run: run(), epoch: 0, kind: started }),
        (
            "leader_started.json",
            RunRecord {
                run: None,
                epoch: 0,
                kind: RunRecordKind::LeaderStarted { leader: "operator-abc".to_owned() },
            },
        ),
        (
            "run_cancelled.json",
            RunRecord {
                run: run(),
                epoch: 0,
                kind: RunRecordKind::RunCancelled { reason: RunEnd::DeadlineExceeded },
            },
        ),
    ];
    for (name, mut record) in cases {
        let mut golden = Golden::read(name);
        record.epoch = golden.value["epoch"].as_u64().unwrap();
        assert_eq!(record.key(), golden.key, "{name}");
        golden.value.as_object_mut().unwrap().remove("requested_by");
        golden.assert_same(&record.encode(golden.time()));
        let bytes = golden.bytes();
        let read = decode_event(golden.key.as_bytes(), &bytes).unwrap();
        let same = matches!(
            (name, &read),
            ("run_started.json", EventsRecord::RunStarted { run_uid: Cow::Borrowed(UID), .. })
                | ("leader_started.json", EventsRecord::LeaderStarted { .. })
                | ("run_cancelled.json", EventsRecord::RunCancelled { reason: RunEnd::DeadlineExceeded, .. })
        );
        assert!(same, "{name}: {read:?}");
    }
}

#[test]
fn the_state_of_a_run_is_read_and_written() {
    let written = |name: &str, part: Option<Part<'static>>| {
        let golden = Golden::read(name);
        let run = Some((RUN.into(), RunUid::new(UID)));
        let kind = RunRecordKind::RunSnapshot { id: "3.1".to_owned(), part };
        let record = RunRecord { run, epoch: 3, kind };
        assert_eq!(record.key(), golden.key);
        golden.assert_same(&record.encode(golden.time()));
        golden.assert_headers(&record.headers(golden.time()));
    };
    let mark = Golden::read("run_snapshot.json").bytes();
    let EventsRecord::RunSnapshot(mark) = decode_event(UID.as_bytes(), &mark).unwrap() else {
        panic!("no mark")
    };
    assert_eq!((mark.run_uid.as_ref(), mark.epoch, mark.id.as_ref()), (UID, 3, "3.1"));
    assert!(mark.part.is_none());
    written("run_snapshot.json", None);
    let part = Golden::read("run_snapshot_part.json").bytes();
    let EventsRecord::RunSnapshot(read) = decode_event(UID.as_bytes(), &part).unwrap() else {
        panic!("no part")
    };
    let part = read.part.unwrap();
    assert_eq!((part.at, part.number, part.of), (200_017, 0, 1));
    let packed = Assembly::new("3.1", 200_017).take("3.1", &part).unwrap().unwrap();
    let state: Value = serde_json::from_slice(&unpack(&packed).unwrap()).unwrap();
    assert_eq!((&state["version"], &state["phases"]), (&1.into(), &"LN".into()));
    let owned = Part { digest: part.digest.into_owned().into(), data: part.data.into_owned().into(), ..part };
    written("run_snapshot_part.json", Some(owned));
}

#[test]
fn control_records_are_read_and_written() {
    let states = [
        ("control_open.json", RunGate::Open),
        ("control_cancelled.json", RunGate::Cancelled),
        ("control_ended.json", RunGate::Ended),
    ];
    for (name, state) in states {
        let golden = Golden::read(name);
        let record = ControlRecord { run_uid: UID.to_owned(), state };
        assert_eq!(ControlRecord::decode(&golden.bytes()), Some(record.clone()), "{name}");
        golden.assert_same(&record.encode());
    }
}

/// Texts of an outsider went into the memory of the operator as they came, up to the size of a record.
#[test]
fn texts_of_an_answer_are_cut() {
    let long = "é".repeat(40_000);
    let answer = format!(
        r#"{{"event_type":"ObjectFailed","run_uid":"u","attempt":1,"worker":"{long}","reason":"{long}","error":"{long}"}}"#
    );
    let Ok(EventsRecord::Answer(Answer { worker, kind: AnswerKind::Failed { reason, error, .. }, .. })) =
        decode_event(b"1", answer.as_bytes())
    else {
        panic!("no answer")
    };
    assert_eq!([worker.len(), reason.len(), error.len()], [252, 252, 4_096]);
    assert!(long.starts_with(&*worker) && long.starts_with(&*error));
}

#[test]
fn o16_what_is_no_record_is_refused_and_never_panics() {
    let deep = "[".repeat(5_000);
    let bad: [(&str, &str, &str); 11] = [
        ("", "", "JSON"),
        ("", &deep, "levels deep"),
        ("", "[]", "JSON"),
        ("", r#"{"event_type":"Something"}"#, "unknown event type"),
        ("1", r#"{"event_type":"ObjectLoaded","run_uid":"u"}"#, "attempt"),
        ("1", r#"{"event_type":"ObjectLoaded","run_uid":"u","attempt":0}"#, "attempt"),
        ("1", r#"{"event_type":"ObjectLoaded","run_uid":"u","attempt":1,"id_objet":2}"#, "id_objet"),
        ("", r#"{"event_type":"ObjectLoaded","run_uid":"u","attempt":1}"#, "id_objet"),
        ("1", r#"{"event_type":"ObjectLoaded","attempt":1}"#, "run_uid"),
        ("", r#"{"event_type":"LeaderStarted","epoch":9007199254740992}"#, "epoch"),
        (
            "u",
            r#"{"event_type":"RunStarted","run_uid":"u","plan_digest":"x","epoch":18446744073709551615}"#,
            "epoch",
        ),
    ];
    for (key, value, word) in bad {
        let error = decode_event(key.as_bytes(), value.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(word), "{value:.80}: {error}");
    }
    let large = decode_event(b"1", &vec![b' '; orch_wire::MAX_RECORD_BYTES + 1]).unwrap_err();
    assert_eq!(large.to_string(), "524289 bytes, the limit is 524288");
    assert!(decode_event(&[0xff], br#"{"event_type":"ObjectLoaded","run_uid":"u","attempt":1}"#).is_err());
}
