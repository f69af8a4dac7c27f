use orch_core::catalogue;
use orch_core::id::ObjectIx;
use orch_core::plan::{RunPlan, plan};
use orch_core::spec::{
    FailurePolicy, RetryOverride, RetryPolicy, RunSpec, Targets, Timeouts, TimeoutsOverride, UndefinedPolicy,
};

use super::{planned, spec, stage_of};

/// `id` of each object that is needed, with its stage.
fn needed(plan: &RunPlan) -> String {
    let needed = plan.indices().filter(|ix| plan.is_needed(*ix));
    needed
        .map(|ix| format!("{}@{}", plan.object(ix).id, plan.stage_of(ix).name))
        .collect::<Vec<_>>()
        .join(" ")
}

fn catalogue_of(records: &[(u64, &str)]) -> RunSpec {
    let records: Vec<String> = records
        .iter()
        .map(|(id, parents)| format!(r#"{{"IdObjet": {id}, "IdObjet_Parent": "{parents}"}}"#))
        .collect();
    catalogue::read("f", format!("[{}]", records.join(",")).as_bytes()).unwrap().0
}

#[test]
fn o3_what_no_final_needs_is_pruned() {
    let plan = plan(catalogue_of(&[
        (1010, ""),
        (1020, ""),
        (1900, ""),
        (2005, "1020"),
        (2040, "1010"),
        (3030, "2040"),
        (3040, "2040"),
        (3050, "2005,2040"),
    ]))
    .unwrap();
    assert_eq!(
        needed(&plan),
        "1010@ingest 1020@ingest 2005@standardize 2040@standardize 3030@application 3040@application 3050@application"
    );
    assert_eq!((plan.objects.len(), plan.needed_count(), plan.graph.edge_count()), (8, 7, 6));
}

#[test]
fn o7_each_id_goes_to_the_stage_of_its_range() {
    let plan =
        plan(catalogue_of(&[(1000, ""), (1999, ""), (2000, ""), (2999, ""), (3000, "1000,1999,2000,2999")]))
            .unwrap();
    assert_eq!(needed(&plan), "1000@ingest 1999@ingest 2000@standardize 2999@standardize 3000@application");
}

#[test]
fn an_object_s_own_stage_wins_over_its_range() {
    let plan = planned("5; 6", |spec| {
        spec.stages = vec![stage_of("low", Some((0, 9))), stage_of("other", None)];
        spec.objects[1].stage = Some("other".into());
    });
    assert_eq!(needed(&plan), "5@low 6@other");
}

#[test]
fn the_only_stage_takes_everything_unless_it_has_a_range() {
    assert_eq!(needed(&planned("a; 7; 007", |_| {})), "a@work 7@work 007@work");
    let mut ranged = spec("a; 7; 007");
    ranged.stages[0].id_range = Some((1, 10));
    let findings = plan(ranged).unwrap_err();
    // `007` is a text: only canonical decimals are numbers.
    assert_eq!(findings.iter().map(|finding| &*finding.place.0).collect::<Vec<_>>(), ["o[0].id", "o[2].id"]);
}

#[test]
fn o10_assumed_objects_come_last_are_loaded_and_carry_null() {
    let plan = planned("5: 1 x; 6: x 12", |spec| {
        spec.undefined_dependencies = UndefinedPolicy::AssumeLoaded;
        spec.stages = vec![stage_of("first", Some((0, 9))), stage_of("second", Some((10, 19)))];
    });
    // One that no range takes has to have some stage.
    assert_eq!(needed(&plan), "5@first 6@first 1@first x@first 12@second");
    let assumed: Vec<bool> = plan.objects.iter().map(|object| object.assumed).collect();
    assert_eq!(assumed, [false, false, true, true, true]);
    assert_eq!(&*plan.object(ObjectIx(2)).meta, "null");
    assert_eq!(plan.label(ObjectIx(2)), "Obj1");
    assert_eq!(plan.graph.dependencies(ObjectIx(1)), [ObjectIx(3), ObjectIx(4)]);
    assert_eq!(plan.find("x"), Some(ObjectIx(3)));
    assert_eq!(
        plan.warnings.iter().map(ToString::to_string).collect::<Vec<_>>(),
        [
            "o[0].dependsOn[0]: 3 dependencies are defined nowhere and counted as loaded from the start: `1`, `x`, `12`"
        ]
    );
}

#[test]
fn o10_undefined_objects_run_with_null_and_need_a_route() {
    let plan_of = |text: &str| {
        let mut spec = spec(text);
        spec.undefined_dependencies = UndefinedPolicy::Run;
        spec.stages = vec![stage_of("first", Some((0, 9))), stage_of("second", Some((10, 19)))];
        plan(spec)
    };
    let plan = plan_of("5: 12").unwrap();
    assert_eq!(needed(&plan), "5@first 12@second");
    let undefined = plan.object(ObjectIx(1));
    assert_eq!((undefined.assumed, &*undefined.meta), (false, "null"));
    assert_eq!(
        plan.warnings[0].to_string(),
        "o[0].dependsOn[0]: 1 dependency is defined nowhere and run without a record of their own: `12`"
    );
    assert_eq!(
        plan_of("5: 12 99").unwrap_err()[0].to_string(),
        "o[0].dependsOn[1]: no stage takes `99`; give it a `stage` or an id in a range: `first` takes 0 to 9, `second` \
         takes 10 to 19"
    );
}

#[test]
fn o10_an_undefined_id_is_no_final_of_its_own() {
    let mut spec = catalogue_of(&[(2005, "3999"), (3000, "")]);
    spec.undefined_dependencies = UndefinedPolicy::Run;
    assert_eq!(needed(&plan(spec).unwrap()), "3000@application");
}

#[test]
fn targets_by_id_prune_the_rest() {
    let plan = planned("a; b: a; c: b; d", |spec| spec.targets = Targets::Ids(vec!["b".into(), "b".into()]));
    assert_eq!(needed(&plan), "a@work b@work");
}

#[test]
fn repeated_dependencies_count_once() {
    let plan = planned("a; b: a a a", |_| {});
    assert_eq!(plan.graph.edge_count(), 1);
}

#[test]
fn meta_is_the_entry_unless_it_is_written() {
    let plan = planned("a; b", |spec| spec.objects[1].meta = Some(r#"{"k":500.0}"#.into()));
    assert_eq!((&*plan.objects[0].meta, &*plan.objects[1].meta), (r#"{"id":"a"}"#, r#"{"k":500.0}"#));
}

#[test]
fn overrides_replace_single_fields_of_the_stage_s_policies() {
    let plan = planned("a; b", |spec| {
        spec.stages[0].retry.max_delay_ms = 7;
        spec.stages[0].timeouts.run_ms = Some(60_000);
        let retry = RetryOverride { max_attempts: Some(9), ..RetryOverride::default() };
        spec.objects[0].retry = Some(Box::new(retry));
        let timeouts = TimeoutsOverride { queue_ms: Some(5), ..TimeoutsOverride::default() };
        spec.objects[0].timeouts = Some(Box::new(timeouts));
    });
    let stage = RetryPolicy { max_delay_ms: 7, ..RetryPolicy::default() };
    assert_eq!(plan.objects[0].policies.retry, RetryPolicy { max_attempts: 9, ..stage });
    assert_eq!(plan.objects[1].policies.retry, stage);
    let timeouts = Timeouts { run_ms: Some(60_000), ..Timeouts::default() };
    assert_eq!(plan.objects[0].policies.timeouts, Timeouts { queue_ms: Some(5), ..timeouts });
    assert_eq!(plan.objects[1].policies.timeouts, timeouts);
}

#[test]
fn the_digest_changes_with_everything_that_decides_the_run() {
    const GRAPH: &str = "a@one; b@two: a; c@two: a b";
    let digest = |text: &str, change: fn(&mut RunSpec)| planned(text, change).digest;
    let plain = digest(GRAPH, |_| {});
    assert!(plain.starts_with("sha256:") && plain.len() == 7 + 64);
    let changes: [fn(&mut RunSpec); 14] = [
        |spec| spec.objects[2].id = "d".into(),
        |spec| spec.objects[2].stage = Some("one".into()),
        |spec| spec.objects[2].meta = Some("{}".into()),
        |spec| spec.objects[2].params = Some("{}".into()),
        |spec| spec.objects[2].processor = Some("{}".into()),
        |spec| {
            spec.objects[2].retry =
                Some(Box::new(RetryOverride { max_attempts: Some(1), ..RetryOverride::default() }));
        },
        |spec| {
            spec.objects[2].timeouts =
                Some(Box::new(TimeoutsOverride { queue_ms: Some(1), ..TimeoutsOverride::default() }));
        },
        |spec| spec.stages[0].processor = r#"{"exec":{}}"#.into(),
        |spec| spec.stages[0].retry.factor = 3.0,
        |spec| spec.stages[0].timeouts.heartbeat_ms = 1,
        |spec| spec.failure_policy = FailurePolicy::FailFast,
        |spec| spec.undefined_dependencies = UndefinedPolicy::Run,
        |spec| spec.targets = Targets::Ids(vec!["b".into()]),
        |spec| spec.objects.truncate(2),
    ];
    let mut digests = vec![
        plain.clone(),
        digest("a@one; b@two: a; c@two: a", |_| {}),
        digest("a@one; b@two: a; c@two: b", |_| {}),
    ];
    digests.extend(changes.map(|change| digest(GRAPH, change)));
    for (i, one) in digests.iter().enumerate() {
        for (j, other) in digests[..i].iter().enumerate() {
            assert_ne!(one, other, "{i} {j}");
        }
    }
    let indifferent: [fn(&mut RunSpec); 5] = [
        |spec| spec.objects[2].name = Some("label".into()),
        |spec| spec.stages[0].partitions = 1,
        |spec| spec.stages[0].worker.concurrency = 1,
        |spec| spec.sources[0].name = "elsewhere".into(),
        |spec| spec.objects[2].depends_on = vec!["b".into(), "a".into(), "b".into()],
    ];
    for (i, change) in indifferent.into_iter().enumerate() {
        assert_eq!(digest(GRAPH, change), plain, "{i}");
    }
}

#[test]
fn the_digest_is_the_same_in_every_release() {
    // The digest is in the log of every run: a change of it ends each live run with `PlanChanged` at the upgrade.
    assert_eq!(
        planned("a@one; b@two: a; c@two: a b", |_| {}).digest,
        "sha256:5543a64d71f72d4e916027751f632bc19a8dbc3c407caaa200f1943502aa8327"
    );
}
