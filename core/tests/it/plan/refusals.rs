use orch_core::catalogue;
use orch_core::plan::plan;
use orch_core::spec::{
    RetryOverride, RunSpec, Source, SourceForm, Targets, TimeoutsOverride, UndefinedPolicy,
};

use super::{check_refused, stage_of};

fn unchanged(_: &mut RunSpec) {}

#[test]
fn o9_a_cycle_is_refused_with_its_path_and_what_to_remove() {
    check_refused(
        "2005: 3000; 3000: 2005; x: 3000",
        unchanged,
        "Cycle o[0].dependsOn[0]: cycle: `2005 -> 3000 -> 2005`; remove `3000` from `dependsOn` of `2005`",
    );
    check_refused(
        "a: b a",
        |spec| spec.undefined_dependencies = UndefinedPolicy::Run,
        "Cycle o[0].dependsOn[1]: `a` depends on itself: `a -> a`; remove `a` from `dependsOn` of `a`",
    );
}

#[test]
fn o9_a_cycle_in_a_catalogue_names_its_fields() {
    let text = r#"[{"IdObjet": 3000, "IdObjet_Parent": "2005"}, {"IdObjet": 2005, "IdObjet_Parent": 3000},
        {"IdObjet": 3001, "IdObjet_Parent": "3001"}]"#;
    let findings = plan(catalogue::read("Objets.json", text.as_bytes()).unwrap().0).unwrap_err();
    let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        [
            "Objets.json[0].IdObjet_Parent: cycle: `3000 -> 2005 -> 3000`; remove `2005` from `IdObjet_Parent` of `3000`",
            "Objets.json[2].IdObjet_Parent: `3001` depends on itself: `3001 -> 3001`; remove `3001` from `IdObjet_Parent` \
             of `3001`",
        ]
    );
}

#[test]
fn o9_more_than_twenty_cycles_are_counted() {
    let pairs: Vec<String> = (0..25).map(|n| format!("a{n}: b{n}; b{n}: a{n}")).collect();
    let findings = plan(super::spec(&pairs.join(";"))).unwrap_err();
    assert_eq!(findings.len(), 21);
    assert_eq!(findings[20].to_string(), "spec.objects: 5 more cycles are not listed; correct these first");
}

#[test]
fn o10_unknown_dependencies_are_refused_each_with_who_wants_it() {
    check_refused(
        "a: x; b: x; c: x y; d: x; e: x; f: a y",
        unchanged,
        "UnknownDependency o[0].dependsOn[0]: `a`, `b`, `c` and 2 more depend on `x`, which is defined nowhere; define it, \
         correct the id, or set `undefinedDependencies` to AssumeLoaded or Run\n\
         UnknownDependency o[2].dependsOn[1]: `c`, `f` depend on `y`, which is defined nowhere; define it, correct the id, \
         or set `undefinedDependencies` to AssumeLoaded or Run",
    );
}

#[test]
fn an_id_is_defined_once_over_all_sources() {
    check_refused(
        "a; b; a; a",
        |spec| {
            spec.sources.push(Source::new("configMap m/k", SourceForm::Objects));
            (spec.objects[3].source, spec.objects[3].position) = (1, 0);
        },
        "Duplicate o[2].id: `a` is defined again; first at o[0].id; an id is unique in its run\n\
         Duplicate configMap m/k[0].id: `a` is defined again; first at o[0].id; an id is unique in its run",
    );
}

#[test]
fn names_that_are_none_are_refused_wherever_they_stand() {
    check_refused(
        "a,b; c: d,e; f@Stage",
        |spec| spec.objects[1].depends_on.push("a,b".into()),
        "InvalidName spec.stages[0].name: `Stage` is no stage name: a DNS label of at most 40 characters, not events, dlq, \
         control or data\n\
         InvalidName o[0].id: `a,b` is no object id: 1 to 253 printable characters without spaces or commas\n\
         InvalidName o[1].dependsOn[0]: `d,e` is no object id: 1 to 253 printable characters without spaces or commas\n\
         InvalidName o[1].dependsOn[1]: `a,b` is no object id: 1 to 253 printable characters without spaces or commas",
    );
}

