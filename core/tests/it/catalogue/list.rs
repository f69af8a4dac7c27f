//! The plain form.

use orch_core::catalogue::{Room, append_objects};
use orch_core::plan::plan;
use orch_core::spec::{RetryOverride, RunSpec, TimeoutsOverride};

use super::{check, read};

#[test]
fn ids_are_texts_or_whole_numbers() {
    check(
        r#"[{"id": "a"}, {"id": 2005, "dependsOn": ["a"]}, {"id": "sales/orders", "dependsOn": [2005, "2005", 2005.0]}]"#,
        "a 2005(a) sales/orders(2005 2005 2005)",
    );
}

#[test]
fn every_field_is_read() {
    let entry = r#"{"id": "a", "name": "Été", "stage": "ingest", "dependsOn": [], "meta": {"k": 500.0}, "params": {"u": "é"},
        "processor": {"exec": {}}, "retry": {"maxAttempts": 5, "initialDelay": "1.5s", "factor": 3, "maxDelay": "1m", "jitter": 0},
        "timeouts": {"queue": "5m", "run": "1h", "heartbeat": "10s"}}"#;
    let spec = read(&format!("[{entry}, {{\"id\": \"b\", \"name\": null, \"retry\": null}}]"));
    let object = &spec.objects[0];
    assert_eq!(object.entry, entry);
    assert_eq!((object.name.as_deref(), object.stage.as_deref()), (Some("Été"), Some("ingest")));
    assert_eq!(object.meta.as_deref(), Some(r#"{"k": 500.0}"#));
    assert_eq!(
        (object.params.as_deref(), object.processor.as_deref()),
        (Some(r#"{"u": "é"}"#), Some(r#"{"exec": {}}"#))
    );
    let retry = RetryOverride {
        max_attempts: Some(5),
        initial_delay_ms: Some(1_500),
        factor: Some(3.0),
        max_delay_ms: Some(60_000),
        jitter: Some(0.0),
    };
    assert_eq!(object.retry.as_deref(), Some(&retry));
    let timeouts =
        TimeoutsOverride { queue_ms: Some(300_000), run_ms: Some(3_600_000), heartbeat_ms: Some(10_000) };
    assert_eq!(object.timeouts.as_deref(), Some(&timeouts));
    let bare = &spec.objects[1];
    assert_eq!(
        (&bare.name, &bare.meta, bare.retry.is_none(), bare.timeouts.is_none()),
        (&None, &None, true, true)
    );
}

#[test]
fn every_fault_is_reported_at_once_with_its_place() {
    check(
        r#"[
          {"id": "a", "dependson": []},
          {"id": true, "dependsOn": ["a", 1.5, null]},
          {"dependsOn": "a"},
          {"id": "d", "meta": [1], "params": "x", "processor": 3, "name": 4, "stage": "Not A Stage"},
          {"id": "e", "retry": {"maxAttempts": 1.5, "initialDelay": 5, "factor": "2", "tries": 3}},
          {"id": "f", "timeouts": {"run": "5 minutes"}, "id": "g"},
          "h",
          {"id": 9007199254740992, "colour": "red"}
        ]"#,
        "Malformed f[0].dependson: there is no field `dependson`; did you mean `dependsOn`?\n\
         Malformed f[1].id: an id is a text or a whole number, this is true\n\
         Malformed f[1].dependsOn[1]: an id is a text or a whole number, this is 1.5\n\
         Malformed f[1].dependsOn[2]: an id is a text or a whole number, this is null\n\
         Malformed f[2].dependsOn: a list of ids is expected, this is a text\n\
         Malformed f[2]: the entry has no `id`\n\
         Malformed f[3].meta: an object is expected, this is a list\n\
         Malformed f[3].params: an object is expected, this is a text\n\
         Malformed f[3].processor: an object is expected, this is a number\n\
         Malformed f[3].name: a text is expected, this is 4\n\
         InvalidName f[3].stage: `Not A Stage` is no stage name: a DNS label of at most 40 characters, not events, dlq, \
         control or data\n\
         Malformed f[4].retry.tries: there is no field `tries`; the fields are maxAttempts, initialDelay, factor, \
         maxDelay, jitter\n\
         Malformed f[4].retry.maxAttempts: a whole number is expected, this is 1.5\n\
         Malformed f[4].retry.initialDelay: a duration such as 30s is expected, this is 5\n\
         Malformed f[4].retry.factor: a number is expected, this is \"2\"\n\
         Malformed f[5].id: the field `id` stands twice\n\
         Malformed f[5].timeouts.run: `5 minutes` is no duration: write numbers with ms, s, m or h, such as 500ms, 1.5s \
         or 2h30m\n\
         Malformed f[6]: an object is expected, this is a text\n\
         Malformed f[7].colour: there is no field `colour`; the fields are id, name, stage, dependsOn, meta, params, \
         processor, retry, timeouts\n\
         UnsafeNumber f[7].id: the number 9007199254740992 is beyond 9007199254740991, which not every reader keeps; \
         write it as a text",
    );
}

#[test]
fn stages_are_those_that_the_objects_name_else_work() {
    let stages = |input: &str| read(input).stages.into_iter().map(|stage| stage.name).collect::<Vec<_>>();
    assert_eq!(stages(r#"[{"id": 1}, {"id": 2}]"#), ["work"]);
    assert_eq!(
        stages(r#"[{"id": 1, "stage": "b"}, {"id": 2, "stage": "a"}, {"id": 3, "stage": "b"}]"#),
        ["b", "a"]
    );
    let some = read(r#"[{"id": 1, "stage": "b"}, {"id": 2, "stage": "a"}, {"id": "x"}]"#);
    assert_eq!(
        plan(some).unwrap_err()[0].to_string(),
        "f[2].id: no stage takes `x`; give it a `stage`; no stage has an `idRange`"
    );
}

#[test]
fn a_chunk_is_appended_whole_or_not_at_all() {
    let mut spec = RunSpec::default();
    append_objects(&mut spec, &mut Room::default(), "one", br#"[{"id": "a"}]"#).unwrap();
    let before = spec.clone();
    append_objects(&mut spec, &mut Room::default(), "two", br#"[{"id": "b"}, {"id": []}]"#).unwrap_err();
    assert_eq!(spec, before);
    append_objects(&mut spec, &mut Room::default(), "two", br#"[{"id": "b"}]"#).unwrap();
    let objects: Vec<_> =
        spec.objects.iter().map(|object| (object.source, object.position, &*object.id)).collect();
    assert_eq!(objects, [(0, 0, "a"), (1, 0, "b")]);
    // A chunk of the other format is a finding a record, not a misread one.
    let records =
        append_objects(&mut spec, &mut Room::default(), "three", br#"[{"IdObjet": 3000, "id": "21"}]"#)
            .unwrap_err();
    assert!(records[0].to_string().starts_with("three[0].IdObjet: there is no field `IdObjet`"));
}

#[test]
fn findings_are_cut_at_a_thousand() {
    let entries = vec!["7"; 200_000].join(",");
    let findings = orch_core::catalogue::read("f", format!("[{entries}]").as_bytes()).unwrap_err();
    assert_eq!(findings.len(), 1_001);
    assert_eq!(
        findings[1_000].to_string(),
        "f[999]: 199000 more findings are not listed; correct these first"
    );
}
