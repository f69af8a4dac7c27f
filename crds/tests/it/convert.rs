//! Every field of a resource reaches the core, and what is left out is the core's own default.

use orch_core::finding::Finding;
use orch_core::spec::{
    self as core, FailurePolicy, RetryOverride, RetryPolicy, Targets, Timeouts, TimeoutsOverride,
    UndefinedPolicy, WorkerPolicy,
};
use orch_crds::chunk::Chunk;
use orch_crds::conversion::{self, Converted, check_inline_size};
use orch_crds::object::ObjectsFormat;
use orch_crds::stage::StageSpec;
use orch_crds::status::{PinnedPipeline, PipelineRunStatus};
use orch_crds::{Pipeline, PipelineRun, PipelineRunSpec, PipelineSpec, Resource};
use serde_json::{Value, json};

use crate::read;

fn design() -> PipelineRun {
    let Resource::PipelineRun(run) = read(include_str!("design.yaml")).unwrap().remove(0) else {
        unreachable!()
    };
    *run
}

fn chunks() -> Vec<Chunk> {
    let chunk = |source: &str, format, text: &str| Chunk {
        source: source.to_owned(),
        format,
        bytes: text.as_bytes().to_vec(),
    };
    let record = r#"{"IdObjet": 1010, "NomObjet": "Météo", "EtatObjet": "actif", "Zone": "3-Application"}"#;
    vec![
        chunk(
            "configMap sales-objects/objects.json",
            ObjectsFormat::Objects,
            r#"[{"id": "1006"}, {"id": "1007"}]"#,
        ),
        chunk("configMap sales-catalogue/Objets.json", ObjectsFormat::Catalogue, &format!("[{record}]")),
    ]
}

fn converted() -> Converted {
    conversion::run_spec(&design().spec, None, &chunks()).unwrap()
}

/// A run from the fields of its spec.
fn run(spec: Value) -> PipelineRunSpec {
    serde_json::from_value(spec).unwrap()
}

fn refused(spec: Value) -> Vec<String> {
    let findings = conversion::run_spec(&run(spec), None, &[]).unwrap_err();
    findings.iter().map(Finding::to_string).collect()
}