#[test]
fn o7_an_id_without_a_stage_is_refused_with_the_ranges() {
    let text = r#"[{"IdObjet": 999}, {"IdObjet": 3000, "IdObjet_Parent": "999"}]"#;
    let findings = plan(catalogue::read("f", text.as_bytes()).unwrap().0).unwrap_err();
    let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        [
            "f[0].IdObjet: no stage takes `999`; give it a `stage` or an id in a range: `ingest` takes 1000 to 1999, \
          `standardize` takes 2000 to 2999, `application` takes 3000 to 9007199254740991"
        ]
    );
}

#[test]
fn a_stage_that_does_not_exist_is_refused_with_those_that_do() {
    check_refused(
        "a@one; b@two",
        |spec| spec.objects[1].stage = Some("three".into()),
        "NoRoute o[1].id: `b` names the stage `three`, which does not exist; the stages are `one`, `two`",
    );
}

#[test]
fn stages_have_names_and_ranges_of_their_own() {
    check_refused(
        "5",
        |spec| {
            spec.stages = vec![
                stage_of("a", Some((1, 10))),
                stage_of("b", Some((10, 20))),
                stage_of("a", Some((30, 20))),
                stage_of("events", None),
            ];
        },
        "Malformed spec.stages[1].idRange: the range 10 to 20 overlaps that of stage `a`; a numeric id must have one stage\n\
         Duplicate spec.stages[2].name: stage `a` is defined again; first at spec.stages[0]\n\
         Malformed spec.stages[2].idRange: the range 30 to 20 is empty; `from` is the lower end\n\
         InvalidName spec.stages[3].name: `events` is no stage name: a DNS label of at most 40 characters, not events, dlq, \
         control or data",
    );
    check_refused(
        "a; b",
        |spec| spec.stages.clear(),
        "Malformed spec.stages: a run has 1 to 64 stages, this one has 0",
    );
}

#[test]
fn policies_that_cannot_be_followed_are_refused() {
    check_refused(
        "a; b; c",
        |spec| {
            spec.stages[0].worker.concurrency = 0;
            let retry = RetryOverride { max_attempts: Some(0), ..RetryOverride::default() };
            spec.objects[1].retry = Some(Box::new(retry));
            let timeouts = TimeoutsOverride { run_ms: Some(0), ..TimeoutsOverride::default() };
            spec.objects[2].timeouts = Some(Box::new(timeouts));
        },
        "Malformed spec.stages[0].name: stage `work`: `concurrency` is at least 1\n\
         Malformed o[1]: `b`: `maxAttempts` is at least 1\n\
         Malformed o[2]: `c`: the `run` timeout is longer than 0",
    );
    let refused = |change: fn(&mut RetryOverride)| {
        let mut spec = super::spec("a");
        let mut retry = RetryOverride::default();
        change(&mut retry);
        spec.objects[0].retry = Some(Box::new(retry));
        plan(spec).unwrap_err().len()
    };
    assert_eq!(refused(|retry| retry.factor = Some(f64::NAN)), 1);
    assert_eq!(refused(|retry| retry.factor = Some(0.5)), 1);
    assert_eq!(refused(|retry| retry.jitter = Some(1.5)), 1);
    assert_eq!(refused(|retry| retry.max_delay_ms = Some(-1)), 1);
}

#[test]
fn targets_that_nothing_reaches_are_refused() {
    let stage = |name: &str| Targets::Stage(name.to_owned());
    check_refused(
        "a@one",
        |spec| spec.targets = stage("two"),
        "UnknownTarget spec.targets.stage: there is no stage `two`; the stages are `one`",
    );
    check_refused(
        "a@one",
        |spec| {
            spec.stages.push(stage_of("two", None));
            spec.targets = stage("two");
        },
        "UnknownTarget spec.targets.stage: stage `two` has no object, so that nothing would run; add one, or choose other \
         targets",
    );
    check_refused(
        "a; b",
        |spec| spec.targets = Targets::Ids(vec!["x".into(), "b".into(), "y".into()]),
        "UnknownTarget spec.targets.ids[0]: there is no object `x`\n\
         UnknownTarget spec.targets.ids[2]: there is no object `y`",
    );
    check_refused(
        "a",
        |spec| spec.targets = Targets::Ids(Vec::new()),
        "UnknownTarget spec.targets.ids: the list of targets is empty, so that nothing would run; leave `targets` out for \
         every object",
    );
}

