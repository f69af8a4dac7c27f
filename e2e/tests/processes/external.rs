//! A stage that somebody else's program works on: the Python worker of `examples/`, which only speaks Kafka.

use std::path::Path;

use kube::api::{Api, PostParams};
use orch_crds::status::{PipelineRunStatus, RunPhase};
use orch_crds::{Pipeline, PipelineRun};
use orch_e2e::api::{condition, variable};
use orch_e2e::history::Entry;
use orch_e2e::process::Process;
use orch_e2e::setup::Setup;
use serde::Deserialize;
use serde_json::json;

use crate::inputs::many_parents;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/external-worker");

/// The worker of the folder, on a stage of the topics with this prefix, once an object of the run waits for it: it gives
/// up when its topics are not there.
async fn python_worker(setup: &Setup, run: &str, (prefix, stage): (&str, &str)) -> Process {
    let packages = variable("ORCH_TEST_PYTHONPATH", "`make e2e-processes` sets it where there is pip");
    let queued = |status: &PipelineRunStatus| status.counts.queued > 0;
    setup.until(run, "queued", queued).await;
    let topic = |end: &str| format!("{prefix}{end}");
    let variables = [
        ("PYTHONPATH", packages),
        ("ORCH_BOOTSTRAP_SERVERS", setup.bootstrap.clone()),
        ("ORCH_READY_TOPIC", topic(stage)),
        ("ORCH_EVENTS_TOPIC", topic("events")),
        ("ORCH_CONTROL_TOPIC", topic("control")),
        ("POD_NAME", "python".to_owned()),
    ];
    let variables = variables.map(|(name, value)| (name.to_owned(), value));
    let script = Path::new(FOLDER).join("worker.py");
    Process::script(Path::new("python3"), &script, &variables, &setup.log("python"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_only_speaks_kafka_does_the_work_of_an_external_stage() {
    let setup = Setup::new("external").await;
    let _operator = setup.operator("operator");
    let manifest = std::fs::read_to_string(Path::new(FOLDER).join("manifest.yaml")).unwrap();
    let mut documents = serde_yaml::Deserializer::from_str(&manifest);
    let pipeline = Pipeline::deserialize(documents.next().unwrap()).unwrap();
    let pipelines: Api<Pipeline> = Api::namespaced(setup.client.clone(), &setup.namespace);
    pipelines.create(&PostParams::default(), &pipeline).await.unwrap();
    let run = PipelineRun::deserialize(documents.next().unwrap()).unwrap();
    let run = setup.create(&serde_yaml::to_string(&run).unwrap()).await;
    let worker =
        python_worker(&setup, "external-demo-1", ("external.external.external-demo.", "enrich")).await;
    let status = setup.end_of("external-demo-1").await.status.unwrap();
    assert_eq!((status.phase, status.counts.loaded), (RunPhase::Succeeded, 4), "{}", worker.log());
    assert!(
        status.objects.iter().all(|object| object.worker.as_deref() == Some("python")),
        "{:?}",
        status.objects
    );
    assert_eq!(condition(&status, "WorkersReady").unwrap().1, "External");
    assert_eq!(setup.kubelet.names(), Vec::<String>::new(), "no pod of ours");
    let (entries, uid) = (setup.entries().await, run.metadata.uid.unwrap());
    let loaded = entries.iter().find(|entry| {
        entry.key == "orders-by-customer"
            && entry.value["run_uid"] == *uid
            && entry.value["event_type"] == "ObjectLoaded"
    });
    assert_eq!(loaded.unwrap().value["outputs"]["rows"], 920, "the sum of what its parents gave out");
    setup.kubelet.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn it_reads_the_inputs_that_its_record_only_names() {
    let setup = Setup::new("external-wide").await;
    let _operator = setup.operator("operator");
    let join = json!({"name": "join", "processor": {"external": {}}});
    setup.create(&many_parents("wide", &join)).await;
    let loaded = |status: &PipelineRunStatus| status.counts.loaded == 70;
    let status = setup.until("wide", "waiting for the join", loaded).await;
    let prefix = status.stages[1].topic.strip_suffix("join").unwrap().to_owned();
    let worker = python_worker(&setup, "wide", (&prefix, "join")).await;
    let status = setup.end_of("wide").await.status.unwrap();
    assert_eq!((status.phase, status.counts.loaded), (RunPhase::Succeeded, 71), "{}", worker.log());
    let entries = setup.entries().await;
    let of_join = |entry: &&Entry| entry.key == "join" && entry.value["event_type"] == "ObjectLoaded";
    assert_eq!(entries.iter().find(of_join).unwrap().value["outputs"]["rows"], 70);
    setup.kubelet.stop();
}
