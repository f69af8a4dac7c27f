//! What others made, take away or forbid.

use std::time::Duration;

use k8s_openapi::api::admissionregistration::v1::{
    ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding,
};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Resource, ResourceExt};
use orch_crds::status::RunPhase;
use orch_crds::{Pipeline, PipelineRun};
use orch_e2e::api::{delete, delete_run, until};
use orch_e2e::history::topics;
use orch_e2e::setup::{LIMIT, Setup};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

const RUN: &str = "{apiVersion: kafka-orchestrator.dev/v1alpha1, kind: PipelineRun, metadata: {name: sales}, spec: \
                   {stages: [{name: work, processor: {external: {}}}], objects: [{id: a}]}}";

/// A Pipeline took the user's Secret of its name over, and deleted it at its end.
#[tokio::test(flavor = "multi_thread")]
async fn a_secret_of_somebody_else_is_neither_changed_nor_deleted() {
    let setup = Setup::new("others").await;
    let _operator = setup.operator("operator");
    setup.secret("medallion", &[("token".to_owned(), b"mine".to_vec())].into()).await;
    let secrets: Api<Secret> = Api::namespaced(setup.client.clone(), &setup.namespace);
    let before = secrets.get("medallion").await.unwrap();
    setup.pipeline("medallion", &json!([{"name": "work", "processor": {"simulate": {}}}])).await;
    let pipelines: Api<Pipeline> = Api::namespaced(setup.client.clone(), &setup.namespace);
    let named = async || {
        let status = pipelines.get("medallion").await.unwrap().status.unwrap_or_default();
        let refused = status.conditions.iter().find(|condition| condition.reason == "DeploymentRefused");
        refused.map(|refused| refused.message.clone()).ok_or_else(|| format!("{:?}", status.conditions))
    };
    let message = until("the Secret is named", LIMIT, named).await;
    assert!(message.starts_with("the Secret `medallion` is there already"), "{message}");
    delete::<Pipeline>(&setup.client, &setup.namespace, "medallion", LIMIT).await;
    assert_eq!(secrets.get("medallion").await.unwrap(), before);
    setup.kubelet.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_finalizer_that_somebody_took_away_is_put_back() {
    let setup = Setup::new("unheld").await;
    let _operator = setup.operator("operator");
    setup.create(RUN).await;
    setup.until("sales", "published", |status| status.counts.queued == 1).await;
    let runs: Api<PipelineRun> = Api::namespaced(setup.client.clone(), &setup.namespace);
    let none = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    runs.patch("sales", &PatchParams::default(), &none).await.unwrap();
    let held = async || match runs.get("sales").await.unwrap().finalizers() {
        [] => Err("without a finalizer".to_owned()),
        _ => Ok(()),
    };
    until("the run is held again", LIMIT, held).await;
    delete_run(&setup.client, &setup.namespace, "sales", LIMIT).await;
    assert_eq!(topics(&setup.bootstrap, "unheld."), Vec::<String>::new());
    setup.kubelet.stop();
}

/// It was made again by nobody, and a replica that stood by never led.
#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_was_deleted_is_made_again() {
    let setup = Setup::new("leaseless").await;
    let mut first = setup.operator("first");
    let leases: Api<Lease> = Api::namespaced(setup.client.clone(), &setup.namespace);
    let held = async || match leases.list(&ListParams::default()).await.unwrap().items.pop() {
        Some(lease) if lease.spec.as_ref().is_some_and(|spec| spec.holder_identity.is_some()) => Ok(lease),
        other => Err(format!("{other:?}")),
    };
    let before = until("the Lease is held", LIMIT, held).await;
    let _second = setup.operator("second");
    leases.delete(&before.name_any(), &DeleteParams::default()).await.unwrap();
    let after = until("the Lease is held again", LIMIT, held).await;
    assert_ne!(after.metadata.uid, before.metadata.uid);
    first.kill();
    setup.create(&RUN.replace("external", "simulate")).await;
    assert_eq!(setup.end_of("sales").await.status.unwrap().phase, RunPhase::Succeeded);
    setup.kubelet.stop();
}