#[test]
fn a_run_without_objects_is_refused() {
    check_refused("", unchanged, "Malformed o: there is no object to run");
}

#[test]
fn numbers_that_readers_do_not_keep_are_refused_in_all_that_is_carried() {
    check_refused(
        "a; b",
        |spec| {
            spec.objects[0].entry = r#"{"id": "a", "n": 9007199254740993}"#.into();
            spec.objects[1].entry = r#"{"n": 9007199254740993}"#.into();
            spec.objects[1].meta = Some("{}".into());
            spec.objects[1].params = Some(r#"{"p": -9007199254740992}"#.into());
            spec.objects[1].processor = Some(r#"{"exec": {"q": [1e999]}}"#.into());
        },
        "UnsafeNumber o[0]: the number 9007199254740993 in `meta` (`n`) is beyond 9007199254740991, which not every reader \
         keeps; write it as a text\n\
         UnsafeNumber o[1]: the number -9007199254740992 in `params` (`p`) is beyond 9007199254740991, which not every \
         reader keeps; write it as a text\n\
         UnsafeNumber o[1]: the number 1e999 in `processor` (`q`) is beyond 9007199254740991, which not every reader keeps; \
         write it as a text",
    );
}

#[test]
fn an_object_that_no_record_can_carry_is_refused() {
    check_refused(
        "a; b",
        |spec| {
            spec.objects[0].meta = Some(format!("{{\"x\":\"{}\"}}", "y".repeat(491_510)));
            spec.objects[1].meta = Some(format!("{{\"x\":\"{}\"}}", "y".repeat(491_520)));
        },
        "TooLarge o[1]: `b` carries 491528 bytes of meta, params and processor, a record has room for 491520; put the bulk \
         where the worker can read it and its address into `params`",
    );
}

#[test]
fn all_findings_come_at_once_in_the_order_of_their_places() {
    let mut entries: Vec<String> = (0..12).map(|n| format!("n{n}")).collect();
    entries[10] = "n10: missing".into();
    entries[2] = "n2: n3".into();
    entries[3] = "n3: n2".into();
    entries[5] = "n4".into();
    check_refused(
        &entries.join(";"),
        |spec| {
            spec.stages[0].id_range = Some((7, 3));
            spec.targets = Targets::Ids(vec!["n99".into()]);
            for object in &mut spec.objects {
                object.stage = Some("work".into());
            }
        },
        "Malformed spec.stages[0].idRange: the range 7 to 3 is empty; `from` is the lower end\n\
         Cycle o[2].dependsOn[0]: cycle: `n2 -> n3 -> n2`; remove `n3` from `dependsOn` of `n2`\n\
         Duplicate o[5].id: `n4` is defined again; first at o[4].id; an id is unique in its run\n\
         UnknownDependency o[10].dependsOn[0]: `n10` depends on `missing`, which is defined nowhere; define it, correct the \
         id, or set `undefinedDependencies` to AssumeLoaded or Run\n\
         UnknownTarget spec.targets.ids[0]: there is no object `n99`",
    );
}

#[test]
fn a_thousand_findings_are_listed_and_the_rest_counted() {
    // Two findings an object: an id twice, and a dependency that nobody defines.
    let entries: Vec<String> = (0..2_000).map(|n| format!("a: x{n}")).collect();
    let findings = plan(super::spec(&entries.join(";"))).unwrap_err();
    assert_eq!(findings.len(), 1_001);
    assert_eq!(findings[998].place.0, "o[499].dependsOn[0]");
    assert_eq!(findings[999].place.0, "o[500].id");
    assert_eq!(
        findings[1_000].to_string(),
        "o[500].id: 2999 more findings are not listed; correct these first"
    );
}
