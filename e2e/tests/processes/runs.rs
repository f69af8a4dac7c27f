//! Runs as people make them.

use kube::api::{Api, Patch, PatchParams};
use orch_crds::PipelineRun;
use orch_crds::status::{ObjectPhase, RunPhase};
use orch_e2e::api::{condition, delete_run};
use orch_e2e::graphs::{layered, objects_json};
use orch_e2e::history::topics;
use orch_e2e::setup::{LIMIT, Setup};
use serde_json::json;

const SMALL: &str = "
apiVersion: kafka-orchestrator.dev/v1alpha1
kind: PipelineRun
metadata: {name: small}
spec:
  stages:
  - {name: ingest, idRange: {from: 1000, to: 1999}, processor: {simulate: {duration: 50ms}}}
  - {name: standardize, idRange: {from: 2000, to: 2999}, processor: {simulate: {duration: 50ms, failIds: ['2005']}}}
  objects:
  - {id: '1005'}
  - {id: '1006'}
  - {id: '2005', dependsOn: ['1005']}
  - {id: '2006', dependsOn: ['1006']}
  - {id: '2007', dependsOn: ['2005']}
";

#[tokio::test(flavor = "multi_thread")]
async fn o8_a_failed_object_blocks_its_descendants_and_nothing_is_left_behind() {
    let setup = Setup::new("o8").await;
    let operator = setup.operator("operator");
    let run = setup.create(SMALL).await;
    let status = setup.end_of("small").await.status.unwrap();
    assert_eq!(status.phase, RunPhase::Failed);
    assert_eq!(status.progress.as_deref(), Some("3/5"));
    let object = |id: &str| status.objects.iter().find(|object| object.id == id).unwrap();
    assert_eq!(object("2006").phase, ObjectPhase::Loaded);
    assert_eq!(
        (object("2007").phase, object("2007").root_cause.as_deref()),
        (ObjectPhase::Blocked, Some("2005"))
    );
    assert_eq!(status.failures[0].blocks, 1);
    let story = setup.story(&run).await;
    story.assert_once();
    assert_eq!((story.loaded().len(), story.end("2005", 1)), (3, Some("ObjectFailed")));
    delete_run(&setup.client, &setup.namespace, "small", LIMIT).await;
    assert_eq!(topics(&setup.bootstrap, "o8."), Vec::<String>::new());
    assert!(!operator.log().contains('\u{1b}'), "colours in a log that is a file");
    setup.kubelet.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_run_ends_and_says_so() {
    let setup = Setup::new("cancel").await;
    let _operator = setup.operator("operator");
    setup
        .create(
            "{apiVersion: kafka-orchestrator.dev/v1alpha1, kind: PipelineRun, metadata: {name: long}, spec: {stages: \
             [{name: work, processor: {simulate: {duration: 1h}}}], objects: [{id: a}, {id: b, dependsOn: [a]}]}}",
        )
        .await;
    let running = |status: &orch_crds::status::PipelineRunStatus| status.counts.running == 1;
    setup.until("long", "running", running).await;
    let api: Api<PipelineRun> = Api::namespaced(setup.client.clone(), &setup.namespace);
    let patch = Patch::Merge(json!({"spec": {"cancel": true}}));
    api.patch("long", &PatchParams::default(), &patch).await.unwrap();
    let status = setup.end_of("long").await.status.unwrap();
    assert_eq!((status.phase, status.counts.cancelled), (RunPhase::Cancelled, 2));
    assert_eq!(condition(&status, "Succeeded").unwrap().1, "Cancelled");
    setup.kubelet.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_graph_of_thousands_from_config_maps_ends_complete() {
    let setup = Setup::new("thousands").await;
    let _operator = setup.operator("operator");
    let graph = layered(30, 100, 2);
    setup.config_map("objects", &objects_json(&graph)).await;
    let run = setup
        .create(
            "{apiVersion: kafka-orchestrator.dev/v1alpha1, kind: PipelineRun, metadata: {name: big}, spec: {stages: \
             [{name: work, worker: {concurrency: 64}, processor: {simulate: {duration: 0s}}}], \
              objectsFrom: [{configMap: {name: objects, key: objects.json}}]}}",
        )
        .await;
    let status = setup.end_of("big").await.status.unwrap();
    assert_eq!((status.phase, status.counts.loaded), (RunPhase::Succeeded, 3_000));
    assert!(status.objects.is_empty(), "above 1,000 objects only those that need a person are listed");
    assert_eq!(status.phase_map.unwrap().decode().unwrap(), "L".repeat(3_000));
    let story = setup.story(&run).await;
    story.assert_complete(&graph);
    story.assert_once();
    story.assert_order(&graph);
    setup.kubelet.stop();
}