/// Whoever stood by waited until it had run out, a minute here, and nobody led meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_was_given_back_is_taken_at_once() {
    let setup = Setup::new("handed").await;
    let lease = [("ORCH_LEASE_SECONDS", "60")];
    let first = setup.operator_with("first", &lease);
    setup.create(RUN).await;
    let epoch = setup.until("sales", "published", |status| status.counts.queued == 1).await.epoch;
    let second = setup.operator_with("second", &lease);
    let stands_by = async || match second.log() {
        log if log.contains("standing for the Lease") => Ok(()),
        log => Err(log),
    };
    until("the second stands by", LIMIT, stands_by).await;
    let begin = std::time::Instant::now();
    first.ask_to_end();
    setup.until("sales", "taken over", |status| status.epoch > epoch).await;
    assert!(begin.elapsed() < Duration::from_secs(30), "{:?}", begin.elapsed());
    setup.kubelet.stop();
}

/// A webhook that fails, or a right that is gone, held the run and its namespace for ever.
#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_that_refuses_holds_a_run_no_longer_than_the_deadline() {
    let setup = Setup::new("refusing").await;
    let _operator = setup.operator_with("operator", &[("ORCH_FINALIZER_DEADLINE", "3s")]);
    let run = RUN.replace("external", "simulate");
    setup.create(&run).await;
    assert_eq!(setup.end_of("sales").await.status.unwrap().phase, RunPhase::Succeeded);
    let rule = json!({"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["DELETE"], "resources": ["deployments"]});
    let policy = json!({
        "metadata": {"name": "refusing"},
        "spec": {
            "matchConstraints": {"resourceRules": [rule]},
            "validations": [{"expression": "false", "message": "nothing is deleted here"}],
        },
    });
    create_cluster_wide::<ValidatingAdmissionPolicy>(&setup, &policy).await;
    let here = json!({"matchLabels": {"kubernetes.io/metadata.name": "refusing"}});
    let binding = json!({
        "metadata": {"name": "refusing"},
        "spec": {
            "policyName": "refusing", "validationActions": ["Deny"], "matchResources": {"namespaceSelector": here},
        },
    });
    create_cluster_wide::<ValidatingAdmissionPolicyBinding>(&setup, &binding).await;
    let deployments: Api<Deployment> = Api::namespaced(setup.client.clone(), &setup.namespace);
    let probe = json!({"metadata": {"name": "probe"}, "spec": {
        "selector": {"matchLabels": {"a": "b"}}, "replicas": 0,
        "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}},
    }});
    deployments.create(&PostParams::default(), &serde_json::from_value(probe).unwrap()).await.unwrap();
    let dry = DeleteParams { dry_run: true, ..DeleteParams::default() };
    let refused = async || match deployments.delete("probe", &dry).await {
        Err(kube::Error::Api(status)) if status.message.contains("nothing is deleted here") => Ok(()),
        other => Err(format!("{other:?}")),
    };
    until("the policy is in force", LIMIT, refused).await;
    delete_run(&setup.client, &setup.namespace, "sales", LIMIT).await;
    assert_eq!(topics(&setup.bootstrap, "refusing."), Vec::<String>::new());
    let bindings: Api<ValidatingAdmissionPolicyBinding> = Api::all(setup.client.clone());
    bindings.delete("refusing", &DeleteParams::default()).await.unwrap();
    let policies: Api<ValidatingAdmissionPolicy> = Api::all(setup.client.clone());
    policies.delete("refusing", &DeleteParams::default()).await.unwrap();
    setup.kubelet.stop();
}

async fn create_cluster_wide<K>(setup: &Setup, object: &Value)
where
    K: Resource<DynamicType = ()> + Clone + std::fmt::Debug + Serialize + DeserializeOwned,
{
    let api: Api<K> = Api::all(setup.client.clone());
    api.create(&PostParams::default(), &serde_json::from_value(object.clone()).unwrap()).await.unwrap();
}