fn value(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn stages_reach_the_core() {
    let spec = converted().spec;
    assert_eq!(
        spec.stages[0],
        core::StageSpec {
            name: "ingest".to_owned(),
            id_range: Some((1000, 1999)),
            processor: r#"{"simulate":{"duration":"500ms"}}"#.to_owned(),
            worker: WorkerPolicy { concurrency: 8, min_replicas: 0, max_replicas: 4, idle_seconds: 60 },
            partitions: 4,
            retry: RetryPolicy::default(),
            timeouts: Timeouts { queue_ms: Some(300_000), run_ms: Some(600_000), heartbeat_ms: 30_000 },
        }
    );
    let standardize = &spec.stages[1];
    assert_eq!(standardize.processor, r#"{"exec":{"command":["load","--fast"]}}"#);
    assert_eq!(
        standardize.retry,
        RetryPolicy { max_attempts: 5, max_delay_ms: 120_000, ..RetryPolicy::default() }
    );
    assert_eq!(standardize.timeouts, Timeouts { queue_ms: Some(90_000), ..Timeouts::default() });
    assert_eq!(spec.stages[2].processor, r#"{"external":{}}"#);
}

#[test]
fn what_a_stage_leaves_out_is_the_default_of_the_core() {
    let stages = json!([{"name": "work", "processor": {"simulate": {}}}, {"name": "b", "worker": {"maxReplicas": 7}, "processor": {"simulate": {}}}]);
    let spec = run(json!({"stages": stages, "objects": [{"id": "x"}]}));
    let stages = conversion::run_spec(&spec, None, &[]).unwrap().spec.stages;
    assert_eq!(stages[0].worker, WorkerPolicy::default());
    assert_eq!(stages[0].retry, RetryPolicy::default());
    assert_eq!(stages[0].timeouts, Timeouts::default());
    assert_eq!(u32::from(stages[0].partitions), WorkerPolicy::default().max_replicas);
    assert_eq!((stages[1].worker.max_replicas, stages[1].partitions), (7, 7));
}

#[test]
fn objects_reach_the_core() {
    let objects = converted().spec.objects;
    let first = &objects[0];
    assert_eq!((first.source, first.position, first.id.as_str()), (0, 0, "1005"));
    assert_eq!(first.name.as_deref(), Some("Projects"));
    assert_eq!(value(first.params.as_ref().unwrap()), json!({"url": "https://example.org/projects"}));
    let second = &objects[1];
    assert_eq!(second.depends_on, ["1005"]);
    assert_eq!(value(second.processor.as_ref().unwrap()), json!({"http": {"url": "http://localhost:8000"}}));
    let retry = RetryOverride { max_attempts: Some(1), ..RetryOverride::default() };
    assert_eq!(second.retry.as_deref(), Some(&retry));
    let timeouts = TimeoutsOverride { run_ms: Some(3_600_000), ..TimeoutsOverride::default() };
    assert_eq!(second.timeouts.as_deref(), Some(&timeouts));
    assert_eq!(objects[2].stage.as_deref(), Some("application"));
}

#[test]
fn meta_keeps_its_numbers_by_value_and_its_absence_means_the_entry() {
    let objects = converted().spec.objects;
    let meta = value(objects[0].meta.as_ref().unwrap());
    assert_eq!(meta["FileLimit"].as_f64(), Some(500.0));
    assert_eq!(meta["big"].as_u64(), Some(9_007_199_254_740_991));
    assert_eq!(objects[2].meta, None);
    assert_eq!(
        value(&objects[2].entry),
        json!({"id": "3000", "stage": "application", "dependsOn": ["2005"]})
    );
}

#[test]
fn chunks_come_after_the_objects_of_the_resource() {
    let Converted { spec, warnings } = converted();
    let ids: Vec<&str> = spec.objects.iter().map(|object| object.id.as_str()).collect();
    assert_eq!(ids, ["1005", "2005", "3000", "1006", "1007", "1010"]);
    let sources: Vec<&str> = spec.sources.iter().map(|source| source.name.as_str()).collect();
    assert_eq!(
        sources,
        ["spec.objects", "configMap sales-objects/objects.json", "configMap sales-catalogue/Objets.json"]
    );
    assert_eq!((spec.objects[4].source, spec.objects[4].position), (1, 1));
    assert_eq!(spec.objects[5].name.as_deref(), Some("Météo"));
    assert_eq!(warnings.len(), 1, "the zone and the id differ: {warnings:?}");
}

#[test]
fn policies_reach_the_core() {
    let run = design().spec;
    let spec = converted().spec;
    assert_eq!(spec.targets, Targets::Ids(vec!["3000".to_owned()]));
    assert_eq!(spec.undefined_dependencies, UndefinedPolicy::AssumeLoaded);
    assert_eq!(spec.failure_policy, FailurePolicy::FailFast);
    assert_eq!(run.timeout_ms(), Some(7_200_000));
    assert_eq!(PipelineRunSpec::default().timeout_ms(), None);
}

/// The same stages of a run that has them itself.
fn as_own(stages: &[StageSpec]) -> Vec<core::StageSpec> {
    let own = run(json!({"stages": stages, "objects": [{"id": "x"}]}));
    conversion::run_spec(&own, None, &[]).unwrap().spec.stages
}

#[test]
fn the_stages_of_a_pipeline_are_used() {
    let pipeline: PipelineSpec =
        serde_json::from_value(json!({"stages": [{"name": "shared", "processor": {"simulate": {}}}]}))
            .unwrap();
    let spec = run(
        json!({"pipelineRef": {"name": "medallion"}, "objects": [{"id": "x"}], "targets": {"stage": "shared"}}),
    );
    let converted = conversion::run_spec(&spec, Some(&pipeline.stages), &[]).unwrap().spec;
    assert_eq!(converted.stages, as_own(&pipeline.stages));
    assert_eq!(converted.targets, Targets::Stage("shared".to_owned()));
    assert_eq!(converted.undefined_dependencies, UndefinedPolicy::Reject);
    let missing = conversion::run_spec(&spec, None, &[]).unwrap_err();
    assert_eq!(missing[0].to_string(), "spec.pipelineRef: there is no Pipeline `medallion`");
}

#[test]
fn a_run_that_has_begun_keeps_the_stages_that_it_found() {
    let pipeline = |duration: &str| -> Pipeline {
        let worker =
            json!({"maxReplicas": 2, "env": [{"name": "A", "value": "b"}], "podTemplate": {"spec": {}}});
        let stage =
            json!({"name": "work", "processor": {"simulate": {"duration": duration}}, "worker": worker});
        serde_json::from_value(json!({
            "apiVersion": "kafka-orchestrator.dev/v1alpha1", "kind": "Pipeline",
            "metadata": {"name": "medallion", "generation": 3}, "spec": {"stages": [stage]},
        }))
        .unwrap()
    };
    let (found, edited) = (pipeline("1s"), pipeline("2s"));
    let spec = run(json!({"pipelineRef": {"name": "medallion"}, "objects": [{"id": "x"}]}));
    let mut run = PipelineRun::new("sales", spec);
    assert_eq!(run.shared_stages(None), Ok(None));
    assert_eq!(run.shared_stages(Some(&edited)), PinnedPipeline::of(&edited).stages().map(Some));
    let pinned = PinnedPipeline::of(&found);
    run.status = Some(PipelineRunStatus { pipeline: Some(pinned.clone()), ..PipelineRunStatus::default() });
    let kept = run.shared_stages(Some(&edited)).unwrap().unwrap();
    let as_found = as_own(&found.spec.stages);
    let shared =
        |stages: &[StageSpec]| conversion::run_spec(&run.spec, Some(stages), &[]).unwrap().spec.stages;
    assert_eq!(shared(&kept), as_found);
    assert_eq!(pinned.generation, 3);
    let text = serde_json::to_string(&pinned).unwrap();
    assert!(!text.contains("env") && !text.contains("podTemplate"), "the pods are the Pipeline's: {text}");
}

/// It was read with the run: one such status, and the watch of all runs found none any more.
#[test]
fn a_kept_stage_that_nobody_can_read_is_a_finding_of_that_run() {
    let kept = json!({"pipeline": {"generation": 1, "stages": [{"name": "work", "processor": {"simulate": {}}}, {"name": 7}]}});
    let run: PipelineRun = serde_json::from_value(json!({
        "apiVersion": "kafka-orchestrator.dev/v1alpha1", "kind": "PipelineRun", "metadata": {"name": "sales"},
        "spec": {"pipelineRef": {"name": "medallion"}, "objects": [{"id": "x"}]}, "status": kept,
    }))
    .unwrap();
    let finding = run.shared_stages(None).unwrap_err().to_string();
    assert!(
        finding.starts_with("status.pipeline.stages[1]: invalid type: integer `7`, expected a string"),
        "{finding}"
    );
}

/// It was thrown away whole, and the pods were others than people had written.
#[test]
fn what_is_no_pod_template_is_named_field_by_field() {
    let container = json!({"name": "worker", "image": 5, "env": [{"name": "A", "value": 1}], "imagePullPolices": "Always"});
    let found = refused(json!({
        "stages": [{"name": "a", "processor": {"simulate": {}},
                    "worker": {"podTemplate": {"spec": {"containers": [container]}}}}],
        "objects": [{"id": "x"}],
    }));
    let place = "spec.stages[0].worker.podTemplate.spec.containers[0]";
    for field in ["image", "env[0].value", "imagePullPolices"] {
        let named = found.iter().any(|finding| finding.starts_with(&format!("{place}.{field}: ")));
        assert!(named, "{field}: {found:#?}");
    }
}

#[test]
fn everything_that_is_wrong_is_said_at_once() {
    let found = refused(json!({
        "stages": [{"name": "a", "processor": {}, "retry": {"maxDelay": "soon"}}],
        "objects": [{"id": "x", "timeouts": {"run": "1 h"}}, {"id": "y", "processor": {"external": {}}}],
        "objectsFrom": [{"configMap": {"name": "o", "key": "k"}}],
        "targets": {},
        "timeout": "0s",
    }));
    let expected = [
        "spec.timeout: a timeout must be longer than 0s; leave it out for none",
        "spec.stages[0].processor: a processor is exactly one of simulate, exec, http and external",
        "spec.stages[0].retry.maxDelay: `soon` is no duration",
        "spec.targets: targets is exactly one of ids and stage",
        "spec.objects[0].timeouts.run: `1 h` is no duration",
        "spec.objects[1].processor: an object cannot have the processor external; give it a stage that has",
        "spec.objectsFrom: not every ConfigMap was fetched",
    ];
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(expected), "{found}: {expected}");
    }
}

#[test]
fn processors_in_a_chunk_are_checked_too() {
    let text = r#"[{"id": "a", "processor": {"simulate": {"durations": "1s"}}}, {"id": "b", "processor": {"external": {}}},
        {"id": "c", "processor": {"exec": {"command": "ls"}}}]"#;
    let chunk = Chunk {
        source: "configMap o/k".to_owned(),
        format: ObjectsFormat::Objects,
        bytes: text.as_bytes().to_vec(),
    };
    let spec = run(
        json!({"stages": [{"name": "a", "processor": {"simulate": {}}}], "objectsFrom": [{"configMap": {"name": "o", "key": "k"}}]}),
    );
    let found = conversion::run_spec(&spec, None, &[chunk]).unwrap_err();
    let found: Vec<String> = found.iter().map(Finding::to_string).collect();
    assert_eq!(
        found,
        [
            "configMap o/k[0].processor.simulate.durations: nobody knows this field",
            "configMap o/k[1].processor: an object cannot have the processor external; give it a stage that has",
            "configMap o/k[2].processor.exec.command: invalid type: string \"ls\", expected a list",
        ]
    );
}

