//! What can be created and what cannot.

use serde_json::{Value, json};

use crate::cases::{Create, Kind};
use crate::server::Server;

#[tokio::test]
async fn accepted_cases_are_accepted() {
    let server = Server::connect().await;
    for case in Create::table() {
        for patch in &case.accepted {
            let answer = server.try_create(case.kind, &case.resource(patch)).await;
            assert!(answer.is_ok(), "{patch}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn refused_cases_are_refused_with_their_message() {
    let server = Server::connect().await;
    for case in Create::table() {
        for patch in &case.refused {
            let answer = server.try_create(case.kind, &case.resource(patch)).await;
            let refused = answer.as_ref().is_err_and(|error| error.contains(&case.message));
            assert!(refused, "{patch}: `{}` is not in {answer:?}", case.message);
        }
    }
}

#[tokio::test]
async fn free_form_fields_are_kept_and_defaults_are_written() {
    let server = Server::connect().await;
    let record = json!({"IdObjet": 2040, "Criticité": "low", "FileLimit": 500.5, "Scope": null, "deep": {"a": [{"b": null}]}});
    let mut resource = Kind::PipelineRun.valid();
    resource["spec"]["objects"][0]["meta"] = record.clone();
    resource["spec"]["objects"][0]["params"] = record.clone();
    resource["spec"]["stages"][0]["worker"] = json!({"podTemplate": {"spec": {"anything": {"at": "all"}}}});
    let spec = server.try_create(Kind::PipelineRun, &resource).await.unwrap()["spec"].take();
    assert_eq!(spec["objects"][0], json!({"id": "1005", "meta": record, "params": record}));
    assert_eq!(spec["failurePolicy"], "ContinueIndependent");
    assert_eq!(spec["undefinedDependencies"], "Reject");
    assert_eq!(spec["cancel"], false);
    let worker = json!({"concurrency": 8, "minReplicas": 0, "maxReplicas": 4, "idleSeconds": 60,
        "podTemplate": {"spec": {"anything": {"at": "all"}}}});
    assert_eq!(spec["stages"][0]["worker"], worker);
}

/// The defaults of the schema are those of the types, so that a resource reads the same wherever it was written.
#[tokio::test]
async fn the_server_stores_what_the_types_write() {
    let server = Server::connect().await;
    for case in Create::table() {
        for patch in &case.accepted {
            let resource = case.resource(patch);
            let stored = server.try_create(case.kind, &resource).await.unwrap()["spec"].take();
            let typed = match case.kind {
                Kind::PipelineRun => serde_json::to_value(
                    serde_json::from_value::<orch_crds::PipelineRunSpec>(resource["spec"].clone()).unwrap(),
                ),
                Kind::Pipeline => serde_json::to_value(
                    serde_json::from_value::<orch_crds::PipelineSpec>(resource["spec"].clone()).unwrap(),
                ),
            };
            let mut typed = typed.unwrap();
            normalise(&mut typed);
            let mut stored = stored;
            normalise(&mut stored);
            assert_eq!(stored, typed, "{patch}");
        }
    }
}

/// Equal numbers are equal: the server turns 2.0 into 2, and a quantity keeps its form while ours is text.
fn normalise(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(normalise),
        Value::Object(fields) => {
            for (key, field) in fields {
                if key == "cpu" && field.is_number() {
                    *field = Value::String(field.to_string());
                }
                normalise(field);
            }
        }
        Value::Number(number) => *value = json!(number.as_f64()),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

/// The rules compare the lists element by element; a list at its limit must stay within the server's budget for rules.
#[tokio::test]
async fn the_largest_list_of_objects_is_accepted_and_compared() {
    let server = Server::connect().await;
    let mut resource = Kind::PipelineRun.valid();
    resource["spec"]["objects"] = (0..20_000).map(|id| json!({"id": id.to_string()})).collect();
    let name = server.create(Kind::PipelineRun, resource).await;
    server.try_change(Kind::PipelineRun, &name, &json!({"spec": {"maxInFlight": 7}})).await.unwrap();
    let refused =
        server.try_change(Kind::PipelineRun, &name, &json!({"spec": {"objects": [{"id": "0"}]}})).await;
    assert!(refused.unwrap_err().contains("objects cannot be changed"));
    server.delete(Kind::PipelineRun, &name).await;
}
