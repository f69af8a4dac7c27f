//! What can be changed and what cannot.

use serde_json::{Value, json};

use crate::cases::{Kind, Update, merge};
use crate::server::Server;

/// A patch of the spec that sets one field.
fn set(field: &str, value: &Value) -> Value {
    json!({"spec": {field: value}})
}

async fn refuse(server: &Server, case: &Update, name: &str, patch: &Value) {
    let answer = server.try_change(case.kind, name, patch).await;
    let refused = answer.as_ref().is_err_and(|error| error.contains(&case.message()));
    assert!(refused, "{}, {patch}: `{}` is not in {answer:?}", case.field, case.message());
}

#[tokio::test]
async fn immutable_fields_are_neither_changed_nor_removed_nor_added() {
    let server = Server::connect().await;
    for case in Update::table() {
        let mut without = case.kind.valid();
        merge(&mut without["spec"], &case.base);
        let mut with = without.clone();
        with["spec"][&case.field] = case.value.clone();
        let name = server.create(case.kind, with).await;
        server.try_change(case.kind, &name, &set(&case.field, &case.value)).await.unwrap();
        refuse(&server, &case, &name, &set(&case.field, &case.other)).await;
        let mut removal = set(&case.field, &Value::Null);
        refuse(&server, &case, &name, &removal).await;
        if let Some(replacement) = &case.without {
            merge(&mut removal["spec"], replacement);
            refuse(&server, &case, &name, &json!({"spec": removal_of(&case.field, replacement)})).await;
        }
        server.delete(case.kind, &name).await;
        added_is_refused(&server, &case, without).await;
    }
}

/// A removal that puts something else in the place.
fn removal_of(field: &str, replacement: &Value) -> Value {
    let mut patch = replacement.clone();
    patch[field] = Value::Null;
    patch
}

async fn added_is_refused(server: &Server, case: &Update, mut without: Value) {
    without["spec"].as_object_mut().unwrap().remove(&case.field);
    if let Some(replacement) = &case.without {
        merge(&mut without["spec"], replacement);
    }
    let name = server.create(case.kind, without).await;
    refuse(server, case, &name, &set(&case.field, &case.value)).await;
    server.delete(case.kind, &name).await;
}

#[tokio::test]
async fn what_may_change_changes() {
    let server = Server::connect().await;
    let name = server.create(Kind::PipelineRun, Kind::PipelineRun.valid()).await;
    for change in [
        json!({"maxInFlight": 10}),
        json!({"maxInFlight": null}),
        json!({"timeout": "2h"}),
        json!({"timeout": null}),
        json!({"cancel": true}),
    ] {
        server.try_change(Kind::PipelineRun, &name, &json!({"spec": change})).await.unwrap();
    }
    server.delete(Kind::PipelineRun, &name).await;

    let name = server.create(Kind::Pipeline, Kind::Pipeline.valid()).await;
    for change in [
        json!({"stages": [{"name": "work", "processor": {"exec": {"command": ["x"]}}}, {"name": "more", "processor": {"external": {}}}]}),
        json!({"deletionPolicy": "Retain"}),
        json!({"topics": {"create": false}}),
    ] {
        server.try_change(Kind::Pipeline, &name, &json!({"spec": change})).await.unwrap();
    }
    server.delete(Kind::Pipeline, &name).await;
}

#[tokio::test]
async fn a_stage_of_a_pipeline_keeps_its_topic_and_its_readers() {
    let server = Server::connect().await;
    let stage = |worker: Value, more: Value| {
        let mut stage = json!({"name": "work", "processor": {"simulate": {}}, "worker": worker});
        merge(&mut stage, &more);
        json!({"spec": {"stages": [stage]}})
    };
    let mut pipeline = Kind::Pipeline.valid();
    merge(&mut pipeline, &stage(json!({"maxReplicas": 2}), json!({})));
    let name = server.create(Kind::Pipeline, pipeline).await;
    let (gone, partitions) =
        ("a stage cannot be removed or renamed", "the partitions of a stage cannot be changed");
    for (change, refusal) in [
        (
            stage(json!({"maxReplicas": 2}), json!({"retry": {"maxAttempts": 9}, "timeouts": {"run": "1h"}})),
            None,
        ),
        (
            stage(
                json!({"maxReplicas": 2, "concurrency": 9}),
                json!({"processor": {"simulate": null, "exec": {"command": ["x"]}}}),
            ),
            None,
        ),
        (stage(json!({"maxReplicas": 2}), json!({"name": "other"})), Some(gone)),
        (
            stage(
                Value::Null,
                json!({"partitions": 2, "worker": null, "processor": {"simulate": null, "external": {}}}),
            ),
            Some(gone),
        ),
        (stage(json!({"maxReplicas": 3}), json!({})), Some(partitions)),
        (stage(Value::Null, json!({"worker": null})), Some(partitions)),
        (stage(json!({"maxReplicas": 2}), json!({"partitions": 4})), Some(partitions)),
        (stage(json!({"maxReplicas": 8}), json!({"partitions": 2})), None),
    ] {
        let answer = server.try_change(Kind::Pipeline, &name, &change).await;
        let said = answer.as_ref().err().map(String::as_str);
        let as_expected = match refusal {
            None => said.is_none(),
            Some(refusal) => said.is_some_and(|said| said.contains(refusal)),
        };
        assert!(as_expected, "{change}: {refusal:?} {said:?}");
    }
    server.delete(Kind::Pipeline, &name).await;
}

#[tokio::test]
async fn the_spec_cannot_be_removed() {
    let server = Server::connect().await;
    let name = server.create(Kind::PipelineRun, Kind::PipelineRun.valid()).await;
    let refused = server.try_change(Kind::PipelineRun, &name, &json!({"spec": null})).await.unwrap_err();
    assert!(refused.contains("spec: Required value"), "{refused}");
    server.delete(Kind::PipelineRun, &name).await;
}

#[tokio::test]
async fn a_cancelled_run_stays_cancelled() {
    let server = Server::connect().await;
    let mut resource = Kind::PipelineRun.valid();
    resource["spec"]["cancel"] = json!(true);
    let name = server.create(Kind::PipelineRun, resource).await;
    for value in [json!(false), Value::Null] {
        let refused = server.try_change(Kind::PipelineRun, &name, &set("cancel", &value)).await.unwrap_err();
        assert!(refused.contains("a cancelled run stays cancelled"), "{refused}");
    }
    server.try_change(Kind::PipelineRun, &name, &set("cancel", &json!(true))).await.unwrap();
    server.delete(Kind::PipelineRun, &name).await;
}