#[test]
fn chunks_that_are_too_large_in_sum_are_refused_once() {
    let chunk = |n: usize| Chunk {
        source: format!("configMap o/{n}"),
        format: ObjectsFormat::Objects,
        bytes: format!("[{}]", " ".repeat((100 << 20) - 2)).into_bytes(),
    };
    let chunks: Vec<Chunk> = (0..5).map(chunk).collect();
    let from = vec![json!({"configMap": {"name": "o", "key": "k"}}); chunks.len()];
    let spec = run(json!({"stages": [{"name": "a", "processor": {"simulate": {}}}], "objectsFrom": from}));
    let found = conversion::run_spec(&spec, None, &chunks).unwrap_err();
    let found: Vec<String> = found.iter().map(Finding::to_string).collect();
    let expected = "configMap o/2: it and the sources before it hold more than 256 MiB of text; split the run into several";
    assert_eq!(found, [expected]);
}

#[test]
fn integers_that_no_double_keeps_are_refused() {
    let found = |params: &str| {
        let object = format!(r#"{{"stages": [], "objects": [{{"id": "x", "params": {params}}}]}}"#);
        conversion::run_spec(&run(value(&object)), None, &[])
            .map(|_| ())
            .map_err(|findings| findings[0].to_string())
    };
    let refused = found(r#"{"deep": [{"n": 100000000000000000000}]}"#).unwrap_err();
    assert!(
        refused.starts_with("spec.objects[0].params: a whole number near 100000000000000000000"),
        "{refused}"
    );
    for safe in ["9007199254740991", "1.5e3", "1e300", "-500.0", "0.1"] {
        assert_eq!(found(&format!(r#"{{"n": {safe}}}"#)), Ok(()));
    }
}

#[test]
fn inline_objects_have_a_size_in_a_cluster() {
    let objects = |count: usize| -> PipelineRunSpec {
        run(json!({"objects": (0..count).map(|id| json!({"id": id.to_string()})).collect::<Vec<_>>()}))
    };
    assert_eq!(check_inline_size(&objects(5_000)), None);
    let finding = check_inline_size(&objects(20_000)).unwrap().to_string();
    assert!(finding.contains("at most 200 KiB") && finding.contains("`orch convert`"), "{finding}");
}

#[test]
fn a_header_that_no_request_can_have_is_refused_with_its_place() {
    let said = |name: &str, value: &str| {
        let http = json!({"http": {"url": "http://a", "headers": {name: value}}});
        let spec = run(json!({"stages": [{"name": "a", "processor": http}], "objects": []}));
        let findings = conversion::run_spec(&spec, None, &[]).err().unwrap_or_default();
        findings.iter().map(Finding::to_string).collect::<Vec<_>>().join("\n")
    };
    for (name, value) in [("x-Team_1", "a\tb é"), ("!#$%&'*+-.^_`|~", ""), ("authorization", "Bearer x")] {
        assert_eq!(said(name, value), "", "{name}");
    }
    let place = "spec.stages[0].processor.http.headers";
    for name in ["", "x team", "x:y", "é", "a\n", "a(b)"] {
        let wanted = format!("{place}: `{name}` is no name of a header");
        assert!(said(name, "v").starts_with(&wanted), "{name}: {}", said(name, "v"));
    }
    for value in ["secret\n", "secret\r\nx: y", "secret\0", "secret\u{7f}"] {
        let said = said("x-token", value);
        assert!(said.starts_with(&format!("{place}.x-token: the value has a line break or")), "{said}");
        assert!(!said.contains("secret"), "{said}");
    }
}
